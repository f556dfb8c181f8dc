"""Check the exercises of lesson 12a."""

from __future__ import annotations

from typing import Any

from tlutils.course.exercises import answers


def lora_numbers(answer: Any) -> str | None:
    """A function (kernel_shape, rank) -> how many numbers the two factors of LoRA have in Keras."""
    value = answers.called(answer, "lora_numbers(kernel_shape, rank)", (10, 4, 6), 3)
    mistakes = [
        (240, "That is the size of the kernel itself. It is frozen: count A and B."),
        (120, "That is A alone. Add B, which has rank rows and as many columns as the last axis is long."),
        (18, "That is B alone. Add A: the kernel's shape with rank in place of the last axis."),
        (48, "A has all axes of the kernel but the last one, not only the first."),
        (102, "You took the kernel for a flat one of 10 x 24. Keras keeps its axes: A is 10 x 4 x 3."),
        (120 * 18, "You multiply the sizes of A and B. They are two arrays: add them."),
        (378, "You add the kernel. It is frozen: count A and B only."),
        (46, "You forget the rank. A is 10 x 4 x 3, B is 3 x 6."),
        (126, "B has rank rows: 3 x 6 numbers, not 6."),
    ]
    otherwise = "Not {value}. For (10, 4, 6) and rank 3, A is 10 x 4 x 3 and B is 3 x 6."
    hint = answers.judge(value, 138, mistakes, otherwise)
    if hint is None and not answers.gives(answer, 60, (8, 12), 3):
        return "Right for three axes, but a kernel of two goes wrong: (8, 12) at rank 3 has 8 x 3 and 3 x 12."
    return hint


def judged(answer: Any) -> str | None:
    """Which of four reports tests whether fine-tuning changes something, and why the others do not."""
    options = ("tests it", "no error left", "one rate", "chosen on test")
    cases = {
        "A": ("no error left", "A: three rates do not help where there is next to no loss to learn from."),
        "B": ("one rate", "B: loss was left. Ask how far ten steps of 0.0000001 can move a weight."),
        "C": ("chosen on test", "C: loss was left and there were four rates. Ask which sentences chose among them."),
        "D": ("tests it", "D: loss was left, the choice was on validation, and the interval lies inside a margin."),
    }
    return answers.matched(answer, options, cases)
