"""Measure a classifier, and say how sure the measurement is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tlutils import settings


@dataclass(frozen=True)
class Interval:
    """A measured value and the ends of its 95 % interval.

    Attributes
    ----------
    value, low, high : float

    Examples
    --------
    >>> print(Interval(0.84, 0.8, 0.88))
    0.84 [0.80, 0.88]
    >>> f"{Interval(0.84, 0.8, 0.88):.0%}"
    '84% [80%, 88%]'
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return format(self)

    def __format__(self, spec: str) -> str:
        spec = spec or ".2f"
        return f"{self.value:{spec}} [{self.low:{spec}}, {self.high:{spec}}]"


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

    true, guessed = _pair(labels, predicted)
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

    true, guessed = _pair(labels, predicted)
    for what, numbers in (("labels", true), ("predicted", guessed)):
        if numbers.max() >= n_classes:
            raise settings.UserError(
                f"{what} holds class {numbers.max()}, but with n_classes={n_classes} the classes are "
                f"0 to {n_classes - 1}; give the number of classes of the dataset."
            )
    return np.asarray(confusion_matrix(true, guessed, labels=range(n_classes)), dtype=np.int64)


def _pair(labels: ArrayLike, predicted: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    true, guessed = _class_numbers("labels", labels), _class_numbers("predicted", predicted)
    if len(true) != len(guessed):
        raise settings.UserError(
            f"{len(true)} labels and {len(guessed)} predictions; give both for the same pictures, in the same order."
        )
    if not len(true):
        raise settings.UserError("There is nothing to measure: labels and predicted are empty. Look at the split.")
    return true, guessed


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
