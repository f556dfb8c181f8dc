"""Tests of tlutils.datasets.layouts: which level of a folder means what, and what is not read twice or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pytest
from own_pictures import noise, save

from tlutils import datasets
from tlutils.datasets import layouts
from tlutils.settings import UserError


def seed(folder: str, index: int) -> int:
    return index + 10 * int.from_bytes(folder.encode(), "big")


def fill(root: Path, *folders: str, count: int = 4) -> Path:
    """Different pictures in every folder."""
    for folder in folders:
        for index in range(count):
            save(root / folder / f"{folder.replace('/', '-')}-{index}.png", noise(seed(folder, index)))
    return root


def said(caught: pytest.WarningsRecorder) -> str:
    return "\n".join(str(warning.message) for warning in caught)


# Ready-made splits


@pytest.mark.parametrize(
    "names",
    [
        ("train", "val", "test"),
        ("Training", "VALID", "testing"),
        ("training_set", "validation_set", "test_set"),
        ("train images", "dev", "Test-Images"),
    ],
)
@pytest.mark.parametrize("read", [datasets.from_folder, lambda path: datasets.from_domain_folders(path)[0]])
def test_folders_of_a_ready_made_split_are_no_classes_and_no_domains(tmp_path: Path, names: tuple[str, ...], read):
    fill(tmp_path, *(f"{name}/{label}" for name in names for label in ("ill", "well")))
    with pytest.warns(datasets.FolderNote, match="split is respected: train 8, validation 8, test 8"):
        dataset = read(tmp_path)
    assert dataset.class_names == ("ill", "well") and dataset.counts.tolist() == [12, 12]
    for path, side in zip(dataset.pictures.paths, dataset.ready_made, strict=True):
        assert path.parent.parent.name == names[("train", "validation", "test").index(side)]
    assert dataset.report.ready_made == {"train": 8, "validation": 8, "test": 8}
    assert set(dataset.subset(dataset.ready_made == "test").ready_made.tolist()) == {"test"}


def test_a_split_within_the_classes_or_in_a_folder_of_its_own_name_is_recognised(tmp_path: Path):
    fill(tmp_path / "a", *(f"{label}/{side}" for label in ("ill", "well") for side in ("train", "test")))
    fill(tmp_path / "b", *(f"{side}/{side}/{label}" for label in ("ill", "well") for side in ("train_set", "test_set")))
    fill(tmp_path / "c", *(f"{side}/images/{label}" for label in ("ill", "well") for side in ("train", "test")))
    fill(tmp_path / "d", *(f"xray/{side}/{label}" for label in ("ill", "well") for side in ("train", "test")))
    for name in "abcd":
        with pytest.warns(datasets.FolderNote, match="respected: train 8, test 8"):
            assert datasets.from_folder(tmp_path / name).class_names == ("ill", "well")
        with pytest.warns(datasets.FolderNote, match="respected: train 8, test 8"):
            dataset, domain = datasets.from_domain_folders(tmp_path / name)
        assert dataset.class_names == ("ill", "well") and set(domain.tolist()) == {name}


def test_classes_may_lie_any_number_of_folders_below_the_sides(tmp_path: Path):
    for depth in ("", "images", "images/all", "images/all/jpg"):
        root = tmp_path / f"{len(depth)}"
        fill(root, *(f"{side}/{depth}/{label}".replace("//", "/") for side in ("train", "val") for label in ("a", "b")))
        dataset = datasets.from_folder(root)
        assert dataset.class_names == ("a", "b") and dataset.report.ready_made == {"train": 8, "validation": 8}


def test_domains_may_each_bring_their_split(tmp_path: Path):
    labels = ("city", "field")
    fill(tmp_path, *(f"{d}/{s}/{c}" for d in ("day", "night") for s in ("train", "test") for c in labels))
    with pytest.warns(datasets.FolderNote, match="respected: train 16, test 16"):
        dataset, domain = datasets.from_domain_folders(tmp_path)
    assert dataset.class_names == labels
    assert np.unique(domain, return_counts=True)[1].tolist() == [16, 16] and set(domain) == {"day", "night"}


def test_a_class_called_train_is_a_class(tmp_path: Path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dataset = datasets.from_folder(fill(tmp_path, "bus", "train", "tram"))
    assert dataset.class_names == ("bus", "train", "tram") and dataset.ready_made is None


def test_what_lies_beside_a_ready_made_split_is_left_out_with_a_word(tmp_path: Path):
    fill(tmp_path, "train/ill", "train/well", "val/ill", "val/well", "test", "extra/ill")
    save(tmp_path / "overview.png", noise(1))
    with pytest.warns(datasets.FolderNote) as caught:
        dataset = datasets.from_folder(tmp_path)
    assert set(dataset.ready_made.tolist()) == {"train", "validation"} and len(dataset) == 16
    for part in (
        "4 .png (in the test folder without a class) in test",
        "4 .png (beside the folders of the ready-made split) in extra/ill",
        "1 .png (beside the folders of the ready-made split) in the folder itself",
    ):
        assert part in said(caught)


def test_a_split_without_class_folders_says_what_to_do(tmp_path: Path):
    with pytest.raises(UserError, match="the pictures in train lie in no class folder"):
        datasets.from_folder(fill(tmp_path, "train", "test"))


def test_a_copy_in_another_side_and_a_class_that_a_side_lacks_are_said(tmp_path: Path):
    fill(tmp_path, "train/ill", "train/well", "test/ill", "test/well", "train/rare")
    save(tmp_path / "test" / "ill" / "copy.png", noise(seed("train/ill", 1)))
    with pytest.warns(datasets.FolderNote) as caught:
        datasets.from_folder(tmp_path)
    assert "split leaks: 1 of the 9 test pictures" in said(caught)
    assert "The ready-made test has no picture of 'rare'." in said(caught)


# Levels


def test_numbered_folders_that_share_their_sub_folders_are_patients(tmp_path: Path):
    fill(tmp_path, *(f"p{patient}/{label}" for patient in (3, 12, 20) for label in (0, 1)))
    save(tmp_path / "p3" / "overview.png", noise(1))
    with pytest.warns(datasets.FolderNote) as caught:
        dataset = datasets.from_folder(tmp_path)
    assert "All 3 sub-folders hold 0, 1: these are read as the classes" in said(caught)
    assert "1 .png (beside the class folders) in p3" in said(caught)
    patients = np.array([path.parent.parent.name for path in dataset.pictures.paths])
    np.testing.assert_array_equal(dataset.groups[:, None] == dataset.groups, patients[:, None] == patients)
    assert dataset.class_names == ("0", "1")


def test_folders_that_may_be_classes_or_domains_are_not_guessed(tmp_path: Path):
    with pytest.raises(UserError, match=r"\(clear, fog\) hold folders, .*\(city, field\).*from_domain_folders"):
        datasets.from_folder(fill(tmp_path, "clear/city", "clear/field", "fog/city", "fog/field"))


def test_pictures_in_deeper_folders_count_for_the_class_above(tmp_path: Path):
    fill(tmp_path, "cat", "cat/more/web", "dog/kaggle", "horse")
    with pytest.warns(datasets.FolderNote, match=r"8 of 16 pictures lie deeper .*cat/more/web: 4, dog/kaggle: 4"):
        dataset = datasets.from_folder(tmp_path)
    assert dict(zip(dataset.class_names, dataset.counts.tolist(), strict=True)) == {"cat": 8, "dog": 4, "horse": 4}


@pytest.mark.parametrize("stray", ["overview.png", "._overview.png", "notes.txt"])
def test_a_stray_file_in_a_domain_folder_makes_no_class_of_the_domain(tmp_path: Path, stray: str):
    fill(tmp_path, "clear/city", "clear/field", "fog/city", "fog/field")
    save(tmp_path / "x.png", noise(1)).rename(tmp_path / "fog" / stray)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        dataset, domain = datasets.from_domain_folders(tmp_path)
    assert dataset.class_names == ("city", "field") and set(domain.tolist()) == {"clear", "fog"}
    assert stray.startswith(".") or "1 file passed over" in said(caught)


# Links, pipes, rights


def test_links_count_once_and_loops_end(tmp_path: Path):
    root, elsewhere = fill(tmp_path / "pets", "cat", "dog"), fill(tmp_path / "elsewhere", "cow")
    (root / "cow").symlink_to(elsewhere / "cow", target_is_directory=True)
    (root / "cat" / "loop").symlink_to(root, target_is_directory=True)
    (root / "dog" / "up").symlink_to(tmp_path, target_is_directory=True)
    (root / "dog" / "dogs again").symlink_to(root / "dog", target_is_directory=True)
    (root / "cat" / "again.png").symlink_to(root / "cat" / "cat-0.png")
    (root / "cat" / "extra.png").symlink_to(save(elsewhere / "extra.png", noise(5)))
    (root / "cat" / "broken.png").symlink_to(root / "nothing")
    (root / "cat" / "itself.png").symlink_to(root / "cat" / "itself.png")
    with pytest.warns(datasets.FolderNote) as caught:
        dataset = datasets.from_folder(root)
    assert dict(zip(dataset.class_names, dataset.counts.tolist(), strict=True)) == {"cat": 5, "cow": 4, "dog": 4}
    for part in (
        "3 links to folders that are read anyway: cat/loop, dog/dogs again, dog/up",
        "1 .png (a link to a file that is read anyway) in cat",
        "2 .png (a link to nothing or to itself) in cat",
    ):
        assert part in said(caught)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_does_not_stop_the_reading(folder: Path):
    os.mkfifo(folder / "cat" / "pipe.jpg")
    with pytest.warns(datasets.FolderNote, match=r"1 \.jpg \(no file but a device or a pipe\) in cat"):
        assert len(datasets.from_folder(folder)) == 8


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="no such rights here")
def test_what_may_not_be_listed_or_read_is_skipped_with_a_word(folder: Path):
    """As another user, since root may read everything."""
    fill(folder, "secret")
    (folder / "secret").chmod(0o000)
    (folder / "cat" / "1.png").chmod(0o000)
    program = (
        "import os, sys, warnings\n"
        "from tlutils import datasets\n"
        "datasets.from_folder(sys.argv[1])  # what it imports may lie where the other user may not read\n"
        "if os.geteuid() == 0:\n    os.setgid(65534)\n    os.setuid(65534)\n"
        "warnings.simplefilter('always')\n"
        "for read in (datasets.from_folder, lambda path: datasets.from_domain_folders(path)[0]):\n"
        "    print(len(read(sys.argv[1])))\n"
    )
    for parent in (folder, *folder.parents):  # pytest closes its own to others
        if parent == Path(tempfile.gettempdir()):
            break
        parent.chmod(0o755)
    run = subprocess.run(
        [sys.executable, "-B", "-c", program, str(folder)], capture_output=True, text=True, check=False
    )
    (folder / "secret").chmod(0o755)
    assert run.stdout.split() == ["7", "7"], run.stderr
    assert "secret' cannot be listed (Permission denied): left out" in run.stderr
    assert "cat/1.png (Permission denied)" in run.stderr


# What belongs to others


@pytest.mark.parametrize(
    "name",
    [
        "cat-0_mask.png",
        "cat-0_mask_1.png",
        "cat-0-seg.jpg",
        "cat-0 segmentation.png",
        "cat-0_label.gif",
        "masks/cat-0.png",
    ],
)
def test_what_belongs_to_a_picture_is_left_out_and_counted(tmp_path: Path, name: str):
    fill(tmp_path, "cat", "dog")
    save(tmp_path / "cat" / name, noise(7))
    with pytest.warns(datasets.FolderNote, match=r"1 file passed over: .*belongs to the picture of that name"):
        assert len(datasets.from_folder(tmp_path)) == 8


def test_folders_of_images_and_masks_within_each_class_are_no_patients(tmp_path: Path):
    for label in ("ill", "well"):
        for number in range(4):
            save(tmp_path / label / "images" / f"{number}.png", noise(number + 10 * len(label)))
            save(tmp_path / label / "masks" / f"{number}_mask.png", noise(500 + number + 10 * len(label)))
    with pytest.warns(datasets.FolderNote, match="4 .png .belongs to the picture of that name. in ill/masks"):
        dataset = datasets.from_folder(tmp_path)
    assert dataset.counts.tolist() == [4, 4] and {path.parent.name for path in dataset.pictures.paths} == {"images"}


def test_a_class_may_be_called_mask_and_a_file_alone_mask(tmp_path: Path):
    fill(tmp_path, "mask", "no mask")
    save(tmp_path / "mask" / "carnival_mask.png", noise(9))
    assert datasets.from_folder(tmp_path).counts.tolist() == [5, 4]


def test_numbers_sort_by_their_size():
    names = ["10", "9", "x2y10", "x2y9", "x10y1", "", "x"]
    assert sorted(names, key=layouts.natural) == ["", "9", "10", "x", "x2y9", "x2y10", "x10y1"]
