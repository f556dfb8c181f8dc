"""Scenes in several weathers, drawn or the reader's own, dealt to sides so that no scene is on two of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tlutils import settings
from tlutils.datasets import splits
from tlutils.datasets.examples import Dataset
from tlutils.datasets.folders import from_domain_folders
from tlutils.synthetic import roads, weather

# With fewer groups, such as three drives, no random split is fair: each of them is the test side once.
_FEW = 10
_MOST_DRAWS = 100


@dataclass(frozen=True, eq=False)
class Scenes:
    """What every draw has on every side.

    Attributes
    ----------
    class_names : tuple of str
    weathers : tuple of str
        Or domains; the first one is home, where labels are cheap.
    draws : int
    shared : float
        The share of training scenes that two draws have in common.
    dial : bool
        Whether the weathers are laid over, so that they have a severity.
    synthetic : bool
    story : str
        How the scenes were dealt, in a sentence for the reader.
    """

    class_names: tuple[str, ...]
    weathers: tuple[str, ...]
    draws: int
    shared: float
    dial: bool
    synthetic: bool
    story: str
    _seed: int
    _size: int
    _per_class: Mapping[str, int]
    _own: Dataset | None = None
    _domains: NDArray[np.str_] | None = None
    _rows: tuple[Mapping[str, NDArray[np.int64]], ...] = ()

    def view(self, draw: int, side: str, name: str, severity: float = 0.6) -> Dataset:
        """Return the scenes of one side of a draw, as they look in one weather.

        Parameters
        ----------
        draw : int
            0 to `draws` - 1.
        side : str
            train, validation or test.
        name : str
            One of `weathers`.
        severity : float
            Of a weather that is laid over, 0 to 1.

        Returns
        -------
        Dataset
            Its groups number the scenes, in all draws, sides and weathers alike.
        """
        number = splits.SIDES.index(side)
        # Seeds of other draws, sides and runs draw other scenes, and other flakes and drops.
        world = 3 * (_MOST_DRAWS * self._seed + draw) + number
        if self._own is None:
            drawn = roads.roads(self._per_class[side], world, self._size, name, severity)
            groups = np.arange(len(drawn.labels)) + 100_000 * (3 * draw + number)
            return Dataset("roads", drawn.pictures, drawn.labels, self.class_names, groups, synthetic=True)
        rows = self._rows[draw][side]
        if not self.dial:
            assert self._domains is not None
            rows = rows[self._domains[rows] == name]
        pictures = self._own.pictures[rows]
        if self.dial:
            pictures = weather.overlay(pictures, name, severity, world)
        given = self._own.labels[rows], self.class_names, self._own.groups[rows]
        return Dataset(self._own.name, pictures, *given, synthetic=False)

    def table(self, **seen: Sequence[str]) -> tuple[Dataset, dict[tuple[int, str, str], NDArray[np.int64]]]:
        """Return all pictures of all draws one under the other, and where each part lies.

        Parameters
        ----------
        **seen : sequence of str
            For train, validation and test the weathers that each is seen in.

        Returns
        -------
        pictures : Dataset
        rows : dict of (draw, side, weather) to int array
        """
        parts = [(draw, side, name) for draw in range(self.draws) for side, names in seen.items() for name in names]
        views = [self.view(*part) for part in parts]
        ends = np.cumsum([len(view) for view in views])
        rows = dict(zip(parts, np.split(np.arange(ends[-1]), ends[:-1]), strict=True))
        pictures, labels, groups = (
            np.concatenate([getattr(view, what) for view in views]) for what in ("pictures", "labels", "groups")
        )
        name = views[0].name
        return Dataset(name, pictures, labels, self.class_names, groups, synthetic=self.synthetic), rows


def weather_scenes(
    data_dir: str | Path | None = None,
    *,
    groups: str = "",
    seed: int,
    image_size: int,
    draws: int,
    per_class: Mapping[str, int],
    weathers: tuple[str, ...] = weather.WEATHERS,
) -> Scenes:
    """Draw roads in five weathers, or read the reader's photographs, and deal the scenes to the sides of each draw.

    Drawn roads are others in every draw and on every side. Of a folder with one sub-folder of photographs per class,
    weathers are laid over the photographs; a folder of domains, each with one sub-folder per class, stays as it is, and
    its domains take the place of weathers. Photographs are dealt by their groups; a ready-made split stays. Of fewer
    than ten groups, each that has every class is the test side of one draw.

    Parameters
    ----------
    data_dir : str or Path, optional
    groups : str
        A regular expression whose parentheses catch the drive, street or day in a file name.
    seed : int
    image_size : int
    draws : int
        Fewer where there are only a few groups.
    per_class : mapping from train, validation and test to int
        Scenes of each class; of photographs, ``train`` counts at most, and the other sides have what is there.
    weathers : tuple of str
        Those that are laid over, home first.

    Returns
    -------
    Scenes

    Raises
    ------
    settings.UserError
        What `from_domain_folders` and `split` raise; fewer than two groups that can be left out; an unknown weather.
    """
    settings.require_whole(2, draws=draws)
    for name in weathers:
        weather.check(name, 0.5)
    if data_dir is None:
        story = f"{draws} draws, each with scenes of its own on every side"
        return Scenes(roads.ROADS, weathers, draws, 0.0, True, True, story, seed, image_size, per_class)
    files, domains = from_domain_folders(data_dir, groups=groups or None)
    # Every draw, side and weather shows them again, so they are read once.
    pictures = np.asarray(files.resized(image_size)[:])
    own = Dataset(files.name, pictures, files.labels, files.class_names, files.groups, synthetic=False)
    names = list(dict.fromkeys(domains.tolist()))
    dial = len(names) == 1
    if not dial:
        names.sort(key=lambda name: name != "clear")
    cells = np.array([names.index(name) for name in domains]) * len(own.class_names) + own.labels
    labelled = tuple(f"{name}, {label}" for name in names for label in own.class_names)
    parts = Dataset(own.name, pictures, cells, labelled, own.groups, synthetic=False, ready_made=files.ready_made)
    if files.ready_made is None and len(set(own.groups)) < _FEW:
        dealt = _left_out(parts)
        story = f"{len(dealt)} draws, in each of which one group that has every class is the test side"
    else:
        dealt = [splits.split(parts, labels_per_class=None, seed=draws * seed + draw) for draw in range(draws)]
        story = f"{draws} draws that deal the same groups anew"
        if files.ready_made is not None:
            story = f"{draws} draws of other training pictures, in the ready-made split"
    n = min(per_class["train"], *(np.bincount(cells[part.train]).min() for part in dealt))
    dealt = [splits.Split(_first(n, part.train, cells), part.validation, part.test) for part in dealt]
    rows = tuple({side: getattr(part, side) for side in splits.SIDES} for part in dealt)
    shared = splits.shared(dealt)
    # What is laid over has its own names; the folder's name is no weather.
    names = list(weathers) if dial else names
    story += f"; {n} training pictures of each class"
    about = own.class_names, tuple(names), len(dealt), shared, dial, False, story
    return Scenes(*about, seed, image_size, per_class, own, domains, rows)


def _left_out(parts: Dataset) -> list[splits.Split]:
    """Leave each group out that has every class while the others have every class too."""
    kinds = len(parts.class_names)
    dealt = []
    for group in np.unique(parts.groups):
        test, rest = (np.flatnonzero(mask) for mask in (parts.groups == group, parts.groups != group))
        rng = np.random.default_rng(int(group))
        order = rng.permutation(rest)
        validation = _first(0, order, parts.labels, share=0.25)
        train = order[~np.isin(order, validation)]
        if all(len(np.unique(parts.labels[side])) == kinds for side in (train, validation, test)):
            dealt.append(splits.Split(train, validation, test))
    if len(dealt) < 2:
        raise settings.UserError(
            f"{parts.name} has {settings.many(len(np.unique(parts.groups)), 'group')}, and {len(dealt)} of them can be "
            "left out so that both it and the others have every class; two are needed. Give more drives or days, or "
            "other groups."
        )
    return dealt


def _first(n: int, rows: NDArray[np.int64], labels: NDArray[np.int64], share: float = 0.0) -> NDArray[np.int64]:
    """Return the first `n` rows of each class, or the first `share` of each."""
    chosen = [rows[labels[rows] == label] for label in np.unique(labels[rows])]
    return np.concatenate([each[: n or max(1, round(share * len(each)))] for each in chosen])
