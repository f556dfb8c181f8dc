"""Draw bootstrap resamples of test pictures, and score all of them at once."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tlutils import settings

# Guo et al. 2017 use 15 for thousands of pictures; with fewer bins, each keeps enough pictures to have an accuracy.
BINS = 10
EDGES = np.linspace(0, 1, BINS + 1)
# Pictures times resamples whose weights are held at once: arrays that fit a processor cache halve the time.
_HELD_AT_ONCE = 100_000


def bootstrap(
    labels: NDArray[np.int64], groups: ArrayLike | None, resamples: int, seed: int
) -> Iterator[NDArray[np.float64]]:
    """Draw bootstrap resamples of test pictures, stratified by class.

    From each class as many pictures are drawn, with replacement, as it has; so no class is lost, and the intervals hold
    for these class counts. With groups, whole groups are drawn, each from among those with the same rarest class.

    Parameters
    ----------
    labels : int array, shape (n,)
    groups : array, shape (n,), optional
    resamples : int
        100 or more.
    seed : int
        0 or more; two models that are compared get the same resamples from the same seed.

    Yields
    ------
    float64 array, shape (rows, n)
        How often each picture was drawn, one row per resample; the rows of all arrays add up to `resamples`.

    Raises
    ------
    settings.UserError
        Too few resamples, an impossible seed, groups of another length or with missing values.
    """
    # The ends of a 95 % interval need as many.
    settings.require_whole(100, resamples=resamples)
    settings.require_whole(0, seed=seed)
    unit = unit_numbers(groups, len(labels))
    # The rarest class comes first. By it, a patient with tumour and healthy tissue counts among those with a tumour.
    rarity = np.argsort(np.argsort(np.bincount(labels), kind="stable"))
    stratum = np.full(unit.max() + 1, len(rarity))
    np.minimum.at(stratum, unit, rarity[labels])

    strata = [np.flatnonzero(stratum == number) for number in np.unique(stratum)]
    # A stream of random numbers for each stratum, so that the draws do not depend on how many rows are held at once.
    generators = np.random.default_rng(seed).spawn(len(strata))
    step = max(1, _HELD_AT_ONCE // len(labels))
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        drawn = np.empty((rows, len(stratum)))
        for members, generator in zip(strata, generators, strict=True):
            size = len(members)
            picks = generator.integers(size, size=(rows, size)) + size * np.arange(rows)[:, None]
            drawn[:, members] = np.bincount(picks.ravel(), minlength=rows * size).reshape(rows, size)
        yield drawn[:, unit]


def unit_numbers(groups: ArrayLike | None, n: int) -> NDArray[np.int64]:
    """Number what the bootstrap draws: groups, or pictures where there are none.

    Parameters
    ----------
    groups : array, shape (n,), optional
    n : int

    Returns
    -------
    int64 array, shape (n,)
        From 0, without gaps.

    Raises
    ------
    settings.UserError
        Groups of another length or with missing values.
    """
    import pandas as pd

    if groups is None:
        return np.arange(n)
    names = np.asarray(groups)
    if names.shape != (n,):
        raise settings.UserError(f"groups has shape {names.shape} for {n} pictures; give one group per picture.")
    numbers, _ = pd.factorize(names)
    if numbers.min() < 0:
        raise settings.UserError(
            f"Picture {int(np.flatnonzero(numbers < 0)[0])} has no group; give a picture that belongs to no other "
            "a group of its own."
        )
    return numbers.astype(np.int64)


def weighted_scores(
    labels: NDArray[np.int64], probabilities: NDArray[np.float64], weights: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    """Compute every score of many resamples at once.

    scikit-learn's functions take one resample at a time, about 12 ms for 600 pictures of 5 classes. The same scores
    follow from sums over pictures (sorted by probability for the ranking scores), which are taken here for all
    resamples together; the tests hold each to scikit-learn's value. A class without pictures is left out of averages.

    Parameters
    ----------
    labels : int array, shape (n,)
    probabilities : float array, shape (n, n_classes)
    weights : float array, shape (resamples, n)
        How often each picture counts.

    Returns
    -------
    dict of float64 array
        NaN where not defined. Shape (resamples,):

        * accuracy
        * balanced_accuracy: mean recall of the classes
        * macro_f1, weighted_f1: mean F1 of the classes; plain, and weighted by their pictures
        * roc_auc, average_precision: of class 1 with two classes, otherwise the mean over the classes, each against the
          rest
        * brier: mean of the squared distance between probabilities and one-hot label, 0 to 2; with two classes half of
          it, 0 to 1, as in scikit-learn
        * ece: expected calibration error of the predicted class in `BINS` bins (Guo et al. 2017, equation 3)

        Shape (resamples, n_classes): precision, recall, f1.
    """
    n_classes = probabilities.shape[1]
    one_hot = np.eye(n_classes)[labels]
    predicted = probabilities.argmax(axis=1)
    right = predicted == labels
    confidence = probabilities.max(axis=1)
    squares = np.square(probabilities - one_hot).sum(axis=1) / (2 if n_classes == 2 else 1)

    total = weights.sum(axis=1)
    pictures = weights @ one_hot
    guesses = weights @ np.eye(n_classes)[predicted]
    hits = weights @ (one_hot * right[:, None])
    gaps = weights @ (np.eye(BINS)[confidence_bins(confidence)] * (right - confidence)[:, None])
    ranked = [1] if n_classes == 2 else [c for c in range(n_classes) if (labels == c).any()]
    columns = np.ascontiguousarray(weights.T)
    ranking = [_ranking_scores(columns, labels == c, probabilities[:, c]) for c in ranked]
    with np.errstate(invalid="ignore"):
        recall = hits / pictures
        precision = np.where(pictures > 0, hits / guesses, np.nan)
        f1 = np.where(pictures > 0, 2 * hits / (pictures + guesses), np.nan)
    return {
        "accuracy": hits.sum(axis=1) / total,
        "balanced_accuracy": np.nanmean(recall, axis=1),
        "macro_f1": np.nanmean(f1, axis=1),
        "weighted_f1": np.nansum(f1 * pictures, axis=1) / total,
        "roc_auc": _mean_of_defined([area for area, _ in ranking]),
        "average_precision": _mean_of_defined([mean for _, mean in ranking]),
        "brier": weights @ squares / total,
        "ece": np.abs(gaps).sum(axis=1) / total,
        "precision": precision,
        "recall": recall,
        "f1": f1,
    }


def resampled_scores(
    labels: NDArray[np.int64], probabilities: NDArray[np.float64], groups: ArrayLike | None, resamples: int, seed: int
) -> dict[str, NDArray[np.float64]]:
    """Compute every score of the test pictures, then of each bootstrap resample of them.

    Parameters
    ----------
    labels, groups, resamples, seed
        As for `bootstrap`.
    probabilities : float array, shape (n, n_classes)

    Returns
    -------
    dict of float64 array
        As `weighted_scores` returns it; the first row is that of the pictures themselves.
    """
    weights = itertools.chain([np.ones((1, len(labels)))], bootstrap(labels, groups, resamples, seed))
    chunks = [weighted_scores(labels, probabilities, rows) for rows in weights]
    return {score: np.concatenate([chunk[score] for chunk in chunks]) for score in chunks[0]}


def threshold_counts(
    weights: NDArray[np.float64], positive: NDArray[np.bool_], scores: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Count positives and negatives at or above each distinct score: the corners of the ROC curve.

    Parameters
    ----------
    weights : float array, shape (n, resamples)
        Transposed, for the speed of the sums.
    positive : bool array, shape (n,)
    scores : float array, shape (n,)

    Returns
    -------
    hits, alarms : float array, shape (thresholds, resamples)
        Positives and negatives, highest score first; the last row counts them all.
    """
    order = np.argsort(-scores, kind="stable")
    last = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    sorted_weights = weights[order]
    everything = np.cumsum(sorted_weights, axis=0)[last]
    hits = np.cumsum(sorted_weights * positive[order, None], axis=0)[last]
    return hits, everything - hits


def confidence_bins(confidence: NDArray[np.float64]) -> NDArray[np.int64]:
    """Number the bin of each confidence from 0; a bin includes its upper edge (Guo et al. 2017, section 2)."""
    return np.clip(np.searchsorted(EDGES, confidence, side="left") - 1, 0, BINS - 1)


def _ranking_scores(
    weights: NDArray[np.float64], positive: NDArray[np.bool_], scores: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return area under the ROC curve and average precision, each of shape (resamples,); `weights` is transposed."""
    hits, alarms = threshold_counts(weights, positive, scores)
    new_hits, new_alarms = np.diff(hits, axis=0, prepend=0), np.diff(alarms, axis=0, prepend=0)
    with np.errstate(invalid="ignore"):
        # A false alarm is outranked by the hits above it and, by convention, by half of those at the same score.
        area = (new_alarms * (hits - new_hits / 2)).sum(axis=0) / (hits[-1] * alarms[-1])
        precision = np.where(new_hits > 0, hits / (hits + alarms), 0)
        average_precision = (new_hits * precision).sum(axis=0) / hits[-1]
    # With positives only, every ranking is perfect.
    return area, np.where(alarms[-1] > 0, average_precision, np.nan)


def _mean_of_defined(scores: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    return np.ma.masked_invalid(np.stack(scores)).mean(axis=0).filled(np.nan)
