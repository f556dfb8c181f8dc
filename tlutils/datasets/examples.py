"""Labelled examples in one form: pictures and sentences, each with its label and its group."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tlutils import settings
from tlutils.datasets import picture_files
from tlutils.datasets.picture_files import PictureFiles, Pictures


class DoubtfulLabel(UserWarning):
    """The same pixels, or the same sentence, occur under two labels; at least one of them is wrong."""


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
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
        Computed by `worlds`, not photographed.
    truth : dict of str to array
        What only a synthetic world knows, first axis n; empty for real pictures.
    """

    name: str
    pictures: Pictures
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    groups: NDArray[np.int64]
    synthetic: bool
    truth: dict[str, NDArray[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not len(self.pictures) == len(self.labels) == len(self.groups):
            raise ValueError(
                f"{self.name}: {len(self.pictures)} pictures, {len(self.labels)} labels and {len(self.groups)} groups; "
                "their numbers must be equal"
            )
        if len(self.labels) and not 0 <= self.labels.min() <= self.labels.max() < len(self.class_names):
            raise ValueError(f"{self.name}: labels must be 0 to {len(self.class_names) - 1}, one for each class name")

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def counts(self) -> NDArray[np.int64]:
        """Pictures of each class, shape (number of classes,)."""
        return np.bincount(self.labels, minlength=len(self.class_names)).astype(np.int64)

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
        picture_files.check_size(image_size)
        pictures = self.pictures
        if pictures.shape[1:3] == (image_size, image_size):
            return pictures
        from PIL import Image

        resized = np.empty((len(pictures), image_size, image_size, 3), dtype=np.uint8)

        def fill(row: int) -> None:
            resized[row] = picture_files.central_square(Image.fromarray(pictures[row]), image_size)

        picture_files.in_threads(fill, range(len(pictures)))
        return resized

    def subset(self, indices: picture_files.Index) -> Dataset:
        """Return some of the pictures, in the order of `indices`, with everything that belongs to them.

        Parameters
        ----------
        indices : slice, or array of int or bool

        Returns
        -------
        Dataset
            Of the same classes, also where one of them has no picture left.
        """
        chosen = np.atleast_1d(np.arange(len(self))[indices])
        pictures = self.pictures.subset(chosen) if isinstance(self.pictures, PictureFiles) else self.pictures[chosen]
        truth = {key: values[chosen] for key, values in self.truth.items()}
        return Dataset(
            self.name, pictures, self.labels[chosen], self.class_names, self.groups[chosen], self.synthetic, truth
        )

    def __repr__(self) -> str:
        parts = [f"{name}: {count}" for name, count in zip(self.class_names, self.counts, strict=True)]
        kind = "synthetic" if self.synthetic else "real"
        return f"{self.name}: {len(self)} {kind} pictures, {len(parts)} classes ({settings.listed(parts)})"

    def _repr_html_(self) -> str:
        kind = "synthetic" if self.synthetic else "real"
        return class_table(f"{self.name}: {len(self)} {kind} pictures", "pictures", self.class_names, self.counts)


def class_table(title: str, things: str, class_names: Sequence[str], counts: NDArray[np.int64]) -> str:
    """Show in HTML how many things each class has; the classes beyond the first ten share a row.

    Parameters
    ----------
    title, things : str
        Of the table, and of its second column.
    class_names : sequence of str
    counts : int64 array, shape (number of classes,)

    Returns
    -------
    str
    """
    most = settings.NAMED_AT_MOST
    named = [(html.escape(name), int(count)) for name, count in zip(class_names, counts, strict=True)]
    if len(named) > most:
        named[most:] = [(f"and {len(named) - most} more classes", int(counts[most:].sum()))]
    rows = "".join(f"<tr><td>{name}</td><td>{count}</td></tr>" for name, count in named)
    return (
        f"<table><caption>{html.escape(title)}</caption>"
        f"<thead><tr><th>class</th><th>{things}</th></tr></thead><tbody>{rows}</tbody></table>"
    )


class Labelled(Protocol):
    """What `split` takes: a `Dataset`, or labelled things of another kind with the same attributes."""

    @property
    def name(self) -> str:
        """What messages call it."""

    @property
    def labels(self) -> NDArray[np.int64]:
        """Index into `class_names`, shape (n,)."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """One name for each class."""

    @property
    def groups(self) -> NDArray[np.int64]:
        """Equal numbers for what must not part, shape (n,)."""

    @property
    def counts(self) -> NDArray[np.int64]:
        """Things of each class, shape (number of classes,)."""


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


@dataclass(frozen=True, eq=False, repr=False)
class Sentences:
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

    name: str
    texts: tuple[str, ...]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    groups: NDArray[np.int64]
    columns: dict[str, NDArray[np.object_]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if {len(values) for values in (self.labels, self.groups, *self.columns.values())} != {len(self.texts)}:
            raise ValueError(f"{self.name}: labels, groups and columns must have one entry for each text")
        if len(self.labels) and not 0 <= self.labels.min() <= self.labels.max() < len(self.class_names):
            raise ValueError(f"{self.name}: labels must be 0 to {len(self.class_names) - 1}, one for each class name")

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def counts(self) -> NDArray[np.int64]:
        """Sentences of each class, shape (number of classes,)."""
        return np.bincount(self.labels, minlength=len(self.class_names)).astype(np.int64)

    def subset(self, indices: picture_files.Index) -> Sentences:
        """Return some of the sentences, in the order of `indices`, with everything that belongs to them.

        Parameters
        ----------
        indices : slice, or array of int or bool

        Returns
        -------
        Sentences
            Of the same classes, also where one of them has no sentence left.
        """
        chosen = np.atleast_1d(np.arange(len(self))[indices])
        texts = tuple(self.texts[index] for index in chosen)
        columns = {name: values[chosen] for name, values in self.columns.items()}
        return Sentences(self.name, texts, self.labels[chosen], self.class_names, self.groups[chosen], columns)

    def __repr__(self) -> str:
        parts = [f"{name}: {count}" for name, count in zip(self.class_names, self.counts, strict=True)]
        return f"{self.name}: {len(self)} sentences, {len(parts)} classes ({settings.listed(parts)})"

    def _repr_html_(self) -> str:
        title = f"{self.name}: {len(self)} sentences"
        return class_table(title, "sentences", self.class_names, self.counts)
