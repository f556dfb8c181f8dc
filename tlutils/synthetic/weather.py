"""Lay rain, fog, snow or night over any picture; its depth is known or that of a flat road.

Weather is added in linear light. In this module and in `roads`, colour comes first, (3, height, width): NumPy is
several times faster when the long axes come last.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tlutils import settings
from tlutils.synthetic.painting import Picture, Plane

WEATHERS = ("clear", "rain", "fog", "snow", "night")

# Depth of the sky in metres, finite so that it can be averaged and plotted; the ground ends at a quarter of it.
SKY = 2000.0
GROUND_END = 500.0
# Random stream of a picture's weather; that of its scene has another number.
STREAM = 1

_LUMINANCE = np.array([0.2126, 0.7152, 0.0722], dtype=np.float32)
_BYTES = np.arange(256) / 255
_DECODE = np.where(_BYTES <= 0.04045, _BYTES / 12.92, ((_BYTES + 0.055) / 1.055) ** 2.4).astype(np.float32)


def rgb(*values: float) -> Picture:
    """A colour, shape (3, 1, 1)."""
    return np.array(values, dtype=np.float32)[:, None, None]


def blend(share: Plane, over: Picture, under: Picture) -> Picture:
    """Colour `over` where `share` is 1, `under` where it is 0."""
    return under + share * (over - under)


def smooth_field(rng: np.random.Generator, shape: tuple[int, int], cells: tuple[int, int]) -> Plane:
    """Smooth random field, 0 to 1: random numbers on a coarse grid of `cells`, interpolated in between."""
    coarse = rng.random((cells[0] + 1, cells[1] + 1), dtype=np.float32)
    for axis in (1, 0):
        where = np.linspace(0, cells[axis], shape[axis], endpoint=False, dtype=np.float32)
        lower = where.astype(np.intp)
        rest = where - lower
        share = rest * rest * (3 - 2 * rest)
        share = share[:, None] if axis == 0 else share
        first = np.take(coarse, lower, axis)
        coarse = first + share * (np.take(coarse, lower + 1, axis) - first)
    return coarse


def _linear(picture: NDArray[np.uint8]) -> Picture:
    """Light of an sRGB picture, 0 to 1 (IEC 61966-2-1), shape (3, height, width)."""
    return _DECODE[np.ascontiguousarray(picture.transpose(2, 0, 1))]


def _bytes(light: Picture) -> NDArray[np.uint8]:
    """Light of shape (3, height, width) to an sRGB picture of shape (height, width, 3) (IEC 61966-2-1)."""
    light = np.clip(light, 0, 1)
    shown = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** np.float32(1 / 2.4) - 0.055)
    return (shown * 255 + 0.5).astype(np.uint8).transpose(1, 2, 0)


@dataclass
class Surface:
    """What a weather needs to know of a picture; planes of shape (height, width), `glow` (3, height, width)."""

    depth: Plane
    upward: Plane
    catch: Plane
    gloss: Plane
    glow: Picture | float


def upward(depth: Plane) -> Plane:
    """Where the surface faces up, as depth tells it: the next pixel below is nearer, but no other thing."""
    fall = depth[:-1] / depth[1:]
    ground = (fall > 1) & (fall < 2.2) & (depth[:-1] < SKY / 2)
    return np.concatenate([ground, ground[-1:]]).astype(np.float32)


def _extinction(severity: float) -> float:
    """Extinction of fog per metre: none at severity 0, visibility 25 m (contrast threshold 2 %) at severity 1.

    Visibility is 975 / (40**severity - 1) metres: it shrinks geometrically, forty to one, once fog is there at all.
    """
    return 3.912 * (40**severity - 1) / 975


def _airlight(light: Picture, depth: Plane) -> Picture:
    """Colour of the lit air, shape (3, 1, 1): that of the farthest things, half as colourful."""
    far = light[:, depth >= 0.99 * depth.max()].mean(axis=1)
    return rgb(*(0.5 * far + 0.5 * far @ _LUMINANCE))


def _veil(light: Picture, depth: Plane, air: Picture, extinction: float) -> Picture:
    """Koschmieder's law: light fades and airlight grows with depth (1924, "Theorie der horizontalen Sichtweite")."""
    return blend(np.exp(-np.float32(extinction) * depth), light, air)


def _splat(rows: NDArray[np.intp], columns: NDArray[np.intp], share: Plane, near: Plane, depth: Plane) -> Plane:
    """Sum of small marks on a plane, 0 to 1, without those that something nearer than `near` hides."""
    height, width = depth.shape
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width) & (share > 0)
    where = (rows * width + columns)[inside]
    seen = share[inside] * (np.broadcast_to(near, rows.shape)[inside] < depth.ravel()[where])
    plane = np.bincount(where, weights=seen, minlength=height * width).reshape(height, width)
    return np.minimum(plane, 1).astype(np.float32)


def _streaks(depth: Plane, rng: np.random.Generator, severity: float) -> Plane:
    """Raindrops blurred by their fall while the shutter is open: near ones long and bright, all in one slant."""
    height, width = depth.shape
    count = 240
    near, top, left, lean, shine = rng.random((5, count, 1), dtype=np.float32)
    near = 3 * 10**near
    # One order of drops for all severities: more rain adds drops.
    strength = (0.3 + 0.6 * shine) * np.clip(severity * count - np.arange(count, dtype=np.float32), 0, 1)[:, None]
    steps = np.arange(int(np.ceil(0.17 * height + 2)), dtype=np.float32)
    along = strength * np.clip(height * 0.5 / near + 2 - steps, 0, 1) * np.sqrt(2 / near)
    rows = ((1.3 * top - 0.3) * height + steps).astype(np.intp)
    exact = (1.4 * left - 0.2) * width + (rng.uniform(-0.35, 0.35) + 0.1 * (lean - 0.5)) * steps
    first = np.floor(exact).astype(np.intp)
    plane = np.zeros_like(depth)
    thick = max(1, round(height / 64))
    for offset in range(thick + 1):
        share = np.clip(1 - np.abs(exact - (first + offset).astype(np.float32)) / thick, 0, 1)
        plane += _splat(rows, first + offset, along * share, near, depth)
    return np.minimum(plane, 0.85)


def _rain(light: Picture, surface: Surface, rng: np.random.Generator, severity: float) -> Picture:
    """Less light and colour, a dark and glossy road, haze, streaks."""
    depth, gloss = surface.depth, surface.gloss
    wet = severity * (0.6 + 0.4 * smooth_field(rng, depth.shape, (10, 4))) * gloss
    light = light * (1 - 0.35 * severity)
    grey = np.tensordot(_LUMINANCE, light, 1)
    light = light + 0.4 * severity * (grey - light)
    light = light * (1 - 0.5 * wet)
    rows = np.flatnonzero(surface.upward.any(axis=1))
    if len(rows):
        horizon, row = rows[0], np.arange(len(depth))
        image = light[:, np.abs(2 * horizon - 1 - row).clip(0, len(depth) - 1)]
        # A wet road is rough: what it mirrors is smeared towards the driver.
        smear = (np.roll(image, -2, axis=1) + image + np.roll(image, 2, axis=1)) / 3
        steep = np.clip((row - horizon) / len(depth) * 1.6, 0, 1)
        # Schlick 1994, "An inexpensive BRDF model for physically-based rendering", eq. 15, for water.
        mirrored = 0.02 + 0.98 * (1 - steep) ** 5
        light = blend(0.8 * wet * mirrored[:, None].astype(np.float32), smear, light)
    air = _airlight(light, depth)
    light = _veil(light, depth, air, 0.12 * _extinction(severity))
    return blend(0.55 * _streaks(depth, rng, severity), 1.15 * air + 0.06 * severity, light)


def _fog(light: Picture, surface: Surface, rng: np.random.Generator, severity: float) -> Picture:
    """Koschmieder's law and nothing else."""
    return _veil(light, surface.depth, _airlight(light, surface.depth), _extinction(severity))


def _snow(light: Picture, surface: Surface, rng: np.random.Generator, severity: float) -> Picture:
    """Cover that grows where snow holds, a grey sky, haze, flakes."""
    depth = surface.depth
    shape = depth.shape
    air = _airlight(light, depth)
    patches = 0.12 + 0.7 * smooth_field(rng, shape, (14, 7)) + 0.12 * rng.random(shape, dtype=np.float32)
    lying = np.clip((1.7 * severity * surface.catch - patches) * 3, 0, 0.94)
    white = (0.9 + 0.12 * smooth_field(rng, shape, (9, 5))) * (0.25 + 0.75 * air.mean()) * rgb(0.84, 0.88, 0.95)
    light = blend(lying, white, light)
    overcast = air.mean() * rgb(0.92, 0.95, 1.0)
    sky = np.where(depth >= SKY, 0.85 * severity, 0).astype(np.float32)
    light = blend(sky, overcast, light)
    light = _veil(light, depth, overcast, 0.18 * _extinction(severity))
    return blend(_flakes(depth, rng, severity), (0.3 + 0.75 * air.mean()) * rgb(0.96, 0.98, 1.0), light)


def _flakes(depth: Plane, rng: np.random.Generator, severity: float) -> Plane:
    """Discs whose size falls with depth; those too small for a pixel are as faint as they are small."""
    height, width = depth.shape
    count = 450
    # Most flakes in view are far: the seen cross section grows with depth.
    near = 1.5 + 20 * np.sqrt(rng.random(count, dtype=np.float32))
    radius = (height / 64) * 3.0 / near
    row, column, strength = (rng.random(count, dtype=np.float32) * np.float32(top) for top in (height, width, 0.4))
    strength = (0.55 + strength) * np.clip(severity * count - np.arange(count, dtype=np.float32), 0, 1)
    plane = np.zeros_like(depth)
    # Two sizes of patch: the few near flakes need a wide one.
    for large in (False, True):
        chosen = (radius > 0.5 * height / 64) == large
        reach = int(np.ceil(radius[chosen].max(initial=0.0) + 0.5))
        step = np.arange(-reach, reach + 1)
        centre_row, centre_column = row[chosen, None, None], column[chosen, None, None]
        rows = centre_row.astype(np.intp) + step[None, :, None]
        columns = centre_column.astype(np.intp) + step[None, None, :]
        aside = (columns + 0.5).astype(np.float32) - centre_column
        down = (rows + 0.5).astype(np.float32) - centre_row
        distance = np.sqrt(aside * aside + down * down)
        size = radius[chosen, None, None]
        # A near flake is out of focus: its edge is soft.
        share = np.clip((size - distance) / np.maximum(0.5 * size, 1) + 0.5, 0, 1) * np.minimum(1, 1.5 * size)
        rows, columns = np.broadcast_arrays(rows, columns)
        plane += _splat(rows, columns, share * strength[chosen, None, None], near[chosen, None, None], depth)
    return np.minimum(plane, 0.95)


def _night(light: Picture, surface: Surface, rng: np.random.Generator, severity: float) -> Picture:
    """Little and bluish daylight, the car's own low beam, lamps and windows, the noise of a camera at high gain."""
    depth = surface.depth
    height, width = depth.shape
    y = ((np.arange(height, dtype=np.float32) + 0.5) * (2 / height) - 1)[:, None]
    x = (np.arange(width, dtype=np.float32) + 0.5) * (2 / width) - 1
    daylight = rgb(0.010, 0.014, 0.026) ** np.float32(severity)
    # A low beam lights the road for some forty metres and is cut off a little above the horizon.
    cone = np.exp(-np.square(x / 0.75)) * np.clip((y + 0.35) * 2.5, 0.06, 1) / (1 + np.square(depth / 22))
    beam = (severity * 1.7 * cone) * rgb(1.0, 0.95, 0.82)
    dark = light * (daylight + beam) + severity * surface.glow
    noise = rng.standard_normal(light.shape, dtype=np.float32)
    return dark + severity * noise * np.sqrt(1e-5 + 6e-4 * np.clip(dark, 0, 1))


_LAYERS = {"rain": _rain, "fog": _fog, "snow": _snow, "night": _night}


def weathered(
    picture: NDArray[np.uint8], surface: Surface, weather: str, severity: float, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Lay one weather over one picture of shape (height, width, 3)."""
    if weather == "clear" or severity == 0:
        return picture
    return _bytes(_LAYERS[weather](_linear(picture), surface, rng, severity))


def check(weather: str, severity: float) -> None:
    """Raise `settings.UserError` unless the weather is known and its severity from 0 to 1."""
    if weather not in WEATHERS:
        raise settings.UserError(f"weather={weather!r} is unknown; choose one of {', '.join(WEATHERS)}.")
    if not 0 <= severity <= 1:
        raise settings.UserError(f"severity={severity!r} is out of range; give a number from 0 (clear) to 1 (worst).")


def overlay(pictures: NDArray[np.uint8], weather: str, severity: float, seed: int) -> NDArray[np.uint8]:
    """Lay a weather over any pictures, also photographs.

    Fog follows Koschmieder's law, I = J t + A (1 - t) in linear light with t = exp(-beta depth) and visibility
    3.912 / beta (Koschmieder 1924, "Theorie der horizontalen Sichtweite"); beta rises with severity to a visibility of
    975 / (40**severity - 1) metres, that is 120 m at 0.6 and 25 m at 1. Rain and snow bring a thinner haze of the same
    kind. Depth is that of a flat road: it grows from the lower edge (1.8 m) to a horizon at 45 % of the height, and all
    above it is sky. Lamps other than the driver's are unknown and stay dark at night.

    Parameters
    ----------
    pictures : uint8 array, shape (n, height, width, 3)
        RGB.
    weather : str
        One of `WEATHERS`; ``"clear"`` changes nothing.
    severity : float
        0 (changes nothing) to 1.
    seed : int
        Of drops, flakes, patches and noise; picture i has the same ones at every severity.

    Returns
    -------
    uint8 array of the same shape.

    Raises
    ------
    settings.UserError
        Unknown weather, severity out of range.
    ValueError
        Pictures of another type or shape.

    Examples
    --------
    >>> grey = np.full((1, 64, 64, 3), 90, dtype=np.uint8)
    >>> foggy = overlay(grey, "fog", 0.6, seed=0)
    >>> foggy.shape, bool((overlay(grey, "fog", 0.0, seed=0) == grey).all())
    ((1, 64, 64, 3), True)
    """
    check(weather, severity)
    if pictures.dtype != np.uint8 or pictures.ndim != 4 or pictures.shape[3] != 3 or min(pictures.shape[1:3]) < 2:
        raise ValueError(f"pictures must be uint8 (n, height, width, 3), got {pictures.dtype} {pictures.shape}")
    row = (np.arange(pictures.shape[1], dtype=np.float32) + 0.5) / pictures.shape[1] - 0.45
    flat = np.where(row > 0, 1.0 / np.maximum(row, 1 / GROUND_END), SKY).astype(np.float32)
    depth = np.repeat(flat[:, None], pictures.shape[2], axis=1)
    ground = upward(depth)
    surface = Surface(depth, ground, ground, ground, 0.0)
    changed = np.empty_like(pictures)
    for index, picture in enumerate(pictures):
        rng = np.random.default_rng([seed, index, STREAM])
        changed[index] = weathered(picture, surface, weather, severity, rng)
    return changed
