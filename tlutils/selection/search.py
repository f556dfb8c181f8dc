"""Search over the cut, the head and the training settings on stored activations, with Optuna."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from tlutils import settings, tuning
from tlutils.evaluation import calibration, metrics

if TYPE_CHECKING:
    import keras
    import optuna

# What a search may look at, always on validation pictures, and which way it should go.
METRICS: dict[str, Literal["minimize", "maximize"]] = {
    "log_loss": "minimize",
    "accuracy": "maximize",
    "macro_f1": "maximize",
}

# What a trial may choose from, besides the cut: a learning rate, drawn evenly on the logarithmic scale; a batch size;
# the units of one hidden layer with ReLU, where 0 stands for a linear head; the share of the last layer's inputs that
# is dropped in training. The epochs are the same in every trial.
SPACE: dict[str, Any] = {
    "learning_rate": (1e-4, 1e-1),
    "batch_sizes": (8, 16, 32),
    "widths": (0, 16, 64),
    "dropout": (0.0, 0.6),
    "epochs": 20,
}

_STUDIES = settings.BUILD / "studies.db"
# Another process may hold an SQLite file for the moment of a write; this long is no moment any more.
_PATIENCE_SECONDS = 20
# Keras then calls TensorFlow or JAX once for so many steps, which halves the seconds of steps as small as these; with
# PyTorch it takes one at a time.
_STEPS_AT_ONCE = 16
# Of the pictures that `seconds` times.
_TIMED_PICTURES = 32


def check_metric(metric: str) -> None:
    """Raise a `settings.UserError` for a metric that is none of `METRICS`; a notebook asks before it computes."""
    if metric not in METRICS:
        raise settings.UserError(f"metric={metric!r} is unknown; choose one of {', '.join(METRICS)}.")


def search(
    activations: Mapping[str, NDArray[np.floating]],
    labels: NDArray[np.int64],
    train: NDArray[np.int64],
    validation: NDArray[np.int64],
    *,
    trials: int,
    storage: str = "",
    seed: int = 0,
    metric: str = "log_loss",
) -> optuna.Study:
    """Search for the best cut, head and training settings; the trunk does not run.

    The study goes on where it stands: after a kill, and beside other processes that call this function with the same
    arguments. Each trial's choices follow from the seed, its number and the trials finished before it (tree-structured
    Parzen estimator; Bergstra et al. 2011, "Algorithms for hyper-parameter optimization"), so that a study of one
    process is the same whether it was interrupted between two trials or not.

    Parameters
    ----------
    activations : mapping from the name of a cut to an array, shape (n, height, width, channels) or (n, channels)
        Of all pictures. A head reads them pooled and standardised on the training pictures, as in
        `tuning.linear_head`.
    labels : int array, shape (n,)
        0 to n_classes - 1, each class among the training pictures.
    train, validation : int array
        Which pictures train, and which are looked at for the choice. None is both.
    trials : int
        How many finished trials the study shall have in the end, those already stored counted. Each further process
        that shares the study may finish one more. A trial that a kill cuts off is not counted and stays in the state
        RUNNING.
    storage : str
        Any storage that Optuna takes as a string: ``sqlite:///studies.db`` (three slashes and a relative path; four
        begin an absolute one), ``postgresql://...``, ``mysql://...``; or empty for the file ``build/studies.db``.
    seed : int
        0 or more.
    metric : str
        One of `METRICS`, of the validation pictures.

    Returns
    -------
    optuna.Study
        Its name follows from everything it depends on, so that trials of another seed, metric, split or `SPACE` get a
        study of their own. The parameters of a trial: cut, width, dropout, learning_rate, batch_size. Its user
        attribute ``scores`` holds every metric. On two processor cores a trial on 50 to 100 pictures takes about 0.2 s.

    Raises
    ------
    settings.UserError
        No or overlapping training and validation pictures, a class without training pictures, activations of another
        length or not finite; an unknown metric; a storage that cannot be opened, is corrupt, or stays locked. Nothing
        that was stored is touched.
    """
    import optuna

    check_metric(metric)
    settings.require_whole(1, trials=trials)
    settings.require_whole(0, seed=seed)
    _check_pictures(activations, labels, train, validation)
    trainer = _Trainer(activations, labels, train, SPACE["epochs"], seed)
    definition = {
        "space": {"cuts": list(activations), **SPACE},
        "metric": metric,
        "seed": int(seed),
        "data": trainer.fingerprint(validation),
    }
    digest = hashlib.sha256(json.dumps(definition, sort_keys=True).encode()).hexdigest()
    with _storage_errors(storage):
        study = optuna.create_study(
            study_name=f"heads-{digest[:12]}",
            storage=_storage(storage),
            direction=METRICS[metric],
            load_if_exists=True,
        )
        study.set_user_attr("definition", definition)
        while sum(trial.state.is_finished() for trial in study.get_trials(deepcopy=False)) < trials:
            trial = study.ask()
            # Two processes with one seed would otherwise draw the same choices.
            study.sampler = optuna.samplers.TPESampler(seed=_derived(seed, trial.number))
            chosen: dict[str, Any] = {
                "cut": trial.suggest_categorical("cut", list(activations)),
                "width": trial.suggest_categorical("width", SPACE["widths"]),
                "dropout": trial.suggest_float("dropout", *SPACE["dropout"]),
                "learning_rate": trial.suggest_float("learning_rate", *SPACE["learning_rate"], log=True),
                "batch_size": trial.suggest_categorical("batch_size", SPACE["batch_sizes"]),
            }
            model = trainer.train(trial.number, **chosen)
            logits = trainer.logits(model, chosen["cut"], validation)
            scores = _scores(labels[validation], logits)
            trial.set_user_attr("scores", scores)
            # The score of a training that diverged is NaN, which Optuna keeps as a failed trial.
            study.tell(trial, scores[metric])
    return study


def refit(
    study: optuna.Study,
    activations: Mapping[str, NDArray[np.floating]],
    labels: NDArray[np.int64],
    train: NDArray[np.int64],
) -> keras.Sequential:
    """Train the head of a study's best trial once more, from the same start and in the same order.

    Parameters
    ----------
    study : optuna.Study
        As `search` returns it.
    activations, labels, train
        As for `search`.

    Returns
    -------
    keras.Sequential
        Takes activations at the cut ``study.best_params["cut"]``, returns logits. Of plain Keras layers.
    """
    import keras

    definition = study.user_attrs["definition"]
    best = study.best_trial
    trainer = _Trainer(activations, labels, train, definition["space"]["epochs"], definition["seed"])
    trained = trainer.train(best.number, **best.params)
    at = best.params["cut"]
    dropout = keras.layers.Dropout(best.params["dropout"], name="dropout")
    layers = [dropout if layer.name == "dropout" else layer for layer in trained.layers]
    standardise = trainer.standardisers[at].layers
    return keras.Sequential([keras.Input(activations[at].shape[1:]), *standardise, *layers], name="head")


def seconds(
    study: optuna.Study,
    model: keras.Model,
    pictures: NDArray[np.generic],
    train: NDArray[np.int64],
    validation: NDArray[np.int64],
) -> dict[str, float]:
    """Compare what a search took with what the trunk alone would take if it ran in every epoch of every trial.

    Parameters
    ----------
    study : optuna.Study
        As `search` returns it. It holds how long each trial took, also those of an earlier run.
    model : keras.Model
        From pictures to the last cut. Runs twice over up to 32 pictures.
    pictures : array, shape (n, ...)
        All pictures, of each of which `search` had the activations.
    train, validation
        As for `search`.

    Returns
    -------
    dict of float
        Seconds: of the trunk's one pass over all pictures, of a trial in the mean, and of the whole search; then of the
        trunk in a trial of the usual loop, which sees every training picture once an epoch and every validation picture
        once, and in as many trials as the study has finished.
    """
    few = np.asarray(pictures[train[:_TIMED_PICTURES]])
    for _ in range(2):  # The first call also compiles.
        start = time.perf_counter()
        model.predict_on_batch(few)
        per_picture = (time.perf_counter() - start) / len(few)
    took = [trial.duration.total_seconds() for trial in study.get_trials(deepcopy=False) if trial.duration]
    once, trial = len(pictures) * per_picture, float(np.mean(took))
    usual = (study.user_attrs["definition"]["space"]["epochs"] * len(train) + len(validation)) * per_picture
    return {
        "one pass of the trunk": once,
        "a trial": trial,
        "the pass and all trials": once + len(took) * trial,
        "usual loop: the trunk in a trial": usual,
        "usual loop: the trunk in all trials": len(took) * usual,
    }


class _Trainer:
    """Trains heads on standardised features; compiles each shape of head once and sets it back for every trial."""

    def __init__(
        self,
        activations: Mapping[str, NDArray[np.floating]],
        labels: NDArray[np.int64],
        train: NDArray[np.int64],
        epochs: int,
        seed: int,
    ) -> None:
        import keras

        self.n_classes = int(labels.max()) + 1
        self.labels, self.part, self.epochs, self.seed = labels, train, epochs, seed
        self.features: dict[str, NDArray[np.floating]] = {}
        self.standardisers: dict[str, keras.Sequential] = {}
        for at, values in activations.items():
            layers = tuning.linear_head(values[train], self.n_classes).layers[:-1]
            self.standardisers[at] = keras.Sequential([keras.Input(values.shape[1:]), *layers])
            batches = [np.asarray(values[start : start + 256]) for start in range(0, len(values), 256)]
            computed = [keras.ops.convert_to_numpy(self.standardisers[at](batch)) for batch in batches]
            self.features[at] = np.concatenate(computed)
        self._compiled: dict[tuple[int, int], tuple[keras.Sequential, list[NDArray[np.floating]]]] = {}

    def train(
        self, number: int, *, cut: str, width: int, dropout: float, learning_rate: float, batch_size: int
    ) -> keras.Sequential:
        """Train the head of a trial; it is valid until the next head of its shape is trained."""
        inputs = self.features[cut]
        model, start = self._head(inputs.shape[1], width)
        tuning.restart(model, start)
        model.optimizer.learning_rate = learning_rate
        model.get_layer("dropout").set(dropout, _derived(self.seed, number))
        rng = np.random.default_rng([self.seed, number])
        # One epoch over all passes, laid end to end: Keras prepares an epoch for longer than these steps take.
        order = np.concatenate([rng.permutation(self.part) for _ in range(self.epochs)])
        model.fit(inputs[order], self.labels[order], batch_size=batch_size, shuffle=False, verbose=0)
        return model

    def logits(self, model: keras.Model, at: str, part: NDArray[np.int64]) -> NDArray[np.floating]:
        import keras

        return keras.ops.convert_to_numpy(model(self.features[at][part], training=False))

    def fingerprint(self, validation: NDArray[np.int64]) -> str:
        """Hash what the pictures contribute; activations coarsely, since their last digits differ between machines."""
        digest = hashlib.sha256(
            np.array([len(self.part), *self.part, *validation, *self.labels], dtype=np.int64).tobytes()
        )
        for at, standardiser in self.standardisers.items():
            digest.update(f"{at} {self.features[at].shape}".encode())
            for layer in standardiser.layers:
                if layer.name == "unit":
                    digest.update(f"{layer.scale:.3g}".encode())
        return digest.hexdigest()[:16]

    def _head(self, channels: int, width: int) -> tuple[keras.Sequential, list[NDArray[np.floating]]]:
        import keras

        if (channels, width) not in self._compiled:
            model = keras.Sequential([keras.Input((channels,))])
            if width:
                drawn = keras.initializers.GlorotUniform(seed=_derived(self.seed, width))
                model.add(keras.layers.Dense(width, "relu", kernel_initializer=drawn, name="hidden"))
            model.add(_adjustable_dropout())
            model.add(keras.layers.Dense(self.n_classes, kernel_initializer="zeros", name="classes"))
            model.compile(
                keras.optimizers.Adam(),
                keras.losses.SparseCategoricalCrossentropy(from_logits=True),
                steps_per_execution=1 if keras.backend.backend() == "torch" else _STEPS_AT_ONCE,
                jit_compile=False,
            )
            self._compiled[channels, width] = model, model.get_weights()
        return self._compiled[channels, width]


def _adjustable_dropout() -> keras.layers.Layer:
    """Make a dropout layer whose rate is a variable: with a rate of Python's, each would compile a model of its own."""
    import keras

    class AdjustableDropout(keras.layers.Layer):
        def __init__(self) -> None:
            super().__init__(name="dropout")
            self.generator = keras.random.SeedGenerator(0)
            self.rate = self.add_weight(shape=(), initializer="zeros", trainable=False, name="rate")

        def set(self, rate: float, seed: int) -> None:
            self.rate.assign(rate)
            self.generator.state.assign([seed, 0])

        def call(self, inputs: Any, training: bool = False) -> Any:
            if not training:
                return inputs
            kept = keras.random.uniform(keras.ops.shape(inputs), seed=self.generator) >= self.rate
            return inputs * keras.ops.cast(kept, inputs.dtype) / (1 - self.rate)

    return AdjustableDropout()


def _scores(labels: NDArray[np.int64], logits: NDArray[np.floating]) -> dict[str, float]:
    """Compute every metric; NaN for a head whose training diverged."""
    from sklearn.metrics import accuracy_score, f1_score, log_loss

    if not np.isfinite(logits).all():
        return dict.fromkeys(METRICS, math.nan)
    predicted = logits.argmax(axis=1)
    return {
        "log_loss": float(log_loss(labels, calibration.softmax(logits), labels=range(logits.shape[1]))),
        "accuracy": float(accuracy_score(labels, predicted)),
        "macro_f1": float(f1_score(labels, predicted, average="macro", zero_division=0)),
    }


def _derived(seed: int, number: int) -> int:
    """Seed of one trial; neighbouring seeds and numbers give unrelated ones."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0] >> 1)


def _check_pictures(
    activations: Mapping[str, NDArray[np.floating]],
    labels: NDArray[np.int64],
    train: NDArray[np.int64],
    validation: NDArray[np.int64],
) -> None:
    metrics.check_classes(labels, labels)
    if not activations:
        raise settings.UserError("There are no activations; give those of one cut or more, by the name of the cut.")
    for at, values in activations.items():
        if len(values) != len(labels):
            raise settings.UserError(
                f"{len(values)} activations at {at!r} and {len(labels)} labels; give both for all pictures, in the "
                "same order."
            )
    for side, part in (("training", train), ("validation", validation)):
        if not len(part):
            raise settings.UserError(f"There are no {side} pictures; a search needs both sides. Look at the split.")
    both = np.intersect1d(train, validation)
    if both.size:
        raise settings.UserError(
            f"{both.size} picture(s) are in both training and validation, such as number {both[0]}; the search would "
            "choose what learns by heart. Look at the split."
        )
    missing = np.setdiff1d(np.arange(labels.max() + 1), labels[train])
    if missing.size:
        raise settings.UserError(f"Class {missing[0]} has no training picture. Look at the split.")


def _storage(storage: str) -> optuna.storages.BaseStorage:
    import optuna
    import sqlalchemy
    from sqlalchemy.engine import make_url

    if not storage:
        storage = f"sqlite:///{_STUDIES}"
    if not storage.startswith("sqlite"):
        return optuna.storages.get_storage(storage)
    file = make_url(storage).database
    if file and file != ":memory:":
        Path(file).parent.mkdir(parents=True, exist_ok=True)
    patience = {"connect_args": {"timeout": _PATIENCE_SECONDS}}
    if file and Path(file).exists():  # Optuna would write its tables into any database.
        tables = sqlalchemy.inspect(sqlalchemy.create_engine(storage, **patience)).get_table_names()
        if tables and not {"studies", "version_info"} & set(tables):
            raise settings.UserError(
                f"storage={storage!r} is a database of something else (tables: {settings.listed(tables)}). It stays as "
                "it is. Give another file, or nothing for build/studies.db."
            )
    try:
        return optuna.storages.RDBStorage(storage, engine_kwargs=patience)
    except (sqlalchemy.exc.OperationalError, sqlalchemy.exc.IntegrityError) as error:
        if "exists" not in str(error) and "UNIQUE" not in str(error):
            raise
        # Another process made the tables between this one's look and its own attempt.
        time.sleep(1)
        return optuna.storages.RDBStorage(storage, engine_kwargs=patience)


@contextlib.contextmanager
def _storage_errors(storage: str) -> Iterator[None]:
    """Say what is wrong with a storage, and that nothing in it was touched."""
    import optuna
    import sqlalchemy.exc

    trouble = (sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.StorageInternalError, ImportError, OSError)
    try:
        yield
    except trouble as error:
        reason = str(error.__cause__ or error).splitlines()[0]
        try:
            where = sqlalchemy.engine.make_url(storage).render_as_string(hide_password=True)
        except sqlalchemy.exc.ArgumentError:
            where = storage
        where = where or "build/studies.db"
        raise settings.UserError(
            f"storage={where!r} cannot be used ({reason}). Nothing in it was changed. Close what may hold it, such as "
            "a viewer of databases, or give another: what Optuna takes, such as sqlite:///studies.db, or nothing for "
            "build/studies.db."
        ) from error
