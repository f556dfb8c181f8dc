"""Draw synthetic sounds as spectrograms, pictures that a network of the image world can look at.

Every sound of this module is computed, none is recorded: a second of a chirp, a tone, clicks, noise or a sweep, at any
loudness, with an echo and in noise. The spectrogram turns time into columns and frequency into rows, so that what is
heard is a form; the waveforms stay at hand as truth.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tlutils import settings
from tlutils.synthetic.shapes import World

SOUNDS = ("chirp", "tone stack", "click train", "noise burst", "sweep")

# One second at telephone quality: frequencies up to 4000 Hz.
RATE = SAMPLES = 8000
# Side of a picture: time runs through as many columns, frequency through as many rows.
SIZE = 64
# Decibels from black to white; white is a sine from -1 to 1.
RANGE_DB = 60

Waveform = NDArray[np.float64]

_TIME = np.arange(SAMPLES) / RATE
_FREQUENCIES = np.fft.rfftfreq(SAMPLES, 1 / RATE)
# Partials above this are left out; at RATE / 2 they would fold back.
_HIGHEST = 3800.0


def _between(rng: np.random.Generator, low: float, high: float) -> float:
    """A random frequency, every octave as likely: pitch is heard in ratios."""
    return float(low * (high / low) ** rng.uniform())


def _glide(frequency: Waveform) -> Waveform:
    """A sine whose frequency, in hertz, changes from sample to sample: its phase is the integral."""
    return np.sin(2 * np.pi * np.cumsum(frequency) / RATE)


def _hump(onset: float, length: float, edge: float) -> Waveform:
    """An envelope, 0 to 1: it rises at `onset` and falls before `onset + length`, `edge` seconds each, smoothly."""
    inside = np.minimum(_TIME - onset, onset + length - _TIME) / edge
    return np.sin(np.pi / 2 * np.clip(inside, 0, 1)) ** 2


def _coloured(rng: np.random.Generator, gain: Waveform) -> Waveform:
    """Gaussian noise whose spectrum is `gain`, one number for each of `_FREQUENCIES`."""
    return np.fft.irfft(np.fft.rfft(rng.standard_normal(SAMPLES)) * gain, SAMPLES)


def _chirp(rng: np.random.Generator) -> Waveform:
    """Two to five short glides that rise fast, as a bird repeats them."""
    count, onset = int(rng.integers(2, 6)), rng.uniform(0, 0.3)
    period = rng.uniform(0.1, min(0.25, (0.95 - onset) / count))
    length, start, rise = rng.uniform(0.05, 0.09), _between(rng, 700, 1600), rng.uniform(1.5, 2.2)
    sound = np.zeros(SAMPLES)
    for call in range(count):
        begin, low = onset + call * period, start * rng.uniform(0.95, 1.05)
        risen = np.clip((_TIME - begin) / length, 0, 1)
        sound += _hump(begin, length, length / 3) * _glide(low * rise**risen)
    return sound


def _tone_stack(rng: np.random.Generator) -> Waveform:
    """The harmonics of one pitch, weaker with height, struck once and dying away."""
    pitch, slope = _between(rng, 120, 500), rng.uniform(0.4, 1.2)
    harmonics = np.arange(1, int(_HIGHEST / pitch) + 1)[:, None]
    phases = rng.uniform(0, 2 * np.pi, harmonics.shape)
    waves = np.sin(2 * np.pi * pitch * harmonics * _TIME + phases) / harmonics**slope
    onset, fade = rng.uniform(0, 0.4), rng.uniform(0.1, 0.4)
    struck = _TIME - onset
    envelope = np.clip(struck / rng.uniform(0.005, 0.02), 0, 1) * np.exp(-np.maximum(struck, 0) / fade)
    return waves.sum(axis=0) * envelope


def _click_train(rng: np.random.Generator) -> Waveform:
    """Clicks at regular distances, each a resonance that dies within a few milliseconds."""
    onset, length, period = rng.uniform(0, 0.3), rng.uniform(0.4, 0.7), 1 / rng.uniform(7, 20)
    # Seconds since the last click.
    since = (_TIME - onset) % period
    ringing = np.sin(2 * np.pi * _between(rng, 800, 3200) * since) * np.exp(-since / rng.uniform(0.002, 0.005))
    return ringing * ((_TIME >= onset) & (_TIME < onset + length))


def _noise_burst(rng: np.random.Generator) -> Waveform:
    """A band of noise, half to one and a half octaves wide, that swells and fades."""
    centre, octaves = _between(rng, 500, 2400), rng.uniform(0.5, 1.5)
    # A Gaussian over octaves, one standard deviation to either edge; the constant tone has no octave.
    away = np.log2(np.maximum(_FREQUENCIES, 1) / centre) / (octaves / 2)
    length = rng.uniform(0.2, 0.55)
    onset = rng.uniform(0, 0.95 - length)
    return _coloured(rng, np.exp(-(away**2) / 2)) * _hump(onset, length, length * rng.uniform(0.1, 0.5))


def _sweep(rng: np.random.Generator) -> Waveform:
    """One slow glide, up or down, that takes the whole time."""
    low, high = _between(rng, 200, 1000), _between(rng, 1500, 3600)
    ends = (low, high) if rng.random() < 0.5 else (high, low)
    return _hump(0, 1, rng.uniform(0.03, 0.15)) * _glide(ends[0] * (ends[1] / ends[0]) ** _TIME)


_MAKERS = (_chirp, _tone_stack, _click_train, _noise_burst, _sweep)


def _echo(sound: Waveform, rng: np.random.Generator) -> Waveform:
    """Add up to three repetitions, each as much weaker than the one before."""
    delay, strength = int(rng.uniform(0.05, 0.2) * RATE), rng.uniform(0, 0.5)
    heard = sound.copy()
    for repetition in (1, 2, 3):
        heard[repetition * delay :] += strength**repetition * sound[: -repetition * delay]
    return heard


def _record(sound: Waveform, rng: np.random.Generator) -> Waveform:
    """What a room and a microphone add: an echo, background noise 0 to 25 dB below the sound, 20 dB of loudness."""
    sound = _echo(sound, rng)
    # From white noise to a hum that falls by 6 dB per octave above 200 Hz.
    noise = _coloured(rng, (1 + _FREQUENCIES / 200) ** -rng.uniform(0, 1))
    ratio_db, loudness_db = rng.uniform(0, 25), rng.uniform(-20, 0)
    noise *= np.sqrt(np.mean(sound**2) / np.mean(noise**2)) * 10 ** (-ratio_db / 20)
    mixed = sound + noise
    return mixed / np.abs(mixed).max() * 10 ** (loudness_db / 20)


def waveforms(labels: NDArray[np.int64], seed: int) -> NDArray[np.float32]:
    """Make the sounds that are asked for, in any order and number.

    Parameters
    ----------
    labels : int64 array, shape (n,)
        Indices into `SOUNDS`.
    seed : int
        Sound i is that of ``sounds(per_class, seed)`` wherever both have the same label i.

    Returns
    -------
    float32 array, shape (n, 8000)
        One second each, -1 to 1.

    Examples
    --------
    >>> made = waveforms(np.array([0, 4, 2]), seed=0)
    >>> drawn = sounds(per_class=1, seed=0).truth["waveforms"]
    >>> [bool((made[i] == drawn[i]).all()) for i in range(3)]
    [True, False, True]
    """
    made = np.empty((len(labels), SAMPLES), dtype=np.float32)
    # One child seed per sound: sound i is the same whether 10 or 10,000 are made.
    for index, label in enumerate(labels):
        rng = np.random.default_rng([seed, index])
        made[index] = _record(_MAKERS[label](rng), rng)
    return made


def spectrogram(waveforms: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Turn sounds into pictures: time runs to the right, frequency upwards, loudness is brightness.

    Column p shows the Hann window of 128 samples around sample 125 p, with silence before the beginning and after the
    end. Counted from the lower edge, row r shows the frequency of 62.5 r hertz. Brightness is the logarithm of the
    amplitude: 255 for a sine from -1 to 1 on a row's frequency, 0 at `RANGE_DB` below it and under. A sine halfway
    between two rows is equally bright in both, 1.4 dB too dark (Harris 1978, "On the use of windows for harmonic
    analysis with the discrete Fourier transform", table I, scallop loss).

    Parameters
    ----------
    waveforms : float array, shape (n, 8000)
        From -1 to 1, one second each.

    Returns
    -------
    uint8 array, shape (n, 64, 64, 3)
        Grey: three equal channels.

    Raises
    ------
    ValueError
        Waveforms of another shape or not finite.

    Examples
    --------
    >>> tone = np.sin(2 * np.pi * 1000 * np.arange(8000) / 8000)
    >>> picture = spectrogram(tone[None])[0]
    >>> picture.shape, int(picture.max()), int(picture[:, 32, 0].argmax())
    ((64, 64, 3), 255, 47)
    """
    from scipy import signal

    if waveforms.ndim != 2 or waveforms.shape[1] != SAMPLES or not np.isfinite(waveforms).all():
        raise ValueError(f"waveforms must be finite numbers of shape (n, {SAMPLES}), got shape {waveforms.shape}")
    # Counting both halves of the spectrum, a sine has its own amplitude.
    transform = signal.ShortTimeFFT(
        signal.windows.hann(2 * SIZE, sym=False), SAMPLES // SIZE, RATE, fft_mode="onesided2X", scale_to="magnitude"
    )
    pictures = np.empty((len(waveforms), SIZE, SIZE), dtype=np.uint8)
    # SciPy takes as long for one sound as for several, since it goes from window to window in Python.
    for start in range(0, len(waveforms), 16):
        block = slice(start, start + 16)
        # The window yields one frequency more than there are rows: the highest, RATE / 2, where nothing is heard.
        amplitude = np.abs(transform.stft(waveforms[block], p0=0, p1=SIZE))[:, :SIZE]
        level_db = 20 * np.log10(np.maximum(amplitude, 1e-9))
        pictures[block] = np.clip(1 + level_db / RANGE_DB, 0, 1)[:, ::-1] * 255 + 0.5
    return np.repeat(pictures[..., None], 3, axis=3)


def sounds(per_class: int, seed: int) -> World:
    """Draw spectrograms of five kinds of sound, told apart by their form, not by pitch, place or loudness.

    About 800 sounds per second on one core.

    Parameters
    ----------
    per_class : int
        Sounds of each of the five `SOUNDS`, 1 or more.
    seed : int
        Two worlds of different seeds share no sound.

    Returns
    -------
    World
        Pictures are grey: three equal channels, see `spectrogram`. Truth holds ``waveforms`` (float32, shape
        (n, 8000), -1 to 1).

    Raises
    ------
    settings.UserError
        per_class below 1 or not whole.

    Examples
    --------
    >>> world = sounds(per_class=2, seed=0)
    >>> world.pictures.shape, world.truth["waveforms"].shape
    ((10, 64, 64, 3), (10, 8000))
    >>> world.class_names
    ('chirp', 'tone stack', 'click train', 'noise burst', 'sweep')
    """
    settings.require_whole(1, per_class=per_class)
    n = per_class * len(SOUNDS)
    labels = np.arange(n, dtype=np.int64) % len(SOUNDS)
    heard = waveforms(labels, seed)
    return World(spectrogram(heard), labels, SOUNDS, np.arange(n, dtype=np.int64), {"waveforms": heard})
