"""Draw synthetic head scans of many patients, some with a tumour, and know which, where and why.

No scan of this module comes from a person. It is a phantom: skull, folded grey matter, white matter and ventricles in
grey values that resemble a T1-weighted magnetic resonance picture, made to teach the statistics of a screening study
(few positives, several slices per patient, shortcuts) on a truth that is known exactly.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from tlutils import settings
from tlutils.synthetic import painting
from tlutils.synthetic.painting import Plane
from tlutils.synthetic.shapes import World

FINDINGS = ("benign", "malignant")

# Half pictures from the middle of a head to its crown; the brain's edge and the farthest edge of a finding in heads.
_HEAD, _BRAIN, _REACH = 0.84, 0.84, 0.8
# Share of the benign patients who have a harmless spot.
_SPOTS = 0.5
# How far a finding replaces the tissue it lies in, 0 to 1, and its typical diameter, as a share of the picture's side.
_CONTRAST, _DIAMETER = 0.6, 0.2
# A burnt-in side marker, as clinics put it on their pictures: the letter R.
_GLYPH = np.array([[bit == "1" for bit in row] for row in "110 101 110 101 101".split()])


def scans(
    patients: int,
    seed: int,
    size: int = 64,
    *,
    prevalence: float = 0.1,
    slices: int = 4,
    marker: float = 0.0,
    outline_only: bool = False,
) -> World:
    """Draw synthetic head scans, several slices per patient, labelled benign or malignant.

    The patient is benign or malignant, not the slice. Every slice of a malignant patient cuts one tumour: lobed, with
    spicules, mottled. Half of the benign patients have one round, smooth, even spot, equally bright, large and often
    placed; the others have no finding. Slices of one patient share the anatomy, the finding and the scanner's coil, so
    a split by pictures leaks.

    Each patient has random streams of its own: patient i has the same head however many are drawn, and each dial moves
    only what it names. A higher prevalence makes more patients ill and keeps the ill ones.

    Parameters
    ----------
    patients : int
        1 or more.
    seed : int
        0 or more. Two worlds of different seeds share no patient.
    size : int
        Side in pixels, 32 or more.
    prevalence : float
        Share of malignant patients, above 0, up to 1: exactly ``round(prevalence * patients)`` of them, at least one.
    slices : int
        Slices per patient, 1 or more; all of them cut the finding.
    marker : float
        0: nobody has a corner marker. Above 0, up to 1: the probability that the marker agrees with the label, that is
        a malignant patient has it with this probability, a benign one with ``1 - marker``; 1 gives the label away, 0.5
        says nothing, 0.05 almost always misleads. All slices of a patient have the marker, or none.
    outline_only : bool
        True: every benign patient has a spot, and a tumour is as even as a spot. Then only the outline tells them
        apart; place, area and grey value of the finding follow one distribution.

    Returns
    -------
    World
        Slices of a patient lie together. Pictures are grey: three equal channels. Groups are the patients' numbers.
        Truth holds ``mask``, the finding's pixels (bool, shape (n, size, size), empty where there is none) and
        ``marker`` (bool, shape (n,)): a letter R in the left upper corner, inside the first ``size // 5`` rows and
        columns and beside every head.

    Raises
    ------
    settings.UserError
        A value outside its range.

    Examples
    --------
    >>> world = scans(patients=10, seed=0, slices=2, size=32)
    >>> world.pictures.shape, world.class_names
    ((20, 32, 32, 3), ('benign', 'malignant'))
    >>> int(world.labels.sum()), world.groups[:6].tolist()
    (2, [0, 0, 1, 1, 2, 2])
    """
    settings.require_whole(1, patients=patients, slices=slices)
    settings.require_whole(0, seed=seed)
    settings.require_whole(32, size=size)
    if not 0 < prevalence <= 1:
        raise settings.UserError(f"prevalence={prevalence!r} is out of range; give a number above 0, up to 1.")
    if not 0 <= marker <= 1:
        raise settings.UserError(f"marker={marker!r} is out of range; give a number from 0 to 1.")

    streams = [[np.random.default_rng([seed, patient, use]) for use in range(5)] for patient in range(patients)]
    # The ill are those with the lowest lots, so that a patient's lot depends on nobody else.
    lots = np.array([clinic.random(2) for *_, clinic in streams])
    malignant = np.zeros(patients, dtype=np.int64)
    malignant[np.argsort(lots[:, 0], kind="stable")[: max(1, round(prevalence * patients))]] = 1
    marked = lots[:, 1] < np.where(malignant == 1, marker, 1 - marker if marker > 0 else 0)

    x, y = painting.coordinates(size)
    pictures = np.empty((patients, slices, size, size), dtype=np.uint8)
    masks = np.empty((patients, slices, size, size), dtype=bool)
    for patient, (head, motion, finding, scanner, _) in enumerate(streams):
        u, v, z = _pose(x, y, slices, head, motion)
        tissue, brain = _head(u, v, z, size, head)
        share, value = _finding(u, v, z, bool(malignant[patient]), size, finding, outline_only)
        share = share * brain
        signal = _acquire(tissue + _CONTRAST * share * (value - tissue), x, y, scanner)
        pictures[patient] = np.clip(signal, 0, 1) * 255 + 0.5
        masks[patient] = share > 0.5
    pictures[marked] = np.where(_marker(size), 235, pictures[marked])
    grey = pictures.reshape(-1, size, size, 1)
    return World(
        np.repeat(grey, 3, axis=3),
        np.repeat(malignant, slices),
        FINDINGS,
        np.repeat(np.arange(patients, dtype=np.int64), slices),
        {"mask": masks.reshape(-1, size, size), "marker": np.repeat(marked, slices)},
    )


def _pose(
    x: Plane, y: Plane, slices: int, head: np.random.Generator, motion: np.random.Generator
) -> tuple[Plane, Plane, Plane]:
    """Each slice's pixels in head radii to the right and to the back, and its height, all float32.

    Heights, shape (slices, 1, 1), run evenly through the middle two thirds of a finding, -1 to 1 being its ends. The
    person moves a little between slices.
    """
    height = np.linspace(-0.65, 0.65, 2 * slices + 1)[1::2] + motion.uniform(-0.1, 0.1, slices)
    z = height.astype(np.float32)[:, None, None]
    turn, right, down = (
        (head.uniform(-most, most) + motion.normal(0, tremor, (slices, 1, 1))).astype(np.float32)
        for most, tremor in ((0.2, 0.025), (0.05, 0.012), (0.04, 0.012))
    )
    # A head is smaller towards the crown.
    scale = _HEAD * head.uniform(0.93, 1.05) * (1 - 0.04 * z)
    u = (np.cos(turn) * (x - right) + np.sin(turn) * (y - down)) / scale
    v = (np.cos(turn) * (y - down) - np.sin(turn) * (x - right)) / scale
    return u, v, z


def _ellipse(u: Plane, v: Plane, width: float, height: float, turn: float) -> Plane:
    """Roughly the distance to the edge of an ellipse at the origin, positive inside; `turn` in radians."""
    along, across = math.cos(turn) * u + math.sin(turn) * v, math.cos(turn) * v - math.sin(turn) * u
    return (1 - np.hypot(along / width, across / height)) * min(width, height)


def _inside(distance: Plane, size: int) -> Plane:
    """Anti-aliased coverage of a shape, `distance` in head radii."""
    return painting.cover(distance * _HEAD, size)


def _head(u: Plane, v: Plane, z: Plane, size: int, rng: np.random.Generator) -> tuple[Plane, Plane]:
    """Tissue of one patient's slices and the part of it that is brain, both 0 to 1, shape (slices, size, size)."""
    phases = rng.uniform(0, 2 * np.pi, size=8)
    # Nobody's halves are mirror images.
    u, v = u / rng.uniform(0.8, 0.92) + 0.03 * np.sin(3 * v + phases[0]), v + 0.03 * np.sin(3 * u + phases[1])
    angle = np.arctan2(u, -v)
    radius = np.hypot(u, v) / (1 + 0.025 * np.cos(2 * angle + phases[2]) + 0.015 * np.cos(3 * angle + phases[3]))
    depth = _BRAIN - radius

    # Sulci: lines that wind inwards from the surface, each to a depth of its own; grey matter coats them all.
    count = int(rng.integers(8, 12))
    winding = count * angle + 1.1 * np.sin(6 * u + phases[4] + 1.5 * z) + 1.1 * np.sin(6 * v + phases[5] - 1.5 * z)
    reach = 0.18 + 0.12 * np.cos(int(rng.integers(5, 8)) * angle + phases[6] + 2 * z)
    to_sulcus = np.hypot(np.sin(winding) * radius / count, np.maximum(0, depth - reach))
    to_fissure = np.hypot(u + 0.015 * np.sin(9 * v + phases[7]), np.maximum(0, rng.uniform(0.36, 0.44) - np.abs(v)))
    to_fluid = np.minimum(np.minimum(depth, to_sulcus), to_fissure)

    # Ventricles: a front and a back horn on either side, the slit of the third between; wider in some people.
    side, wide = np.abs(u), rng.uniform(0.8, 1.3) * (1 - 0.3 * z)
    ventricles = np.maximum(
        _ellipse(side / wide - 0.12, v + 0.2, 0.055, 0.2, 0.4), _ellipse(u, v - 0.04, 0.025, 0.12, 0)
    )
    ventricles = np.maximum(ventricles, _ellipse(side / wide - 0.18, v - 0.25, 0.055, 0.2, -0.45))
    nuclei = np.maximum(
        _ellipse(side - 0.17, v - 0.04, 0.09, 0.12, 0.3), _ellipse(side - 0.32, v + 0.06, 0.06, 0.2, 0.2)
    )

    fluid, grey, white = rng.uniform(0.08, 0.16), rng.uniform(0.36, 0.44), rng.uniform(0.56, 0.66)
    tissue = grey + (white - grey) * _inside(to_fluid - rng.uniform(0.055, 0.08), size)
    tissue += 0.7 * _inside(nuclei, size) * (grey - tissue)
    tissue *= 0.93 + 0.14 * painting.clouds(u, v + 0.3 * z, rng, waves=10, finest=26)
    tissue += (fluid - tissue) * np.maximum(_inside(ventricles, size), 1 - _inside(to_fluid - 0.016, size))
    shell = rng.uniform(0.55, 0.8) * _inside(1 - radius, size)
    shell += (rng.uniform(0.04, 0.1) - shell) * _inside(rng.uniform(0.92, 0.95) - radius, size)
    brain = _inside(depth, size)
    return shell + brain * (tissue - shell), brain


def _finding(
    u: Plane, v: Plane, z: Plane, malignant: bool, size: int, rng: np.random.Generator, outline_only: bool
) -> tuple[Plane, Plane]:
    """How much of every pixel is finding, 0 to 1, and its grey values, both of shape (slices, size, size).

    Place, size and brightness are drawn before anything that depends on the kind, so that they cannot tell it.
    """
    lot, value = rng.random(), rng.uniform(0.85, 1.1)
    radius = _DIAMETER / _HEAD * math.exp(rng.uniform(-0.25, 0.25))
    away = math.sqrt(rng.uniform(0.06, 1)) * max(0.0, _REACH - 1.2 * radius)
    direction = rng.uniform(0, 2 * np.pi)
    if not malignant and lot > _SPOTS and not outline_only:
        return np.zeros_like(u), np.zeros_like(u)
    # Heads are narrower than long.
    u, v = (u - 0.85 * away * math.cos(direction)) / radius, (v - away * math.sin(direction)) / radius
    # A slice above or below its middle cuts a ball in a smaller circle.
    cut = np.sqrt(1 - z**2)
    if not malignant:
        turn, squeeze = rng.uniform(0, np.pi), rng.uniform(0.88, 1)
        return _inside((_ellipse(u, v, squeeze, 1 / squeeze, turn) + cut - 1) * radius, size), np.full_like(u, value)
    edge = _ragged(np.arctan2(v, u) + 0.4 * z, rng)
    share = _inside((cut * edge - np.hypot(u, v)) * radius, size)
    if outline_only:
        return share, np.full_like(u, value)
    # Dead core, mottled flesh.
    core_u, core_v = rng.uniform(-0.35, 0.35, size=2)
    core = np.exp(-4 * ((u - core_u) ** 2 + (v - core_v) ** 2))
    return share, value * (1.5 - 0.6 * core - 0.7 * painting.clouds(u, v + z, rng, waves=8, finest=7))


def _ragged(angle: Plane, rng: np.random.Generator) -> Plane:
    """Radius of a tumour's outline at `angle` (radians): lobes from low harmonics, spicules from narrow rays.

    Its area is that of a disc of radius 1: size must not tell what shape should.
    """
    around = np.linspace(0, 2 * np.pi, 361)
    edge = np.ones_like(around)
    for harmonic in range(2, 7):
        edge += rng.uniform(0.1, 0.5) / harmonic * np.cos(harmonic * around + rng.uniform(0, 2 * np.pi))
    rays = int(rng.integers(5, 9))
    for ray in range(rays):
        towards = 2 * np.pi * (ray + rng.uniform(-0.3, 0.3)) / rays
        edge += rng.uniform(0.6, 1.2) * np.exp(12 * (np.cos(around - towards) - 1))
    edge = np.maximum(edge, 0.3)
    edge /= np.sqrt(np.mean(edge[:-1] ** 2))
    return np.interp(angle % (2 * np.pi), around, edge).astype(np.float32)


def _acquire(tissue: Plane, x: Plane, y: Plane, rng: np.random.Generator) -> Plane:
    """What a scanner adds: uneven coils, gain, and noise in both channels of a complex signal.

    The magnitude of a signal with Gaussian noise in its real and imaginary part follows the Rice distribution
    (Gudbjartsson & Patz 1995, "The Rician distribution of noisy MRI data", eq. 1): dark parts are lifted.
    """
    direction, slope, bowl = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.25), rng.uniform(-0.2, 0.2)
    coil = 1 + slope * (math.cos(direction) * x + math.sin(direction) * y) + bowl * (x**2 + y**2 - 0.3)
    signal = tissue * coil * rng.uniform(0.8, 1.0)
    real, imaginary = rng.uniform(0.02, 0.06) * rng.standard_normal((2, *tissue.shape), dtype=np.float32)
    return np.hypot(signal + real, imaginary)


def _marker(size: int) -> NDArray[np.bool_]:
    """Where the marker is white, shape (size, size): whole pixels, so that it is as sharp as burnt-in text."""
    step = size // 32
    glyph = _GLYPH.repeat(step, 0).repeat(step, 1)
    pixels = np.zeros((size, size), dtype=bool)
    pixels[1 : 1 + len(glyph), 1 : 1 + glyph.shape[1]] = glyph
    return pixels
