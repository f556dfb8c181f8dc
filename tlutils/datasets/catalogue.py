"""Bring labelled pictures into one form, wherever they come from, and split them so that nothing leaks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from tlutils import settings, store
from tlutils.datasets.examples import Dataset, group_numbers
from tlutils.datasets.folders import from_folder
from tlutils.synthetic import roads, scans, shapes, sounds


@dataclass(frozen=True)
class Source:
    """How a data set is had, and what it is.

    Attributes
    ----------
    build : callable
        Of pictures per class, or None, and seed.
    description : str
        What the pictures show; of a download, what the store says of it.
    image_size : str
        As stored, in pixels.
    licence : str
    origin : str
        Where it comes from, in words.
    """

    build: Callable[[int | None, int], Dataset]
    description: str
    image_size: str
    licence: str
    origin: str


def load(name: str, *, per_class: int | None = None, seed: int = 0) -> Dataset:
    """Load one of the course's datasets.

    Parameters
    ----------
    name : str
        A key of `CATALOGUE`, which describes each; ``tlutils list`` shows it. The synthetic ones are drawn on the spot,
        ``digits`` comes with scikit-learn, the others are downloads.
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
    return CATALOGUE[name].build(per_class, seed)


def _synthetic(name: str, draw: Callable[[int, int], shapes.World], default: int, description: str) -> Source:
    def build(per_class: int | None, seed: int) -> Dataset:
        world = draw(default if per_class is None else per_class, seed)
        return Dataset(name, world.pictures, world.labels, world.class_names, world.groups, True, dict(world.truth))

    size = f"{shapes.SIZE}x{shapes.SIZE}"
    return Source(build, description, size, "Apache-2.0", "drawn on the spot")


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


def _archive(name: str, top: str, image_size: str, groups: str | None = None) -> Source:
    """Read a fetched archive of class folders, which holds one folder, `top`."""

    def build(per_class: int | None, seed: int) -> Dataset:
        folder = settings.cache_dir() / name
        store.extract(store.fetch(name), folder)
        return _some_of(replace(from_folder(folder / top, groups=groups), name=name), per_class, seed)

    file = store.FILES[name]
    return Source(build, file.description, image_size, file.licence, file.source)


CATALOGUE: dict[str, Source] = {
    "synthetic_source": _synthetic("synthetic_source", shapes.source_shapes, 25, "ten outlines times six textures"),
    "synthetic_flowers": _synthetic("synthetic_flowers", shapes.flowers, 100, "drawn flowers of five kinds"),
    "synthetic_ripeness": _synthetic("synthetic_ripeness", shapes.ripeness, 100, "drawn fruit, told apart by colour"),
    "synthetic_roads": _synthetic("synthetic_roads", roads.roads, 100, "drawn roads in clear weather"),
    "synthetic_scans": _synthetic(
        "synthetic_scans", _scans, 100, "drawn scans, one slice of each patient, as many benign as malignant"
    ),
    "synthetic_sounds": _synthetic("synthetic_sounds", sounds.sounds, 100, "spectrograms of computed sounds"),
    # Alpaydin & Kaynak 1998, Optical Recognition of Handwritten Digits, UCI repository.
    "digits": Source(_digits, "handwritten digits", "8x8", "CC BY 4.0", "comes with scikit-learn"),
    "flower_photos": _archive("flower_photos", "flower_photos", "many sizes"),
    # Kather et al. 2016, Multi-class texture analysis in colorectal cancer histology; tiles of a slide are a group.
    "colorectal_histology": _archive(
        "colorectal_histology", "Kather_texture_2016_image_tiles_5000", "150x150", groups=r"(CRC-Prim-HE-\d+)"
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
