"""The exercises of notebook 02 know the right answers and have a hint of its own for each usual wrong one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tlutils import course
from tlutils.course import exercises

Floats = NDArray[np.float64]

check_update = exercises.CHECKS["02_update"]
check_mask = exercises.CHECKS["02_mask"]
check_l2_sp = exercises.CHECKS["02_l2_sp_gradient"]


def update(theta: Floats, x: Floats, y: Floats, learning_rate: float) -> Any:
    """Solve the exercise."""
    return theta - learning_rate * (x @ theta - y) @ x / len(y)


def in_place(theta: Floats, x: Floats, y: Floats, learning_rate: float) -> Any:
    theta -= learning_rate * (x @ theta - y) @ x / len(y)
    return theta


def own_prediction(theta: Floats, x: Floats, y: Floats, learning_rate: float) -> Any:
    return theta - learning_rate * (x @ theta - x @ theta) @ x / len(y)


def mask(sizes: Sequence[int], frozen_blocks: int) -> Any:
    """Solve the exercise."""
    return np.repeat(np.arange(len(sizes)) >= frozen_blocks, sizes)


def only_in_the_middle(sizes: Sequence[int], frozen_blocks: int) -> Any:
    return np.concatenate([np.zeros(sum(sizes[:frozen_blocks])), np.ones(max(1, sum(sizes[frozen_blocks:])))])


def l2_sp(g: Floats, theta: Floats, source: Floats, shared: NDArray[np.bool_], pull: float, decay: float) -> Any:
    """Solve the exercise."""
    return g + np.where(shared, pull * (theta - source), decay * theta)


def stub(*arguments: Any) -> Any:
    """Do what the untouched stub does."""
    ...


def test_gradient_descent_on_half_the_mean_squared_error_is_right() -> None:
    assert check_update(update) is None


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (lambda t, x, y, a: t + a * (x @ t - y) @ x / len(y), "that climbs"),
        (lambda t, x, y, a: t - a * (y - x @ t) @ x / len(y), "that climbs"),
        (lambda t, x, y, a: t - a * (x @ t - y) @ x, "forgot the mean"),
        (lambda t, x, y, a: t + a * (x @ t - y) @ x, "Two mistakes"),
        (lambda t, x, y, a: t - a * 2 * (x @ t - y) @ x / len(y), "Twice too far"),
        (lambda t, x, y, a: t - (x @ t - y) @ x / len(y), "forgot the learning rate"),
        (lambda t, x, y, a: (x @ t - y) @ x / len(y), "That is the gradient"),
        (lambda t, x, y, a: -a * (x @ t - y) @ x / len(y), "step alone"),
        (own_prediction, "A prediction in the place of the label"),
        (in_place, "in place"),
        (lambda t, x, y, a: t - a * np.mean(x @ t - y) * x.mean(axis=0), "then average"),
        (lambda t, x, y, a: t - a * (x @ t - y), "stops with ValueError"),
        (lambda t, x, y, a: np.mean((x @ t - y) ** 2) / 2, "what you return ()"),
        (lambda t, x, y, a: t - a * np.sign((x @ t - y) @ x), "Chain rule"),
        (0.1, "Define a function update"),
    ],
)
def test_a_wrong_update_gets_its_own_hint(answer: Callable[..., Any], hint: str) -> None:
    assert hint in (check_update(answer) or "")


@pytest.mark.parametrize("answer", [mask, lambda sizes, k: mask(sizes, k).astype(float), lambda *a: list(mask(*a))])
def test_a_mask_with_an_entry_for_every_parameter_is_right(answer: Callable[..., Any]) -> None:
    assert check_mask(answer) is None


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (lambda sizes, k: ~mask(sizes, k), "wrong side"),
        (lambda sizes, k: mask(sizes, k - 1), "one too few"),
        (lambda sizes, k: mask(sizes, k + 1), "one too many"),
        (lambda sizes, k: np.arange(len(sizes)) >= k, "one number per block"),
        (lambda sizes, k: np.arange(sum(sizes)) >= k, "Freeze 2 blocks"),
        (lambda sizes, k: np.ones(sum(sizes[k:])), "there are 8 parameters"),
        (lambda sizes, k: np.ones(sum(sizes)), "you return [1.0"),
        (only_in_the_middle, "Try frozen_blocks=0"),
        (lambda sizes: sizes, "stops with TypeError"),
        ([0, 0, 1], "Define a function mask"),
    ],
)
def test_a_wrong_mask_gets_its_own_hint(answer: Callable[..., Any], hint: str) -> None:
    assert hint in (check_mask(answer) or "")


def test_a_spring_for_the_shared_parameters_and_decay_for_the_new_ones_is_right() -> None:
    assert check_l2_sp(l2_sp) is None


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (lambda g, t, s, m, p, d: g + np.where(m, p * (s - t), d * t), "sign of the pull"),
        (lambda g, t, s, m, p, d: g - np.where(m, p * (t - s), d * t), "drives away"),
        (lambda g, t, s, m, p, d: g + 2 * np.where(m, p * (t - s), d * t), "cancels the 2"),
        (lambda g, t, s, m, p, d: g + np.where(m, p * (t - s), 0), "lack their decay"),
        (lambda g, t, s, m, p, d: g + p * (t - s), "have no source value"),
        (lambda g, t, s, m, p, d: g + np.where(m, p * t, d * t), "plain L2"),
        (lambda g, t, s, m, p, d: g + np.where(m, d * t, p * (t - s)), "wrong side"),
        (lambda g, t, s, m, p, d: g + p * (t - s) + d * t, "one of the two terms"),
        (lambda g, t, s, m, p, d: np.where(m, p * (t - s), d * t), "penalty alone"),
        (lambda g, t, s, m, p, d: g + np.where(m, p / 2 * (t - s) ** 2, d / 2 * t**2), "Not the right numbers"),
        (lambda g, t, s, m, p, d: p / 2 * np.sum((t - s) ** 2), "what you return ()"),
        (lambda g: g, "stops with TypeError"),
        (None, "Define a function l2_sp_gradient"),
    ],
)
def test_a_wrong_gradient_of_the_prior_gets_its_own_hint(answer: Callable[..., Any], hint: str) -> None:
    assert hint in (check_l2_sp(answer) or "")


@pytest.mark.parametrize("name", ["02_update", "02_mask", "02_l2_sp_gradient"])
def test_an_untouched_stub_counts_as_not_solved(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    course.check(name, stub)
    assert "Not solved yet" in capsys.readouterr().out
