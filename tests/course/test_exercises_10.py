"""The exercises of notebook 07 know the right answers and have a hint of its own for each usual wrong one."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from tlutils.course import exercises

check_recovered = exercises.CHECKS["10_recovered"]
check_coral = exercises.CHECKS["10_coral"]
check_reverse = exercises.CHECKS["10_reverse"]

Array = np.ndarray[Any, Any]
stop = keras.ops.stop_gradient


def power(matrix: Array, p: float) -> Array:
    """Return a symmetric matrix to a power."""
    values, vectors = np.linalg.eigh(matrix)
    return vectors * values**p @ vectors.T


def cov(rows: Array, identity: float = 1.0) -> Array:
    """Return the covariance plus a multiple of the identity."""
    return np.cov(rows, rowvar=False) + identity * np.eye(rows.shape[1])


def coral(s: Array, t: Array, identity: float = 1.0) -> Array:
    """Return the right answer, or the one without + I."""
    return (s - s.mean(0)) @ power(cov(s, identity), -0.5) @ power(cov(t, identity), 0.5) + t.mean(0)


def by_svd(s: Array, t: Array) -> Array:
    """Return the right answer as the notebook computes it for many features."""
    x = s - s.mean(0)
    for domain, p in ((s, -0.5), (t, 0.5)):
        _, spread, v = np.linalg.svd((domain - domain.mean(0)) / np.sqrt(len(domain) - 1), full_matrices=False)
        x = x + (x @ v.T) * ((spread**2 + 1) ** p - 1) @ v
    return x + t.mean(0)


def test_right_answers_are_right() -> None:
    assert check_recovered(lambda a, s, f: (a - s) / (f - s)) is None
    assert check_coral(coral) is None
    assert check_coral(by_svd) is None
    assert check_reverse(lambda x, k: (1 + k) * stop(x) - k * x) is None
    assert check_reverse(lambda x, k: stop(x) - k * (x - stop(x))) is None


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (..., "Define a function"),
        (lambda a, s, f: ..., "Not solved yet"),
        (lambda a, s, f: (a - s) / f, "You divide by full."),
        (lambda a, s, f: (a - s) / s, "You divide by shifted"),
        (lambda a, s, f: a - s, "gain in accuracy"),
        (lambda a, s, f: (a - s) / (1 - s), "You divide by 1 - shifted"),
        (lambda a, s, f: (f - a) / (f - s), "still missing"),
        (lambda a, s, f: (s - a) / (f - s), "sign is wrong"),
        (lambda a, s, f: a / f, "nothing is recovered"),
        (lambda a, s, f: (a - s) / (f - a), "You divide by full - adapted"),
        (lambda a, s, f: max(0, (a - s) / (f - s)), "Do not clip"),
        (lambda a, s, f: [a, s], "one number"),
        (lambda a, s, f: 0.123, "not 0.12"),
        (lambda a, s, f: a / 0, "stops with ZeroDivisionError"),
    ],
)
def test_a_wrong_share_gets_a_hint_of_its_own(answer: Any, hint: str) -> None:
    assert hint in str(check_recovered(answer))


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (..., "Define a function"),
        (lambda s, t: ..., "Not solved yet"),
        (lambda s, t: coral(s, t, 0.0), "forgot + I"),
        (lambda s, t: (s - s.mean(0)) @ power(cov(t), 0.5) @ power(cov(s), -0.5) + t.mean(0), "transposed"),
        (lambda s, t: (s - s.mean(0)) @ power(cov(s), -0.5) @ power(cov(s), 0.5) + t.mean(0), "one undoes the other"),
        (lambda s, t: (s - s.mean(0)) @ power(cov(s), -0.5) + t.mean(0), "white now"),
        (lambda s, t: s - s.mean(0) + t.mean(0), "mean alone"),
        (lambda s, t: (s - t.mean(0)) @ power(cov(s), -0.5) @ power(cov(t), 0.5) + t.mean(0), "its own"),
        (lambda s, t: s @ power(cov(s), -0.5) @ power(cov(t), 0.5), "left as they fall"),
        (lambda s, t: s @ power(cov(s), -0.5) @ power(cov(t), 0.5) + t.mean(0), "Centre the source rows"),
        (lambda s, t: coral(s, t) - t.mean(0), "forgot to add"),
        (lambda s, t: coral(s, t) - t.mean(0) + s.mean(0), "You add the source's mean"),
        (lambda s, t: (s - s.mean(0)) @ power(cov(t), -0.5) @ power(cov(s), 0.5) + t.mean(0), "swapped in the roots"),
        (lambda s, t: (s - s.mean(0)) @ power(cov(s), 0.5) @ power(cov(t), -0.5) + t.mean(0), "exponents are swapped"),
        (lambda s, t: (s - s.mean(0)) @ power(cov(s), -1) @ cov(t) + t.mean(0), "square roots"),
        (lambda s, t: coral(t, s), "target's rows"),
        (lambda s, t: s[:, :2], "of shape (40, 3)"),
        (lambda s, t: s * 0, "mean of the moved rows"),
        (lambda s, t: 0 * s + t.mean(0), "covariance does not"),
        (lambda s, t: s @ t, "stops with ValueError"),
    ],
)
def test_a_wrong_coral_gets_a_hint_of_its_own(answer: Any, hint: str) -> None:
    assert hint in str(check_coral(answer))


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (..., "Define a function"),
        (lambda x, k: ..., "Not solved yet"),
        (lambda x, k: -k * x, "Forwards nothing may change"),
        (lambda x, k: (1 - k) * stop(x) + k * x, "+strength"),
        (lambda x, k: stop(x), "derivative is 0"),
        (lambda x, k: x, "nothing is reversed"),
        (lambda x, k: 2 * stop(x) - x, "whatever the strength"),
        (lambda x, k: (1 + k * k) * stop(x) - k * k * x, "must be -0.5"),
        (lambda x, k: 1.5 * stop(x) - 0.5 * x, "At strength 2"),
        (lambda x, k: x.nothing, "stops with AttributeError"),
        (lambda x, k: "x", "Return a tensor"),
    ],
)
def test_a_wrong_reversal_gets_a_hint_of_its_own(answer: Any, hint: str) -> None:
    assert hint in str(check_reverse(answer))
