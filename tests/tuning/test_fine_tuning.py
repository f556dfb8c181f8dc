"""A tail is trained behind the cut, at once or block by block."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from tlutils import tuning
from tlutils.cut import cut
from tlutils.models import backbones
from tlutils.settings import UserError

LABELS = np.arange(40) % 2


def pixels(side: int, n: int = 40) -> np.ndarray:
    return np.random.default_rng(0).normal(3, 2, size=(n, side, side, 3)).astype("float32")


def random_head(maps: tuple[int, ...]) -> keras.Model:
    """A head whose dense layer is not zero, so that the tail gets a gradient at once."""
    head = tuning.linear_head(np.random.default_rng(1).normal(size=(8, *maps)), 2)
    head.layers[-1].set_weights([np.random.default_rng(2).normal(size=(maps[-1], 2)), np.zeros(2)])
    return head


def test_fine_tuning_is_adam_on_copies_of_tail_and_head_with_batch_normalisation_frozen(tail: keras.Model):
    maps, head = pixels(4), random_head((4, 4, 6))
    plain = keras.Sequential([keras.Input((4, 4, 3)), tuning.copy(tail), tuning.copy(head)])
    plain.layers[0].get_layer("normalisation").trainable = False
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    plain.compile(keras.optimizers.Adam(1e-4), loss, jit_compile=False)
    keras.utils.set_random_seed(1)
    plain.fit(maps, LABELS, epochs=2, batch_size=32, verbose=0)

    before = [np.array(value) for value in tail.get_weights() + head.get_weights()]
    keras.utils.set_random_seed(1)
    tuned = tuning.fine_tune(tail, head, maps, LABELS, epochs=2)
    for by_hand, weights in zip(plain.get_weights(), tuned.get_weights(), strict=True):
        np.testing.assert_allclose(weights, by_hand, rtol=1e-4, atol=1e-6)
    for old, now in zip(before, tail.get_weights() + head.get_weights(), strict=True):
        np.testing.assert_array_equal(old, now)
    pairs = zip(tuned.weights, before, strict=True)
    moved = {variable.path.split("/")[-2] for variable, old in pairs if not np.array_equal(variable.numpy(), old)}
    assert moved == {"convolution", "classes"}


def test_a_tail_cut_from_a_frozen_base_and_a_frozen_head_are_trainable_all_the_same_and_reload_so(tmp_path):
    inputs = keras.Input((4, 4, 3))
    x = keras.layers.Conv2D(3, 1, name="trunk")(inputs)
    x = keras.layers.Conv2D(6, 3, padding="same", name="top")(x)
    base = keras.Model(inputs, keras.layers.BatchNormalization()(x))
    base.trainable = False
    head = random_head((4, 4, 6))
    head.trainable = False
    model = tuning.trainable_copy(cut(base, "trunk")[1], head)
    model.save(tmp_path / "model.keras")
    for found in (model, keras.saving.load_model(tmp_path / "model.keras")):
        assert all(part.trainable for part in found.layers)
        assert {v.path.split("/")[-2] for v in found.trainable_variables} == {"top", "classes"}


def test_blocks_end_at_the_cut_points_and_hold_the_layers_with_weights(three_blocks: keras.Model):
    expected = [[f"block{block}_conv", f"block{block}_bn"] for block in (1, 2, 3)]
    ends = ["block0_pool", *(f"block{block}_pool" for block in (1, 2, 3))]
    assert tuning.blocks(three_blocks, ends) == expected
    assert tuning.blocks(three_blocks, ["block1_pool"]) == [expected[0], expected[1] + expected[2]]


def test_the_blocks_of_a_backbone_are_the_blocks_of_its_name():
    base = backbones.load("vgg16_mini", weights=None)
    fourth, fifth = tuning.blocks(cut(base.model, "block3_pool")[1], base.cuts)
    assert fourth == [f"block4_conv{number}" for number in (1, 2, 3)]
    assert fifth == [f"block5_conv{number}" for number in (1, 2, 3)]


def test_gradual_unfreezing_trains_one_more_block_per_stage_and_never_batchnorm(three_blocks: keras.Model):
    maps = pixels(8, n=16)
    model = tuning.trainable_copy(three_blocks, random_head((1, 1, 4)))
    seen = []
    for opened in tuning.unfreeze_gradually(model, tuning.blocks(three_blocks, ["block1_pool", "block2_pool"])):
        before = {variable.path: np.array(variable.numpy()) for variable in model.weights}
        tuning.train(model, maps, LABELS[:16], epochs=1, learning_rate=1e-3)
        moved = {v.path.split("/")[-2] for v in model.weights if not np.array_equal(v.numpy(), before[v.path])}
        seen.append((opened, moved - {"classes"}))
        assert "classes" in moved
    assert seen == [
        (["block3_conv"], {"block3_conv"}),
        (["block2_conv"], {"block3_conv", "block2_conv"}),
        (["block1_conv"], {"block3_conv", "block2_conv", "block1_conv"}),
    ]


def test_gradual_unfreezing_names_a_layer_that_is_not_there(three_blocks: keras.Model):
    with pytest.raises(UserError, match="'block4_conv' is not a layer"):
        next(tuning.unfreeze_gradually(three_blocks, [["block4_conv"]]))
