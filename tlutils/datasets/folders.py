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
from tlutils.datasets.examples import Dataset, DoubtfulLabel, group_numbers
from tlutils.datasets.picture_files import PictureFiles, is_picture

# Side of a folder's pictures until `Dataset.resized` asks for another.
FOLDER_IMAGE_SIZE = 64


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
    classes = _class_folders(folder)
    found = [(name, file) for name, files in classes.items() for file in files]
    scanned = picture_files.in_threads(picture_files.scan, [file for _, file in found], progress=True)
    unreadable = [
        f"{name}/{file.name} ({scan.reason})" for (name, file), scan in zip(found, scanned, strict=True) if scan.reason
    ]
    readable = [(name, file, scan.digest) for (name, file), scan in zip(found, scanned, strict=True) if scan.digest]
    class_names = tuple(sorted({name for name, _, _ in readable}))
    _require_two_classes(folder, class_names, classes, unreadable)
    _warn(UnreadablePicture, unreadable, "{} unreadable and left out: {}. Replace or delete them.", "file")
    empty = [name for name in classes if name not in class_names]
    _warn(UnreadablePicture, empty, "{} without a readable picture and left out: {}.", "class folder")

    names = [f"{name}/{file.name}" for name, file, _ in readable]
    labels = np.array([class_names.index(name) for name, _, _ in readable], dtype=np.int64)
    digests = [digest for _, _, digest in readable]
    _warn_of_contradictions(names, labels, digests)
    keys: list[Sequence[object]] = [digests]
    if groups is not None:
        keys.append(_group_keys(groups, [file.name for _, file, _ in readable]))
    pictures = PictureFiles([file for _, file, _ in readable], digests, FOLDER_IMAGE_SIZE)
    return Dataset(folder.resolve().name, pictures, labels, class_names, group_numbers(*keys), synthetic=False)


def _class_folders(folder: Path) -> dict[str, list[Path]]:
    """List the picture files of every class folder, all in an order that is the same on every system."""
    advice = "Give a folder that has one sub-folder of pictures per class."
    try:
        if not folder.exists():
            nearest = next(parent for parent in folder.absolute().parents if parent.exists())
            raise settings.UserError(f"'{folder}' does not exist; '{nearest}' does. {advice}")
        if not folder.is_dir():
            raise settings.UserError(f"'{folder}' is a file, not a folder. {advice}")
        entries = _visible(folder)
        subfolders = [entry for entry in entries if entry.is_dir()]
        if not entries:
            raise settings.UserError(f"'{folder}' is empty. {advice}")
        if not subfolders:
            raise settings.UserError(
                f"'{folder}' has {len(entries)} files but no class folders. "
                "Move the pictures into one sub-folder per class, named like the class."
            )
        classes = {
            _composed(sub.name): [file for file in _visible(sub) if picture_files.is_picture(file)]
            for sub in subfolders
        }
        nested = [child for sub in subfolders for child in _visible(sub) if child.is_dir()]
    except OSError as error:
        raise settings.UserError(f"'{folder}' cannot be listed ({error.strerror}). {advice}") from error
    if nested and not any(classes.values()):
        raise settings.UserError(
            f"The sub-folders of '{folder}' hold folders, not pictures. "
            f"If those are the classes, give a folder one level further down, such as '{nested[0].parent}'."
        )
    return classes


def _composed(name: str) -> str:
    """The same characters on every system: macOS may hand out an accent as a character of its own."""
    return unicodedata.normalize("NFC", name)


def _visible(folder: Path) -> list[Path]:
    """Everything in `folder` that is not hidden, by name."""
    return sorted((e for e in folder.iterdir() if not e.name.startswith(".")), key=lambda entry: _composed(entry.name))


def _require_two_classes(
    folder: Path, class_names: Sequence[str], classes: dict[str, list[Path]], unreadable: Sequence[str]
) -> None:
    if len(class_names) >= 2:
        return
    found = f"only one class with readable pictures, {class_names[0]!r}" if class_names else "no readable picture"
    empty = [repr(name) for name in classes if name not in class_names]
    reasons = [f"without any: {settings.listed(empty)}"] if empty else []
    reasons += [f"unreadable: {settings.listed(unreadable, '; ')}"] if unreadable else []
    why = f" ({'; '.join(reasons)})" if reasons else ""
    raise settings.UserError(
        f"'{folder}' has {found}{why}. A classifier needs two classes or more: give each a sub-folder with "
        f"pictures ({', '.join(suffix[1:] for suffix in picture_files.PICTURE_SUFFIXES)})."
    )


def _warn(category: type[UserWarning], names: Sequence[str], text: str, noun: str) -> None:
    """Warn, where there is something to warn of, in the name of the reader's own line."""
    if names:
        many = f"{len(names)} {noun}{'s' if len(names) > 1 else ''}"
        warnings.warn(text.format(many, settings.listed(names, "; ")), category, stacklevel=3)


def _warn_of_contradictions(names: Sequence[str], labels: NDArray[np.int64], digests: Sequence[str]) -> None:
    first: dict[str, int] = {}
    pairs = []
    for position, digest in enumerate(digests):
        other = first.setdefault(digest, position)
        if labels[other] != labels[position]:
            pairs.append(f"{names[other]} and {names[position]}")
    if pairs:
        text = f"The same pixels under different labels: {settings.listed(pairs, '; ')}. Delete the wrong ones."
        warnings.warn(text, DoubtfulLabel, stacklevel=3)


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
    subfolders = sorted(_folders(folder))
    if not subfolders or any(is_picture(file) for sub in subfolders for file in sub.iterdir()):
        single = from_folder(folder, groups=groups)
        return single, np.full(len(single), single.name)
    if len(subfolders) < 2:
        raise settings.UserError(
            f"'{folder}' has one domain only, {subfolders[0].name!r}. Give two or more, each a sub-folder with one "
            "sub-folder of pictures per class."
        )
    parts = {sub.name: from_folder(sub, groups=groups) for sub in subfolders}
    _require_the_same_classes(folder, parts)
    domains = np.repeat(list(parts), [len(part) for part in parts.values()])
    files = [part.pictures for part in parts.values() if isinstance(part.pictures, PictureFiles)]
    pictures = PictureFiles(
        [path for part in files for path in part.paths],
        [digest for part in files for digest in part.digests],
        FOLDER_IMAGE_SIZE,
    )
    within = [(name, group) for name, part in parts.items() for group in part.groups.tolist()]
    keys: list[list[object]] = [list(pictures.digests), list(within)]
    if groups is not None:
        # Every name fits, or reading its domain would have said so.
        keys.append([match[1] for path in pictures.paths if (match := re.search(groups, path.name))])
    labels = np.concatenate([part.labels for part in parts.values()])
    names = next(iter(parts.values())).class_names
    numbers = group_numbers(*keys)
    return Dataset(folder.resolve().name, pictures, labels, names, numbers, synthetic=False), domains


def _folders(folder: Path) -> list[Path]:
    """Sub-folders that are not hidden; none where the folder itself cannot be listed, which its reader explains."""
    try:
        return [entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(".")]
    except OSError:
        return []


def _require_the_same_classes(folder: Path, parts: dict[str, Dataset]) -> None:
    every = sorted({name for part in parts.values() for name in part.class_names})
    lacking = {
        domain: [name for name in every if name not in part.class_names]
        for domain, part in parts.items()
        if len(part.class_names) < len(every)
    }
    if lacking:
        told = "; ".join(f"{domain!r} lacks {', '.join(map(repr, names))}" for domain, names in lacking.items())
        raise settings.UserError(
            f"The domains in '{folder}' have different classes: {told}. Every domain needs a folder with readable "
            "pictures of each class; spell the folders alike, add pictures, or delete the class everywhere."
        )
