"""Check the exercises of lesson 01."""

from __future__ import annotations

from typing import Any

from tlutils.course.exercises import answers


def trained_parameters(answer: Any) -> str | None:
    """Parameters behind block3_pool of vgg16_mini, with a head of five outputs on 128 averaged channels."""
    block4 = 9 * 64 * 128 + 128 + 2 * (9 * 128 * 128 + 128)
    block5 = 3 * (9 * 128 * 128 + 128)
    head = 128 * 5 + 5
    right = block4 + block5 + head
    if not answers.whole(answer):
        return f"Give one whole number, not {answer!r}."
    hints = {
        block4 + block5: "That is the tail alone. The head is trained too: 128 averaged channels, five outputs.",
        block5 + head: "That is the cut at block4_pool. Block 4 lies behind block3_pool as well.",
        block5: "That is block 5 alone. Block 4 and the head lie behind the cut, too.",
        head: "That is the head alone: feature extraction. The tail is trained as well.",
        920_784 + head: "That is the whole network. What lies in front of the cut is frozen and does not count.",
        920_784 - block4 - block5: "Those are the frozen parameters, in front of the cut. Count those behind it.",
        right - 6 * 128 - 5: "You forgot the biases: every convolution has 128, the dense layer has 5.",
        right - 5: "Nearly: the dense layer has five biases.",
        2 * block5 + head: "The first convolution of block 4 takes 64 channels, not 128.",
        block4 + block5 + 4 * 128 * 5 + 5: "The head averages each map to one number first: 128 inputs, not 512.",
    }
    if answer == right:
        return None
    return hints.get(
        int(answer),
        f"It is not {int(answer):,}. Add up six convolutions, each of 9 x inputs x outputs weights and one bias per "
        "output, and a dense layer of 128 x 5 weights and 5 biases.",
    )


def crossing(answer: Any) -> str | None:
    """A function (sizes, transferred, scratch) -> first measured size where scratch is level, or "never"."""
    sizes = [5, 10, 20, 50, 100]
    flat, steep = [0.7, 0.75, 0.8, 0.82, 0.84], [0.2, 0.4, 0.7, 0.85, 0.95]
    meets, touches, first, never = (
        answers.run(answer, "crossing(sizes, transferred, scratch)", sizes, *curves)
        for curves in ((flat, steep), (flat, [*steep[:2], 0.8, *steep[3:]]), (steep, flat), (flat, [0.1] * 5))
    )
    if meets is None and touches is None:
        return answers.NOT_SOLVED
    if meets == 3:
        return "You return the position in the list. Return the size that stands there."
    if meets == 5 and first != 5:
        return "You return where transfer is ahead. Asked is where scratch has caught up."
    if meets == 20:
        return "That is the last size at which transfer is still ahead. Return the first at which scratch is level."
    if meets == 100:
        return "You return the last such size. Return the first."
    if meets != 50:
        return f"With {flat} against {steep} scratch is level from 50 labels per class on; you return {meets!r}."
    if touches != 20:
        return "Level counts as caught up: compare with >=, not with >."
    if first != 5:
        return f"Scratch may be level from the first size on; you return {first!r} then. The answer is that size."
    if isinstance(never, int | float):
        return f'The curves may not meet; you return {never!r} then. Nothing was measured there: answer "never".'
    if never != "never":
        return f'The curves may not meet; you return {never!r} then. Return the word "never".'
    return None


def missing_control(answer: Any) -> str | None:
    """The run that tells what the source task is worth: random weights, everything else the same."""
    options = {
        "weights": ("pretrained", "random"),
        "head": ("the same", "a deeper one"),
        "labels": ("the same", "more"),
    }
    chosen = answers.choices(answer, options)
    if chosen["weights"] == "pretrained":
        return (
            "With pretrained weights in both runs, both have the source task, and nothing tells what it was worth. "
            "Take the source task away."
        )
    changed = [key for key in ("head", "labels") if chosen[key] != "the same"]
    if changed:
        return (
            f"Your run changes the weights and the {' and the '.join(changed)}. If the accuracy differs, you cannot "
            "say which of them it was. Change one thing only."
        )
    return None
