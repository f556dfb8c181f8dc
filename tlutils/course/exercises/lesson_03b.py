"""Check the exercises of lesson 03b."""

from __future__ import annotations

from typing import Any


def affordable_cut(answer: Any) -> str | None:
    """The earliest cut of vgg16_mini that leaves at most 850,000 parameters behind it."""
    if answer == "block3_pool":
        return None
    if answer == "block5_pool":
        return "Behind block5_pool there is nothing to train. You can afford more: count block 5."
    if answer == "block4_pool":
        return "Behind block4_pool lies block 5 with 442,752 parameters. You can afford more: count block 4 as well."
    if answer == "block2_pool":
        return "One block too many: behind block2_pool lie 92,352 + 369,024 + 442,752 parameters."
    if answer in ("block1_pool", "preprocess"):
        return "The budget bites at the end: the last blocks hold most of the parameters. Count block 5, then block 4."
    if isinstance(answer, str) and answer.startswith("block"):
        return f"{answer!r} is no cut point; the cut points are preprocess and block1_pool to block5_pool."
    return f"Answer with the name of a cut point, such as 'block2_pool', not {answer!r}."
