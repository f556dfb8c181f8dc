"""Measure a classifier, and say how sure the measurement is."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tlutils import settings
from tlutils.evaluation import bootstrap

if TYPE_CHECKING:
    import pandas as pd

# Each score of a whole model: its name in a table, its format and its best value.
SCORES = {
    "accuracy": ("accuracy", ".2f", "1"),
    "balanced_accuracy": ("balanced accuracy", ".2f", "1"),
    "macro_f1": ("macro F1", ".2f", "1"),
    "weighted_f1": ("weighted F1", ".2f", "1"),
    "roc_auc": ("ROC AUC", ".2f", "1 (chance: 0.5)"),
    "average_precision": ("average precision", ".2f", "1"),
    "brier": ("Brier score", ".3f", "0"),
    "ece": ("ECE", ".3f", "0"),
}
_BY_CLASS = {"precision": "precision", "recall": "recall", "f1": "F1"}
_ALL_THE_SAME = "No interval, since every resample gives the same value"
_ROWS_AT_MOST = 30


@dataclass(frozen=True)
class Interval:
    """A measured value and the ends of its 95 % interval.

    Attributes
    ----------
    value, low, high : float
        NaN stands for what is not defined.

    Examples
    --------
    >>> print(Interval(0.84, 0.8, 0.88))
    0.84 [0.80, 0.88]
    >>> f"{Interval(0.84, 0.8, 0.88):.0%}"
    '84% [80%, 88%]'
    >>> print(Interval(1.0, math.nan, math.nan), "and", Interval(math.nan, math.nan, math.nan))
    1.00 [no interval] and not defined
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return format(self)

    def __format__(self, spec: str) -> str:
        spec = spec or ".2f"
        if math.isnan(self.value):
            return "not defined"
        ends = "no interval" if math.isnan(self.low) else f"{self.low:{spec}}, {self.high:{spec}}"
        return f"{self.value:{spec}} [{ends}]"

    def as_dict(self) -> dict[str, float | None]:
        """Return value, low and high for a record; None, since JSON has no NaN, for what is not defined."""
        ends = {"value": self.value, "low": self.low, "high": self.high}
        return {name: None if math.isnan(end) else end for name, end in ends.items()}


def accuracy(labels: ArrayLike, predicted: ArrayLike) -> Interval:
    """Share of right predictions, with Wilson's interval (Wilson 1927).

    The interval says how far chance in the choice of the test pictures reaches. It stays within 0 and 1 and keeps its
    promise for few pictures and for shares near 1, where the usual "plus or minus two standard errors" does not.

    Parameters
    ----------
    labels, predicted : int array, shape (n,)
        True and predicted class numbers, 0 or more; n is at least 1.

    Returns
    -------
    Interval

    Raises
    ------
    settings.UserError
        Nothing to compare, unequal lengths, or something other than class numbers.

    Examples
    --------
    >>> print(accuracy([0, 1, 1, 0], [0, 1, 1, 1]))
    0.75 [0.30, 0.95]
    """
    from scipy.stats import binomtest

    true, guessed = check_classes(labels, predicted)
    result = binomtest(int((true == guessed).sum()), len(true))
    interval = result.proportion_ci(confidence_level=0.95, method="wilson")
    return Interval(float(result.statistic), float(interval.low), float(interval.high))


def over_seeds(values: Sequence[float] | NDArray[np.floating]) -> Interval:
    """Mean over seeds, with Student's t interval.

    The interval says how far chance in the training reaches: the choice of the labelled pictures, the initial weights,
    the order of the batches.

    Parameters
    ----------
    values : sequence of float
        The same measurement once per seed, two seeds or more.

    Returns
    -------
    Interval

    Raises
    ------
    settings.UserError
        Fewer than two values, or a value that is not a finite number.

    Examples
    --------
    >>> print(over_seeds([0.80, 0.82, 0.84]))
    0.82 [0.77, 0.87]
    """
    from scipy.stats import t

    sample = np.asarray(values, dtype=np.float64)
    if sample.ndim != 1 or len(sample) < 2:
        raise settings.UserError(
            f"{sample.size} value(s) in an array of shape {sample.shape}: an interval over seeds needs a list of two "
            "or more, one value per seed. Run with at least two seeds."
        )
    if not np.isfinite(sample).all():
        bad = int(np.flatnonzero(~np.isfinite(sample))[0])
        raise settings.UserError(f"The value of seed number {bad} is {sample[bad]}; look at that run, it failed.")
    mean = float(sample.mean())
    reach = float(t.ppf(0.975, len(sample) - 1) * sample.std(ddof=1) / np.sqrt(len(sample)))
    return Interval(mean, mean - reach, mean + reach)


def confusion(labels: ArrayLike, predicted: ArrayLike, n_classes: int) -> NDArray[np.int64]:
    """Count how often each class is taken for each.

    Parameters
    ----------
    labels, predicted : int array, shape (n,)
        True and predicted class numbers, 0 to n_classes - 1; n is at least 1.
    n_classes : int
        Also classes that do not occur get a row and a column.

    Returns
    -------
    int64 array, shape (n_classes, n_classes)
        Row: the true class. Column: the predicted class.

    Raises
    ------
    settings.UserError
        As for `accuracy`, and for a class number of `n_classes` or more.

    Examples
    --------
    >>> confusion([0, 0, 1], [0, 1, 1], n_classes=2)
    array([[1, 1],
           [0, 1]])
    """
    from sklearn.metrics import confusion_matrix

    true, guessed = check_classes(labels, predicted)
    for what, numbers in (("labels", true), ("predicted", guessed)):
        if numbers.max() >= n_classes:
            raise settings.UserError(
                f"{what} holds class {numbers.max()}, but with n_classes={n_classes} the classes are "
                f"0 to {n_classes - 1}; give the number of classes of the dataset."
            )
    return np.asarray(confusion_matrix(true, guessed, labels=range(n_classes)), dtype=np.int64)


@dataclass(frozen=True, repr=False)
class Evaluation:
    """What `evaluate` measured; shows itself as two tables.

    Attributes
    ----------
    accuracy, balanced_accuracy, macro_f1, weighted_f1, roc_auc, average_precision, brier, ece : Interval
        See `bootstrap.weighted_scores`.
    precision, recall, f1 : tuple of Interval
        One for each class.
    class_names : tuple of str
    counts : tuple of int
        Test pictures of each class.
    resamples, seed : int
        Of the bootstrap.
    notes : tuple of str
        What is not defined, and why; where an interval is missing or rests on too little.
    """

    accuracy: Interval
    balanced_accuracy: Interval
    macro_f1: Interval
    weighted_f1: Interval
    roc_auc: Interval
    average_precision: Interval
    brier: Interval
    ece: Interval
    precision: tuple[Interval, ...]
    recall: tuple[Interval, ...]
    f1: tuple[Interval, ...]
    class_names: tuple[str, ...]
    counts: tuple[int, ...]
    resamples: int
    seed: int
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return every number by its name, for the record of a run; None for what is not defined."""
        classes: dict[str, Any] = {
            name: {"pictures": count} | {score: getattr(self, score)[c].as_dict() for score in _BY_CLASS}
            for c, (name, count) in enumerate(zip(self.class_names, self.counts, strict=True))
        }
        scores = {score: getattr(self, score).as_dict() for score in SCORES}
        bootstrap = {"resamples": self.resamples, "seed": self.seed}
        return {"pictures": sum(self.counts), **scores, "classes": classes, **bootstrap, "notes": list(self.notes)}

    def __repr__(self) -> str:
        tables = [table.to_string(index=False, max_rows=_ROWS_AT_MOST) for table in self._tables()]
        return "\n\n".join([self._caption(), *tables, *self.notes])

    def _repr_html_(self) -> str:
        tables = [table.to_html(index=False, max_rows=_ROWS_AT_MOST) for table in self._tables()]
        notes = "".join(f"<p><small>{html.escape(note)}</small></p>" for note in self.notes)
        return f"<p>{html.escape(self._caption())}</p>" + "".join(tables) + notes

    def _caption(self) -> str:
        kind = f"{len(self.counts)} classes" if len(self.counts) > 2 else f"positive class: {self.class_names[1]}"
        return (
            f"{sum(self.counts)} test picture(s), {kind}; 95 % intervals from {self.resamples:,} bootstrap resamples "
            f"(seed {self.seed})"
        )

    def _tables(self) -> list[pd.DataFrame]:
        import pandas as pd

        scores = [(label, f"{getattr(self, score):{spec}}", best) for score, (label, spec, best) in SCORES.items()]
        classes: dict[str, Sequence[object]] = {"class": self.class_names, "pictures": self.counts}
        classes |= {label: [str(interval) for interval in getattr(self, name)] for name, label in _BY_CLASS.items()}
        return [pd.DataFrame(scores, columns=["score", "value [interval]", "best"]), pd.DataFrame(classes)]


def evaluate(
    labels: ArrayLike,
    probabilities: ArrayLike,
    class_names: Sequence[str] = (),
    *,
    groups: ArrayLike | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> Evaluation:
    """Measure a classifier on test pictures, every score with its bootstrap interval.

    The intervals are percentiles of the bootstrap (Efron 1979, "Bootstrap methods: another look at the jackknife") and
    say how far chance in the choice of the test pictures reaches; chance in the training is what `over_seeds` is for.
    Two exceptions. Where every resample agrees, as with a recall of 1, accuracy and recall get Wilson's interval and
    the other scores none. And the ECE, which chance can only raise, is raised again by resampling: its percentiles are
    mirrored at the value (the basic bootstrap; Davison & Hinkley 1997, "Bootstrap methods and their application",
    section 5.2), so that the interval may lie below the value. The ECE of few pictures stays too high: a perfectly
    calibrated model of five classes has about 0.04 on 600 pictures and 0.09 on 100.

    Parameters
    ----------
    labels : int array, shape (n,)
        True class numbers, 0 to n_classes - 1; n is at least 1.
    probabilities : float array, shape (n, n_classes)
        Rows sum to 1; of logits take `calibration.softmax`. With two classes, class 1 is the positive one.
    class_names : sequence of str, length n_classes
        For the table; without them the class numbers.
    groups : array, shape (n,), optional
        Which pictures belong together, such as the patient of each. Pictures of one group are no independent evidence:
        the bootstrap then draws whole groups, and the intervals become as wide as they should be.
    resamples : int
        100 or more.
    seed : int
        Of the bootstrap.

    Returns
    -------
    Evaluation
        On two processor cores, 600 pictures of 5 classes take less than 0.5 s; the time grows with pictures times
        classes times resamples.

    Raises
    ------
    settings.UserError
        Labels that are no class numbers or have no column; probabilities of another shape, below 0, not finite or not
        summing to 1; class names of another number or not all different; groups of another length or with missing
        values; too few resamples.

    Examples
    --------
    >>> result = evaluate([0, 1, 1, 1], [[0.8, 0.2], [0.6, 0.4], [0.3, 0.7], [0.1, 0.9]], ["cat", "dog"])
    >>> result.accuracy.value, result.roc_auc.value
    (0.75, 1.0)
    """
    true, scores = check_probabilities(labels, probabilities)
    names = tuple(class_names) or tuple(str(number) for number in range(scores.shape[1]))
    if len(set(names)) != scores.shape[1] or len(names) != scores.shape[1]:
        raise settings.UserError(
            f"class_names={list(names)} for probabilities of {scores.shape[1]} classes; give each column a name of its "
            "own."
        )
    values = bootstrap.weighted_scores(true, scores, np.ones((1, len(true))))
    unit = bootstrap.unit_numbers(groups, len(true))
    chunks = [
        bootstrap.weighted_scores(true, scores, weights)
        for weights in bootstrap.bootstrap(true, groups, resamples, seed)
    ]
    independent = unit.max() + 1 == len(true)
    units = [len(np.unique(unit[true == c])) for c in range(len(names))]

    found: dict[str, list[Interval]] = {score: [] for score in values}
    remarks: dict[str, list[str]] = {}
    for score, value in values.items():
        draws = np.concatenate([chunk[score] for chunk in chunks]).reshape(resamples, -1)
        for c in range(draws.shape[1]):
            interval = bootstrap_interval(float(value.ravel()[c]), draws[:, c])
            if score == "ece":
                interval = _mirrored(interval)
            remark = _remark(score, interval, draws[:, c], units[c])
            if remark == _ALL_THE_SAME and independent and score in ("accuracy", "recall"):
                chosen = true == c if score == "recall" else slice(None)
                interval = accuracy(true[chosen], scores[chosen].argmax(axis=1))
                remark = "Every resample gives the same value; the interval is Wilson's"
            found[score].append(interval)
            label = f"{_BY_CLASS[score]} of {names[c]}" if score in _BY_CLASS else SCORES[score][0]
            remarks.setdefault(remark, []).append(label)
    remarks.pop("", None)
    return Evaluation(
        **{score: found[score][0] for score in SCORES},  # type: ignore[arg-type]
        **{score: tuple(found[score]) for score in _BY_CLASS},  # type: ignore[arg-type]
        class_names=names,
        counts=tuple(np.bincount(true, minlength=len(names)).tolist()),
        resamples=resamples,
        seed=seed,
        notes=tuple(f"{remark}: {settings.listed(labels)}." for remark, labels in remarks.items()),
    )


def _mirrored(interval: Interval) -> Interval:
    """Turn the percentiles of a score from 0 to 1 into the basic interval; see `evaluate`."""
    low, high = np.clip([2 * interval.value - interval.high, 2 * interval.value - interval.low], 0, 1).tolist()
    return Interval(interval.value, low, high)


def _remark(score: str, interval: Interval, draws: NDArray[np.float64], units: int) -> str:
    """Say what a reader must know about an interval; nothing if it is as it should be.

    `units` counts the class's pictures, or its groups; it matters to the scores of a class only.
    """
    if math.isnan(interval.value):
        if score not in _BY_CLASS:
            return "Not defined, since all test pictures are of one class"
        if units == 0:
            return "Not defined, since the class has no test picture; averages leave it out"
        return "Not defined, since the class is never predicted"
    if math.isnan(interval.low):
        return _ALL_THE_SAME
    if score in _BY_CLASS and units == 1:
        return "Too narrow an interval, since every resample holds the only picture or group of the class"
    if np.isnan(draws).any():
        return "Not defined in some resamples; the interval leaves them out"
    return ""


def sensitivity_at_specificity(
    labels: ArrayLike,
    probabilities: ArrayLike,
    *,
    positive: int = 1,
    specificity: float = 0.95,
    groups: ArrayLike | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> Interval:
    """Share of the positives found when the threshold lets at least `specificity` of the others pass as negative.

    It is the highest point of the ROC curve at a false positive rate of 1 - `specificity` or less. The threshold is
    chosen anew in every resample, so the interval includes the chance in its choice. A threshold for use is chosen on
    validation pictures; this number is what the scores would allow.

    Parameters
    ----------
    labels, probabilities, groups, resamples, seed
        As for `evaluate`.
    positive : int
        Class number to find; all other classes together are the negatives.
    specificity : float
        Above 0 and below 1.

    Returns
    -------
    Interval
        Without ends where every resample gives the same value.

    Raises
    ------
    settings.UserError
        As for `evaluate`; an impossible class or specificity; positives or negatives are missing.

    Examples
    --------
    >>> found = [0.1, 0.2, 0.3, 0.6, 0.4, 0.8]
    >>> probabilities = np.column_stack([1 - np.array(found), found])
    >>> sensitivity_at_specificity([0, 0, 0, 0, 1, 1], probabilities, specificity=0.75).value
    1.0
    """
    true, scores = check_probabilities(labels, probabilities)
    if positive not in range(scores.shape[1]):
        raise settings.UserError(f"positive={positive!r} is no class; give one of 0 to {scores.shape[1] - 1}.")
    if not 0 < specificity < 1:
        raise settings.UserError(
            f"specificity={specificity!r} is no share; give a number between 0 and 1, such as 0.95."
        )
    wanted = true == positive
    if wanted.all() or not wanted.any():
        raise settings.UserError(
            f"{wanted.sum()} of {len(true)} pictures are of class {positive}; sensitivity at a specificity needs "
            "pictures of this class and of others. Look at the split."
        )

    def sensitivity(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        hits, alarms = bootstrap.threshold_counts(np.ascontiguousarray(weights.T), wanted, scores[:, positive])
        # The small number keeps, for instance, 1 of 20 false alarms allowed at 0.95, where rounding would forbid it.
        allowed = alarms <= (1 - specificity) * alarms[-1] + 1e-9
        with np.errstate(invalid="ignore"):
            return np.where(allowed, hits, 0).max(axis=0) / hits[-1]

    value = float(sensitivity(np.ones((1, len(true))))[0])
    draws = [sensitivity(weights) for weights in bootstrap.bootstrap(wanted.astype(np.int64), groups, resamples, seed)]
    return bootstrap_interval(value, np.concatenate(draws))


def bootstrap_interval(value: float, draws: NDArray[np.float64]) -> Interval:
    """Take the percentiles of the resamples' values as the 95 % interval.

    Parameters
    ----------
    value : float
        Of the pictures themselves.
    draws : float array, shape (resamples,)
        NaN where the score is not defined; these resamples are left out.

    Returns
    -------
    Interval
        With NaN for the ends where the value is not defined or every resample gives the same.
    """
    defined = draws[np.isfinite(draws)]
    # Sums taken in another order differ in their last digits.
    if math.isnan(value) or not len(defined) or np.ptp(defined) < 1e-12:
        return Interval(value, math.nan, math.nan)
    low, high = np.quantile(defined, [0.025, 0.975]).tolist()
    return Interval(value, low, high)


def check_classes(labels: ArrayLike, predicted: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Check true and predicted class numbers and return them as arrays; parameters and errors as for `accuracy`."""
    true, guessed = _class_numbers("labels", labels), _class_numbers("predicted", predicted)
    if len(true) != len(guessed):
        raise settings.UserError(
            f"{len(true)} labels and {len(guessed)} predictions; give both for the same pictures, in the same order."
        )
    if not len(true):
        raise settings.UserError("There is nothing to measure: labels and predicted are empty. Look at the split.")
    return true, guessed


def check_scores(name: str, labels: ArrayLike, scores: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Check that there is a class number and a row of finite scores for each picture.

    Parameters
    ----------
    name : str
        Of the scores, for the message.
    labels : int array, shape (n,)
    scores : float array, shape (n, n_classes)

    Returns
    -------
    labels : int64 array, shape (n,)
    scores : float64 array, shape (n, n_classes)

    Raises
    ------
    settings.UserError
        As for `evaluate`, but for sums and signs.
    """
    rows = np.asarray(scores)
    if rows.ndim != 2 or rows.shape[1] < 2:
        raise settings.UserError(
            f"{name} has shape {rows.shape}; give one row per picture and one column per class. Of the probability p "
            "of class 1, shape (n,), take numpy.column_stack([1 - p, p])."
        )
    if not np.issubdtype(rows.dtype, np.number):
        raise settings.UserError(f"{name} holds {rows.dtype} values; give numbers.")
    true, _ = check_classes(labels, np.zeros(len(rows)))
    if true.max() >= rows.shape[1]:
        raise settings.UserError(
            f"labels holds class {true.max()}, but {name} has columns for the classes 0 to {rows.shape[1] - 1} only; "
            "was the model built for this number of classes?"
        )
    bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if bad.size:
        raise settings.UserError(
            f"The {name} of picture {bad[0]} hold NaN or infinite values, {bad.size} of {len(rows)} rows do; "
            "look at this picture, and at the training, which may have diverged."
        )
    return true, rows.astype(np.float64)


def check_probabilities(labels: ArrayLike, probabilities: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Check labels and probabilities and return them as arrays; parameters and errors as for `evaluate`."""
    true, rows = check_scores("probabilities", labels, probabilities)
    sums = rows.sum(axis=1)
    # Half precision keeps three digits.
    wrong = np.flatnonzero((np.abs(sums - 1) > 2e-3) | (rows < 0).any(axis=1))
    if wrong.size:
        row = int(wrong[0])
        raise settings.UserError(
            f"The probabilities of picture {row} are {np.array2string(rows[row], precision=3, threshold=6)} and sum to "
            f"{sums[row]:.3g}; they must be 0 or more and sum to 1. Of logits take calibration.softmax(logits)."
        )
    return true, rows


def _class_numbers(name: str, values: ArrayLike) -> NDArray[np.int64]:
    """Check that `values` are class numbers; probabilities and one-hot rows are the usual mistakes."""
    numbers = np.asarray(values)
    if numbers.ndim != 1:
        raise settings.UserError(
            f"{name} has shape {numbers.shape}; give one class number per picture. "
            f"Of probabilities take {name}.argmax(axis=1)."
        )
    if numbers.size and not np.issubdtype(numbers.dtype, np.number):
        raise settings.UserError(f"{name} holds {numbers[0]!r}; give class numbers, 0 or more.")
    wrong = numbers[~(np.isfinite(numbers) & (numbers >= 0) & (np.mod(numbers, 1) == 0))]
    if wrong.size:
        raise settings.UserError(f"{name} holds {wrong[0]}, which is no class number; give whole numbers, 0 or more.")
    return numbers.astype(np.int64)
