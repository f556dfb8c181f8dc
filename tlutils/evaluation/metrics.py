"""Measure a classifier, and say how sure the measurement is."""

from __future__ import annotations

import dataclasses
import html
import itertools
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
# From so many on, the bootstrap of groups keeps about what it promises.
_ENOUGH_GROUPS = 20
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
        """Return value, low and high for a record; None for what is not defined."""
        return _plain(self)


def _plain(value: Any) -> Any:
    """Turn results into what JSON holds; it has no NaN, so what is not defined becomes None."""
    if dataclasses.is_dataclass(value):
        value = vars(value)
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value


class Report:
    """What shows itself as a caption, tables and notes, and hands its numbers to the record of a run."""

    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return every number by its name, for the record of a run; None for what is not defined."""
        return _plain(vars(self))

    def __repr__(self) -> str:
        caption, *tables = self._shown()
        texts = [table.to_string(index=False, max_rows=_ROWS_AT_MOST) for table in tables]
        return "\n\n".join([caption, *texts, *self.notes])

    def _repr_html_(self) -> str:
        caption, *tables = self._shown()
        pages = [table.to_html(index=False, max_rows=_ROWS_AT_MOST) for table in tables]
        notes = [f"<p><small>{html.escape(note)}</small></p>" for note in self.notes]
        return "".join([f"<p>{html.escape(caption)}</p>", *pages, *notes])

    def _shown(self) -> tuple[str, *tuple[pd.DataFrame, ...]]:
        """Return the caption and the tables."""
        raise NotImplementedError


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
    # scikit-learn would leave these out without a word.
    if (largest := max(true.max(), guessed.max())) >= n_classes:
        raise settings.UserError(
            f"labels or predicted hold class {largest}, but with n_classes={n_classes} the classes are "
            f"0 to {n_classes - 1}; give the number of classes of the dataset."
        )
    return confusion_matrix(true, guessed, labels=range(n_classes))


@dataclass(frozen=True, repr=False)
class Evaluation(Report):
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
        record = super().as_dict()
        columns = [record.pop(column) for column in ("class_names", "counts", *_BY_CLASS)]
        classes = {
            name: dict(zip(("pictures", *_BY_CLASS), row, strict=True)) for name, *row in zip(*columns, strict=True)
        }
        return {"pictures": sum(self.counts), **record, "classes": classes}

    def _shown(self) -> tuple[str, *tuple[pd.DataFrame, ...]]:
        import pandas as pd

        kind = f"{len(self.counts)} classes" if len(self.counts) > 2 else f"positive class: {self.class_names[1]}"
        caption = (
            f"{sum(self.counts)} test picture(s), {kind}; 95 % intervals from {self.resamples:,} bootstrap resamples "
            f"(seed {self.seed})"
        )
        scores = [(label, f"{getattr(self, score):{spec}}", best) for score, (label, spec, best) in SCORES.items()]
        classes: dict[str, Sequence[object]] = {"class": self.class_names, "pictures": self.counts}
        classes |= {label: [str(interval) for interval in getattr(self, name)] for name, label in _BY_CLASS.items()}
        return caption, pd.DataFrame(scores, columns=["score", "value [interval]", "best"]), pd.DataFrame(classes)


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
    Two exceptions. Where every resample agrees, as with a recall of 1, accuracy and recall get Wilson's interval, in
    which a group counts once, and the other scores none. And the ECE, which chance can only raise, is raised again by
    resampling: its percentiles are mirrored at the value (the basic bootstrap; Davison & Hinkley 1997, "Bootstrap
    methods and their application", section 5.2), so that the interval may lie below the value. The ECE of few pictures
    stays too high: a perfectly calibrated model of five classes has about 0.04 on 600 pictures and 0.09 on 100.

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
        the bootstrap then draws whole groups. With fewer than twenty, the intervals are still too narrow, and the notes
        say so (Cameron, Gelbach & Miller 2008, "Bootstrap-based improvements for inference with clustered errors").
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
    true, scores = check_scores(labels, probabilities)
    names = tuple(class_names) or tuple(str(number) for number in range(scores.shape[1]))
    if len(set(names)) != scores.shape[1] or len(names) != scores.shape[1]:
        raise settings.UserError(
            f"class_names={list(names)} for probabilities of {scores.shape[1]} classes; give each column a name of its "
            "own."
        )
    scored = bootstrap.resampled_scores(true, scores, groups, resamples, seed)
    unit = bootstrap.unit_numbers(groups, len(true))
    independent = unit.max() + 1 == len(true)
    units = [len(np.unique(unit[true == c])) for c in range(len(names))]
    few = not independent and unit.max() + 1 < _ENOUGH_GROUPS

    found: dict[str, list[Interval]] = {score: [] for score in scored}
    remarks: dict[str, list[str]] = {}
    for score, values in scored.items():
        for c, column in enumerate(values.reshape(len(values), -1).T):
            interval = bootstrap_interval(column)
            if score == "ece":
                interval = _mirrored(interval)
            remark = _remark(score, interval, column, units[c], few)
            # Groups that all have the same share say nothing of others, unless it is none or all: then each is one hit.
            if (
                remark == _ALL_THE_SAME
                and score in ("accuracy", "recall")
                and (independent or interval.value in (0, 1))
            ):
                count = units[c] if score == "recall" else int(unit.max()) + 1
                hits = np.arange(count) < round(interval.value * count)
                interval = accuracy(np.ones(count, dtype=np.int64), hits.astype(np.int64))
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


def _remark(score: str, interval: Interval, values: NDArray[np.float64], units: int, few: bool) -> str:
    """Say what a reader must know about an interval; nothing if it is as it should be.

    `units` counts the class's pictures, or its groups; it matters to the scores of a class only. `few`: whether all
    pictures come from few groups.
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
    if few:
        return f"Too narrow an interval, since it rests on fewer than {_ENOUGH_GROUPS} groups"
    if np.isnan(values).any():
        return "Not defined in some resamples; the interval leaves them out"
    return ""


def sensitivity_at_specificity(
    labels: ArrayLike,
    probabilities: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> Interval:
    """Share of the positives found when the threshold lets at least 95 % of the others pass as negative.

    It is the highest point of the ROC curve at a false positive rate of 0.05 or less. Class 1 is positive; with more
    than two classes all others together are negative. The threshold is
    chosen anew in every resample, so the interval includes the chance in its choice. A threshold for use is chosen on
    validation pictures; this number is what the scores would allow.

    Parameters
    ----------
    labels, probabilities, groups, resamples, seed
        As for `evaluate`.

    Returns
    -------
    Interval
        Without ends where every resample gives the same value.

    Raises
    ------
    settings.UserError
        As for `evaluate`; positives or negatives are missing.

    Examples
    --------
    >>> found = [0.1, 0.2, 0.3, 0.6, 0.4, 0.8]
    >>> probabilities = np.column_stack([1 - np.array(found), found])
    >>> sensitivity_at_specificity([0, 0, 0, 0, 1, 1], probabilities).value
    0.5
    """
    true, scores = check_scores(labels, probabilities)
    wanted = true == 1
    if wanted.all() or not wanted.any():
        raise settings.UserError(
            f"{wanted.sum()} of {len(true)} pictures are of class 1; sensitivity at a specificity needs "
            "pictures of this class and of others. Look at the split."
        )

    def sensitivity(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        hits, alarms = bootstrap.threshold_counts(np.ascontiguousarray(weights.T), wanted, scores[:, 1])
        # The small number keeps 1 false alarm of 20 allowed, where rounding might forbid it.
        allowed = alarms <= 0.05 * alarms[-1] + 1e-9
        with np.errstate(invalid="ignore"):
            return np.where(allowed, hits, 0).max(axis=0) / hits[-1]

    resampled = bootstrap.bootstrap(wanted.astype(np.int64), groups, resamples, seed)
    weights = itertools.chain([np.ones((1, len(true)))], resampled)
    return bootstrap_interval(np.concatenate([sensitivity(rows) for rows in weights]))


def auc_by_example(labels: ArrayLike, scores: ArrayLike) -> NDArray[np.float64]:
    """Give every example a share in the ROC AUC, so that two ways can be compared pair by pair.

    The AUC is the share of all pairs of a positive and a negative in which the positive scores higher. What one example
    contributes are the pairs it is in (DeLong, DeLong & Clarke-Pearson 1988, "Comparing the areas under two or more
    correlated receiver operating characteristic curves"). The shares are scaled so that their mean is the AUC and the
    variance of their mean is DeLong's, up to the factor n / (n - 1) of a sample's variance.

    Parameters
    ----------
    labels : array, shape (n,)
        True or 1 for positives, False or 0 for negatives.
    scores : float array, shape (n,)
        The higher, the more likely positive. Ties count a half.

    Returns
    -------
    float64 array, shape (n,)
        Single shares may lie outside 0 to 1.

    Raises
    ------
    settings.UserError
        Positives or negatives are missing, or a score is not a finite number.

    Examples
    --------
    >>> float(auc_by_example([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]).mean())
    0.75
    """
    positive, score = np.asarray(labels).astype(bool), np.asarray(scores, dtype=np.float64)
    if positive.shape != score.shape or positive.ndim != 1 or not 0 < positive.sum() < len(positive):
        raise settings.UserError(
            f"{positive.sum()} positives among labels of shape {positive.shape}, scores of shape {score.shape}: the "
            "ROC AUC needs one score for each label, and positives as well as negatives. Look at the split."
        )
    if not np.isfinite(score).all():
        raise settings.UserError("A score is not a finite number; look at that run, it failed.")
    higher, lower = score[positive][:, None], score[~positive][None]
    won = (higher > lower) + 0.5 * (higher == lower)
    area = won.mean()
    shares = np.full(len(score), area)
    shares[positive] += len(score) / positive.sum() * (won.mean(axis=1) - area)
    shares[~positive] += len(score) / (~positive).sum() * (won.mean(axis=0) - area)
    return shares


def bootstrap_interval(values: NDArray[np.float64]) -> Interval:
    """Take the percentiles of the resamples' values as the 95 % interval.

    Parameters
    ----------
    values : float array, shape (1 + resamples,)
        The value of the pictures themselves, then that of each resample. NaN where the score is not defined; these
        resamples are left out.

    Returns
    -------
    Interval
        With NaN for the ends where the value is not defined or every resample gives the same.
    """
    value, draws = float(values[0]), values[1:]
    defined = draws[np.isfinite(draws)]
    # Sums taken in another order differ in their last digits.
    if math.isnan(value) or not len(defined) or np.ptp(defined) < 1e-12:
        return Interval(value, math.nan, math.nan)
    low, high = np.quantile(defined, [0.025, 0.975]).tolist()
    return Interval(value, low, high)


def check_classes(labels: ArrayLike, predicted: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Check true and predicted class numbers and return them as arrays; parameters and errors as for `accuracy`."""
    checked = []
    for name, values in (("labels", labels), ("predicted", predicted)):
        numbers = np.asarray(values)
        # Probabilities and one-hot rows are the usual mistakes.
        if numbers.ndim != 1:
            raise settings.UserError(
                f"{name} has shape {numbers.shape}; give one class number per picture. "
                f"Of probabilities take {name}.argmax(axis=1)."
            )
        if numbers.size and not np.issubdtype(numbers.dtype, np.number):
            raise settings.UserError(f"{name} holds {numbers[0]!r}; give class numbers, 0 or more.")
        wrong = numbers[~(np.isfinite(numbers) & (numbers >= 0) & (np.mod(numbers, 1) == 0))]
        if wrong.size:
            raise settings.UserError(
                f"{name} holds {wrong[0]}, which is no class number; give whole numbers, 0 or more."
            )
        checked.append(numbers.astype(np.int64))
    true, guessed = checked
    if len(true) != len(guessed):
        raise settings.UserError(
            f"{len(true)} labels and {len(guessed)} predictions; give both for the same pictures, in the same order."
        )
    if not len(true):
        raise settings.UserError("There is nothing to measure: labels and predicted are empty. Look at the split.")
    return true, guessed


def check_scores(
    labels: ArrayLike, scores: ArrayLike, *, logits: bool = False
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Check that there is a class number and a row of probabilities, or of logits, for each picture.

    Parameters
    ----------
    labels : int array, shape (n,)
    scores : float array, shape (n, n_classes)
    logits : bool
        Whether the scores are logits, which need be neither positive nor sum to 1.

    Returns
    -------
    labels : int64 array, shape (n,)
    scores : float64 array, shape (n, n_classes)

    Raises
    ------
    settings.UserError
        As for `evaluate`.
    """
    name = "logits" if logits else "probabilities"
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
    rows = rows.astype(np.float64)
    sums = rows.sum(axis=1)
    # Half precision keeps three digits.
    wrong = np.flatnonzero((np.abs(sums - 1) > 2e-3) | (rows < 0).any(axis=1))
    if wrong.size and not logits:
        row = wrong[0]
        raise settings.UserError(
            f"The probabilities of picture {row} are {np.array2string(rows[row], precision=3, threshold=6)} and sum to "
            f"{sums[row]:.3g}; they must be 0 or more and sum to 1. Of logits take calibration.softmax(logits)."
        )
    return true, rows
