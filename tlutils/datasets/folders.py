"""Read pictures from folders: one sub-folder for each class, or one for each domain and in it one for each class."""

from __future__ import annotations

import os
import re
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tlutils import settings
from tlutils.datasets import copies, decoding, layouts, medmnist, picture_files, reports, tables
from tlutils.datasets.examples import Dataset, DoubtfulLabel, contradictions, group_numbers
from tlutils.datasets.layouts import Entry, Listing
from tlutils.datasets.picture_files import PictureFiles, Scan
from tlutils.datasets.reports import FolderNote, Report, Shortcut, UnreadablePicture

# Side of a folder's pictures until `Dataset.resized` asks for another.
FOLDER_IMAGE_SIZE = 64

# Groups of a class that `datasets.split` needs: one for training, one for validation, one for test.
_SIDES = 3


def from_folder(path: str | Path, *, groups: str | None = None) -> Dataset:
    """Read your own pictures: a folder with one sub-folder per class, named like the class.

    Every file is decoded once, to find those that cannot be read and those that show the same; the pictures themselves
    stay on disk. What a file is, its bytes tell, not its suffix. What systems leave behind (``Thumbs.db``,
    ``__MACOSX``) and hidden files are passed over; so are, with a word, files that are no pictures, files beside the
    class folders, and files that belong to a picture (``1_mask.png`` beside ``1.png``).

    Folders called train and test, or val, valid, validation, training, testing, are a ready-made split, within the
    classes or around them: `Dataset.ready_made` keeps it and `datasets.split` respects it. Numbered folders that all
    hold the same two or more sub-folders are patients, each a group, and the sub-folders the classes. Other pictures
    in deeper folders count for the class folder above.

    Parameters
    ----------
    path : str or Path
    groups : str, optional
        A regular expression, looked for in each file name. The first of its pairs of parentheses that catches
        something names the group: the patient, the day, the film. Pictures of one group never part in a split, also
        across classes. Without it, nearly the same pictures are a group (`copies.alike` tells what that means and
        what it misses), and a picture with the changed copies of it that names tell (``7.png``, ``7_rot10.png``),
        unless that left a class without the three groups that a split needs.

    Returns
    -------
    Dataset
        Classes in the order of their names, 2 before 10, files in the order of theirs. Duplicates are kept, in one
        group. A class of fewer than three groups is left out, if two classes have more and no split is ready-made,
        since it could not be on every side. `Dataset.report` tells what was found.

    Raises
    ------
    settings.UserError
        No such folder; no class folders; a shape that leaves open which folders are the classes; fewer than two classes
        with pictures; a file name that `groups` does not fit.

    Warns
    -----
    UnreadablePicture
        Names the files and classes that were left out, with the reason and the way out.
    FolderNote
        Counts what was passed over, and tells what was decided.
    Shortcut
        Where bit depth, mode, size, format or suffix tells the class.
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
    listing = layouts.walk(Path(path).expanduser())
    entries, folders = layouts.in_classes(listing)
    return _read(listing, entries, folders, groups)


def from_files(
    pairs: Sequence[tuple[Path, str]],
    name: str,
    *,
    groups: str | Sequence[str] | None = None,
    ready_made: Sequence[str] | None = None,
) -> Dataset:
    """Read pictures whose labels stand elsewhere, such as in a table; everything else is as in `from_folder`.

    Parameters
    ----------
    pairs : sequence of (Path, str), length n
        File and class. A file that is not there is named and left out, like one that cannot be read.
    name : str
        Of the data set.
    groups : str or sequence of str of length n, optional
        A regular expression as in `from_folder`, or the group of each file.
    ready_made : sequence of str of length n, optional
        The side of each file in a split that comes with the pictures: ``"train"``, ``"validation"`` or ``"test"``, or
        another name that folders of a ready-made split may have.

    Returns
    -------
    Dataset
        Without the files that cannot be read, in the order of `pairs`. `PictureFiles.paths` tells which they are.

    Raises
    ------
    settings.UserError
        Fewer than two classes with pictures; a file name that `groups` does not fit; an unknown side.

    Examples
    --------
    >>> import tempfile
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     pairs = [(Path(folder) / f"{number}.png", label) for number, label in enumerate(("ill", "well"))]
    ...     for number, (file, _) in enumerate(pairs):
    ...         Image.new("L", (8, 8), number).save(file)
    ...     from_files(pairs, "patients")
    patients: 2 real pictures, 2 classes (ill: 1, well: 1)
    """
    files = [Path(file).expanduser() for file, _ in pairs]
    root = Path(os.path.commonpath([file.absolute().parent for file in files]) if files else ".")
    shown = [settings.printable(file.absolute().relative_to(root).as_posix(), 120) for file in files]
    by_name = groups is None or isinstance(groups, str)
    keys = [""] * len(files) if by_name else [str(key) for key in groups or ()]
    sides = [""] * len(files) if ready_made is None else [layouts.side_of(side) for side in ready_made]
    if ready_made is not None and not all(sides):
        unknown = settings.listed(sorted({repr(side) for side in ready_made if not layouts.side_of(side)}))
        raise settings.UserError(
            f"The side of a picture in a ready-made split cannot be {unknown}; call it train, validation or test."
        )
    entries = [
        Entry(file, text, layouts.label(label), side, key)
        for file, text, (_, label), side, key in zip(files, shown, pairs, sides, keys, strict=True)
    ]
    listing = Listing(root, name=layouts.label(name))
    return _read(listing, entries, [], groups if isinstance(groups, str) else None)


def _read(listing: Listing, entries: Sequence[Entry], folders: Sequence[str], groups: str | None) -> Dataset:
    """Read the pictures that a listing found; the one way from files to a data set."""
    scanned = picture_files.in_threads(picture_files.scan, [entry.path for entry in entries], progress=True)
    bad = [(entry.shown, scan.reason) for entry, scan in zip(entries, scanned, strict=True) if not scan.digest]
    unreadable = reports.one_of_each_first(*zip(*bad, strict=True)) if bad else []
    good = [at for at, scan in enumerate(scanned) if scan.digest]
    kept, scans = [entries[at] for at in good], [scanned[at] for at in good]
    empty = [name for name in folders if name not in {entry.label for entry in kept}]
    ways_out = [scan.way_out for scan in scanned if scan.reason]
    _require_two_classes(listing, {entry.label for entry in kept}, empty, unreadable, ways_out)
    numbers, near, doubts = _groups(kept, scans, groups)
    few = {} if any(entry.side or entry.domain for entry in kept) else _too_few(kept, numbers)
    if few:
        doubts.append(
            f"Left out, since a split needs three pictures or groups of each class: "
            f"{settings.listed([f'{name!r} ({count})' for name, count in few.items()])}. Add pictures."
        )
        at = [at for at, entry in enumerate(kept) if entry.label not in few]
        kept, scans, numbers = [kept[i] for i in at], [scans[i] for i in at], numbers[at]
    class_names = tuple(sorted({entry.label for entry in kept}, key=layouts.natural))
    position = {name: at for at, name in enumerate(class_names)}
    labels = np.array([position[entry.label] for entry in kept], dtype=np.int64)
    shown, digests = [entry.shown for entry in kept], [scan.digest for scan in scans]
    ready_made = np.array([entry.side for entry in kept]) if any(entry.side for entry in kept) else None
    spans = picture_files.spans(scans)
    passed_over = reports.passed_over(listing.passed_over)
    said = _of_what_was_left_out(unreadable, ways_out, empty)
    if pairs := contradictions(shown, digests, labels.tolist()):
        many = settings.many(len(pairs), "pair")
        listed = settings.listed(pairs, "; ")
        said.append(
            (DoubtfulLabel, f"{many} with the same pixels under different labels: {listed}. Delete the wrong ones.")
        )
    if passed_over:
        many = settings.many(len(listing.passed_over), "file")
        ways = reports.ways_out([thing.way_out for thing in listing.passed_over])
        said.append((FolderNote, f"{many} passed over: {reports.counted(passed_over)}. {ways}".rstrip()))
    notes = [*listing.notes, *_alike_names(class_names), *doubts, *reports.notes_on(shown, scans, spans)]
    if listing.closed:
        notes.append(f"{settings.listed(listing.closed, '; ')}: left out.")
    if ready_made is not None:
        notes += _ready_made_notes(ready_made, labels, numbers, class_names)
    said += [(FolderNote, note) for note in notes]
    if shortcut := reports.given_away([entry.path for entry in kept], scans, labels, class_names):
        said.append((Shortcut, shortcut))
    for category, text in said:
        warnings.warn(text, category, stacklevel=3)
    report = Report(
        read=len(kept),
        passed_over=passed_over,
        unreadable=dict(bad),
        junk=dict(listing.junk.most_common()),
        exact_duplicates=len(digests) - len(set(digests)),
        near_duplicates=near,
        sizes=reports.sizes(scans),
        modes=dict(Counter(scan.mode for scan in scans).most_common()),
        depths=dict(Counter(scan.depth for scan in scans).most_common()),
        formats=dict(Counter(scan.format for scan in scans).most_common()),
        ready_made=dict(Counter(entry.side for entry in kept if entry.side).most_common()),
        notes=tuple(text for _, text in said),
    )
    return Dataset(
        listing.name or layouts.label(listing.root.resolve().name),
        PictureFiles([entry.path for entry in kept], digests, FOLDER_IMAGE_SIZE, spans),
        labels,
        class_names,
        numbers,
        synthetic=False,
        ready_made=ready_made,
        report=report,
    )


def _of_what_was_left_out(
    unreadable: Sequence[str], ways_out: Sequence[str], empty: Sequence[str]
) -> list[tuple[type[UserWarning], str]]:
    said: list[tuple[type[UserWarning], str]] = []
    if unreadable:
        many, ways = settings.many(len(unreadable), "file"), reports.ways_out(ways_out) or "Replace or delete them."
        text = f"{many} unreadable and left out: {settings.listed(unreadable, '; ')}. {ways}"
        said.append((UnreadablePicture, text))
    if empty:
        many = settings.many(len(empty), "class folder")
        text = f"{many} without a readable picture and left out: {settings.listed(empty, '; ')}."
        said.append((UnreadablePicture, text))
    return said


def _groups(
    entries: Sequence[Entry], scans: Sequence[Scan], pattern: str | None
) -> tuple[NDArray[np.int64], int, list[str]]:
    """Group of every picture; how many look nearly the same as an earlier one; and what is to be said of it."""
    digests = [scan.digest for scan in scans]
    look_alikes = copies.alike([scan.look for scan in scans])
    alike = group_numbers(digests, look_alikes.tolist(), layouts.sources([entry.path for entry in entries]))
    near = len(set(digests)) - len(np.unique(alike))
    keys = [] if pattern is None else [group_keys(pattern, [entry.path.name for entry in entries])]
    if any(entry.patient for entry in entries):
        keys.append([entry.patient or f"no patient {at}" for at, entry in enumerate(entries)])
    if keys:  # The reader knows better than a hash what belongs together.
        return group_numbers(digests, *keys), near, []
    if not near:
        return alike, 0, []
    told = group_numbers(digests)
    before, after = (_groups_of_classes(entries, numbers) for numbers in (told, alike))
    largest = _largest_shares(entries, alike)
    swallowed = [
        name
        for name, groups in after.items()
        if groups < _SIDES <= before[name] or (before[name] >= 20 and largest[name] > 0.5)
    ]
    if swallowed:
        return (
            told,
            near,
            [
                f"{near} pictures look nearly the same as another one, so many that these make no groups (class "
                f"{settings.listed(swallowed)}): only exact copies are kept together. If pictures of one thing are to "
                "stay on one side, name it with groups."
            ],
        )
    return alike, near, []


def _groups_of_classes(entries: Sequence[Entry], numbers: NDArray[np.int64]) -> dict[str, int]:
    return dict(Counter(label for label, _ in {(e.label, int(n)) for e, n in zip(entries, numbers, strict=True)}))


def _largest_shares(entries: Sequence[Entry], numbers: NDArray[np.int64]) -> dict[str, float]:
    """Share of each class's pictures that its largest group holds."""
    together = Counter((entry.label, int(number)) for entry, number in zip(entries, numbers, strict=True))
    totals = Counter(entry.label for entry in entries)
    largest: dict[str, float] = {}
    for (label, _), count in together.items():
        largest[label] = max(largest.get(label, 0.0), count / totals[label])
    return largest


def _too_few(entries: Sequence[Entry], numbers: NDArray[np.int64]) -> dict[str, int]:
    """Classes of fewer groups than a split needs, with their pictures, where two or more classes have enough."""
    groups = _groups_of_classes(entries, numbers)
    if sum(count >= _SIDES for count in groups.values()) < 2:
        return {}
    totals = Counter(entry.label for entry in entries)
    return {name: totals[name] for name in sorted(groups, key=layouts.natural) if groups[name] < _SIDES}


def _alike_names(class_names: Sequence[str]) -> list[str]:
    """Name classes that differ only in what a reader does not see."""
    spelled: dict[str, list[str]] = {}
    for name in class_names:
        spelled.setdefault(" ".join(name.casefold().replace("_", " ").strip(" .").split()), []).append(repr(name))
    same = [" and ".join(names) for names in spelled.values() if len(names) > 1]
    if not same:
        return []
    return [
        f"Classes that differ only in case, blanks or dots: {settings.listed(same, '; ')}. Join them if they are one."
    ]


def _ready_made_notes(
    sides: NDArray[np.str_], labels: NDArray[np.int64], groups: NDArray[np.int64], class_names: Sequence[str]
) -> list[str]:
    """Say which split came with the pictures, what it lacks, and what leaks through it."""
    counts = Counter(sides.tolist())
    present = [side for side in ("train", "validation", "test") if counts[side]]
    notes = [f"The ready-made split is respected: {', '.join(f'{side} {counts[side]}' for side in present)}."]
    for side in present:
        lacking = [name for at, name in enumerate(class_names) if not (labels[sides == side] == at).any()]
        if lacking:
            notes.append(f"The ready-made {side} has no picture of {settings.listed([repr(n) for n in lacking])}.")
    leaks = []
    for at, side in enumerate(present[1:], start=1):
        before = np.isin(sides, present[:at])
        shared = int(np.isin(groups[sides == side], groups[before]).sum())
        leaks += [f"{shared} of the {counts[side]} {side} pictures"] if shared else []
    if leaks:
        notes.append(
            f"The ready-made split leaks: {' and '.join(leaks)} are the same or nearly the same as one of another "
            "side, or of one group with it, so that scores on them are too high."
        )
    return notes


def _require_two_classes(
    listing: Listing, class_names: set[str], empty: Sequence[str], unreadable: Sequence[str], ways_out: Sequence[str]
) -> None:
    if len(class_names) >= 2:
        return
    found = f"only one class with readable pictures, {min(class_names)!r}" if class_names else "no readable picture"
    reasons = [f"without any: {settings.listed([repr(name) for name in empty])}"] if empty else []
    reasons += [f"unreadable: {settings.listed(unreadable, '; ')}"] if unreadable else []
    reasons += [settings.listed(listing.closed, "; ")] if listing.closed else []
    passed_over = reports.passed_over(listing.passed_over)
    reasons += [f"passed over: {reports.counted(passed_over)}"] if passed_over else []
    why = f" ({'; '.join(reasons)})" if reasons else ""
    ways = reports.ways_out([*ways_out, *(thing.way_out for thing in listing.passed_over)])
    raise settings.UserError(
        f"'{listing.shown}' has {found}{why}. A classifier needs two classes or more: give each a sub-folder with "
        f"pictures ({', '.join(suffix[1:] for suffix in decoding.PICTURE_SUFFIXES)}). {ways}".rstrip()
    )


def group_keys(pattern: str, file_names: Sequence[str]) -> list[str]:
    """Return what the first of the pattern's parentheses that caught something caught in each name.

    Parameters
    ----------
    pattern : str
        A regular expression.
    file_names : sequence of str

    Raises
    ------
    settings.UserError
        No regular expression, or one without parentheses; a name in which it finds nothing.
    """
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
        caught = next(filter(None, match.groups()), None) if match else None
        if caught is None:
            raise settings.UserError(
                f"groups={pattern!r} finds no group in the file name '{settings.printable(name, 120)}'. Change the "
                "expression or the name, so that every file belongs to a group."
            )
        keys.append(caught)
    return keys


def from_domain_folders(path: str | Path, *, groups: str | None = None) -> tuple[Dataset, NDArray[np.str_]]:
    """Read a folder with one sub-folder per domain, each with one sub-folder per class.

    A folder with one sub-folder of pictures per class is a single domain; a ready-made split is never taken for
    domains. Everything else is as in `from_folder`.

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
    listing = layouts.walk(Path(path).expanduser())
    found = layouts.in_domains(listing)
    if found is None:
        single = _read(listing, *layouts.in_classes(listing), groups)
        return single, np.full(len(single), single.name)
    entries, folders = found
    dataset = _read(listing, entries, folders, groups)
    assert isinstance(dataset.pictures, PictureFiles)
    of_path = {entry.path: entry.domain for entry in entries}
    domains = np.array([of_path[path] for path in dataset.pictures.paths])
    lacking = {
        name: np.setdiff1d(np.arange(len(dataset.class_names)), dataset.labels[domains == name])
        for name in sorted({entry.domain for entry in entries}, key=layouts.natural)
    }
    if any(labels.size for labels in lacking.values()):
        told = [
            f"{domain!r} lacks {', '.join(repr(dataset.class_names[label]) for label in labels)}"
            for domain, labels in lacking.items()
            if labels.size
        ]
        raise settings.UserError(
            f"The domains in '{listing.shown}' have different classes: {'; '.join(told)}. Every domain needs a "
            "folder with readable pictures of each class; spell the folders alike, add pictures, or delete the class "
            "everywhere."
        )
    return dataset, domains


def own_pictures(path: str | Path, *, labels: str | Path | None = None, groups: str = "") -> Dataset:
    """Read the reader's pictures, in whichever of three forms they come.

    Parameters
    ----------
    path : str or Path
        A folder, as `from_folder` takes it, or an archive of arrays (``.npz``), as `from_npz` does, whose split stays.
    labels : str or Path, optional
        A table of file names and labels, as `files_and_labels` takes it; the files lie in the folder. None or empty for
        none.
    groups : str, optional
        A regular expression, as in `from_folder`; empty for none.

    Returns
    -------
    Dataset

    Raises
    ------
    settings.UserError
        As the three raise it; a table or an expression for an archive, which has no file names.
    """
    place = Path(path).expanduser()
    if place.suffix.lower() != ".npz":
        if not labels:
            return from_folder(place, groups=groups or None)
        return from_files(tables.files_and_labels(labels, place), place.name, groups=groups or None)
    if labels or groups:
        raise settings.UserError(
            f"'{place}' is an archive of arrays without file names, so labels={str(labels or '')!r} and "
            f"groups={groups!r} have nothing to name. Leave both empty."
        )
    dataset, split = medmnist.from_npz(place)
    sides = np.empty(len(dataset), dtype="U10")
    for side, chosen in vars(split).items():
        sides[chosen] = side
    return replace(dataset, ready_made=sides)
