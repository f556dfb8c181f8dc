"""The exercises of notebook 04 know the right answers and have a hint of its own for each usual wrong one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from tlutils import course, tuning
from tlutils.course import exercises
from tlutils.tuning import learning_rates

check_rate = exercises.CHECKS["05_range_test"]
check_freeze = exercises.CHECKS["05_freeze_batchnorm"]


def curve() -> learning_rates.RangeTest:
    """A range test whose loss is lowest at 1e-2 and whose training explodes at 1."""
    rates = np.geomspace(1e-5, 1, 101)
    losses = 1 + (np.log10(rates) + 2) ** 2
    return learning_rates.RangeTest(rates, losses, losses, 1e-3)


@pytest.mark.parametrize("rate", [1e-3, 4e-4, 3e-3, np.float32(1e-3)])
def test_a_tenth_of_the_lowest_rate_is_right_within_half_a_decade(rate: float) -> None:
    assert check_rate((rate, curve())) is None


@pytest.mark.parametrize(
    ("rate", "hint"),
    [
        (1e-2, "one decade to the left"),
        (0.3, "on its way up"),
        (10, "right of the whole curve"),
        (1e-4, "safe but slow, 10 times"),
        (1e-6, "left of the whole curve"),
        (0, "left of the whole curve"),
        (-3, "write 1e-3"),
        ("1e-3", "Give one number"),
        (True, "Give one number"),
        (curve().rates, "Give one number"),
    ],
)
def test_a_rate_read_at_the_wrong_place_gets_its_own_hint(rate: Any, hint: str) -> None:
    assert hint in (check_rate((rate, curve())) or "")


def of_lesson(model: keras.Model) -> int:
    """Solve the exercise as the lesson does."""
    frozen = 0
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            frozen += of_lesson(layer)
        elif isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
            frozen += 1
    return frozen


def freezing(chosen: Callable[[keras.layers.Layer], bool], answer: Any = 2, nested: bool = True) -> Callable[..., Any]:
    """Return a function that freezes the chosen layers and returns the answer."""

    def freeze(model: keras.Model) -> Any:
        layers = model._flatten_layers(include_self=False) if nested else model.layers
        for layer in layers:
            if not isinstance(layer, keras.Model) and chosen(layer):
                layer.trainable = False
        return answer

    return freeze


def is_norm(layer: keras.layers.Layer) -> bool:
    return isinstance(layer, keras.layers.BatchNormalization)


def everything(model: keras.Model) -> int:
    model.trainable = False
    return 2


def momentum(model: keras.Model) -> int:
    """Hold the statistics alone."""
    for layer in model._flatten_layers():
        if is_norm(layer):
            layer.momentum = 1.0
    return 2


def stub(model: keras.Model) -> Any:
    """Do what the untouched stub does."""
    ...


@pytest.mark.parametrize("answer", [of_lesson, tuning.freeze_batchnorm])
def test_the_lesson_and_the_package_freeze_batchnorm_alike(answer: Callable[..., Any]) -> None:
    assert check_freeze(answer) is None


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (freezing(is_norm, nested=False), "nested model trains on"),
        (everything, "Everything is frozen"),
        (freezing(lambda layer: not is_norm(layer)), "wrong side"),
        (freezing(lambda layer: is_norm(layer) or isinstance(layer, keras.layers.Dense)), "Other layers are frozen"),
        (freezing(lambda layer: "bn" in layer.name or "batch" in layer.name), "Nothing is frozen"),
        (freezing(lambda layer: layer.name == "inside"), "the one outside is not"),
        (momentum, "scale and shift still learn"),
        (freezing(is_norm, None), "return how many"),
        (freezing(is_norm, 1), "you return 1"),
        (lambda: 2, "stops with TypeError"),
        (2, "Define a function"),
    ],
)
def test_a_freeze_that_does_not_hold_gets_its_own_hint(answer: Callable[..., Any], hint: str) -> None:
    assert hint in (check_freeze(answer) or "")


@pytest.mark.parametrize(("name", "untouched"), [("05_range_test", (..., curve())), ("05_freeze_batchnorm", stub)])
def test_an_untouched_stub_counts_as_not_solved(
    name: str, untouched: object, capsys: pytest.CaptureFixture[str]
) -> None:
    course.check(name, untouched)
    assert "Not solved yet" in capsys.readouterr().out
