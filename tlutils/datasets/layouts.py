"""Walk a folder of pictures, and tell from its shape which level holds classes, domains, patients or sides."""

from __future__ import annotations

import functools
import itertools
import os
import re
import stat
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from tlutils import settings
from tlutils.datasets import decoding, picture_files

ADVICE = "Give a folder that has one sub-folder of pictures per class, named like the class."


_SIDES = {
    **dict.fromkeys(("train", "training", "trainset", "trainingset"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "valset", "validset", "validationset", "dev"), "validation"),
    **dict.fromkeys(("test", "testing", "testset"), "test"),
}
# Words beside those in a folder's name, as in training_set or Test Images.
_FILLERS = {"set", "data", "dataset", "images", "image", "imgs", "img", "pictures", "folder", "split", "seg"}

# Whatever belongs to the picture of the same name: as the end of a file's name, and as the name of a folder.
_BELONGING = (
    r"masks?|seg|segmentations?|segmented|labels?|annotations?|gt|ground ?truth|superpixels|overlay|thumb(?:nail)?s?"
)
_SUFFIXED = re.compile(rf"^(.+?)[ _.-]+(?:{_BELONGING})(?:[ _.-]*\d+)?$", re.IGNORECASE)
_FOLDER_OF_BELONGING = re.compile(rf"^(?:.*[ _.-])?(?:{_BELONGING})$", re.IGNORECASE)

# What programs that multiply pictures, and people who use them, append to a name.
_CHANGES = (
    r"aug(?:mented)?|(?:h|v)?flip(?:ped)?(?:lr|tb|ud|h|v|x|y)?|mirror(?:ed)?|rot(?:ate|ated|ation)?|[+-]?\d+deg|"
    r"noisy?|blur(?:red|ry)?|bright(?:er|ness)?|dark(?:er)?|contrast|crop(?:ped)?|zoom(?:ed)?|shear(?:ed)?|"
    r"shift(?:ed)?|newpixel"
)
_CHANGED = re.compile(rf"^(.+?)(?:[ _.-]+(?:{_CHANGES})[ _.\d-]*)+$|^(.+?)\.rf\.\w{{8,}}$", re.IGNORECASE)


class Found(NamedTuple):
    """A file, and the names of the folders that lead to it from the folder that was given."""

    path: Path
    parts: tuple[str, ...]

    @property
    def shown(self) -> str:
        """What messages call it."""
        return settings.printable("/".join((*self.parts, self.path.name)), 120)

    def passed_over(self, what: str, way_out: str = "") -> PassedOver:
        """Return it as a file that is no picture of a class."""
        return PassedOver("/".join(self.parts), self.path.suffix, what, way_out)


class Entry(NamedTuple):
    """A picture with everything that its place tells."""

    path: Path
    shown: str
    label: str
    side: str = ""
    patient: str = ""
    domain: str = ""


class PassedOver(NamedTuple):
    """A file that is no picture of a class, and why."""

    folder: str
    suffix: str
    what: str
    way_out: str = ""


@dataclass
class Listing:
    """What lies in a folder.

    Attributes
    ----------
    root : Path
    pictures : list of Found
        What its bytes or its suffix call a picture.
    folders : list of tuple of str
        All folders below, each as the names that lead there.
    top : dict
        From the name of each sub-folder, as shown, to its path.
    files : int
        Besides junk.
    junk : Counter
        By name or pattern.
    passed_over : list of PassedOver
    closed : list of str
        Folders that cannot be listed, with the reason.
    notes : list of str
        What was decided on the way, one sentence each.
    name : str
        Of the data set; empty for that of the folder.
    """

    root: Path
    pictures: list[Found] = field(default_factory=list)
    folders: list[tuple[str, ...]] = field(default_factory=list)
    top: dict[str, Path] = field(default_factory=dict)
    files: int = 0
    junk: Counter[str] = field(default_factory=Counter)
    passed_over: list[PassedOver] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    name: str = ""

    @property
    def shown(self) -> str:
        """What messages call the folder."""
        return settings.printable(str(self.root))

    def leave_out(self, found: Iterable[Found], what: str) -> None:
        """Count pictures as passed over."""
        gone = list(found)
        if not gone:
            return
        self.passed_over += [one.passed_over(what) for one in gone]
        paths = {one.path for one in gone}
        self.pictures = [one for one in self.pictures if one.path not in paths]


def label(name: str) -> str:
    """Return the name of a class for that of its folder.

    An accent is one character on every system, also where macOS hands it out as two; what cannot be written anywhere
    stands as its code.
    """
    return settings.printable(unicodedata.normalize("NFC", name))


@functools.lru_cache(maxsize=4096)
def natural(name: str) -> tuple[str | int, ...]:
    """Sort key that puts 2 before 10."""
    return tuple(int(part) if at % 2 else part for at, part in enumerate(re.split("([0-9]+)", name)))


def walk(root: Path) -> Listing:
    """List everything below a folder once; links are followed where they lead to what is not below it anyway.

    Raises
    ------
    settings.UserError
        If there is no such folder, or it cannot be listed.
    """
    listing = Listing(root)
    here = os.path.realpath(root)
    waiting: list[tuple[Path, tuple[str, ...], str]] = [(root, (), here)]
    links: list[tuple[Path, tuple[str, ...]]] = []
    seen: set[str] = set()
    files: list[Found] = []
    linked: list[Found] = []
    twice = []
    while waiting or links:
        if not waiting:  # All real folders are known by now.
            folder, parts = links.pop(0)
            target = os.path.realpath(folder)
            if target in seen or here == target or here.startswith(target.rstrip(os.sep) + os.sep):
                twice.append("/".join(parts))
                continue
            waiting.append((folder, parts, target))
        folder, parts, real = waiting.pop(0)
        if real in seen:
            continue
        seen.add(real)
        if parts:
            listing.folders.append(parts)
        for entry in _entries(folder, parts, listing):
            found = Found(entry, parts)
            try:
                link, mode = entry.is_symlink(), entry.stat().st_mode
            except OSError as error:
                what = "a link to nothing or to itself" if entry.is_symlink() else str(error.strerror)
                listing.passed_over.append(found.passed_over(what))
                continue
            if stat.S_ISDIR(mode):
                below = (*parts, label(entry.name))
                if len(below) == 1:
                    listing.top[below[0]] = entry
                if link:
                    links.append((entry, below))
                else:
                    waiting.append((entry, below, os.path.join(real, entry.name)))
            elif stat.S_ISREG(mode):
                listing.files += 1
                (linked if link else files).append(found)
            else:
                listing.passed_over.append(found.passed_over("no file but a device or a pipe"))
    if twice:
        many = settings.many(len(twice), "link")
        listing.notes.append(f"{many} to folders that are read anyway: {settings.listed(twice)}; not read twice.")
    files += _not_twice(linked, files, listing)
    listing.pictures = [found for found in files if decoding.claims_to_be_picture(found.path)]
    unclear = [found for found in files if not decoding.claims_to_be_picture(found.path)]
    suspects = picture_files.in_threads(picture_files.is_picture, [found.path for found in unclear])
    for found, picture in zip(unclear, suspects, strict=True):
        if picture:
            listing.pictures.append(found)
        else:
            kind = picture_files.kind(found.path)
            listing.passed_over.append(found.passed_over(kind.name, kind.way_out))
    _leave_out_what_belongs_to_others(listing)
    return listing


def _entries(folder: Path, parts: tuple[str, ...], listing: Listing) -> list[Path]:
    """List a folder without junk and hidden things, by name."""
    kept = []
    try:
        for entry in folder.iterdir():
            if not decoding.is_junk(entry.name):
                kept.append(entry)
            else:
                listing.junk["._*" if entry.name.startswith("._") else settings.printable(entry.name, 40)] += 1
    except OSError as error:
        if parts:
            listing.closed.append(f"'{settings.printable(str(folder))}' cannot be listed ({error.strerror})")
            return kept
        what = f"cannot be listed ({error.strerror})"
        if isinstance(error, NotADirectoryError):
            kind = None if picture_files.is_picture(folder) else picture_files.kind(folder)
            said = f"{kind.name}). {kind.way_out}" if kind else "a picture)"
            what = f"is a file, not a folder ({said}".rstrip(" .")
        if isinstance(error, FileNotFoundError):
            what = f"does not exist; '{next(parent for parent in folder.absolute().parents if parent.exists())}' does"
        raise settings.UserError(f"'{settings.printable(str(folder))}' {what}. {ADVICE}") from error
    return sorted(kept, key=lambda entry: (unicodedata.normalize("NFC", entry.name), entry.name))


def _not_twice(linked: Sequence[Found], files: Sequence[Found], listing: Listing) -> list[Found]:
    """Those links to files that lead to a file which the same folder does not hold anyway."""
    kept = []
    read = defaultdict(set)
    if linked:
        for found in files:
            read[found.parts[:1]].add(os.path.realpath(found.path))
    for found in linked:
        target = os.path.realpath(found.path)
        if target in read[found.parts[:1]]:
            listing.passed_over.append(found.passed_over("a link to a file that is read anyway"))
        else:
            read[found.parts[:1]].add(target)
            kept.append(found)
    return kept


def _leave_out_what_belongs_to_others(listing: Listing) -> None:
    """Leave out masks, thumbnails and the like: files named like a picture, or in a folder of such beside it."""
    folders = {parts for parts in listing.folders if _FOLDER_OF_BELONGING.match(parts[-1])}
    suffixed = {found: match[1] for found in listing.pictures if (match := _SUFFIXED.match(found.path.stem))}
    if not folders and not suffixed:
        return
    # From a name without its suffix to the folders in which there is a picture of that name.
    where: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    for found in listing.pictures:
        where[found.path.stem].add(found.parts)

    def belongs(found: Found) -> bool:
        name = suffixed.get(found, "")
        if found.parts in where.get(name, ()):
            return True
        parent = found.parts[:-1]
        return found.parts in folders and any(
            parts not in folders and (parts == parent or parts[:-1] == parent)
            for parts in where[found.path.stem] | where.get(name, set())
        )

    listing.leave_out([found for found in listing.pictures if belongs(found)], "belongs to the picture of that name")


def sources(files: Sequence[Path]) -> list[Path]:
    """Return for each file the one of which it is a changed copy by its name, without suffix, or itself.

    The original lies in the same folder, except where Roboflow made the copies, which keeps none. It is without suffix
    too if it has copies.

    Examples
    --------
    >>> files = ["leaf.jpg", "leaf_flip.png", "leaf-rot90_2.png", "leaf_3.png", "oak_dark.png", "IMG.rf.0123456789.jpg"]
    >>> [str(source) for source in sources([Path(file) for file in files])]
    ['leaf', 'leaf', 'leaf', 'leaf_3.png', 'oak_dark.png', 'IMG']
    """
    bare = [file.parent / file.stem for file in files]
    originals, found = set(bare), {}
    for file in files:
        match = _CHANGED.match(file.stem)
        if match and (match[2] or file.parent / match[1] in originals):
            found[file] = file.parent / (match[1] or match[2])
    copied = set(found.values())
    return [found.get(file, stem if stem in copied else file) for file, stem in zip(files, bare, strict=True)]


def in_classes(listing: Listing) -> tuple[list[Entry], list[str]]:
    """Tell class, side and patient of every picture.

    Parameters
    ----------
    listing : Listing
        What is passed over and what was decided are added to it.

    Returns
    -------
    entries : list of Entry
        In an order that is the same on every system.
    names : list of str
        Of all class folders, also of those without a picture.

    Raises
    ------
    settings.UserError
        If the folder's shape leaves open which level holds the classes, or has none.
    """
    sides = _ready_made(listing)
    rests = {found: _rest(found.parts, sides) for found in listing.pictures}
    _require_folders(listing)
    upper, below, direct = _levels(rests.values())
    while sides.levels and len(upper) == 1 and not direct:  # Only wrapped: chest_xray/train/ill, train/images/cat.
        sides = _Sides((*sides.levels, next(level for level in itertools.count() if level not in sides.levels)))
        rests = {found: _rest(found.parts, sides) for found in listing.pictures}
        upper, below, direct = _levels(rests.values())
    shared = _shared(below)
    level = 0
    if shared and _few(direct, rests.values()):
        if not _patients(upper, shared):
            raise settings.UserError(_ambiguous(listing, sorted(upper, key=natural), sorted(shared, key=natural)))
        level = 1
        listing.notes.append(
            f"All {len(upper)} sub-folders hold {settings.listed(sorted(shared, key=natural))}: these are read as the "
            "classes, and each upper folder as one group, such as a patient. Were the upper folders the classes, put "
            "the pictures of each straight into it."
        )
    elif not direct and len(upper) == 1:
        folders = {found.path.parent for found in listing.pictures}
        given = Path(os.path.commonpath(folders))
        given = given.parent if given in folders else given
        raise settings.UserError(
            f"The sub-folders of '{listing.shown}' hold folders, not pictures. If those are the "
            f"classes, give a folder further down, such as '{settings.printable(str(given))}'."
        )
    listing.leave_out([found for found, rest in rests.items() if len(rest) <= level], "beside the class folders")
    entries = [
        Entry(found.path, found.shown, rests[found][level], sides.of(found.parts), "/".join(rests[found][:level]))
        for found in listing.pictures
    ]
    if not level:
        _tell_of_deeper_ones(listing, [rests[found] for found in listing.pictures])
    return _ordered(entries), _class_folders(listing, sides, level)


def in_domains(listing: Listing) -> tuple[list[Entry], list[str]] | None:
    """Tell domain, class and side of every picture, or return None where a folder holds classes and no domains.

    Raises
    ------
    settings.UserError
        If there is one domain only.
    """
    trial = replace(listing, passed_over=list(listing.passed_over))
    sides = _ready_made(trial)
    rests = {found: _rest(found.parts, sides) for found in trial.pictures}
    upper, below, direct = _levels(rests.values())
    stray = _shared(below) and _few(direct, rests.values())
    if not upper or (direct and not stray) or (sides.levels and len(upper) == 1):
        return None
    if len(upper) < 2:
        raise settings.UserError(
            f"'{listing.shown}' has one domain only, {next(iter(upper))!r}. Give two or more, "
            "each a sub-folder with one sub-folder of pictures per class."
        )
    listing.pictures, listing.passed_over = trial.pictures, trial.passed_over
    listing.leave_out([found for found, rest in rests.items() if len(rest) < 2], "beside the class folders")
    entries = [
        Entry(found.path, found.shown, rests[found][1], sides.of(found.parts), "", rests[found][0])
        for found in listing.pictures
    ]
    _tell_of_deeper_ones(listing, [rests[found][1:] for found in listing.pictures])
    return _ordered(entries), _class_folders(listing, sides, 1)


class _Sides(NamedTuple):
    """At which levels the folders of a ready-made split lie; none if there are none."""

    levels: tuple[int, ...] = ()

    def of(self, parts: Sequence[str]) -> str:
        return side_of(parts[self.levels[0]]) if self.levels and len(parts) > self.levels[0] else ""


def side_of(name: str) -> str:
    """Which side of a ready-made split a folder's name means, or "".

    Examples
    --------
    >>> side_of("Training_set"), side_of("valid"), side_of("test images"), side_of("trains")
    ('train', 'validation', 'test', '')
    """
    words = [word for word in re.findall(r"[^\W\d_]+", name.casefold()) if word not in _FILLERS]
    return _SIDES.get(words[0], "") if len(words) == 1 else ""


def _ready_made(listing: Listing) -> _Sides:
    """Find folders called train and test, or train and validation, at the first, second or third level."""
    for level in range(3):
        names = {found.parts[level] for found in listing.pictures if len(found.parts) > level}
        sides = {name: side_of(name) for name in names}
        others = sorted(name for name, side in sides.items() if not side)
        if "train" not in sides.values() or len(set(sides.values()) - {""}) < 2 or (others and level):
            continue
        gone = [found for found in listing.pictures if not sides.get("".join(found.parts[level : level + 1]))]
        listing.leave_out(gone, "beside the folders of the ready-made split")
        levels = [level]
        # Archives that were unpacked into a folder of their own name: training_set/training_set/cats.
        while all(sides[f.parts[level]] in map(side_of, f.parts[levels[-1] + 1 :][:1]) for f in listing.pictures):
            levels.append(levels[-1] + 1)
        return _without_flat_sides(listing, _Sides(tuple(levels)))
    return _Sides()


def _without_flat_sides(listing: Listing, sides: _Sides) -> _Sides:
    """Leave out sides whose pictures lie in no class folder, such as the unlabelled test of a competition."""
    flat: set[str] = set()
    sorted_ones: set[str] = set()
    for found in listing.pictures:
        (sorted_ones if _rest(found.parts, sides) else flat).add(sides.of(found.parts))
    flat -= {*sorted_ones, ""}
    if "train" in flat:
        raise settings.UserError(
            f"'{listing.shown}' holds a ready-made split, but the pictures in train lie in no class folder. Make one "
            "folder per class in each of its folders; where a table has the labels, read that."
        )
    for side in sorted(flat):
        gone = [found for found in listing.pictures if sides.of(found.parts) == side]
        listing.leave_out(gone, f"in the {side} folder without a class")
    return sides


def _rest(parts: tuple[str, ...], sides: _Sides) -> tuple[str, ...]:
    """The folders that lead to a picture, besides those of a ready-made split."""
    return tuple(part for level, part in enumerate(parts) if level not in sides.levels)


def _levels(rests: Collection[tuple[str, ...]]) -> tuple[set[str], dict[str, set[str]], int]:
    """Upper folders; for each its sub-folders with pictures; the number of pictures straight in upper folders."""
    below: dict[str, set[str]] = defaultdict(set)
    for rest in rests:
        if len(rest) > 1:
            below[rest[0]].add(rest[1])
    return {rest[0] for rest in rests if rest}, below, sum(len(rest) == 1 for rest in rests)


def _shared(below: dict[str, set[str]]) -> set[str]:
    """The names, two or more, that sub-folders of different upper folders have in common, if they have few others."""
    often = Counter(name for names in below.values() for name in names)
    common = {name for name, times in often.items() if times > 1}
    return common if len(common) > max(1, len(often) / 2) else set()


def _few(direct: int, rests: Collection[tuple[str, ...]]) -> bool:
    """Whether pictures straight in upper folders are strays."""
    return 5 * direct <= sum(len(rest) > 1 for rest in rests)


def _patients(upper: Collection[str], shared: Collection[str]) -> bool:
    """Whether upper folders are patients: more of them than of the classes that they share, and numbered."""
    numbered = sum(any(character.isdigit() for character in name) for name in upper)
    return len(upper) > max(2, len(shared)) and numbered >= 0.8 * len(upper)


def _ambiguous(listing: Listing, upper: Sequence[str], shared: Sequence[str]) -> str:
    return (
        f"The sub-folders of '{listing.shown}' ({settings.listed(upper)}) hold folders, not "
        f"pictures, and all the same ones ({settings.listed(shared)}). If the upper ones are the classes, put their "
        "pictures straight into them; if they are domains, such as day and night, read them with "
        "datasets.from_domain_folders; for one of them alone, give that folder."
    )


def _require_folders(listing: Listing) -> None:
    if listing.top:
        return
    files = len(listing.pictures) + len(listing.passed_over)
    what = f"has {files} files but no class folders" if files else "is empty"
    table = " Or, if a table names the class of each file, give that table as labels." if files else ""
    raise settings.UserError(f"'{listing.shown}' {what}. {ADVICE}{table}")


def _class_folders(listing: Listing, sides: _Sides, level: int) -> list[str]:
    rests = {_rest(parts, sides) for parts in listing.folders if not sides.levels or sides.of(parts)}
    return sorted({rest[level] for rest in rests if len(rest) > level}, key=natural)


def _tell_of_deeper_ones(listing: Listing, rests: Sequence[tuple[str, ...]]) -> None:
    deeper = Counter("/".join(rest) for rest in rests if len(rest) > 1)
    if deeper:
        told = [f"{folder}: {count}" for folder, count in sorted(deeper.items())]
        listing.notes.append(
            f"{deeper.total()} of {settings.many(len(rests), 'picture')} lie deeper than their class folder and count "
            f"for it ({settings.listed(told)})."
        )


def _ordered(entries: Iterable[Entry]) -> list[Entry]:
    """By domain, by class, by name; numbers within the names of folders by their size."""

    def key(entry: Entry) -> tuple[object, ...]:
        path = str(entry.path)
        return natural(entry.domain), natural(entry.label), unicodedata.normalize("NFC", path), path

    return sorted(entries, key=key)
