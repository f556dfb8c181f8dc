"""Check the exercises of lesson 16."""

from __future__ import annotations

from typing import Any

import numpy as np

from tlutils.course.exercises import answers


def threshold_for(answer: Any) -> str | None:
    """A function (confidence, right, wanted) -> smallest confidence from which on the wanted share is right."""
    confidence = np.array([0.9, 0.3, 0.5, 0.7, 0.6])
    right = np.array([True, False, True, True, False])
    call = "threshold_for(confidence, right, wanted)"
    found = answers.called(answer, call, confidence, right, 0.7)
    strict, easy, never = (
        answers.run(answer, call, confidence, given, wanted)
        for given, wanted in ((right, 0.95), (right, 0.5), (~right & (confidence < 0.9), 0.95))
    )
    if not all(isinstance(value, int | float | np.floating) for value in (found, strict, easy)):
        return f"Return one number, the threshold; you return {found!r}."
    if np.isclose(strict, 0.9):
        return "That is the largest confidence with the wanted share. Asked is the smallest."
    if not np.isclose(strict, 0.7):
        return (
            "With the confidences .9 .7 .6 .5 .3, of which .9, .7 and .5 are right, 95 % are wanted: the answers from "
            f"0.7 on are all right, those from 0.6 on are not. You return {strict:.2f}."
        )
    if np.isclose(found, 0.7):
        return "Look at every threshold: the share may fall at one confidence and rise again at a smaller one."
    if not np.isclose(found, 0.5):
        return (
            f"From 0.5 on, three of four are right, which is 75 %; 70 % are wanted. You return {found:.2f}, not 0.50."
        )
    if not np.isclose(easy, 0.3):
        return f"If half is wanted, all five may be answered: the smallest confidence, 0.30. You return {easy:.2f}."
    if never is None or not never > 1:
        return f"Where no confidence reaches the wanted share, everything is refused: return 1.01, not {never!r}."
    return None


def what_to_do(answer: Any) -> str | None:
    """What three people should do with what the notebook told them."""
    options = ("use the model", "use the cheaper way", "collect more")
    chosen = answers.choices(answer, dict.fromkeys(("bakery", "harbour", "clinic"), options))
    if chosen["bakery"] != "use the model":
        return (
            "The bakery's pretrained features lead by 23 points, and the verdict holds. Nothing cheaper does as well."
        )
    if chosen["harbour"] != "use the cheaper way":
        return (
            "At the harbour, a lead of more than 2 points does not hold, on 400 examples: the interval ends at +1. A "
            "head on colours and patterns is cheaper, and easier to explain."
        )
    if chosen["clinic"] != "collect more":
        return (
            "The clinic's 10 points come from 20 examples, and the interval goes from -25 to +45. Nobody can tell "
            "yet which way is better."
        )
    return None
