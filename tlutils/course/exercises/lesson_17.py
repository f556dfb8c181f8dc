"""Check the exercises of lesson 17."""

from __future__ import annotations

from typing import Any

import numpy as np

from tlutils.course.exercises import answers


def interaction(answer: Any) -> str | None:
    """A function of four accuracies: by how much the second factor's effect is larger at the first one's high level."""
    how = "interaction(low_without, low_with, high_without, high_with)"
    a, b, c, d = np.array([[0.3, 0.2], [0.6, 0.5], [0.5, 0.7], [0.9, 0.8]])
    right = (d - c) - (b - a)
    return answers.judge(
        answers.called(answer, how, a, b, c, d),
        right,
        [
            (-right, "The other way round: the effect at the high level minus that at the low level."),
            (right / 2, "Some books halve it. Here it is the whole difference of the two effects."),
            (d - c, "That is the effect at the high level. Subtract the effect at the low level."),
            (b - a, "That is the effect at the low level. How much larger is the effect at the high level?"),
            ((b - a + d - c) / 2, "That is the main effect of the second factor, the mean of its two effects."),
            ((b - a) + (d - c), "Subtract the two effects. You add them."),
            ((c - a + d - b) / 2, "That is the main effect of the first factor."),
            (d - a, "That changes both factors at once. Take each effect at one level of the first factor."),
        ],
        "Not the right numbers: (high_with - high_without) - (low_with - low_without). You return {value}.",
        shape="Four arrays of two seeds go in, so two numbers come out, one for each seed; you return shape {shape}.",
    )


def plan(answer: Any) -> str | None:
    """How many of 40 sentences hold by chance, and what to do with those that held."""
    options = {"hold by chance": ("0", "1", "2", "20"), "next": ("report them", "more seeds", "new data")}
    chosen = answers.choices(answer, options)
    if chosen["hold by chance"] == "0":
        return "A 95 % interval misses the true difference in one case of twenty, so some hold."
    if chosen["hold by chance"] == "2":
        return "5 % of the intervals miss the true difference, but only half of these lie above it."
    if chosen["hold by chance"] == "20":
        return "A sentence holds only if the whole interval lies above the margin, not if the difference does."
    if chosen["next"] == "report them":
        return "Chosen because they held, some of them held by chance. Nothing in these runs says which."
    if chosen["next"] == "more seeds":
        return "More seeds test on the same data, so what these data did by chance is repeated, too."
    return None
