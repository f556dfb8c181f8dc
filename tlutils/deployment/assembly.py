"""Put a trunk, a head and two guards together into one plain Keras model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import keras

    from tlutils.datasets.picture_files import PictureFiles

_BATCH = 32


def assemble(
    layers: Sequence[keras.Layer],
    head: tuple[NDArray[np.floating], NDArray[np.floating]],
    class_means: NDArray[np.floating],
    image_size: int | None = None,
) -> keras.Model:
    """Build the model that is handed over: from pictures or token numbers to probabilities and nearness.

    The **nearness** is the cosine of the angle between the features of an example and those of the nearest class mean:
    1 for an example that points where the mean of a class does. It is small for what is unlike all that was learnt,
    however sure the head is.

    Parameters
    ----------
    layers : sequence of layers or models
        From pictures, shape (n, image_size, image_size, 3), or token numbers, shape (n, length), to features, shape
        (n, k); of built-in layers only, so that plain Keras loads the model.
    head : pair of arrays, shapes (k, n_classes) and (n_classes,)
        Kernel and bias of the layer ``probabilities``. Divided by a temperature, they give calibrated probabilities.
    class_means : array, shape (n_classes, k)
        Of the features of the training examples.
    image_size : int, optional
        Of the pictures that the layers take; None for sentences.

    Returns
    -------
    keras.Model
        Takes RGB pictures of any size, uint8, whose central square it resizes, or token numbers. Returns probabilities,
        shape (n, n_classes), and nearness, shape (n, 1), from -1 to 1.
    """
    import keras
    from sklearn.preprocessing import normalize

    if image_size is None:
        x = inputs = keras.Input((None,), dtype="int32")
    else:
        inputs = keras.Input((None, None, 3), dtype="uint8")
        x = keras.layers.Resizing(image_size, image_size, crop_to_aspect_ratio=True, antialias=True)(inputs)
    for layer in layers:
        x = layer(x)
    n_classes = len(class_means)
    probabilities = keras.layers.Dense(n_classes, activation="softmax", name="probabilities")
    cosines = keras.layers.Dense(n_classes, use_bias=False, name="cosines")
    by_class = keras.layers.Reshape((n_classes, 1))(cosines(keras.layers.UnitNormalization()(x)))
    nearness = keras.layers.GlobalMaxPooling1D(name="nearness")(by_class)
    model = keras.Model(inputs, [probabilities(x), nearness])
    probabilities.set_weights(list(head))
    cosines.set_weights([normalize(class_means).T])
    return model


def ask(
    model: keras.Model, inputs: NDArray[np.generic] | PictureFiles, rows: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Ask an assembled model about some examples, in batches, so that memory does not grow with their number.

    Parameters
    ----------
    model : keras.Model
        From `assemble`.
    inputs : array or PictureFiles, first axis n
        Pictures or token numbers.
    rows : int array, shape (m,)
        Which of them; one or more.

    Returns
    -------
    probabilities : float32 array, shape (m, n_classes)
    nearness : float32 array, shape (m,)
    """
    batches = [rows[start : start + _BATCH] for start in range(0, len(rows), _BATCH)]
    replies = [model.predict_on_batch(np.asarray(inputs[batch])) for batch in batches]
    probabilities, nearness = (np.concatenate(part) for part in zip(*replies, strict=True))
    return probabilities, nearness[:, 0]
