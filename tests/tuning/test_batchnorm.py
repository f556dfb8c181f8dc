"""Batch normalisation is held, watched and adapted."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from tlutils import tuning
from tlutils.settings import UserError


def pixels(n: int, shift: float) -> np.ndarray:
    return (np.random.default_rng(5).normal(size=(n, 4, 4, 3)) * 3 + shift).astype("float32")


def test_freeze_batchnorm_finds_layers_inside_nested_models_and_counts_them(tail: keras.Model):
    nested = keras.Sequential([keras.Input((4, 4, 3)), tail, keras.layers.BatchNormalization()])
    assert tuning.freeze_batchnorm(nested) == 2
    assert {variable.path.split("/")[-2] for variable in nested.trainable_variables} == {"convolution"}


def test_moved_batchnorm_counts_the_layers_whose_statistics_differ_and_only_those(tail: keras.Model):
    before = keras.Sequential([keras.Input((4, 4, 3)), tail, keras.layers.BatchNormalization()])
    after = tuning.copy(before)
    assert tuning.moved_batchnorm(before, after) == (0, 2)
    outer, inner = after.layers[1], after.layers[0].get_layer("normalisation")
    inner.gamma.assign(inner.gamma + 1)
    assert tuning.moved_batchnorm(before, after) == (0, 2)
    inner.moving_variance.assign(inner.moving_variance + 1e-6)
    assert tuning.moved_batchnorm(before, after) == (1, 2)
    outer.moving_mean.assign(outer.moving_mean + 1e-6)
    assert tuning.moved_batchnorm(before, after) == (2, 2)


def test_moved_batchnorm_finds_each_layer_again_when_the_network_is_nested(three_blocks: keras.Model):
    for number, layer in enumerate(layer for layer in three_blocks.layers if "bn" in layer.name):
        layer.moving_mean.assign(layer.moving_mean + number)
    nested = keras.Sequential([keras.Input((8, 8, 3)), tuning.copy(three_blocks), keras.layers.Flatten()])
    assert tuning.moved_batchnorm(three_blocks, nested) == (0, 3)


def test_models_with_different_batchnorm_layers_cannot_be_compared(tail: keras.Model):
    with pytest.raises(UserError, match="1 BatchNormalization layers before, 0 after.*: normalisation"):
        tuning.moved_batchnorm(tail, keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]))


@pytest.mark.parametrize("frozen", [False, True])
def test_training_moves_batchnorm_unless_it_is_frozen(tail: keras.Model, frozen: bool):
    model = keras.Sequential([tuning.copy(tail), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2)])
    if frozen:
        tuning.freeze_batchnorm(model)
    tuning.train(model, pixels(16, 3.0), np.arange(16) % 2, epochs=1, learning_rate=1e-3)
    assert tuning.moved_batchnorm(tail, model) == (0 if frozen else 1, 1)


def test_adapted_batchnorm_has_the_mean_and_variance_of_the_new_inputs_and_the_model_keeps_its_own(tail: keras.Model):
    before, inputs = tail.get_weights(), pixels(60, 5.0)
    adapted = tuning.adapt_batchnorm(tail, inputs)
    kernel, bias = tail.get_layer("convolution").get_weights()
    convolved = keras.ops.convert_to_numpy(keras.ops.conv(inputs, kernel, padding="same")) + bias
    layer = adapted.get_layer("normalisation")
    moving = [keras.ops.convert_to_numpy(value) for value in (layer.moving_mean, layer.moving_variance)]
    np.testing.assert_allclose(moving[0], convolved.mean(axis=(0, 1, 2)), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(moving[1], convolved.var(axis=(0, 1, 2)), rtol=1e-3)
    for old, new in zip(before, tail.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_batches_of_different_sizes_count_by_their_size(tail: keras.Model):
    inputs = pixels(50, 1.0)
    means = [
        keras.ops.convert_to_numpy(tuning.adapt_batchnorm(tail, inputs, **how).get_layer("normalisation").moving_mean)
        for how in ({}, {"batch_size": 40})
    ]
    np.testing.assert_allclose(means[1], means[0], rtol=1e-4, atol=1e-5)


def test_adapting_moves_nothing_but_statistics_also_where_the_layers_are_frozen(tail: keras.Model):
    tuning.freeze_batchnorm(tail)
    adapted = tuning.adapt_batchnorm(tail, pixels(30, 2.0))
    assert tuning.moved_batchnorm(tail, adapted) == (1, 1)
    for old, new in zip(tail.trainable_weights, adapted.trainable_weights, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(old), keras.ops.convert_to_numpy(new))
    layer = adapted.get_layer("normalisation")
    assert not layer.trainable and layer.momentum == tail.get_layer("normalisation").momentum


def test_adapting_needs_a_batchnorm_layer_and_two_inputs(tail: keras.Model):
    with pytest.raises(UserError, match="no BatchNormalization layer.*efficientnet_lite0"):
        tuning.adapt_batchnorm(keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]), np.zeros((4, 3)))
    with pytest.raises(UserError, match="1 inputs"):
        tuning.adapt_batchnorm(tail, pixels(1, 0.0))
