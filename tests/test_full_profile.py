"""The full profile works: its data come from publishers on loopback, in their layouts, with contents of ours.

Flowers, tissue and VGG16 come the same way in the tests of their loaders.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
import wave
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from shop import tar_of, visible

from tlutils import cli, course, datasets, runs, store
from tlutils.datasets import medmnist
from tlutils.settings import ROOT, UserError

Publish = Callable[[str, bytes], store.File]
ROSE = "flower_photos/rose/1.jpg"


def _ultrasound(side: int) -> bytes:
    """Noise, darker in its middle where it is malignant (label 0), in the arrays of MedMNIST."""
    rng, arrays = np.random.default_rng(0), {}
    for name, count in (("train", 200), ("val", 40), ("test", 80)):
        labels = (np.arange(count) % 4 > 0).astype(np.uint8)
        pictures = rng.integers(100, 256, (count, side, side), dtype=np.uint8)
        pictures[labels == 0, side // 4 : -side // 4, side // 4 : -side // 4] //= 2
        arrays |= {f"{name}_images": pictures, f"{name}_labels": labels[:, None]}
    packed = io.BytesIO()
    np.savez_compressed(packed, **arrays)
    return packed.getvalue()


def test_ultrasound_pictures_keep_the_publishers_split(publish: Publish) -> None:
    publish("breastmnist_128", _ultrasound(128))
    found, split = medmnist.from_npz(store.fetch("breastmnist_128"))
    assert found.pictures.shape == (320, 128, 128, 3) and found.counts.tolist() == [80, 240]
    assert [len(side) for side in (split.train, split.validation, split.test)] == [200, 40, 80]


def test_spoken_digits_know_their_speakers(publish: Publish) -> None:
    top, files = "free-spoken-digit-dataset-1.0.9", {}
    for digit in range(10):
        for speaker in ("ada", "bob"):
            sound = io.BytesIO()
            with wave.open(sound, "wb") as written:
                written.setparams((1, 2, 8000, 0, "NONE", ""))
                written.writeframes(bytes([digit, 0]) * 4000)
            files[f"{top}/recordings/{digit}_{speaker}_0.wav"] = sound.getvalue()
    publish("spoken_digits", tar_of(files))
    found = datasets.spoken_digits()
    assert found.labels.tolist() == sorted([*range(10)] * 2) and Counter(found.groups.tolist()) == {0: 10, 1: 10}


def test_review_sentences_are_taken_out_of_their_archive(publish: Publish) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for stem in ("amazon_cells", "imdb", "yelp"):
            rows = 'It \x85 broke. \t0\nSays "yes".\t1\n'
            archive.writestr(f"sentiment labelled sentences/{stem}_labelled.txt", rows)
    publish("review_sentences", packed.getvalue())
    found = datasets.review_sentences()
    assert found.texts == ("It \x85 broke.", 'Says "yes".') * 3 and found.labels.tolist() == [0, 1] * 3


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (tar_of({"../evil.txt": b"evil"}), "its member '../evil.txt' is a link or a device, or leads out"),
        (tar_of({"/tmp/evil.txt": b"evil"}), "its member '/tmp/evil.txt' is a link or a device, or leads out"),
        (
            tar_of({}, name=ROSE, type=tarfile.SYMTYPE, linkname="../../../evil"),
            "its member 'flower_photos/rose/1.jpg' is a link",
        ),
        (
            tar_of({}, name=ROSE, type=tarfile.BLKTYPE, devmajor=8),
            "its member 'flower_photos/rose/1.jpg' is a link or a device",
        ),
        (tar_of({f"flower_photos/rose/{n}.jpg": bytes(35_000_000) for n in range(3)}), "it would become 105.0 MB"),
    ],
    ids=["up", "absolute", "a link", "a device", "a bomb"],
)
def test_an_archive_that_would_harm_is_refused_and_leaves_nothing(
    publish: Publish, tmp_path: Path, content: bytes, reason: str
) -> None:
    publish("flower_photos", content)
    with pytest.raises(UserError, match=rf"flower_photos\.tgz is not unpacked: {reason}"):
        datasets.load("flower_photos")
    assert visible(tmp_path) == ["cache/downloads/flower_photos.tgz"]


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make here")
def test_make_run_hands_the_profile_on() -> None:
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL")}

    def commands(*words: str) -> list[str]:
        command = ["make", "--dry-run", "--always-make", "run", *words]
        said = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout
        return [line for line in said.splitlines() if line.startswith(".venv/bin/tlutils")]

    assert commands("PROFILE=full") == [
        ".venv/bin/tlutils fetch --profile full",
        ".venv/bin/tlutils run -p profile full --output-dir build/run",
    ]
    # With -p, a claim that fails would be tolerated.
    assert commands()[1] == ".venv/bin/tlutils run --output-dir build/run"


@pytest.mark.slow
def test_a_lesson_runs_on_what_its_publisher_serves(
    publish: Publish, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = publish("breastmnist_128", _ultrasound(128))
    # For the kernel, which is another process.
    program = (
        f"from tlutils import store\nfrom tlutils.store import File, Part\nstore.FILES['breastmnist_128'] = {item}"
    )
    (tmp_path / "sitecustomize.py").write_text(program)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(ROOT)]))
    words = ["run", "11_medical_imaging", "-o", str(tmp_path), "-p", "profile", "full", "-p", "backbone", "vgg16_mini"]
    outcome = CliRunner().invoke(cli.main, [*words, "-p", "image_size", "32"])
    assert outcome.exit_code == 0, outcome.output
    [result] = runs.survey(tmp_path)
    assert result.record is not None and result.record["parameters"]["profile"] == "full"
    assert "cache/downloads/breastmnist_128.npz" in visible(tmp_path)
    assert course.MIME in (tmp_path / "11_medical_imaging.ipynb").read_text()
