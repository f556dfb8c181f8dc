"""Archives in the layout of MedMNIST: what they hold is read, what could harm is refused."""

from __future__ import annotations

import io
import pickle
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
    with pytest.raises(UserError, match=r"train_labels holds Python objects.*numpy\.savez") as caught:
        medmnist.from_npz(path)
    assert "allow_pickle" not in str(caught.value)
    assert not Path("sprung").exists()


def faulty(**changes: np.ndarray | None) -> dict[str, np.ndarray]:
    return {key: value for key, value in {**arrays(), **changes}.items() if value is not None}


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (faulty(val_images=None), "has no array 'val_images'; others in it: none.*layout of MedMNIST"),
        (faulty(test_images=np.zeros((6, 5, 5))), "train_images has type uint8.*test_images has type float64"),
        (faulty(test_images=np.zeros((6, 5, 5, 4), np.uint8)), "test_images .*" + re.escape("(6, 5, 5, 4)")),
        (faulty(test_images=np.zeros((0, 5, 5), np.uint8)), "at least one"),
        (faulty(test_images=np.zeros((6, 7, 7), np.uint8)), "differ in size"),
        (faulty(val_labels=np.zeros((5, 1), np.uint8)), r"val_labels .*shape \(5, 1\) for 6 pictures; give one label"),
        (faulty(val_labels=np.zeros((5, 2), np.uint8)), r"val_labels .*shape \(5, 2\) for 6 pictures; give one label"),
        (faulty(val_labels=np.ones((6, 2), np.uint8)), r"Several labels per picture.*shape \(6,\) or \(6, 1\)"),
        (faulty(val_labels=np.array([0, 1, np.nan, 0, 1, 0])), "val_labels .*1 are not finite"),
        (faulty(val_labels=np.zeros(6, "datetime64[D]")), "whole numbers, or names"),
        (faulty(val_labels=np.array(1)), "for 6 pictures; give one label"),
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
    (tmp_path / "pointer.npz").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    (tmp_path / "page.npz").write_text("<!doctype html><title>Sign in</title>")
    (tmp_path / "pickle.npz").write_bytes(pickle.dumps(arrays()))
    whole = saved(tmp_path, arrays()).read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    for name, message in [
        ("text.npz", "damaged or no .npz"),
        ("single.npy", "a single NumPy array"),
        ("pointer.npz", "Git LFS pointer.*git lfs pull"),
        ("page.npz", "web page"),
        ("pickle.npz", "a pickle, which may run code"),
        ("cut.npz", "damaged zip archive"),
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


def converted(images=lambda images: images, labels=lambda labels: labels) -> dict[str, np.ndarray]:
    """The same archive, its arrays kept in another form."""
    return {
        key: (images if key.endswith("images") else labels)(value) for key, value in arrays(n=6, channels=(3,)).items()
    }


@pytest.mark.parametrize(
    "form",
    [
        lambda images: np.moveaxis(images, 3, 1),
        lambda images: images.astype(np.float32),
        lambda images: images.astype(np.int64),
        lambda images: (images / 255).astype(np.float32),
        lambda images: (images / 255).astype(np.float16),
    ],
)
def test_pictures_in_another_form_of_certain_meaning_come_back_the_same(tmp_path, form):
    expected, _ = medmnist.from_npz(saved(tmp_path, arrays(channels=(3,))))
    found, _ = medmnist.from_npz(saved(tmp_path, converted(form)))
    assert found.pictures.dtype == np.uint8
    np.testing.assert_array_equal(found.pictures, expected.pictures)


@pytest.mark.parametrize("axis", [1, 3])
def test_a_grey_axis_before_or_behind_is_grey(tmp_path, axis):
    expected, _ = medmnist.from_npz(saved(tmp_path, arrays()))
    with_axis = {k: np.expand_dims(v, axis) if k.endswith("images") else v for k, v in arrays().items()}
    np.testing.assert_array_equal(medmnist.from_npz(saved(tmp_path, with_axis))[0].pictures, expected.pictures)


def test_truth_values_are_black_and_white(tmp_path):
    masks = {k: v > 100 if k.endswith("images") else v for k, v in arrays().items()}
    dataset, split = medmnist.from_npz(saved(tmp_path, masks))
    np.testing.assert_array_equal(dataset.pictures[split.train][..., 0], masks["train_images"] * 255)


@pytest.mark.parametrize(
    ("form", "names"),
    [
        (lambda labels: labels[:, 0], ("0", "1")),
        (lambda labels: labels.T, ("0", "1")),
        (lambda labels: labels.astype(np.float64), ("0", "1")),
        (lambda labels: labels.astype(bool), ("0", "1")),
        (lambda labels: labels + 1, ("1", "2")),
        (lambda labels: 7 * labels, ("0", "7")),
        (lambda labels: np.eye(2)[labels[:, 0]], ("0", "1")),
        (lambda labels: np.eye(4, dtype=np.uint8)[labels[:, 0] + 1], ("1", "2")),
        (lambda labels: np.array(["benign", "malignant "])[labels], ("benign", "malignant")),
        (lambda labels: np.array([b"benign", b"malignant"])[labels[:, 0]], ("benign", "malignant")),
    ],
)
def test_labels_in_another_form_of_certain_meaning_are_the_same_classes(tmp_path, form, names):
    expected, _ = medmnist.from_npz(saved(tmp_path, arrays(channels=(3,))))
    found, _ = medmnist.from_npz(saved(tmp_path, converted(labels=form)))
    assert found.class_names == names and found.labels.dtype == np.int64
    np.testing.assert_array_equal(found.labels, expected.labels)


@pytest.mark.parametrize(
    ("form", "message"),
    [
        (lambda images: images.astype(np.float32) / 127.5 - 1, r"from -1 to 1, which.*\(images - -1\) \* \(255 / 2\)"),
        (lambda images: images / 250, "from 0 to 1.02"),
        (lambda images: images.astype(np.uint16) * 257, "uint16 from 0 to 65535.*255 / 65535"),
        (lambda images: images // 128, "uint8 from 0 to 1"),
        (lambda images: np.where(images > 250, np.nan, images / 255), "pixels are not finite"),
        (lambda images: images.astype(complex), "type complex128.*best uint8"),
        (lambda images: images.reshape(len(images), -1)[:, :64], r"images.reshape\(-1, 8, 8\)"),
        (lambda images: np.zeros((6, 28, 28, 28), np.uint8), r"volumes.*images\[:, 14\]"),
        (lambda images: np.zeros((6, 9, 28, 28, 1), np.uint8), r"volumes.*images\[:, 4\]"),
        (lambda images: np.zeros((6, 28, 28, 13), np.uint8), r"13 channels.*images\[..., 0\]"),
        (lambda images: np.zeros((6, 13, 28, 28), np.uint8), r"13 channels.*images\[:, 0\]"),
        (lambda images: np.zeros((6, 28, 28, 4), np.uint8), "4 channels"),
        (lambda images: images[:, 0, 0, 0], "give pictures of shape"),
        (lambda images: np.moveaxis(images, 0, 3), "give pictures of shape"),
    ],
)
def test_pictures_of_unclear_meaning_are_refused_with_a_way_out(tmp_path, form, message):
    with pytest.raises(UserError, match=message):
        medmnist.from_npz(saved(tmp_path, converted(form)))


def test_sides_of_different_range_are_refused(tmp_path):
    parts = arrays()
    parts = {key: value.astype(np.float32) if key.endswith("images") else value for key, value in parts.items()}
    parts["test_images"] /= 255
    with pytest.raises(UserError, match="test_images at most 1"):
        medmnist.from_npz(saved(tmp_path, parts))


def test_arrays_under_other_names_are_offered(tmp_path):
    parts = arrays()
    for name, other in {"val_images": "valid_imges", "test_images": "x_test", "train_labels": "Y_train"}.items():
        parts[other] = parts.pop(name)
    with pytest.raises(UserError, match="no array 'train_labels', 'val_images', 'test_images'; others") as caught:
        medmnist.from_npz(saved(tmp_path, parts))
    meant = "'Y_train' for 'train_labels', 'valid_imges' for 'val_images', 'x_test' for 'test_images' is meant"
    assert meant in str(caught.value)
    with pytest.raises(UserError, match="others in it: 'images', 'labels'") as caught:
        medmnist.from_npz(saved(tmp_path, {"images": parts["x_test"], "labels": parts["test_labels"]}))
    assert "Perhaps" not in str(caught.value)
    with pytest.raises(UserError, match="A validation side is a part that is taken out of train, such as every fifth"):
        medmnist.from_npz(saved(tmp_path, faulty(val_images=None, val_labels=None)))


def test_a_member_that_is_no_array_is_refused(tmp_path):
    path = saved(tmp_path, faulty(test_labels=None))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("test_labels", "0\n1\n")
    with pytest.raises(UserError, match="test_labels"):
        medmnist.from_npz(path)
