"""Check the exercises of lesson 13."""

from __future__ import annotations

from typing import Any

import numpy as np

from tlutils.course.exercises import answers


def recall_at(answer: Any) -> str | None:
    """A function (similarities, right, k) -> share of rows whose right column is among the k largest of the row."""
    how = "recall_at(similarities, right, k)"
    # Twenty pictures, six captions, with numbers on which no two of the mistakes below agree.
    rng, k = np.random.default_rng(1), 3
    similarities, right = rng.normal(size=(20, 6)), rng.integers(0, 6, 20)
    own = similarities[np.arange(20), right][:, None]
    above, below = (similarities > own).sum(axis=1), (similarities < own).sum(axis=1)
    mistakes = [
        ((above < k).sum(), "This is the number of pictures. Divide it by how many there are."),
        ((below < k).mean(), "You take the k least similar captions. argsort puts the smallest first."),
        ((above == 0).mean(), "You look at the most similar caption only. Look at the first k."),
        ((above == k - 1).mean(), "You look at the caption in place k only. Look at all of the first k."),
        ((above <= k).mean(), "You look at one caption too many: the first k are the places 0 to k - 1."),
    ]
    otherwise = "Not yet: {value}. For each row, take the k columns with the largest numbers; is the right one in?"
    hint = answers.judge(answers.called(answer, how, similarities, right, k), (above < k).mean(), mistakes, otherwise)
    if hint is None and not answers.gives(answer, (above < 1).mean(), similarities, right, 1):
        return "Right for k = 3, but not for k = 1. Use the argument k."
    return hint


def controls(answer: Any) -> str | None:
    """Which control each of four reports lacks."""
    options = ("shuffled pairs", "two separate heads", "counted words", "combinations held out")
    cases = {
        "A": (options[3], "A: ask which combinations the training pictures had."),
        "B": (options[1], "B: ask what a classifier of colours and one of outlines would do."),
        "C": (options[2], "C: ask whether anything that knows no language could do it."),
        "D": (options[0], "D: ask what this score would be if no caption fitted its picture."),
    }
    return answers.matched(answer, options, cases)
