"""Check the exercises of lesson 03."""

from __future__ import annotations

from typing import Any

import numpy as np

from tlutils.course.exercises import answers


def head_parameters(answer: Any) -> str | None:
    """Parameters of the published head and of the pooled one, for 7 x 7 x 512 activations and five classes."""
    published, pooled = answer
    if published is ... or pooled is ...:
        return "Give both numbers."
    if not answers.whole(published, pooled):
        return f"Give two whole numbers, not {answer!r}."
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


def affordable_cut(answer: Any) -> str | None:
    """The earliest cut of vgg16_mini that leaves at most 500,000 parameters behind it."""
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


def repaired_program(answer: Any) -> str | None:
    """A function (base, n_classes) -> compiled model without the faults 1, 2, 3 and 7."""
    import keras

    base = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3, name="block1_conv1")])
    before = [np.array(value) for value in base.get_weights()]
    model = answers.called(answer, "repaired(base, n_classes)", base, 3)
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
    # Compiling a graph would take longer than these two steps.
    model.run_eagerly = True
    try:
        model.fit(pictures, wanted, epochs=2, verbose=0)
    except Exception as error:
        return f"The model does not train: {str(error).splitlines()[0][:150]}"
    if any(not np.array_equal(a, b) for a, b in zip(before, base.get_weights(), strict=True)):
        return "Fault 1 is still there: the base's weights moved. Set base.trainable = False before compile."
    rate = float(np.asarray(model.optimizer.learning_rate))
    return f"A learning rate of {rate:g} is too large for Adam; try 1e-3." if rate > 0.05 else None
