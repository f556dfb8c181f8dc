"""Training behind the cut."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression

from tlutils import tuning
from tlutils.settings import UserError


def clusters(seed: int, n: int = 90, width: int = 20, scale: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Three Gaussian clusters, hard enough that nobody gets all points right."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    centres = np.random.default_rng(7).normal(size=(3, width))
    return ((centres[labels] + 1.2 * rng.normal(size=(n, width))) * scale).astype("float32"), labels


def accuracy(model: keras.Model, features: np.ndarray, labels: np.ndarray) -> float:
    return float(np.mean(model.predict(features, verbose=0).argmax(axis=1) == labels))


def tail_with_batchnorm() -> keras.Model:
    inputs = keras.Input((4, 4, 3))
    x = keras.layers.Conv2D(6, 3, padding="same", name="convolution")(inputs)
    x = keras.layers.BatchNormalization(name="normalisation")(x)
    return keras.Model(inputs, keras.layers.ReLU()(x))


def test_a_new_head_gives_every_class_the_same_probability():
    features, _ = clusters(0)
    logits = tuning.linear_head(features, 3).predict(features, verbose=0)
    np.testing.assert_array_equal(logits, np.zeros((90, 3)))


def test_a_trained_head_is_about_as_good_as_logistic_regression():
    (features, labels), (test_features, test_labels) = clusters(0), clusters(1, n=600)
    head = tuning.train_head(features, labels, 3)
    reference = LogisticRegression(max_iter=1000).fit(features, labels).score(test_features, test_labels)
    assert accuracy(head, test_features, test_labels) >= reference - 0.03


@pytest.mark.parametrize("scale", [1e-12, 1e-4, 1e4])
def test_the_scale_of_the_features_does_not_matter(scale):
    keras.utils.set_random_seed(0)
    plain = tuning.train_head(*clusters(0), 3).predict(clusters(1)[0], verbose=0)
    keras.utils.set_random_seed(0)
    scaled = tuning.train_head(*clusters(0, scale=scale), 3).predict(clusters(1, scale=scale)[0], verbose=0)
    np.testing.assert_allclose(scaled, plain, rtol=1e-2, atol=1e-3)


def test_a_feature_silent_in_training_cannot_shout_later():
    features, labels = clusters(0)
    features[:, 0] = 0
    head = tuning.train_head(features, labels, 3)
    loud = clusters(1)[0]
    loud[:, 0] = 1
    assert np.abs(head.predict(loud, verbose=0)).max() < 50


def test_maps_are_pooled_over_their_positions():
    maps = np.random.default_rng(0).normal(size=(12, 3, 3, 5)).astype("float32")
    labels = np.arange(12) % 2
    keras.utils.set_random_seed(0)
    from_maps = tuning.train_head(maps, labels, 2).predict(maps, verbose=0)
    keras.utils.set_random_seed(0)
    pooled = maps.mean(axis=(1, 2))
    np.testing.assert_allclose(from_maps, tuning.train_head(pooled, labels, 2).predict(pooled, verbose=0), atol=1e-4)


@pytest.mark.parametrize(
    ("features", "n_classes", "words"),
    [
        (np.zeros((4, 3)), 1, "n_classes=1"),
        (np.full((4, 3), np.nan), 2, "NaN"),
        (np.zeros((4, 3, 2)), 2, "shape"),
        (np.zeros((0, 3)), 2, "shape"),
    ],
)
def test_unusable_activations_are_refused(features, n_classes, words):
    with pytest.raises(UserError, match=words):
        tuning.linear_head(features, n_classes)


def test_training_lowers_the_cross_entropy_computed_by_hand():
    features, labels = clusters(0)
    head = tuning.linear_head(features, 3)

    def cross_entropy() -> float:
        return float(-log_softmax(head.predict(features, verbose=0), axis=1)[np.arange(90), labels].mean())

    assert cross_entropy() == pytest.approx(np.log(3), rel=1e-5)
    history = tuning.train(head, features, labels, epochs=5, learning_rate=1e-2)
    assert cross_entropy() < np.log(3)
    assert history.history["loss"][0] > history.history["loss"][-1]


def test_fine_tuning_changes_copies_and_leaves_the_originals_alone():
    maps = np.random.default_rng(0).normal(size=(16, 4, 4, 3)).astype("float32")
    labels = np.arange(16) % 2
    tail = tail_with_batchnorm()
    head = tuning.train_head(tail.predict(maps, verbose=0), labels, 2)
    before = [np.array(value) for value in tail.get_weights() + head.get_weights()]
    tuned = tuning.fine_tune(tail, head, maps, labels, epochs=2, learning_rate=1e-3)
    for old, new in zip(before, tail.get_weights() + head.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    moved = np.abs(tuned.layers[0].get_layer("convolution").get_weights()[0] - before[0]).max()
    assert moved > 0


def test_a_tail_cut_from_a_frozen_base_is_fine_tuned_all_the_same():
    from tlutils.cut import cut

    inputs = keras.Input((4, 4, 3))
    x = keras.layers.Conv2D(3, 1, name="trunk")(inputs)
    base = keras.Model(inputs, keras.layers.Conv2D(6, 3, padding="same", name="top")(x))
    base.trainable = False
    _, tail = cut(base, "trunk")
    maps = np.random.default_rng(0).normal(size=(16, 4, 4, 3)).astype("float32")
    labels = np.arange(16) % 2
    head = tuning.train_head(tail.predict(maps, verbose=0), labels, 2)
    tuned = tuning.fine_tune(tail, head, maps, labels, epochs=2, learning_rate=1e-3)
    moved = tuned.layers[0].get_layer("top").get_weights()[0] - tail.get_layer("top").get_weights()[0]
    assert np.abs(moved).max() > 0


def test_fine_tuning_holds_every_batchnorm_layer_still():
    maps = np.random.default_rng(0).normal(3, 2, size=(16, 4, 4, 3)).astype("float32")
    labels = np.arange(16) % 2
    tail = tail_with_batchnorm()
    head = tuning.train_head(tail.predict(maps, verbose=0), labels, 2)
    tuned = tuning.fine_tune(tail, head, maps, labels, epochs=2, learning_rate=1e-2)
    for old, new in zip(
        tail.get_layer("normalisation").get_weights(),
        tuned.layers[0].get_layer("normalisation").get_weights(),
        strict=True,
    ):
        np.testing.assert_array_equal(old, new)


def test_freeze_batchnorm_finds_layers_inside_nested_models_and_counts_them():
    nested = keras.Sequential([keras.Input((4, 4, 3)), tail_with_batchnorm(), keras.layers.BatchNormalization()])
    assert tuning.freeze_batchnorm(nested) == 2
    assert {variable.path.split("/")[-2] for variable in nested.trainable_variables} == {"convolution"}


def test_the_same_seed_trains_the_same_weights_bit_for_bit():
    trained = []
    for _ in range(2):
        keras.utils.set_random_seed(5)
        trained.append(tuning.train_head(*clusters(0), 3, epochs=3).get_weights())
    for first, second in zip(*trained, strict=True):
        np.testing.assert_array_equal(first, second)


def test_a_copy_shares_nothing():
    original = tail_with_batchnorm()
    twin = tuning.copy(original)
    twin.get_layer("convolution").set_weights([np.zeros((3, 3, 3, 6)), np.zeros(6)])
    assert np.abs(original.get_layer("convolution").get_weights()[0]).max() > 0


@pytest.mark.parametrize("optimiser", [keras.optimizers.Adam, keras.optimizers.SGD])
def test_a_restarted_model_trains_as_it_did_the_first_time(optimiser):
    features, labels = clusters(0)
    model = keras.Sequential([keras.Input((20,)), keras.layers.Dense(3)])
    model.compile(optimiser(0.03, **({"momentum": 0.9} if optimiser is keras.optimizers.SGD else {})), "mse")
    start, results = model.get_weights(), []
    for _ in range(2):
        tuning.restart(model, start)
        model.fit(features, np.eye(3)[labels], epochs=2, shuffle=False, verbose=0)
        results.append(model.get_weights())
    np.testing.assert_array_equal(results[0][0], results[1][0])
    assert not np.array_equal(results[0][0], start[0])
    assert float(model.optimizer.learning_rate) == pytest.approx(0.03)
