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
            f"The published head does not have {published:,} parameters. Flatten turns 7 x 7 x 512 into one vector; "
            "a dense layer has inputs x units weights and one bias per unit."
        )
    if pooled == 512 * 5:
        return "The published head is right. The pooled one lacks its 5 biases."
    if pooled == right_published or pooled == 25_088 * 5 + 5:
        return "The published head is right. Pooling keeps one number per channel: 512 inputs, not 25,088."
    if pooled != right_pooled:
        return f"The published head is right. The pooled one does not have {pooled:,}: it joins 512 means to 5 classes."
    return None


def repaired_program(answer: Any) -> str | None:
    """A function (preprocess, base, n_classes) -> compiled model without the faults 1, 2, 3, 4 and 7."""
    import keras

    preprocess = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Rescaling(1 / 64, offset=-2)])
    base = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3, name="block1_conv1")])
    before = [np.array(value) for value in base.get_weights()]
    model = answers.called(answer, "repaired(preprocess, base, n_classes)", preprocess, base, 3)
    if not isinstance(model, keras.Model) or not model.built:
        return "Return a keras.Model that knows its input shape; the base has one, so do not wrap it in a Lambda."
    if any(isinstance(layer, keras.layers.Flatten) for layer in model._flatten_layers()):
        return "Fault 7 is still there: Flatten keeps every position. Pool globally before the dense layer."
    if len(model.output_shape) != 2:
        return f"The model returns {len(model.output_shape) - 1} dimensions for a picture. Pool before the dense layer."
    if model.output_shape[-1] != 3:
        return f"The model has {model.output_shape[-1]} outputs; it should have n_classes, here 3."
    scales = [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.Rescaling)]
    if preprocess.layers[-1] not in scales:
        return "Fault 4 is still there: the pictures go into the base as they are. Put preprocess in front of it."
    if len(scales) > 1:
        return "The pictures are scaled twice: preprocess does all that the base expects."
    if not model.compiled:
        return "Compile the model inside the function: optimiser, loss, metrics."
    if not model.trainable_variables:
        return "Everything is frozen, the new head too; only the base should be."
    if "accuracy" not in str(model.get_compile_config().get("metrics")):
        return 'Add metrics=["accuracy"] when you compile; the next cell draws it.'
    rng = np.random.default_rng(0)
    pictures, labels = rng.integers(0, 256, size=(12, 8, 8, 3)).astype("float32"), np.arange(12) % 3
    # Compiling a graph would take longer than these two steps.
    model.run_eagerly = True
    try:
        model.fit(pictures, labels, epochs=2, verbose=0)
    except Exception as error:
        return (
            "The model does not train on labels 0, 1, 2; the loss for whole numbers is sparse_categorical_crossentropy."
            f" Keras says: {str(error).splitlines()[0][:150]}"
        )
    sums = keras.ops.convert_to_numpy(model(pictures)).sum(axis=1)
    if model.loss == "sparse_categorical_crossentropy" and not np.allclose(sums, 1, atol=1e-3):
        return 'This loss expects probabilities, but the outputs do not add up to 1: use activation="softmax".'
    if any(not np.array_equal(a, b) for a, b in zip(before, base.get_weights(), strict=True)):
        return "Fault 1 is still there: the base's weights moved. Set base.trainable = False before compile."
    rate = float(np.asarray(model.optimizer.learning_rate))
    if not 0.002 <= rate <= 0.05:
        return f"A learning rate of {rate:g} does not suit a head of so few weights; take 0.01."
    return None
