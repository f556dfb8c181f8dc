"""Check the exercises of lesson 05."""

from __future__ import annotations

from typing import Any

import numpy as np

from tlutils.course.exercises import answers


def range_test(answer: Any) -> str | None:
    """(learning rate read from the curve, the range test): a tenth of the lowest point's, within half a decade."""
    rate, test = answer
    if rate is ... or rate is None:
        return answers.NOT_SOLVED
    if isinstance(rate, bool) or not isinstance(rate, int | float | np.number):
        return f"Give one number, a learning rate, not {rate!r}."
    if not np.isfinite(rate):
        return f"Give one finite number, a learning rate, not {rate!r}."
    if rate < 0:
        return f"A learning rate is above 0. If you read the exponent, write 1e{round(float(rate))}."
    lowest = float(test.rates[test.smoothed.argmin()])
    apart = float(np.log10(max(float(rate), 1e-30) / (lowest / 10)))
    if abs(apart) <= 0.5:
        return None
    if rate > test.rates[-1]:
        return f"{rate:g} lies to the right of the whole curve, which ends at {test.rates[-1]:.0e}. Look left."
    if apart > 1.5:
        return f"At {rate:g} the loss is on its way up: such steps are too long. Look left of the lowest point."
    if apart > 0.5:
        return f"{rate:g} is near the lowest point. There a longer step costs what it gains: go one decade to the left."
    if rate < test.rates[0]:
        return f"{rate:g} lies to the left of the whole curve. Read the rate under the lowest point, and divide by ten."
    return f"{rate:g} is safe but slow, {10**-apart:.0f} times below a tenth of the lowest point's rate. Go right."


def freeze_batchnorm(answer: Any) -> str | None:
    """A function (model) -> number of BatchNormalization layers frozen, nested ones too, and nothing else."""
    import keras

    layers = keras.layers
    # Named without "batch" or "bn": whoever goes by the name finds none.
    inner = keras.Sequential([keras.Input((6, 6, 4)), layers.Conv2D(4, 3), layers.BatchNormalization(name="inside")])
    model = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(4, 3), layers.BatchNormalization(name="outside")])
    for layer in (inner, layers.Flatten(), layers.Dense(2)):
        model.add(layer)
    norms = {"outside": model.get_layer("outside"), "inside": inner.get_layer("inside")}
    returned = answers.run(answer, "freeze_batchnorm(model)", model)
    before = {variable.path: variable.numpy() for variable in model.weights}
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, run_eagerly=True)
    if not model.trainable_variables:
        return "Everything is frozen now, the convolutions too. Freeze the BatchNormalization layers alone."
    x = np.random.default_rng(0).normal(size=(8, 8, 8, 3)).astype("float32")
    model.fit(x, np.arange(8) % 2, verbose=0)

    def moved(variables: Any) -> bool:
        return any(not np.array_equal(before[variable.path], variable.numpy()) for variable in variables)

    statistics = {name: moved([norm.moving_mean, norm.moving_variance]) for name, norm in norms.items()}
    others = [v for v in model.weights if v.path.split("/")[-2] not in norms]
    if not all(moved([variable]) for variable in others):
        if any(statistics.values()):
            return "The wrong side: you froze other layers, and BatchNormalization trains on."
        return "Other layers are frozen, too. Freeze the BatchNormalization layers alone."
    if all(statistics.values()):
        if returned is None or returned is ...:
            return answers.NOT_SOLVED
        return "Nothing is frozen: after training, the statistics of both BatchNormalization layers have moved."
    if statistics["inside"]:
        return "The BatchNormalization layer of the nested model trains on. A layer of model.layers may be a model."
    if statistics["outside"]:
        return "The BatchNormalization layer inside the nested model is frozen, the one outside is not."
    if moved([variable for norm in norms.values() for variable in (norm.gamma, norm.beta)]):
        return "The statistics hold, but scale and shift still learn. Set trainable = False on the layers."
    if returned is None or returned is ...:
        return "Frozen as it should be. Now return how many layers you froze."
    if isinstance(returned, bool) or returned != 2:
        return f"Frozen as it should be, but the model has 2 BatchNormalization layers; you return {returned!r}."
    return None
