"""Split labelled examples into training, validation and test so that nothing leaks."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tlutils import settings
from tlutils.datasets.examples import Dataset, Examples

# A split tries this many orders of the groups before it says that none puts every class on every side.
_ATTEMPTS = 20


@dataclass(frozen=True, eq=False, repr=False)
class Split:
    """Which pictures are for what; each attribute is an int64 array of indices into the dataset, shuffled.

    Attributes
    ----------
    train : int64 array
        Pictures whose labels may be learned.
    validation : int64 array
        Pictures for every choice on the way.
    test : int64 array
        Pictures that nothing but the last number sees.
    """

    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]

    def __repr__(self) -> str:
        return f"Split(train: {len(self.train)}, validation: {len(self.validation)}, test: {len(self.test)} pictures)"


def split(
    dataset: Examples,
    *,
    labels_per_class: int | None,
    seed: int,
    draw: int = 0,
    validation: float = 0.2,
    test: float = 0.4,
) -> Split:
    """Divide the pictures into three sides that share nothing.

    Every class keeps its share on every side, whole groups go to one side. Validation and test depend on the seed and
    not on `labels_per_class` or `draw`; in the first draw, fewer labels are a part of more labels. So learning curves
    compare like with like.

    Parameters
    ----------
    dataset : Dataset or datasets.Sentences
    labels_per_class : int or None
        Training pictures of each class, exactly; None for all that validation and test leave.
    seed : int
        0 or more.
    draw : int
        0 or more; which pictures are labelled among those that validation and test leave. Draws share no picture as
        long as there are enough, and as few as possible after that; see `shared`.
    validation, test : float
        Shares of each class, above 0, together below 1; rounded to whole pictures, at least one. With groups of
        several pictures the shares are met as nearly as the groups allow. Of a ready-made split they count for a side
        that it lacks, as shares of its training pictures.

    Returns
    -------
    Split

    Raises
    ------
    settings.UserError
        Shares that leave nothing; a class with fewer than three groups; more labels asked for than are left; a
        ready-made side without a picture of some class.

    Examples
    --------
    >>> from tlutils.datasets import load
    >>> dataset = load("synthetic_flowers", per_class=10)
    >>> split(dataset, labels_per_class=2, seed=0)
    Split(train: 10, validation: 10, test: 20 pictures)
    """
    if not (0 < validation and 0 < test and validation + test < 1):
        raise settings.UserError(
            f"validation={validation} and test={test} must be shares above 0 that leave something for training "
            "(their sum below 1); usual are 0.2 and 0.4."
        )
    if labels_per_class is not None:
        settings.require_whole(1, labels_per_class=labels_per_class)
    settings.require_whole(0, seed=seed, draw=draw)
    rng = np.random.default_rng(seed)
    side = _ready_made_sides(dataset, validation, test, rng)
    left = side == _TRAIN
    _require_enough(dataset, left, labels_per_class)
    pools = [rng.permutation(np.flatnonzero(left & (dataset.labels == k))) for k in range(len(dataset.class_names))]
    wanted = [len(pool) if labels_per_class is None else labels_per_class for pool in pools]
    train = np.concatenate([np.roll(pool, -draw * n)[:n] for pool, n in zip(pools, wanted, strict=True)])
    return Split(
        *(rng.permutation(part) for part in (train, *map(np.flatnonzero, (side == _VALIDATION, side == _TEST))))
    )


def shared(splits: Sequence[Split]) -> float:
    """Tell how much of their training pictures two draws have in common, on average.

    Parameters
    ----------
    splits : sequence of Split
        Draws of one size, two or more.

    Returns
    -------
    float
        0 for draws that share no picture, to less than 1.

    Raises
    ------
    settings.UserError
        Draws of the same pictures, which are one draw.
    """
    pairs = itertools.combinations([set(split.train.tolist()) for split in splits], 2)
    share = float(np.mean([len(first & second) / len(first) for first, second in pairs]))
    if share == 1:
        raise settings.UserError(
            f"All {len(splits)} draws have the same {len(splits[0].train)} training pictures, so they are one draw. "
            "Ask for fewer labels per class, or give more pictures."
        )
    return share


_TRAIN, _VALIDATION, _TEST = range(3)
SIDES = ("train", "validation", "test")


def _ready_made_sides(dataset: Examples, validation: float, test: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """Side of every picture: the one that came with it, as far as one did."""
    if not isinstance(dataset, Dataset) or dataset.ready_made is None:
        return _sides(dataset, (1 - validation - test, validation, test), rng)
    side = np.array([SIDES.index(name) for name in dataset.ready_made], dtype=np.int64)
    present = set(side.tolist())
    for which in sorted(present | {_TRAIN}):
        lacking = np.setdiff1d(np.arange(len(dataset.class_names)), dataset.labels[side == which])
        if lacking.size:
            names = settings.listed([repr(dataset.class_names[label]) for label in lacking])
            raise settings.UserError(
                f"The ready-made {SIDES[which]} of {dataset.name} has no picture of {names}. Every class must be on "
                "every side: add pictures, delete the class everywhere, or put all pictures of a class into one folder."
            )
    validation, test = (0 if which in present else share for which, share in ((_VALIDATION, validation), (_TEST, test)))
    if validation or test:
        train = np.flatnonzero(side == _TRAIN)
        rest = dataset.subset(train)
        side[train] = _sides(rest, (1 - validation - test, validation, test), rng)
    return side


def _sides(dataset: Examples, shares: tuple[float, float, float], rng: np.random.Generator) -> NDArray[np.int64]:
    """Side of every picture: as near to the shares as the groups allow, every class on every side with a share."""
    group_of = np.unique(dataset.groups, return_inverse=True)[1]
    members = np.zeros((group_of.max(initial=-1) + 1, len(dataset.class_names)), dtype=np.int64)
    np.add.at(members, (group_of, dataset.labels), 1)
    dealt = np.flatnonzero(shares)
    _require_groups(dataset, members, dealt)
    wanted = np.array([_shares(int(count), shares) for count in dataset.counts]).T[dealt]
    for attempt in range(_ATTEMPTS):
        order = rng.permutation(len(members))
        if attempt == 0:  # Large groups first: the small ones can still even out what those leave.
            order = order[np.argsort(-members[order].sum(axis=1), kind="stable")]
        side = dealt[_dealt(members[order], wanted)[np.argsort(order)]]
        if all((side[members[:, label] > 0] == which).any() for label in range(members.shape[1]) for which in dealt):
            return side[group_of]
    raise settings.UserError(
        f"{dataset.name}: groups that hold several classes leave no way to put every class into "
        f"{_joined(dealt)}. Use smaller groups, or add examples of other groups."
    )


def _shares(count: int, shares: tuple[float, float, float]) -> tuple[int, int, int]:
    """Whole pictures of a class for training, validation and test, at least one for each that has a share."""
    _, validation, test = shares
    for_test = min(max(1, int(count * test + 0.5)), count - 1 - (validation > 0)) if test else 0
    for_validation = min(max(1, int(count * validation + 0.5)), count - for_test - 1) if validation else 0
    return count - for_validation - for_test, for_validation, for_test


def _joined(sides: NDArray[np.int64]) -> str:
    names = [("training", "validation", "test")[side] for side in sides]
    return f"{', '.join(names[:-1])} and {names[-1]}"


def _dealt(members: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    """Deal the groups in their order, each to the side that needs it most.

    `members` is (groups, classes), `wanted` is (sides, classes), both in pictures. scikit-learn's StratifiedGroupKFold
    is no help here: it knows only equal shares, and may leave a class out of a fold.
    """
    side = np.empty(len(members), dtype=np.int64)
    dealt = np.zeros_like(wanted)
    for group, added in enumerate(members):
        present = np.flatnonzero(added)
        have, want = dealt[:, present], wanted[:, present]
        gap_before, gap_after = (have - want) / want, (have + added[present] - want) / want
        change = (gap_after**2 - gap_before**2).sum(axis=1)
        # To bring a class to a side that has none of it goes before all proportion.
        first_of_class = (have == 0).sum(axis=1)
        side[group] = np.lexsort((change, -first_of_class))[0]
        dealt[side[group]] += added
    return side


def _require_groups(dataset: Examples, members: NDArray[np.int64], sides: NDArray[np.int64]) -> None:
    if len(dataset.class_names) < 2:
        raise settings.UserError(f"{dataset.name} has one class only; a classifier needs two or more.")
    groups = (members > 0).sum(axis=0)
    scarce = int(groups.argmin())
    if groups[scarce] < len(sides):
        raise settings.UserError(
            f"Class {dataset.class_names[scarce]!r} of {dataset.name} has {dataset.counts[scarce]} examples in "
            f"{groups[scarce]} groups; {_joined(sides)} need one group each, so at least {len(sides)}. Add examples "
            "of that class, leave the class out, or use smaller groups (exact duplicates count as one group)."
        )


def _require_enough(dataset: Examples, left: NDArray[np.bool_], labels_per_class: int | None) -> None:
    available = np.bincount(dataset.labels[left], minlength=len(dataset.class_names))
    scarce = int(available.argmin())
    if labels_per_class is not None and labels_per_class > available[scarce]:
        raise settings.UserError(
            f"labels_per_class={labels_per_class} is too many: class {dataset.class_names[scarce]!r} of {dataset.name} "
            f"has {dataset.counts[scarce]} examples in all, of which validation and test leave {available[scarce]} for "
            f"training. Give {available[scarce]} or less, add examples of that class, leave the class out, or make "
            "validation and test smaller."
        )
