"""Bring labelled pictures into one form, wherever they come from, and split them so that nothing leaks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from tlutils import settings, store
from tlutils.datasets.examples import Dataset, group_numbers
from tlutils.datasets.folders import from_folder
from tlutils.synthetic import roads, scans, shapes, sounds


def load(name: str, *, per_class: int | None = None, seed: int = 0) -> Dataset:
    """Load one of the course's datasets.

    Parameters
    ----------
    name : str
        A key of `CATALOGUE`: ``synthetic_source``, ``synthetic_flowers``, ``synthetic_ripeness``, ``synthetic_roads``
        (clear weather), ``synthetic_scans`` (one slice of each patient, as many benign as malignant) and
        ``synthetic_sounds`` (spectrograms), all 64x64 and drawn on the spot; ``digits`` (8x8, scikit-learn's real
        handwritten digits); ``flower_photos`` (3,670 real photographs, a download of 229 MB) and
        ``colorectal_histology`` (5,000 microscope tiles, 150x150, grouped by slide, a download of 258 MB).
    per_class : int, optional
        Pictures of each class. Default: 25 of each synthetic source class, 100 of each other synthetic class, all of a
        real dataset.
    seed : int
        Draws the synthetic pictures, or chooses `per_class` of the real ones.

    Returns
    -------
    Dataset

    Raises
    ------
    settings.UserError
        Unknown name; `per_class` below 1 or larger than the smallest class; a download that fails.

    Examples
    --------
    >>> load("digits", per_class=20)
    digits: 200 real pictures, 10 classes (0: 20, 1: 20, 2: 20, 3: 20, 4: 20, 5: 20, 6: 20, 7: 20, 8: 20, 9: 20)
    """
    if name not in CATALOGUE:
        raise settings.UserError(
            f"dataset {name!r} is unknown; choose one of {', '.join(CATALOGUE)}, "
            "or give data_dir, a folder of your own pictures."
        )
    if per_class is not None:
        settings.require_whole(1, per_class=per_class)
    return CATALOGUE[name](per_class, seed)


def _synthetic(name: str, draw: Callable[[int, int], shapes.World], default: int) -> Callable[..., Dataset]:
    def build(per_class: int | None, seed: int) -> Dataset:
        world = draw(default if per_class is None else per_class, seed)
        return Dataset(name, world.pictures, world.labels, world.class_names, world.groups, True, dict(world.truth))

    return build


def _scans(per_class: int, seed: int) -> shapes.World:
    return scans.scans(2 * per_class, seed, prevalence=0.5, slices=1)


def _digits(per_class: int | None, seed: int) -> Dataset:
    """Alpaydin & Kaynak's handwritten digits as scikit-learn carries them: 1,797 pictures, grey values 0 to 16."""
    from sklearn.datasets import load_digits

    bundle = load_digits()
    grey = np.round(bundle.images * (255 / 16)).astype(np.uint8)
    pictures = np.repeat(grey[..., None], 3, axis=3)
    groups = group_numbers([picture.tobytes() for picture in grey])
    names = tuple(str(digit) for digit in bundle.target_names)
    return _some_of(Dataset("digits", pictures, bundle.target.astype(np.int64), names, groups, False), per_class, seed)


def _archive(name: str, top: str, groups: str | None = None) -> Callable[..., Dataset]:
    """Read a fetched archive of class folders, which holds one folder, `top`."""

    def build(per_class: int | None, seed: int) -> Dataset:
        folder = settings.cache_dir() / name
        store.extract(store.fetch(name), folder)
        return _some_of(replace(from_folder(folder / top, groups=groups), name=name), per_class, seed)

    return build


CATALOGUE: dict[str, Callable[[int | None, int], Dataset]] = {
    "synthetic_source": _synthetic("synthetic_source", shapes.source_shapes, 25),
    "synthetic_flowers": _synthetic("synthetic_flowers", shapes.flowers, 100),
    "synthetic_ripeness": _synthetic("synthetic_ripeness", shapes.ripeness, 100),
    "synthetic_roads": _synthetic("synthetic_roads", roads.roads, 100),
    "synthetic_scans": _synthetic("synthetic_scans", _scans, 100),
    "synthetic_sounds": _synthetic("synthetic_sounds", sounds.sounds, 100),
    "digits": _digits,
    "flower_photos": _archive("flower_photos", "flower_photos"),
    # Kather et al. 2016, Multi-class texture analysis in colorectal cancer histology; tiles of a slide are a group.
    "colorectal_histology": _archive(
        "colorectal_histology", "Kather_texture_2016_image_tiles_5000", groups=r"(CRC-Prim-HE-\d+)"
    ),
}


def _some_of(dataset: Dataset, per_class: int | None, seed: int) -> Dataset:
    """Choose `per_class` pictures of every class at random, in their old order."""
    if per_class is None:
        return dataset
    smallest = int(dataset.counts.argmin())
    if per_class > dataset.counts[smallest]:
        raise settings.UserError(
            f"per_class={per_class} is too many: {dataset.name} has {dataset.counts[smallest]} pictures of "
            f"{dataset.class_names[smallest]!r}. Give {dataset.counts[smallest]} or less, or None for all pictures."
        )
    rng = np.random.default_rng(seed)
    chosen = [rng.permutation(np.flatnonzero(dataset.labels == label)) for label in range(len(dataset.class_names))]
    return dataset.subset(np.sort(np.concatenate([indices[:per_class] for indices in chosen])))
