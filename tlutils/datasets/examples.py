"""Labelled examples in one form: pictures and sentences, each with its label and its group."""

from __future__ import annotations

import html
from collections.abc import Sequence, Sized
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from tlutils import settings
from tlutils.datasets import decoding, picture_files
from tlutils.datasets.picture_files import PictureFiles, Pictures
from tlutils.datasets.reports import Report


class DoubtfulLabel(UserWarning):
    """The same pixels, or the same sentence, occur under two labels, or one label may be spelt in two ways."""


class Examples:
    """What a `Dataset` and `Sentences` share: labels in classes and groups, and how they show themselves."""

    # Declared here, and fields of the dataclasses below, each of which has its own order.
    noun: ClassVar[str]
    name: str
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    groups: NDArray[np.int64]

    def _contents(self, chosen: NDArray[np.int64]) -> dict[str, Any]:
        """What belongs to the chosen examples besides label and group, by attribute."""
        raise NotImplementedError

    def _require_equal_numbers(self, **parts: Sized) -> None:
        numbers = {name: len(part) for name, part in {**parts, "labels": self.labels, "groups": self.groups}.items()}
        if len(set(numbers.values())) > 1:
            raise ValueError(f"{self.name}: {self.noun} and what belongs to them differ in number: {numbers}")
        if len(self) and not 0 <= self.labels.min() <= self.labels.max() < len(self.class_names):
            raise ValueError(f"{self.name}: labels must be 0 to {len(self.class_names) - 1}, one for each class name")

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def counts(self) -> NDArray[np.int64]:
        """Examples of each class, shape (number of classes,)."""
        return np.bincount(self.labels, minlength=len(self.class_names)).astype(np.int64)

    def subset(self, indices: picture_files.Index) -> Self:
        """Return some of the examples, in the order of `indices`, with everything that belongs to them.

        Parameters
        ----------
        indices : slice, or array of int or bool

        Returns
        -------
        Dataset or Sentences
            Of the same classes, also where one of them has no example left.
        """
        chosen = np.atleast_1d(np.arange(len(self))[indices])
        labels, groups = self.labels[chosen], self.groups[chosen]
        return replace(self, labels=labels, groups=groups, **self._contents(chosen))  # type: ignore[type-var]

    def _title(self) -> str:
        return f"{self.name}: {len(self)} {self.noun}"

    def __repr__(self) -> str:
        parts = [f"{name}: {count}" for name, count in zip(self.class_names, self.counts, strict=True)]
        return f"{self._title()}, {len(parts)} classes ({settings.listed(parts)})"

    def _repr_html_(self) -> str:
        """A table of the classes; those beyond the first ten share a row."""
        most = settings.NAMED_AT_MOST
        named = [(html.escape(name), int(count)) for name, count in zip(self.class_names, self.counts, strict=True)]
        if len(named) > most:
            named[most:] = [(f"and {len(named) - most} more classes", int(self.counts[most:].sum()))]
        rows = "".join(f"<tr><td>{name}</td><td>{count}</td></tr>" for name, count in named)
        return (
            f"<table><caption>{html.escape(self._title())}</caption>"
            f"<thead><tr><th>class</th><th>{self.noun}</th></tr></thead><tbody>{rows}</tbody></table>"
        )


@dataclass(frozen=True, eq=False, repr=False)
class Dataset(Examples):
    """Labelled pictures.

    Attributes
    ----------
    name : str
    pictures : uint8 array or PictureFiles, shape (n, height, width, 3)
        RGB, 0 to 255.
    labels : int64 array, shape (n,)
        Index into `class_names`.
    class_names : tuple of str
    groups : int64 array, shape (n,)
        Pictures of one group never part in a split. Exact duplicates share a group.
    synthetic : bool
        Computed by `synthetic`, not photographed.
    truth : dict of str to array
        What only a synthetic world knows, first axis n; empty for real pictures.
    ready_made : str array, shape (n,), or None
        The side of a split that came with the pictures: ``"train"``, ``"validation"`` or ``"test"``.
    report : Report or None
        What reading the files showed, also in a subset.
    """

    noun = "pictures"
    name: str
    pictures: Pictures
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    groups: NDArray[np.int64]
    synthetic: bool
    truth: dict[str, NDArray[Any]] = field(default_factory=dict)
    ready_made: NDArray[np.str_] | None = None
    report: Report | None = None

    def __post_init__(self) -> None:
        sides = {} if self.ready_made is None else {"ready_made": self.ready_made}
        self._require_equal_numbers(pictures=self.pictures, **sides, **self.truth)
        unknown = set(sides.get("ready_made", ())) - {"train", "validation", "test"}
        if unknown:
            raise ValueError(f"{self.name}: ready_made must be train, validation or test, got {sorted(unknown)}")

    def _contents(self, chosen: NDArray[np.int64]) -> dict[str, Any]:
        pictures = self.pictures.subset(chosen) if isinstance(self.pictures, PictureFiles) else self.pictures[chosen]
        truth = {key: values[chosen] for key, values in self.truth.items()}
        sides = None if self.ready_made is None else self.ready_made[chosen]
        return {"pictures": pictures, "truth": truth, "ready_made": sides}

    def _title(self) -> str:
        return f"{self.name}: {len(self)} {'synthetic' if self.synthetic else 'real'} pictures"

    def resized(self, image_size: int) -> Pictures:
        """Return the pictures with `image_size` pixels a side, lazily if they are files.

        Parameters
        ----------
        image_size : int
            1 or more.

        Returns
        -------
        uint8 array or PictureFiles, shape (n, image_size, image_size, 3)
            The array itself where it has that size already.

        Raises
        ------
        settings.UserError
            If `image_size` is no whole number of at least 1.

        Examples
        --------
        >>> from tlutils.datasets import load
        >>> load("synthetic_flowers", per_class=1).resized(32).shape
        (5, 32, 32, 3)
        """
        if isinstance(self.pictures, PictureFiles):
            return self.pictures.resized(image_size)
        settings.require_whole(1, image_size=image_size)
        pictures = self.pictures
        if pictures.shape[1:3] == (image_size, image_size):
            return pictures
        from PIL import Image

        resized = np.empty((len(pictures), image_size, image_size, 3), dtype=np.uint8)

        def fill(row: int) -> None:
            resized[row] = decoding.central_square(Image.fromarray(pictures[row]), image_size)

        picture_files.in_threads(fill, range(len(pictures)))
        return resized


@dataclass(frozen=True, eq=False, repr=False)
class Sentences(Examples):
    """Labelled sentences; `datasets.split` takes them as it takes pictures.

    Attributes
    ----------
    name : str
    texts : tuple of str, length n
    labels : int64 array, shape (n,)
        Index into `class_names`.
    class_names : tuple of str
    groups : int64 array, shape (n,)
        Sentences of one group never part in a split. What differs only in case and spaces shares a group.
    columns : dict of str to object array of str, shape (n,)
        What else the table says of each sentence.
    """

    noun = "sentences"
    name: str
    texts: tuple[str, ...]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    groups: NDArray[np.int64]
    columns: dict[str, NDArray[np.object_]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._require_equal_numbers(texts=self.texts, **self.columns)

    def _contents(self, chosen: NDArray[np.int64]) -> dict[str, Any]:
        columns = {name: values[chosen] for name, values in self.columns.items()}
        return {"texts": tuple(self.texts[index] for index in chosen), "columns": columns}


def group_numbers(*keys: Sequence[object]) -> NDArray[np.int64]:
    """Number the groups that arise when pictures with any equal key belong together, however long the chain.

    Parameters
    ----------
    *keys : sequence of hashable
        Each of length n.

    Returns
    -------
    int64 array, shape (n,)

    Examples
    --------
    >>> group_numbers(["ann", "ann", "bob", "eve"], ["blue", "red", "red", "grey"])
    array([0, 0, 0, 1])
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = len(keys[0])
    numbers: dict[tuple[int, object], int] = {}
    edges = [
        (picture, numbers.setdefault((column, key), n + len(numbers)))
        for column, values in enumerate(keys)
        for picture, key in enumerate(values)
    ]
    rows, columns = np.array(edges).T
    nodes = n + len(numbers)
    graph = coo_array((np.ones(len(edges), dtype=bool), (rows, columns)), shape=(nodes, nodes))
    return np.asarray(connected_components(graph, directed=False)[1][:n], dtype=np.int64)


def contradictions(names: Sequence[str], keys: Sequence[str], labels: Sequence[object]) -> list[str]:
    """Name the pairs of examples that are the same and have different labels.

    Parameters
    ----------
    names : sequence of str
        What a message calls each example.
    keys : sequence of str
        Equal for examples that are the same.
    labels : sequence

    Returns
    -------
    list of str

    Examples
    --------
    >>> contradictions(["1.png", "2.png", "3.png"], ["red", "blue", "red"], ["rose", "iris", "tulip"])
    ['1.png and 3.png']
    """
    first: dict[str, int] = {}
    pairs = []
    for position, key in enumerate(keys):
        other = first.setdefault(key, position)
        if labels[other] != labels[position]:
            pairs.append(f"{names[other]} and {names[position]}")
    return pairs
