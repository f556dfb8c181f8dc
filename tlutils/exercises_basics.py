"""Check the exercises of lessons 00 to 03."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tlutils import answers


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
        return answers.stopped(error)
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


def _update(answer: Any) -> str | None:
    """02: a function (theta, x, y, learning_rate) -> theta after one step of descent on half the mean squared error."""
    import numpy as np

    theta, rate = np.array([0.5, -1.0, 2.0]), 0.1
    x = np.array([[1.0, 2.0, 0.0], [0.0, -1.0, 1.0], [3.0, 1.0, -1.0], [-2.0, 0.5, 1.5]])
    y = np.array([1.0, -2.0, 0.5, 3.0])
    start = theta.copy()
    value = answers.called(answer, "update(theta, x, y, learning_rate)", theta, x, y, rate)
    if value is None:
        return answers.NOT_SOLVED
    if isinstance(value, str):
        return value
    if not np.array_equal(theta, start):
        return "You change theta in place, so that the caller loses it: theta -= ... does. Return a new array."
    if value.shape != theta.shape:
        return f"theta has shape {theta.shape}, what you return {value.shape}. Sum over the examples, not over theta."
    summed = x.T @ (x @ theta - y)
    mean = summed / len(y)
    hints = [
        (theta + rate * mean, "The sign: that climbs. The gradient points uphill; subtract it."),
        (theta - rate * summed, "You forgot the mean: divide by the number of examples."),
        (theta + rate * summed, "Two mistakes: the sign, since that climbs, and the mean is forgotten."),
        (theta - 2 * rate * mean, "Twice too far: the half in front of the square cancels the 2 of its derivative."),
        (theta - mean, "You forgot the learning rate."),
        (mean, "That is the gradient. The update is theta minus learning_rate times it."),
        (-rate * mean, "That is the step alone. Add it to theta."),
        (theta, "You do not move. A prediction in the place of the label y makes the error zero."),
        (theta - rate * x.mean(axis=0) * (x @ theta - y).mean(), "Multiply error and input first, then average."),
    ]
    if np.allclose(value, theta - rate * mean, rtol=1e-6, atol=1e-9):
        return None
    for wrong, hint in hints:
        if np.allclose(value, wrong, rtol=1e-6, atol=1e-9):
            return hint
    return (
        "Not the right numbers. Chain rule: derive the square by the error, the error by f, and f = x theta by theta."
    )


def _mask(answer: Any) -> str | None:
    """02: a function (sizes, frozen_blocks) -> 0 for every parameter of the first blocks, 1 for the others."""
    import numpy as np

    sizes, cut = [3, 2, 1, 2], 2
    value = answers.called(answer, "mask(sizes, frozen_blocks)", sizes, cut)
    if value is None:
        return answers.NOT_SOLVED
    if isinstance(value, str):
        return value
    right = np.repeat([0, 0, 1, 1], sizes)
    if value.shape == (len(sizes),):
        return "You return one number per block. Return one per parameter: a block of 3 parameters has 3 entries."
    if value.shape != right.shape:
        return f"With the sizes {sizes} there are {sum(sizes)} parameters; you return the shape {value.shape}."
    if np.array_equal(value, 1 - right):
        return "The mask is on the wrong side: 1 lets a parameter move, and the first blocks shall stay."
    hints = {1: "Off by one block: you freeze one too few.", 3: "Off by one block: you freeze one too many."}
    for frozen, hint in hints.items():
        if np.array_equal(value, np.repeat(np.arange(4) >= frozen, sizes)):
            return hint
    if np.array_equal(value, np.arange(8) >= cut):
        return f"You freeze {cut} parameters. Freeze {cut} blocks, whatever their sizes."
    if not np.array_equal(value, right):
        return f"With the sizes {sizes} and {cut} frozen blocks you return {value.tolist()}."
    if not all(
        np.array_equal(answers.called(answer, "", sizes, k), np.repeat(np.arange(4) >= k, sizes)) for k in (0, 4)
    ):
        return "Right in the middle. Try frozen_blocks=0, where all is trained, and 4, where nothing is."
    return None


def _l2_sp_gradient(answer: Any) -> str | None:
    """02: a function (gradient, theta, theta_source, shared, pull, decay) -> the gradient of the penalised loss."""
    import numpy as np

    gradient, theta = np.array([0.3, -0.2, 0.5, 1.0]), np.array([1.0, 2.0, -1.0, 4.0])
    source, shared = np.array([0.5, 3.0, 7.0, 9.0]), np.array([True, True, False, False])
    how = "l2_sp_gradient(gradient, theta, theta_source, shared, pull, decay)"
    value = answers.called(answer, how, gradient, theta, source, shared, 0.1, 0.01)
    if value is None:
        return answers.NOT_SOLVED
    if isinstance(value, str):
        return value
    if value.shape != theta.shape:
        return f"theta has shape {theta.shape}, what you return {value.shape}. A gradient has one entry per parameter."
    spring, shrink = 0.1 * (theta - source), 0.01 * theta
    right = gradient + np.where(shared, spring, shrink)
    hints = [
        (gradient - np.where(shared, spring, 0) + np.where(shared, 0, shrink), "The sign of the pull: it drives away."),
        (gradient - np.where(shared, spring, shrink), "The sign: this penalty drives away from the source."),
        (gradient + np.where(shared, 2 * spring, 2 * shrink), "The half in the penalty cancels the 2 of the square."),
        (gradient + np.where(shared, spring, 0), "The new parameters lack their decay towards zero."),
        (gradient + spring, "New parameters have no source value; they decay towards zero instead."),
        (gradient + np.where(shared, 0.1 * theta, shrink), "That is plain L2. Shared ones are pulled to the source."),
        (gradient + np.where(shared, shrink, spring), "The mask is on the wrong side: pull the shared ones."),
        (gradient + spring + shrink, "Each parameter gets one of the two terms: pull if it is shared, decay if new."),
        (np.where(shared, spring, shrink), "That is the gradient of the penalty alone. Add that of the loss."),
    ]
    if np.allclose(value, right, rtol=1e-6, atol=1e-9):
        return None
    for wrong, hint in hints:
        if np.allclose(value, wrong, rtol=1e-6, atol=1e-9):
            return hint
    return "Not the right numbers. Shared: gradient + pull * (theta - theta_source). New: gradient + decay * theta."


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
        return answers.stopped(error)
    if model is None:
        return answers.NOT_SOLVED
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


CHECKS: dict[str, Callable[[Any], str | None]] = {
    "00_place_the_cut": _place_the_cut,
    "01_crossing": _crossing,
    "01_trained_parameters": _trained_parameters,
    "02_l2_sp_gradient": _l2_sp_gradient,
    "02_mask": _mask,
    "02_update": _update,
    "03_affordable_cut": _affordable_cut,
    "03_head_parameters": _head_parameters,
    "03_repaired_program": _repaired_program,
}
