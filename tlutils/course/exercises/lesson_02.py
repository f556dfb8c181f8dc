"""Check the exercises of lesson 02."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tlutils.course.exercises import answers


def _update(answer: Any) -> str | None:
    """A function (theta, x, y, learning_rate) -> theta after one step of descent on half the mean squared error."""
    import numpy as np

    theta, rate = np.array([0.5, -1.0, 2.0]), 0.1
    x = np.array([[1.0, 2.0, 0.0], [0.0, -1.0, 1.0], [3.0, 1.0, -1.0], [-2.0, 0.5, 1.5]])
    y = np.array([1.0, -2.0, 0.5, 3.0])
    start = theta.copy()
    value = answers.called(answer, "update(theta, x, y, learning_rate)", theta, x, y, rate)
    if value is None:
        return answers.NOT_SOLVED
    if isinstance(value, str):
        return value
    if not np.array_equal(theta, start):
        return "You change theta in place, so that the caller loses it: theta -= ... does. Return a new array."
    if value.shape != theta.shape:
        return f"theta has shape {theta.shape}, what you return {value.shape}. Sum over the examples, not over theta."
    summed = x.T @ (x @ theta - y)
    mean = summed / len(y)
    hints = [
        (theta + rate * mean, "The sign: that climbs. The gradient points uphill; subtract it."),
        (theta - rate * summed, "You forgot the mean: divide by the number of examples."),
        (theta + rate * summed, "Two mistakes: the sign, since that climbs, and the mean is forgotten."),
        (theta - 2 * rate * mean, "Twice too far: the half in front of the square cancels the 2 of its derivative."),
        (theta - mean, "You forgot the learning rate."),
        (mean, "That is the gradient. The update is theta minus learning_rate times it."),
        (-rate * mean, "That is the step alone. Add it to theta."),
        (theta, "You do not move. A prediction in the place of the label y makes the error zero."),
        (theta - rate * x.mean(axis=0) * (x @ theta - y).mean(), "Multiply error and input first, then average."),
    ]
    if np.allclose(value, theta - rate * mean, rtol=1e-6, atol=1e-9):
        return None
    for wrong, hint in hints:
        if np.allclose(value, wrong, rtol=1e-6, atol=1e-9):
            return hint
    return (
        "Not the right numbers. Chain rule: derive the square by the error, the error by f, and f = x theta by theta."
    )


def _mask(answer: Any) -> str | None:
    """A function (sizes, frozen_blocks) -> 0 for every parameter of the first blocks, 1 for the others."""
    import numpy as np

    sizes, cut = [3, 2, 1, 2], 2
    value = answers.called(answer, "mask(sizes, frozen_blocks)", sizes, cut)
    if value is None:
        return answers.NOT_SOLVED
    if isinstance(value, str):
        return value
    right = np.repeat([0, 0, 1, 1], sizes)
    if value.shape == (len(sizes),):
        return "You return one number per block. Return one per parameter: a block of 3 parameters has 3 entries."
    if value.shape != right.shape:
        return f"With the sizes {sizes} there are {sum(sizes)} parameters; you return the shape {value.shape}."
    if np.array_equal(value, 1 - right):
        return "The mask is on the wrong side: 1 lets a parameter move, and the first blocks shall stay."
    hints = {1: "Off by one block: you freeze one too few.", 3: "Off by one block: you freeze one too many."}
    for frozen, hint in hints.items():
        if np.array_equal(value, np.repeat(np.arange(4) >= frozen, sizes)):
            return hint
    if np.array_equal(value, np.arange(8) >= cut):
        return f"You freeze {cut} parameters. Freeze {cut} blocks, whatever their sizes."
    if not np.array_equal(value, right):
        return f"With the sizes {sizes} and {cut} frozen blocks you return {value.tolist()}."
    if not all(
        np.array_equal(answers.called(answer, "", sizes, k), np.repeat(np.arange(4) >= k, sizes)) for k in (0, 4)
    ):
        return "Right in the middle. Try frozen_blocks=0, where all is trained, and 4, where nothing is."
    return None


def _l2_sp_gradient(answer: Any) -> str | None:
    """A function (gradient, theta, theta_source, shared, pull, decay) -> the gradient of the penalised loss."""
    import numpy as np

    gradient, theta = np.array([0.3, -0.2, 0.5, 1.0]), np.array([1.0, 2.0, -1.0, 4.0])
    source, shared = np.array([0.5, 3.0, 7.0, 9.0]), np.array([True, True, False, False])
    how = "l2_sp_gradient(gradient, theta, theta_source, shared, pull, decay)"
    value = answers.called(answer, how, gradient, theta, source, shared, 0.1, 0.01)
    if value is None:
        return answers.NOT_SOLVED
    if isinstance(value, str):
        return value
    if value.shape != theta.shape:
        return f"theta has shape {theta.shape}, what you return {value.shape}. A gradient has one entry per parameter."
    spring, shrink = 0.1 * (theta - source), 0.01 * theta
    right = gradient + np.where(shared, spring, shrink)
    hints = [
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
    if np.allclose(value, right, rtol=1e-6, atol=1e-9):
        return None
    for wrong, hint in hints:
        if np.allclose(value, wrong, rtol=1e-6, atol=1e-9):
            return hint
    return "Not the right numbers. Shared: gradient + pull * (theta - theta_source). New: gradient + decay * theta."


CHECKS: dict[str, Callable[[Any], str | None]] = {
    "02_update": _update,
    "02_mask": _mask,
    "02_l2_sp_gradient": _l2_sp_gradient,
}
