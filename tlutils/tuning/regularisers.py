"""Penalise the kernels of a model: for their size (L2), or for leaving the pretrained start (L2-SP)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tlutils import settings

if TYPE_CHECKING:
    import keras


def l2_sp(tail: keras.Model, alpha: float) -> int:
    """Penalise the squared distance of a pretrained tail's kernels from the values they have now.

    Adds alpha / 2 * ||w - w0||^2 to the training loss, hence alpha * (w - w0) to the gradient: a spring to the starting
    point (Li, Grandvalet & Davoine 2018, "Explicit inductive bias for transfer learning with convolutional networks",
    their penalty L2-SP). The head has no such start; it gets `l2` with their beta.

    Parameters
    ----------
    tail : keras.Model
        Built, with its pretrained weights. Biases and BatchNormalization stay free, as do frozen layers.
    alpha : float
        0 or more. Replaces a penalty set before.

    Returns
    -------
    int
        How many kernels are penalised. The penalty counts in the reported ``loss`` and ``val_loss``. It is part of the
        training only: `tlutils.tuning.copy` takes it along, a saved model does not hold it.

    Raises
    ------
    settings.UserError
        If alpha is below 0 or not a number, or if there is no kernel.
    """
    import keras

    def towards_start(kernel: keras.Variable) -> Callable[[Any], Any]:
        start = keras.ops.convert_to_tensor(kernel.numpy(), dtype=kernel.dtype)
        return lambda weights: alpha / 2 * keras.ops.sum(keras.ops.square(weights - start))

    return _attach(tail, "alpha", alpha, towards_start)


def l2(model: keras.Model, beta: float) -> int:
    """Penalise the squared size of a model's kernels: adds beta / 2 * ||w||^2 to the training loss.

    Parameters
    ----------
    model : keras.Model
        A new head; or a tail, to compare with `l2_sp`.
    beta : float
        0 or more. Replaces a penalty set before.

    Returns
    -------
    int
        How many kernels are penalised; see `l2_sp`.

    Raises
    ------
    settings.UserError
        If beta is below 0 or not a number, or if there is no kernel.
    """
    import keras

    return _attach(model, "beta", beta, lambda kernel: keras.regularizers.L2(beta / 2))


def _attach(model: keras.Model, name: str, strength: float, penalty: Callable[[keras.Variable], Any]) -> int:
    if not 0 <= strength < float("inf"):
        raise settings.UserError(f"{name}={strength} is no strength of a penalty; give a number of 0 or more.")
    kernels = [variable for variable in model.weights if variable.name.endswith("kernel")]
    if not kernels:
        raise settings.UserError(f"{model.name} has no kernel to penalise; build it first, or cut it earlier.")
    for kernel in kernels:
        # On the variable: a layer reads its argument kernel_regularizer only while it is built, and for a depthwise
        # convolution the argument has another name.
        kernel.regularizer = penalty(kernel)
    return len(kernels)
