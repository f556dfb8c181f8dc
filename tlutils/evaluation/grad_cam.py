"""Show where a classifier looks: Grad-CAM, through the cut."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import keras


def score_gradients(
    classifier: keras.Model, activations: NDArray[np.floating], classes: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Return the gradient of each picture's class score with respect to its activations at the cut.

    Keras has no function for gradients that works on every backend, but every backend has an optimiser. So the
    activations are made the only trainable weights of a model whose loss is minus the sum of the scores, and one step
    of gradient descent with learning rate 1 adds exactly the gradient to them.

    Parameters
    ----------
    classifier : keras.Model
        Everything behind the cut; returns logits, shape (n, n_classes). Left as it was.
    activations : array, shape (n, height, width, channels)
        At the cut.
    classes : int array, shape (n,)
        The class whose score is explained, picture by picture.

    Returns
    -------
    float32 array, shape of `activations`
    """
    import keras

    class Adjustable(keras.layers.Layer):
        def build(self, input_shape: tuple[int | None, ...]) -> None:
            self.values = self.add_weight(shape=activations.shape, name="values")

        def call(self, index: keras.KerasTensor) -> keras.KerasTensor:
            return keras.ops.take(self.values, keras.ops.reshape(index, (-1,)), axis=0)

    def minus_sum_of_scores(chosen: keras.KerasTensor, logits: keras.KerasTensor) -> keras.KerasTensor:
        return -keras.ops.sum(chosen * logits, axis=-1)

    index = keras.Input((1,), dtype="int32")
    adjustable = Adjustable()
    was_trainable = classifier.trainable
    classifier.trainable = False
    try:
        model = keras.Model(index, classifier(adjustable(index)))
        start = np.asarray(activations, dtype=np.float32)
        adjustable.values.assign(start)
        # Keras averages the loss over the batch; a learning rate of n turns the average back into a sum.
        model.compile(keras.optimizers.SGD(float(len(start))), loss=minus_sum_of_scores, jit_compile=False)
        chosen = np.eye(model.output_shape[-1], dtype=np.float32)[classes]
        model.train_on_batch(np.arange(len(start), dtype=np.int32)[:, None], chosen)
        return keras.ops.convert_to_numpy(adjustable.values) - start
    finally:
        classifier.trainable = was_trainable


def grad_cam(
    classifier: keras.Model, activations: NDArray[np.floating], classes: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Return Grad-CAM heat maps (Selvaraju et al. 2017, "Grad-CAM: visual explanations from deep networks").

    A channel's weight is its gradient's mean over the positions (their eq. 1); a map is the positive part of the
    weighted sum of channels (eq. 2).

    Parameters
    ----------
    classifier, activations, classes
        As for `score_gradients`.

    Returns
    -------
    float32 array, shape (n, height, width)
        0 to 1; each map is divided by its maximum, unless that is 0.
    """
    weights = score_gradients(classifier, activations, classes).mean(axis=(1, 2), keepdims=True)
    maps = np.maximum((weights * activations).sum(axis=-1), 0)
    highest = maps.max(axis=(1, 2), keepdims=True)
    return np.divide(maps, highest, out=np.zeros_like(maps), where=highest > 0)


def enlarge(maps: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Scale maps up to the pictures' size, smoothly.

    Parameters
    ----------
    maps : float32 array, shape (n, height, width)
    size : int
        Side of the pictures in pixels.

    Returns
    -------
    float32 array, shape (n, size, size)
    """
    from PIL import Image

    return np.stack([np.asarray(Image.fromarray(map_).resize((size, size), Image.Resampling.BICUBIC)) for map_ in maps])


def pointing_game(maps: NDArray[np.float32], masks: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Tell for each heat map whether its brightest point lies on the object (Zhang et al. 2018).

    Parameters
    ----------
    maps : float32 array, shape (n, height, width)
        Of any size; enlarged to that of the masks.
    masks : bool array, shape (n, size, size)
        True where the object is.

    Returns
    -------
    bool array, shape (n,)
    """
    brightest = enlarge(maps, masks.shape[1]).reshape(len(maps), -1).argmax(axis=1)
    return masks.reshape(len(masks), -1)[np.arange(len(masks)), brightest]
