"""Small tails that the tests of this room share."""

from __future__ import annotations

import keras
import pytest


@pytest.fixture
def tail() -> keras.Model:
    inputs = keras.Input((4, 4, 3))
    x = keras.layers.Conv2D(6, 3, padding="same", name="convolution")(inputs)
    x = keras.layers.BatchNormalization(name="normalisation")(x)
    return keras.Model(inputs, keras.layers.ReLU()(x))


@pytest.fixture
def three_blocks() -> keras.Model:
    inputs = x = keras.Input((8, 8, 3))
    for block in (1, 2, 3):
        x = keras.layers.Conv2D(4, 3, padding="same", name=f"block{block}_conv")(x)
        x = keras.layers.BatchNormalization(name=f"block{block}_bn")(x)
        x = keras.layers.MaxPooling2D(name=f"block{block}_pool")(x)
    return keras.Model(inputs, x)
