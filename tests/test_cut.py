"""The cut: parts that join to the whole, and activations computed once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

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


@pytest.mark.parametrize("name", ["vgg16_mini", "mobilenet", "efficientnet_lite0", "resnet50"])
def test_trunk_then_tail_equals_the_whole_model_at_every_cut_point(name):
    backbone = backbones.load(name, weights=None, image_size=64)
    batch = pictures(2, 64)
    whole = np.asarray(keras.ops.convert_to_numpy(backbone.model(batch.astype("float32"), training=False)))
    for at in backbone.cuts:
        trunk, tail = cut(backbone.model, at)
        joined = keras.ops.convert_to_numpy(tail(trunk(batch.astype("float32"), training=False), training=False))
        np.testing.assert_allclose(joined, whole, rtol=1e-5, atol=1e-5, err_msg=at)


@hypothesis_settings(max_examples=12, deadline=None)
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
    model = backbones.load("vgg16_mini", weights=None).model
    trunk, tail = cut(model, "block3_pool")
    with pytest.raises(UserError, match="part of a network.*at 'block4_pool'"):
        cut(tail, "block4_pool")
    middle = keras.Model(model.get_layer("block3_pool").output, model.get_layer("block4_pool").output)
    batch = np.random.default_rng(0).integers(0, 256, size=(2, 64, 64, 3)).astype("float32")
    expected = cut(model, "block4_pool")[0].predict(batch, verbose=0)
    np.testing.assert_allclose(
        middle.predict(trunk.predict(batch, verbose=0), verbose=0), expected, rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("name", ["vgg16_mini", "mobilenet"])
def test_segments_one_after_the_other_give_what_each_trunk_gives(name: str):
    base = backbones.load(name, weights=None, image_size=64)
    x = batch = np.random.default_rng(0).integers(0, 256, size=(2, 64, 64, 3)).astype("float32")
    for at, segment in zip(base.cuts, segments(base.model, base.cuts), strict=True):
        x = keras.ops.convert_to_numpy(segment(x, training=False))
        expected = keras.ops.convert_to_numpy(cut(base.model, at)[0](batch, training=False))
        np.testing.assert_allclose(x, expected, rtol=1e-4, atol=1e-4)


def test_a_sequential_trunk_is_computed_once_too(tmp_path, monkeypatch):
    monkeypatch.setenv("TLUTILS_CACHE", str(tmp_path))
    trunk = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Conv2D(2, 3), keras.layers.Flatten()])
    images = np.random.default_rng(0).normal(size=(3, 4, 4, 3)).astype("float32")
    for _ in range(2):
        found = compute_once(trunk, images)
        np.testing.assert_allclose(found, trunk.predict(images, verbose=0), rtol=1e-5, atol=1e-6)
    assert len(list((tmp_path / "activations").glob("*.npy"))) == 1


def test_a_cut_inside_a_shortcut_is_refused_with_advice():
    model = backbones.load("resnet50", weights=None, image_size=64).model
    with pytest.raises(UserError, match="conv2_block2_1_conv.*cuts"):
        cut(model, "conv2_block2_1_conv")


def test_an_unknown_cut_names_near_layers():
    with pytest.raises(UserError, match="block4_pol.*block4_pool"):
        cut(backbones.load("vgg16_mini", weights=None).model, "block4_pol")


def test_compute_once_returns_what_the_trunk_returns_whatever_the_batch_size():
    trunk, images = small_trunk(), pictures(7)
    expected = trunk.predict(images, verbose=0)
    np.testing.assert_allclose(compute_once(trunk, images, batch_size=3), expected, rtol=1e-5, atol=1e-6)


def test_the_second_call_reads_the_file_and_does_not_run_the_trunk(own_cache):
    trunk, images = small_trunk(), pictures(3)
    compute_once(trunk, images)
    (file,) = (own_cache / "activations").glob("*.npy")
    marked = np.full((3, 8, 8, 4), 7, dtype=np.float32)
    np.save(file, marked)
    np.testing.assert_array_equal(compute_once(trunk, images), marked)


def test_the_same_network_built_again_finds_its_file_whatever_keras_calls_its_layers(own_cache):
    images = pictures(3)
    compute_once(small_trunk(seed=1), images)
    compute_once(small_trunk(seed=1), images)
    assert len(list((own_cache / "activations").glob("*.npy"))) == 1


@pytest.mark.parametrize("change", ["weights", "pictures", "dtype"])
def test_anything_the_activations_depend_on_makes_a_new_file(own_cache, change):
    compute_once(small_trunk(), pictures(3))
    compute_once(
        small_trunk(seed=1 if change == "weights" else 0),
        pictures(3, seed=1 if change == "pictures" else 0),
        dtype="float16" if change == "dtype" else "float32",
    )
    assert len(list((own_cache / "activations").glob("*.npy"))) == 2


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


SCRIPT = """
import sys
import numpy as np
sys.path.insert(0, {root!r})
from tests.test_cut import pictures, small_trunk
from tlutils.cut import compute_once
{before}
try:
    print(float(np.abs(compute_once(small_trunk(), pictures({n}))).sum()))
except Exception as error:
    print(type(error).__name__, error)
"""


def script(n: int, before: str = "") -> list[str]:
    root = str(Path(__file__).resolve().parent.parent)
    return [sys.executable, "-c", SCRIPT.format(root=root, n=n, before=before)]


def test_two_processes_computing_the_same_activations_both_get_them_whole(own_cache):
    both = [subprocess.Popen(script(200), stdout=subprocess.PIPE, text=True) for _ in range(2)]
    sums = [float(process.communicate(timeout=300)[0].split()[-1]) for process in both]
    expected = float(np.abs(small_trunk().predict(pictures(200), verbose=0)).sum())
    assert sums == pytest.approx([expected, expected], rel=1e-4)
    assert [file.suffix for file in (own_cache / "activations").iterdir()] == [".npy"]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="SIGKILL exists on Unix only")
def test_a_killed_computation_leaves_nothing_that_a_later_one_would_read(own_cache):
    slow = "import time, keras; original = keras.Model.predict_on_batch\n"
    slow += "def wait(self, x): time.sleep(0.5); return original(self, x)\nkeras.Model.predict_on_batch = wait"
    process = subprocess.Popen(script(500, slow), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    folder, deadline = own_cache / "activations", time.monotonic() + 120
    while not (folder.is_dir() and any(folder.iterdir())) and time.monotonic() < deadline:
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert [file.suffix for file in folder.iterdir()] == [".partial"]
    expected = small_trunk().predict(pictures(500), verbose=0)
    np.testing.assert_allclose(compute_once(small_trunk(), pictures(500)), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.skipif(os.name == "nt", reason="needs Unix resource limits")
def test_a_full_disk_is_an_error_that_says_what_to_do_and_leaves_nothing_behind(own_cache):
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))"
    done = subprocess.run(script(500, limit), capture_output=True, text=True, timeout=300)
    assert "UserError The activations could not be written" in done.stdout
    assert "TLUTILS_CACHE" in done.stdout
    assert list((own_cache / "activations").iterdir()) == []
