"""Read one archive of pictures that brings its own split: the ``.npz`` layout of MedMNIST.

Yang et al. 2023, "MedMNIST v2: a large-scale lightweight benchmark for 2D and 3D biomedical image classification":
six arrays, ``train_images``, ``train_labels``, and the same for ``val`` and ``test``.
"""

from __future__ import annotations

import warnings
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tlutils import settings
from tlutils.datasets.examples import Dataset, DoubtfulLabel, group_numbers
from tlutils.datasets.splits import Split

_SIDES = ("train", "val", "test")


def from_npz(path: str | Path) -> tuple[Dataset, Split]:
    """Read the pictures of all three sides, and which belongs to which.

    Objects inside the archive are refused: to load them would run code that came with the file.

    Parameters
    ----------
    path : str or Path
        Pictures are uint8, shape (n, height, width), grey, or (n, height, width, 3); labels are whole numbers, shape
        (n,) or (n, 1), 0 to the number of classes minus 1.

    Returns
    -------
    dataset : Dataset
        Train, validation and test in this order. The archive names no classes: they are called by their numbers.
        Groups hold exact duplicates only; it names no patients either.
    split : Split
        The publisher's, so that numbers compare with published ones.

    Raises
    ------
    settings.UserError
        No such file; no such archive; a missing array; pickled objects; another type or shape; labels that leave out a
        class or name a single one.

    Warns
    -----
    DoubtfulLabel
        If the same picture lies on two sides: then the test is easier than it looks.

    Examples
    --------
    >>> import tempfile
    >>> arrays = {f"{side}_images": np.arange(32, dtype=np.uint8).reshape(2, 4, 4) + n for n, side in enumerate(_SIDES)}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(Path(folder) / "tiny.npz", **arrays, **{f"{side}_labels": np.arange(2) for side in _SIDES})
    ...     from_npz(Path(folder) / "tiny.npz")
    (tiny: 6 real pictures, 2 classes (0: 3, 1: 3), Split(train: 2, validation: 2, test: 2 pictures))
    """
    file = Path(path).expanduser()
    arrays = _arrays(file)
    pictures = [_pictures(file.name, side, arrays[f"{side}_images"]) for side in _SIDES]
    sizes = {side: part.shape[1:3] for side, part in zip(_SIDES, pictures, strict=True)}
    if len(set(sizes.values())) > 1:
        raise settings.UserError(f"{file.name}: the pictures differ in size, {sizes}; give all sides the same.")
    labels = [
        _labels(file.name, side, arrays[f"{side}_labels"], len(part))
        for side, part in zip(_SIDES, pictures, strict=True)
    ]
    names = _class_names(file.name, labels)
    together = np.concatenate(pictures)
    groups = group_numbers([picture.tobytes() for picture in together])
    ends = np.cumsum([len(part) for part in pictures])
    sides = [np.arange(end - len(part), end, dtype=np.int64) for end, part in zip(ends, pictures, strict=True)]
    _warn_of_copies(file.name, groups, sides)
    return (
        Dataset(file.stem, together, np.concatenate(labels), names, groups, synthetic=False),
        Split(*sides),
    )


def _arrays(file: Path) -> dict[str, NDArray[np.generic]]:
    wanted = [f"{side}_{kind}" for side in _SIDES for kind in ("images", "labels")]
    advice = (
        f"Give an archive in the layout of MedMNIST, as numpy.savez writes it, with the arrays {', '.join(wanted)}: "
        "pictures as uint8, labels as whole numbers; or a folder of pictures."
    )
    if not file.is_file():
        raise settings.UserError(f"'{file}' {'is a folder' if file.is_dir() else 'does not exist'}. {advice}")
    # NumPy takes any file that it does not know for a pickle; an .npz is a zip archive, and so can be told.
    if not zipfile.is_zipfile(file):
        raise settings.UserError(f"{file.name} is damaged or no .npz archive. {advice}")
    # NumPy, zipfile and zlib raise nearly every kind of exception on damaged archives.
    try:
        with np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in wanted}
    except Exception as error:
        raise settings.UserError(f"{file.name} cannot be used: {error}. {advice}") from error


def _pictures(name: str, side: str, values: NDArray[np.generic]) -> NDArray[np.uint8]:
    grey, colour = values.ndim == 3, values.ndim == 4 and values.shape[3] == 3
    if values.dtype != np.uint8 or not (grey or colour) or 0 in values.shape:
        raise settings.UserError(
            f"{name}: {side}_images has type {values.dtype} and shape {values.shape}; pictures must be uint8 of shape "
            "(n, height, width) or (n, height, width, 3), at least one."
        )
    pictures = values.astype(np.uint8, copy=False)
    return np.repeat(pictures[..., None], 3, axis=3) if grey else pictures


def _labels(name: str, side: str, values: NDArray[np.generic], n: int) -> NDArray[np.int64]:
    flat = values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values
    if flat.shape != (n,) or not np.issubdtype(flat.dtype, np.integer) or flat.min() < 0:
        raise settings.UserError(
            f"{name}: {side}_labels has type {values.dtype} and shape {values.shape}; for {n} pictures the labels must "
            f"be whole numbers of 0 or more, shape ({n},) or ({n}, 1). Several labels per picture are not supported."
        )
    return flat.astype(np.int64)


def _class_names(name: str, labels: list[NDArray[np.int64]]) -> tuple[str, ...]:
    number = int(max(part.max() for part in labels)) + 1
    if number < 2:
        raise settings.UserError(f"{name} has one class only, 0; a classifier needs two or more.")
    for side, part in zip(_SIDES, labels, strict=True):
        absent = np.setdiff1d(np.arange(number), part)
        if absent.size:
            raise settings.UserError(
                f"{name}: no picture of class {', '.join(map(str, absent[:10]))} in {side}; every class from 0 to "
                f"{number - 1} must be on every side. Number the classes without gaps."
            )
    return tuple(str(label) for label in range(number))


def _warn_of_copies(name: str, groups: NDArray[np.int64], sides: list[NDArray[np.int64]]) -> None:
    train, validation, test = (set(groups[side].tolist()) for side in sides)
    shared = len(test & (train | validation)) + len(train & validation)
    if shared:
        warnings.warn(
            f"{name}: {shared} pictures lie on two sides of the publisher's split; scores on them are too high.",
            DoubtfulLabel,
            stacklevel=3,
        )
