"""A linear head behind the cut, and how a model is trained, set back, asked and copied."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tlutils import settings

if TYPE_CHECKING:
    import keras


# A feature that hardly varies over the training pictures gets at most this share of the average feature's standard
# deviation as its divisor. Relative, so that features of any scale keep their differences; not zero, so that a unit
# that was silent in training and speaks in use is not blown up.
SMALLEST_RELATIVE_DEVIATION = 0.1


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

    settings.require_whole(2, n_classes=n_classes)
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
    variance = np.maximum(features.std(axis=0), SMALLEST_RELATIVE_DEVIATION) ** 2
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
    learning_rate: float | keras.optimizers.schedules.LearningRateSchedule | None = None,
    optimizer: keras.optimizers.Optimizer | None = None,
    batch_size: int = 32,
    validation: tuple[NDArray[np.generic], NDArray[np.int64]] | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> keras.callbacks.History:
    """Minimise the cross-entropy of the model's logits.

    Parameters
    ----------
    model : keras.Model
        Returns logits, shape (n, n_classes).
    inputs, labels : array, first axis n
    epochs, batch_size : int
    learning_rate : float or schedule
        Of Adam (Kingma & Ba 2015); above 0, or a schedule, such as one with a warm-up.
    optimizer : keras.optimizers.Optimizer
        A new one, in place of Adam and its learning rate.
    validation : pair of arrays, optional
        Inputs and labels to measure after every epoch.
    callbacks : sequence of keras.callbacks.Callback
        Such as `keras.callbacks.EarlyStopping`.

    Returns
    -------
    keras.callbacks.History

    Raises
    ------
    settings.UserError
        Both or neither of `learning_rate` and `optimizer`; a callback that watches a validation that is not there.
    """
    import keras

    if (learning_rate is None) == (optimizer is None):
        raise settings.UserError(
            f"learning_rate={learning_rate} and optimizer={optimizer}: give exactly one of them, a learning rate for "
            "Adam or an optimiser with its own."
        )
    for callback in callbacks:
        watched = str(getattr(callback, "monitor", ""))
        if watched.startswith("val_") and validation is None:
            # Keras would warn once, never stop, and restore nothing.
            raise settings.UserError(
                f"{type(callback).__name__} watches {watched!r}, but nothing is measured on validation pictures; "
                "give validation=(inputs, labels)."
            )
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate) if optimizer is None else optimizer,
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        # XLA pays off after minutes; the models of this course train in seconds.
        jit_compile=False,
    )
    return model.fit(
        np.asarray(inputs),
        labels,
        epochs=epochs,
        batch_size=batch_size,
        validation_data=validation,
        callbacks=list(callbacks),
        verbose=0,
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
    if not model.optimizer.built:
        # Left to `fit`, it would be built while the training step is traced, which TensorFlow then traces twice.
        model.optimizer.build(model.trainable_variables)
    for variable in model.optimizer.variables:
        if variable.name != "learning_rate":
            variable.assign(keras.ops.zeros(variable.shape, variable.dtype))


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
    train(head, activations, labels, epochs=epochs, learning_rate=1e-2)
    return head


def copy(model: keras.Model) -> keras.Model:
    """Return a network of the same layers, weights and penalties that shares no weight with `model`."""
    import keras

    twin = keras.models.clone_model(model)
    twin.set_weights(model.get_weights())
    for new, old in zip(twin.weights, model.weights, strict=True):
        new.regularizer = old.regularizer
    return twin
