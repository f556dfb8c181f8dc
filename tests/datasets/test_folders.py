"""Tests of tlutils.datasets.folders: what is found, what is left out and said, what belongs together."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from own_pictures import noise, save
from PIL import Image

from tlutils import datasets
from tlutils.settings import UserError

# What is found


def test_sub_folders_are_the_classes_in_the_order_of_their_names(folder: Path):
    dataset = datasets.from_folder(str(folder))
    assert dataset.class_names == ("cat", "dog")
    assert dataset.labels.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert dataset.labels.dtype == dataset.groups.dtype == np.int64
    assert [path.name for path in dataset.pictures.paths] == ["0.png", "1.png", "2.png", "3.png"] * 2
    assert (dataset.name, dataset.synthetic, dataset.truth) == ("pets", False, {})
    assert len(set(dataset.groups.tolist())) == 8


def test_hidden_files_and_other_files_are_passed_over_in_silence(folder: Path):
    (folder / "LICENCE.txt").write_text("free")
    (folder / "cat" / "notes.txt").write_text("good cats")
    (folder / "cat" / "._0.png").write_bytes(b"macOS leaves these behind")
    (folder / ".ipynb_checkpoints").mkdir()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(datasets.from_folder(folder)) == 8


def test_every_usual_picture_format_is_read(folder: Path):
    for suffix in ("bmp", "gif", "JPG", "jpeg", "png", "tif", "TIFF", "webp"):
        save(folder / "cat" / f"more.{suffix}", noise(7))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert datasets.from_folder(folder).counts.tolist() == [12, 4]


def test_names_outside_ascii_and_with_blanks_are_kept(folder: Path):
    save(folder / "žluťoučký kůň 馬" / "naïve photo.png", noise(7))
    dataset = datasets.from_folder(folder)
    assert dataset.class_names == ("cat", "dog", "žluťoučký kůň 馬")
    assert np.array_equal(dataset.pictures.resized(12)[8], noise(7))


def test_an_accent_written_as_its_own_character_gives_the_same_class_name(folder: Path):
    save(folder / "e\N{COMBINING ACUTE ACCENT}te" / "a.png", noise(7))
    assert datasets.from_folder(folder).class_names[2] == "\N{LATIN SMALL LETTER E WITH ACUTE}te"


# What is left out


def test_damaged_files_are_named_with_the_reason_and_left_out(folder: Path):
    photograph = io.BytesIO()
    Image.fromarray(noise(1, size=64)).save(photograph, "JPEG")
    (folder / "cat" / "cut short.jpg").write_bytes(photograph.getvalue()[:-200])
    (folder / "cat" / "no picture.jpg").write_text("this is text")
    (folder / "dog" / "empty.png").write_bytes(b"")
    (folder / "dog" / "telephone.heic").write_bytes(b"\0\0\0\x18ftypheic")
    with pytest.warns(datasets.UnreadablePicture) as caught:
        dataset = datasets.from_folder(folder)
    assert len(dataset) == 8
    (warning,) = caught
    text = str(warning.message)
    assert text.startswith("4 files unreadable")
    assert "cat/cut short.jpg (image file is truncated" in text
    for name in ("cat/no picture.jpg", "dog/empty.png", "dog/telephone.heic"):
        assert f"{name} (not a picture that Pillow knows)" in text
    assert str(folder) not in text
    assert Path(warning.filename).name == Path(__file__).name


def test_a_warning_names_ten_files_and_counts_the_rest(folder: Path):
    for number in range(13):
        (folder / "dog" / f"bad {number:02}.png").write_bytes(b"bad")
    with pytest.warns(datasets.UnreadablePicture, match=r"13 files .*bad 09\.png .*; and 3 more\.") as caught:
        datasets.from_folder(folder)
    assert "bad 10.png" not in str(caught[0].message)


@pytest.mark.parametrize("side", [12, 20])
def test_a_picture_too_large_to_be_safe_is_left_out(folder: Path, side: int, monkeypatch: pytest.MonkeyPatch):
    """Between once and twice its limit Pillow itself only warns."""
    save(folder / "cat" / "huge.png", noise(7, side))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 12 * 12 - 1)
    for number in range(4):
        save(folder / "cat" / f"{number}.png", noise(number, 4))
        save(folder / "dog" / f"{number}.png", noise(100 + number, 4))
    with pytest.warns(datasets.UnreadablePicture, match="cat/huge.png .*pixels"):
        assert len(datasets.from_folder(folder)) == 8


def test_a_class_without_readable_pictures_is_named_and_left_out(folder: Path):
    (folder / "bird").mkdir()
    with pytest.warns(datasets.UnreadablePicture, match="1 class folder without a readable picture .*: bird"):
        assert datasets.from_folder(folder).class_names == ("cat", "dog")


# Errors


def empty(folder: Path) -> Path:
    (folder / "empty").mkdir()
    return folder / "empty"


def two_empty_classes(folder: Path) -> Path:
    for name in ("cat", "dog"):
        (folder / "new" / name).mkdir(parents=True)
    return folder / "new"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (lambda folder: folder / "no" / "such" / "folder", "does not exist; '{folder}' does. Give a folder that has"),
        (lambda folder: folder / "cat" / "0.png", "is a file, not a folder"),
        (empty, "is empty. Give a folder that has one sub-folder of pictures per class"),
        (lambda folder: folder / "cat", "has 4 files but no class folders. Give a folder"),
        (lambda folder: folder.parent, "give a folder one level further down, such as '{folder}'"),
        (two_empty_classes, "no readable picture (without any: 'cat', 'dog')"),
    ],
)
def test_a_folder_without_classes_says_what_it_has_and_what_to_give(
    folder: Path, given: Callable[[Path], Path], message: str
):
    with pytest.raises(UserError) as caught:
        datasets.from_folder(given(folder))
    assert message.format(folder=folder) in str(caught.value)


def test_a_folder_that_may_not_be_listed_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch):
    listed = Path.iterdir

    def refuse(path: Path):
        if path.name == "dog":
            raise PermissionError(13, "Permission denied")
        return listed(path)

    monkeypatch.setattr(Path, "iterdir", refuse)
    for read in (datasets.from_folder, datasets.from_domain_folders):
        with pytest.raises(UserError, match=r"dog' cannot be listed \(Permission denied\)"):
            read(folder)


def test_one_class_is_not_enough(folder: Path):
    for file in (folder / "dog").iterdir():
        file.write_bytes(b"bad")
    (folder / "eel").mkdir()
    with pytest.raises(UserError, match="only one class with readable pictures, 'cat'") as caught:
        datasets.from_folder(folder)
    assert "without any: 'dog', 'eel'" in str(caught.value)
    assert "dog/0.png (not a picture" in str(caught.value)


# Groups


def test_the_same_pixels_in_another_format_share_a_group(folder: Path):
    save(folder / "cat" / "copy.bmp", noise(2))
    groups = datasets.from_folder(folder).groups
    assert groups[4] == groups[2]  # copy.bmp sorts behind 3.png
    assert len(set(groups.tolist())) == 8


def test_the_same_bytes_in_another_shape_are_no_duplicate(folder: Path):
    pixels = np.zeros((4, 6, 3), dtype=np.uint8)
    save(folder / "cat" / "wide.png", pixels)
    save(folder / "dog" / "high.png", pixels.reshape(6, 4, 3))
    assert len(set(datasets.from_folder(folder).groups.tolist())) == 10


def test_the_same_pixels_under_two_labels_are_warned_about(folder: Path):
    save(folder / "dog" / "is a cat.png", noise(0))
    with pytest.warns(datasets.DoubtfulLabel, match=r"cat/0\.png and dog/is a cat\.png"):
        groups = datasets.from_folder(folder).groups
    assert groups[0] == groups[8]


def test_a_regular_expression_names_groups_across_classes(tmp_path: Path):
    for number, name in enumerate(["ann-1", "ann-2", "bob-1"]):
        save(tmp_path / "ill" / f"{name}.png", noise(number))
        save(tmp_path / "well" / f"{name}.png", noise(10 + number))
    ann1, ann2, bob, ann3, ann4, bob2 = datasets.from_folder(tmp_path, groups=r"^([a-z]+)-").groups.tolist()
    assert ann1 == ann2 == ann3 == ann4 != bob == bob2


def test_a_duplicate_joins_two_groups_into_one(tmp_path: Path):
    for number, name in enumerate(["ann-1", "bob-1", "cat-1", "dan-1"]):
        save(tmp_path / "ill" / f"{name}.png", noise(number))
    save(tmp_path / "well" / "ann-9.png", noise(50))
    save(tmp_path / "well" / "bob-9.png", noise(50))
    ann, bob, cat, dan, ann9, bob9 = datasets.from_folder(tmp_path, groups="^([a-z]+)").groups.tolist()
    assert ann == bob == ann9 == bob9
    assert len({ann, cat, dan}) == 3


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        (r"^(\d{8})", "finds no group in the file name '0.png'"),
        (r"(\d*)never", "finds no group in the file name '0.png'"),
        (r"^\d", "has no parentheses"),
        (r"^(\d", "is no regular expression"),
    ],
)
def test_an_unfit_group_expression_is_explained(folder: Path, pattern: str, message: str):
    with pytest.raises(UserError) as caught:
        datasets.from_folder(folder, groups=pattern)
    assert repr(pattern) in str(caught.value)
    assert message in str(caught.value)


# Domains


@pytest.fixture
def weather(tmp_path: Path) -> Path:
    """Two domains of two classes with three different pictures each."""
    for number, (domain, label) in enumerate((d, c) for d in ("clear", "fog") for c in ("street", "lane")):
        for index in range(3):
            save(tmp_path / "weather" / domain / label / f"scene{index}-{domain}.png", noise(100 * number + index))
    return tmp_path / "weather"


def test_pictures_of_all_domains_come_with_their_class_and_their_domain(weather: Path):
    (weather / "fog" / "._overview.jpg").write_bytes(b"macOS leaves these behind")
    dataset, domain = datasets.from_domain_folders(str(weather))
    assert (dataset.name, dataset.class_names) == ("weather", ("lane", "street"))
    assert domain.tolist() == ["clear"] * 6 + ["fog"] * 6
    for path, label, name in zip(dataset.pictures.paths, dataset.labels, domain, strict=True):
        assert (path.parent.name, path.parent.parent.name) == (dataset.class_names[label], name)
    assert len(set(dataset.groups.tolist())) == 12
    assert dataset.pictures[:].shape == (12, 64, 64, 3)


def test_a_copy_in_another_domain_shares_its_group_and_is_warned_of_under_another_label(weather: Path):
    save(weather / "fog" / "street" / "copy.png", noise(0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dataset, domain = datasets.from_domain_folders(weather)
    names = [path.relative_to(weather).as_posix() for path in dataset.pictures.paths]
    original, copy = names.index("clear/street/scene0-clear.png"), names.index("fog/street/copy.png")
    assert dataset.groups[copy] == dataset.groups[original] and domain[copy] != domain[original]
    save(weather / "fog" / "lane" / "copy.png", noise(0))
    with pytest.warns(datasets.DoubtfulLabel, match="clear/street/scene0-clear.png and fog/lane/copy.png") as caught:
        datasets.from_domain_folders(weather)
    assert [Path(warning.filename).name for warning in caught] == [Path(__file__).name]


def test_what_a_regular_expression_catches_is_one_group_in_all_domains(weather: Path):
    grouped, _ = datasets.from_domain_folders(weather, groups="^([a-z]+[0-9]?)-")
    scenes = np.array([path.name.split("-")[0] for path in grouped.pictures.paths])
    np.testing.assert_array_equal(grouped.groups[:, None] == grouped.groups, scenes[:, None] == scenes)


def test_a_folder_of_classes_is_one_domain(weather: Path):
    dataset, domain = datasets.from_domain_folders(weather / "clear")
    alone = datasets.from_folder(weather / "clear")
    assert set(domain.tolist()) == {"clear"} and len(domain) == len(dataset) == len(alone)
    np.testing.assert_array_equal(dataset.labels, alone.labels)


def test_domains_with_different_classes_are_listed(weather: Path):
    save(weather / "fog" / "motorway" / "1.png", noise(7))
    save(weather / "night" / "street" / "1.png", noise(8))
    save(weather / "night" / "motorway" / "2.png", noise(9))
    (weather / "night" / "lane").mkdir()
    with pytest.raises(UserError, match="'clear' lacks 'motorway'; 'night' lacks 'lane'"):
        datasets.from_domain_folders(weather)


def test_one_domain_alone_or_no_folder_at_all_is_an_error(tmp_path: Path):
    save(tmp_path / "clear" / "lane" / "1.png", noise(1))
    with pytest.raises(UserError, match="one domain only, 'clear'"):
        datasets.from_domain_folders(tmp_path)
    with pytest.raises(UserError, match="does not exist"):
        datasets.from_domain_folders(tmp_path / "absent")


# Real photographs


def test_real_flowers_are_read_and_split(real_data: Path):
    dataset = datasets.from_folder(real_data / "flowers")
    assert repr(dataset) == (
        "flowers: 500 real pictures, 5 classes (daisy: 100, dandelion: 100, rose: 100, sunflower: 100, tulip: 100)"
    )
    split = datasets.split(dataset, labels_per_class=20, seed=0)
    assert np.bincount(dataset.labels[split.train]).tolist() == [20] * 5
    assert dataset.resized(224)[split.train[:8]].shape == (8, 224, 224, 3)


def test_real_photographs_are_grouped_by_their_day(real_data: Path):
    dataset = datasets.from_folder(real_data / "daynight", groups=r"^(\d{8})")
    days = np.array([path.name[:8] for path in dataset.pictures.paths])
    assert dataset.counts.tolist() == [60, 60]
    for group in np.unique(dataset.groups):
        assert len(set(days[dataset.groups == group])) == 1
    assert len(np.unique(dataset.groups)) == len(np.unique(days))


def test_real_driving_frames_of_several_sizes_are_read(real_data: Path):
    dataset = datasets.from_folder(real_data / "road_surface")
    assert dataset.counts.tolist() == [75, 36]
    assert dataset.resized(32)[:].shape == (111, 32, 32, 3)
