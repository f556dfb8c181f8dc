"""The features of all cuts come from one pass, which is kept."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from tlutils.cut import cut
from tlutils.models import backbones
from tlutils.models.features import pooled_activations, untrained_activations
from tlutils.settings import UserError


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TLUTILS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def mini() -> backbones.Backbone:
    return backbones.load("vgg16_mini", weights=None, image_size=32)


def pictures(n: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, 32, 32, 3), dtype=np.uint8)


def test_pooled_activations_are_the_means_of_what_each_trunk_returns(mini: backbones.Backbone):
    pooled = pooled_activations(mini, pictures(3))
    assert list(pooled) == list(mini.cuts)
    for at in mini.cuts:
        maps = keras.ops.convert_to_numpy(cut(mini.model, at)[0](pictures(3).astype("float32"), training=False))
        np.testing.assert_allclose(pooled[at], maps.mean(axis=(1, 2)), rtol=1e-4, atol=1e-4, err_msg=at)


def test_one_pass_in_batches_of_one_size_serves_all_cuts_and_every_later_call(
    mini: backbones.Backbone, own_cache: Path, monkeypatch: pytest.MonkeyPatch
):
    sizes = []
    original = keras.Model.predict_on_batch
    monkeypatch.setattr(keras.Model, "predict_on_batch", lambda model, x: (sizes.append(len(x)), original(model, x))[1])
    first, again = (pooled_activations(mini, pictures(50)) for _ in range(2))
    assert sizes == [25, 25]
    assert len(list((own_cache / "activations").iterdir())) == 1
    for at in mini.cuts:
        np.testing.assert_array_equal(again[at], first[at])


def test_no_pictures_have_no_features(mini: backbones.Backbone):
    with pytest.raises(UserError, match="no pictures"):
        pooled_activations(mini, pictures(0))


@pytest.mark.parametrize("name", ["vgg16_mini", "efficientnet_lite0"])
def test_the_untrained_control_has_new_weights_each_time_and_activations_that_neither_fade_nor_grow(name: str):
    base = backbones.load(name, weights=None, image_size=32)
    images = np.random.default_rng(0).integers(0, 256, (24, 32, 32, 3), dtype=np.uint8)
    first, second = (untrained_activations(base, images, np.arange(16)) for _ in range(2))
    assert list(first) == list(base.cuts)
    np.testing.assert_array_equal(first["preprocess"], second["preprocess"])
    at = base.cuts[-1]
    assert not np.allclose(first[at], second[at]) and not np.allclose(first[at], pooled_activations(base, images)[at])
    assert 1e-3 < first[at].std() < 1e3
