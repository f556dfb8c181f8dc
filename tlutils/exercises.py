"""Check answers to the exercises; every check returns None for a right answer and a hint for a wrong one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def _place_the_cut(answer: Any) -> str | None:
    """00: the cut of vgg16_mini that leaves blocks 4 and 5 to be trained, and no other."""
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
    return f"{answer!r} is no cut point of vgg16_mini; the first column of the table above lists them."


def _trained_parameters(answer: Any) -> str | None:
    """01: parameters behind block3_pool of vgg16_mini, with a head of five outputs on 128 averaged channels."""
    block4 = 9 * 64 * 128 + 128 + 2 * (9 * 128 * 128 + 128)
    block5 = 3 * (9 * 128 * 128 + 128)
    head = 128 * 5 + 5
    right = block4 + block5 + head
    if isinstance(answer, bool) or not isinstance(answer, int | float) or answer != int(answer):
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


def _crossing(answer: Any) -> str | None:
    """01: a function (sizes, transferred, scratch) -> first measured size where scratch is level, or "never"."""
    if not callable(answer):
        return "Define a function crossing(sizes, transferred, scratch)."
    sizes = [5, 10, 20, 50, 100]
    flat, steep = [0.7, 0.75, 0.8, 0.82, 0.84], [0.2, 0.4, 0.7, 0.85, 0.95]
    try:
        # A list: in a generator, an answer's StopIteration would surface under another name.
        meets, touches, first, never = [
            answer(sizes, *curves)
            for curves in ((flat, steep), (flat, [*steep[:2], 0.8, *steep[3:]]), (steep, flat), (flat, [0.1] * 5))
        ]
    except Exception as error:
        return (
            f"The function stops with {type(error).__name__}: {str(error).splitlines()[0][:150] if str(error) else ''}"
        )
    if meets is None and touches is None:
        return NOT_SOLVED
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


def _head_parameters(answer: Any) -> str | None:
    """03: parameters of the published head and of the pooled one, for 7 x 7 x 512 activations and five classes."""
    published, pooled = answer
    if published is ... or pooled is ...:
        return "Give both numbers."
    right_published, right_pooled = 25_088 * 512 + 512 + 512 * 5 + 5, 512 * 5 + 5
    if published == 25_088 * 512 + 512 * 5:
        return "You forgot the biases: every unit of a dense layer has one, 512 in the first layer and 5 in the second."
    if published == 25_088 * 512 + 512:
        return "That is the first dense layer alone; Dense(5) has parameters too."
    if published != right_published:
        return (
            f"The published head has not {published:,} parameters. Flatten turns 7 x 7 x 512 into one vector; "
            "a dense layer has inputs x units weights and one bias per unit."
        )
    if pooled == 512 * 5:
        return "The published head is right. The pooled one lacks its 5 biases."
    if pooled == right_published or pooled == 25_088 * 5 + 5:
        return "The published head is right. Pooling keeps one number per channel: 512 inputs, not 25,088."
    if pooled != right_pooled:
        return f"The published head is right. The pooled one has not {pooled:,}: it joins 512 means to 5 classes."
    return None


def _affordable_cut(answer: Any) -> str | None:
    """03: the earliest cut of vgg16_mini that leaves at most 500,000 parameters behind it."""
    if answer == "block4_pool":
        return None
    if answer == "block5_pool":
        return "Behind block5_pool there is nothing to train. You can afford more: count block 5."
    if answer == "block3_pool":
        return "One block too many: behind block3_pool lie blocks 4 and 5, 369,024 + 442,752 parameters."
    if answer in ("block1_pool", "block2_pool", "preprocess"):
        return "The budget bites at the end: the last blocks hold most of the parameters. Count block 5, then block 4."
    if isinstance(answer, str) and answer.startswith("block"):
        return f"{answer!r} is no cut point; the cut points are preprocess and block1_pool to block5_pool."
    return f"Answer with the name of a cut point, such as 'block2_pool', not {answer!r}."


def _repaired_program(answer: Any) -> str | None:
    """03: a function (base, n_classes) -> compiled model without the faults 1, 2, 3 and 7."""
    import keras
    import numpy as np

    if not callable(answer):
        return "Define a function repaired(base, n_classes)."
    base = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3, name="block1_conv1")])
    before = [np.array(value) for value in base.get_weights()]
    try:
        model = answer(base, 3)
    except Exception as error:
        return f"The function stops with {type(error).__name__}: {str(error).splitlines()[0][:150]}"
    if model is None:
        return NOT_SOLVED
    if not isinstance(model, keras.Model) or not model.built:
        return "Return a keras.Model that knows its input shape; the base has one, so do not wrap it in a Lambda."
    if model.output_shape[-1] != 3:
        return f"The model has {model.output_shape[-1]} outputs; it should have n_classes, here 3."
    if any(isinstance(layer, keras.layers.Flatten) for layer in model._flatten_layers()):
        return "Fault 7 is still there: Flatten keeps every position. Pool globally before the dense layer."
    if not model.compiled:
        return "Compile the model inside the function: optimiser, loss, metrics."
    if not model.trainable_variables:
        return "Everything is frozen, the new head too; only the base should be."
    rng = np.random.default_rng(0)
    pictures = rng.normal(size=(12, 8, 8, 3)).astype("float32")
    labels = np.arange(12) % 3
    wanted: Any = labels if "sparse" in str(getattr(model, "loss", "")).lower() else np.eye(3)[labels]
    try:
        model.fit(pictures, wanted, epochs=2, verbose=0)
    except Exception as error:
        return f"The model does not train: {str(error).splitlines()[0][:150]}"
    if any(not np.array_equal(a, b) for a, b in zip(before, base.get_weights(), strict=True)):
        return "Fault 1 is still there: the base's weights moved. Set base.trainable = False before compile."
    if float(np.asarray(model.optimizer.learning_rate)) > 0.05:
        return (
            f"A learning rate of {float(np.asarray(model.optimizer.learning_rate)):g} is too large for Adam; try 1e-3."
        )
    return None


NOT_SOLVED = "Not solved yet. Write your answer into the cell above and run it again."

CHECKS: dict[str, Callable[[Any], str | None]] = {
    "00_place_the_cut": _place_the_cut,
    "01_crossing": _crossing,
    "01_trained_parameters": _trained_parameters,
    "03_affordable_cut": _affordable_cut,
    "03_head_parameters": _head_parameters,
    "03_repaired_program": _repaired_program,
}
