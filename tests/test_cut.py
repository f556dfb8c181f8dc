"""The cut: parts that join to the whole, and activations computed once."""

from __future__ import annotations

import functools
import io
import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tlutils import settings
from tlutils.cut import compute_once, cut, join, segments
from tlutils.models import backbones
from tlutils.settings import UserError


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TLUTILS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def pictures(n: int, size: int = 32, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, size, size, 3), dtype=np.uint8)


def small_trunk(seed: int = 0) -> keras.Model:
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((32, 32, 3))
    x = keras.layers.Conv2D(4, 3, strides=4, name="first")(keras.layers.Rescaling(1 / 255)(inputs))
    return keras.Model(inputs, x)


def without_running(trunk: keras.Model, images: np.ndarray) -> list[np.ndarray]:
    """Stand in for the small trunk where only the file matters."""
    return [np.zeros((len(images), 8, 8, 4), dtype=np.float32)]


@functools.cache
def untrained(name: str) -> backbones.Backbone:
    return backbones.load(name, weights=None, image_size=32)


def numbers(values: Any) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(values))


def test_trunk_then_tail_equals_the_whole_model_at_every_cut_point():
    mini = untrained("vgg16_mini")
    batch = pictures(2).astype("float32")
    whole = numbers(mini.model(batch, training=False))
    for at in mini.cuts:
        trunk, tail = cut(mini.model, at)
        joined = numbers(tail(trunk(batch, training=False), training=False))
        np.testing.assert_allclose(joined, whole, rtol=1e-5, atol=1e-5, err_msg=at)


@hypothesis_settings(max_examples=8, deadline=None)
@given(
    widths=st.lists(st.integers(1, 4), min_size=2, max_size=4),
    position=st.integers(0, 3),
    seed=st.integers(0, 2**16),
)
def test_any_chain_can_be_cut_behind_any_layer_and_joined_again(widths, position, seed):
    keras.utils.set_random_seed(seed)
    inputs = x = keras.Input((8, 8, 3))
    for number, width in enumerate(widths):
        x = keras.layers.Conv2D(width, 3, padding="same", activation="relu", name=f"layer{number}")(x)
    model = keras.Model(inputs, x)
    trunk, tail = cut(model, f"layer{position % len(widths)}")
    batch = np.random.default_rng(seed).normal(size=(2, 8, 8, 3)).astype("float32")
    expected = keras.ops.convert_to_numpy(model(batch))
    np.testing.assert_allclose(keras.ops.convert_to_numpy(join(trunk, tail)(batch)), expected, rtol=1e-5, atol=1e-6)


def test_a_tail_is_not_cut_again_and_the_advice_for_the_middle_computes_the_same():
    model, batch = untrained("vgg16_mini").model, pictures(2).astype("float32")
    trunk, tail = cut(model, "block3_pool")
    with pytest.raises(UserError, match="part of a network.*at 'block4_pool'"):
        cut(tail, "block4_pool")
    middle = keras.Model(model.get_layer("block3_pool").output, model.get_layer("block4_pool").output)
    expected, _ = cut(model, "block4_pool")
    np.testing.assert_allclose(numbers(middle(trunk(batch))), numbers(expected(batch)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["vgg16_mini", "mobilenet", "efficientnet_lite0", "resnet50"])
def test_segments_one_after_the_other_give_what_the_network_has_at_each_of_its_cuts(name: str):
    base = untrained(name)
    x = batch = pictures(1).astype("float32")
    outputs = [base.model.get_layer(at).output for at in base.cuts]
    expected = keras.Model(base.model.input, outputs)(batch, training=False)
    for at, segment, values in zip(base.cuts, segments(base.model, base.cuts), expected, strict=True):
        x = segment(x, training=False)
        np.testing.assert_allclose(numbers(x), numbers(values), rtol=1e-4, atol=1e-4, err_msg=at)


def test_a_sequential_trunk_is_computed_once_too(tmp_path, monkeypatch):
    monkeypatch.setenv("TLUTILS_CACHE", str(tmp_path))
    trunk = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Conv2D(2, 3), keras.layers.Flatten()])
    images = np.random.default_rng(0).normal(size=(3, 4, 4, 3)).astype("float32")
    for _ in range(2):
        found = compute_once(trunk, images)
        np.testing.assert_allclose(found, trunk.predict(images, verbose=0), rtol=1e-5, atol=1e-6)
    assert len(list((tmp_path / "activations").glob("*.npy"))) == 1


def test_a_cut_inside_a_shortcut_is_refused_with_advice():
    model = untrained("resnet50").model
    with pytest.raises(UserError, match="conv2_block2_1_conv.*cuts"):
        cut(model, "conv2_block2_1_conv")


def test_an_unknown_cut_names_near_layers():
    with pytest.raises(UserError, match="block4_pol.*block4_pool"):
        cut(untrained("vgg16_mini").model, "block4_pol")


def test_compute_once_returns_what_the_trunk_returns_whatever_the_batch_size():
    trunk, images = small_trunk(), pictures(7)
    expected = trunk.predict(images, verbose=0)
    np.testing.assert_allclose(compute_once(trunk, images, batch_size=3), expected, rtol=1e-5, atol=1e-6)


def test_the_second_call_reads_the_file_and_does_not_run_the_trunk():
    trunk, images = small_trunk(), pictures(3)
    compute_once(trunk, images, run=lambda *_: [np.full((3, 8, 8, 4), 7, dtype=np.float32)])
    np.testing.assert_array_equal(compute_once(trunk, images), np.full((3, 8, 8, 4), 7))


def as_numpy_writes(values: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()


# What may have become of a file of activations: of its bytes and its numbers, something else.
DAMAGES = {
    "empty": lambda whole, values: b"",
    "cut in the header": lambda whole, values: whole[:50],
    "cut in the numbers": lambda whole, values: whole[: len(whole) // 2],
    "cut by a byte": lambda whole, values: whole[:-1],
    "longer": lambda whole, values: whole + b"\0",
    "zeros from a crash": lambda whole, values: bytes(len(whole)),
    "NaN": lambda whole, values: whole[:128] + np.full(values.shape, np.nan, "f4").tobytes() + whole[-4:],
    "rows swapped": lambda whole, values: whole[:128] + values[::-1].tobytes() + whole[-4:],
    "no checksum": lambda whole, values: whole[:-4],
    "an older version": lambda whole, values: as_numpy_writes(values),
    "another shape": lambda whole, values: as_numpy_writes(values.reshape(values.shape[0], -1)) + whole[-4:],
    "another format": lambda whole, values: as_numpy_writes(values.view("i4")) + whole[-4:],
    "a pickle": lambda whole, values: pickle.dumps(values),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_computed_again(own_cache, damage):
    trunk, images = small_trunk(), pictures(3)
    expected = np.array(compute_once(trunk, images))
    (file,) = (own_cache / "activations").iterdir()
    whole = file.read_bytes()
    file.write_bytes(DAMAGES[damage](whole, expected))
    np.testing.assert_array_equal(compute_once(trunk, images), expected)
    assert file.read_bytes() == whole


@hypothesis_settings(max_examples=60)
@given(data=st.data())
def test_no_changed_byte_goes_unnoticed(data, tmp_path_factory):
    trunk, images = small_trunk(), pictures(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TLUTILS_CACHE", str(tmp_path_factory.mktemp("cache")))
        compute_once(trunk, images, run=without_running)
        (file,) = Path(os.environ["TLUTILS_CACHE"], "activations").iterdir()
        content = bytearray(file.read_bytes())
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
        file.write_bytes(content)
        again = np.ones((1, 8, 8, 4), dtype=np.float32)
        np.testing.assert_array_equal(compute_once(trunk, images, run=lambda *_: [again]), again)


def test_the_file_is_one_that_numpy_reads(own_cache):
    found = compute_once(small_trunk(), pictures(3))
    (file,) = (own_cache / "activations").iterdir()
    np.testing.assert_array_equal(np.load(file, allow_pickle=False), found)


def test_what_was_not_written_as_it_should_be_is_not_returned():
    with pytest.raises(UserError, match="does not hold what was just written.*TLUTILS_CACHE"):
        compute_once(small_trunk(), pictures(3), run=lambda *_: [np.zeros((2, 8, 8, 4), dtype=np.float32)])


def test_the_same_network_built_again_finds_its_file_whatever_keras_calls_its_layers(own_cache):
    images = pictures(3)
    for _ in range(2):
        compute_once(small_trunk(seed=1), images, run=without_running)
    assert len(list((own_cache / "activations").glob("*.npy"))) == 1


@pytest.mark.parametrize("change", ["weights", "pictures", "dtype"])
def test_anything_the_activations_depend_on_makes_a_new_file(own_cache, change):
    compute_once(small_trunk(), pictures(3), run=without_running)
    compute_once(
        small_trunk(seed=1 if change == "weights" else 0),
        pictures(3, seed=1 if change == "pictures" else 0),
        dtype="float16" if change == "dtype" else "float32",
        run=without_running,
    )
    assert len(list((own_cache / "activations").glob("*.npy"))) == 2


def test_a_way_to_run_the_trunk_gives_the_rows_of_inputs_of_any_length():
    inputs = keras.Input((None,), dtype="int32")
    trunk = keras.Model(inputs, keras.layers.Embedding(5, 2)(inputs))
    tokens = np.array([[1, 2, 3], [4, 0, 0]], dtype=np.int32)
    found = compute_once(trunk, tokens, run=lambda trunk, rows: (numbers(trunk(row[None])) for row in rows))
    np.testing.assert_array_equal(found, trunk.get_weights()[0][tokens])


def test_float16_halves_the_file_and_keeps_three_digits():
    trunk, images = small_trunk(), pictures(3)
    half = compute_once(trunk, images, dtype="float16")
    assert half.dtype == np.float16
    np.testing.assert_allclose(half, compute_once(trunk, images), rtol=2e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("images", "dtype", "words"),
    [
        (pictures(2, 16), "float32", "shape.*resized"),
        (pictures(2)[:0], "float32", "no pictures"),
        (pictures(2), "int8", "int8.*float16"),
    ],
)
def test_what_cannot_be_computed_is_refused_with_a_reason(images, dtype, words):
    with pytest.raises(UserError, match=words):
        compute_once(small_trunk(), images, dtype=dtype)


def test_while_one_writes_nothing_stands_under_the_name_and_another_gets_the_activations_whole(own_cache):
    """A second computation begins and ends in the midst of the first; a kill would leave what it finds there."""
    trunk, images, folder = small_trunk(), pictures(4), own_cache / "activations"
    expected = trunk.predict(images, verbose=0)
    seen = []

    def interrupted(trunk: keras.Model, images: np.ndarray) -> Iterator[Any]:
        yield expected[:2]
        seen.extend(file.suffix for file in folder.iterdir())
        np.testing.assert_array_equal(compute_once(trunk, images, run=lambda *_: [expected]), expected)
        yield expected[2:]

    np.testing.assert_array_equal(compute_once(trunk, images, run=interrupted), expected)
    assert seen == [".partial"]
    assert [file.suffix for file in folder.iterdir()] == [".npy"]


@pytest.mark.skipif(os.name == "nt", reason="needs Unix resource limits")
def test_a_full_disk_is_an_error_that_says_what_to_do_and_leaves_nothing_behind(own_cache):
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    try:
        with pytest.raises(UserError, match="could not be written .*they need 102,400 bytes.*TLUTILS_CACHE"):
            compute_once(small_trunk(), pictures(100), run=without_running)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list((own_cache / "activations").iterdir()) == []


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="the extra gpu is about TensorFlow")
def test_mixed_precision_is_keras_own_setting_which_the_course_leaves_and_which_changes_activations_little():
    images = np.random.default_rng(0).integers(0, 256, (8, 64, 64, 3), dtype=np.uint8)
    exact = compute_once(backbones.load("vgg16_mini").model, images)
    keras.config.set_dtype_policy("mixed_float16")
    try:
        settings.check()
        mixed = compute_once(backbones.load("vgg16_mini").model, images).astype("float32")
    finally:
        keras.config.set_dtype_policy("float32")
    assert 0 < np.abs(mixed - exact).max() < 0.01 * np.abs(exact).max()
