"""The exercises of notebook 08 know the right answers and have a hint of its own for each usual wrong one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tlutils.course import exercises

check_sensitivity = exercises.CHECKS["11_sensitivity_at_specificity"]
check_ppv = exercises.CHECKS["11_ppv"]


def sensitivity(labels: Any, scores: Any, specificity: float) -> float:
    """Return the share of positives above the negatives' quantile."""
    return float(np.mean(scores[labels == 1] > np.quantile(scores[labels == 0], specificity, method="inverted_cdf")))


def ppv(se: float, sp: float, prevalence: float) -> float:
    """Return Bayes' formula."""
    return se * prevalence / (se * prevalence + (1 - sp) * (1 - prevalence))


def test_right_answers_are_right() -> None:
    assert check_sensitivity(sensitivity) is None
    assert check_ppv(ppv) is None


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (..., "Define a function"),
        (lambda y, s, c: ..., "Not solved yet"),
        (lambda y, s, c: np.mean(s[y == 1] > np.quantile(s[y == 1], c)), "from the positives' scores"),
        (lambda y, s, c: np.mean(s[y == 1] > np.quantile(s, c)), "all pictures"),
        (lambda y, s, c: np.mean(s[y == 1] > np.quantile(s[y == 0], 1 - c)), "10 % of the negatives"),
        (lambda y, s, c: 1 - sensitivity(y, s, c), "missed"),
        (lambda y, s, c: np.mean(s[y == 0] < np.quantile(s[y == 1], 1 - c)), "swapped"),
        (lambda y, s, c: np.mean(s[y == 0] > np.quantile(s[y == 0], c)), "false alarms"),
        (lambda y, s, c: np.mean(s[y == 1] >= np.quantile(s[y == 0], c, method="inverted_cdf")), "Compare with >"),
        (lambda y, s, c: s[y == 1] > 0, "one number"),
        (lambda y, s, c: s[9999], "stops with IndexError"),
    ],
)
def test_a_wrong_sensitivity_gets_a_hint_of_its_own(answer: Any, hint: str) -> None:
    assert hint in str(check_sensitivity(answer))


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (..., "Define a function"),
        (lambda se, sp, p: ..., "Not solved yet"),
        (lambda se, sp, p: se / (se + 1 - sp), "prevalence is missing"),
        (lambda se, sp, p: ppv(sp, se, p), "swapped"),
        (lambda se, sp, p: sp * (1 - p) / (sp * (1 - p) + (1 - se) * p), "negative predictive value"),
        (lambda se, sp, p: se * p / (se * p + 1 - sp), "multiply 1 - specificity"),
        (lambda se, sp, p: se * p, "share of all alarms"),
        (lambda se, sp, p: 1 - ppv(se, sp, p), "share of false alarms"),
        (lambda se, sp, p: ppv(0.8, 0.9, 0.02), "Use the arguments"),
        (lambda se, sp, p: 0.5, "you return 0.500"),
    ],
)
def test_a_wrong_ppv_gets_a_hint_of_its_own(answer: Any, hint: str) -> None:
    assert hint in str(check_ppv(answer))
