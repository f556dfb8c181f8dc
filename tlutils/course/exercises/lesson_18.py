"""Check the exercises of lesson 18."""

from __future__ import annotations

from typing import Any

import numpy as np

from tlutils.course.exercises import answers


def l2_sp_gradient(answer: Any) -> str | None:
    """A function (gradient, theta, theta_source, shared, pull, decay) -> the gradient of the penalised loss."""
    gradient, theta = np.array([0.3, -0.2, 0.5, 1.0]), np.array([1.0, 2.0, -1.0, 4.0])
    source, shared = np.array([0.5, 3.0, 7.0, 9.0]), np.array([True, True, False, False])
    how = "l2_sp_gradient(gradient, theta, theta_source, shared, pull, decay)"
    before = gradient.copy(), theta.copy()
    value = answers.called(answer, how, gradient, theta, source, shared, 0.1, 0.01)
    if not (np.array_equal(gradient, before[0]) and np.array_equal(theta, before[1])):
        return "You change an argument in place, so that the caller loses it: gradient += ... does. Return a new array."
    spring, shrink = 0.1 * (theta - source), 0.01 * theta
    mistakes = [
        (gradient - np.where(shared, spring, 0) + np.where(shared, 0, shrink), "The sign of the pull: it drives away."),
        (gradient - np.where(shared, spring, shrink), "The sign: this penalty drives away from the source."),
        (gradient + np.where(shared, 2 * spring, 2 * shrink), "The half in the penalty cancels the 2 of the square."),
        (gradient + np.where(shared, spring, 0), "The new parameters lack their decay towards zero."),
        (gradient + spring, "New parameters have no source value; they decay towards zero instead."),
        (gradient + np.where(shared, 0.1 * theta, shrink), "That is plain L2. Shared ones are pulled to the source."),
        (gradient + np.where(shared, shrink, spring), "The mask is on the wrong side: pull the shared ones."),
        (gradient + spring + shrink, "Each parameter gets one of the two terms: pull if it is shared, decay if new."),
        (np.where(shared, spring, shrink), "That is the gradient of the penalty alone. Add that of the loss."),
    ]
    return answers.judge(
        value,
        gradient + np.where(shared, spring, shrink),
        mistakes,
        "Not the right numbers. Shared: gradient + pull * (theta - theta_source). New: gradient + decay * theta.",
        shape="theta has shape (4,), what you return {shape}. A gradient has one entry per parameter.",
    )


def reuse(answer: Any) -> str | None:
    """What to do with a model in each of four hospitals, and the term of the bound that A's numbers do not contain."""
    decisions = ("use", "label first", "do not use")
    terms = ("source error", "distance", "joint error")
    right = {"A": "label first", "B": "do not use", "C": "use", "D": "label first", "missing": "joint error"}
    hints = {
        ("A", "use"): "A small distance compares pictures. It says nothing about the labels of this hospital.",
        ("A", "do not use"): "Nothing speaks against the model yet: no answer of it was checked in this hospital.",
        ("B", "use"): "The distance is small, and still 12 of 40 answers are wrong. Believe the labels.",
        ("B", "label first"): "The interval for 12 of 40 begins at 17 %, above 10 %. These labels are enough.",
        ("C", "do not use"): "A large distance makes the bound large. A bound is a ceiling: see the 6 of 200.",
        ("C", "label first"): "The interval for 6 of 200 ends at 6 %, below 10 %. These labels are enough.",
        ("D", "use"): "No mistake among 5 is compatible with 52 % mistakes: look at the end of the interval.",
        ("D", "do not use"): "The interval for 0 of 5 begins at 0 %. Nothing speaks against the model yet.",
        ("missing", "source error"): "The source error is known: 4 % at home. Which term needs labels of both?",
        ("missing", "distance"): "The distance of A is in the table. Which term needs labels of both?",
    }
    chosen = answers.choices(answer, dict.fromkeys("ABCD", decisions) | {"missing": terms})
    for key in right:
        if chosen[key] != right[key]:
            return f"{key}: {hints[key, chosen[key]]}"
    return None
