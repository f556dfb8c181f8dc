"""A spectrogram shows what its definition says, and sounds are the same every time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st

from tlutils import settings
from tlutils.synthetic import sounds

TIME = np.arange(8000) / 8000


def sine(hertz: float, loudness_db: float = 0.0) -> np.ndarray:
    return 10 ** (loudness_db / 20) * np.sin(2 * np.pi * hertz * TIME)


@pytest.fixture(scope="module")
def world() -> sounds.World:
    return sounds.sounds(per_class=24, seed=5)


def waveforms_of(world: sounds.World, kind: str) -> np.ndarray:
    return world.truth["waveforms"][world.labels == world.class_names.index(kind)].astype(float)


def strongest_frequencies(waveform: np.ndarray, frames: int) -> np.ndarray:
    """Hertz of the strongest bin in each of `frames` equal parts of a sound, without any window."""
    parts = waveform.reshape(frames, -1)
    return np.abs(np.fft.rfft(parts, axis=1)).argmax(axis=1) * 8000 / parts.shape[1]


def test_the_same_call_draws_the_same_sounds():
    first, again = sounds.sounds(per_class=2, seed=5), sounds.sounds(per_class=2, seed=5)
    assert np.array_equal(first.pictures, again.pictures)
    assert np.array_equal(first.truth["waveforms"], again.truth["waveforms"])


def test_a_sound_does_not_depend_on_how_many_are_drawn(world: sounds.World):
    few = sounds.sounds(per_class=2, seed=5)
    assert np.array_equal(few.pictures, world.pictures[:10])
    assert np.array_equal(few.truth["waveforms"], world.truth["waveforms"][:10])


def test_seeds_and_places_in_a_world_share_no_sound():
    drawn = np.concatenate([sounds.sounds(per_class=3, seed=s).truth["waveforms"] for s in range(3)])
    assert len({waveform.tobytes() for waveform in drawn}) == 45


def test_classes_are_interleaved_and_balanced(world: sounds.World):
    assert world.class_names == ("chirp", "tone stack", "click train", "noise burst", "sweep")
    assert world.labels.tolist() == list(range(5)) * 24
    assert world.groups.tolist() == list(range(120))


def test_shapes_and_types_are_as_documented(world: sounds.World):
    assert (world.pictures.shape, world.pictures.dtype) == ((120, 64, 64, 3), np.uint8)
    assert (world.truth["waveforms"].shape, world.truth["waveforms"].dtype) == ((120, 8000), np.float32)
    assert world.labels.dtype == world.groups.dtype == np.int64
    assert (world.pictures == world.pictures[..., :1]).all()


def test_the_pictures_are_the_spectrograms_of_the_waveforms(world: sounds.World):
    assert np.array_equal(world.pictures, sounds.spectrogram(world.truth["waveforms"]))


def test_waveforms_stay_inside_full_scale_and_vary_in_loudness_by_up_to_twenty_decibels(world: sounds.World):
    peaks_db = 20 * np.log10(np.abs(world.truth["waveforms"]).max(axis=1))
    assert -20 - 1e-4 <= peaks_db.min() < -16
    assert -4 < peaks_db.max() <= 1e-4


def test_a_sweep_goes_one_way_for_the_whole_second(world: sounds.World):
    # Noise can drown single moments; the middle one of five cannot be wrong often.
    directions = []
    for waveform in waveforms_of(world, "sweep"):
        heard = strongest_frequencies(waveform, 25).reshape(5, 5)
        thirds = np.log(np.median(heard, axis=1))
        directions.append(np.sign(thirds[-1] - thirds[0]))
        assert abs(thirds[-1] - thirds[0]) > np.log(1.2)
        assert (np.sign(np.diff(thirds)) == directions[-1]).mean() >= 0.75
    assert set(directions) == {-1.0, 1.0}


def test_the_other_sounds_leave_some_of_the_second_to_the_background(world: sounds.World):
    """A moment's power falls far below the loudest one's somewhere, unless the noise is loud; never in a sweep."""

    def quiet_share(kind: str) -> float:
        power = np.square(waveforms_of(world, kind).reshape(24, 20, 400)).mean(axis=2)[:, 1:-1]
        return float(np.median((power < 0.1 * power.max(axis=1, keepdims=True)).mean(axis=1)))

    assert quiet_share("sweep") < 0.05
    for kind in ("chirp", "tone stack", "noise burst"):
        assert quiet_share(kind) > 0.2, kind


def test_a_tone_stack_has_lines_at_equal_distances(world: sounds.World):
    """The product spectrum (Schroeder 1968): multiplied over 1, 2, 3, ... times a frequency, the pitch wins."""
    sharpness = {}
    for kind in ("tone stack", "noise burst"):
        power = np.log(np.abs(np.fft.rfft(waveforms_of(world, kind), axis=1)) ** 2 + 1e-9)
        pitches = np.arange(120, 501)
        products = np.stack([power[:, pitches * k] for k in (1, 2, 3, 4)]).mean(axis=0)
        sharpness[kind] = np.median(products.max(axis=1) - np.median(products, axis=1))
    assert sharpness["tone stack"] > sharpness["noise burst"] + 2


def test_clicks_come_at_regular_distances(world: sounds.World):
    """The envelope repeats itself after a period of 1/20 to 1/7 s more faithfully than that of a noise burst."""
    faithful = {}
    for kind in ("click train", "noise burst"):
        envelope = np.abs(waveforms_of(world, kind)).reshape(24, 1000, 8).mean(axis=2)
        # Slow changes are no clicks.
        slow = np.stack([np.convolve(row, np.ones(150) / 150, mode="same") for row in envelope])
        rest = envelope - slow
        spectrum = np.abs(np.fft.rfft(rest, 2048, axis=1)) ** 2
        correlation = np.fft.irfft(spectrum, axis=1)
        faithful[kind] = np.median(correlation[:, 48:144].max(axis=1) / correlation[:, 0])
    assert faithful["click train"] > 0.3 > 1.5 * faithful["noise burst"]


@given(st.floats(100, 3850))
def test_a_pure_tone_is_brightest_in_the_row_of_its_frequency(hertz: float):
    picture = sounds.spectrogram(sine(hertz)[None])[0, :, :, 0]
    inner = picture[:, 2:-2].astype(int)
    expected = hertz / 62.5
    brightest = 63 - inner.argmax(axis=0)
    # Halfway between two rows they tie, up to rounding.
    assert np.abs(brightest - expected).max() <= 0.53


@given(st.floats(-39, 0), st.integers(5, 60))
def test_twenty_decibels_are_a_third_of_the_brightness(loudness_db: float, row: int):
    loud, soft = sounds.spectrogram(np.stack([sine(row * 62.5, loudness_db), sine(row * 62.5, loudness_db - 20)]))
    shown = [int(picture[63 - row, 32, 0]) for picture in (loud, soft)]
    assert abs(shown[0] - shown[1] - 255 * 20 / 60) <= 1
    assert abs(shown[0] - 255 * (1 + loudness_db / 60)) <= 0.51


def test_a_full_scale_sine_reaches_white_and_sixty_decibels_below_it_is_black():
    full, faint, silent = sounds.spectrogram(np.stack([sine(1000), sine(1000, -60.1), np.zeros(8000)]))
    assert full.max() == 255
    assert full[63 - 16, 1:-1].min() == 255
    assert faint.max() == silent.max() == 0


@given(st.integers(1, 62))
def test_a_moment_lights_up_the_column_of_its_time(column: int):
    click = np.zeros((1, 8000))
    click[0, column * 125 - 2 : column * 125 + 3] = (0, 0, 1, 0, 0)
    picture = sounds.spectrogram(click)[0, :, :, 0]
    assert picture.max(axis=0).argmax() == column
    assert picture[:, column].min() > 0
    assert np.delete(picture, [column - 1, column, column + 1], axis=1).max() == 0


def test_a_spectrogram_is_the_transform_written_out_from_its_definition():
    waveform = np.random.default_rng(0).uniform(-1, 1, 8000) * np.linspace(0, 1, 8000) ** 2
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(128) / 128)
    waves = np.exp(-2j * np.pi * np.outer(np.arange(64), np.arange(128)) / 128)
    padded = np.concatenate([np.zeros(128), waveform, np.zeros(128)])
    expected = np.zeros((64, 64))
    for column in range(64):
        # The window's middle, sample 64 of it, lies on sample 125 * column of the sound.
        piece = padded[128 + 125 * column - 64 :][:128] * window
        # A sine of amplitude a splits into two halves; one bin, the constant, has only one.
        amplitude = np.abs(waves @ piece) / window.sum() * np.where(np.arange(64) > 0, 2, 1)
        expected[::-1, column] = 255 * (1 + 20 * np.log10(np.maximum(amplitude, 1e-9)) / 60)
    shown = sounds.spectrogram(waveform[None])[0, :, :, 0]
    assert np.abs(shown - expected.clip(0, 255)).max() <= 0.501
    assert 0 < expected.mean() < 255


@profile(max_examples=20)
@given(st.integers(0, 2**32 - 1), st.integers(1, 3))
def test_a_spectrogram_does_not_depend_on_its_neighbours_or_the_sign(seed: int, n: int):
    waveforms = np.random.default_rng(seed).uniform(-1, 1, (n, 8000)).astype(np.float32)
    together = sounds.spectrogram(waveforms)
    assert together.shape == (n, 64, 64, 3)
    for waveform, picture in zip(waveforms, together, strict=True):
        assert np.array_equal(sounds.spectrogram(-waveform[None])[0], picture)


@pytest.mark.parametrize("per_class", [0, -1, 1.5])
def test_an_impossible_world_is_refused(per_class: float):
    with pytest.raises(settings.UserError, match=f"per_class={per_class} must be a whole number of at least 1"):
        sounds.sounds(per_class=per_class, seed=0)


@pytest.mark.parametrize("shape", [(8000,), (1, 7999), (1, 8000, 1)])
def test_waveforms_of_another_length_are_refused(shape: tuple[int, ...]):
    with pytest.raises(ValueError, match=r"shape \(n, 8000\), got shape"):
        sounds.spectrogram(np.zeros(shape))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_waveforms_that_are_not_finite_are_refused(value: float):
    waveforms = np.zeros((2, 8000))
    waveforms[1, 17] = value
    with pytest.raises(ValueError, match="finite"):
        sounds.spectrogram(waveforms)
