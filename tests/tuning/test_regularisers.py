"""Penalties that pull a kernel to zero or to where it started."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from tlutils import tuning
from tlutils.settings import UserError
from tlutils.tuning import regularisers

RATE = 0.125


def network() -> keras.Sequential:
    """A convolution, a depthwise convolution, BatchNormalization and a dense layer, all with random weights."""
    keras.utils.set_random_seed(3)
    return keras.Sequential(
        [
            keras.Input((5, 5, 2)),
            keras.layers.Conv2D(3, 3, name="convolution"),
            keras.layers.DepthwiseConv2D(2, name="depthwise"),
            keras.layers.BatchNormalization(name="normalisation"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(2, name="classes"),
        ]
    )


def name_of(variable: keras.Variable) -> str:
    return "/".join(variable.path.split("/")[-2:])


def values(model: keras.Model) -> dict[str, np.ndarray]:
    return {name_of(variable): np.array(variable.numpy()) for variable in model.trainable_variables}


def penalties(model: keras.Model) -> list[float]:
    return [float(keras.ops.convert_to_numpy(loss)) for loss in model.losses]


def gradient_of_the_penalty(model: keras.Model) -> dict[str, np.ndarray]:
    """One step of plain gradient descent on a loss that is the penalty alone, divided by minus the learning rate."""
    inputs = np.random.default_rng(0).normal(size=(4, 5, 5, 2)).astype("float32")
    model.compile(keras.optimizers.SGD(RATE), lambda _, scores: 0 * keras.ops.sum(scores), jit_compile=False)
    before = values(model)
    model.fit(inputs, np.zeros((4, 2)), batch_size=4, epochs=1, verbose=0)
    return {name: (before[name] - new) / RATE for name, new in values(model).items()}


def moved_away(model: keras.Model) -> dict[str, np.ndarray]:
    """Move every weight from its start; return how far."""
    rng = np.random.default_rng(1)
    steps = {name: rng.normal(size=value.shape) for name, value in values(model).items()}
    for variable in model.trainable_variables:
        variable.assign(variable.numpy() + steps[name_of(variable)])
    return steps


def test_the_gradient_holds_alpha_times_the_way_from_the_start_for_every_kernel_and_nothing_else():
    model = network()
    assert regularisers.l2_sp(model, 0.5) == 3
    steps = moved_away(model)
    for name, gradient in gradient_of_the_penalty(model).items():
        expected = 0.5 * steps[name] if name.endswith("kernel") else np.zeros_like(gradient)
        np.testing.assert_allclose(gradient, expected, atol=1e-5, err_msg=name)


def test_at_its_start_a_model_pays_nothing():
    model = network()
    regularisers.l2_sp(model, 2.0)
    assert penalties(model) == [0, 0, 0]


def test_plain_l2_pulls_to_zero_with_beta_times_the_kernel():
    model = network()
    assert regularisers.l2(model, 0.5) == 3
    before = values(model)
    for name, gradient in gradient_of_the_penalty(model).items():
        expected = 0.5 * before[name] if name.endswith("kernel") else np.zeros_like(gradient)
        np.testing.assert_allclose(gradient, expected, atol=1e-5, err_msg=name)


def test_the_penalty_is_half_alpha_times_the_squared_distance():
    model = network()
    regularisers.l2_sp(model, 0.5)
    steps = moved_away(model)
    distance = sum(float(np.sum(step**2)) for name, step in steps.items() if name.endswith("kernel"))
    assert sum(penalties(model)) == pytest.approx(0.25 * distance, rel=1e-5)


def test_a_second_penalty_replaces_the_first_and_starts_from_the_present_weights():
    model = network()
    regularisers.l2_sp(model, 3.0)
    moved_away(model)
    regularisers.l2_sp(model, 1.0)
    assert penalties(model) == [0, 0, 0]


def test_frozen_layers_pay_nothing():
    model = network()
    regularisers.l2(model, 1.0)
    model.get_layer("convolution").trainable = False
    assert len(model.losses) == 2


def test_a_copy_is_pulled_to_the_same_start():
    model = network()
    regularisers.l2_sp(model, 0.5)
    steps = moved_away(model)
    gradient = gradient_of_the_penalty(tuning.copy(model))
    np.testing.assert_allclose(gradient["convolution/kernel"], 0.5 * steps["convolution/kernel"], atol=1e-5)


def test_a_saved_model_loads_without_the_penalty_and_predicts_the_same(tmp_path):
    model = network()
    regularisers.l2_sp(model, 0.5)
    moved_away(model)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.losses == []
    inputs = np.ones((2, 5, 5, 2), dtype="float32")
    before, after = (keras.ops.convert_to_numpy(saved(inputs, training=False)) for saved in (model, loaded))
    np.testing.assert_array_equal(before, after)


def test_a_stronger_pull_keeps_a_fine_tuned_tail_nearer_to_its_start():
    rng = np.random.default_rng(0)
    maps, labels = rng.normal(size=(24, 6, 6, 2)).astype("float32"), np.arange(24) % 2
    inputs = keras.Input((6, 6, 2))
    keras.utils.set_random_seed(0)
    tail = keras.Model(inputs, keras.layers.Conv2D(4, 3, name="convolution")(inputs))
    start = tail.get_weights()[0]
    head = tuning.linear_head(keras.ops.convert_to_numpy(tail(maps)), 2)
    distances = []
    for alpha in (0.0, 10.0):
        keras.utils.set_random_seed(0)
        model = tuning.trainable_copy(tail, head)
        regularisers.l2_sp(model.layers[0], alpha)
        regularisers.l2(model.layers[1], 0.01)
        tuning.train(model, maps, labels, epochs=5, optimizer=keras.optimizers.SGD(0.05))
        distances.append(float(np.sum((model.layers[0].get_layer("convolution").get_weights()[0] - start) ** 2)))
    assert distances[0] > 2 * distances[1]


@pytest.mark.parametrize(("penalty", "word"), [(regularisers.l2_sp, "alpha"), (regularisers.l2, "beta")])
@pytest.mark.parametrize("strength", [-1.0, float("nan"), float("inf")])
def test_an_impossible_strength_is_refused(penalty, word, strength):
    with pytest.raises(UserError, match=word):
        penalty(network(), strength)


def test_a_model_without_kernels_is_refused():
    empty = keras.Sequential([keras.Input((3,)), keras.layers.ReLU()], name="empty")
    with pytest.raises(UserError, match="empty"):
        regularisers.l2_sp(empty, 1.0)
