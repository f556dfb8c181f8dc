"""Read one archive of pictures that brings its own split: the ``.npz`` layout of MedMNIST.

Yang et al. 2023, "MedMNIST v2: a large-scale lightweight benchmark for 2D and 3D biomedical image classification":
six arrays, ``train_images``, ``train_labels``, and the same for ``val`` and ``test``.
"""

from __future__ import annotations

import difflib
import re
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlutils import settings
from tlutils.datasets import table_kinds
from tlutils.datasets.examples import Dataset, DoubtfulLabel, group_numbers
from tlutils.datasets.splits import Split

_SIDES = ("train", "val", "test")
# What others call the arrays and sides of MedMNIST.
_SYNONYMS = {
    **dict.fromkeys(("x", "image", "img", "imgs", "data", "pictures"), "images"),
    **dict.fromkeys(("y", "label", "target", "targets"), "labels"),
    **dict.fromkeys(("valid", "validation", "dev"), "val"),
}


def from_npz(path: str | Path) -> tuple[Dataset, Split]:
    """Read the pictures of all three sides, and which belongs to which.

    Objects inside the archive are refused: to load them would run code that came with the file.

    Parameters
    ----------
    path : str or Path
        Pictures have shape (n, height, width) or (n, height, width, 1), grey, or (n, height, width, 3), colour; the
        channels may also come before the height. They are 0 to 255, whole or not, or fractions from 0 to 1, or truth
        values. Labels are whole numbers of 0 or more in any type, or names, shape (n,) or (n, 1), or have one column
        for each class with a single 1 in each row.

    Returns
    -------
    dataset : Dataset
        Train, validation and test in this order. Classes are called by the numbers or names in the archive.
        Groups hold exact duplicates only; it names no patients.
    split : Split
        The publisher's, so that numbers compare with published ones.

    Raises
    ------
    settings.UserError
        No such file; no such archive; a missing array; pickled objects; volumes, other channels or brightness of
        unclear meaning; labels that are several per picture, fractions or missing, that leave a class out on a side or
        name a single one.

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
    pictures = _pictures(file.name, {f"{side}_images": arrays[f"{side}_images"] for side in _SIDES})
    labels, names = _labels(
        file.name,
        {f"{side}_labels": (arrays[f"{side}_labels"], len(part)) for side, part in zip(_SIDES, pictures, strict=True)},
    )
    together = np.concatenate(pictures)
    groups = group_numbers([picture.tobytes() for picture in together])
    ends = np.cumsum([len(part) for part in pictures])
    sides = [np.arange(end - len(part), end, dtype=np.int64) for end, part in zip(ends, pictures, strict=True)]
    _warn_of_copies(file.name, groups, sides)
    return (
        Dataset(file.stem, together, labels, names, groups, synthetic=False),
        Split(*sides),
    )


def _arrays(file: Path) -> dict[str, NDArray[Any]]:
    wanted = [f"{side}_{kind}" for side in _SIDES for kind in ("images", "labels")]
    advice = (
        f"Give an archive in the layout of MedMNIST, as numpy.savez writes it, with the arrays {', '.join(wanted)}: "
        "pictures as uint8, labels as whole numbers; or a folder of pictures."
    )
    if not file.is_file():
        raise settings.UserError(f"'{file}' {'is a folder' if file.is_dir() else 'does not exist'}. {advice}")
    # NumPy takes any file that it does not know for a pickle; an .npz is a zip archive, and so can be told.
    if not zipfile.is_zipfile(file):
        with file.open("rb") as opened:
            told = table_kinds.told(file, opened.read(4096))
        raise settings.UserError(f"{told or f'{file.name} is damaged or no .npz archive.'} {advice}")
    # NumPy, zipfile and zlib raise nearly every kind of exception on damaged archives.
    name = ""
    try:
        with np.load(file, allow_pickle=False) as archive:
            missing = [one for one in wanted if one not in archive.files]
            if missing:
                others = sorted(set(archive.files) - set(wanted))
                raise settings.UserError(f"{file.name} has {_missing(missing, others)} {advice}")
            arrays = {}
            for name in wanted:
                arrays[name] = archive[name]
    except settings.UserError:
        raise
    except Exception as error:
        if "allow_pickle" in str(error):
            raise settings.UserError(
                f"{file.name}: {name} holds Python objects, which may run code when they are loaded, so it stays "
                f"closed. Ask whoever made the archive to save plain numbers or names: numpy.savez(..., "
                f"{name}=numpy.array({name}.tolist()))"
            ) from None
        raise settings.UserError(f"{file.name} cannot be used: {error}. {advice}") from error
    bytes_only = [name for name, array in arrays.items() if not isinstance(array, np.ndarray)]
    if bytes_only:
        raise settings.UserError(
            f"{file.name}: {', '.join(bytes_only)} are files of another kind, not arrays. {advice}"
        )
    return arrays


def _missing(missing: list[str], others: list[str]) -> str:
    """Say which arrays are not there, what else is, and which of those may be meant."""
    near = {name: _near(name, others) for name in missing}
    # One array that looks like those of several sides is not divided into sides.
    way_out = ""
    if {"val_images", "val_labels"} <= set(missing) and not (near["val_images"] or near["val_labels"]):
        way_out = (
            " A validation side is a part that is taken out of train, such as every fifth picture: val_images is then "
            "images[::5], train_images numpy.delete(images, slice(None, None, 5), 0), and the labels likewise."
        )
    meant = [f"{other!r} for {name!r}" for name, other in near.items() if other and [*near.values()].count(other) == 1]
    return (
        f"no array {', '.join(map(repr, missing))}; others in it: {settings.listed([*map(repr, others)]) or 'none'}."
        + (f" Perhaps {', '.join(meant)} is meant: save it again under that name." if meant else "")
        + way_out
    )


def _near(name: str, others: list[str]) -> str:
    """The one of the other names that has the same words, such as x_train for train_images, or is spelt alike."""
    for other in others:
        words = {_SYNONYMS.get(word, word) for word in re.findall("[a-z]+", other.lower())}
        if words == set(name.split("_")):
            return other
    return next(iter(difflib.get_close_matches(name, others, n=1)), "")


def _pictures(name: str, sides: dict[str, NDArray[Any]]) -> list[NDArray[np.uint8]]:
    """Bring the pictures of all sides to shape (n, height, width, 3), 0 to 255, every side in the same way."""
    formed = {side: _with_channels(f"{name}: {side}", values) for side, values in sides.items()}
    sizes = {side: part.shape[1:3] for side, part in formed.items()}
    if len(set(sizes.values())) > 1:
        raise settings.UserError(f"{name}: the pictures differ in size, {sizes}; give all sides the same.")
    return [np.repeat(part, 3, axis=3) if part.shape[3] == 1 else part for part in _scaled(name, formed)]


def _with_channels(what: str, values: NDArray[Any]) -> NDArray[Any]:
    """Return a view of shape (n, height, width, 1 or 3)."""
    shape = values.shape
    if values.ndim == 3 and 0 not in shape:
        return values[..., None]
    if values.ndim == 4 and 0 not in shape:
        if shape[3] in (1, 3):
            return values
        # Channels first, as PyTorch keeps them. Nobody's pictures are one or three pixels high.
        if shape[1] in (1, 3):
            return np.moveaxis(values, 1, 3)
    way_out = "give pictures of shape (n, height, width), grey, or (n, height, width, 3), at least one"
    few = min(shape[1:], default=0)
    if values.ndim == 2 and round(shape[1] ** 0.5) ** 2 == shape[1] > 1:
        way_out = (
            f"if these are rows of pixels, give images.reshape(-1, {round(shape[1] ** 0.5)}, {round(shape[1] ** 0.5)})"
        )
    elif values.ndim == 4 and 0 not in shape and few <= 16 and few in (shape[1], shape[3]):
        first = "images[..., 0]" if shape[3] == few else "images[:, 0]"
        way_out = f"{few} channels or slices have no agreed colours: choose one, such as {first}, or three"
    elif values.ndim == 5 or (values.ndim == 4 and few > 16):
        middle = f"images[:, {shape[1] // 2}]"
        way_out = f"volumes and films are not supported: choose a picture of each, such as the middle one, {middle}"
    raise settings.UserError(f"{what} has type {values.dtype} and shape {shape}: {way_out}.")


def _scaled(name: str, sides: dict[str, NDArray[Any]]) -> list[NDArray[np.uint8]]:
    """Bring values to 0 to 255, in the way that the range of all sides together tells."""
    parts = list(sides.values())
    types = {str(part.dtype) for part in parts}
    if len(types) > 1 or parts[0].dtype.kind not in "buif":
        told = ", ".join(f"{side} has type {part.dtype}" for side, part in sides.items())
        raise settings.UserError(f"{name}: {told}; pictures must be numbers of one type on all sides, best uint8.")
    if parts[0].dtype == np.bool_:
        return [part.astype(np.uint8) * np.uint8(255) for part in parts]
    unknown = sum(int(np.count_nonzero(~np.isfinite(part))) for part in parts)
    if unknown:
        raise settings.UserError(
            f"{name}: {unknown} pixels are not finite (NaN or infinite). Replace them, for example with "
            "numpy.nan_to_num, and save the archive again."
        )
    low, high = float(min(part.min() for part in parts)), float(max(part.max() for part in parts))
    fractions = parts[0].dtype.kind == "f"
    if fractions and low >= 0 and 0 < high <= 1:
        return [np.round(part * 255.0).astype(np.uint8) for part in parts]
    dark = [side for side, part in sides.items() if part.max() <= 1]
    # Fractions a little above 1 may be resized pictures of range 0 to 1, or dark ones of range 0 to 255.
    if low >= 0 and high <= 255 and high > (32 if fractions else 1) and not dark:
        return [part if part.dtype == np.uint8 else np.round(part).astype(np.uint8) for part in parts]
    only = f", and {', '.join(dark)} at most 1" if high > 1 and dark else ""
    raise settings.UserError(
        f"{name}: pixels of type {types.pop()} from {low:g} to {high:g}{only}, which is neither 0 to 255 nor fractions "
        "from 0 to 1 throughout. Scale the pictures of all sides alike, by the lowest and highest value of all, and "
        f"save them as uint8: ((images - {low:g}) * (255 / {high - low or 1:g})).round().astype('uint8')"
    )


def _labels(name: str, sides: dict[str, tuple[NDArray[Any], int]]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Number the classes of all sides together, in the order of their numbers or names."""
    columns = {side: _single(f"{name}: {side}", values, n) for side, (values, n) in sides.items()}
    values, labels = np.unique(np.concatenate([*columns.values()]), return_inverse=True)
    names = tuple(map(str, values))
    if len(names) < 2:
        raise settings.UserError(f"{name} has one class only, {names[0]}; a classifier needs two or more.")
    for side, column in columns.items():
        absent = np.setdiff1d(values, column)
        if absent.size:
            raise settings.UserError(
                f"{name}: no picture of class {settings.listed([*map(str, absent)])} in {side}; each of the "
                f"{len(names)} classes must be on every side. Add such pictures, or take the class out everywhere."
            )
    return labels.astype(np.int64), names


def _single(what: str, values: NDArray[Any], n: int) -> NDArray[Any]:
    """One whole number or name for each of the n pictures, shape (n,)."""
    told = f"{what} has type {values.dtype} and shape {values.shape}"
    if values.dtype.kind not in "biufUS":
        raise settings.UserError(f"{told}; give whole numbers, or names.")
    if values.size != n and values.shape[:1] != (n,):
        raise settings.UserError(f"{told} for {n} pictures; give one label for each picture, in the same order.")
    unknown = 0 if values.dtype.kind in "US" else int(np.count_nonzero(~np.isfinite(values)))
    if unknown:
        raise settings.UserError(f"{told}; {unknown} are not finite (NaN or infinite). Leave those pictures out.")
    if values.size != n:
        one_hot = values.ndim == 2 and np.isin(values, (0, 1)).all() and (values.sum(axis=1) == 1).all()
        if values.dtype.kind in "US" or not one_hot:
            raise settings.UserError(
                f"{told}. Several labels per picture are not supported: choose one of them, shape ({n},) or ({n}, 1), "
                "or give one column for each class with a single 1 in each row."
            )
        return values.argmax(axis=1)
    flat = values.reshape(-1)
    if values.dtype.kind in "US":
        return np.char.strip(flat.astype(str))
    if (flat % 1 != 0).any() or flat.min() < 0:
        raise settings.UserError(
            f"{told}, from {flat.min():g} to {flat.max():g}; labels must be whole numbers of 0 or more. Make classes "
            "of a quantity, such as low and high; leave pictures without a label out."
        )
    return flat.astype(np.int64)


def _warn_of_copies(name: str, groups: NDArray[np.int64], sides: list[NDArray[np.int64]]) -> None:
    train, validation, test = (set(groups[side].tolist()) for side in sides)
    shared = len(test & (train | validation)) + len(train & validation)
    if shared:
        warnings.warn(
            f"{name}: {shared} pictures lie on two sides of the publisher's split; scores on them are too high.",
            DoubtfulLabel,
            stacklevel=3,
        )
