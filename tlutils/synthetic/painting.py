"""Hold the brushes of every synthetic world: planes of coordinates, edges, colours, clouds and what a camera adds.

Planes are float32 arrays of shape (height, width), pictures of shape (height, width, 3), RGB from 0 to 1. Nothing here
keeps a state: what is random comes from the generator that is handed in.
"""

from __future__ import annotations

import colorsys
from typing import Any

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.floating[Any]]
Picture = NDArray[np.floating[Any]]


def coordinates(size: int) -> tuple[Plane, Plane]:
    """Pixel centres from -1 to 1, right and down."""
    axis = (np.arange(size, dtype=np.float32) + 0.5) * (2 / size) - 1
    x, y = np.meshgrid(axis, axis)
    return x, y


def place(x: Plane, y: Plane, rng: np.random.Generator, squeeze: float, drift: float) -> tuple[Plane, Plane]:
    """Rotate, squeeze and move the axes, so that an object drawn at the origin lands anywhere, at any angle."""
    turn = rng.uniform(0, 2 * np.pi)
    cos, sin = np.cos(turn), np.sin(turn)
    x, y = x - rng.uniform(-drift, drift), y - rng.uniform(-drift, drift)
    u, v = cos * x + sin * y, (cos * y - sin * x) / rng.uniform(squeeze, 1)
    return u.astype(np.float32), v.astype(np.float32)


def cover(distance: Plane, size: int) -> Plane:
    """Anti-aliased coverage, 0 to 1, of a shape; `distance` to its edge in half pictures, positive inside."""
    return np.clip(distance * (size / 2) + 0.5, 0, 1)


def colour(rng: np.random.Generator, saturation: tuple[float, float], value: tuple[float, float]) -> Plane:
    """A random colour, RGB 0 to 1."""
    return np.array(colorsys.hsv_to_rgb(rng.uniform(), rng.uniform(*saturation), rng.uniform(*value)), dtype=np.float32)


def two_colours(rng: np.random.Generator) -> tuple[Plane, Plane]:
    """Two random colours whose brightness differs enough to be seen as two."""
    first = colour(rng, (0.2, 1.0), (0.55, 1.0))
    return first, first * rng.uniform(0.15, 0.6) + colour(rng, (0.0, 1.0), (0.0, 0.25))


def mix(share: Plane, over: Plane, under: Plane) -> Picture:
    """Colour `over` where `share` is 1, `under` where it is 0."""
    return under + share[..., None] * (over - under)


def clouds(x: Plane, y: Plane, rng: np.random.Generator, waves: int = 6, finest: float = 9.0) -> Plane:
    """Smooth random field, 0 to 1: a few cosine waves of random direction, longer waves stronger."""
    field_ = np.zeros_like(x)
    for _ in range(waves):
        frequency, direction, phase = rng.uniform(1, finest), rng.uniform(0, 2 * np.pi), rng.uniform(0, 2 * np.pi)
        wave = np.cos(frequency * (np.cos(direction) * x + np.sin(direction) * y) + phase)
        field_ += (wave / np.sqrt(frequency)).astype(np.float32)
    low, high = field_.min(), field_.max()
    return (field_ - low) / max(high - low, 1e-6)


def develop(picture: Picture, x: Plane, y: Plane, rng: np.random.Generator) -> NDArray[np.uint8]:
    """What a camera adds: light from one side, exposure, noise."""
    direction, strength = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.35)
    light = 1 + strength * (np.cos(direction) * x + np.sin(direction) * y)
    picture = picture * (light * rng.uniform(0.75, 1.15))[..., None]
    picture = picture + rng.normal(0, rng.uniform(0.01, 0.07), picture.shape).astype(np.float32)
    return (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)
