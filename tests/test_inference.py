"""LiteRT computes what Keras computes where that pays, and nobody notices where it cannot."""

from __future__ import annotations

import importlib.util
import logging
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tlutils import inference, settings
from tlutils.cut import compute_once, cut
from tlutils.models import backbones, features

with_lite = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow" or importlib.util.find_spec("ai_edge_litert") is None,
    reason="needs Keras on TensorFlow, and ai-edge-litert",
)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TLUTILS_CACHE", str(tmp_path))
    return tmp_path


def pictures(n: int, size: int = 32, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, size, size, 3), dtype=np.uint8)


def depthwise(*layers: keras.Layer, size: int | None = 32, seed: int = 0) -> keras.Model:
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((size, size, 3))
    x = keras.layers.DepthwiseConv2D(3, strides=2)(keras.layers.Rescaling(1 / 255)(inputs))
    for layer in (keras.layers.Conv2D(8, 1, activation="relu"), *layers):
        x = layer(x)
    return keras.Model(inputs, x)


def assert_equal_to_keras(found: np.ndarray, model: keras.Model, inputs: np.ndarray) -> None:
    expected = model.predict(inputs, verbose=0)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3 * np.abs(expected).max())


def cases() -> dict[str, Any]:
    """Return networks with their inputs: whole, below and above a cut, all cuts at once, nested, of any size."""

    def untrained(name: str) -> backbones.Backbone:
        return backbones.load(name, weights=None, image_size=32)

    def above(name: str, at: str) -> tuple[keras.Model, np.ndarray]:
        trunk, tail = cut(untrained(name).model, at)
        return tail, trunk.predict_on_batch(pictures(3))

    return {
        "mobilenet below": lambda: (cut(untrained("mobilenet").model, "conv_pw_5_relu")[0], pictures(3)),
        "lite0 above": lambda: above("efficientnet_lite0", "stage6"),
        "vgg16_mini": lambda: (untrained("vgg16_mini").model, pictures(3)),
        "vgg16_mini at all cuts": lambda: (features._all_cuts(untrained("vgg16_mini")), pictures(3)),
        "first layer alone": lambda: (cut(untrained("mobilenet").model, "preprocess")[0], pictures(3)),
        "a model in a model": lambda: (keras.Sequential([depthwise(), keras.layers.Flatten()]), pictures(3)),
        "separable": lambda: (depthwise(keras.layers.SeparableConv2D(4, 3)), pictures(3)),
        "any size": lambda: (
            depthwise(keras.layers.UpSampling2D(interpolation="bilinear"), size=None),
            pictures(3, 17),
        ),
        "whole numbers": lambda: (
            keras.Sequential([keras.Input((None,), dtype="int32"), keras.layers.Embedding(5, 4)]),
            np.array([[1, 2, 3], [4, 0, 0]], dtype=np.int32),
        ),
    }


@with_lite
@pytest.mark.parametrize("case", cases())
def test_lite_computes_what_keras_computes(case: str) -> None:
    model, inputs = cases()[case]()
    forward = inference.lite(model, inputs)
    assert forward is not None
    for batch in (inputs, inputs[::-1]):
        assert_equal_to_keras(forward(batch), model, batch)


@with_lite
def test_what_a_call_returned_does_not_change_with_the_next_one() -> None:
    forward = inference.lite(depthwise(), pictures(2))
    assert forward is not None
    first = forward(pictures(2))
    kept = first.copy()
    forward(pictures(2, seed=1))
    np.testing.assert_array_equal(first, kept)


@with_lite
def test_threads_that_call_at_once_get_the_bits_that_each_gets_alone() -> None:
    batches = [pictures(3, seed=seed) for seed in range(40)]
    forward = inference.lite(depthwise(), batches[0])
    assert forward is not None
    alone = [forward(batch) for batch in batches]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(forward, batches))
    for expected, found in zip(alone, together, strict=True):
        np.testing.assert_array_equal(found, expected)


@with_lite
@hypothesis_settings(max_examples=10)
@given(count=st.integers(1, 30), batch_size=st.integers(1, 20))
def test_large_jobs_go_through_lite_in_batches_of_any_size(count: int, batch_size: int) -> None:
    model, images = depthwise(), pictures(count, seed=batch_size)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inference, "WORTH_CONVERTING", images.size)
        found = compute_once(model, images, batch_size=batch_size)
    assert_equal_to_keras(found, model, images)
    assert list(Path(os.environ["TLUTILS_CACHE"], "converted").iterdir())


@with_lite
def test_the_amount_of_work_and_the_kind_of_network_decide() -> None:
    least = inference.WORTH_CONVERTING
    plain = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3)])
    nested = keras.Sequential([depthwise(), keras.layers.GlobalAveragePooling2D()])
    assert inference.pays(depthwise(), least) and inference.pays(nested, least)
    assert not inference.pays(depthwise(), least - 1)
    assert not inference.pays(plain, 100 * least)


@pytest.mark.skipif(keras.backend.backend() == "tensorflow", reason="for the other backends")
def test_on_another_backend_keras_computes_everything(monkeypatch, own_cache) -> None:
    monkeypatch.setattr(inference, "WORTH_CONVERTING", 0)
    model, images = depthwise(), pictures(3)
    assert_equal_to_keras(compute_once(model, images), model, images)
    assert not (own_cache / "converted").exists()


@with_lite
def test_the_same_call_gives_the_same_bits_whether_or_not_the_network_was_converted_before(
    tmp_path, monkeypatch
) -> None:
    model, images = depthwise(), pictures(20)

    def bits(cache: Path, worth: int) -> bytes:
        monkeypatch.setenv("TLUTILS_CACHE", str(cache))
        monkeypatch.setattr(inference, "WORTH_CONVERTING", worth)
        return compute_once(model, images).tobytes()

    assert bits(tmp_path / "a", 0) == bits(tmp_path / "b", 0)
    # A small job stays with Keras where a large one has left the converted network.
    small = bits(tmp_path / "c", images.size + 1)
    for file in (tmp_path / "a" / "activations").iterdir():
        file.unlink()
    assert list((tmp_path / "a" / "converted").iterdir())
    assert bits(tmp_path / "a", images.size + 1) == small
    assert not (tmp_path / "c" / "converted").exists()


def without_package(monkeypatch: pytest.MonkeyPatch) -> keras.Model:
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    return depthwise()


def unknown_operation(monkeypatch: pytest.MonkeyPatch) -> keras.Model:
    return depthwise(keras.layers.Lambda(lambda x: keras.ops.svd(x, compute_uv=False)))


def random_operation(monkeypatch: pytest.MonkeyPatch) -> keras.Model:
    return depthwise(keras.layers.RandomFlip())


def half_precision(monkeypatch: pytest.MonkeyPatch) -> keras.Model:
    return depthwise(keras.layers.DepthwiseConv2D(3, dtype="mixed_float16"))


def another_network_under_its_name(monkeypatch: pytest.MonkeyPatch) -> keras.Model:
    convert = inference.convert
    monkeypatch.setattr(inference, "convert", lambda model, shape: convert(depthwise(seed=1), shape))
    return depthwise()


def not_a_number(monkeypatch: pytest.MonkeyPatch) -> keras.Model:
    model = depthwise()
    model.layers[-1].set_weights([np.full((1, 1, 3, 8), np.nan), np.zeros(8)])
    return model


@with_lite
@pytest.mark.parametrize(
    "build",
    [
        without_package,
        unknown_operation,
        random_operation,
        half_precision,
        another_network_under_its_name,
        not_a_number,
    ],
)
def test_where_lite_cannot_be_had_keras_computes_and_only_the_log_says_why(build, monkeypatch, capfd, caplog) -> None:
    model, images = build(monkeypatch), pictures(3)
    monkeypatch.setattr(inference, "WORTH_CONVERTING", 0)
    expected = model.predict_on_batch(images)
    # What TensorFlow says when it starts, and of a processor without instructions for half precision.
    capfd.readouterr()
    with caplog.at_level(logging.INFO, "tlutils"):
        found = compute_once(model, images)
    np.testing.assert_array_equal(found, expected)
    assert [record.getMessage().split(":")[0] for record in caplog.records if record.name == inference.__name__] == [
        f"{model.name} is computed by Keras"
    ]
    assert capfd.readouterr().err == ""


@with_lite
def test_a_conversion_prints_nothing_and_leaves_the_random_numbers_alone(capfd) -> None:
    model = depthwise(keras.layers.Dropout(0.5))
    # What TensorFlow says when it starts.
    capfd.readouterr()
    drawn = []
    for convert in (False, True):
        keras.utils.set_random_seed(3)
        if convert:
            assert inference.lite(model, pictures(2)) is not None
        drawn.append((np.random.random(), float(keras.random.uniform(()))))
    assert drawn[0] == drawn[1]
    assert capfd.readouterr() == ("", "")


@with_lite
def test_a_conversion_writes_nothing_into_a_notebook_where_the_log_is_shown(caplog) -> None:
    settings.make_repeatable(0)
    with caplog.at_level(logging.INFO, "tensorflow"):
        inference.convert(depthwise(), (32, 32, 3))
        logging.getLogger("tensorflow").warning("something else")
    assert [record.getMessage() for record in caplog.records if record.name == "tensorflow"] == ["something else"]


@with_lite
@pytest.mark.parametrize("damage", ["changed", "cut", "empty", "unhashed", "longer"])
def test_a_damaged_conversion_is_made_again(damage: str, own_cache) -> None:
    model, images = depthwise(), pictures(2)
    inference.lite(model, images)
    [file] = (own_cache / "converted").iterdir()
    whole = file.read_bytes()
    middle = len(whole) // 2
    file.write_bytes(
        {
            "changed": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
            "cut": whole[:-5],
            "empty": b"",
            "unhashed": whole[32:],
            "longer": whole + b"\0",
        }[damage]
    )
    forward = inference.lite(model, images)
    assert forward is not None
    assert_equal_to_keras(forward(images), model, images)
    content = file.read_bytes()
    assert len(content) == len(whole) and content[36:40] == b"TFL3"


@with_lite
def test_a_conversion_that_cannot_be_kept_is_used_all_the_same(own_cache) -> None:
    (own_cache / "converted").write_text("in the way", encoding="utf-8")
    assert inference.lite(depthwise(), pictures(2)) is not None
