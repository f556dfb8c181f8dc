"""Train what lies behind the cut: a linear head, then the tail under it (LP-FT), at once or block by block."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
    model = trainable_copy(tail, head)
    train(model, activations, labels, epochs=epochs, learning_rate=learning_rate, validation=validation)
    return model


def copy(model: keras.Model) -> keras.Model:
    """Return a network of the same layers, weights and penalties that shares no weight with `model`."""
    import keras

    twin = keras.models.clone_model(model)
    twin.set_weights(model.get_weights())
    for new, old in zip(twin.weights, model.weights, strict=True):
        new.regularizer = old.regularizer
    return twin
