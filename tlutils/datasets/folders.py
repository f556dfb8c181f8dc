"""Read pictures from folders: one sub-folder for each class, or one for each domain and in it one for each class."""

from __future__ import annotations

import re
import unicodedata
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tlutils import settings
from tlutils.datasets import picture_files
from tlutils.datasets.examples import Dataset, DoubtfulLabel, contradictions, group_numbers
from tlutils.datasets.picture_files import PictureFiles, is_picture

# Side of a folder's pictures until `Dataset.resized` asks for another.
FOLDER_IMAGE_SIZE = 64
_ADVICE = "Give a folder that has one sub-folder of pictures per class, named like the class."


class UnreadablePicture(UserWarning):
    """A picture, or a whole class, was left out because it cannot be read."""


def from_folder(path: str | Path, *, groups: str | None = None) -> Dataset:
    """Read your own pictures: a folder with one sub-folder per class, named like the class.

    Every file is decoded once, to find those that cannot be read and those that show the same pixels; the pictures
    themselves stay on disk. Files with a suffix that pictures do not have, hidden files and folders, and files beside
    the class folders are passed over.

    Parameters
    ----------
    path : str or Path
    groups : str, optional
        A regular expression, looked for in each file name. What its first pair of parentheses catches names the group:
        the patient, the day, the film. Pictures of one group never part in a split, also across classes.

    Returns
    -------
    Dataset
        Classes in the order of their names, files in the order of theirs. Duplicates are kept, in one group.

    Raises
    ------
    settings.UserError
        No such folder; no class folders; fewer than two classes with pictures; a file name that `groups` does not fit.

    Warns
    -----
    UnreadablePicture
        Names the files and classes that were left out, with the reason.
    DoubtfulLabel
        Names files with the same pixels in different classes.

    Examples
    --------
    >>> import tempfile
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for number, name in enumerate(("ill/ann-1.png", "ill/ann-2.png", "well/bob-1.png")):
    ...         (Path(folder) / name).parent.mkdir(exist_ok=True)
    ...         Image.new("L", (8, 8), number).save(Path(folder) / name)
    ...     dataset = from_folder(folder, groups="^([a-z]+)-")
    >>> dataset.class_names, dataset.groups
    (('ill', 'well'), array([0, 0, 1]))
    """
    folder = Path(path).expanduser()
    return _read(folder, _class_folders(folder), groups)


def _read(folder: Path, classes: Sequence[tuple[str, Sequence[Path]]], groups: str | None) -> Dataset:
    """Read the files of every class; a class may occur more than once."""
    found = [(name, file) for name, files in classes for file in files]
    scanned = picture_files.in_threads(picture_files.scan, [file for _, file in found], progress=True)
    shown = [file.relative_to(folder).as_posix() for _, file in found]
    unreadable = [f"{name} ({scan.reason})" for name, scan in zip(shown, scanned, strict=True) if scan.reason]
    readable = [at for at, scan in enumerate(scanned) if scan.digest]
    files, digests = [found[at][1] for at in readable], [scanned[at].digest for at in readable]
    class_names = tuple(sorted({found[at][0] for at in readable}))
    empty = sorted({name for name, _ in classes} - set(class_names))
    _require_two_classes(folder, class_names, empty, unreadable)
    labels = [class_names.index(found[at][0]) for at in readable]
    pairs = contradictions([shown[at] for at in readable], digests, labels)
    for category, things, noun, text in (
        (UnreadablePicture, unreadable, "file", "unreadable and left out: {}. Replace or delete them."),
        (UnreadablePicture, empty, "class folder", "without a readable picture and left out: {}."),
        (DoubtfulLabel, pairs, "pair", "with the same pixels under different labels: {}. Delete the wrong ones."),
    ):
        if things:
            many = f"{len(things)} {noun}{'s' if len(things) > 1 else ''}"
            warnings.warn(f"{many} {text.format(settings.listed(things, '; '))}", category, stacklevel=3)
    keys = [digests] if groups is None else [digests, _group_keys(groups, [file.name for file in files])]
    return Dataset(
        folder.resolve().name,
        PictureFiles(files, digests, FOLDER_IMAGE_SIZE),
        np.array(labels, dtype=np.int64),
        class_names,
        group_numbers(*keys),
        synthetic=False,
    )


def _class_folders(folder: Path) -> list[tuple[str, list[Path]]]:
    """List the picture files of every class folder, all in an order that is the same on every system."""
    entries = _visible(folder)
    subfolders = [entry for entry in entries if entry.is_dir()]
    if not subfolders:
        what = f"has {len(entries)} files but no class folders" if entries else "is empty"
        raise settings.UserError(f"'{folder}' {what}. {_ADVICE}")
    inside = {sub: _visible(sub) for sub in subfolders}
    classes = [(_composed(sub.name), [file for file in inside[sub] if is_picture(file)]) for sub in subfolders]
    nested = [sub for sub in subfolders if any(child.is_dir() for child in inside[sub])]
    if nested and not any(files for _, files in classes):
        raise settings.UserError(
            f"The sub-folders of '{folder}' hold folders, not pictures. "
            f"If those are the classes, give a folder one level further down, such as '{nested[0]}'."
        )
    return classes


def _visible(folder: Path) -> list[Path]:
    """Everything in `folder` that is not hidden, by name."""
    try:
        found = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    except OSError as error:
        what = f"cannot be listed ({error.strerror})"
        if isinstance(error, NotADirectoryError):
            what = "is a file, not a folder"
        if isinstance(error, FileNotFoundError):
            what = f"does not exist; '{next(parent for parent in folder.absolute().parents if parent.exists())}' does"
        raise settings.UserError(f"'{folder}' {what}. {_ADVICE}") from error
    return sorted(found, key=lambda entry: _composed(entry.name))


def _composed(name: str) -> str:
    """The same characters on every system: macOS may hand out an accent as a character of its own."""
    return unicodedata.normalize("NFC", name)


def _require_two_classes(
    folder: Path, class_names: Sequence[str], empty: Sequence[str], unreadable: Sequence[str]
) -> None:
    if len(class_names) >= 2:
        return
    found = f"only one class with readable pictures, {class_names[0]!r}" if class_names else "no readable picture"
    reasons = [f"without any: {settings.listed([repr(name) for name in empty])}"] if empty else []
    reasons += [f"unreadable: {settings.listed(unreadable, '; ')}"] if unreadable else []
    why = f" ({'; '.join(reasons)})" if reasons else ""
    raise settings.UserError(
        f"'{folder}' has {found}{why}. A classifier needs two classes or more: give each a sub-folder with "
        f"pictures ({', '.join(suffix[1:] for suffix in picture_files.PICTURE_SUFFIXES)})."
    )


def _group_keys(pattern: str, file_names: Sequence[str]) -> list[str]:
    """What the pattern's first parentheses catch in each name."""
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise settings.UserError(
            f"groups={pattern!r} is no regular expression ({error}); see Python's module re."
        ) from None
    if not compiled.groups:
        raise settings.UserError(
            f"groups={pattern!r} has no parentheses. Put them round the part of the file name that is the group, "
            r"such as '^(\d{8})' for the first eight digits."
        )
    keys = []
    for name in file_names:
        match = compiled.search(name)
        if match is None or not match[1]:
            raise settings.UserError(
                f"groups={pattern!r} finds no group in the file name {name!r}. Change the expression or the name, "
                "so that every picture belongs to a group."
            )
        keys.append(match[1])
    return keys


def from_domain_folders(path: str | Path, *, groups: str | None = None) -> tuple[Dataset, NDArray[np.str_]]:
    """Read a folder with one sub-folder per domain, each with one sub-folder per class.

    A folder with one sub-folder of pictures per class is a single domain. Everything else is as in
    `from_folder`, which reads each domain.

    Parameters
    ----------
    path : str or Path
    groups : str, optional
        A regular expression, as in `from_folder`. What it catches is one group in all domains: the same
        street by day and by night never parts in a split.

    Returns
    -------
    dataset : Dataset
        Of all domains, one after the other in the order of their names. Exact duplicates share a group, also across
        domains.
    domains : array of str, shape (n,)
        The domain of each picture.

    Raises
    ------
    settings.UserError
        What `from_folder` raises; fewer than two domains; domains whose classes differ.

    Examples
    --------
    >>> import tempfile
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for number, name in enumerate(("day/car/1.png", "day/bus/1.png", "night/car/2.png", "night/bus/2.png")):
    ...         (Path(folder) / name).parent.mkdir(parents=True, exist_ok=True)
    ...         Image.new("L", (8, 8), number).save(Path(folder) / name)
    ...     dataset, domain = from_domain_folders(folder)
    >>> dataset.class_names, domain.tolist()
    (('bus', 'car'), ['day', 'day', 'night', 'night'])
    """
    folder = Path(path).expanduser()
    subfolders = [entry for entry in _visible(folder) if entry.is_dir()]
    if not subfolders or any(is_picture(file) for sub in subfolders for file in _visible(sub)):
        single = _read(folder, _class_folders(folder), groups)
        return single, np.full(len(single), single.name)
    if len(subfolders) < 2:
        raise settings.UserError(
            f"'{folder}' has one domain only, {subfolders[0].name!r}. Give two or more, each a sub-folder with one "
            "sub-folder of pictures per class."
        )
    dataset = _read(folder, [part for sub in subfolders for part in _class_folders(sub)], groups)
    assert isinstance(dataset.pictures, PictureFiles)
    domains = np.array([path.parent.parent.name for path in dataset.pictures.paths])
    lacking = {
        sub.name: np.setdiff1d(np.arange(len(dataset.class_names)), dataset.labels[domains == sub.name])
        for sub in subfolders
    }
    if any(labels.size for labels in lacking.values()):
        told = [
            f"{domain!r} lacks {', '.join(repr(dataset.class_names[label]) for label in labels)}"
            for domain, labels in lacking.items()
            if labels.size
        ]
        raise settings.UserError(
            f"The domains in '{folder}' have different classes: {'; '.join(told)}. Every domain needs a folder with "
            "readable pictures of each class; spell the folders alike, add pictures, or delete the class everywhere."
        )
    return dataset, domains
