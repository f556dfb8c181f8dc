"""Check the exercises of lesson 02."""

from __future__ import annotations

from typing import Any

import numpy as np

from tlutils.course.exercises import answers


def faults(answer: Any) -> str | None:
    """The fault of each of five update rules."""
    right = {"A": "climbs", "B": "wrong task", "C": "no label", "D": "no fault", "E": "no label"}
    hints = {
        "A": "Follow the sign: plus the gradient goes uphill.",
        "B": "The sign and the label are right. Look whose examples these are.",
        "C": "What stands in the place of the label? It is the model's own prediction.",
        "D": "It subtracts the gradient of the target's loss, with the target's labels.",
        "E": "What stands in the place of the label? It is a prediction, for another input even.",
    }
    chosen = answers.choices(answer, dict.fromkeys(right, tuple(dict.fromkeys(right.values()))))
    wrong = [rule for rule in right if chosen[rule] != right[rule]]
    return f"{wrong[0]}: not {chosen[wrong[0]]!r}. {hints[wrong[0]]}" if wrong else None


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
        "Not the right numbers. Chain rule: half the squared error by the prediction, the prediction x theta by theta.",
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
