"""Find a learning rate by a range test, and give every layer its own."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tlutils import settings, tuning

if TYPE_CHECKING:
    import keras

# Standard deviation of the Gaussian that smooths the losses of a range test, as a share of all steps and in steps at
# least: wide enough for the noise of batches of a few dozen pictures, well below a decade of learning rates.
_SMOOTHING, _LEAST_SMOOTHING = 0.04, 1.0
_FEWEST_STEPS = 10


@dataclass(frozen=True)
class RangeTest:
    """What a learning-rate range test saw.

    Attributes
    ----------
    rates : float64 array, shape (n,)
        Learning rates, growing by a constant factor; n is the number of steps up to the divergence.
    losses : float64 array, shape (n,)
        Cross-entropy of each step's batch, before the step's update.
    smoothed : float64 array, shape (n,)
        The losses under a Gaussian whose standard deviation is 4 % of the steps asked for, one step at least. It looks
        to both sides, so that unlike a running mean it does not move the curve to higher rates.
    suggestion : float
        A tenth of the rate at which the smoothed loss is lowest: there, a larger step begins to cost as much as it
        gains. Near the first or last rate it says little; widen the range.
    diverged : float or None
        The rate of the step that met a diverged loss, where the test stopped; None if it reached the highest rate.
    """

    rates: NDArray[np.float64]
    losses: NDArray[np.float64]
    smoothed: NDArray[np.float64]
    suggestion: float
    diverged: float | None = None


def learning_rate_range_test(
    model: keras.Model,
    inputs: NDArray[np.generic],
    labels: NDArray[np.int64],
    *,
    lowest: float = 1e-6,
    highest: float = 1.0,
    steps: int = 100,
    batch_size: int = 32,
    optimizer: keras.optimizers.Optimizer | None = None,
    seed: int = 0,
) -> RangeTest:
    """Train a copy of the model while the learning rate grows from step to step, and watch the loss.

    Smith (2017, "Cyclical learning rates for training neural networks", section 3.3) lets the rate grow by equal
    amounts and reads the accuracy; equal factors and the loss, as is usual now, cover several decades in one short run.
    The test sees training pictures only: it finds how large a step the loss bears, not which rate generalises best.

    Parameters
    ----------
    model : keras.Model
        Returns logits, shape (n, n_classes). Stays as it is, compiled or not.
    inputs, labels : array, first axis n
        Of the training pictures.
    lowest, highest : float
        Ends of the range, 0 < lowest < highest.
    steps : int
        One batch each, at least 10. The test stops early when the loss is not finite or exceeds four times its first
        value, or that of guessing if this is larger.
    batch_size : int
        The one you train with: the right rate depends on it.
    optimizer : keras.optimizers.Optimizer, optional
        The one you train with; a new one of the same configuration is used. Default: Adam.
    seed : int
        Of the order of the pictures.

    Returns
    -------
    RangeTest

    Raises
    ------
    settings.UserError
        An empty range, too few steps, no pictures, or a loss that diverges before ten steps.
    """
    import keras
    from scipy.ndimage import gaussian_filter1d

    if not 0 < lowest < highest < np.inf:
        raise settings.UserError(f"lowest={lowest}, highest={highest}: give learning rates with 0 < lowest < highest.")
    settings.require_whole(_FEWEST_STEPS, steps=steps)
    if len(labels) == 0:
        raise settings.UserError("There are no pictures to train on; look at the split.")
    if optimizer is None:
        optimizer = keras.optimizers.Adam()
    optimizer = type(optimizer).from_config({**optimizer.get_config(), "learning_rate": lowest})
    twin = tuning.copy(model)
    # XLA pays off after minutes; this takes seconds.
    twin.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=False)
    rates, losses, diverged = np.geomspace(lowest, highest, steps), list[float](), None
    of_guessing = float(np.log(model.output_shape[-1]))
    generator, queue = np.random.default_rng(seed), np.empty(0, dtype=np.int64)
    batch_size = min(batch_size, len(labels))
    for rate in rates:
        if len(queue) < batch_size:
            queue = np.concatenate([queue, generator.permutation(len(labels))])
        batch, queue = queue[:batch_size], queue[batch_size:]
        optimizer.learning_rate = rate
        loss = float(twin.train_on_batch(np.asarray(inputs[batch]), labels[batch], return_dict=True)["loss"])
        if not np.isfinite(loss) or loss > 4 * max(of_guessing, losses[0] if losses else loss):
            diverged = float(rate)
            break
        losses.append(loss)
    if len(losses) < _FEWEST_STEPS:
        raise settings.UserError(
            f"The loss diverged after {len(losses)} steps, at a learning rate of {rate:.1e}; start with a rate below "
            f"lowest={lowest}, or look at the inputs."
        )
    smoothed = gaussian_filter1d(np.array(losses), max(_LEAST_SMOOTHING, _SMOOTHING * steps), mode="nearest")
    return RangeTest(rates[: len(losses)], np.array(losses), smoothed, float(rates[smoothed.argmin()] / 10), diverged)


def layerwise_factors(blocks: Sequence[Sequence[str]], decay: float = 1 / 2.6) -> dict[str, float]:
    """Give the layers of each block a share of the learning rate that falls from the top downwards.

    Discriminative fine-tuning (Howard & Ruder 2018, "Universal language model fine-tuning for text classification",
    section 3.2): lower layers are more general and need to move less. The topmost block gets 1, the next one decay, the
    one below decay squared; the authors found 1 / 2.6 for their language model.

    Parameters
    ----------
    blocks : sequence of sequences of str
        Layer names, from the cut upwards: ``[*tuning.blocks(tail, cuts), ["classes"]]``.
    decay : float
        Above 0, up to 1.

    Returns
    -------
    dict
        Layer name to factor, for `LayerwiseAdam`.

    Raises
    ------
    settings.UserError
        If decay is out of its range.

    Examples
    --------
    >>> layerwise_factors([["block4_conv1"], ["block5_conv1", "block5_conv2"], ["classes"]], decay=0.5)
    {'block4_conv1': 0.25, 'block5_conv1': 0.5, 'block5_conv2': 0.5, 'classes': 1.0}
    """
    if not 0 < decay <= 1:
        raise settings.UserError(f"decay={decay} is out of range; give a number above 0, up to 1.")
    return {name: float(decay ** (len(blocks) - level)) for level, block in enumerate(blocks, 1) for name in block}


@functools.cache
def _layerwise_adam() -> type[keras.optimizers.Optimizer]:
    """Define the optimiser: its base class comes with Keras, which is imported only when it is needed."""
    import keras

    class LayerwiseAdam(keras.optimizers.Adam):
        """Adam (Kingma & Ba 2015) that multiplies the update of every variable by the factor of its layer.

        Adam divides a gradient by its own running size, so a factor on the gradient cancels; one on the learning rate
        that the update is computed with does not.
        """

        def __init__(self, learning_rate: float, *, factors: Mapping[str, float]) -> None:
            super().__init__(learning_rate)
            wrong = {name: factor for name, factor in factors.items() if not 0 <= factor < float("inf")}
            if wrong:
                raise settings.UserError(f"factors={wrong}: a layer's factor must be a number of 0 or more.")
            self.factors = dict(factors)

        def build(self, variables: list[Any]) -> None:
            self._by_index = [self._factor(variable.path) for variable in variables]
            super().build(variables)

        def _factor(self, path: str) -> float:
            # A path names the layers around a variable, the innermost last: "block4_conv1/kernel".
            for name in reversed(path.split("/")):
                if name in self.factors:
                    return self.factors[name]
            raise settings.UserError(
                f"The trained variable {path} has no factor: give one for its layer (1 is the full learning rate). "
                f"The factors name {', '.join(self.factors) or 'no layer'}."
            )

        def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
            factor = self._by_index[self._get_variable_index(variable)]
            super().update_step(gradient, variable, learning_rate * factor)

        def get_config(self) -> dict[str, Any]:
            return {"learning_rate": super().get_config()["learning_rate"], "factors": self.factors}

    return LayerwiseAdam


def __getattr__(name: str) -> Any:
    """Return `LayerwiseAdam`, Keras' Adam with a factor for each layer.

    ``LayerwiseAdam(1e-4, factors={"block4_conv1": 0.1, "classes": 1})``: every trained variable's layer needs a factor.
    """
    if name == "LayerwiseAdam":
        return _layerwise_adam()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
