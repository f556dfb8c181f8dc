"""Draw road scenes from a driver's seat.

The road is a flat plane seen through a pinhole camera: a ground point at depth Z metres lies f * h / Z below the
horizon (camera height h in metres, focal length f in half pictures), so every pixel's depth is known exactly, and
`weather` is laid over it by that depth. As everywhere in the package, all pictures are computed; none is photographed.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tlutils import settings
from tlutils.synthetic import painting
from tlutils.synthetic import weather as weathers
from tlutils.synthetic.painting import Picture, Plane
from tlutils.synthetic.shapes import World
from tlutils.synthetic.weather import GROUND_END, SKY, rgb, smooth_field

ROADS = ("motorway", "city street", "country lane", "dirt track", "junction")
_HILLS = 900.0
# Random streams of one picture. The scene must not move when the weather changes, nor the weather when severity does.
_SCENE, _WEATHER = 0, weathers.STREAM


@dataclass
class _Camera:
    """Where the driver sits and how the road bends; lengths in metres, `focal` and `horizon` in half pictures."""

    size: int
    focal: float
    height: float
    horizon: float
    bend: float
    beside: float  # the driver's place right of the road's centre line
    aside: float  # the direction of view, radians right of the road

    def centre(self, depth: Plane | float) -> Plane:
        """Where the centre line runs, right of the line of sight: an arc for the first 80 m, straight on after it."""
        arc = np.minimum(depth, 80)
        return np.asarray(self.bend * arc * (depth - arc / 2) - self.aside * depth - self.beside, dtype=np.float32)

    def pixel(self, depth: Plane) -> Plane:
        """Side of a pixel at that depth, in metres."""
        return depth * np.float32(2 / (self.focal * self.size))


@dataclass
class _Canvas:
    """A picture in the making and what is known about it; planes (size, size), `picture` and `glow` (3, size, size).

    `catch` says how well snow holds (0 to 1), `gloss` how much of a pixel is smooth road, `glow` holds the lamps' own
    linear light.
    """

    camera: _Camera
    x: Plane
    y: Plane
    picture: Picture
    depth: Plane
    road: Plane
    vehicles: Plane
    catch: Plane
    glow: Picture
    box: tuple[slice, slice] = field(default=(slice(None), slice(None)))

    def put(
        self, share: Plane, colour: Picture, depth: Plane | float, catch: Plane | float, vehicle: bool = False
    ) -> Plane:
        """Paint `colour` over the current box where nothing nearer stands; returns the share really painted."""
        box = self.box
        behind = self.depth[box]
        share = (share * (depth <= behind)).astype(np.float32, copy=False)
        seen = self.picture[:, *box]
        seen += share * (colour - seen)
        self.depth[box] = np.where(share > 0.5, depth, behind)
        rest = 1 - share
        self.road[box] *= rest
        self.vehicles[box] *= rest
        if vehicle:
            self.vehicles[box] += share
        self.catch[box] = self.catch[box] * rest + share * catch
        return share

    def frame(self, right: float, depth: float, half_width: float, height: float) -> tuple[Plane, Plane, float] | None:
        """Set the box to an upright rectangle standing on the ground; its metres right of centre and above ground."""
        camera, half = self.camera, self.camera.size / 2
        scale = camera.focal / depth
        foot = camera.horizon + camera.height * scale
        edges = np.array([(right - half_width) * scale, (right + half_width) * scale, foot - height * scale, foot])
        left, stop, top, bottom = np.clip((edges + 1) * half + (-1, 1, -1, 1), 0, camera.size).astype(int)
        if stop <= left or bottom <= top:
            return None
        self.box = slice(top, bottom), slice(left, stop)
        across = self.x[:1, left:stop] / scale - right
        return across, (foot - self.y[top:bottom, :1]) / scale, depth / (camera.focal * half)

    def lamp(self, right: float, above: float, depth: float, colour: Picture, radius: float) -> None:
        """Let a lamp shine: a bright core of `radius` metres, and the halo that a lens adds."""
        camera = self.camera
        scale = camera.focal / depth
        core = max(radius * scale, 1.7 / camera.size)
        found = self.frame(right, depth, 6 * core / scale, above + 6 * core / scale)
        if found is None:
            return
        across, up, _ = found
        distance = (np.square(across) + np.square(up - above)) * np.float32((scale / core) ** 2)
        shine = np.clip(1 / (1 + distance) ** 2 - 0.002, 0, None) * (depth <= self.depth[self.box] + 1)
        self.glow[:, *self.box] += shine * colour


def _between(value: Plane, low: Plane | float, high: Plane | float, pixel: Plane | float) -> Plane:
    """Anti-aliased share of each pixel that lies between two bounds."""
    return np.minimum(np.maximum(np.minimum(value - low, high - value) / pixel + 0.5, 0), 1)


def _sky_and_hills(canvas: _Canvas, rng: np.random.Generator, sun: float) -> None:
    """A gradient, clouds, and what closes the view: hills or a far wood."""
    camera = canvas.camera
    rows = int(np.ceil((camera.horizon + 1) * camera.size / 2)) + 1
    shape = rows, camera.size
    hazy, zenith = rng.uniform(0, 1), rgb(0.30, 0.50, 0.82) * rng.uniform(0.8, 1.15)
    horizon = rgb(0.80, 0.87, 0.94) * (1 - sun) + rgb(0.98, 0.78, 0.58) * sun
    zenith = zenith * (1 - 0.6 * hazy) + rgb(0.72, 0.75, 0.79) * 0.6 * hazy
    up = np.clip((camera.horizon - canvas.y[:rows, 0]) / 1.1, 0, 1) ** 0.7
    canvas.picture[:, :rows] = horizon + up[:, None] * (zenith - horizon)
    heap = 0.65 * smooth_field(rng, shape, (7, 3)) + 0.35 * smooth_field(rng, shape, (18, 9))
    amount = np.clip((heap - rng.uniform(0.4, 0.75)) * 5, 0, 1) * rng.uniform(0.4, 0.95)
    shade = (0.98 - 0.15 * np.clip((heap - 0.5) * 3, 0, 1)) * (horizon * 0.3 + 0.7)
    sky = canvas.picture[:, :rows]
    sky += (amount * np.clip(up * 4, 0, 1)[:, None]) * (shade - sky)
    canvas.box = slice(0, rows), slice(None)
    for layer in range(2):
        far = layer == 0
        ridge = smooth_field(rng, (1, shape[1]), (1, 4 if far else 9))[0] * (rng.uniform(0.05, 0.3) if far else 0.06)
        ridge += 0.02 * rng.random(shape[1], dtype=np.float32) * (not far)
        share = painting.cover(canvas.y[:rows] - (camera.horizon - ridge), camera.size)
        tone = rgb(0.45, 0.55, 0.66) if far else rgb(0.25, 0.33, 0.24)
        tone = tone * rng.uniform(0.75, 1.2) * (0.75 + 0.25 * horizon)
        canvas.put(share, tone, _HILLS if far else GROUND_END, 0.5)


@dataclass
class _Ground:
    """The plane under the horizon: metres right of the road's centre line, depth, and the sides of a pixel there."""

    canvas: _Canvas
    rows: slice
    across: Plane
    depth: Plane
    wide: Plane
    long: Plane
    colour: Picture
    road: Plane
    catch: Plane

    def lay(self, share: Plane, colour: Picture, road: bool | None = None, catch: float | None = None) -> None:
        """Colour part of the ground; `road` says whether it can be driven on, None leaves that as it is."""
        self.colour += share * (colour - self.colour)
        if road is not None:
            self.road += share * (road - self.road)
        if catch is not None:
            self.catch += share * (catch - self.catch)

    def strip(self, low: Plane | float, high: Plane | float) -> Plane:
        """A strip along the road between two distances from its centre line."""
        return _between(self.across, low, high, self.wide)

    def line(self, at: float, width: float, colour: Picture, dash: tuple[float, float] | None, phase: float) -> None:
        """A painted line along the road, solid or in dashes of (length, period) metres."""
        share = self.strip(at - width / 2, at + width / 2)
        # Nearer than a pixel a line still reflects its part of the light.
        if dash is not None:
            length, period = dash
            beat = np.abs((self.depth + phase) % period - period / 2)
            share = share * _between(beat, -1e3, length / 2, self.long)
        self.lay(share * 0.9, colour)

    def finish(self, rng: np.random.Generator) -> None:
        """Grain and soft shadows, then hand the ground to the canvas."""
        canvas, shape = self.canvas, self.across.shape
        grain = rng.standard_normal(shape, dtype=np.float32) * rng.uniform(0.015, 0.035)
        broad = smooth_field(rng, shape, (6, 3)) * 0.16 - 0.08
        self.colour *= 1 + broad + grain
        canvas.box = self.rows, slice(None)
        share = canvas.put(np.ones(shape, np.float32), self.colour, self.depth, self.catch)
        canvas.road[self.rows] = share * self.road


def _ground(canvas: _Canvas, rng: np.random.Generator, base: Picture) -> _Ground:
    """Bare ground of colour `base` with patches, from the horizon to the lower edge."""
    camera = canvas.camera
    first = int(np.ceil((camera.horizon + 1) * camera.size / 2 + 1e-6))
    rows = slice(first, camera.size)
    below = canvas.y[rows, :1] - camera.horizon
    row_depth = np.minimum(camera.focal * camera.height / np.maximum(below, 1e-4), GROUND_END).astype(np.float32)
    across = canvas.x[rows] * (row_depth / np.float32(camera.focal)) - camera.centre(row_depth)
    shape = across.shape
    long = (row_depth * row_depth * np.float32(2 / (camera.focal * camera.height * camera.size))).astype(np.float32)
    tuft = 0.8 + 0.25 * smooth_field(rng, shape, (5, 4)) + 0.15 * rng.random(shape, dtype=np.float32)
    return _Ground(
        canvas,
        rows,
        across,
        np.broadcast_to(row_depth, shape),
        camera.pixel(row_depth),
        long,
        tuft * base,
        np.zeros(shape, np.float32),
        np.ones(shape, np.float32),
    )


def _wall(canvas: _Canvas, at: float) -> tuple[Plane, Plane, Plane]:
    """A line of upright things along the road, `at` metres right of its centre: depth, side of a pixel, height."""
    camera = canvas.camera
    canvas.box = slice(None), slice(None)
    sign = 1.0 if at > camera.beside else -1.0
    depth = np.geomspace(300, 0.8, 96).astype(np.float32)
    column = sign * camera.focal * (camera.centre(depth) + at) / depth
    # In a bend a line of sight may meet the wall twice; the driver sees the nearer place.
    column = np.minimum.accumulate(column[::-1])[::-1]
    reach = np.interp(sign * canvas.x[0], column, depth, left=2 * SKY).astype(np.float32)
    return reach, camera.pixel(reach), camera.height - (canvas.y - camera.horizon) * (reach / np.float32(camera.focal))


def _wood(canvas: _Canvas, rng: np.random.Generator, at: float, tall: float, leaf: Picture) -> None:
    """A hedge or the edge of a wood: a ragged top, leaves in light and shade."""
    depth, pixel, above = _wall(canvas, at)
    ripple = np.interp(np.log(depth), np.linspace(-1, 6, 60), rng.uniform(0.7, 1.1, 60)).astype(np.float32)
    share = _between(above, -1.0, tall * ripple, pixel)
    shape = canvas.x.shape
    light = (
        0.55
        + 0.3 * np.clip(above / tall, 0, 1)
        + 0.4 * rng.random(shape, dtype=np.float32) * smooth_field(rng, shape, (16, 16))
    )
    canvas.put(share, light * leaf, depth, 0.35 + 0.3 * np.clip(above / tall, 0, 1))


def _rail(canvas: _Canvas, at: float, concrete: bool) -> None:
    """A crash barrier: a band of steel on posts, or a wall of concrete."""
    depth, pixel, above = _wall(canvas, at)
    share = _between(above, -1.0 if concrete else 0.4, 0.85, pixel)
    steel = np.clip(0.5 + 0.35 * np.cos((above - 0.65) * 14), 0.35, 0.8) if not concrete else 0.62 + 0.12 * above
    canvas.put(share, steel * rgb(0.98, 1.0, 1.03), depth, 0.15)
    if not concrete:
        post = ((depth % 4) < 0.35) & (depth < 40)
        canvas.put(_between(above, 0, 0.4, pixel) * post, rgb(0.4, 0.4, 0.42), depth, 0.1)


def _houses(
    canvas: _Canvas, rng: np.random.Generator, at: float, sunny: float, gap: tuple[float, float] | None
) -> None:
    """A row of house fronts with windows, doors and roofs; `gap` (from, to, metres) lets a cross road through."""
    depth, pixel, above = _wall(canvas, at)
    length, start = rng.uniform(8, 14), rng.uniform(0, 14)
    along = depth + start
    number = (along // length).astype(int) % 16
    walls = rng.uniform(0.35, 0.85, (16, 1)) * (1 + rng.uniform(-0.1, 0.1, (16, 3)) + (0.08, 0.0, -0.08))
    storeys = rng.integers(*((2, 4) if rng.random() < 0.5 else (3, 6)), size=16)
    tall = (storeys * 3.0 + 0.4).astype(np.float32)[number]
    if gap is not None:
        tall = np.where((depth > gap[0]) & (depth < gap[1]), -5, tall)
    share = _between(above, -0.5, tall, pixel)
    wall = (walls.T.astype(np.float32) * np.float32(sunny))[:, None, number] * np.ones_like(above)
    pane, floor = (along / 2.6) % 1, (above / 3) % 1
    # Beyond some tens of metres a pixel spans several windows and only their mean is seen.
    sharp = np.clip(2.2 / (np.abs(np.gradient(depth)) + 1e-3), 0, 1)
    width = rng.uniform(0.2, 0.3)
    window = _between(pane, 0.5 - width, 0.5 + width, np.maximum(pixel, 0.05)) * _between(
        floor, 0.3, 0.8, np.maximum(pixel / 3, 0.02)
    )
    window = (window * sharp + 0.25 * (1 - sharp)) * (above < tall - 0.5)
    glass = rgb(0.18, 0.22, 0.28) + 0.3 * (number % 3 == 0).astype(np.float32)
    wall += window * (glass - wall)
    roof = np.clip((above - tall + 0.9) * 4, 0, 1) * (above < tall + 3)
    wall += roof * (rgb(0.42, 0.26, 0.2) * rng.uniform(0.6, 1.2) - wall)
    shown = canvas.put(share, wall, depth, roof)
    lit = rng.random((7, 16)) < 0.35
    storey = np.clip(above / 3, 0, 6).astype(int)
    bright = lit[storey, ((along / 2.6).astype(int) * 7) % 16]
    canvas.glow += (shown * window * bright * (1 - roof) * 0.55) * rgb(1.0, 0.68, 0.32)
    if gap is not None:
        _gable(canvas, at, gap[1], storeys, walls, int((gap[1] + start) // length) % 16)


def _gable(
    canvas: _Canvas, at: float, depth: float, storeys: NDArray[np.integer], walls: NDArray[np.floating], number: int
) -> None:
    """The blind end of a row of houses, seen across a side road."""
    right = float(canvas.camera.centre(depth)) + at + np.sign(at) * 8.0
    tall = float(storeys[number]) * 3.0 + 0.4
    found = canvas.frame(right, depth, 8.0, tall)
    if found is not None:
        across, above, pixel = found
        share = _between(across, -8.0, 8.0, pixel) * _between(above, -0.5, tall, pixel)
        canvas.put(share, rgb(*(walls[number] * 0.8)), depth, 0.1)


def _tree(canvas: _Canvas, rng: np.random.Generator, at: float, depth: float, leaf: Picture) -> None:
    """One tree: a trunk and a crown of three balls, or a spruce."""
    tall = rng.uniform(5, 11)
    right = float(canvas.camera.centre(depth)) + at
    found = canvas.frame(right, depth, tall * 0.42, tall)
    if found is None:
        return
    across, above, pixel = found
    canvas.put(_between(across, -0.16, 0.16, pixel) * (above < tall * 0.6), rgb(0.25, 0.19, 0.14), depth, 0.1)
    if rng.random() < 0.3:
        edge = (tall - above) * 0.24 - np.abs(across)
        edge = np.minimum(edge, above - 0.8)
    else:
        balls = rng.uniform((-0.14, 0.5, 0.17), (0.14, 0.76, 0.25), (3, 3)) * tall
        edge = np.max([r - np.hypot(across - a, above - b) for a, b, r in balls], axis=0)
    ragged = edge + (rng.random(edge.shape, dtype=np.float32) - 0.6) * 0.09 * tall
    light = 0.5 + 0.5 * above / tall + 0.3 * (rng.random(edge.shape, dtype=np.float32) - 0.5) - 0.03 * across
    canvas.put(np.clip(ragged / pixel + 0.5, 0, 1), light * leaf, depth, 0.25 + 0.5 * above / tall)


def _post(canvas: _Canvas, at: float, depth: float, tall: float, arm: float, lamp: Picture) -> None:
    """A lamp post or a traffic light: a pole, an arm of `arm` metres and a lamp."""
    right = float(canvas.camera.centre(depth)) + at
    found = canvas.frame(right, depth, abs(arm) + 0.3, tall + 0.2)
    if found is None:
        return
    across, above, pixel = found
    pole = _between(across, -0.09, 0.09, pixel) * (above < tall)
    beam = _between(above, tall - 0.12, tall + 0.12, pixel) * _between(across, min(arm, 0), max(arm, 0), pixel)
    canvas.put(np.maximum(pole, beam) * (above > 0), rgb(0.32, 0.33, 0.35), depth, 0.1)
    canvas.lamp(right + arm, tall - 0.1, depth, lamp, 0.22)


def _vehicle(
    canvas: _Canvas,
    rng: np.random.Generator,
    at: float,
    depth: float,
    oncoming: bool,
    lorry: float = 0.15,
    lit: bool = True,
) -> None:
    """A car, van or lorry seen from behind or, `oncoming`, from the front: shadow, wheels, body, glass, lamps."""
    big = rng.random() < lorry
    half, tall = (1.2, rng.uniform(2.8, 3.7)) if big else (rng.uniform(0.82, 0.95), rng.uniform(1.4, 1.85))
    right = float(canvas.camera.centre(depth)) + at
    body = (
        rgb(*painting.colour(rng, (0.0, 0.9), (0.15, 0.9)))
        if rng.random() < 0.55
        else rng.uniform(0.12, 0.92) * rgb(1, 1, 1)
    )
    found = canvas.frame(right, depth, half + 0.35, tall + 0.1)
    if found is None:
        return
    across, above, pixel = found
    side = np.abs(across)
    # The shadow lies on the ground: it darkens, but is no part of the vehicle.
    dark = _between(side, -1, half + 0.2, 0.3) * _between(above, -0.6, 0.2, 0.15)
    canvas.picture[:, *canvas.box] *= 1 - 0.6 * dark * (canvas.depth[canvas.box] > depth * 0.9)
    waist = tall * (0.3 if big else 0.58)
    slope = 0 if big else 0.28 * half * np.clip((above - waist) / (tall - waist), 0, 1)
    shell = _between(side, -half, half - slope, pixel) * _between(above, 0.22, tall, pixel)
    tyre = _between(side, half - 0.32, half - 0.04, pixel) * _between(above, 0.0, 0.5, pixel)
    canvas.put(tyre, rgb(0.06, 0.06, 0.07), depth, 0.0, vehicle=True)
    shade = (0.72 + 0.28 * np.clip(above / tall, 0, 1)) * (1 - 0.1 * np.square(side / half))
    canvas.put(shell, shade * body, depth, 0.7 * (above > 0.85 * tall), vehicle=True)
    if oncoming or not big:
        low, high = (1.5, 2.5) if big else (waist + 0.02, tall - 0.14)
        glass = _between(side, -half, half - slope - 0.12, pixel) * _between(above, low, high, pixel)
        tint = rgb(0.16, 0.2, 0.25) + 0.35 * np.clip((above - low) / (high - low), 0, 1) * rgb(0.8, 0.95, 1.1)
        canvas.put(glass, tint, depth, 0.0, vehicle=True)
    bumper = _between(side, -half, half - 0.05, pixel) * _between(above, 0.24, 0.42, pixel)
    canvas.put(bumper, body * 0.35 + 0.05, depth, 0.0, vehicle=True)
    plate = _between(side, -1, 0.26, pixel) * _between(above, 0.46, 0.58, pixel)
    canvas.put(plate, rgb(0.85, 0.85, 0.8), depth, 0.0, vehicle=True)
    lamps = _between(side, half - 0.38, half - 0.06, pixel) * _between(above, 0.6, 0.84, pixel)
    tint = rgb(0.95, 0.95, 0.85) if oncoming else rgb(0.72, 0.07, 0.06)
    canvas.put(lamps, tint, depth, 0.0, vehicle=True)
    if lit:
        light = rgb(1.5, 1.4, 1.15) if oncoming else rgb(0.9, 0.05, 0.03)
        for place in (half - 0.22, 0.22 - half):
            canvas.lamp(right + place, 0.72, depth, light, 0.24 if oncoming else 0.17)


def _season(rng: np.random.Generator) -> tuple[Picture, Picture]:
    """Colours of grass and leaves: spring green to straw, autumn and bare brown."""
    grass = rgb(*((0.33, 0.45, 0.18), (0.42, 0.46, 0.22), (0.56, 0.50, 0.28), (0.40, 0.35, 0.24))[rng.integers(4)])
    leaf = rgb(*((0.24, 0.38, 0.15), (0.33, 0.44, 0.18), (0.55, 0.36, 0.14), (0.36, 0.30, 0.22))[rng.integers(4)])
    return (
        (grass * rng.uniform(0.8, 1.2) * rng.uniform(0.92, 1.08, (3, 1, 1))).astype(np.float32),
        (leaf * rng.uniform(0.8, 1.2) * rng.uniform(0.92, 1.08, (3, 1, 1))).astype(np.float32),
    )


def _asphalt(rng: np.random.Generator) -> Picture:
    """Grey, old or new, slightly warm or cold."""
    return (rng.uniform(0.26, 0.56) * rng.uniform(0.95, 1.06, (3, 1, 1))).astype(np.float32)


def _pave(ground: _Ground, rng: np.random.Generator, low: float, high: float, lane: float) -> None:
    """Asphalt between two distances from the centre line, polished where wheels run."""
    surface = _asphalt(rng)
    ground.lay(ground.strip(low, high), surface, road=True, catch=0.62)
    offset = np.abs((ground.across - low) % lane - lane / 2)
    wheels = _between(offset, 0.4, 1.1, np.maximum(ground.wide, 0.35)) * ground.strip(low + 0.3, high - 0.3)
    ground.lay(wheels * np.clip(9 * ground.wide**-1 / 200, 0, 1), surface * rng.uniform(0.82, 1.08), catch=0.25)


def _motorway(canvas: _Canvas, rng: np.random.Generator, side: int) -> None:
    """Two carriageways with a crash barrier between, several lanes, hard shoulder, no houses."""
    grass, leaf = _season(rng)
    ground = _ground(canvas, rng, grass)
    lanes, lane, shoulder = int(rng.integers(2, 4)), rng.uniform(3.5, 3.8), rng.uniform(1.5, 3.0)
    white, phase = rgb(0.9, 0.9, 0.88), rng.uniform(0, 20)
    # The centre line of the geometry is the barrier; the driver's carriageway lies on `side`.
    near, far = 1.3, 1.3 + lanes * lane
    for sign in (side, -side):
        edges = sorted((sign * (near - 0.8), sign * (far + shoulder)))
        _pave(ground, rng, edges[0], edges[1], lane)
        for number in range(lanes + 1):
            inner = 0 < number < lanes
            ground.line(
                sign * (near + number * lane), 0.15 if inner else 0.24, white, (6, 18) if inner else None, phase
            )
    ground.finish(rng)
    if rng.random() < 0.75:
        _wood(canvas, rng, side * (far + shoulder + rng.uniform(4, 14)), rng.uniform(2, 11), leaf)
    if rng.random() < 0.75:
        _wood(canvas, rng, -side * (far + shoulder + rng.uniform(2, 14)), rng.uniform(2, 11), leaf)
    _rail(canvas, 0.0, bool(rng.random() < 0.4))
    if rng.random() < 0.6:
        _rail(canvas, side * (far + shoulder + 0.7), False)
    for _ in range(rng.integers(0, 4)):
        number, oncoming = int(rng.integers(lanes)), bool(rng.random() < 0.35)
        at = (near + (number + 0.5) * lane) * (-side if oncoming else side)
        _vehicle(canvas, rng, at, _ahead(rng, 9), oncoming, lorry=0.35)


def _ahead(rng: np.random.Generator, nearest: float) -> float:
    """Depth of a vehicle in metres: as many between 10 and 20 as between 20 and 40."""
    return float(nearest * 8 ** rng.uniform(0, 1))


def _pavement(ground: _Ground, rng: np.random.Generator, half: float, wide: float) -> None:
    """Kerb and flagstones on both sides."""
    stone = (rng.uniform(0.5, 0.72) * rng.uniform(0.96, 1.04, (3, 1, 1))).astype(np.float32)
    for sign in (-1, 1):
        low, high = sorted((sign * half, sign * (half + wide)))
        ground.lay(ground.strip(low, high), stone, road=False, catch=0.85)
        joints = _between(np.abs((ground.depth % 2) - 1), 0.92, 2, np.maximum(ground.long, 0.05))
        ground.lay(ground.strip(low, high) * joints * np.clip(0.4 / ground.long, 0, 0.4), stone * 0.7)
        ground.line(sign * half, 0.18, stone * 1.15, None, 0)


def _city(canvas: _Canvas, rng: np.random.Generator, side: int) -> None:
    """House fronts on both sides, pavements, parked cars, lamp posts."""
    half, wide = rng.uniform(3.2, 5.5), rng.uniform(1.8, 3.5)
    _, leaf = _season(rng)
    ground = _ground(canvas, rng, rgb(0.5, 0.49, 0.46) * rng.uniform(0.7, 1.1))
    _pave(ground, rng, -half, half, half)
    _pavement(ground, rng, half, wide)
    if rng.random() < 0.7:
        ground.line(0, 0.14, rgb(0.88, 0.88, 0.86), (3, 9) if rng.random() < 0.7 else None, rng.uniform(0, 9))
    ground.finish(rng)
    bright = rng.uniform(0.65, 1.1)
    _houses(canvas, rng, half + wide, bright, None)
    _houses(canvas, rng, -half - wide, 1.75 - bright, None)
    _street(canvas, rng, half, leaf)
    for sign in (-1, 1):
        depth = rng.uniform(7, 16)
        for _ in range(rng.integers(0, 4)):
            _vehicle(canvas, rng, sign * (half - 1.0), depth, sign != side, lorry=0.05, lit=False)
            depth += rng.uniform(5.5, 14)
    for _ in range(rng.integers(0, 3)):
        oncoming = bool(rng.random() < 0.5)
        _vehicle(canvas, rng, (-side if oncoming else side) * 1.6, _ahead(rng, 8), oncoming)


def _street(canvas: _Canvas, rng: np.random.Generator, half: float, leaf: Picture) -> None:
    """Lamp posts and now and then a tree along a pavement."""
    step, sign = rng.uniform(16, 28), int(rng.choice((-1, 1)))
    first = rng.uniform(6, 18)
    for number in range(3):
        tall = rng.uniform(5.5, 6.5)
        _post(canvas, sign * (half + 0.5), first + number * step, tall, -sign * 1.4, rgb(1.3, 0.95, 0.5))
        if rng.random() < 0.3:
            _tree(canvas, rng, -sign * (half + 1.2), first + (number + 0.5) * step, leaf)


def _countryside(canvas: _Canvas, rng: np.random.Generator, half: float, leaf: Picture) -> None:
    """Hedges, woods or open fields with single trees."""
    for sign in (-1, 1):
        kind = rng.random()
        if kind < 0.65:
            tall = rng.uniform(1.0, 2.4) if kind < 0.4 else rng.uniform(5, 11)
            _wood(canvas, rng, sign * (half + rng.uniform(1.0, 5)), tall, leaf)
        for _ in range(rng.integers(0, 3)):
            _tree(canvas, rng, sign * (half + rng.uniform(2.5, 14)), _ahead(rng, 10), leaf)


def _lane(canvas: _Canvas, rng: np.random.Generator, side: int) -> None:
    """Narrow asphalt with at most one thin line, between hedges and fields."""
    half = rng.uniform(1.9, 3.0)
    grass, leaf = _season(rng)
    ground = _ground(canvas, rng, grass)
    _fields(ground, rng, half)
    ragged = (smooth_field(rng, ground.across.shape, (20, 2)) - 0.5) * rng.uniform(0.0, 0.4)
    ground.across += ragged
    _pave(ground, rng, -half, half, half)
    ground.across -= ragged
    if half > 2.4 and rng.random() < 0.6:
        ground.line(0, 0.1, rgb(0.85, 0.85, 0.82), (3, 9), rng.uniform(0, 9))
    if rng.random() < 0.2:
        for sign in (-1, 1):
            ground.line(sign * (half - 0.2), 0.1, rgb(0.85, 0.85, 0.82), None, 0)
    ground.finish(rng)
    _countryside(canvas, rng, half, leaf)
    for _ in range(rng.integers(0, 2)):
        oncoming = bool(rng.random() < 0.6)
        _vehicle(canvas, rng, (-side if oncoming else side) * half / 2, _ahead(rng, 9), oncoming)


def _fields(ground: _Ground, rng: np.random.Generator, half: float) -> None:
    """A field of another colour behind the verge, with furrows."""
    crop, _ = _season(rng)
    for sign in (-1, 1):
        if rng.random() < 0.6:
            low, high = sorted((sign * (half + rng.uniform(1.5, 4)), sign * 500.0))
            furrow = 0.9 + 0.1 * np.cos(ground.across * rng.uniform(2, 5)) * np.clip(0.1 / ground.wide, 0, 1)
            ground.lay(ground.strip(low, high), furrow * crop)


def _track(canvas: _Canvas, rng: np.random.Generator, side: int) -> None:
    """Two wheel tracks of earth, sand or gravel, grass between, ragged edges."""
    half = rng.uniform(1.3, 2.2)
    grass, leaf = _season(rng)
    earth = rgb(*((0.50, 0.38, 0.26), (0.58, 0.50, 0.38), (0.48, 0.45, 0.42), (0.42, 0.30, 0.21))[rng.integers(4)])
    earth = earth * rng.uniform(0.8, 1.2)
    ground = _ground(canvas, rng, grass)
    _fields(ground, rng, half)
    shape = ground.across.shape
    plain = ground.across
    ground.across = plain + (smooth_field(rng, shape, (10, 7)) - 0.5) * rng.uniform(0.3, 0.8)
    patch = 0.8 + 0.25 * smooth_field(rng, shape, (14, 10)) + 0.15 * rng.random(shape, dtype=np.float32)
    ground.lay(ground.strip(-half, half), patch * earth, road=True, catch=0.7)
    rut = _between(np.abs(np.abs(ground.across) - half * 0.55), -1, half * 0.2, np.maximum(ground.wide, 0.12))
    ground.lay(rut * rng.uniform(0.5, 0.9), patch * earth * rng.uniform(0.68, 0.85), catch=0.3)
    green = _between(ground.across, -half * 0.25, half * 0.25, np.maximum(ground.wide, 0.2))
    green = green * np.clip(smooth_field(rng, shape, (18, 3)) * 2 - rng.uniform(-0.8, 0.8), 0, 1)
    ground.lay(green * rng.uniform(0.4, 0.95), patch * grass * 0.95, catch=0.9)
    ground.across = plain
    ground.finish(rng)
    _countryside(canvas, rng, half, leaf)
    if rng.random() < 0.25:
        oncoming = bool(rng.random() < 0.5)
        _vehicle(canvas, rng, rng.uniform(-0.2, 0.2), _ahead(rng, 10), oncoming, lorry=0.05)


def _junction(canvas: _Canvas, rng: np.random.Generator, side: int) -> None:
    """A cross road ahead with a stop line or zebra stripes, in town or in the country."""
    town = rng.random() < 0.5
    half, wide = rng.uniform(2.6, 4.5), rng.uniform(1.8, 3.0)
    grass, leaf = _season(rng)
    ground = _ground(canvas, rng, rgb(0.5, 0.49, 0.46) * rng.uniform(0.7, 1.1) if town else grass)
    start = rng.uniform(7, 15)
    end = start + rng.uniform(6, 10)
    white = rgb(0.9, 0.9, 0.88)
    if not town:
        _fields(ground, rng, half)
    _pave(ground, rng, -half, half, half)
    ground.line(0, 0.14, white, (3, 6) if rng.random() < 0.6 else None, rng.uniform(0, 9))
    if town:
        _pavement(ground, rng, half, wide)
    # Rounded kerbs: the cross road is wider where it meets the road.
    corner = np.clip(half + 3.5 - np.abs(ground.across), 0, 3.5)
    mouth = np.where(np.abs(ground.across) > half, corner**2 / 7, 1.4).astype(np.float32)
    cross = _between(ground.depth, start - mouth, end + mouth, ground.long)
    ground.lay(cross, _asphalt(rng), road=True, catch=0.5)
    middle = _between(ground.depth, (start + end) / 2 - 0.09, (start + end) / 2 + 0.09, ground.long)
    ground.lay(middle * (np.abs(ground.across) > half + 1) * 0.9, white)
    if rng.random() < 0.5:
        stripes = _between(np.abs(ground.across % 1.0 - 0.5), -1, 0.25, ground.wide)
        zebra = stripes * _between(ground.depth, start - 4.2, start - 1.2, ground.long)
        ground.lay(zebra * ground.strip(0.2 - half, half - 0.2) * 0.92, white)
    else:
        low, high = sorted((0.0, side * (half - 0.15)))
        stop = _between(ground.depth, start - 2.1, start - 1.5, ground.long)
        ground.lay(stop * ground.strip(low, high) * 0.95, white)
    ground.finish(rng)
    if town:
        bright = rng.uniform(0.65, 1.1)
        gap = (start - 2.0, end + 2.0)
        _houses(canvas, rng, half + wide, bright, gap)
        _houses(canvas, rng, -half - wide, 1.75 - bright, gap)
    else:
        for sign in (-1, 1):
            for _ in range(rng.integers(0, 3)):
                _tree(canvas, rng, sign * (half + rng.uniform(4, 14)), end + rng.uniform(5, 40), leaf)
    signal = rgb(*((1.2, 0.1, 0.05), (0.1, 1.1, 0.5), (1.1, 0.7, 0.1))[rng.integers(3)])
    if rng.random() < 0.6:
        _post(canvas, side * (half + 0.6), start - 1.5, 3.2, 0.0, signal)
    for _ in range(rng.integers(0, 3)):
        oncoming = bool(rng.random() < 0.5)
        _vehicle(canvas, rng, (-side if oncoming else side) * half / 2, end + _ahead(rng, 4), oncoming)


# Painter, and the ranges of half the field's bend (radians per metre) and of the driver's place beside the centre line.
_PAINTERS = (_motorway, _city, _lane, _track, _junction)
_BENDS = (0.0015, 0.002, 0.008, 0.012, 0.002)
_PLACES = ((2.7, 3.5), (1.3, 2.2), (0.4, 1.3), (-0.3, 0.3), (1.2, 2.0))


def _scene(label: int, size: int, rng: np.random.Generator) -> _Canvas:
    """One road of the class on a clear day."""
    side = int(rng.choice((-1, 1)))
    camera = _Camera(
        size=size,
        focal=rng.uniform(1.1, 1.6),
        height=rng.uniform(1.2, 1.7) if rng.random() < 0.8 else rng.uniform(2.0, 2.6),
        horizon=rng.uniform(-0.3, 0.05),
        bend=rng.normal(0, 0.6) * _BENDS[label],
        beside=side * (rng.uniform(*_PLACES[label]) + 3.65 * (label == 0) * rng.integers(2)),
        aside=rng.uniform(-0.08, 0.08),
    )
    x, y = painting.coordinates(size)
    shape = x.shape
    canvas = _Canvas(
        camera=camera,
        x=x,
        y=y,
        picture=np.zeros((3, *shape), np.float32),
        depth=np.full(shape, SKY, np.float32),
        road=np.zeros(shape, np.float32),
        vehicles=np.zeros(shape, np.float32),
        catch=np.zeros(shape, np.float32),
        glow=np.zeros((3, *shape), np.float32),
    )
    sun = rng.uniform(0, 1) ** 2
    _sky_and_hills(canvas, rng, sun)
    _PAINTERS[label](canvas, rng, side)
    # The camera of this day: colour of the light, exposure, contrast, noise.
    tint = (1 + 0.16 * sun * rgb(1, 0.1, -1)) * rng.uniform(0.97, 1.03, (3, 1, 1)).astype(np.float32)
    canvas.picture *= tint * np.float32(rng.uniform(0.75, 1.12))
    canvas.picture += rng.standard_normal((3, *shape), dtype=np.float32) * rng.uniform(0.004, 0.02)
    return canvas


def roads(per_class: int, seed: int, size: int = 64, weather: str = "clear", severity: float = 0.6) -> World:
    """Draw road scenes from a driver's seat; the class is the kind of road.

    Picture i of a seed is the same scene in every weather and at every severity, so weathers can be compared in pairs.

    Parameters
    ----------
    per_class : int
        Pictures of each of the five `ROADS`, 1 or more.
    seed : int
        Two worlds of different seeds share no scene.
    size : int
        Side in pixels, 32 or more.
    weather : str
        One of `weather.WEATHERS`.
    severity : float
        0 (as clear) to 1, the same for all pictures. Clear days have none.

    Returns
    -------
    World
        A group is the number of the scene: a split by group keeps all weathers of a scene on one side. Truth holds
        ``mask`` and ``vehicles`` (bool, the road's free surface and all vehicles) and ``depth`` (float32, metres; the
        sky is 2000).

    Raises
    ------
    settings.UserError
        Unknown weather, severity out of range, per_class below 1 or size below 32.

    Examples
    --------
    >>> clear = roads(per_class=1, seed=0)
    >>> snow = roads(per_class=1, seed=0, weather="snow", severity=1.0)
    >>> clear.class_names
    ('motorway', 'city street', 'country lane', 'dirt track', 'junction')
    >>> bool((clear.truth["depth"] == snow.truth["depth"]).all())
    True
    """
    weathers.check(weather, severity)
    settings.require_whole(1, per_class=per_class)
    settings.require_whole(32, size=size)
    n = per_class * len(ROADS)
    labels = np.arange(n, dtype=np.int64) % len(ROADS)
    pictures = np.empty((n, size, size, 3), dtype=np.uint8)
    truth: dict[str, NDArray[np.generic]] = {
        "mask": np.empty((n, size, size), dtype=bool),
        "vehicles": np.empty((n, size, size), dtype=bool),
        "depth": np.empty((n, size, size), dtype=np.float32),
    }
    for index, label in enumerate(labels):
        canvas = _scene(int(label), size, np.random.default_rng([seed, index, _SCENE]))
        clear = (np.clip(canvas.picture, 0, 1) * 255 + 0.5).astype(np.uint8).transpose(1, 2, 0)
        surface = weathers.Surface(canvas.depth, weathers.upward(canvas.depth), canvas.catch, canvas.road, canvas.glow)
        rng = np.random.default_rng([seed, index, _WEATHER])
        pictures[index] = weathers.weathered(clear, surface, weather, severity, rng)
        truth["mask"][index] = canvas.road > 0.5
        truth["vehicles"][index] = canvas.vehicles > 0.5
        truth["depth"][index] = canvas.depth
    return World(pictures, labels, ROADS, np.arange(n, dtype=np.int64), truth)
