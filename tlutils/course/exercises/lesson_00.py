"""Check the exercises of lesson 00."""

from __future__ import annotations

from typing import Any


def place_the_cut(answer: Any) -> str | None:
    """The cut of vgg16_mini that leaves blocks 4 and 5 to be trained, and no other."""
    if answer == "block3_pool":
        return None
    if answer == "block4_pool":
        return "Behind block4_pool only block 5 is left; block 4 lies in front of it and stays frozen. Cut earlier."
    if answer == "block5_pool":
        return "Behind block5_pool no block is left: that is feature extraction. Blocks 4 and 5 must lie behind it."
    if answer in ("preprocess", "block1_pool", "block2_pool"):
        return f"Behind {answer} lies more than blocks 4 and 5, and all of it would be trained. Cut later."
    if not isinstance(answer, str):
        return f"Give the name of a layer in quotes, such as 'block1_pool', not {answer!r}."
    if answer.startswith("block3_conv"):
        return f"{answer} lies inside block 3. Cut where the block ends: four times fewer numbers to keep per picture."
    if answer.startswith("block4_conv"):
        return f"{answer} lies inside block 4: a part of the block would stay frozen. Cut between blocks."
    return f"{answer!r} is no cut point of vgg16_mini; the line above lists them."
