"""Check the exercises of lesson 02."""

from __future__ import annotations

from typing import Any

import numpy as np

from tlutils.course.exercises import answers


def update(answer: Any) -> str | None:
    """A function (theta, x, y, learning_rate) -> theta after one step of descent on half the mean squared error."""
    theta, rate = np.array([0.5, -1.0, 2.0]), 0.1
    x = np.array([[1.0, 2.0, 0.0], [0.0, -1.0, 1.0], [3.0, 1.0, -1.0], [-2.0, 0.5, 1.5]])
    y = np.array([1.0, -2.0, 0.5, 3.0])
    start = theta.copy()
    value = answers.called(answer, "update(theta, x, y, learning_rate)", theta, x, y, rate)
    if not np.array_equal(theta, start):
        return "You change theta in place, so that the caller loses it: theta -= ... does. Return a new array."
    summed = x.T @ (x @ theta - y)
    mean = summed / len(y)
    mistakes = [
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
    return answers.judge(
        value,
        theta - rate * mean,
        mistakes,
        "Not the right numbers. Chain rule: derive the square by the error, the error by f, and f = x theta by theta.",
        shape="theta has shape (3,), what you return {shape}. Sum over the examples, not over theta.",
    )


def mask(answer: Any) -> str | None:
    """A function (sizes, frozen_blocks) -> 0 for every parameter of the first blocks, 1 for the others."""
    sizes = [3, 2, 1, 2]

    def right(frozen: int) -> Any:
        return np.repeat(np.arange(4) >= frozen, sizes)

    value = answers.as_array(answers.called(answer, "mask(sizes, frozen_blocks)", sizes, 2))
    if value.shape == (4,):
        return "You return one number per block. Return one per parameter: a block of 3 parameters has 3 entries."
    mistakes = [
        (~right(2), "The mask is on the wrong side: 1 lets a parameter move, and the first blocks shall stay."),
        (right(1), "Off by one block: you freeze one too few."),
        (right(3), "Off by one block: you freeze one too many."),
        (np.arange(8) >= 2, "You freeze 2 parameters. Freeze 2 blocks, whatever their sizes."),
    ]
    hint = answers.judge(
        value,
        right(2),
        mistakes,
        "With the sizes [3, 2, 1, 2] and 2 frozen blocks you return {value}.",
        shape="With the sizes [3, 2, 1, 2] there are 8 parameters; you return the shape {shape}.",
    )
    if hint is None and not all(answers.gives(answer, right(frozen), sizes, frozen) for frozen in (0, 4)):
        return "Right in the middle. Try frozen_blocks=0, where all is trained, and 4, where nothing is."
    return hint


def l2_sp_gradient(answer: Any) -> str | None:
    """A function (gradient, theta, theta_source, shared, pull, decay) -> the gradient of the penalised loss."""
    gradient, theta = np.array([0.3, -0.2, 0.5, 1.0]), np.array([1.0, 2.0, -1.0, 4.0])
    source, shared = np.array([0.5, 3.0, 7.0, 9.0]), np.array([True, True, False, False])
    how = "l2_sp_gradient(gradient, theta, theta_source, shared, pull, decay)"
    value = answers.called(answer, how, gradient, theta, source, shared, 0.1, 0.01)
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
