"""What reading a folder showed: counted in one place, said once, and kept for whoever asks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tlutils import settings
from tlutils.datasets.layouts import PassedOver
from tlutils.datasets.picture_files import Scan

# A class is given away if a rule that sees only a property of the files is right for this share of it and of the rest.
_GIVEN_AWAY = 0.95
_FEWEST, _FEWEST_FOR_THRESHOLD = 3, 10

# Pixels a side, and how many times as long as wide.
_SMALL, _LONG = 8, 8

# A picture whose values fill a smaller part of the data set's range has a few of the 256 grey levels.
_FLAT = 50


class UnreadablePicture(UserWarning):
    """A picture, or a whole class, was left out because it cannot be read."""


class FolderNote(UserWarning):
    """Something in a folder was passed over, or was understood in one of several ways."""


class Shortcut(UserWarning):
    """Something besides what the pictures show tells their class (Geirhos et al. 2020, "Shortcut learning")."""


@dataclass(frozen=True)
class Report:
    """What reading a folder showed; printed, it becomes a short text.

    Attributes
    ----------
    read : int
        Pictures.
    passed_over : dict of str to int
        From folder, suffix and reason to a number of files.
    unreadable : dict of str to str
        From file to reason.
    junk : dict of str to int
        What systems leave behind, by name.
    exact_duplicates : int
        Pictures that show the same pixels as an earlier one.
    near_duplicates : int
        Pictures, besides those, that look nearly the same as an earlier one; see `copies.alike`.
    sizes : dict of str to (int, int)
        Width and height of the smallest, the median and the largest picture, by their area; empty without pictures.
    modes, depths, formats : dict of str to int
        Pillow's modes and formats; bits.
    ready_made : dict of str to int
        Pictures of each side of a ready-made split; empty without one.
    notes : tuple of str
        What was said besides, in whole sentences.
    """

    read: int
    passed_over: dict[str, int] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)
    junk: dict[str, int] = field(default_factory=dict)
    exact_duplicates: int = 0
    near_duplicates: int = 0
    sizes: dict[str, tuple[int, int]] = field(default_factory=dict)
    modes: dict[str, int] = field(default_factory=dict)
    depths: dict[str, int] = field(default_factory=dict)
    formats: dict[str, int] = field(default_factory=dict)
    ready_made: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        sizes = [f"{name} {width}x{height}" for name, (width, height) in self.sizes.items()]

        def named(counts: Mapping[str, int]) -> str:
            return settings.listed([f"{name} ({count})" for name, count in counts.items()])

        lines = [
            f"{settings.many(self.read, 'picture')} read, {sum(self.passed_over.values())} files passed over, "
            f"{len(self.unreadable)} unreadable",
            f"sizes: {', '.join(sizes)}" if sizes else "",
            f"formats: {named(self.formats)}; modes: {named(self.modes)}; depths: {named(self.depths)}",
            f"copies: {self.exact_duplicates} exact, {self.near_duplicates} near",
            f"ready-made split: {named(self.ready_made)}" if self.ready_made else "",
            f"left by systems: {named(self.junk)}" if self.junk else "",
            *self.notes,
        ]
        return "\n".join(line for line in lines if line)


def counted(counts: Mapping[str, int]) -> str:
    """List what was counted, the first ten by name."""
    return settings.listed([f"{count} {name}" for name, count in counts.items()])


def passed_over(things: Sequence[PassedOver]) -> dict[str, int]:
    """Count what was passed over by folder, suffix and reason; by suffix and reason alone if that makes too many."""
    for by_folder in (True, False):
        found = Counter(
            f"{settings.printable(thing.suffix, 16) or 'without suffix'} ({thing.what})"
            + (f" in {settings.printable(thing.folder, 60) or 'the folder itself'}" if by_folder else "")
            for thing in things
        )
        if len(found) <= settings.NAMED_AT_MOST:
            break
    return dict(found.most_common())


def one_of_each_first(names: Sequence[str], reasons: Sequence[str]) -> list[str]:
    """Join names with their reasons so that a list that is cut still shows every reason."""
    said_before = np.ones(len(reasons), dtype=bool)
    said_before[np.unique(reasons, return_index=True)[1]] = False
    return [f"{names[at]} ({reasons[at]})" for at in np.argsort(said_before, kind="stable")]


def ways_out(found: Sequence[str]) -> str:
    """Say every way out once."""
    return " ".join(dict.fromkeys(way for way in found if way))


def sizes(scans: Sequence[Scan]) -> dict[str, tuple[int, int]]:
    """Width and height of the smallest, the median and the largest picture by area."""
    ordered = sorted((one.size for one in scans), key=lambda size: (size[0] * size[1], size))
    if not ordered:
        return {}
    return {"smallest": ordered[0], "median": ordered[len(ordered) // 2], "largest": ordered[-1]}


def notes_on(shown: Sequence[str], scans: Sequence[Scan], spans: Mapping[str, tuple[float, float]]) -> list[str]:
    """Say of which pictures only a part is seen, and how their values become 8 bits."""
    notes = []
    pages = [f"page {one.page} of {name}" for name, one in zip(shown, scans, strict=True) if one.page]
    if pages:
        notes.append(
            f"{settings.many(len(pages), 'file')} with several pages: of each the first that is not empty is read "
            f"({settings.listed(pages[:3])}{', ...' if len(pages) > 3 else ''}); save the pages that you want as files."
        )
    for depth, (low, high) in spans.items():
        if (low, high) != (0, 65535):
            own = [one.span[1] - one.span[0] for one in scans if one.depth == depth and one.span]
            flat = sum(_FLAT * width < high - low for width in own)
            notes.append(
                f"{settings.many(len(own), 'picture')} of {depth}: all are stretched alike, so that {low:g} becomes "
                f"black and {high:g} white, the range of this data set's values."
                + (f" {flat} of them fill less than 1/{_FLAT} of that range and show next to nothing." if flat else "")
            )
    small = [name for name, one in zip(shown, scans, strict=True) if min(one.size) < _SMALL]
    if small:
        notes.append(
            f"{settings.many(len(small), 'picture')} under {_SMALL} pixels high or wide: {settings.listed(small)}."
        )
    long = [name for name, one in zip(shown, scans, strict=True) if max(one.size) > _LONG * min(one.size)]
    if long:
        notes.append(
            f"{settings.many(len(long), 'picture')} over {_LONG} times as long as wide, of which only the square in "
            f"the middle is seen: {settings.listed(long)}."
        )
    return notes


def given_away(
    paths: Sequence[Path], scans: Sequence[Scan], labels: NDArray[np.int64], class_names: Sequence[str]
) -> str | None:
    """Say which properties of the files tell a class without a look at any pixel, or None.

    A rule sees one property and names a class or "another". For bit depth, mode, format, suffix and size it goes by
    what the other pictures with the same value are, each class weighing as much as all others together; for width,
    height, area and shape also by the best threshold, whose balanced accuracy is (1 + Kolmogorov-Smirnov distance) / 2.
    """
    from scipy.stats import ks_2samp

    widths, heights = np.array([one.size for one in scans], dtype=np.float64).reshape(-1, 2).T
    values = {
        "bit depth": [one.depth for one in scans],
        "mode": [one.mode for one in scans],
        "file format": [one.format for one in scans],
        "suffix": [path.suffix for path in paths],
        "size": [f"{one.size[0]}x{one.size[1]}" for one in scans],
    }
    counts = np.bincount(labels, minlength=len(class_names))
    told: dict[str, list[str]] = {}
    for name, column in values.items():
        kinds, codes = np.unique(np.array(column, dtype=object).astype(str), return_inverse=True)
        if len(kinds) < 2:
            continue
        table = np.zeros((len(kinds), len(class_names)))
        np.add.at(table, (codes, labels), 1)
        for label, count in enumerate(counts):
            if count >= _FEWEST and len(labels) - count >= _FEWEST and _known(table, label) >= _GIVEN_AWAY:
                typical = settings.printable(str(kinds[table[:, label].argmax()]), 16) or "none"
                told.setdefault(name, []).append(f"{typical} for {class_names[label]!r}")
    for measure in (widths, heights, widths * heights, widths / heights):
        if "size" in told or len(np.unique(measure)) < 2:
            continue
        for label, count in enumerate(counts):
            mine, others = measure[labels == label], measure[labels != label]
            if min(count, len(others)) < _FEWEST_FOR_THRESHOLD:
                continue
            if (1 + ks_2samp(mine, others, method="asymp").statistic) / 2 >= _GIVEN_AWAY:
                middle = tuple(int(np.median(side[labels == label])) for side in (widths, heights))
                text = f"about {middle[0]}x{middle[1]} for {class_names[label]!r}"
                if text not in told.setdefault("sizes", []):
                    told["sizes"].append(text)
    if not told:
        return None
    parts = [f"{name} ({settings.listed(found)})" for name, found in told.items()]
    return (
        f"Without a look at the pictures, their {' and their '.join(parts)} tells the class at least {_GIVEN_AWAY:.0%} "
        "of the time. A network can learn that instead of what you mean, and a high score then says nothing: bring all "
        "pictures into one form, and ask why the classes differ in it."
    )


def _known(table: NDArray[np.float64], label: int) -> float:
    """Balanced accuracy of a rule that goes by the other pictures of the same value; table is (values, classes)."""
    mine, others = table[:, label], table.sum(axis=1) - table[:, label]
    # Each picture is judged without itself.
    right_mine = ((mine - 1) / mine.sum() > others / others.sum()) @ mine / mine.sum()
    right_others = ((others - 1) / others.sum() > mine / mine.sum()) @ others / others.sum()
    return float(right_mine + right_others) / 2
