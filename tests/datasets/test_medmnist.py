"""Archives in the layout of MedMNIST: what they hold is read, what could harm is refused."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tlutils import datasets
from tlutils.datasets import medmnist
from tlutils.settings import UserError


def arrays(n: int = 6, size: int = 5, channels: tuple[int, ...] = ()) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    parts = {}
    for side in ("train", "val", "test"):
        parts[f"{side}_images"] = rng.integers(0, 256, (n, size, size, *channels), dtype=np.uint8)
        parts[f"{side}_labels"] = (np.arange(n) % 2)[:, None].astype(np.uint8)
    return parts


def saved(folder: Path, parts: dict[str, np.ndarray]) -> Path:
    np.savez(folder / "scans.npz", **parts)
    return folder / "scans.npz"


@pytest.mark.parametrize("channels", [(), (3,)])
def test_pictures_labels_and_the_publishers_split_are_kept(tmp_path, channels):
    parts = arrays(channels=channels)
    dataset, split = medmnist.from_npz(saved(tmp_path, parts))
    assert (dataset.name, dataset.class_names, dataset.synthetic) == ("scans", ("0", "1"), False)
    for side, indices in (("train", split.train), ("val", split.validation), ("test", split.test)):
        images = parts[f"{side}_images"]
        expected = images if channels else np.stack([images] * 3, axis=-1)
        np.testing.assert_array_equal(dataset.pictures[indices], expected)
        np.testing.assert_array_equal(dataset.labels[indices], parts[f"{side}_labels"][:, 0])
    assert len(set(dataset.groups.tolist())) == len(dataset)


def test_labels_without_a_second_axis_are_read_as_well(tmp_path):
    parts = arrays()
    flat = {key: value[:, 0] if key.endswith("labels") else value for key, value in parts.items()}
    np.testing.assert_array_equal(
        medmnist.from_npz(saved(tmp_path, flat))[0].labels, medmnist.from_npz(saved(tmp_path, parts))[0].labels
    )


def test_a_copy_on_another_side_is_warned_of_and_shares_its_group(tmp_path):
    parts = arrays()
    parts["test_images"][0] = parts["train_images"][3]
    with pytest.warns(datasets.DoubtfulLabel, match="1 pictures lie on two sides"):
        dataset, split = medmnist.from_npz(saved(tmp_path, parts))
    assert dataset.groups[split.test[0]] == dataset.groups[split.train[3]]


class Trap:
    def __reduce__(self):
        return (Path("sprung").touch, ())


def test_pickled_objects_are_refused_and_their_code_never_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = saved(tmp_path, {**arrays(), "train_labels": np.array([Trap()] * 6, dtype=object)})
    with pytest.raises(UserError, match=r"Object arrays cannot be loaded.*numpy\.savez"):
        medmnist.from_npz(path)
    assert not Path("sprung").exists()


def faulty(**changes: np.ndarray | None) -> dict[str, np.ndarray]:
    return {key: value for key, value in {**arrays(), **changes}.items() if value is not None}


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (faulty(val_images=None), "val_images is not a file in the archive.*layout of MedMNIST"),
        (faulty(test_images=np.zeros((6, 5, 5))), "test_images has type float64"),
        (faulty(test_images=np.zeros((6, 5, 5, 4), np.uint8)), "test_images .*" + re.escape("(6, 5, 5, 4)")),
        (faulty(test_images=np.zeros((0, 5, 5), np.uint8)), "at least one"),
        (faulty(test_images=np.zeros((6, 7, 7), np.uint8)), "differ in size"),
        (faulty(val_labels=np.zeros((5, 1), np.uint8)), r"val_labels .*shape \(6,\) or \(6, 1\)"),
        (faulty(val_labels=np.zeros((6, 14), np.uint8)), "Several labels per picture"),
        (faulty(val_labels=np.full(6, 0.5)), "val_labels has type float64"),
        (faulty(val_labels=np.full(6, -1)), "0 or more"),
        (faulty(val_labels=np.zeros(6, np.uint8)), "no picture of class 1 in val"),
        ({k: v * 0 if k.endswith("labels") else v for k, v in arrays().items()}, "one class only"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, parts, message):
    with pytest.raises(UserError, match=message):
        medmnist.from_npz(saved(tmp_path, parts))


def test_what_is_no_archive_says_what_would_be(tmp_path):
    (tmp_path / "text.npz").write_text("not an archive")
    np.save(tmp_path / "single.npy", np.zeros(3))
    whole = saved(tmp_path, arrays()).read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    for name, message in [
        ("text.npz", "damaged or no .npz"),
        ("single.npy", "damaged or no .npz"),
        ("cut.npz", "damaged or no .npz"),
        ("absent.npz", "does not exist"),
        (".", "is a folder"),
    ]:
        with pytest.raises(UserError, match=f"{message}.*layout of MedMNIST"):
            medmnist.from_npz(tmp_path / name)


def test_an_array_that_claims_to_be_larger_than_the_memory_is_an_error_and_not_a_crash(tmp_path):
    path = saved(tmp_path, faulty(test_images=None))
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": (2**20, 2**20, 2**20)}
    )
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("test_images.npy", header.getvalue())
    with pytest.raises(UserError, match="Unable to allocate"):
        medmnist.from_npz(path)


def test_an_archive_with_damaged_bytes_is_an_error(tmp_path):
    np.savez_compressed(tmp_path / "scans.npz", **arrays(size=50))
    content = bytearray((tmp_path / "scans.npz").read_bytes())
    content[1000:1100] = bytes(100)
    (tmp_path / "scans.npz").write_bytes(content)
    with pytest.raises(UserError, match="scans.npz cannot be used: "):
        medmnist.from_npz(tmp_path / "scans.npz")


def test_a_real_archive_gives_its_published_numbers_of_pictures(real_data):
    with pytest.warns(datasets.DoubtfulLabel, match="1 pictures"):
        dataset, split = medmnist.from_npz(real_data / "breastmnist.npz")
    assert (len(split.train), len(split.validation), len(split.test)) == (546, 78, 156)
    assert dataset.counts.tolist() == [210, 570]
