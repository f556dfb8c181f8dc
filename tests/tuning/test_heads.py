"""A linear head, and how it is trained, set back, asked and copied."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression

from tlutils import tuning
from tlutils.settings import UserError


def clusters(seed: int, n: int = 90) -> tuple[np.ndarray, np.ndarray]:
    """Three Gaussian clusters in 20 dimensions, hard enough that nobody gets all points right."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    centres = np.random.default_rng(7).normal(size=(3, 20))
    return (centres[labels] + 1.2 * rng.normal(size=(n, 20))).astype("float32"), labels


def called(model: keras.Model, inputs: np.ndarray) -> np.ndarray:
    return keras.ops.convert_to_numpy(model(inputs, training=False))


def standardised(head: keras.Model, inputs: np.ndarray) -> np.ndarray:
    """What the dense layer of a head sees. It starts at zero, so nothing else decides what it learns."""
    return called(keras.Model(head.inputs[0], head.layers[-1].input), inputs)


def cross_entropy(model: keras.Model, features: np.ndarray, labels: np.ndarray) -> float:
    return float(-log_softmax(called(model, features), axis=1)[np.arange(len(labels)), labels].mean())


def test_a_new_head_gives_every_class_the_same_probability():
    features, _ = clusters(0)
    np.testing.assert_array_equal(called(tuning.linear_head(features, 3), features), np.zeros((90, 3)))


def test_a_trained_head_is_about_as_good_as_logistic_regression_and_the_same_seed_trains_it_bit_for_bit():
    (features, labels), (test_features, test_labels) = clusters(0), clusters(1, n=600)
    heads = []
    for _ in range(2):
        keras.utils.set_random_seed(5)
        heads.append(tuning.train_head(features, labels, 3))
    reference = LogisticRegression(max_iter=1000).fit(features, labels).score(test_features, test_labels)
    assert np.mean(tuning.predict(heads[0], test_features) == test_labels) >= reference - 0.03
    np.testing.assert_array_equal(*(head.layers[-1].get_weights()[0] for head in heads))


@pytest.mark.parametrize("scale", [1e-12, 1e-4, 1e4])
def test_the_scale_of_the_features_does_not_matter(scale: float):
    features, other = clusters(0)[0], clusters(1)[0]
    plain = standardised(tuning.linear_head(features, 3), other)
    scaled = standardised(tuning.linear_head(features * np.float32(scale), 3), other * np.float32(scale))
    np.testing.assert_allclose(scaled, plain, rtol=1e-3, atol=1e-4)


def test_a_feature_silent_in_training_cannot_shout_later():
    features = clusters(0)[0]
    features[:, 0] = 0
    typical = features.std(axis=0).mean()
    head, loud = tuning.linear_head(features, 3), features.copy()
    loud[:, 0] = typical
    # It counts as if it had varied a tenth as much as the typical one; 20 features share the scale of 100.
    np.testing.assert_allclose(standardised(head, loud)[:, 0], 10 * np.sqrt(100 / 20), rtol=1e-3)


def test_maps_are_pooled_over_their_positions():
    maps = np.random.default_rng(0).normal(size=(12, 3, 3, 5)).astype("float32")
    pooled = maps.mean(axis=(1, 2))
    from_maps = standardised(tuning.linear_head(maps, 2), maps)
    np.testing.assert_allclose(from_maps, standardised(tuning.linear_head(pooled, 2), pooled), atol=1e-4)


@pytest.mark.parametrize(
    ("features", "n_classes", "words"),
    [
        (np.zeros((4, 3)), 1, "n_classes=1"),
        (np.full((4, 3), np.nan), 2, "NaN"),
        (np.zeros((4, 3, 2)), 2, "shape"),
        (np.zeros((0, 3)), 2, "shape"),
    ],
)
def test_unusable_activations_are_refused(features: np.ndarray, n_classes: int, words: str):
    with pytest.raises(UserError, match=words):
        tuning.linear_head(features, n_classes)


def test_training_lowers_the_cross_entropy_computed_by_hand():
    features, labels = clusters(0)
    head = tuning.linear_head(features, 3)
    assert cross_entropy(head, features, labels) == pytest.approx(np.log(3), rel=1e-5)
    history = tuning.train(head, features, labels, epochs=5, learning_rate=1e-2)
    assert cross_entropy(head, features, labels) < np.log(3)
    assert history.history["loss"][0] > history.history["loss"][-1]


def test_a_given_optimiser_takes_the_place_of_adam():
    features, labels = clusters(0)
    head = tuning.linear_head(features, 3)
    tuning.train(head, features, labels, epochs=1, optimizer=keras.optimizers.SGD(0.25), batch_size=90)
    # The first gradient of a softmax regression that starts at zero: every class has the share 1/3.
    gradient = standardised(head, features).astype(np.float64).T @ (1 / 3 - np.eye(3)[labels]) / 90
    np.testing.assert_allclose(head.layers[-1].get_weights()[0], -0.25 * gradient, atol=1e-6)


def test_a_schedule_may_stand_for_the_learning_rate():
    features, labels = clusters(0)
    head = tuning.linear_head(features, 3)
    warm_up = keras.optimizers.schedules.PolynomialDecay(0.0, 10, 0.01)
    seen = []
    watch = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: seen.append(head.layers[-1].get_weights()[0]))
    tuning.train(head, features, labels, epochs=2, learning_rate=warm_up, batch_size=90, callbacks=[watch])
    # The first step of a warm-up from 0 moves nothing.
    assert not seen[0].any() and seen[1].any()


@pytest.mark.parametrize("both", [True, False])
def test_training_wants_a_learning_rate_or_an_optimiser_not_both(both: bool):
    features, labels = clusters(0)
    given = {"learning_rate": 0.01, "optimizer": keras.optimizers.Adam(0.01)} if both else {}
    with pytest.raises(UserError, match="exactly one"):
        tuning.train(tuning.linear_head(features, 3), features, labels, epochs=1, **given)


def test_early_stopping_leaves_the_weights_of_the_best_epoch_on_validation():
    (features, labels), validation = clusters(0, n=15), clusters(1, n=60)
    model = tuning.linear_head(features, 3)
    stop = keras.callbacks.EarlyStopping("val_loss", patience=3, restore_best_weights=True)
    options = {"epochs": 60, "learning_rate": 0.1, "validation": validation}
    history = tuning.train(model, features, labels, callbacks=[stop], **options).history["val_loss"]
    assert len(history) < 60
    assert cross_entropy(model, *validation) == pytest.approx(min(history), rel=1e-4)
    assert history[-1] > min(history)


def test_a_callback_that_watches_a_missing_validation_is_refused():
    features, labels = clusters(0)
    stop = keras.callbacks.EarlyStopping("val_accuracy")
    with pytest.raises(UserError, match="EarlyStopping watches 'val_accuracy'"):
        tuning.train(tuning.linear_head(features, 3), features, labels, epochs=1, learning_rate=0.1, callbacks=[stop])


@pytest.mark.parametrize("optimiser", [keras.optimizers.Adam(0.03), keras.optimizers.SGD(0.03, momentum=0.9)])
def test_a_restarted_model_trains_as_it_did_the_first_time(optimiser: keras.optimizers.Optimizer):
    features, labels = clusters(0)
    model = keras.Sequential([keras.Input((20,)), keras.layers.Dense(3)])
    model.compile(optimiser, "mse", jit_compile=False)
    start, results = model.get_weights(), []
    for _ in range(2):
        tuning.restart(model, start)
        model.fit(features, np.eye(3)[labels], epochs=2, shuffle=False, verbose=0)
        results.append(model.get_weights())
    np.testing.assert_array_equal(results[0][0], results[1][0])
    assert not np.array_equal(results[0][0], start[0])
    assert float(model.optimizer.learning_rate) == pytest.approx(0.03)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="no other backend traces the step")
def test_the_training_step_of_a_restarted_model_is_traced_once():
    traced = []

    class Step(keras.Sequential):
        def train_step(self, data):
            traced.append(data)
            return super().train_step(data)

    features, labels = clusters(0)
    model = Step([keras.Input((20,)), keras.layers.Dense(3)])
    model.compile("adam", "mse", jit_compile=False)
    tuning.restart(model, model.get_weights())
    model.fit(features, np.eye(3)[labels], epochs=2, verbose=0)
    assert len(traced) == 1


def test_the_class_of_the_largest_score_is_predicted_also_in_several_batches():
    features, _ = clusters(0)
    model = keras.Sequential([keras.Input((20,)), keras.layers.Dense(3)])
    expected = called(model, features).argmax(axis=1)
    assert len(set(expected)) > 1
    np.testing.assert_array_equal(tuning.predict(model, features, batch_size=40), expected)


def test_a_copy_shares_nothing(tail: keras.Model):
    twin = tuning.copy(tail)
    twin.get_layer("convolution").set_weights([np.zeros((3, 3, 3, 6)), np.zeros(6)])
    assert np.abs(tail.get_layer("convolution").get_weights()[0]).max() > 0
