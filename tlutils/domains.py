"""Read pictures of the same classes from several domains: weathers, clinics, cameras."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tlutils import datasets, settings
from tlutils.picture_files import PictureFiles, is_picture


def from_folder(path: str | Path, *, groups: str | None = None) -> tuple[datasets.Dataset, NDArray[np.str_]]:
    """Read a folder with one sub-folder per domain, each with one sub-folder per class.

    A folder with one sub-folder of pictures per class is a single domain. Everything else is as in
    `datasets.from_folder`, which reads each domain.

    Parameters
    ----------
    path : str or Path
    groups : str, optional
        A regular expression, as in `datasets.from_folder`. What it catches is one group in all domains: the same
        street by day and by night never parts in a split.

    Returns
    -------
    dataset : datasets.Dataset
        Of all domains, one after the other in the order of their names. Exact duplicates share a group, also across
        domains.
    domains : array of str, shape (n,)
        The domain of each picture.

    Raises
    ------
    settings.UserError
        What `datasets.from_folder` raises; fewer than two domains; domains whose classes differ.

    Examples
    --------
    >>> import tempfile
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for number, name in enumerate(("day/car/1.png", "day/bus/1.png", "night/car/2.png", "night/bus/2.png")):
    ...         (Path(folder) / name).parent.mkdir(parents=True, exist_ok=True)
    ...         Image.new("L", (8, 8), number).save(Path(folder) / name)
    ...     dataset, domain = from_folder(folder)
    >>> dataset.class_names, domain.tolist()
    (('bus', 'car'), ['day', 'day', 'night', 'night'])
    """
    folder = Path(path).expanduser()
    subfolders = sorted(_folders(folder))
    if not subfolders or any(is_picture(file) for sub in subfolders for file in sub.iterdir()):
        single = datasets.from_folder(folder, groups=groups)
        return single, np.full(len(single), single.name)
    if len(subfolders) < 2:
        raise settings.UserError(
            f"'{folder}' has one domain only, {subfolders[0].name!r}. Give two or more, each a sub-folder with one "
            "sub-folder of pictures per class."
        )
    parts = {sub.name: datasets.from_folder(sub, groups=groups) for sub in subfolders}
    _require_the_same_classes(folder, parts)
    domains = np.repeat(list(parts), [len(part) for part in parts.values()])
    files = [part.pictures for part in parts.values() if isinstance(part.pictures, PictureFiles)]
    pictures = PictureFiles(
        [path for part in files for path in part.paths],
        [digest for part in files for digest in part.digests],
        datasets.FOLDER_IMAGE_SIZE,
    )
    within = [(name, group) for name, part in parts.items() for group in part.groups.tolist()]
    keys: list[list[object]] = [list(pictures.digests), list(within)]
    if groups is not None:
        # Every name fits, or reading its domain would have said so.
        keys.append([match[1] for path in pictures.paths if (match := re.search(groups, path.name))])
    labels = np.concatenate([part.labels for part in parts.values()])
    names = next(iter(parts.values())).class_names
    numbers = datasets.group_numbers(*keys)
    return datasets.Dataset(folder.resolve().name, pictures, labels, names, numbers, synthetic=False), domains


def _folders(folder: Path) -> list[Path]:
    """Sub-folders that are not hidden; none where the folder itself cannot be listed, which its reader explains."""
    try:
        return [entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(".")]
    except OSError:
        return []


def _require_the_same_classes(folder: Path, parts: dict[str, datasets.Dataset]) -> None:
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
