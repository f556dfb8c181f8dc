"""The exercises of notebook 05 know the right answers and have a hint of its own for each usual wrong one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import precision_recall_fscore_support

from tlutils.course import exercises
from tlutils.evaluation import calibration, comparison

check_per_class = exercises.CHECKS["06_per_class"]
check_ece = exercises.CHECKS["06_ece"]
check_counts = exercises.CHECKS["06_only_one_right"]

Array = np.ndarray[Any, Any]


def by_scikit_learn(matrix: Array) -> Any:
    """Unroll the matrix into pictures and let scikit-learn count them again."""
    true, predicted = np.indices(matrix.shape)
    counts = matrix.ravel()
    return precision_recall_fscore_support(true.ravel().repeat(counts), predicted.ravel().repeat(counts))[:3]


def per_class(matrix: Array) -> tuple[Array, Array, Array]:
    """Solve exercise 1."""
    hits = np.diag(matrix)
    precision, recall = hits / matrix.sum(axis=0), hits / matrix.sum(axis=1)
    return precision, recall, 2 * precision * recall / (precision + recall)


def test_precision_recall_and_f1_are_right_however_they_are_computed() -> None:
    assert check_per_class(by_scikit_learn) is None
    assert check_per_class(per_class) is None


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (..., "Define a function"),
        (lambda m: ..., "Not solved yet"),
        (lambda m: None, "Not solved yet"),
        (lambda m: per_class(m.T), "swapped"),
        (lambda m: (np.diag(m) / m.sum(),) * 3, "divide by all pictures"),
        (lambda m: (1 - per_class(m)[0], *per_class(m)[1:]), "Precision is not right"),
        (lambda m: (per_class(m)[0], *per_class(m)[:2]), "Recall is not"),
        (lambda m: (*per_class(m)[:2], sum(per_class(m)[:2]) / 2), "harmonic"),
        (lambda m: (*per_class(m)[:2], per_class(m)[0] * per_class(m)[1]), "F1 is 2PR"),
        (lambda m: [part.mean() for part in per_class(m)], "one number per class"),
        (lambda m: np.trace(m), "three arrays"),
        (lambda m: 1 / None, "TypeError"),
    ],
)
def test_each_usual_mistake_with_the_matrix_gets_its_own_hint(answer: Any, hint: str) -> None:
    assert hint in (check_per_class(answer) or "")


def gaps_of(labels: Array, probabilities: Array, bins: int) -> tuple[Array, Array]:
    """Return the signed gap and the share of the pictures of every bin that is not empty."""
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    edges = np.linspace(0, 1, bins + 1)
    inside = [(confidence > low) & (confidence <= high) for low, high in zip(edges[:-1], edges[1:], strict=True)]
    kept = [chosen for chosen in inside if chosen.any()]
    gaps = [right[chosen].mean() - confidence[chosen].mean() for chosen in kept]
    return np.array(gaps), np.array([chosen.mean() for chosen in kept])


def test_the_ece_of_the_package_and_the_one_from_the_formula_are_right() -> None:
    assert check_ece(lambda y, p, bins: calibration.reliability(y, p).ece) is None
    assert check_ece(lambda y, p, bins: np.abs(gaps_of(y, p, bins)[0]) @ gaps_of(y, p, bins)[1]) is None


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (..., "Define a function"),
        (lambda y, p, bins: ..., "Not solved yet"),
        (lambda y, p, bins: np.prod(gaps_of(y, p, bins), axis=0).sum(), "cancel"),
        (lambda y, p, bins: np.abs(gaps_of(y, p, bins)[0]).mean(), "same weight"),
        (lambda y, p, bins: np.abs(gaps_of(y, p, bins)[0]).sum() / bins, "same weight"),
        (lambda y, p, bins: np.nan, "some bins are empty"),
        (lambda y, p, bins: "0.08 of 1", "Return one number, not '0.08 of 1'"),
        (lambda y, p, bins: gaps_of(y, p, bins)[0] ** 2 @ gaps_of(y, p, bins)[1], "squared"),
        (lambda y, p, bins: np.abs((p.argmax(axis=1) == y) - p.max(axis=1)).mean(), "within each bin first"),
        (lambda y, p, bins: (1 - p[np.arange(len(y)), y]).mean(), "confidence is the largest"),
        (lambda y, p, bins: 100 * calibration.reliability(y, p).ece, "per cent"),
        (lambda y, p, bins: len(y) * calibration.reliability(y, p).ece, "divide by their number"),
        (lambda y, p, bins: np.abs(gaps_of(y, p, bins)[0]), "one number"),
        (lambda y, p, bins: 0.5, "Not 0.500"),
        (lambda y, p: 0.5, "TypeError"),
    ],
)
def test_each_usual_mistake_with_the_ece_gets_its_own_hint(answer: Any, hint: str) -> None:
    assert hint in (check_ece(answer) or "")


def only_one_right(labels: Array, first: Array, second: Array) -> tuple[int, int]:
    """Solve exercise 3, slowly."""
    pairs = [(one == true, two == true) for true, one, two in zip(labels, first, second, strict=True)]
    return pairs.count((True, False)), pairs.count((False, True))


def test_the_counts_of_the_package_and_those_by_hand_are_right() -> None:
    def by_package(labels: Array, first: Array, second: Array) -> tuple[int, int]:
        test = comparison.mcnemar(labels, first, second)
        return test.only_first, test.only_second

    assert check_counts(only_one_right) is None
    assert check_counts(by_package) is None


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (..., "Define a function"),
        (lambda y, a, b: ..., "Not solved yet"),
        (lambda y, a, b: only_one_right(y, b, a), "swapped"),
        (lambda y, a, b: ((a != y).sum(), (b != y).sum()), "mistakes of each model"),
        (lambda y, a, b: ((b != y).sum(), (a != y).sum()), "mistakes of the other"),
        (lambda y, a, b: ((a == y).sum(), (b == y).sum()), "that each model gets right"),
        (lambda y, a, b: ((a != b).sum(), (a != b).sum()), "must also be right"),
        (lambda y, a, b: (0, 0), "Not (0, 0)"),
        (lambda y, a, b: 3, "two counts"),
        (lambda y, a: 3, "TypeError"),
    ],
)
def test_each_usual_miscount_gets_its_own_hint(answer: Any, hint: str) -> None:
    assert hint in (check_counts(answer) or "")
