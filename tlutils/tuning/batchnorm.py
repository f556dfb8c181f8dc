"""Batch normalisation: held at its pretrained statistics, watched, and adapted to other inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tlutils import settings
from tlutils.tuning.heads import copy

if TYPE_CHECKING:
    import keras


def freeze_batchnorm(model: keras.Model) -> int:
    """Hold every BatchNormalization layer at its pretrained statistics and scale.

    A small target set moves the running statistics of a trainable BatchNormalization away from those the other weights
    were trained with. Calling the model with ``training=False`` does not prevent it in Keras 3; this does.

    Parameters
    ----------
    model : keras.Model

    Returns
    -------
    int
        How many layers were frozen, those in nested models counted. Compile again afterwards.
    """
    layers = _batchnorm_layers(model)
    for layer in layers:
        layer.trainable = False
    return len(layers)


def moved_batchnorm(before: keras.Model, after: keras.Model) -> tuple[int, int]:
    """Count the BatchNormalization layers whose moving statistics differ, in any bit, between two models.

    Parameters
    ----------
    before, after : keras.Model
        The pretrained network and its trained copy; layers around them do not matter.

    Returns
    -------
    moved, layers : int

    Raises
    ------
    settings.UserError
        If the two do not have BatchNormalization layers of the same names.
    """
    # By name: Keras lists the layers of a nested model in another order than those of the model alone.
    old, new = ({layer.name: layer for layer in _batchnorm_layers(model)} for model in (before, after))
    if old.keys() != new.keys():
        raise settings.UserError(
            f"{len(old)} BatchNormalization layers before, {len(new)} after, only in one of them: "
            f"{', '.join(sorted(old.keys() ^ new.keys()))}. Give a network and its own copy."
        )
    moved = sum(
        any(
            not np.array_equal(getattr(layer, statistic).numpy(), getattr(new[name], statistic).numpy())
            for statistic in ("moving_mean", "moving_variance")
        )
        for name, layer in old.items()
    )
    return moved, len(old)


def adapt_batchnorm(model: keras.Model, inputs: NDArray[np.generic], *, batch_size: int = 128) -> keras.Model:
    """Give a copy of the model the BatchNormalization statistics of other inputs; no label and no gradient is needed.

    AdaBN (Li et al. 2018, "Adaptive batch normalization for practical domain adaptation"): means and variances are
    those of the new domain, all other weights stay. The moving statistics become the averages over the batches, each
    weighted by its size; of one batch they are its own.

    Parameters
    ----------
    model : keras.Model
    inputs : array, shape (n, ...)
        Of the domain that the model is to be used in.
    batch_size : int
        As large as the memory bears: a batch's variance does not know how far its mean is from those of others.

    Returns
    -------
    keras.Model
        The model itself stays as it is.

    Raises
    ------
    settings.UserError
        If the model has no such layer, or there are fewer than two inputs.
    """
    adapted = copy(model)
    layers = _batchnorm_layers(adapted)
    if not layers:
        raise settings.UserError(
            f"{model.name} has no BatchNormalization layer, so there is nothing that AdaBN could adapt; choose another "
            "backbone, such as efficientnet_lite0."
        )
    if len(inputs) < 2:
        raise settings.UserError(f"{len(inputs)} inputs have no variance; give two or more, a hundred is better.")
    # A frozen layer would ignore training=True.
    for layer in layers:
        layer.trainable = True
    for start in range(0, len(inputs), batch_size):
        batch = inputs[start : start + batch_size]
        for layer in layers:
            # What is kept of the average so far: the share of the inputs that it has seen.
            layer.momentum = start / (start + len(batch))
        adapted(np.asarray(batch), training=True)
    for layer, original in zip(layers, _batchnorm_layers(model), strict=True):
        layer.momentum, layer.trainable = original.momentum, original.trainable
    return adapted


def _batchnorm_layers(model: keras.Model) -> list[keras.layers.BatchNormalization]:
    import keras

    return [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization)]
