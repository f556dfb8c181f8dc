"""A folder of .wav files becomes labelled recordings, whatever form they have; what cannot be read is named."""

from __future__ import annotations

import warnings
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import wavfile

from tlutils import datasets
from tlutils.settings import UserError

Array = np.ndarray[Any, Any]


def sine(rate: int, seconds: float = 1.0, frequency: float = 440.0) -> Array:
    """A sine of height 0.5."""
    return 0.5 * np.sin(2 * np.pi * frequency * np.arange(int(rate * seconds)) / rate)


def save(path: Path, sound: Array, rate: int = 16_000, form: str = "int16") -> Path:
    """Write samples of -1 to 1 as whole numbers of 8, 16, 24 or 32 bits or as floats; second axis: channels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if form == "int24":
        whole = np.round(sound * 2**23).astype("<i4").reshape(len(sound), -1)
        with wave.open(str(path), "wb") as file:
            file.setnchannels(whole.shape[1])
            file.setsampwidth(3)
            file.setframerate(rate)
            file.writeframes(whole.view(np.uint8).reshape(-1, 4)[:, :3].tobytes())
    elif form.startswith("float"):
        wavfile.write(path, rate, sound.astype(form))
    elif form == "uint8":
        wavfile.write(path, rate, np.round(sound * 128 + 128).astype(form))
    else:
        wavfile.write(path, rate, np.round(sound * 2.0 ** (int(form[3:]) - 1)).astype(form))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two words by two speakers, 200 ms each."""
    for word, frequency in (("no", 300), ("yes", 700)):
        for number, speaker in enumerate(("ann", "bob")):
            save(tmp_path / "words" / word / f"{speaker}_1.wav", sine(16_000, 0.2, frequency + 50 * number))
    return tmp_path / "words"


def read(folder: Path, groups: str | None = r"^([a-z]+)_") -> datasets.Recordings:
    """Read a folder that gives no reason for a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return datasets.recordings_from_folder(folder, groups)


def test_labels_classes_and_groups_follow_folders_and_file_names(folder: Path) -> None:
    found = read(folder)
    assert repr(found) == "words: 4 recordings, 2 classes (no: 2, yes: 2)"
    assert found.labels.tolist() == [0, 0, 1, 1] and found.groups.tolist() == [0, 1, 0, 1]
    assert [file.name for file in found.files] == ["ann_1.wav", "bob_1.wav"] * 2
    np.testing.assert_allclose(found[0], sine(16_000, 0.2, 300), atol=1e-4)
    bobs = found.subset(found.groups == 1)
    assert bobs.labels.tolist() == [0, 1] and bobs.files == (found.files[1], found.files[3])


@pytest.mark.parametrize("form", ["uint8", "int16", "int24", "int32", "float32", "float64"])
@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
def test_every_width_and_rate_becomes_the_same_sound(folder: Path, form: str, rate: int) -> None:
    save(folder / "no" / "cay_1.wav", sine(rate), rate, form)
    sound = read(folder)[2]
    assert sound.dtype == np.float32 and len(sound) == 16_000
    # The ends hold the resampling filter's response to silence before and after.
    middle = slice(400, -400)
    np.testing.assert_allclose(sound[middle], sine(16_000)[middle], atol=0.01 if form == "uint8" else 0.002)


def test_stereo_becomes_the_mean_of_its_channels(folder: Path) -> None:
    save(folder / "no" / "cay_1.wav", np.stack([sine(16_000), np.zeros(16_000)], axis=1), form="int24")
    np.testing.assert_allclose(read(folder)[2], sine(16_000) / 2, atol=1e-4)


def test_a_recording_of_ten_minutes_is_read_in_full(folder: Path) -> None:
    save(folder / "no" / "cay_1.wav", sine(8_000, 600), 8_000)
    assert len(read(folder)[2]) == 600 * 16_000


def bad_files(folder: Path) -> dict[str, bytes]:
    """Contents that are no readable recording, by the reason that is to be said."""
    whole = save(folder / "whole.wav", sine(16_000)).read_bytes()
    nothing = save(folder / "whole.wav", np.zeros(0)).read_bytes()
    (folder / "whole.wav").unlink()
    return {
        "is no WAV file, it begins with b'ID3": b"ID3\x03" + bytes(100),
        "is no WAV file, it begins with b'<htm": b"<html><body>Not found</body></html>",
        "is empty": b"",
        "holds no sound, 0 samples": nothing,
        "is cut short": whole[:20_001],
        "is damaged or in a form that is not read .Unknown wave file format: MULAW": whole[:20] + b"\7\0" + whole[22:],
        "has 7 samples a second": whole[:24] + bytes([7, 0, 0, 0, 14, 0, 0, 0]) + whole[32:],
    }


def test_what_cannot_be_read_is_named_with_its_reason_and_left_out(folder: Path, tmp_path: Path) -> None:
    for number, content in enumerate(bad_files(tmp_path).values()):
        (folder / "yes" / f"bad_{number}.wav").write_bytes(content)
    save(folder / "yes" / "loud_1.wav", 12_000 * sine(16_000), form="float32")
    save(folder / "yes" / "nan_1.wav", np.array([0, np.nan]), form="float32")
    with pytest.warns(datasets.UnreadableRecording, match="9 recordings left out") as caught:
        found = datasets.recordings_from_folder(folder, "^([a-z]+)_")
    said = str(caught[0].message)
    for number, reason in enumerate(bad_files(tmp_path)):
        assert f"yes/bad_{number}.wav {reason.split(' .')[0]}" in said
    assert "yes/loud_1.wav has float samples up to 6,000" in said and "yes/nan_1.wav has samples that are not" in said
    assert found.counts.tolist() == [2, 2]


def test_every_single_changed_byte_of_a_header_is_read_or_refused(folder: Path) -> None:
    file = folder / "no" / "ann_1.wav"
    whole = file.read_bytes()
    for position in range(44):
        for value in (0, 1, 127, 255):
            file.write_bytes(whole[:position] + bytes([value]) + whole[position + 1 :])
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", datasets.UnreadableRecording)
                found = datasets.recordings_from_folder(folder / ".." / "words", "^([a-z]+)_")
            assert len(found) in (3, 4)


def test_a_length_that_a_pipe_left_unknown_does_not_matter(folder: Path) -> None:
    file = folder / "no" / "ann_1.wav"
    whole, before = file.read_bytes(), read(folder)[0]
    file.write_bytes(whole[:4] + b"\xff" * 4 + whole[8:40] + b"\xff" * 4 + whole[44:])
    np.testing.assert_array_equal(read(folder)[0], before)


def test_other_files_and_empty_classes_are_counted_hidden_ones_are_not(folder: Path) -> None:
    (folder / "no" / "ann_2.mp3").touch()
    (folder / "no" / "._ann_1.wav").touch()
    (folder / "no" / "Thumbs.db").touch()
    (folder / "@eaDir").mkdir()
    save(folder / "@eaDir" / "ann_1.wav", sine(16_000))
    (folder / "perhaps").mkdir()
    save(folder / "loose.wav", sine(16_000))
    with pytest.warns() as caught:
        found = datasets.recordings_from_folder(folder, "^([a-z]+)_")
    said = [str(warning.message) for warning in caught]
    assert len(found) == 4 and len(said) == 2
    assert "1 class folder without a readable recording and left out: perhaps" in said[0]
    assert "2 files that are no .wav in a class folder passed over (.wav: 1, .mp3: 1)" in said[1]


def test_without_groups_it_is_said_what_a_score_counts_for(folder: Path) -> None:
    with pytest.warns(datasets.FolderNote, match="a score counts for these voices only"):
        found = datasets.recordings_from_folder(folder)
    assert len(set(found.groups)) == 4


def test_classes_of_one_speaker_each_allow_no_conclusion(tmp_path: Path) -> None:
    for word, speaker in (("no", "ann"), ("yes", "bob")):
        for number in range(3):
            save(tmp_path / word / f"{speaker}_{number}.wav", sine(16_000, 0.1, 300 + 10 * number + 200 * len(word)))
    with pytest.warns(datasets.Shortcut, match=r"'no' \(ann\), 'yes' \(bob\).* nothing can be concluded"):
        found = datasets.recordings_from_folder(tmp_path, "^([a-z]+)_")
    with pytest.raises(UserError, match="has 3 examples in 1 groups"):
        datasets.split(found, labels_per_class=1, seed=0)


def test_a_folder_below_the_class_may_name_the_speaker(tmp_path: Path) -> None:
    for at, name in enumerate(("10/ann/1", "10/bob/1", "2/ann/1", "2/bob/1")):
        save(tmp_path / f"{name}.wav", sine(16_000, 0.1, 200 + 100 * at))
    found = read(tmp_path, "^([^/]+)/")
    assert found.class_names == ("2", "10")
    assert found.groups.tolist() == [0, 1, 0, 1]


def test_the_same_samples_share_a_group_and_may_not_have_two_labels(folder: Path) -> None:
    (folder / "yes" / "cay_1.wav").write_bytes((folder / "no" / "ann_1.wav").read_bytes())
    with pytest.warns(datasets.DoubtfulLabel, match=r"no/ann_1\.wav and yes/cay_1\.wav"):
        found = datasets.recordings_from_folder(folder, "^([a-z]+)_")
    assert found.groups[0] == found.groups[4]


def test_a_split_keeps_speakers_apart(tmp_path: Path) -> None:
    for word in ("no", "yes"):
        for speaker in "abcdef":
            for take in range(2):
                frequency = 100 + 10 * ord(speaker) + 7 * take + 900 * (word == "no")
                save(tmp_path / word / f"{speaker}_{take}.wav", sine(16_000, 0.05, frequency))
    found = read(tmp_path, "^(.)_")
    split = datasets.split(found, labels_per_class=None, seed=0)
    sides = [set(found.groups[side].tolist()) for side in (split.train, split.validation, split.test)]
    assert sum(map(len, sides)) == len(set.union(*sides)) == 6


def test_an_unusable_folder_is_an_error_with_the_next_step(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist. Give a folder"):
        datasets.recordings_from_folder(tmp_path / "nowhere")
    with pytest.raises(UserError, match="is a file, not a folder"):
        datasets.recordings_from_folder(folder / "no" / "ann_1.wav")
    with pytest.raises(UserError, match=r"no readable recording in its sub-folders; 2 files in no class folder: ann_1"):
        datasets.recordings_from_folder(folder / "no")
    for file in (folder / "yes").iterdir():
        file.write_bytes(b"")
    with pytest.raises(UserError, match="only one class with readable recordings, 'no' .*yes/ann_1.wav is empty"):
        datasets.recordings_from_folder(folder)


def test_a_file_that_vanished_or_broke_since_is_an_error_that_names_it(folder: Path) -> None:
    found = read(folder)
    found.files[0].write_bytes(b"RIFF")
    found.files[1].unlink()
    with pytest.raises(UserError, match=r"ann_1\.wav' is no WAV file"):
        found[0]
    with pytest.raises(UserError, match=r"bob_1\.wav' cannot be opened"):
        found[1]
