"""Check the exercises of lesson 04."""

from __future__ import annotations

from typing import Any

import numpy as np

from tlutils.course.exercises import answers


def where_to_cut(answer: Any) -> str | None:
    """A function (pretrained, untrained) -> earliest cut within one standard error of the best, or "untrained"."""
    how = "where_to_cut(pretrained, untrained)"
    # Two draws of four cuts: the best mean is 0.80, with a deviation of 0.028 and so a standard error of 0.020.
    near = np.array([[0.30, 0.73, 0.79, 0.82], [0.30, 0.73, 0.79, 0.78]])
    weak, strong = np.full_like(near, 0.4), np.full_like(near, 0.9)
    # One good draw at the start, and a best cut that is not the last.
    early = np.array([[0.90, 0.71, 0.81, 0.50], [0.10, 0.71, 0.79, 0.50]])
    # 0.77 is within the deviation of single draws, 0.028, and outside the error of their mean, 0.020.
    strict = np.array([[0.30, 0.775, 0.60, 0.82], [0.30, 0.775, 0.60, 0.78]])
    # The untrained network is best at another cut than the chosen one.
    elsewhere = np.array([[0.30, 0.40, 0.40, 0.85], [0.30, 0.40, 0.40, 0.85]])
    found = answers.called(answer, how, near.copy(), weak.copy())
    if isinstance(found, str):
        return f"You return {found!r}, but the pretrained network is far ahead of the untrained one. Return a position."
    if not answers.whole(found):
        return f"Return the position of a cut, a whole number from 0, not {found!r}."
    if found == 3:
        return "That cut has the best mean. An earlier one is cheaper: take the first within one standard error of it."
    if found == 0:
        return "The first cut is more than one standard error below the best. Compare each mean with best - error."
    if found != 2:
        return f"The third mean is within 0.02 of the best, the second is not; you chose {found}."
    if not answers.gives(answer, 2, early, weak):
        return "Compare means over the draws, not single draws: one good draw is luck. The rows are draws."
    if not answers.gives(answer, 3, strict, weak):
        return "Your margin is too wide: the error of a mean is their deviation divided by the root of their number."
    for control, words in (
        (strong, "ahead at every cut"),
        (near, "level at every cut"),
        (elsewhere, "ahead at another cut"),
    ):
        if answers.called(answer, how, near.copy(), control.copy()) != "untrained":
            return f'The untrained network may be as good: here it is {words}. Then return "untrained".'
    return None


def fair_block(answer: Any) -> str | None:
    """The earlier block that names as many whole flowers as block 5 in the numbers of the question: 4."""
    if not answers.whole(answer):
        return f"Give the number of one block, a whole number from 1 to 4, not {answer!r}."
    hints = {
        1: "Block 1 names hardly more whole flowers than guessing would. It has next to nothing to lose.",
        2: "Block 2 starts far below block 5 on whole flowers. Take the block whose accuracy there is nearest.",
        3: "Block 3 comes near, but still starts several points below block 5. One block starts nearer.",
        5: "That is block 5 itself. Take an earlier one.",
        64: "That is the side of a tile. Asked is the number of a block, from 1 to 4.",
    }
    if answer == 4:
        return None
    return hints.get(int(answer), f"There is no block {int(answer)}. The question names five blocks.")
