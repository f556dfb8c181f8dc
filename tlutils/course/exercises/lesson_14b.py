"""Check the exercises of lesson 14b."""

from __future__ import annotations

from typing import Any

import numpy as np

from tlutils.course.exercises import answers

_FAULTS = ("padding", "epsilon", "activation", "kernel", "momentum")
_WHERE = "first_difference(right, found)"


def first_difference(answer: Any) -> str | None:
    """A function (two dictionaries of arrays by layer) -> name of the first layer that differs, or None."""
    right = {"stem": np.full((2, 3), 100.0), "middle": np.array([-50.0, 4.0, 0.0]), "end": np.array([0.2, 0.8])}
    # 0.0015 of 100 is rounding by the rule; 0.006 of 50 is not, and what follows differs more still.
    found = {"stem": right["stem"] + 0.0015, "middle": right["middle"] + [0.006, -0.006, 0], "end": right["end"] + 0.1}
    named = answers.called(answer, _WHERE, right, found)
    hints = {
        "stem": "0.0015 of numbers about 100 is rounding. Divide the gap by the largest absolute number of the layer.",
        "end": "That layer differs most, or last. Return the first that differs.",
    }
    if not isinstance(named, str):
        return f"Return the name of a layer, not {named!r}."
    if named != "middle":
        return hints.get(named, f"The first layer that differs is 'middle', not {named!r}.")
    if answers.run(answer, _WHERE, right, {name: value.copy() for name, value in right.items()}) is not None:
        return "Where nothing differs, return None."
    for gap in (0.1, -0.1):
        if answers.run(answer, _WHERE, right, right | {"end": right["end"] + gap}) != "end":
            return "A number can be too large or too small, and both count. Take absolute values."
    broken = right | {"middle": np.array([np.nan, 4.0, 0.0])}
    if answers.run(answer, _WHERE, right, broken) != "middle":
        return "A NaN differs, and it is not larger than anything. Ask whether the gap is not at most 0.0001."
    return None


def faults(answer: Any) -> str | None:
    """The fault of each of four imports, from the first layer that differs."""
    right = {"A": "activation", "B": "kernel", "C": "padding", "D": "momentum"}
    hints = {
        "A": "What goes into that layer is right, and what comes out is not. What kind of layer is it?",
        "B": "That convolution has stride 1, where both ways of padding are the same.",
        "C": "block0_depthwise_conv is right, so the kernels are. What does block1_depthwise_conv do that it does not?",
        "D": "In use, nothing differs. Which of the five acts in training only?",
    }
    given = answers.choices(answer, dict.fromkeys(right, _FAULTS))
    return next((f"{name}: {hints[name]}" for name in right if given[name] != right[name]), None)
