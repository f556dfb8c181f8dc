"""Grad-CAM, against gradients worked out by hand."""

from __future__ import annotations

import keras
import numpy as np

from tlutils.evaluation import grad_cam


def linear_classifier(channels: int, classes: int) -> tuple[keras.Model, np.ndarray]:
    model = keras.Sequential(
        [keras.Input((3, 4, channels)), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(classes)]
    )
    return model, model.layers[-1].get_weights()[0]


def test_the_gradient_of_a_pooled_linear_classifier_is_its_weight_over_the_number_of_positions():
    model, weights = linear_classifier(5, 2)
    maps = np.random.default_rng(0).normal(size=(6, 3, 4, 5)).astype("float32")
    classes = np.array([0, 1, 1, 0, 1, 0])
    expected = np.broadcast_to(weights.T[classes][:, None, None, :] / 12, maps.shape)
    np.testing.assert_allclose(grad_cam.score_gradients(model, maps, classes), expected, rtol=1e-3, atol=1e-5)


def test_the_gradient_through_a_convolution_equals_finite_differences():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((3, 4, 2)),
            keras.layers.Conv2D(3, 2, activation="tanh"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(2),
        ]
    )
    maps = np.random.default_rng(1).normal(size=(2, 3, 4, 2)).astype("float32")
    classes = np.array([1, 0])
    found = grad_cam.score_gradients(model, maps, classes)
    steps = 1e-2 * np.eye(24, dtype="float32").reshape(24, 1, 3, 4, 2)
    up, down = (keras.ops.convert_to_numpy(model(np.concatenate(maps + sign * steps))) for sign in (1, -1))
    differences = ((up - down) / 2e-2).reshape(24, 2, 2)[:, np.arange(2), classes]
    np.testing.assert_allclose(found, differences.T.reshape(maps.shape), atol=2e-3)


def test_the_map_is_the_positive_part_of_the_weighted_sum_scaled_to_one():
    model, weights = linear_classifier(5, 2)
    maps = np.random.default_rng(0).normal(size=(4, 3, 4, 5)).astype("float32")
    heat = grad_cam.grad_cam(model, maps, np.array([1, 1, 0, 0]))
    by_hand = np.maximum(np.einsum("nhwc,nc->nhw", maps, weights.T[[1, 1, 0, 0]]), 0)
    np.testing.assert_allclose(heat, by_hand / by_hand.max(axis=(1, 2), keepdims=True), rtol=1e-2, atol=1e-3)


def test_a_map_without_positive_evidence_is_dark_not_broken():
    model, _ = linear_classifier(5, 2)
    model.layers[-1].set_weights([np.ones((5, 2)), np.zeros(2)])
    heat = grad_cam.grad_cam(model, -np.ones((2, 3, 4, 5), dtype="float32"), np.array([0, 1]))
    np.testing.assert_array_equal(heat, np.zeros((2, 3, 4)))


def test_explaining_leaves_the_classifier_as_it_was():
    model, weights = linear_classifier(5, 2)
    grad_cam.grad_cam(model, np.ones((2, 3, 4, 5), dtype="float32"), np.array([0, 1]))
    assert model.trainable
    np.testing.assert_array_equal(model.layers[-1].get_weights()[0], weights)


def test_enlarged_maps_keep_their_bright_corner():
    small = np.zeros((1, 4, 4), dtype="float32")
    small[0, 0, 3] = 1
    large = grad_cam.enlarge(small, 64)
    row, column = np.unravel_index(large[0].argmax(), (64, 64))
    assert large.shape == (1, 64, 64)
    assert row < 16
    assert column >= 48


def test_the_pointing_game_asks_for_the_brightest_point_only():
    maps = np.array([[[0.1, 0.9], [0.8, 0.0]], [[0.7, 0.6], [0.5, 0.4]]], dtype="float32")
    masks = np.array([[[False, True], [False, False]], [[False, True], [True, True]]])
    assert grad_cam.pointing_game(maps, masks).tolist() == [True, False]


def test_the_pointing_game_is_played_on_masks_finer_than_the_maps():
    maps = np.zeros((2, 4, 4), dtype="float32")
    maps[0, 3, 0] = maps[1, 0, 3] = 1
    masks = np.zeros((2, 64, 64), dtype=bool)
    masks[:, 32:, :32] = True
    assert grad_cam.pointing_game(maps, masks).tolist() == [True, False]
