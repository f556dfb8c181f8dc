"""Fine-tune every backbone at every cut on every target: the truth that scores are compared with."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tlutils import cut, datasets, settings, store, tuning
from tlutils.models import backbones

if TYPE_CHECKING:
    import keras
    import pandas as pd

# What an entry of the table was made with; other values make another table.
BACKBONES = (*backbones.MINI.values(), "untrained", "efficientnet_lite0")
IMAGE_SIZE = 64
LABELS_PER_CLASS = 10
DRAWS = (0, 1, 2)
HEAD_EPOCHS, HEAD_RATE = 20, 1e-2
EPOCHS, RATE = 5, 2e-4
BATCH = 25


@dataclass(frozen=True)
class Truth:
    """What one fine-tuning came to.

    Attributes
    ----------
    target, backbone, cut : str
    draw : int
        Seed of the split, and so of the labelled pictures, and of the order in which training sees them.
    accuracy : float
        On the draw's test pictures, 0 to 1, of the fine-tuned tail and its head.
    frozen : float
        The same of a logistic regression on the mean activations at the cut, without the tail.
    seconds : float
        Of training head and tail, and of the test.
    preparation : float
        Seconds of building and compiling this tail. Whoever searches one target pays them for every candidate; the
        table paid them once for all draws and all targets with as many classes.
    """

    target: str
    backbone: str
    cut: str
    draw: int
    accuracy: float
    frozen: float
    seconds: float
    preparation: float


def member(name: str) -> backbones.Backbone:
    """Load a backbone of the zoo.

    Parameters
    ----------
    name : str
        One of `BACKBONES`; ``"untrained"`` is vgg16_mini with random weights, always the same.

    Returns
    -------
    Backbone
        For pictures of `IMAGE_SIZE` pixels a side.

    Raises
    ------
    settings.UserError
        Unknown name, weights that cannot be brought.
    """
    import keras

    if name not in BACKBONES:
        raise settings.UserError(f"backbone={name!r} is not in the zoo; choose one of {', '.join(BACKBONES)}.")
    if name != "untrained":
        return backbones.load(name, image_size=IMAGE_SIZE)
    keras.utils.set_random_seed(0)
    return replace(backbones.load("vgg16_mini", weights=None, image_size=IMAGE_SIZE), name=name)


def _digits() -> datasets.Dataset:
    digits = datasets.load("digits", per_class=50)
    return replace(digits, pictures=np.asarray(digits.resized(IMAGE_SIZE)))


# Each has 500 pictures, so that two fifths, the test, are 200.
TARGETS: dict[str, Callable[[], datasets.Dataset]] = {
    "synthetic_flowers": lambda: datasets.load("synthetic_flowers", per_class=100),
    "synthetic_roads": lambda: datasets.load("synthetic_roads", per_class=100),
    "synthetic_scans": lambda: datasets.load("synthetic_scans", per_class=250),
    "digits": _digits,
}


def target(name: str) -> datasets.Dataset:
    """Return the pictures of a target task.

    Parameters
    ----------
    name : str
        A key of `TARGETS`: synthetic flowers, synthetic roads on clear days, synthetic scans (one slice of each
        patient, benign or malignant), real handwritten digits.

    Returns
    -------
    Dataset
        500 pictures of `IMAGE_SIZE` pixels a side.

    Raises
    ------
    settings.UserError
        Unknown name.
    """
    if name not in TARGETS:
        raise settings.UserError(f"target={name!r} is not in the zoo; choose one of {', '.join(TARGETS)}.")
    return TARGETS[name]()


def draw_split(dataset: datasets.Dataset, draw: int) -> datasets.Split:
    """Return the split of a draw: ten labels of each class to learn from, two fifths of the pictures to test."""
    return datasets.split(dataset, labels_per_class=LABELS_PER_CLASS, seed=draw)


def fine_tuned(
    backbone: backbones.Backbone,
    targets: Mapping[str, datasets.Dataset],
    cuts: Sequence[str] | None = None,
    draws: Sequence[int] = DRAWS,
) -> Iterator[Truth]:
    """Train head and tail behind cuts of a backbone (LP-FT) and test them.

    As `tuning.train_head` and `tuning.fine_tune` do, with two savings: the pictures go through the network once, from
    cut to cut, and a tail is compiled once for all draws and all targets of as many classes.

    Parameters
    ----------
    backbone : Backbone
    targets : mapping from a name to a Dataset
        Pictures of the backbone's size.
    cuts : sequence of str, optional
        Default: all of the backbone.
    draws : sequence of int

    Yields
    ------
    Truth
        Cut by cut from the pictures to the output; within a cut target by target, draw by draw.

    Raises
    ------
    settings.UserError
        A name that is no cut of the backbone, pictures of another size, too few pictures of a class.
    """
    wanted = backbone.cuts if cuts is None else tuple(cuts)
    unknown = [at for at in wanted if at not in backbone.cuts]
    if unknown:
        raise settings.UserError(
            f"cut={unknown[0]!r} is no cut of {backbone.name}; choose from {', '.join(backbone.cuts)}."
        )
    splits = {name: {draw: draw_split(dataset, draw) for draw in draws} for name, dataset in targets.items()}
    inputs = {name: _pictures(dataset, backbone) for name, dataset in targets.items()}
    ends = {name: _through(backbone.model, pictures) for name, pictures in inputs.items()}
    heads = _heads(ends, targets, splits)
    for at, segment in zip(backbone.cuts, cut.segments(backbone.model, backbone.cuts), strict=True):
        activations = {name: _through(segment, before) for name, before in inputs.items()}
        if at in wanted:
            yield from _at_one_cut(backbone, at, activations, targets, splits, heads)
        inputs = activations


# The trained head of each target and draw: its weights, and the seconds that they took.
_Heads = dict[tuple[str, int], tuple[list[NDArray[np.floating]], float]]
_Splits = dict[str, dict[int, datasets.Split]]


def _pictures(dataset: datasets.Dataset, backbone: backbones.Backbone) -> NDArray[Any]:
    side = backbone.image_size
    if tuple(dataset.pictures.shape[1:]) != (side, side, 3):
        raise settings.UserError(
            f"{dataset.name} has pictures of shape {tuple(dataset.pictures.shape[1:])}, {backbone.name} takes "
            f"{(side, side, 3)}; resize them first, dataset.resized({side})."
        )
    return np.asarray(dataset.pictures[:])


def _through(model: keras.Model, inputs: NDArray[Any]) -> NDArray[np.floating]:
    """Return what a network makes of its inputs; called directly, since compiling would take longer."""
    import keras

    batches = [inputs[start : start + 100] for start in range(0, len(inputs), 100)]
    return np.concatenate([keras.ops.convert_to_numpy(model(batch, training=False)) for batch in batches])


def _empty_head(shape: tuple[int, ...], n_classes: int) -> keras.Sequential:
    """Build `tuning.linear_head` with the standardisation in weights, so that one compiled model serves all draws."""
    import keras

    head = keras.Sequential([keras.Input(shape), keras.layers.GlobalAveragePooling2D()], name="head")
    head.add(keras.layers.BatchNormalization(center=False, scale=False, epsilon=0, trainable=False))
    head.add(keras.layers.Dense(n_classes, kernel_initializer="zeros"))
    return head


def _start_of_head(activations: NDArray[np.floating], n_classes: int) -> list[NDArray[np.floating]]:
    """Return the weights of `_empty_head` that make it the linear head of these activations."""
    head = tuning.linear_head(activations, n_classes)
    typical, standardise = 1 / head.get_layer("unit").scale, head.get_layer("standardise")
    mean, variance = (np.ravel(np.asarray(value, "float64")) for value in (standardise.mean, standardise.variance))
    return [mean * typical, variance * typical**2, *head.get_layer("classes").get_weights()]


def _heads(
    ends: Mapping[str, NDArray[np.floating]], targets: Mapping[str, datasets.Dataset], splits: _Splits
) -> _Heads:
    """Train the linear head of every target and draw: the first step of LP-FT, the same for all cuts."""
    heads: _Heads = {}
    compiled: dict[int, keras.Model] = {}
    for name, dataset in targets.items():
        n_classes, inputs = len(dataset.class_names), ends[name]
        for draw, split in splits[name].items():
            x, y = inputs[split.train], dataset.labels[split.train]
            if n_classes not in compiled:
                compiled[n_classes] = _compiled(_empty_head(inputs.shape[1:], n_classes), x, y, HEAD_RATE)
            head = compiled[n_classes]
            start = time.perf_counter()
            head.set_weights(_start_of_head(x, n_classes))
            _train(head, x, y, HEAD_EPOCHS, draw)
            heads[name, draw] = head.get_weights(), time.perf_counter() - start
    return heads


def _compiled(model: keras.Model, x: NDArray[np.floating], y: NDArray[np.int64], learning_rate: float) -> keras.Model:
    """Compile as `tuning.train` does, and take one step, whose result the caller overwrites."""
    import keras

    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(learning_rate), loss, jit_compile=False)
    model.train_on_batch(x[:BATCH], y[:BATCH])
    return model


def _train(model: keras.Model, x: NDArray[np.floating], y: NDArray[np.int64], epochs: int, draw: int) -> None:
    """Train from the present weights; batch by batch, since starting `fit` would take as long as the training."""
    tuning.restart(model, model.get_weights())
    rng = np.random.default_rng(draw)
    for _ in range(epochs):
        order = rng.permutation(len(x))
        for start in range(0, len(x), BATCH):
            batch = order[start : start + BATCH]
            model.train_on_batch(x[batch], y[batch])


def _at_one_cut(
    backbone: backbones.Backbone,
    at: str,
    activations: Mapping[str, NDArray[np.floating]],
    targets: Mapping[str, datasets.Dataset],
    splits: _Splits,
    heads: _Heads,
) -> Iterator[Truth]:
    _, tail = cut.cut(backbone.model, at)
    compiled: dict[int, tuple[keras.Model, float]] = {}
    for name, dataset in targets.items():
        n_classes, inputs = len(dataset.class_names), activations[name]
        for draw, split in splits[name].items():
            x, y = inputs[split.train], dataset.labels[split.train]
            if n_classes not in compiled:
                start = time.perf_counter()
                model = tuning.trainable_copy(tail, _empty_head(tail.output_shape[1:], n_classes))
                compiled[n_classes] = _compiled(model, x, y, RATE), time.perf_counter() - start
            model, preparation = compiled[n_classes]
            head_weights, head_seconds = heads[name, draw]
            start = time.perf_counter()
            model.layers[0].set_weights(tail.get_weights())
            model.layers[1].set_weights(head_weights)
            _train(model, x, y, EPOCHS, draw)
            right = tuning.predict(model, inputs[split.test]) == dataset.labels[split.test]
            seconds = head_seconds + time.perf_counter() - start
            scores = float(right.mean()), _without_tail(inputs, dataset.labels, split)
            yield Truth(name, backbone.name, at, draw, *scores, round(seconds, 3), round(preparation, 3))


def _without_tail(inputs: NDArray[np.floating], labels: NDArray[np.int64], split: datasets.Split) -> float:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    features = inputs.mean(axis=(1, 2), dtype=np.float64)
    head = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    head.fit(features[split.train], labels[split.train])
    return float(head.score(features[split.test], labels[split.test]))


def compute(path: Path, *, fresh: bool = False) -> pd.DataFrame:
    """Fill a table with the truth of every target, backbone, cut and draw; killed, it goes on where it stood.

    Parameters
    ----------
    path : Path
        The table; written after every cut, through a temporary file. When it is complete, its SHA-256 is noted in the
        ``checksums.json`` beside it.
    fresh : bool
        Begin anew, as after a change of the weights.

    Returns
    -------
    DataFrame
        See `read`.

    Raises
    ------
    settings.UserError
        A table that cannot be read or written; weights that cannot be brought.
    """
    from tqdm import tqdm

    rows = {_key(row): row for row in _begun(path)} if path.exists() and not fresh else {}
    _write(path, rows)
    targets = {name: target(name) for name in TARGETS}
    combinations = [(wanted, draw) for wanted in targets for draw in DRAWS]
    for name in BACKBONES:
        backbone = member(name)
        cuts = [at for at in backbone.cuts if any((t, name, at, draw) not in rows for t, draw in combinations)]
        if not cuts:
            continue
        with tqdm(total=len(cuts) * len(combinations), desc=name, unit="training", leave=False) as bar:
            for truth in fine_tuned(backbone, targets, cuts):
                rows[_key(truth)] = truth
                bar.update()
                if (truth.target, truth.draw) == combinations[-1]:
                    _write(path, rows)
    store.note_checksum(path)
    return _table(path)


def read() -> pd.DataFrame:
    """Read the table that comes with the course.

    Returns
    -------
    DataFrame
        One row for each fine-tuning, the attributes of `Truth` as columns.

    Raises
    ------
    settings.UserError
        A file that is missing or is not the published one.
    """
    return _table(store.bundled("zoo.csv"))


def _key(row: Truth) -> tuple[str, str, str, int]:
    return row.target, row.backbone, row.cut, row.draw


def _table(path: Path) -> pd.DataFrame:
    import pandas as pd

    return pd.read_csv(path, dtype={field.name: field.type for field in fields(Truth)})


def _begun(path: Path) -> list[Truth]:
    """Read a table that is perhaps not complete."""
    try:
        return [Truth(**row) for row in _table(path).to_dict("records")]
    except (TypeError, ValueError) as error:
        raise settings.UserError(
            f"{path.name} is no table of truth ({error}). Delete it, give another file, or begin anew with --fresh."
        ) from error


def _write(path: Path, rows: Mapping[Any, Truth]) -> None:
    import pandas as pd

    order = {name: position for position, name in enumerate((*TARGETS, *BACKBONES))}
    ranked = sorted(rows.values(), key=lambda row: (order[row.target], order[row.backbone]))
    table = pd.DataFrame(ranked, columns=[field.name for field in fields(Truth)])
    with settings.writing(path) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n")
