"""Draw synthetic pictures whose truth is known exactly.

Every picture of this module is computed, none is photographed. A *world* is a seeded recipe: the same call draws the
same pictures, bit for bit, on every machine. Shapes follow the superformula (Gielis 2003, "A generic geometric
transformation that unifies a wide range of natural and abstract shapes"), which bends one closed curve into discs,
polygons, stars and blossoms with four numbers.
"""

from __future__ import annotations

import colorsys
import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tlutils import settings
from tlutils.synthetic import painting
from tlutils.synthetic.painting import Picture, Plane


@dataclass(frozen=True)
class World:
    """Pictures with everything that is known about them.

    Attributes
    ----------
    pictures : uint8 array, shape (n, size, size, 3)
        RGB, 0 to 255; square.
    labels : int64 array, shape (n,)
        Index into `class_names`.
    class_names : tuple of str
    groups : int64 array, shape (n,)
        Pictures that must stay on the same side of a split share a group.
    truth : dict of str to array
        What only a synthetic world can know, first axis n; for example ``mask``, the pixels of the object
        (bool, shape (n, size, size)).
    """

    pictures: NDArray[np.uint8]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    groups: NDArray[np.int64]
    truth: dict[str, NDArray[np.generic]] = field(default_factory=dict)


# The source task: ten outlines times six textures. Numbers are (m, n1, n2, n3) of the superformula, chosen by eye so
# that neighbours share a symmetry but not a contour: the network must look at curvature, not only count corners.
OUTLINES: dict[str, tuple[float, float, float, float]] = {
    "disc": (0, 1.0, 1.0, 1.0),
    "triangle": (3, 4.0, 9.0, 9.0),
    "square": (4, 12.0, 12.0, 12.0),
    "cross": (4, 0.4, 0.9, 0.9),
    "pentagon": (5, 6.0, 8.0, 8.0),
    "star": (5, 0.45, 1.1, 1.1),
    "clover": (6, 1.0, 2.6, 2.6),
    "snowflake": (6, 0.35, 0.8, 0.8),
    "blossom": (10, 2.2, 4.0, 4.0),
    "burr": (18, 1.6, 2.6, 2.6),
}
TEXTURES = ("stripes", "zigzags", "rings", "spirals", "spokes", "spots")
# What the labels of the source world can tell; the pictures are the same.
SOURCE_TASKS = {
    "shapes": tuple(f"{outline}/{texture}" for outline in OUTLINES for texture in TEXTURES),
    "outlines": tuple(OUTLINES),
    "textures": TEXTURES,
}
# Side of a picture in pixels.
SIZE = 64
FLOWERS = ("daisy", "dandelion", "rose", "sunflower", "tulip")
RIPENESS = ("green", "turning", "yellow", "orange", "red")


def _superformula(angle: Plane, m: float, n1: float, n2: float, n3: float) -> Plane:
    """Radius of the outline at `angle` (radians), scaled so that its largest value is 1 (Gielis 2003, eq. 1)."""
    quarter = m * angle / 4
    radius = (np.abs(np.cos(quarter)) ** n2 + np.abs(np.sin(quarter)) ** n3) ** (-1 / n1)
    return (radius / radius.max()).astype(np.float32)


def _background(x: Plane, y: Plane, rng: np.random.Generator) -> Picture:
    """Two colours in clouds, and up to three bars or discs of other colours that mean nothing."""
    first, second = painting.colour(rng, (0.0, 0.8), (0.1, 0.9)), painting.colour(rng, (0.0, 0.8), (0.1, 0.9))
    picture = painting.mix(painting.clouds(x, y, rng), first, second)
    for _ in range(rng.integers(0, 4)):
        u, v = painting.place(x, y, rng, squeeze=0.25, drift=1.1)
        blob = painting.cover(
            rng.uniform(0.1, 0.35) - np.maximum(np.abs(u) * rng.uniform(0.1, 1), np.abs(v)), x.shape[0]
        )
        picture = painting.mix(blob * rng.uniform(0.4, 1), painting.colour(rng, (0.0, 0.9), (0.1, 0.9)), picture)
    return picture


def _texture(name: str, u: Plane, v: Plane, rng: np.random.Generator) -> Plane:
    """A pattern of two phases, 0 to 1, in the object's own axes (the object's radius is 1)."""
    radius, angle = np.hypot(u, v), np.arctan2(v, u)
    fineness = rng.uniform(9, 17)
    if name == "stripes":
        wave = np.sin(fineness * u)
    elif name == "zigzags":
        wave = np.sin(fineness * (u + 0.3 * np.arcsin(np.sin(fineness / 2 * v))))
    elif name == "rings":
        wave = np.sin(fineness * radius)
    elif name == "spirals":
        wave = np.sin(fineness * radius + rng.choice((-3, -2, -1, 1, 2, 3)) * angle)
    elif name == "spokes":
        wave = np.sin(rng.integers(7, 14) * angle)
    else:
        wave = np.sin(fineness * u) * np.sin(fineness * v) * 1.6 - 0.35
    return np.clip(0.5 + 1.8 * wave, 0, 1).astype(np.float32)


def _source_object(label: int, x: Plane, y: Plane, rng: np.random.Generator) -> tuple[Picture, Plane]:
    """One outline filled with one texture."""
    outline, texture = tuple(OUTLINES.values())[label // len(TEXTURES)], TEXTURES[label % len(TEXTURES)]
    u, v = painting.place(x, y, rng, squeeze=0.7, drift=0.25)
    scale = rng.uniform(0.5, 0.95)
    u, v = u / scale, v / scale
    bend = 1 + rng.uniform(-0.12, 0.12, size=4)
    m, *exponents = outline
    edge = _superformula(np.arctan2(v, u), m, *(np.array(exponents) * bend[1:]))
    mask = painting.cover((edge - np.hypot(u, v)) * scale, x.shape[0])
    bright, dark = painting.two_colours(rng)
    return painting.mix(_texture(texture, u, v, rng), bright, dark), mask


def _petals(radius: Plane, angle: Plane, count: int, width: float, inner: float, pointed: float) -> Plane:
    """Signed distance-like field of `count` petals between radius `inner` and 1; positive inside."""
    sector = np.abs(((angle * count / (2 * np.pi)) % 1) - 0.5) * 2
    along = np.clip((radius - inner) / (1 - inner), 0, 1)
    half_width = width * np.sin(np.pi * along**pointed).clip(0) ** 0.6
    return np.where(radius < 1, (half_width - sector) * radius * np.pi / count, 1 - radius).astype(np.float32)


def _daisy(u: Plane, v: Plane, size: int, rng: np.random.Generator) -> tuple[Picture, Plane]:
    """Long separate petals round a small bright disc."""
    radius, angle = np.hypot(u, v), np.arctan2(v, u)
    petals = painting.cover(_petals(radius, angle, int(rng.integers(9, 15)), 0.85, 0.15, 0.8), size)
    disc = painting.cover(rng.uniform(0.2, 0.3) - radius, size)
    petal, shade = painting.two_colours(rng)
    colours = painting.mix(radius * 0.9, petal, 0.5 * (petal + shade))
    return painting.mix(disc, painting.colour(rng, (0.5, 1), (0.5, 1)), colours), np.maximum(petals, disc)


def _dandelion(u: Plane, v: Plane, size: int, rng: np.random.Generator) -> tuple[Picture, Plane]:
    """A round head of fine rays, several lengths over each other."""
    radius, angle = np.hypot(u, v), np.arctan2(v, u)
    rays = 0.5 + 0.5 * np.sin(rng.integers(20, 30) * angle + 3 * np.sin(7 * radius + rng.uniform(0, 6)))
    edge = 0.86 + 0.14 * np.sin(rng.integers(24, 34) * angle + rng.uniform(0, 6))
    bright, dark = painting.two_colours(rng)
    return painting.mix((rays * np.clip(radius * 1.6, 0, 1)).astype(np.float32), bright, dark), painting.cover(
        edge - radius, size
    )


def _rose(u: Plane, v: Plane, size: int, rng: np.random.Generator) -> tuple[Picture, Plane]:
    """Whorls: a spiral of overlapping petals inside a lobed round outline."""
    radius, angle = np.hypot(u, v), np.arctan2(v, u)
    lobes = int(rng.integers(4, 7))
    whorl = (radius * rng.uniform(3.2, 4.6) + angle / (2 * np.pi) + 0.12 * np.sin(lobes * angle)) % 1
    bright, dark = painting.two_colours(rng)
    edge = 0.92 + 0.08 * np.cos(lobes * angle + rng.uniform(0, 6))
    return painting.mix((whorl**0.8).astype(np.float32), bright, dark), painting.cover(edge - radius, size)


def _sunflower(u: Plane, v: Plane, size: int, rng: np.random.Generator) -> tuple[Picture, Plane]:
    """Many short pointed petals in two rows round a large disc of seeds."""
    radius, angle = np.hypot(u, v), np.arctan2(v, u)
    count = int(rng.integers(13, 19))
    front = _petals(radius, angle, count, 0.95, 0.35, 0.6)
    back = _petals(radius * 1.08, angle + np.pi / count, count, 0.95, 0.35, 0.6)
    petal, shade = painting.two_colours(rng)
    colours = painting.mix(painting.cover(front, size), petal, 0.45 * petal + 0.55 * shade)
    seeds = np.clip(0.5 + 1.5 * np.sin(26 * radius) * np.sin(rng.integers(14, 20) * angle + 6 * radius), 0, 1)
    seed_bright, seed_dark = painting.two_colours(rng)
    disc = painting.cover(rng.uniform(0.48, 0.58) - radius, size)
    picture = painting.mix(disc, painting.mix(seeds.astype(np.float32), 0.6 * seed_bright, 0.6 * seed_dark), colours)
    return picture, np.maximum(painting.cover(np.maximum(front, back), size), disc)


def _tulip(u: Plane, v: Plane, size: int, rng: np.random.Generator) -> tuple[Picture, Plane]:
    """A cup seen from the side: three pointed petals, veins, and a stem."""
    cup = np.minimum(0.72 - np.abs(u) * (1 + 0.25 * v), 0.85 - np.hypot(u, (v + 0.2) * 0.8))
    teeth = 0.28 * np.abs(((u * rng.uniform(1.9, 2.3) + 0.5) % 1) - 0.5) * 2
    cup = np.minimum(cup, v + 0.85 - teeth)
    stem = np.where(v > 0.5, 0.07 - np.abs(u + 0.1 * np.sin(3 * v)), -1)
    veins = 0.5 + 0.5 * np.cos(u * rng.uniform(8, 12))
    bright, dark = painting.two_colours(rng)
    flower = painting.mix((veins * (0.6 - 0.4 * v)).clip(0, 1).astype(np.float32), bright, dark)
    inside = painting.cover(cup.astype(np.float32), size)
    picture = painting.mix(inside, flower, np.broadcast_to(painting.colour(rng, (0.3, 0.9), (0.2, 0.6)), flower.shape))
    return picture, np.maximum(inside, painting.cover(stem.astype(np.float32), size))


_FLOWER_PAINTERS = (_daisy, _dandelion, _rose, _sunflower, _tulip)


def _flower_object(label: int, x: Plane, y: Plane, rng: np.random.Generator) -> tuple[Picture, Plane]:
    """One flower of the class, any colour, any angle."""
    u, v = painting.place(x, y, rng, squeeze=0.6, drift=0.3)
    scale = rng.uniform(0.45, 0.95)
    return _FLOWER_PAINTERS[label](u / scale, v / scale, round(x.shape[0] * scale), rng)


def _fruit_object(label: int, x: Plane, y: Plane, rng: np.random.Generator) -> tuple[Picture, Plane]:
    """A shiny fruit; only its hue tells the class."""
    u, v = painting.place(x, y, rng, squeeze=0.75, drift=0.3)
    scale = rng.uniform(0.45, 0.8)
    u, v = u / scale, v / scale
    radius, angle = np.hypot(u, v), np.arctan2(v, u)
    edge = _superformula(angle, float(rng.integers(2, 7)), 6.0, 6.0, 6.0)
    # Hues 0.33 (green) down to 0.0 (red) in equal steps; the spread lets neighbours touch, hardly overlap.
    hue = (0.33 - 0.0825 * label + rng.normal(0, 0.018)) % 1
    skin = np.array(colorsys.hsv_to_rgb(hue, rng.uniform(0.55, 0.95), rng.uniform(0.5, 0.95)), dtype=np.float32)
    shine = np.exp(-(((u + 0.3) ** 2 + (v + 0.3) ** 2) * 9))[..., None]
    shaded = skin * (1 - 0.45 * radius[..., None] ** 2) + 0.5 * shine
    return shaded.astype(np.float32), painting.cover((edge - radius) * scale, x.shape[0])


_Paint = Callable[[int, Plane, Plane, np.random.Generator], tuple[Picture, Plane]]


def _draw(paint: _Paint, labels: NDArray[np.int64], seed: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Draw a picture and a mask for each label, each from its own random stream."""
    x, y = painting.coordinates(SIZE)
    pictures = np.empty((len(labels), SIZE, SIZE, 3), dtype=np.uint8)
    masks = np.empty((len(labels), SIZE, SIZE), dtype=bool)
    # One child seed per picture: picture i is the same whether 10 or 10,000 are drawn.
    for index, label in enumerate(labels):
        rng = np.random.default_rng([seed, index])
        thing, mask = paint(int(label), x, y, rng)
        picture = painting.mix(mask, thing, _background(x, y, rng))
        pictures[index] = painting.develop(picture, x, y, rng)
        masks[index] = mask > 0.5
    return pictures, masks


def _world(paint: _Paint, class_names: tuple[str, ...], per_class: int, seed: int) -> World:
    """Draw `per_class` pictures of every class, classes interleaved."""
    settings.require_whole(1, per_class=per_class)
    n = per_class * len(class_names)
    labels = np.arange(n, dtype=np.int64) % len(class_names)
    pictures, masks = _draw(paint, labels, seed)
    return World(pictures, labels, class_names, np.arange(n, dtype=np.int64), {"mask": masks})


def source_shapes(per_class: int, seed: int, task: str = "shapes") -> World:
    """Draw the synthetic source task: sixty kinds of things, ten outlines times six textures, colours without meaning.

    Parameters
    ----------
    per_class : int
        Pictures of each of the sixty kinds, 1 or more.
    seed : int
        Two worlds of different seeds share no picture.
    task : str
        What the labels tell of the same pictures: ``"shapes"`` both outline and texture (sixty classes),
        ``"outlines"`` (ten) or ``"textures"`` (six) one of them.

    Returns
    -------
    World
        Pictures of 64 x 64 pixels. Class names of shapes read ``outline/texture``; truth holds ``mask``.

    Raises
    ------
    settings.UserError
        Unknown task; per_class below 1 or not whole.

    Examples
    --------
    >>> world = source_shapes(per_class=1, seed=0)
    >>> world.pictures.shape, len(world.class_names), world.class_names[1]
    ((60, 64, 64, 3), 60, 'disc/zigzags')
    >>> source_shapes(per_class=1, seed=0, task="textures").class_names[1]
    'zigzags'
    """
    if task not in SOURCE_TASKS:
        raise settings.UserError(f"task={task!r} is unknown; choose one of {', '.join(SOURCE_TASKS)}.")
    world = _world(_source_object, SOURCE_TASKS["shapes"], per_class, seed)
    outline, texture = np.divmod(world.labels, len(TEXTURES))
    labels = {"shapes": world.labels, "outlines": outline, "textures": texture}[task]
    return dataclasses.replace(world, labels=labels, class_names=SOURCE_TASKS[task])


def flowers(per_class: int, seed: int) -> World:
    """Draw the synthetic target task: five flowers told apart by form; every flower comes in every colour.

    Parameters and returns as for `source_shapes`.

    Examples
    --------
    >>> world = flowers(per_class=2, seed=0)
    >>> world.class_names
    ('daisy', 'dandelion', 'rose', 'sunflower', 'tulip')
    >>> world.labels
    array([0, 1, 2, 3, 4, 0, 1, 2, 3, 4])
    """
    return _world(_flower_object, FLOWERS, per_class, seed)


def flower_pictures(labels: NDArray[np.int64], seed: int) -> NDArray[np.uint8]:
    """Draw the flowers that are asked for, in any order and number.

    Parameters
    ----------
    labels : int64 array, shape (n,)
        Indices into `FLOWERS`.
    seed : int
        Picture i is that of ``flowers(per_class, seed)`` wherever both have the same label i.

    Returns
    -------
    uint8 array, shape (n, 64, 64, 3)

    Examples
    --------
    >>> pictures = flower_pictures(np.array([0, 4, 2]), seed=0)
    >>> drawn = flowers(per_class=1, seed=0).pictures
    >>> [bool((pictures[i] == drawn[i]).all()) for i in range(3)]
    [True, False, True]
    """
    return _draw(_flower_object, labels, seed)[0]


def ripeness(per_class: int, seed: int) -> World:
    """Draw a target task whose only evidence is colour: one kind of fruit in five stages from green to red.

    The source task teaches the opposite, that colour means nothing; that makes this a world for negative transfer.
    Parameters and returns as for `source_shapes`.
    """
    return _world(_fruit_object, RIPENESS, per_class, seed)


def scramble(pictures: NDArray[np.uint8], tile: int, seed: int) -> NDArray[np.uint8]:
    """Cut every picture into square tiles and put them back in one fixed random order, the same for all.

    No pixel is lost, so the pictures hold the same information; only their distance from ordinary pictures grows as the
    tiles shrink. A tile as large as the picture changes nothing.

    Parameters
    ----------
    pictures : uint8 array, shape (n, size, size, 3)
    tile : int
        Side of a tile in pixels; must divide the side of the pictures.
    seed : int
        Chooses the order.

    Returns
    -------
    uint8 array of the same shape.

    Examples
    --------
    >>> pictures = flowers(per_class=1, seed=0).pictures
    >>> bool((scramble(pictures, tile=64, seed=0) == pictures).all())
    True
    """
    n, size = pictures.shape[:2]
    if tile < 1 or size % tile:
        divisors = [d for d in range(1, size + 1) if size % d == 0]
        raise ValueError(f"tile={tile} does not divide the picture's side {size}; choose one of {divisors}")
    across = size // tile
    generator, order = np.random.default_rng(seed), np.arange(across * across)
    # Four tiles come back in their own order once in 24 draws, which would scramble nothing.
    while across > 1 and (order == np.arange(len(order))).all():
        order = generator.permutation(len(order))
    tiles = pictures.reshape(n, across, tile, across, tile, 3).swapaxes(2, 3).reshape(n, across * across, tile, tile, 3)
    tiles = tiles[:, order].reshape(n, across, across, tile, tile, 3).swapaxes(2, 3)
    return np.ascontiguousarray(tiles.reshape(pictures.shape))
