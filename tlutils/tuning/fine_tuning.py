"""Train what lies behind the cut: a linear head, then the tail under it (LP-FT), at once or block by block."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tlutils import settings
from tlutils.tuning.batchnorm import freeze_batchnorm
from tlutils.tuning.heads import copy, train

if TYPE_CHECKING:
    import keras


def blocks(tail: keras.Model, ends: Sequence[str]) -> list[list[str]]:
    """Group the layers of a tail into blocks.

    Parameters
    ----------
    tail : keras.Model
    ends : sequence of str
        Names of the layers that close a block, such as the attribute ``cuts`` of a backbone; those before the tail do
        not matter.

    Returns
    -------
    list of lists of str
        Names of the layers that have weights, from the cut upwards. A block without such layers is left out.
    """
    found: list[list[str]] = [[]]
    for layer in tail.layers:
        if layer.weights:
            found[-1].append(layer.name)
        if layer.name in ends:
            found.append([])
    return [block for block in found if block]


def unfreeze_gradually(model: keras.Model, blocks: Sequence[Sequence[str]]) -> Iterator[list[str]]:
    """Freeze the blocks, then unfreeze one more at every turn of a loop, the topmost first.

    Gradual unfreezing (Howard & Ruder 2018, "Universal language model fine-tuning for text classification", section
    3.3): the upper layers, which are bound most to the source task, settle before the lower ones may move.
    BatchNormalization layers stay frozen throughout. Call `train` in every turn: it compiles again, without which Keras
    goes on with the layers that were trainable before.

    Parameters
    ----------
    model : keras.Model
        Layers that are in no block, such as those of a trained head, stay as they are.
    blocks : sequence of sequences of str
        Layer names, from the cut upwards, as `blocks` returns them.

    Yields
    ------
    list of str
        The layers that have just been unfrozen.

    Raises
    ------
    settings.UserError
        For a name that no layer has, at the first turn.
    """
    import keras

    layers = {layer.name: layer for layer in model._flatten_layers(include_self=False)}
    unknown = [name for block in blocks for name in block if name not in layers]
    if unknown:
        raise settings.UserError(f"{unknown[0]!r} is not a layer of {model.name}; its layers: {', '.join(layers)}.")
    for block in blocks:
        for name in block:
            layers[name].trainable = False
    for block in reversed(blocks):
        names = [name for name in block if not isinstance(layers[name], keras.layers.BatchNormalization)]
        for name in names:
            layers[name].trainable = True
        yield names


def trainable_copy(tail: keras.Model, head: keras.Model) -> keras.Sequential:
    """Put copies of a tail and a head together, with every layer trainable but BatchNormalization.

    `fine_tune` trains such a model. Build it yourself where layers shall have their own learning rates, a penalty or a
    later start, and give it to `train`.

    Parameters
    ----------
    tail, head : keras.Model
        Left as they are.

    Returns
    -------
    keras.Sequential
        Its layers are the two copies; takes activations, returns logits.
    """
    import keras

    model = keras.Sequential([keras.Input(tail.input_shape[1:]), copy(tail), copy(head)])
    for part in model.layers:
        part.trainable = True
        # Layer by layer as well: a tail cut from a frozen base has frozen layers, and setting the attribute of a model
        # around them does not reach every one (Keras 3.15).
        for layer in part.layers:
            layer.trainable = True
    freeze_batchnorm(model)
    return model


def fine_tune(
    tail: keras.Model,
    head: keras.Model,
    activations: NDArray[np.floating],
    labels: NDArray[np.int64],
    *,
    epochs: int,
) -> keras.Sequential:
    """Fine-tune copies of a tail and a trained head together: the second step of LP-FT (Kumar et al. 2022).

    By Adam with a learning rate of 1e-4; for another rate or optimiser, give a `trainable_copy` to `train`.
    The head is trained first (`train_head`): what an untrained head asks of the tail says nothing about the task, and
    Adam moves every weight by about the learning rate in each step, however small the gradient is.

    Parameters
    ----------
    tail, head : keras.Model
        Left as they are; copies are trained.
    activations : array, shape (n, ...)
        Of the training pictures, at the cut.
    labels : int array, shape (n,)
    epochs : int

    Returns
    -------
    keras.Sequential
        Tail and head; takes activations, returns logits.
    """
    model = trainable_copy(tail, head)
    train(model, activations, labels, epochs=epochs, learning_rate=1e-4)
    return model
