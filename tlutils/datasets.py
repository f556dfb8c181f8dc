"""Bring labelled pictures into one form, wherever they come from, and split them so that nothing leaks."""

from __future__ import annotations

import html
import re
import unicodedata
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tlutils import picture_files, roads, scans, settings, sounds, store, worlds
from tlutils.picture_files import PictureFiles, Pictures

if TYPE_CHECKING:
    pass


# Side of a folder's pictures until `Dataset.resized` asks for another.
FOLDER_IMAGE_SIZE = 64

# A split tries this many orders of the groups before it says that none puts every class on every side.
_ATTEMPTS = 20


class UnreadablePicture(UserWarning):
    """A picture, or a whole class, was left out because it cannot be read."""


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


def load(name: str, *, per_class: int | None = None, seed: int = 0) -> Dataset:
    """Load one of the course's datasets.

    Parameters
    ----------
    name : str
        A key of `CATALOGUE`: ``synthetic_source``, ``synthetic_flowers``, ``synthetic_ripeness``, ``synthetic_roads``
        (clear weather), ``synthetic_scans`` (one slice of each patient, as many benign as malignant) and
        ``synthetic_sounds`` (spectrograms), all 64x64 and drawn on the spot; ``digits`` (8x8, scikit-learn's real
        handwritten digits); ``flower_photos`` (3,670 real photographs, a download of 229 MB) and
        ``colorectal_histology`` (5,000 microscope tiles, 150x150, grouped by slide, a download of 258 MB).
    per_class : int, optional
        Pictures of each class. Default: 25 of each synthetic source class, 100 of each other synthetic class, all of a
        real dataset.
    seed : int
        Draws the synthetic pictures, or chooses `per_class` of the real ones.

    Returns
    -------
    Dataset

    Raises
    ------
    settings.UserError
        Unknown name; `per_class` below 1 or larger than the smallest class; a download that fails.

    Examples
    --------
    >>> load("digits", per_class=20)
    digits: 200 real pictures, 10 classes (0: 20, 1: 20, 2: 20, 3: 20, 4: 20, 5: 20, 6: 20, 7: 20, 8: 20, 9: 20)
    """
    if name not in CATALOGUE:
        raise settings.UserError(
            f"dataset {name!r} is unknown; choose one of {', '.join(CATALOGUE)}, "
            "or give data_dir, a folder of your own pictures."
        )
    if per_class is not None and (isinstance(per_class, bool) or not isinstance(per_class, int) or per_class < 1):
        raise settings.UserError(f"per_class={per_class!r} must be a whole number of at least 1, or None.")
    return CATALOGUE[name](per_class, seed)


def _synthetic(name: str, draw: Callable[[int, int], worlds.World], default: int) -> Callable[..., Dataset]:
    def build(per_class: int | None, seed: int) -> Dataset:
        world = draw(default if per_class is None else per_class, seed)
        return Dataset(name, world.pictures, world.labels, world.class_names, world.groups, True, dict(world.truth))

    return build


def _scans(per_class: int, seed: int) -> worlds.World:
    return scans.scans(2 * per_class, seed, prevalence=0.5, slices=1)


def _digits(per_class: int | None, seed: int) -> Dataset:
    """Alpaydin & Kaynak's handwritten digits as scikit-learn carries them: 1,797 pictures, grey values 0 to 16."""
    from sklearn.datasets import load_digits

    bundle = load_digits()
    grey = np.round(bundle.images * (255 / 16)).astype(np.uint8)
    pictures = np.repeat(grey[..., None], 3, axis=3)
    groups = group_numbers([picture.tobytes() for picture in grey])
    names = tuple(str(digit) for digit in bundle.target_names)
    return _some_of(Dataset("digits", pictures, bundle.target.astype(np.int64), names, groups, False), per_class, seed)


def _archive(name: str, top: str, groups: str | None = None) -> Callable[..., Dataset]:
    """Read a fetched archive of class folders, which holds one folder, `top`."""

    def build(per_class: int | None, seed: int) -> Dataset:
        folder = settings.cache_dir() / name
        store.extract(store.fetch(name), folder)
        return _some_of(replace(from_folder(folder / top, groups=groups), name=name), per_class, seed)

    return build


CATALOGUE: dict[str, Callable[[int | None, int], Dataset]] = {
    "synthetic_source": _synthetic("synthetic_source", worlds.source_shapes, 25),
    "synthetic_flowers": _synthetic("synthetic_flowers", worlds.flowers, 100),
    "synthetic_ripeness": _synthetic("synthetic_ripeness", worlds.ripeness, 100),
    "synthetic_roads": _synthetic("synthetic_roads", roads.roads, 100),
    "synthetic_scans": _synthetic("synthetic_scans", _scans, 100),
    "synthetic_sounds": _synthetic("synthetic_sounds", sounds.sounds, 100),
    "digits": _digits,
    "flower_photos": _archive("flower_photos", "flower_photos"),
    # Kather et al. 2016, Multi-class texture analysis in colorectal cancer histology; tiles of a slide are a group.
    "colorectal_histology": _archive(
        "colorectal_histology", "Kather_texture_2016_image_tiles_5000", groups=r"(CRC-Prim-HE-\d+)"
    ),
}


def _some_of(dataset: Dataset, per_class: int | None, seed: int) -> Dataset:
    """Choose `per_class` pictures of every class at random, in their old order."""
    if per_class is None:
        return dataset
    smallest = int(dataset.counts.argmin())
    if per_class > dataset.counts[smallest]:
        raise settings.UserError(
            f"per_class={per_class} is too many: {dataset.name} has {dataset.counts[smallest]} pictures of "
            f"{dataset.class_names[smallest]!r}. Give {dataset.counts[smallest]} or less, or None for all pictures."
        )
    rng = np.random.default_rng(seed)
    chosen = [rng.permutation(np.flatnonzero(dataset.labels == label)) for label in range(len(dataset.class_names))]
    return dataset.subset(np.sort(np.concatenate([indices[:per_class] for indices in chosen])))


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


def split(
    dataset: Labelled, *, labels_per_class: int | None, seed: int, validation: float = 0.2, test: float = 0.4
) -> Split:
    """Divide the pictures into three sides that share nothing.

    Every class keeps its share on every side, whole groups go to one side. Validation and test depend on the seed and
    not on `labels_per_class`, and fewer labels are a part of more labels, so learning curves compare like with like.

    Parameters
    ----------
    dataset : Dataset, sentences.Sentences
        Or anything with the attributes of `Labelled`.
    labels_per_class : int or None
        Training pictures of each class, exactly; None for all that validation and test leave.
    seed : int
        0 or more.
    validation, test : float
        Shares of each class, above 0, together below 1; rounded to whole pictures, at least one. With groups of
        several pictures the shares are met as nearly as the groups allow.

    Returns
    -------
    Split

    Raises
    ------
    settings.UserError
        Shares that leave nothing; a class with fewer than three groups; more labels asked for than are left.

    Examples
    --------
    >>> dataset = load("synthetic_flowers", per_class=10)
    >>> split(dataset, labels_per_class=2, seed=0)
    Split(train: 10, validation: 10, test: 20 pictures)
    """
    if not (0 < validation and 0 < test and validation + test < 1):
        raise settings.UserError(
            f"validation={validation} and test={test} must be shares above 0 that leave something for training "
            "(their sum below 1); usual are 0.2 and 0.4."
        )
    whole = isinstance(labels_per_class, int | np.integer) and not isinstance(labels_per_class, bool)
    if labels_per_class is not None and not (whole and labels_per_class >= 1):
        raise settings.UserError(
            f"labels_per_class={labels_per_class!r} must be a whole number of at least 1, or None for all."
        )
    rng = np.random.default_rng(seed)
    side = _sides(dataset, validation, test, rng)
    left = side == _TRAIN
    _require_enough(dataset, left, labels_per_class)
    pools = [rng.permutation(np.flatnonzero(left & (dataset.labels == k))) for k in range(len(dataset.class_names))]
    train = np.concatenate([pool[:labels_per_class] for pool in pools])
    return Split(
        *(rng.permutation(part) for part in (train, *map(np.flatnonzero, (side == _VALIDATION, side == _TEST))))
    )


_TRAIN, _VALIDATION, _TEST = range(3)


def _sides(dataset: Labelled, validation: float, test: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """Side of every picture: as near to the shares as the groups allow, every class on every side."""
    group_of = np.unique(dataset.groups, return_inverse=True)[1]
    members = np.zeros((group_of.max(initial=-1) + 1, len(dataset.class_names)), dtype=np.int64)
    np.add.at(members, (group_of, dataset.labels), 1)
    _require_three_groups(dataset, members)
    wanted = np.array([_shares(int(count), validation, test) for count in dataset.counts]).T
    for attempt in range(_ATTEMPTS):
        order = rng.permutation(len(members))
        if attempt == 0:  # Large groups first: the small ones can still even out what those leave.
            order = order[np.argsort(-members[order].sum(axis=1), kind="stable")]
        side = _dealt(members[order], wanted)[np.argsort(order)]
        if all((side[members[:, label] > 0] == which).any() for label in range(members.shape[1]) for which in range(3)):
            return side[group_of]
    raise settings.UserError(
        f"{dataset.name}: groups that hold several classes leave no way to put every class into training, validation "
        "and test. Use smaller groups, or add examples of other groups."
    )


def _shares(count: int, validation: float, test: float) -> tuple[int, int, int]:
    """Whole pictures of a class for training, validation and test, at least one each."""
    for_test = min(max(1, int(count * test + 0.5)), count - 2)
    for_validation = min(max(1, int(count * validation + 0.5)), count - for_test - 1)
    return count - for_validation - for_test, for_validation, for_test


def _dealt(members: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    """Deal the groups in their order, each to the side that needs it most.

    `members` is (groups, classes), `wanted` is (3, classes), both in pictures. scikit-learn's StratifiedGroupKFold is
    no help here: it knows only equal shares, and may leave a class out of a fold.
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


def _require_three_groups(dataset: Labelled, members: NDArray[np.int64]) -> None:
    if len(dataset.class_names) < 2:
        raise settings.UserError(f"{dataset.name} has one class only; a classifier needs two or more.")
    groups = (members > 0).sum(axis=0)
    scarce = int(groups.argmin())
    if groups[scarce] < 3:
        raise settings.UserError(
            f"Class {dataset.class_names[scarce]!r} of {dataset.name} has {dataset.counts[scarce]} examples in "
            f"{groups[scarce]} groups; training, validation and test need one group each, so at least 3. Add examples "
            "of that class, leave the class out, or use smaller groups (exact duplicates count as one group)."
        )


def _require_enough(dataset: Labelled, left: NDArray[np.bool_], labels_per_class: int | None) -> None:
    available = np.bincount(dataset.labels[left], minlength=len(dataset.class_names))
    scarce = int(available.argmin())
    if labels_per_class is not None and labels_per_class > available[scarce]:
        raise settings.UserError(
            f"labels_per_class={labels_per_class} is too many: class {dataset.class_names[scarce]!r} has "
            f"{dataset.counts[scarce]} examples, of which validation and test leave {available[scarce]} for training. "
            f"Give {available[scarce]} or less, add examples of that class, or make validation and test smaller."
        )
