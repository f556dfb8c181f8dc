"""The exercises of notebook 06 know the right answers and have a hint of its own for each usual wrong one."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from tlutils.course import exercises
from tlutils.selection import transferability

check_leep = exercises.CHECKS["08_leep"]
check_regret = exercises.CHECKS["08_regret"]
check_modules = exercises.CHECKS["08_small_modules"]

Array = np.ndarray[Any, Any]


def probabilities(theta: Array, labels: Array) -> Array:
    """Return the expected probability of each picture's label, slowly, from the definition."""
    values = []
    for row, label in zip(theta, labels, strict=True):
        of_label = [theta[labels == label, z].sum() / theta[:, z].sum() for z in range(theta.shape[1])]
        values.append(sum(p * share for p, share in zip(of_label, row, strict=True)))
    return np.array(values)


def with_conditional(theta: Array, labels: Array, weights: Array | None = None, axis: int | None = 0) -> float:
    """Compute LEEP with a table that is divided along an axis, or not at all."""
    weights = theta if weights is None else weights
    joint = np.array([weights[labels == label].sum(axis=0) for label in np.unique(labels)])
    table = joint / (joint.sum(axis=axis, keepdims=True) if axis is not None else joint.sum())
    return float(np.log((weights @ table.T)[np.arange(len(labels)), labels]).mean())


def likeliest(theta: Array) -> Array:
    """Return a one for the likeliest source class and noughts for the others."""
    return np.eye(theta.shape[1])[theta.argmax(axis=1)]


def test_leep_of_the_package_and_from_the_definition_are_right() -> None:
    assert check_leep(transferability.leep) is None
    assert check_leep(lambda theta, y: np.log(probabilities(theta, y)).mean()) is None


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (..., "Define a function"),
        (lambda theta, y: ..., "Not solved yet"),
        (lambda theta, y: None, "Not solved yet"),
        (lambda theta, y: -transferability.leep(theta, y), "sign is wrong"),
        (lambda theta, y: np.log(probabilities(theta, y)).sum(), "divide by their number"),
        (lambda theta, y: probabilities(theta, y).mean(), "logarithm of each"),
        (lambda theta, y: np.log(probabilities(theta, y).mean()), "mean of the logarithms"),
        (lambda theta, y: with_conditional(theta, y, axis=1), "sums to 1 over y"),
        (lambda theta, y: with_conditional(theta, y, axis=None), "Divide by P(z)"),
        (lambda theta, y: with_conditional(theta, y, likeliest(theta)), "likeliest source class"),
        (lambda theta, y: np.log(probabilities(theta, y)), "one number"),
        (lambda theta, y: "-0.4", "Return one number, not '-0.4'"),
        (lambda theta, y: 0.5, "Not 0.500"),
        (lambda theta: 0.5, "TypeError"),
    ],
)
def test_each_usual_mistake_with_leep_gets_its_own_hint(answer: Any, hint: str) -> None:
    assert hint in (check_leep(answer) or "")


def test_regret_is_right_by_sorting_and_by_the_largest() -> None:
    assert check_regret(lambda s, a: a.max() - a[s.argmax()]) is None
    assert check_regret(lambda s, a: sorted(a)[-1] - max(zip(s, a, strict=True))[1]) is None


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (..., "Define a function"),
        (lambda s, a: ..., "Not solved yet"),
        (lambda s, a: a[s.argmax()] - a.max(), "sign is wrong"),
        (lambda s, a: a[s.argmax()], "accuracy of the chosen"),
        (lambda s, a: a.max() - a[s.argmin()], "lowest score"),
        (lambda s, a: a.max() - s.max(), "subtracted a score"),
        (lambda s, a: s.max() - s[a.argmax()], "difference of two scores"),
        (lambda s, a: a.max() - a[a.argmax()], "best with itself"),
        (lambda s, a: (a > a[s.argmax()]).sum(), "place in the ranking"),
        (lambda s, a: 100 * (a.max() - a[s.argmax()]), "in points"),
        (lambda s, a: a.max() - a.mean(), "at random"),
        (lambda s, a: a.max() - a, "one number"),
        (lambda s, a: "0.21", "Return one number, not '0.21'"),
        (lambda s, a: 0.5, "Not 0.500"),
        (lambda s: 0.5, "TypeError"),
    ],
)
def test_each_usual_mistake_with_regret_gets_its_own_hint(answer: Any, hint: str) -> None:
    assert hint in (check_regret(answer) or "")


def counted() -> tuple[int, int]:
    """Count with Keras what the exercise asks to be counted by hand."""
    inputs = keras.Input((8, 8, 64))
    adapter = keras.Model(inputs, keras.layers.Conv2D(64, 1)(keras.layers.Conv2D(8, 1)(inputs)))
    convolution = keras.layers.Conv2D(128, 3)
    convolution.build((None, 8, 8, 64))
    before = convolution.count_params()
    convolution.enable_lora(4)
    return adapter.count_params(), convolution.count_params() - before


def test_the_counts_of_keras_are_right() -> None:
    assert check_modules(counted()) is None


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        ((..., ...), "Not solved yet"),
        ((1096, ...), "Not solved yet"),
        (1096, "two whole numbers"),
        ((1096, "many"), "two whole numbers"),
        ((float("nan"), 1), "two whole numbers"),
        ((1096, float("inf")), "two whole numbers"),
        ((520, 2816), "counted one way"),
        ((576, 2816), "counted one way"),
        ((1024, 2816), "forgot the adapter's biases"),
        ((9216, 2816), "1 x 1, not 3 x 3"),
        ((4160, 2816), "without the bottleneck"),
        ((7, 2816), "does not have 7"),
        ((1096, 73728), "kernel itself"),
        ((1096, 73856), "whole convolution"),
        ((1096, 768), "3 x 3 x 64 x 4"),
        ((1096, 6912), "Only the first factor"),
        ((1096, 2304), "second brings"),
        ((1096, 512), "The first is a 3 x 3 kernel"),
        ((1096, 2944), "no bias"),
        ((1096, 7), "Not 7"),
    ],
)
def test_each_usual_miscount_of_small_modules_gets_its_own_hint(answer: Any, hint: str) -> None:
    assert hint in (check_modules(answer) or "")


@pytest.mark.parametrize(
    "name",
    ["01_crossing", "02_update", "03_repaired_program", "06_ece", "06_only_one_right", "06_per_class", "08_leep"],
)
def test_a_function_that_fails_without_a_message_is_told_what_it_raised(name: str) -> None:
    def fails(*arguments: Any) -> None:
        raise AssertionError

    assert "The function stops with AssertionError" in (exercises.CHECKS[name](fails) or "")
