"""The speech embedding computes what its publisher's file says, on spectrograms that follow their definition."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import nbformat
import numpy as np
import pytest

from tlutils import cut, datasets
from tlutils.models import speech
from tlutils.settings import UserError

Array = np.ndarray[Any, Any]


@pytest.fixture(scope="module")
def onnx_file(carried: Callable[[str], Path]) -> Path:
    """Bring the published file."""
    return carried("speech_embedding")


@pytest.fixture(scope="module")
def encoder(onnx_file: Path) -> speech.Encoder:
    """Load the encoder once."""
    return speech.load()


def noise(seconds: float, seed: int = 0) -> Array:
    """Noise that swells three times a second."""
    samples = int(16_000 * seconds)
    swell = 0.01 + np.sin(3 * np.pi * np.arange(samples) / 16_000) ** 2
    return 0.1 * swell * np.random.default_rng(seed).standard_normal(samples)


def spectrogram(sound: Array) -> Array:
    """The definition, frame by frame and band by band in double precision."""
    shape = np.zeros(512)
    shape[56:456] = [0.5 - 0.5 * math.cos(2 * math.pi * n / 400) for n in range(400)]
    waves = np.exp(-2j * np.pi * np.outer(np.arange(512), np.arange(257)) / 512)
    starts = range(0, len(sound) - 511, 160)
    power = np.array([np.abs((32768 * sound[start : start + 512] * shape) @ waves) ** 2 for start in starts])
    # Slaney's scale: 3 mels for 200 Hz up to 1000 Hz, then 27 for every factor of 6.4.
    top = 15 + 27 * math.log(3800 / 1000, 6.4)
    edges = [60 + (m - 0.9) * 200 / 3 if m < 15 else 1000 * 6.4 ** ((m - 15) / 27) for m in np.linspace(0.9, top, 34)]
    bands = []
    for low, middle, high in zip(edges, edges[1:], edges[2:], strict=False):
        triangle = np.interp(np.arange(257) * 16_000 / 512, [low, middle, high], [0, 1, 0])
        bands.append(power @ triangle * 2 / (high - low))
    decibels = 10 * np.log10(np.maximum(bands, 1e-10)).T
    return np.maximum(decibels, decibels.max() - 80) / 10 + 2


def test_the_front_end_follows_its_definition() -> None:
    sound = noise(1.0)
    np.testing.assert_allclose(speech.log_mel(sound), spectrogram(sound), atol=1e-4)
    quiet = np.concatenate([sound, np.zeros(3200)])  # reaches the floor of 80 decibels below the loudest
    found = speech.log_mel(quiet)
    assert found.max() - found.min() == pytest.approx(8)
    np.testing.assert_allclose(found, spectrogram(quiet), atol=1e-4)


def written_in_the_lesson(name: str) -> Callable[..., Array]:
    """A function as lesson 12b writes it out."""
    lesson = nbformat.read(Path(__file__).resolve().parents[2] / "notebooks" / "12b_speech.ipynb", as_version=4)
    [cell] = [cell for cell in lesson.cells if f"def {name}(" in cell.source]
    names: dict[str, Any] = {"np": np}
    exec(cell.source.split("\n\n\n")[0], names)
    return names[name]


def test_the_spectrogram_that_the_lesson_writes_out_is_what_the_bands_are_made_of() -> None:
    sound = noise(1.0)
    decibels = written_in_the_lesson("spectrogram")(2**15 * sound)
    assert decibels.shape == (97, 257)
    bands = 10 * np.log10(10 ** (decibels / 10) @ speech._mel_bands())
    np.testing.assert_allclose(np.maximum(bands, bands.max() - 80) / 10 + 2, speech.log_mel(sound), atol=1e-4)


@pytest.mark.network
def test_the_mean_over_windows_that_the_lesson_writes_out_is_that_of_the_package(encoder: speech.Encoder) -> None:
    sounds = [noise(0.3), noise(2.0, 1), noise(1.1, 2)]
    inputs, owners = speech.windows(sounds)
    found = written_in_the_lesson("mean_of_windows")(encoder.model.predict_on_batch(inputs), owners)
    np.testing.assert_allclose(found, speech.embed(encoder, sounds), atol=1e-4)


@pytest.mark.network
def test_the_network_equals_onnx_runtime_on_noise_and_on_real_speech(
    onnx_file: Path, encoder: speech.Encoder, real_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed here")
    monkeypatch.setenv("TLUTILS_MIRROR", str(real_data / "publisher"))
    digits = datasets.spoken_digits()
    spoken, _ = speech.windows(digits.subset(np.arange(0, len(digits), 50)))
    inputs = np.concatenate([spoken, speech.windows([noise(3.0)])[0]])
    [expected] = runtime.InferenceSession(onnx_file).run(None, {"input_1": inputs})
    found = encoder.model.predict_on_batch(inputs)
    np.testing.assert_allclose(found, expected.reshape(len(inputs), 96), rtol=0, atol=1e-4)
    assert np.ptp(expected) > 10


@pytest.mark.network
def test_every_cut_parts_the_network_and_gives_back_the_same(encoder: speech.Encoder) -> None:
    inputs, _ = speech.windows([noise(1.0)])
    whole = encoder.model.predict_on_batch(inputs)
    for at in encoder.cuts:
        trunk, tail = cut.cut(encoder.model, at)
        np.testing.assert_allclose(tail.predict_on_batch(trunk.predict_on_batch(inputs)), whole, atol=1e-4)
    trunk, _ = cut.cut(encoder.model, encoder.cuts[0])
    assert not trunk.weights
    # 328,056 numbers in the publisher's convolutions and biases, 96 and 48 in the one batch normalisation.
    assert encoder.model.count_params() == 328_200 and "328,200 parameters" in repr(encoder)


@pytest.mark.network
def test_a_long_recording_is_the_mean_over_windows_and_a_short_one_is_padded(encoder: speech.Encoder) -> None:
    exact, long, short = noise(0.79, 1), noise(1.17, 2), noise(0.3, 3)
    vectors = speech.embed(encoder, [exact, long, short])
    assert vectors.shape == (3, 96) and vectors.dtype == np.float32
    frames = speech.log_mel(long)
    assert len(frames) == 114  # one and a half windows
    halves = np.stack([frames[:76], frames[38:]])[..., None]
    np.testing.assert_allclose(vectors[1], encoder.model.predict_on_batch(halves).mean(axis=0), atol=1e-4)
    padded = np.pad(short, (75 * 160 + 512 - 4_800) // 2)
    np.testing.assert_allclose(vectors[2], speech.embed(encoder, [padded])[0], atol=1e-4)
    np.testing.assert_allclose(vectors[0], speech.embed(encoder, [exact])[0], atol=1e-4)


def test_windows_reach_from_beginning_to_end_and_overlap_by_half_or_more() -> None:
    for frames in (76, 77, 114, 115, 500):
        sound = noise((512 + 160 * (frames - 1)) / 16_000)
        all_frames = speech.log_mel(sound)
        inputs, owners = speech.windows([sound])
        starts = [int(np.flatnonzero((all_frames == window[0, :, 0]).all(axis=1))[0]) for window in inputs]
        assert len(all_frames) == frames and starts[0] == 0 and starts[-1] == frames - 76
        assert (np.diff(starts) <= 38).all() and (owners == 0).all()


def test_ten_minutes_are_many_windows_and_silence_is_finite() -> None:
    inputs, owners = speech.windows([np.zeros(100), noise(600), np.zeros(20_000)])  # the last one has 122 frames
    assert 1_500 < np.bincount(owners)[1] < 1_700
    assert np.isfinite(inputs).all() and np.bincount(owners).tolist()[::2] == [1, 3]


@pytest.mark.parametrize(
    "sound",
    [np.zeros((2, 16_000)), np.zeros(9, dtype=np.int16), np.zeros(0), np.array([0.0, np.nan]), np.array([3e4, -3e4])],
)
def test_what_is_no_recording_is_refused(sound: Array) -> None:
    with pytest.raises(UserError, match=r"is no recording; give finite floats .* 16,000 samples a second"):
        speech.windows([sound])


def test_no_recordings_are_an_error() -> None:
    with pytest.raises(UserError, match="no recordings to embed"):
        speech.windows([])


@pytest.mark.network
@pytest.mark.parametrize("damage", ["cut short", "one byte changed"])
def test_a_damaged_file_is_never_used(
    onnx_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    whole = onnx_file.read_bytes()
    damaged = (
        whole[:700_000] if damage == "cut short" else whole[:700_000] + bytes([whole[700_000] ^ 1]) + whole[700_001:]
    )
    kept = tmp_path / "cache" / "downloads" / onnx_file.name
    kept.parent.mkdir(parents=True)
    kept.write_bytes(damaged)
    monkeypatch.setenv("TLUTILS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TLUTILS_MIRROR", str(tmp_path / "mirror"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    reason = "700,000 bytes instead of 1,328,103" if damage == "cut short" else "other bytes than published"
    with pytest.raises(UserError, match=reason):
        speech.load()
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / onnx_file.name).write_bytes(whole)
    assert isinstance(speech.load().model, keras.Model) and kept.read_bytes() == whole
