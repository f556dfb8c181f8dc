"""Rank pretrained networks and cuts for a target task before anything is trained."""

from __future__ import annotations

import functools
import html
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tlutils import backbones, cut, datasets, picture_files, settings, store, tuning

if TYPE_CHECKING:
    import keras
    import pandas as pd

# Bounds of LogME's ratio of prior precision to noise precision, in units of the mean squared length of a feature
# vector. At either end the evidence has come to rest, except for labels that the features fit without any noise: there
# it grows without bound, and the lower bound makes it a large finite score.
_PRECISION_RATIO = (1e-9, 1e9)

# Penalties of the leave-one-out ridge, in units of the mean squared length of a standardised feature vector.
_PENALTIES = np.logspace(-4, 2, 13)

# Pictures of each class that `advise` may score. Few steps, so that two runs of slightly different speed choose the
# same pictures, give the same ranking and find the activations in the cache.
_PER_CLASS = (2, 5, 10, 20, 50, 100, 200, 500)

# More pictures cost time and no longer change the ranking: with these the standard error is at most 1.6 points.
_ENOUGH = 1000

_TIMED_PICTURES = 8
_SHARE_FOR_TRUNKS = 0.8


def logme(features: ArrayLike, labels: ArrayLike) -> float:
    """Log of the maximum evidence: how well a Bayesian linear model explains the labels.

    For each class, the n labels (1 for the class, 0 for the others) are taken as y = F w + noise with w ~ N(0, I / a)
    and noise ~ N(0, I / b); the weights w are integrated out, and the precisions a and b are those that make
    log p(y | F, a, b) largest. The score is that maximum per picture, averaged over the classes (You et al. 2021,
    "LogME: Practical assessment of pre-trained models for transfer learning", section 4).

    For a given ratio t = a / b the best b has a closed form, so that a search along t remains. The paper's fixed-point
    iteration seeks a stationary point of the same function, but may rest at one that is not the highest.

    Parameters
    ----------
    features : array, shape (n, d), or activations, shape (n, height, width, d), which are averaged over the positions
    labels : int array, shape (n,)
        Two classes or more.

    Returns
    -------
    float
        Any number; higher is better. In nats per picture, comparable between features of the same pictures only.
        Does not change when all features are multiplied by one number. Features that fit the labels exactly have
        infinite evidence if they span less than n dimensions; the noise is bounded from below, so they get a large
        finite score.

    Raises
    ------
    settings.UserError
        Fewer than two classes, wrong shapes, values that are not finite.

    Notes
    -----
    Cost: one singular value decomposition, n d min(n, d) operations, then about min(n, d) per class and step.
    """
    from scipy.optimize import minimize_scalar

    x, members = _checked(features, labels)
    n = len(x)
    scale = float((x**2).sum(axis=1).mean()) or 1.0
    u, singular, _ = np.linalg.svd(x / np.sqrt(scale), full_matrices=False)
    power = singular**2
    explained = (u.T @ members) ** 2
    unexplained = ((members - u @ (u.T @ members)) ** 2).sum(axis=0)

    def evidence(log_ratio: float, k: int) -> float:
        ratio = np.exp(log_ratio)
        misfit = unexplained[k] + explained[:, k] @ (ratio / (ratio + power))
        # y is normal with covariance (I + F F' / t) / b; b = n / misfit is where the density is largest.
        return float(-0.5 * (np.log(2 * np.pi * misfit / n) + 1 + np.log1p(power / ratio).sum() / n))

    # The evidence can have several maxima: a grid finds the highest, the search refines it.
    lowest, highest = np.log(_PRECISION_RATIO)
    grid = np.linspace(lowest, highest, 84)
    best = []
    for k in range(members.shape[1]):
        values = [evidence(point, k) for point in grid]
        top = int(np.argmax(values))
        around = grid[max(top - 1, 0)], grid[min(top + 1, len(grid) - 1)]
        found = minimize_scalar(lambda point, k=k: -evidence(point, k), bounds=around, method="bounded")
        best.append(max(values[top], -found.fun))
    return float(np.mean(best))


def leep(source_probabilities: ArrayLike, labels: ArrayLike) -> float:
    """Log expected empirical prediction: how well the source model's own classes tell the target classes.

    The source model gives picture i the probabilities theta_i(z) of its classes z. Their joint distribution with the
    target label y over the pictures gives P(y | z); the score is the mean of log sum_z P(y_i | z) theta_i(z) (Nguyen et
    al. 2020, "LEEP: A new measure to evaluate transferability of learned representations", section 3).

    Parameters
    ----------
    source_probabilities : array, shape (n, number of source classes)
        Output of the source model's classifier (``backbones.load(name, top=True)``); rows sum to 1.
    labels : int array, shape (n,)
        Two classes or more.

    Returns
    -------
    float
        0 or less; higher is better. Not below the score of always giving the target classes their shares.

    Raises
    ------
    settings.UserError
        Fewer than two classes, wrong shapes, rows that are no probabilities.

    Notes
    -----
    Cost: n times source classes times target classes. Knows nothing of a cut: it scores the whole source model.
    """
    theta, members = _checked(source_probabilities, labels, name="source_probabilities", ndims=(2,))
    if theta.min() < 0 or not np.allclose(theta.sum(axis=1), 1, atol=1e-3):
        raise settings.UserError(
            "source_probabilities holds rows that are no probabilities (0 or more, sum 1); give the output of the "
            "source model's softmax, not its logits."
        )
    joint = members.T @ theta
    used = theta.sum(axis=0) > 0
    conditional = joint[:, used] / joint[:, used].sum(axis=0)
    expected = theta[:, used] @ conditional.T
    return float(np.log(expected[members == 1]).mean())


def h_score(features: ArrayLike, labels: ArrayLike, *, shrinkage: bool = False) -> float:
    """Spread of the class means relative to the spread of the features.

    trace(C^-1 M), C the covariance of the features and M that of the class means, each mean counted once per picture
    (Bao et al. 2019, "An information-theoretic approach to transferability in task transfer learning").
    With fewer pictures than features C is singular, the pseudo-inverse takes its place and the score of any features is
    near its highest value. The shrunk version replaces C by (1 - s) C + s v I, v the mean variance, and M by (1 - s) M
    (Ibrahim et al. 2022, "Newer is not always better: rethinking transferability metrics"); s is Ledoit & Wolf's (2004,
    "A well-conditioned estimator for large-dimensional covariance matrices").

    Parameters
    ----------
    features : array, shape (n, d), or activations, shape (n, height, width, d), which are averaged over the positions
    labels : int array, shape (n,)
        Two classes or more.
    shrinkage : bool
        Use the shrunk version.

    Returns
    -------
    float
        0 to the smaller of d and number of classes - 1; higher is better.

    Raises
    ------
    settings.UserError
        Fewer than two classes, wrong shapes, values that are not finite.

    Notes
    -----
    Cost: one singular value decomposition, n d min(n, d) operations; shrinkage adds n d^2.
    """
    from sklearn.covariance import ledoit_wolf_shrinkage

    x, members = _checked(features, labels)
    x = x - x.mean(axis=0)
    u, singular, _ = np.linalg.svd(x, full_matrices=False)
    kept = singular > singular[0] * max(x.shape) * np.finfo(np.float64).eps
    variances = singular[kept] ** 2 / len(x)
    # In the axes of the decomposition C is diagonal, and M's diagonal is the variances times these shares.
    shares = ((u[:, kept].T @ members) ** 2 / members.sum(axis=0)).sum(axis=1)
    if not shrinkage or not kept.any():
        return float(shares.sum())
    s = float(ledoit_wolf_shrinkage(x))
    shrunk = (1 - s) * variances + s * variances.sum() / x.shape[1]
    return float(((1 - s) * variances / shrunk) @ shares)


def ridge_loo_accuracy(features: ArrayLike, labels: ArrayLike) -> float:
    """Leave-one-out accuracy of a ridge classifier.

    The features are standardised as in `tuning.linear_head`. A linear model with an intercept is fitted to the
    indicators of the classes by least squares with a penalty on its weights; each picture is then classified by the
    model of all others. With the hat matrix H of the fit, the error at a picture left out is the error of the fit
    divided by 1 - H_ii (Rifkin & Lippert 2007, "Notes on regularized least squares"), so no model is fitted twice. The
    penalty is the one of 13 with the smallest squared leave-one-out error.

    Parameters
    ----------
    features : array, shape (n, d), or activations, shape (n, height, width, d), which are averaged over the positions
    labels : int array, shape (n,)
        Two classes or more.

    Returns
    -------
    float
        0 to 1, in steps of 1 / n; higher is better. Features that say nothing score below chance, since a picture left
        out makes its own class rarer. A class with one picture cannot be recognised; copies of a picture recognise each
        other, so keep one of them.

    Raises
    ------
    settings.UserError
        Fewer than two classes, wrong shapes, values that are not finite.

    Notes
    -----
    Cost: one eigendecomposition, n d min(n, d) operations, then n min(n, d) max(min(n, d), classes) for the penalties.
    """
    x, members = _checked(features, labels)
    return float(_right(_left_out(x, members), members).mean())


def ridge_loo_r2(features: ArrayLike, labels: ArrayLike) -> float:
    """Share of the labels' variance that the ridge of `ridge_loo_accuracy` explains at pictures left out.

    One minus the squared leave-one-out error (PRESS; Allen 1974, "The relationship between variable selection and data
    augmentation and a method for prediction") over the squared deviation of the class indicators from their means.
    Unlike the accuracy it moves with every picture, so that few candidates tie when labels are few.

    Parameters
    ----------
    features, labels
        As in `ridge_loo_accuracy`.

    Returns
    -------
    float
        At most 1; higher is better. About 0 for features that say nothing about the classes.

    Raises
    ------
    settings.UserError
        Fewer than two classes, wrong shapes, values that are not finite.
    """
    x, members = _checked(features, labels)
    return _r2(_left_out(x, members), members)


def _left_out(x: NDArray[np.float64], members: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what the model of all other pictures says of each, shape (n, classes)."""
    from sklearn.linear_model import RidgeCV

    deviation = x.std(axis=0)
    floor = tuning.SMALLEST_RELATIVE_DEVIATION * deviation.mean()
    x = (x - x.mean(axis=0)) / (np.maximum(deviation, floor) if floor else 1.0)
    x = x / (np.sqrt((x**2).sum(axis=1).mean()) or 1.0)
    # Not RidgeClassifierCV: its leave-one-out accuracy of two classes is always 1 (scikit-learn issue 34942). A scoring
    # other than the default makes RidgeCV keep the predictions; it chooses the same penalty.
    ridge = RidgeCV(_PENALTIES, scoring="neg_mean_squared_error", store_cv_results=True).fit(x, members)
    return np.asarray(ridge.cv_results_[:, :, np.flatnonzero(_PENALTIES == ridge.alpha_)[0]])


def _right(left_out: NDArray[np.float64], members: NDArray[np.float64]) -> NDArray[np.bool_]:
    return left_out.argmax(axis=1) == members.argmax(axis=1)


def _r2(left_out: NDArray[np.float64], members: NDArray[np.float64]) -> float:
    deviation = members - members.mean(axis=0)
    return float(1 - ((left_out - members) ** 2).sum() / (deviation**2).sum())


def _checked(
    features: ArrayLike, labels: ArrayLike, *, name: str = "features", ndims: tuple[int, ...] = (2, 4)
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the features, shape (n, d), and the indicators of the classes that occur, shape (n, classes)."""
    x, classes = np.asarray(features, dtype=np.float64), np.asarray(labels)
    if x.ndim not in ndims or 0 in x.shape:
        shapes = " or ".join({2: "(n, d)", 4: "(n, height, width, channels)"}[ndim] for ndim in ndims)
        raise settings.UserError(f"{name} has shape {x.shape}; give {shapes}, each length 1 or more.")
    if classes.shape != (len(x),):
        raise settings.UserError(
            f"{len(x)} pictures in {name}, but labels of shape {classes.shape}; give one class number per picture."
        )
    if not np.isfinite(x).all():
        raise settings.UserError(f"{name} holds NaN or infinite values; look at the pictures and the weights.")
    present = np.unique(classes)
    if len(present) < 2:
        raise settings.UserError(
            f"labels holds class {present[0]} only; a score compares two classes or more. Give pictures of others too."
        )
    if x.ndim == 4:
        x = x.mean(axis=(1, 2))
    return x, (classes[:, None] == present).astype(np.float64)


@dataclass(frozen=True)
class Agreement:
    """How well a score goes with accuracies that were measured.

    Attributes
    ----------
    tau : float
        Kendall's rank correlation (tau-b, which allows for ties), -1 to 1.
    low, high : float
        Its bootstrap interval of 95 %, over the candidates.
    r : float
        Pearson's correlation, -1 to 1.
    """

    tau: float
    low: float
    high: float
    r: float


def agreement(scores: ArrayLike, accuracies: ArrayLike, *, draws: int = 200, seed: int = 0) -> Agreement:
    """Compare a score with the truth, over candidates (Kendall 1938, "A new measure of rank correlation").

    Parameters
    ----------
    scores, accuracies : array, shape (n,)
        Of the same n candidates, 3 or more; neither all equal.
    draws : int
        Of the bootstrap. Draws in which all scores or all accuracies are equal are left out.
    seed : int

    Returns
    -------
    Agreement
        The interval takes the candidates for independent. Cuts of one backbone are not, so it is too narrow for them.

    Raises
    ------
    settings.UserError
        Different lengths, fewer than three candidates, all equal, values that are not finite.
    """
    from scipy.stats import kendalltau, pearsonr

    x, y = np.asarray(scores, dtype=np.float64), np.asarray(accuracies, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape or len(x) < 3:
        raise settings.UserError(
            f"scores of shape {x.shape} and accuracies of shape {y.shape}; give one of each for 3 candidates or more."
        )
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise settings.UserError("scores or accuracies hold NaN or infinite values; leave those candidates out.")
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        raise settings.UserError("All scores or all accuracies are equal, so there is no order to compare.")
    drawn = np.random.default_rng(seed).integers(len(x), size=(draws, len(x)))
    varied = [rows for rows in drawn if np.ptp(x[rows]) and np.ptp(y[rows])]
    low, high = np.quantile([kendalltau(x[rows], y[rows]).statistic for rows in varied], [0.025, 0.975])
    return Agreement(float(kendalltau(x, y).statistic), float(low), float(high), float(pearsonr(x, y).statistic))


@dataclass(frozen=True)
class Candidate:
    """A backbone and a cut, with what it promises and what it costs.

    Attributes
    ----------
    backbone, cut : str
    score : float
        `ridge_loo_r2` of the activations at the cut, averaged over the positions.
    accuracy : float
        `ridge_loo_accuracy` of the same.
    seconds_per_picture : float
        Of the trunk, measured here in batches of at most 8.
    kilobytes_per_picture : float
        What `cut.compute_once` stores, in thousands of bytes (float32).
    tail_parameters : int
        What fine-tuning the layers behind the cut trains (normalisation layers stay frozen); 0 at the end of the base.
    reason : str
        In words, against the best candidate.
    """

    backbone: str
    cut: str
    score: float
    accuracy: float
    seconds_per_picture: float
    kilobytes_per_picture: float
    tail_parameters: int
    reason: str


@dataclass(frozen=True, repr=False)
class Advice:
    """What `advise` found; shows itself as a table.

    Attributes
    ----------
    ranked : tuple of Candidate
        The highest score first.
    n_pictures : int
        Pictures that were scored.
    seconds : float
        That the advice took.
    """

    ranked: tuple[Candidate, ...]
    n_pictures: int
    seconds: float

    @property
    def best(self) -> Candidate:
        """The candidate with the highest score."""
        return self.ranked[0]

    def table(self) -> pd.DataFrame:
        """Return the ranking, one row per candidate; the index is the rank, from 1."""
        import pandas as pd

        return pd.DataFrame(self.ranked, index=pd.RangeIndex(1, len(self.ranked) + 1, name="rank"))

    def _title(self) -> str:
        best = f"{self.best.backbone} cut at {self.best.cut}"
        return f"Best of {len(self.ranked)}: {best} ({self.n_pictures} pictures scored in {self.seconds:.0f} s)"

    def __repr__(self) -> str:
        return f"{self._title()}\n{self.table().to_string(formatters=_FORMATS, index_names=False)}"

    def _repr_html_(self) -> str:
        table = self.table().to_html(formatters=_FORMATS, index_names=False, border=0)
        return f"<p>{html.escape(self._title())}</p>{table}"


_FORMATS: dict[str | int, Callable[[Any], str]] = {
    "score": "{:.3f}".format,
    "accuracy": "{:.2f}".format,
    "seconds_per_picture": "{:.4f}".format,
    "kilobytes_per_picture": "{:,.1f}".format,
    "tail_parameters": "{:,}".format,
}


def advise(
    dataset: datasets.Dataset,
    candidates: Sequence[str | backbones.Backbone] | None = None,
    budget: float = 60.0,
    *,
    seed: int = 0,
) -> Advice:
    """Rank backbones and their cuts for a target task by a few pictures, without training a network.

    Every backbone computes the chosen pictures once and yields the activations of all its cuts. The ranking is by
    `ridge_loo_r2`: how well a linear head on the frozen trunk, cut there, would do. It does not know what fine-tuning
    the tail would add.

    Parameters
    ----------
    dataset : Dataset
        The training pictures only: ``dataset.subset(split.train)``. Test pictures that take part in the choice no
        longer measure it.
    candidates : sequence of str or Backbone, optional
        Names in `backbones.CATALOGUE`, which are loaded with pretrained weights, or loaded backbones, such as an
        untrained control under a name of its own. Default: every backbone of the catalogue whose weights lie on this
        machine.
    budget : float
        Seconds the advice may take, more or less. All candidates are scored on the same pictures: 2, 5, 10, 20, 50,
        100, 200 or 500 of each class, or all where a class has fewer; the most that the time left after loading allows
        at the speed measured on 8 pictures, and no more than 1,000 together.
    seed : int
        Chooses the pictures. Of pictures of one group and class (copies, one patient) one takes part, since a picture
        left out would be recognised by its twin.

    Returns
    -------
    Advice

    Raises
    ------
    settings.UserError
        Unknown, repeated or no candidates; weights that cannot be brought; a class with fewer than two groups; fewer
        than two classes; a budget that does not suffice for two pictures of each class.
    """
    start = time.perf_counter()
    if isinstance(budget, bool) or not isinstance(budget, int | float) or not budget > 0:
        raise settings.UserError(f"budget={budget!r} must be a number of seconds above 0.")
    order = _one_of_each_group(dataset, seed)
    loaded = _loaded(candidates)
    first = dataset.subset(
        np.concatenate([pool[:1] for pool in order] + [pool[1:2] for pool in order])[:_TIMED_PICTURES]
    )
    seconds = {base.name: _seconds_per_picture(base, first.resized(base.image_size)) for base in loaded}
    per_picture = sum(times[-1] for times in seconds.values())
    per_class = _affordable([len(pool) for pool in order], per_picture, budget, time.perf_counter() - start)
    sample = dataset.subset(np.concatenate([pool[:per_class] for pool in order]))
    found: list[tuple[Candidate, NDArray[np.bool_]]] = []
    for base in loaded:
        activations = pooled_activations(base, sample.resized(base.image_size))
        for at, taken, parameters in zip(base.cuts, seconds[base.name], _tail_parameters(base), strict=True):
            x, members = _checked(activations[at], sample.labels)
            left_out = _left_out(x, members)
            right = _right(left_out, members)
            size = 4 * np.prod(base.model.get_layer(at).output.shape[1:]) / 1000
            costs = taken, float(size), parameters
            found.append((Candidate(base.name, at, _r2(left_out, members), float(right.mean()), *costs, ""), right))
    found.sort(key=lambda pair: (-pair[0].score, pair[0].seconds_per_picture))
    best, best_right = found[0]
    equals = sum(not _told_apart(right, best_right) for _, right in found[1:])
    reasons = [_reason_of_best(best, equals), *(_reason(*pair, best, best_right) for pair in found[1:])]
    explained = tuple(replace(pair[0], reason=reason) for pair, reason in zip(found, reasons, strict=True))
    return Advice(explained, len(sample), time.perf_counter() - start)


def pooled_activations(
    backbone: backbones.Backbone, pictures: picture_files.Pictures
) -> dict[str, NDArray[np.floating]]:
    """Compute the mean activations at all cuts of a network in one pass, kept by `cut.compute_once`.

    Parameters
    ----------
    backbone : Backbone
    pictures : uint8 array or PictureFiles, shape (n, image_size, image_size, 3)

    Returns
    -------
    dict of str to array, shape (n, channels at the cut)
        In the order of ``backbone.cuts``. At ``preprocess`` it is the mean colour.
    """
    together = _all_cuts(backbone)
    ends = np.cumsum([backbone.model.get_layer(at).output.shape[-1] for at in backbone.cuts])
    # Batches of one size, since another one at the end makes the backend trace the network again.
    batch_size = math.ceil(len(pictures) / max(1, math.ceil(len(pictures) / 32)))
    parts = np.split(cut.compute_once(together, pictures, batch_size=batch_size), ends[:-1], axis=1)
    return dict(zip(backbone.cuts, parts, strict=True))


# Kept, since the first call of a new model takes longer than all pictures of an advice.
@functools.lru_cache(maxsize=8)
def _all_cuts(backbone: backbones.Backbone) -> keras.Model:
    """Build the network that returns the mean activations at all cuts, side by side."""
    import keras

    tensors = [backbone.model.get_layer(at).output for at in backbone.cuts]
    # One output, so that it can be kept in one file.
    pooled = keras.layers.Concatenate()([keras.layers.GlobalAveragePooling2D()(tensor) for tensor in tensors])
    return keras.Model(backbone.model.input, pooled, name=f"{backbone.model.name}_all_cuts")


@functools.lru_cache(maxsize=8)
def _segments(backbone: backbones.Backbone) -> list[keras.Model]:
    """Build the networks that lead from the pictures to the first cut and from each cut to the next."""
    return cut.segments(backbone.model, backbone.cuts)


def _at_hand() -> list[str]:
    """Return the names of the backbones whose weights need no fetching."""
    fetched = {name for name in store.FILES if store.present(name)}
    return [name for name in backbones.CATALOGUE if name in fetched or name in backbones.MINI.values()]


def _loaded(candidates: Sequence[str | backbones.Backbone] | None) -> list[backbones.Backbone]:
    if isinstance(candidates, str):
        raise settings.UserError(f"candidates={candidates!r} must be a list of backbones, such as [{candidates!r}].")
    wanted = _at_hand() if candidates is None else list(candidates)
    if not wanted:
        raise settings.UserError(
            f"candidates is empty; give names out of {', '.join(backbones.CATALOGUE)}, or None for all that are here."
        )
    names = [base if isinstance(base, str) else base.name for base in wanted]
    for name in names:
        if names.count(name) > 1:
            raise settings.UserError(
                f"candidates holds {name!r} more than once; give another name to one of them with "
                "dataclasses.replace(backbone, name=...)."
            )
    return [backbones.load(base) if isinstance(base, str) else base for base in wanted]


def _one_of_each_group(dataset: datasets.Dataset, seed: int) -> list[NDArray[np.int64]]:
    """Return for each class that occurs one picture of each of its groups, in random order."""
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(len(dataset))
    pools = []
    for label in np.flatnonzero(dataset.counts):
        members = shuffled[dataset.labels[shuffled] == label]
        pool = members[np.sort(np.unique(dataset.groups[members], return_index=True)[1])]
        if len(pool) < 2:
            raise settings.UserError(
                f"Class {dataset.class_names[label]!r} of {dataset.name} has {len(members)} picture(s) of one group; "
                "a score needs two groups of each class at least. Add pictures of that class, or leave the class out."
            )
        pools.append(pool)
    if len(pools) < 2:
        raise settings.UserError(f"{dataset.name} has pictures of {len(pools)} class(es); advice needs two or more.")
    return pools


def _seconds_per_picture(backbone: backbones.Backbone, pictures: picture_files.Pictures) -> list[float]:
    """Measure how long it takes from a picture to each cut."""
    segments = _segments(backbone)
    seconds = np.zeros(len(segments))
    for _ in range(2):  # The first pass also compiles.
        x = np.asarray(pictures[:])
        for position, segment in enumerate(segments):
            start = time.perf_counter()
            x = segment.predict_on_batch(x)
            seconds[position] = time.perf_counter() - start
    return (np.cumsum(seconds) / len(pictures)).tolist()


def _affordable(available: list[int], seconds_per_picture: float, budget: float, elapsed: float) -> int:
    """Return how many pictures of each class the trunks can compute in the time that is left."""
    # Scoring needs its share too.
    affordable = min((budget - elapsed) * _SHARE_FOR_TRUNKS / seconds_per_picture, _ENOUGH)
    totals = {step: sum(min(count, step) for count in available) for step in _PER_CLASS}
    fewest = _PER_CLASS[0]
    if totals[fewest] * seconds_per_picture > (budget - elapsed) * _SHARE_FOR_TRUNKS:
        needed = elapsed + totals[fewest] * seconds_per_picture / _SHARE_FOR_TRUNKS
        raise settings.UserError(
            f"budget={budget:g} seconds are too few: loading and timing the networks took {elapsed:.0f}, and the "
            f"{totals[fewest]} pictures that are scored at least need {seconds_per_picture:.2g} each. Give "
            f"budget={np.ceil(1.2 * needed):.0f}, or fewer candidates."
        )
    return max([fewest, *(step for step, total in totals.items() if total <= affordable)])


def _tail_parameters(backbone: backbones.Backbone) -> list[int]:
    """Count for each cut what fine-tuning behind it would train."""
    import keras

    counts = []
    for segment in _segments(backbone):
        trained = [layer for layer in segment.layers if not isinstance(layer, keras.layers.BatchNormalization)]
        counts.append(sum(layer.count_params() for layer in trained))
    return [sum(counts[position + 1 :]) for position in range(len(counts))]


def _told_apart(right: NDArray[np.bool_], best_right: NDArray[np.bool_]) -> bool:
    """Say whether these pictures, left out, tell a candidate from a better one."""
    # Two classifiers of the same pictures differ by chance by the root of the pictures where only one is right.
    return bool(best_right.sum() - right.sum() > 2 * np.sqrt((right != best_right).sum()))


def _reason_of_best(best: Candidate, equals: int) -> str:
    if best.score <= 0:
        return "ranks first, yet no candidate tells more about the classes than guessing"
    reason = f"best: a linear head puts {best.accuracy:.0%} of pictures left out into the right class"
    return f"{reason}; not told from it: {equals} of the others" if equals else reason


def _reason(candidate: Candidate, right: NDArray[np.bool_], best: Candidate, best_right: NDArray[np.bool_]) -> str:
    """Say in words how the candidate stands against the best."""
    points = 100 * (best.accuracy - candidate.accuracy)
    apart = _told_apart(right, best_right)
    parts = [f"{points:.0f} points below the best" if apart else "not told from the best by these pictures"]
    speed = best.seconds_per_picture / candidate.seconds_per_picture
    if speed >= 1.5:
        parts.append(f"{speed:.1f} times as fast")
    elif speed <= 1 / 1.5:
        parts.append(f"takes {1 / speed:.1f} times as long")
    if candidate.cut == backbones.PREPROCESS:
        parts.append("the mean colour alone, no layer of the network")
    return ", ".join(parts)
