"""Tests of tlutils.metrics against formulas written out here and values from printed tables."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlutils import metrics
from tlutils.settings import UserError

# The 97.5 % quantile of the normal distribution, and of Student's t for n - 1 degrees of freedom, from printed tables.
NORMAL = 1.959964
STUDENT = {2: 12.7062, 3: 4.30265, 5: 2.77645, 11: 2.22814}


def wilson(right: int, n: int) -> tuple[float, float]:
    """Wilson 1927: the shares p with |p - right/n| = z * sqrt(p (1 - p) / n), solved for p."""
    share, z2 = right / n, NORMAL**2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    reach = math.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n**2))) / (1 + z2 / n)
    return centre - reach, centre + reach


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=200))
def test_accuracy_is_the_share_of_right_answers_with_wilsons_interval(pairs: list[tuple[int, int]]):
    labels, predicted = zip(*pairs, strict=True)
    right = sum(label == guess for label, guess in pairs)
    result = metrics.accuracy(labels, predicted)
    assert result.value == pytest.approx(right / len(pairs))
    assert (result.low, result.high) == pytest.approx(wilson(right, len(pairs)), abs=1e-6)
    assert 0 <= result.low <= result.value <= result.high <= 1


def test_a_perfect_score_is_not_taken_for_certainty():
    result = metrics.accuracy(np.zeros(20), np.zeros(20))
    assert result.high == pytest.approx(1)
    assert result.low == pytest.approx(20 / (20 + NORMAL**2), abs=1e-6)  # Wilson's formula for right = n


@pytest.mark.parametrize("n", STUDENT)
def test_the_interval_over_seeds_is_students(n: int):
    values = [0.7 + 0.01 * number * (-1) ** number for number in range(n)]
    mean = sum(values) / n
    deviation = math.sqrt(sum((value - mean) ** 2 for value in values) / (n - 1))
    result = metrics.over_seeds(values)
    assert result.value == pytest.approx(mean)
    assert result.high - result.value == pytest.approx(STUDENT[n] * deviation / math.sqrt(n), rel=1e-5)
    assert result.value - result.low == pytest.approx(result.high - result.value)


def test_equal_values_give_an_interval_of_no_width():
    result = metrics.over_seeds([0.5, 0.5, 0.5])
    assert (result.low, result.value, result.high) == (0.5, 0.5, 0.5)


@pytest.mark.parametrize("values", [[], [0.9], [[0.9, 0.8]]])
def test_fewer_than_two_seeds_are_refused(values: list):
    with pytest.raises(UserError, match="at least two seeds"):
        metrics.over_seeds(values)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_the_seed_that_failed_is_named(bad: float):
    with pytest.raises(UserError, match=f"seed number 1 is {bad}"):
        metrics.over_seeds([0.5, bad, 0.6])


def test_rows_of_the_confusion_are_true_classes_and_absent_classes_count():
    result = metrics.confusion([0, 0, 0, 1, 3], [0, 1, 1, 1, 0], n_classes=4)
    assert result.tolist() == [[1, 2, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0]]
    assert result.dtype == np.int64


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=100))
def test_the_diagonal_of_the_confusion_gives_the_accuracy(pairs: list[tuple[int, int]]):
    labels, predicted = zip(*pairs, strict=True)
    counts = metrics.confusion(labels, predicted, 5)
    assert counts.sum() == len(pairs)
    assert counts.trace() / len(pairs) == pytest.approx(metrics.accuracy(labels, predicted).value)


@pytest.mark.parametrize(
    ("labels", "predicted", "n_classes", "message"),
    [([0, 5], [0, 1], 5, "labels holds class 5"), ([0, 1], [0, 2], 2, "predicted holds class 2")],
)
def test_a_class_beyond_the_last_is_named(labels: list, predicted: list, n_classes: int, message: str):
    with pytest.raises(UserError, match=f"{message}, .*the classes are 0 to {n_classes - 1}"):
        metrics.confusion(labels, predicted, n_classes)


@pytest.mark.parametrize(
    ("labels", "predicted", "message"),
    [
        ([], [], "nothing to measure"),
        ([0, 1, 2], [0, 1], "3 labels and 2 predictions"),
        ([0, 1], [0.0, float("nan")], "predicted holds nan, which is no class number"),
        ([0, -1], [0, 1], "labels holds -1, which is no class number"),
        ([0, 1], [0.2, 0.9], "predicted holds 0.2, which is no class number"),
        (["rose", "tulip"], [0, 1], "labels holds .*rose.*; give class numbers"),
        ([0, 1], [[0.2, 0.8], [0.9, 0.1]], r"predicted has shape \(2, 2\); .*predicted.argmax\(axis=1\)"),
    ],
)
def test_what_cannot_be_compared_is_explained(labels: list, predicted: list, message: str):
    for measure in (metrics.accuracy, lambda *pair: metrics.confusion(*pair, n_classes=3)):
        with pytest.raises(UserError, match=message):
            measure(labels, predicted)


def test_an_interval_prints_its_value_and_its_ends():
    interval = metrics.Interval(0.8431, 0.8, 0.8849)
    assert str(interval) == f"{interval}" == "0.84 [0.80, 0.88]"
    assert f"{interval:.1%}" == "84.3% [80.0%, 88.5%]"
