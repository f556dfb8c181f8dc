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


def test_fine_tuning_is_adam_on_tail_and_head_with_batch_normalisation_frozen():
    maps = np.random.default_rng(0).normal(size=(40, 4, 4, 3)).astype("float32")
    labels = np.arange(40) % 2
    tail = tail_with_batchnorm()
    head = tuning.train_head(tail.predict(maps, verbose=0), labels, 2)
    plain = keras.Sequential([keras.Input(maps.shape[1:]), tuning.copy(tail), tuning.copy(head)])
    plain.layers[0].get_layer("normalisation").trainable = False
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    plain.compile(keras.optimizers.Adam(1e-2), loss, jit_compile=False)
    keras.utils.set_random_seed(1)
    plain.fit(maps, labels, epochs=3, batch_size=32, verbose=0)
    keras.utils.set_random_seed(1)
    tuned = tuning.fine_tune(tail, head, maps, labels, epochs=3, learning_rate=1e-2)
    scores = tuned.predict(maps, verbose=0)
    np.testing.assert_allclose(scores, plain.predict(maps, verbose=0), rtol=1e-4, atol=1e-5)


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


def test_a_frozen_tail_and_a_frozen_head_are_fine_tuned_all_the_same_and_reload_so(tmp_path):
    tail = tail_with_batchnorm()
    head = tuning.linear_head(np.ones((4, 4, 4, 6)), 2)
    tail.trainable = head.trainable = False
    model = tuning.trainable_copy(tail, head)
    model.save(tmp_path / "model.keras")
    for found in (model, keras.saving.load_model(tmp_path / "model.keras")):
        assert all(part.trainable for part in found.layers)
        assert {v.path.split("/")[-2] for v in found.trainable_variables} == {"convolution", "classes"}


def test_a_given_optimiser_takes_the_place_of_adam():
    features, labels = clusters(0)
    head = tuning.linear_head(features, 3)
    tuning.train(head, features, labels, epochs=1, optimizer=keras.optimizers.SGD(0.25), batch_size=90)
    inputs = np.asarray(keras.Model(head.inputs, head.layers[-1].input).predict(features, verbose=0), dtype=np.float64)
    # The first gradient of a softmax regression that starts at zero: every class has the share 1/3.
    gradient = inputs.T @ (1 / 3 - np.eye(3)[labels]) / 90
    np.testing.assert_allclose(head.layers[-1].get_weights()[0], -0.25 * gradient, atol=1e-6)


def test_a_schedule_may_stand_for_the_learning_rate():
    features, labels = clusters(0)
    head = tuning.linear_head(features, 3)
    warm_up = keras.optimizers.schedules.PolynomialDecay(0.0, 10, 0.01)
    before = head.layers[-1].get_weights()[0]
    tuning.train(head, features, labels, epochs=1, learning_rate=warm_up, batch_size=90)
    np.testing.assert_array_equal(head.layers[-1].get_weights()[0], before)  # The first step of a warm-up from 0.
    tuning.train(head, features, labels, epochs=2, learning_rate=warm_up, batch_size=90)
    assert np.abs(head.layers[-1].get_weights()[0] - before).max() > 0


@pytest.mark.parametrize("both", [True, False])
def test_training_wants_a_learning_rate_or_an_optimiser_not_both(both):
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
    logits = model.predict(validation[0], verbose=0)
    loss = float(-log_softmax(logits, axis=1)[np.arange(60), validation[1]].mean())
    assert loss == pytest.approx(min(history), rel=1e-4)
    assert history[-1] > min(history)


def test_a_callback_that_watches_a_missing_validation_is_refused():
    features, labels = clusters(0)
    stop = keras.callbacks.EarlyStopping("val_accuracy")
    with pytest.raises(UserError, match="EarlyStopping watches 'val_accuracy'"):
        tuning.train(tuning.linear_head(features, 3), features, labels, epochs=1, learning_rate=0.1, callbacks=[stop])


def test_moved_batchnorm_counts_the_layers_whose_statistics_differ_and_only_those():
    before = keras.Sequential([keras.Input((4, 4, 3)), tail_with_batchnorm(), keras.layers.BatchNormalization()])
    after = tuning.copy(before)
    assert tuning.moved_batchnorm(before, after) == (0, 2)
    outer, inner = after.layers[1], after.layers[0].get_layer("normalisation")
    inner.gamma.assign(inner.gamma + 1)
    assert tuning.moved_batchnorm(before, after) == (0, 2)
    inner.moving_variance.assign(inner.moving_variance + 1e-6)
    assert tuning.moved_batchnorm(before, after) == (1, 2)
    outer.moving_mean.assign(outer.moving_mean + 1e-6)
    assert tuning.moved_batchnorm(before, after) == (2, 2)


def test_moved_batchnorm_finds_each_layer_again_when_the_network_is_nested():
    tail = tail_of_three_blocks()
    for number, layer in enumerate(layer for layer in tail.layers if "bn" in layer.name):
        layer.moving_mean.assign(layer.moving_mean + number)
    nested = keras.Sequential([keras.Input((8, 8, 3)), tuning.copy(tail), keras.layers.Flatten()])
    assert tuning.moved_batchnorm(tail, nested) == (0, 3)


def test_models_with_different_batchnorm_layers_cannot_be_compared():
    with pytest.raises(UserError, match="1 BatchNormalization layers before, 0 after.*: normalisation"):
        tuning.moved_batchnorm(tail_with_batchnorm(), keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]))


def test_training_moves_batchnorm_unless_it_is_frozen():
    maps = np.random.default_rng(0).normal(3, 2, size=(16, 4, 4, 3)).astype("float32")
    tail = tail_with_batchnorm()
    counted = []
    for freeze in (False, True):
        model = keras.Sequential([tuning.copy(tail), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2)])
        if freeze:
            tuning.freeze_batchnorm(model)
        tuning.train(model, maps, np.arange(16) % 2, epochs=1, learning_rate=1e-3)
        counted.append(tuning.moved_batchnorm(tail, model))
    assert counted == [(1, 1), (0, 1)]


def tail_of_three_blocks() -> keras.Model:
    inputs = x = keras.Input((8, 8, 3))
    for block in (1, 2, 3):
        x = keras.layers.Conv2D(4, 3, padding="same", name=f"block{block}_conv")(x)
        x = keras.layers.BatchNormalization(name=f"block{block}_bn")(x)
        x = keras.layers.MaxPooling2D(name=f"block{block}_pool")(x)
    return keras.Model(inputs, x)


def test_blocks_end_at_the_cut_points_and_hold_the_layers_with_weights():
    expected = [[f"block{block}_conv", f"block{block}_bn"] for block in (1, 2, 3)]
    ends = ["block0_pool", *(f"block{block}_pool" for block in (1, 2, 3))]
    assert tuning.blocks(tail_of_three_blocks(), ends) == expected
    assert tuning.blocks(tail_of_three_blocks(), ["block1_pool"]) == [expected[0], expected[1] + expected[2]]


def test_the_blocks_of_a_backbone_are_the_blocks_of_its_name():
    from tlutils.cut import cut
    from tlutils.models import backbones

    base = backbones.load("vgg16_mini", weights=None)
    _, tail = cut(base.model, "block3_pool")
    fourth, fifth = tuning.blocks(tail, base.cuts)
    assert fourth == [f"block4_conv{number}" for number in (1, 2, 3)]
    assert fifth == [f"block5_conv{number}" for number in (1, 2, 3)]


def test_gradual_unfreezing_trains_one_more_block_per_stage_and_never_batchnorm():
    maps = np.random.default_rng(0).normal(3, 2, size=(16, 8, 8, 3)).astype("float32")
    labels = np.arange(16) % 2
    tail = tail_of_three_blocks()
    head = tuning.train_head(tail.predict(maps, verbose=0), labels, 2)
    model = tuning.trainable_copy(tail, head)
    blocks = tuning.blocks(tail, ["block1_pool", "block2_pool"])
    seen = []
    for opened in tuning.unfreeze_gradually(model, blocks):
        before = {variable.path: np.array(variable.numpy()) for variable in model.weights}
        tuning.train(model, maps, labels, epochs=1, learning_rate=1e-3)
        moved = {v.path.split("/")[-2] for v in model.weights if not np.array_equal(v.numpy(), before[v.path])}
        seen.append((opened, moved - {"classes"}))
        assert "classes" in moved
    assert seen == [
        (["block3_conv"], {"block3_conv"}),
        (["block2_conv"], {"block3_conv", "block2_conv"}),
        (["block1_conv"], {"block3_conv", "block2_conv", "block1_conv"}),
    ]


def test_gradual_unfreezing_names_a_layer_that_is_not_there():
    with pytest.raises(UserError, match="'block4_conv' is not a layer"):
        next(tuning.unfreeze_gradually(tail_of_three_blocks(), [["block4_conv"]]))


def pixels(n: int, shift: float) -> np.ndarray:
    return (np.random.default_rng(5).normal(size=(n, 4, 4, 3)) * 3 + shift).astype("float32")


def test_adapted_batchnorm_has_the_mean_and_variance_of_the_new_inputs_and_the_model_keeps_its_own():
    tail = tail_with_batchnorm()
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


def test_batches_of_different_sizes_count_by_their_size():
    tail, inputs = tail_with_batchnorm(), pixels(50, 1.0)
    means = [
        keras.ops.convert_to_numpy(tuning.adapt_batchnorm(tail, inputs, **how).get_layer("normalisation").moving_mean)
        for how in ({}, {"batch_size": 40})
    ]
    np.testing.assert_allclose(means[1], means[0], rtol=1e-4, atol=1e-5)


def test_adapting_moves_nothing_but_statistics_also_where_the_layers_are_frozen():
    tail = tail_with_batchnorm()
    tuning.freeze_batchnorm(tail)
    adapted = tuning.adapt_batchnorm(tail, pixels(30, 2.0))
    assert tuning.moved_batchnorm(tail, adapted) == (1, 1)
    for old, new in zip(tail.trainable_weights, adapted.trainable_weights, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(old), keras.ops.convert_to_numpy(new))
    [layer] = [layer for layer in adapted.layers if layer.name == "normalisation"]
    assert not layer.trainable and layer.momentum == tail.get_layer("normalisation").momentum


def test_adapting_needs_a_batchnorm_layer_and_two_inputs():
    with pytest.raises(UserError, match="no BatchNormalization layer.*efficientnet_lite0"):
        tuning.adapt_batchnorm(keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]), np.zeros((4, 3)))
    with pytest.raises(UserError, match="1 inputs"):
        tuning.adapt_batchnorm(tail_with_batchnorm(), pixels(1, 0.0))
