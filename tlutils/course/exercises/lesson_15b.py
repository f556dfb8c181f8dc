"""Check the exercises of lesson 15b."""

from __future__ import annotations

from typing import Any

import numpy as np

from tlutils.course.exercises import answers


def soften(answer: Any) -> str | None:
    """A function (logits, temperature) -> probabilities of each row, softer the higher the temperature."""
    logits = np.array([[2.0, 0.0, -1.0], [0.0, 4.0, 3.0]])
    how = "soften(logits, temperature)"
    before = logits.copy()
    value = answers.called(answer, how, logits, 2.0)
    if not np.array_equal(logits, before):
        return "You change the logits in place, so that the caller loses them. Return a new array."

    def probabilities(scores: Any, axis: int = -1) -> Any:
        return np.exp(scores) / np.exp(scores).sum(axis=axis, keepdims=True)

    plain = probabilities(logits)
    hint = answers.judge(
        value,
        probabilities(logits / 2),
        [
            (plain, "The temperature is not used."),
            (probabilities(2 * logits), "Divide by the temperature: multiplied, the scores become harder."),
            (plain / 2, "Divide the logits, not the probabilities: these no longer sum to 1."),
            (probabilities(logits / 2, axis=0), "The probabilities of a picture sum to 1: along a row, not a column."),
            (np.exp(logits / 2) / np.exp(logits / 2).sum(), "Each row sums to 1, not all rows together."),
            (np.exp(logits / 2), "Divide each row by its sum."),
            (logits / 2, "Those are the divided logits. Take their exponentials, and divide each row by its sum."),
        ],
        "Not the right numbers: exp(logits / T), divided by its sum over the row. You return {value}.",
        shape="Return a row of probabilities for each row of logits, shape (2, 3), not {shape}.",
    )
    if hint:
        return hint
    large = answers.as_array(answers.called(answer, how, np.array([[2000.0, 0.0]]), 1.0))
    if not np.allclose(large, [[1, 0]]):
        return "With a logit of 2,000 the exponential overflows. Subtract the largest logit of the row first."
    return None


def plan(answer: Any) -> str | None:
    """Where to look for a head that tells two scanners apart by their noise, and on which scans that is decided."""
    options = {"try first": ("end", "cuts", "new"), "decided by": ("training", "validation", "test")}
    chosen = answers.choices(answer, options)
    if chosen["try first"] == "end":
        return (
            "A network that finds tumours learnt to pass over noise: at its end the noise may be gone, as colour is in "
            "this lesson."
        )
    if chosen["try first"] == "new":
        return "200 scans are few for a network from scratch. Cuts and tables cost seconds, and may be enough."
    if chosen["decided by"] == "training":
        return "On the scans that it learnt from, a head with many inputs is right whatever it learnt."
    if chosen["decided by"] == "test":
        return "The test scans report the last number. What decides between plans is no test any more."
    return None
