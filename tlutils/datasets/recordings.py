"""Labelled recordings: a folder of .wav files with one sub-folder for each class."""

from __future__ import annotations

import hashlib
import math
import struct
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tlutils import settings
from tlutils.datasets import decoding, folders, layouts
from tlutils.datasets.examples import DoubtfulLabel, Examples, contradictions, group_numbers
from tlutils.datasets.reports import FolderNote, Shortcut

# Samples a second that are taken for a recording; resampling from others would take gigabytes.
_RATES = (1_000, 1_000_000)
# Float samples go from -1 to 1, or a little further where a limiter was missing; whole numbers stored as floats go far.
LOUDEST = 8.0
# What a program writes for the length when it does not know it yet, as into a pipe.
_LENGTH_UNKNOWN = b"\xff\xff\xff\xff"


class UnreadableRecording(UserWarning):
    """A recording, or a whole class, was left out because it cannot be read."""


class _Unreadable(Exception):
    """A file is no recording that can be read; the message is the reason."""


@dataclass(frozen=True, eq=False, repr=False)
class Recordings(Examples):
    """Labelled recordings; `datasets.split` takes them as it takes pictures.

    The sounds stay on disk: ``recordings[3]`` reads one of them, a float32 array of shape (samples,), mono, at `rate`
    samples a second, -1 to 1.

    Attributes
    ----------
    name : str
    files : tuple of Path, length n
    labels : int64 array, shape (n,)
        Index into `class_names`.
    class_names : tuple of str
    groups : int64 array, shape (n,)
        Recordings of one group, such as a speaker, never part in a split.
    """

    noun = "recordings"
    rate: ClassVar[int] = 16_000
    name: str
    files: tuple[Path, ...]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    groups: NDArray[np.int64]

    def __post_init__(self) -> None:
        self._require_equal_numbers(files=self.files)

    def _contents(self, chosen: NDArray[np.int64]) -> dict[str, Any]:
        return {"files": tuple(self.files[index] for index in chosen)}

    def __getitem__(self, index: int) -> NDArray[np.float32]:
        file = self.files[index]
        try:
            return _sound(file)
        except _Unreadable as reason:
            raise settings.UserError(f"The recording '{file}' {reason}. Bring the file again.") from reason


def recordings_from_folder(folder: str | Path, groups: str | None = None) -> Recordings:
    r"""Read your own recordings: a folder with one sub-folder of .wav files per class, named like the class.

    Any number of samples a second, whole numbers of 8 to 32 bits or floats, mono or stereo. Every file is read once,
    to find those that cannot be read. Files in deeper folders count for the class folder above.

    Parameters
    ----------
    folder : str or Path
    groups : str, optional
        A regular expression, looked for in the path of each file from its class folder on, such as ``ann/12.wav`` or
        ``ann_12.wav``. The first of its pairs of parentheses that catches something names the group: the speaker, the
        machine, the place. Without it, only files with the same samples are a group.

    Returns
    -------
    Recordings
        Classes in the order of their names, 2 before 10, files in the order of theirs.

    Raises
    ------
    settings.UserError
        No such folder; fewer than two classes with readable recordings; a file name that `groups` does not fit.

    Warns
    -----
    UnreadableRecording
        Names the files and classes that were left out, with the reason.
    FolderNote
        Counts the files that are no .wav; says what it means that no groups are given.
    Shortcut
        Names the classes with a single group, whose voice or place tells the class.
    DoubtfulLabel
        Names files with the same samples in different classes.

    Examples
    --------
    >>> import tempfile
    >>> from scipy.io import wavfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for number, name in enumerate(("no/ann_1", "no/bob_1", "yes/ann_1", "yes/bob_1")):
    ...         (Path(folder) / name).parent.mkdir(exist_ok=True)
    ...         wavfile.write(Path(folder) / f"{name}.wav", 8000, np.full(800, number, dtype=np.int16))
    ...     recordings = recordings_from_folder(folder, groups="^([a-z]+)_")
    ...     recordings.class_names, recordings.groups, recordings[0].shape
    (('no', 'yes'), array([0, 1, 0, 1]), (1600,))
    """
    place = settings.expanded(folder)
    if not place.is_dir():
        what = "is a file, not a folder" if place.exists() else "does not exist"
        raise settings.UserError(f"'{place}' {what}. Give a folder with one sub-folder of .wav files per class.")
    found = [file for file in sorted(place.rglob("*"), key=_order) if file.is_file() and not _junk(file, place)]
    waves = [file for file in found if file.suffix.lower() == ".wav" and file.parent != place]
    kept, digests, bad = [], [], []
    for file in waves:
        try:
            digests.append(hashlib.sha256(_sound(file).tobytes()).hexdigest())
            kept.append(file)
        except _Unreadable as reason:
            bad.append(f"{_shown(file, place)} {reason}")
    names = [layouts.label(file.relative_to(place).parts[0]) for file in kept]
    class_names = tuple(dict.fromkeys(names))
    if len(class_names) < 2:
        only = f"only one class with readable recordings, {class_names[0]!r}" if names else "no readable recording"
        beside = [file.name for file in found if file.parent == place and file.suffix.lower() == ".wav"]
        why = "".join(f"; {reason}" for reason in bad[: settings.NAMED_AT_MOST])
        if beside:
            why += f"; {settings.many(len(beside), 'file')} in no class folder: {settings.listed(beside)}"
        raise settings.UserError(
            f"'{place}' has {only} in its sub-folders{why}. A classifier needs two classes or more: give each a "
            "sub-folder with .wav files."
        )
    below = [Path(*file.relative_to(place).parts[1:]).as_posix() for file in kept]
    keys = folders.group_keys(groups, below) if groups else None
    for category, text in (
        *_left_out(place, found, waves, kept, bad),
        *_doubts([_shown(file, place) for file in kept], digests, names, keys),
    ):
        warnings.warn(text, category, stacklevel=2)
    return Recordings(
        layouts.label(place.resolve().name),
        tuple(kept),
        np.array([class_names.index(name) for name in names], dtype=np.int64),
        class_names,
        group_numbers(digests, *([keys] if keys else [])),
    )


def _order(file: Path) -> tuple[tuple[str | int, ...], ...]:
    return tuple(layouts.natural(part) for part in file.parts)


def _junk(file: Path, place: Path) -> bool:
    return any(map(decoding.is_junk, file.relative_to(place).parts))


def _shown(file: Path, place: Path) -> str:
    return settings.printable(file.relative_to(place).as_posix(), 120)


def _left_out(
    place: Path, found: Sequence[Path], waves: Sequence[Path], kept: Sequence[Path], bad: Sequence[str]
) -> list[tuple[type[UserWarning], str]]:
    """Say what is not used."""
    said: list[tuple[type[UserWarning], str]] = []
    if bad:
        many = settings.many(len(bad), "recording")
        said.append((UnreadableRecording, f"{many} left out: {settings.listed(bad, '; ')}. Replace or delete them."))
    empty = [
        folder.name
        for folder in sorted(place.iterdir(), key=_order)
        if folder.is_dir() and not _junk(folder, place) and not any(file.is_relative_to(folder) for file in kept)
    ]
    if empty:
        many = settings.many(len(empty), "class folder")
        said.append(
            (UnreadableRecording, f"{many} without a readable recording and left out: {settings.listed(empty)}.")
        )
    used = set(waves)
    others = Counter(file.suffix.lower() or "no suffix" for file in found if file not in used)
    if others:
        counted = settings.listed([f"{suffix}: {count}" for suffix, count in others.most_common()])
        many = settings.many(others.total(), "file")
        text = f"{many} that are no .wav in a class folder passed over ({counted}). Convert other sounds to .wav."
        said.append((FolderNote, text))
    return said


def _doubts(
    shown: Sequence[str], digests: Sequence[str], names: Sequence[str], keys: Sequence[str] | None
) -> list[tuple[type[UserWarning], str]]:
    """Say what keeps a score from meaning what it seems to."""
    said: list[tuple[type[UserWarning], str]] = []
    if pairs := contradictions(shown, digests, names):
        listed = settings.listed(pairs, "; ")
        said.append((DoubtfulLabel, f"The same samples under different labels: {listed}. Delete the wrong ones."))
    if keys is None:
        said.append(
            (
                FolderNote,
                "No groups are given, so recordings of one speaker, machine or place may lie on both sides of a split, "
                "and a score counts for these voices only. If the file names tell the speaker, name it: "
                "groups='^([a-z]+)_' for ann_12.wav.",
            )
        )
        return said
    occurring = set(zip(names, keys, strict=True))
    groups, classes = (Counter(pair[side] for pair in occurring) for side in (0, 1))
    alone = [f"{name!r} ({key})" for name, key in sorted(occurring) if groups[name] == classes[key] == 1]
    if alone:
        said.append(
            (
                Shortcut,
                f"Classes of a single group that is in no other class: {settings.listed(alone)}. There the voice or "
                "the place tells the class, so nothing can be concluded from any score: record every class from "
                "several groups.",
            )
        )
    return said


def _sound(file: Path) -> NDArray[np.float32]:
    """Read a .wav file as mono at `Recordings.rate`, shape (samples,)."""
    from scipy.signal import resample_poly

    rate, samples = _read(file)
    if not samples.size:
        raise _Unreadable("holds no sound, 0 samples")
    if not _RATES[0] <= rate <= _RATES[1]:
        raise _Unreadable(f"has {rate:,} samples a second; {_RATES[0]:,} to {_RATES[1]:,} are read")
    if samples.dtype.kind == "u":  # 8 bits have no sign (Microsoft & IBM 1991, "Multimedia programming interface").
        samples = samples.astype(np.float32) / 128 - 1
    elif samples.dtype.kind == "i":
        samples = samples.astype(np.float32) / 2.0 ** (8 * samples.itemsize - 1)
    mono = samples.reshape(len(samples), -1).mean(axis=1, dtype=np.float32)
    if not np.isfinite(mono).all():
        raise _Unreadable("has samples that are not finite (NaN or infinite)")
    loudest = float(np.abs(mono).max())
    if loudest > LOUDEST:
        raise _Unreadable(f"has float samples up to {loudest:,.0f}; save them from -1 to 1, or as 16-bit whole numbers")
    common = math.gcd(rate, Recordings.rate)
    return resample_poly(mono, Recordings.rate // common, rate // common).astype(np.float32)


def _read(file: Path) -> tuple[int, NDArray[Any]]:
    """Return the rate and the samples as they are stored."""
    from scipy.io import wavfile

    try:
        with file.open("rb") as opened:
            head = opened.read(12)
    except OSError as error:
        raise _Unreadable(f"cannot be opened ({error.strerror})") from error
    if not head:
        raise _Unreadable("is empty")
    if head[:4] not in (b"RIFF", b"RIFX", b"RF64") or head[8:] != b"WAVE":
        raise _Unreadable(f"is no WAV file, it begins with {head[:4]!r}")
    try:
        with warnings.catch_warnings():
            # Besides the samples a file may hold anything, such as notes on who recorded it.
            warnings.simplefilter("ignore", wavfile.WavFileWarning)
            if head[4:8] != _LENGTH_UNKNOWN:
                warnings.filterwarnings("error", "Reached EOF prematurely", wavfile.WavFileWarning)
            return wavfile.read(file)
    except (wavfile.WavFileWarning, struct.error) as error:
        raise _Unreadable("is cut short") from error
    # A damaged header can fail with nearly any exception.
    except Exception as error:
        raise _Unreadable(f"is damaged or in a form that is not read ({error})") from error
