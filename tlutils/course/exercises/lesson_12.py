"""Check the exercises of lesson 12."""

from __future__ import annotations

from typing import Any

import numpy as np

from tlutils.course.exercises import answers


def mean_pooling(answer: Any) -> str | None:
    """A function (activations, token_ids) -> the mean of each text's activations over its tokens."""
    rng = np.random.default_rng(0)
    token_ids = np.array([[101, 7, 8, 9, 102], [101, 7, 102, 0, 0], [101, 8, 9, 102, 0]])
    present = token_ids > 0
    activations = rng.normal(1, 1, (3, 5, 4)) * present[..., None]
    how = "mean_pooling(activations, token_ids)"
    value = answers.as_array(answers.called(answer, how, activations.copy(), token_ids.copy()))
    total, count = activations.sum(axis=1), present.sum(axis=1, keepdims=True)
    right = total / count
    inner = activations.copy()
    inner[:, 0] = 0
    inner[np.arange(3), count[:, 0] - 1] = 0
    mistakes = [
        (total / 5, "You divide by the padded length. A short text has fewer tokens: divide by its own number."),
        (total, "That is the sum. Divide by the number of tokens of each text."),
        (activations[:, 0], "That is the first token, [CLS]. The mean over all tokens is asked for."),
        (activations.max(axis=1), "That is the largest activation, not the mean."),
        (total / count.mean(), "You divide every text by the same number. Count the tokens of each row."),
        (inner.sum(axis=1) / (count - 2), "You leave out [CLS] and [SEP]. They are tokens, too; only padding is not."),
        (total / (5 - count + 1e-12), "The mask is on the wrong side: you count the padding."),
        (
            right / np.linalg.norm(right, axis=1, keepdims=True),
            "That is already scaled to length 1. The plain mean is asked for.",
        ),
    ]
    otherwise = "Not yet. Sum the activations over the tokens, then divide by the number of token_ids that are not 0."
    if not np.isfinite(value).all():
        otherwise = "That is not finite: you divide by 0. Divide by the number of tokens, not of padded places."
    shape = "Of 3 texts with 4 numbers per token you return shape {shape}; one vector per text is (3, 4)."
    return answers.judge(value, right, mistakes, otherwise, shape=shape)


def concluded(answer: Any) -> str | None:
    """Whether each of four conclusions on sentences and their vectors follows."""
    cases = {
        "A": ("does not follow", "A: a cost of 3 points lies in that interval as well. It shows neither."),
        "B": ("follows", "B: every value of the interval is below the margin, and that was fixed before."),
        "C": ("does not follow", "C: the negation repeats the words. Counting words would do the same in all 48."),
        "D": ("does not follow", "D: pieces of Latin letters fit Italian, too. That says nothing of what was learnt."),
    }
    return answers.matched(answer, ("follows", "does not follow"), cases)
