"""The range test, and learning rates by layer."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlutils import tuning
from tlutils.settings import UserError
from tlutils.tuning import learning_rates, regularisers
from tlutils.tuning.learning_rates import LayerwiseAdam

RATE, FACTORS = 0.01, {"lower": 0.25, "upper": 1.0, "still": 0.0}


def clusters(n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = np.arange(n) % 3
    return (np.eye(3)[labels].repeat(3, axis=1) * 2 + rng.normal(size=(n, 9))).astype("float32"), labels


def two_layers() -> keras.Sequential:
    keras.utils.set_random_seed(1)
    hidden = keras.layers.Dense(8, "tanh", name="lower")
    return keras.Sequential([keras.Input((9,)), hidden, keras.layers.Dense(3, name="upper")])


def adam(gradients: list[np.ndarray], start: np.ndarray, factor: float) -> np.ndarray:
    """Adam from algorithm 1 of Kingma & Ba 2015, its epsilon placed as in Keras; every change times `factor`."""
    value, m, v = start.copy(), np.zeros_like(start), np.zeros_like(start)
    for step, gradient in enumerate(gradients, start=1):
        m = 0.9 * m + 0.1 * gradient
        v = 0.999 * v + 0.001 * gradient**2
        rate = RATE * np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
        value = value - factor * rate * m / (np.sqrt(v) + 1e-7)
    return value


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="JAX computes in float32 unless told at its start")
def test_every_step_is_the_factor_times_the_step_of_adam():
    rng = np.random.default_rng(0)
    starts = {name: rng.normal(size=(3, 2)) for name in FACTORS}
    gradients = [{name: rng.normal(size=(3, 2)) for name in FACTORS} for _ in range(6)]
    variables = [keras.Variable(start, dtype="float64", name=name) for name, start in starts.items()]
    layerwise = LayerwiseAdam(RATE, factors=FACTORS)
    for step, by_name in enumerate(gradients, start=1):
        given = [keras.ops.convert_to_tensor(gradient, dtype="float64") for gradient in by_name.values()]
        layerwise.apply(given, variables)
        for name, variable in zip(FACTORS, variables, strict=True):
            moved = keras.ops.convert_to_numpy(variable) - starts[name]
            expected = adam([earlier[name] for earlier in gradients[:step]], starts[name], FACTORS[name]) - starts[name]
            # Keras keeps its constants in float32.
            np.testing.assert_allclose(moved, expected, rtol=1e-4, atol=1e-9, err_msg=name)


def test_with_factors_of_one_it_is_the_plain_optimiser_bit_for_bit():
    inputs, labels = clusters()
    trained = []
    for optimiser in (keras.optimizers.Adam(0.01), LayerwiseAdam(0.01, factors={"lower": 1, "upper": 1})):
        model = two_layers()
        tuning.train(model, inputs, labels, epochs=1, optimizer=optimiser)
        trained.append(model.get_weights())
    for first, second in zip(*trained, strict=True):
        if keras.backend.backend() == "torch":  # There, Keras' own Adam updates all variables in one fused operation.
            np.testing.assert_allclose(first, second, atol=1e-6)
        else:
            np.testing.assert_array_equal(first, second)


def test_the_factor_of_the_innermost_named_layer_counts_also_in_nested_models():
    hidden = keras.layers.Dense(8, "tanh", name="lower")
    inner = keras.Sequential([keras.Input((9,)), hidden, keras.layers.Dense(3, name="upper")], name="tail")
    assert inner.trainable_variables[0].path == "tail/lower/kernel"
    model = keras.Sequential([keras.Input((9,)), inner, keras.layers.Dense(3, name="classes")])
    before = [np.array(value) for value in model.get_weights()]
    optimiser = LayerwiseAdam(0.01, factors={"tail": 0.5, "lower": 0, "classes": 1})
    model.compile(optimiser, keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=False)
    inputs, labels = clusters()
    model.fit(inputs, labels, batch_size=60, epochs=1, verbose=0)
    moved = [np.abs(new - old).max() for new, old in zip(model.get_weights(), before, strict=True)]
    # Adam's first step is the learning rate itself wherever there is a gradient.
    assert moved == pytest.approx([0, 0, 0.005, 0.005, 0.01, 0.01], rel=1e-2)


def test_a_trained_layer_without_a_factor_is_named():
    with pytest.raises(UserError, match="upper/kernel.*lower, uper"):
        optimiser = LayerwiseAdam(0.01, factors={"lower": 0.1, "uper": 1})
        tuning.train(two_layers(), *clusters(), epochs=1, optimizer=optimiser)


@pytest.mark.parametrize("factor", [-0.1, float("nan"), float("inf")])
def test_an_impossible_factor_is_named(factor):
    with pytest.raises(UserError, match="lower"):
        LayerwiseAdam(0.01, factors={"lower": factor})


def test_the_module_has_no_other_attributes_by_magic():
    with pytest.raises(AttributeError, match="LayerwiseAdm"):
        _ = learning_rates.LayerwiseAdm


@given(st.lists(st.integers(1, 3), min_size=1, max_size=5), st.floats(0.01, 1))
def test_each_block_below_the_top_learns_by_one_more_factor_of_decay(sizes, decay):
    blocks = [[f"layer{block}_{number}" for number in range(size)] for block, size in enumerate(sizes)]
    factors = learning_rates.layerwise_factors(blocks, decay)
    assert len(factors) == sum(sizes)
    assert all(factors[name] == 1 for name in blocks[-1])
    for lower, upper in zip(blocks, blocks[1:], strict=False):
        for name in lower:
            assert factors[name] == pytest.approx(decay * factors[upper[0]])


@pytest.mark.parametrize("decay", [0, -1, 1.5, float("nan")])
def test_an_impossible_decay_is_refused(decay):
    with pytest.raises(UserError, match="decay"):
        learning_rates.layerwise_factors([["lower"]], decay)


def test_the_range_test_repeats_plain_training_steps_with_growing_rates():
    """Against gradient descent on a softmax regression, its gradient derived by hand."""
    inputs, labels = clusters(12)
    model = keras.Sequential([keras.Input((9,)), keras.layers.Dense(3, kernel_initializer="zeros")])
    found = learning_rates.learning_rate_range_test(
        model, inputs, labels, lowest=1e-3, highest=0.1, steps=11, batch_size=12, optimizer=keras.optimizers.SGD()
    )
    kernel, bias = np.zeros((9, 3)), np.zeros(3)
    for step, (rate, loss) in enumerate(zip(found.rates, found.losses, strict=True)):
        scores = np.exp(inputs @ kernel + bias)
        shares = scores / scores.sum(axis=1, keepdims=True)
        assert rate == pytest.approx(10 ** (-3 + 0.2 * step))
        assert loss == pytest.approx(-np.log(shares[np.arange(12), labels]).mean(), rel=1e-4)
        residual = (shares - np.eye(3)[labels]) / 12
        kernel, bias = kernel - rate * inputs.T @ residual, bias - rate * residual.sum(axis=0)
    assert len(found.rates) == 11


@pytest.mark.parametrize("compiled", [True, False])
def test_the_range_test_leaves_the_model_and_the_optimiser_as_they_were(compiled):
    inputs, labels = clusters()
    model = two_layers()
    optimiser = keras.optimizers.Adam(0.01)
    if compiled:
        tuning.train(model, inputs, labels, epochs=1, optimizer=optimiser)
    state = [np.array(value.numpy()) for value in (*model.variables, *optimiser.variables)]
    learning_rates.learning_rate_range_test(model, inputs, labels, steps=10, optimizer=optimiser)
    for old, new in zip(state, (*model.variables, *optimiser.variables), strict=True):
        np.testing.assert_array_equal(old, new.numpy())
    assert model.compiled == compiled
    if compiled:
        assert model.optimizer is optimiser


def test_the_range_test_stops_where_the_loss_diverges():
    inputs, labels = clusters()
    found = learning_rates.learning_rate_range_test(
        two_layers(), inputs * 50, labels, lowest=1e-4, highest=1e6, optimizer=keras.optimizers.SGD()
    )
    assert 10 <= len(found.rates) < 100
    assert np.isfinite(found.losses).all()
    assert found.losses.max() <= 4 * max(np.log(3), found.losses[0])
    assert found.diverged == pytest.approx(np.geomspace(1e-4, 1e6, 100)[len(found.rates)])


@pytest.fixture(scope="module")
def found() -> learning_rates.RangeTest:
    """A range test of 100 steps."""
    return learning_rates.learning_rate_range_test(two_layers(), *clusters(), highest=10.0)


@pytest.fixture(scope="module")
def short() -> learning_rates.RangeTest:
    return learning_rates.learning_rate_range_test(two_layers(), *clusters(), steps=10)


def test_the_same_seed_gives_the_same_range_test_and_another_seed_another_order(short):
    again, other = (
        learning_rates.learning_rate_range_test(two_layers(), *clusters(), steps=10, seed=seed) for seed in (0, 1)
    )
    np.testing.assert_array_equal(short.losses, again.losses)
    assert not np.array_equal(short.losses, other.losses)


def test_a_range_test_that_reaches_the_highest_rate_did_not_diverge(found):
    assert len(found.rates) == 100 and found.rates[-1] == pytest.approx(10) and found.diverged is None


def test_the_suggestion_is_a_tenth_of_the_rate_with_the_lowest_smoothed_loss_and_trains_well(found):
    assert found.suggestion == pytest.approx(found.rates[np.argmin(found.smoothed)] / 10)
    assert found.smoothed.std() < found.losses.std()
    history = tuning.train(two_layers(), *clusters(), epochs=20, learning_rate=found.suggestion)
    assert history.history["loss"][-1] < 0.5 * np.log(3)


def test_the_smoothed_loss_is_the_gaussian_mean_over_a_share_of_the_range_or_over_a_step_at_least(found, short):
    for test, deviation in ((found, 4.0), (short, 1.0)):
        middle, reach = len(test.losses) // 2, round(4 * deviation)
        weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2)
        expected = (weights / weights.sum()) @ test.losses[middle - reach : middle + reach + 1]
        assert test.smoothed[middle] == pytest.approx(expected)


def test_the_range_test_counts_the_penalty_and_takes_layerwise_rates(found):
    model = two_layers()
    regularisers.l2(model, 1.0)
    size = sum(float(np.sum(layer.get_weights()[0] ** 2)) for layer in model.layers)
    optimiser = LayerwiseAdam(0.01, factors={"lower": 0.1, "upper": 1})
    penalised = learning_rates.learning_rate_range_test(model, *clusters(), steps=10, optimizer=optimiser)
    # Before the first update both have seen the same batch.
    assert penalised.losses[0] - found.losses[0] == pytest.approx(0.5 * size, rel=1e-3)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"lowest": 0}, "lowest"),
        ({"lowest": 1.0, "highest": 0.1}, "lowest"),
        ({"highest": float("inf")}, "highest"),
        ({"steps": 5}, "steps=5"),
        ({"lowest": 1e5, "highest": 1e6}, "diverged"),
    ],
)
def test_a_range_that_shows_nothing_is_refused(arguments, word):
    inputs, labels = clusters()
    with pytest.raises(UserError, match=word):
        learning_rates.learning_rate_range_test(
            two_layers(), inputs, labels, optimizer=keras.optimizers.SGD(), **arguments
        )


def test_a_range_test_without_pictures_is_refused():
    with pytest.raises(UserError, match="no pictures"):
        learning_rates.learning_rate_range_test(two_layers(), np.zeros((0, 9)), np.zeros(0, dtype=int))
