"""Check the exercises of lesson 15."""

from __future__ import annotations

from typing import Any

import numpy as np

from tlutils.course.exercises import answers

_QUANTIZE = "quantize(values, low, high)"


def quantize(answer: Any) -> str | None:
    """A function (values, low, high) -> the values in int8, the step, the zero point."""
    values = np.array([0.0, 0.021, -0.985, 4.085, 9.0, -3.0, 1.234])
    found, step, zero = _three(answer, values, -1.0, 4.1)
    if np.isclose(step, 5.1 / 256):
        return "Between 256 numbers lie 255 steps, not 256."
    if not np.isclose(step, 5.1 / 255):
        return f"From -1 to 4.1 in 255 steps, a step is 5.1 / 255 = 0.02, not {step:.4g}."
    if np.isclose(zero, 50):
        return "That zero point is the one for 0 to 255. In int8, low becomes -128, so z = round(-128 - low / s)."
    if not answers.whole(zero):
        return f"The zero point stands for 0 exactly, so it is a whole number, not {zero}."
    if zero != -78:
        return f"low = -1 lies 50 steps below 0 and becomes -128, so 0 becomes -78, not {zero}."
    # The nearest of the 256 numbers that int8 can stand for, found by trying them all.
    stands_for = 0.02 * (np.arange(-128, 128) + 78)
    right = np.abs(values[:, None] - stands_for).argmin(axis=1) - 128
    whole = np.round(values / 0.02) - 78
    hint = answers.judge(
        found,
        right,
        [
            (whole, "9.0 lies above the range and must become 127, -3.0 below it and must become -128: use np.clip."),
            (whole.astype(np.int64).astype(np.int8), "What does not fit has wrapped around: use np.clip before int8."),
            (np.clip(np.floor(values / 0.02) - 78, -128, 127), "Round to the nearest step, not down."),
            (np.clip(np.trunc(values / 0.02) - 78, -128, 127), "Round to the nearest step; a conversion cuts off."),
            (np.clip(np.round(values / 0.02), -128, 127), "The zero point is not added: 0 must become z."),
        ],
        "Not the right numbers: q = round(x / s) + z, within -128 to 127. You return {value}.",
        shape="Return as many whole numbers as there are values, not shape {shape}.",
    )
    if hint:
        return hint
    for low, high, point in ((0.5, 2.55, -128), (-2.55, -0.5, 127)):
        _, step, zero = _three(answer, np.array([1.0, -1.0]), low, high)
        if not np.isclose(step, 0.01) or zero != point:
            return (
                f"From {low} to {high}, 0 is not in the range. Take 0 in place of the end next to it: the step is then "
                f"0.01 and the zero point {point}; you return {step:.4g} and {zero}."
            )
    return None


def _three(answer: Any, *given: Any) -> tuple[Any, float, float]:
    """What a reader's function returns, if it is the three things that are asked for."""
    value = answers.called(answer, _QUANTIZE, *given)
    if not isinstance(value, tuple | list) or len(value) != 3:
        raise answers.Hint("Return three things: the whole numbers, the step and the zero point.")
    step, zero = (answers.as_array(part, "one number") for part in value[1:])
    if step.shape or zero.shape:
        raise answers.Hint("The step and the zero point are one number each, for all values together.")
    return value[0], float(step), float(zero)


def which_file(answer: Any) -> str | None:
    """The file that each of three devices should get, from a table of sizes, times and accuracies."""
    right = {"door bell": "tiny", "sorting belt": "float16", "photo library": "int8"}
    hints = {
        ("door bell", "float32"): "3,700 kB do not fit into 256 kB.",
        ("door bell", "float16"): "1,860 kB do not fit into 256 kB.",
        ("door bell", "int8"): "970 kB do not fit into 256 kB.",
        ("sorting belt", "float32"): "float16 is as fast, changes no answer and takes half the space.",
        ("sorting belt", "int8"): (
            "Its median is 3 ms, but its 95th percentile is 12: more than one fruit in twenty would wait longer than "
            "10 ms."
        ),
        ("sorting belt", "tiny"): "81 % are fewer than 93 %.",
        ("photo library", "float32"): "Nobody waits for a single picture, and a smaller file has at least 93 %.",
        ("photo library", "float16"): "Nobody waits for a single picture, and a smaller file has at least 93 %.",
        ("photo library", "tiny"): "81 % are fewer than 93 %.",
    }
    chosen = answers.choices(answer, dict.fromkeys(right, ("float32", "float16", "int8", "tiny")))
    for device, file in right.items():
        if chosen[device] != file:
            return f"{device}: {hints[device, chosen[device]]}"
    return None
