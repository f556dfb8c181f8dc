"""Train what lies behind the cut: a linear head, then the tail under it (LP-FT)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tlutils import settings

if TYPE_CHECKING:
    import keras

# A feature that hardly varies over the training pictures gets at most this share of the average feature's standard
# deviation as its divisor. Relative, so that features of any scale keep their differences; not zero, so that a unit
# that was silent in training and speaks in use is not blown up.
_SMALLEST_RELATIVE_DEVIATION = 0.1


def linear_head(activations: NDArray[np.floating], n_classes: int) -> keras.Sequential:
    """Build a linear classifier of activations: pool, standardise, one dense layer.

    Parameters
    ----------
    activations : array, shape (n, height, width, channels) or (n, channels)
        Of the training pictures only: their mean and variance standardise every later input.
    n_classes : int
        2 or more.

    Returns
    -------
    keras.Sequential
        Returns logits, shape (n, n_classes). The dense layer starts at zero, so every class starts equally likely.

    Raises
    ------
    settings.UserError
        Fewer than two classes, activations of another rank, or not finite.
    """
    import keras

    if n_classes < 2:
        raise settings.UserError(f"n_classes={n_classes}: a classifier needs at least two classes.")
    if activations.ndim not in (2, 4) or len(activations) == 0:
        raise settings.UserError(f"Activations of shape {activations.shape}; expected (n, h, w, c) or (n, c), n >= 1.")
    features = np.asarray(activations, dtype=np.float64)
    if features.ndim == 4:
        features = features.mean(axis=(1, 2))
    if not np.isfinite(features).all():
        raise settings.UserError("The activations hold NaN or infinite values; look at the pictures and the weights.")
    # In units of the typical deviation: Keras' Normalization divides by no less than 1e-7, which would swallow features
    # smaller than that, such as those of a deep untrained network.
    typical = float(features.std(axis=0).mean()) or 1.0
    features = features / typical
    variance = np.maximum(features.std(axis=0), _SMALLEST_RELATIVE_DEVIATION) ** 2
    # The sum of squares of a standardised input grows with its length; dividing by the length's root makes one
    # learning rate fit 16 channels and 1,280.
    variance = variance * features.shape[1] / 100
    head = keras.Sequential(name="head")
    head.add(keras.Input(activations.shape[1:], name="activations"))
    if activations.ndim == 4:
        head.add(keras.layers.GlobalAveragePooling2D(name="pool"))
    head.add(keras.layers.Rescaling(1 / typical, name="unit"))
    head.add(keras.layers.Normalization(mean=features.mean(axis=0), variance=variance, name="standardise"))
    head.add(keras.layers.Dense(n_classes, kernel_initializer="zeros", name="classes"))
    return head


def train(
    model: keras.Model,
    inputs: NDArray[np.generic],
    labels: NDArray[np.int64],
    *,
    epochs: int,
    learning_rate: float,
    batch_size: int = 32,
    validation: tuple[NDArray[np.generic], NDArray[np.int64]] | None = None,
) -> keras.callbacks.History:
    """Minimise the cross-entropy of the model's logits with Adam (Kingma & Ba 2015).

    Parameters
    ----------
    model : keras.Model
        Returns logits, shape (n, n_classes).
    inputs, labels : array, first axis n
    epochs, batch_size : int
    learning_rate : float
        Above 0.
    validation : pair of arrays, optional
        Inputs and labels to measure after every epoch.

    Returns
    -------
    keras.callbacks.History
    """
    import keras

    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        # XLA pays off after minutes; the models of this course train in seconds.
        jit_compile=False,
    )
    return model.fit(
        np.asarray(inputs), labels, epochs=epochs, batch_size=batch_size, validation_data=validation, verbose=0
    )


def restart(model: keras.Model, weights: list[NDArray[np.floating]]) -> None:
    """Set a compiled model back to given weights, and its optimiser to its first step.

    Compiling takes longer than many trainings of this course: one model, set back, serves all seeds and splits.

    Parameters
    ----------
    model : keras.Model
        Compiled with an optimiser whose state starts at zero, such as Adam or SGD. The learning rate stays.
    weights : list of arrays
        As `keras.Model.get_weights` returns them.
    """
    import keras

    model.set_weights(weights)
    for variable in model.optimizer.variables:
        if variable.name != "learning_rate":
            variable.assign(keras.ops.zeros_like(variable))


def predict(model: keras.Model, inputs: NDArray[np.generic], *, batch_size: int = 128) -> NDArray[np.int64]:
    """Return the class of the largest score.

    The model is called directly: compiling a prediction function, as `keras.Model.predict` does, takes longer than all
    predictions of a model that is used once.

    Parameters
    ----------
    model : keras.Model
        Returns logits or probabilities, shape (n, n_classes).
    inputs : array, first axis n
    batch_size : int

    Returns
    -------
    int64 array, shape (n,)
    """
    import keras

    batches = [np.asarray(inputs[start : start + batch_size]) for start in range(0, len(inputs), batch_size)]
    scores = [keras.ops.convert_to_numpy(model(batch, training=False)) for batch in batches]
    return np.concatenate(scores).argmax(axis=1)


def train_head(
    activations: NDArray[np.floating], labels: NDArray[np.int64], n_classes: int, *, epochs: int = 20
) -> keras.Sequential:
    """Train a new linear head on activations that were computed once: a linear probe, feature extraction.

    Parameters
    ----------
    activations : array, shape (n, height, width, channels) or (n, channels)
    labels : int array, shape (n,)
        0 to n_classes - 1.
    n_classes, epochs : int

    Returns
    -------
    keras.Sequential
        See `linear_head`.
    """
    head = linear_head(activations, n_classes)
    features = np.asarray(activations)
    train(head, features, labels, epochs=epochs, learning_rate=1e-2)
    return head


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
        How many layers were frozen. Compile again afterwards.
    """
    import keras

    layers = [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization)]
    for layer in layers:
        layer.trainable = False
    return len(layers)


def fine_tune(
    tail: keras.Model,
    head: keras.Model,
    activations: NDArray[np.floating],
    labels: NDArray[np.int64],
    *,
    epochs: int,
    learning_rate: float = 1e-4,
    validation: tuple[NDArray[np.generic], NDArray[np.int64]] | None = None,
) -> keras.Sequential:
    """Fine-tune copies of a tail and a trained head together: the second step of LP-FT (Kumar et al. 2022).

    The head is trained first (`train_head`), because a random head sends large, meaningless gradients into the tail and
    distorts what it had learnt.

    Parameters
    ----------
    tail, head : keras.Model
        Left as they are; copies are trained.
    activations : array, shape (n, ...)
        Of the training pictures, at the cut.
    labels : int array, shape (n,)
    epochs : int
    learning_rate : float
        Of Adam.
    validation : pair of arrays, optional

    Returns
    -------
    keras.Sequential
        Tail and head; takes activations, returns logits.
    """
    import keras

    model = keras.Sequential([keras.Input(activations.shape[1:]), copy(tail), copy(head)])
    # Layer by layer: a tail cut from a frozen base has frozen layers, and setting the attribute of a model around them
    # does not reach every one (Keras 3.15).
    for part in model.layers:
        for layer in part.layers:
            layer.trainable = True
    freeze_batchnorm(model)
    train(model, activations, labels, epochs=epochs, learning_rate=learning_rate, validation=validation)
    return model


def copy(model: keras.Model) -> keras.Model:
    """Return a network of the same layers and weights that shares nothing with `model`."""
    import keras

    twin = keras.models.clone_model(model)
    twin.set_weights(model.get_weights())
    return twin
