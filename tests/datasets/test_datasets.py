"""Tests of tlutils.datasets: real files in, nothing leaks out."""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from PIL import Image

from tlutils import datasets, store
from tlutils.datasets import picture_files
from tlutils.settings import UserError

REAL = Path(__file__).parents[2] / "shared" / "real"
needs_real_pictures = pytest.mark.skipif(
    not REAL.is_dir(), reason="the real photographs for checks (../shared/real) are not on this machine"
)


def noise(seed: int, size: int = 12) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)


def save(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of four different pictures each."""
    for number in range(4):
        save(tmp_path / "pets" / "cat" / f"{number}.png", noise(number))
        save(tmp_path / "pets" / "dog" / f"{number}.png", noise(100 + number))
    return tmp_path / "pets"


def read_one(path: Path, image_size: int) -> np.ndarray:
    """The one picture, as PictureFiles returns it."""
    return picture_files.PictureFiles([path], ["digest"], image_size)[0]


def with_labels(labels: list[int], groups: list[int] | None = None) -> datasets.Dataset:
    """A dataset whose pictures do not matter."""
    n = len(labels)
    names = tuple(f"class {number}" for number in range(max(labels) + 1))
    return datasets.Dataset(
        "numbers",
        np.zeros((n, 1, 1, 3), dtype=np.uint8),
        np.array(labels, dtype=np.int64),
        names,
        np.arange(n) if groups is None else np.array(groups, dtype=np.int64),
        synthetic=True,
    )


# from_folder: what is found


def test_sub_folders_are_the_classes_in_the_order_of_their_names(folder: Path):
    dataset = datasets.from_folder(folder)
    assert dataset.class_names == ("cat", "dog")
    assert dataset.labels.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert dataset.labels.dtype == dataset.groups.dtype == np.int64
    assert [path.name for path in dataset.pictures.paths] == ["0.png", "1.png", "2.png", "3.png"] * 2
    assert (dataset.name, dataset.synthetic, dataset.truth) == ("pets", False, {})
    assert len(set(dataset.groups.tolist())) == 8


def test_a_path_may_be_a_string(folder: Path):
    assert len(datasets.from_folder(str(folder))) == 8


def test_hidden_files_and_other_files_are_passed_over_in_silence(folder: Path):
    (folder / "LICENCE.txt").write_text("free")
    (folder / "cat" / "notes.txt").write_text("good cats")
    (folder / "cat" / "._0.png").write_bytes(b"macOS leaves these behind")
    (folder / ".ipynb_checkpoints").mkdir()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(datasets.from_folder(folder)) == 8


@pytest.mark.parametrize("suffix", ["bmp", "gif", "JPG", "jpeg", "png", "tif", "TIFF", "webp"])
def test_every_usual_picture_format_is_read(folder: Path, suffix: str):
    save(folder / "cat" / f"more.{suffix}", noise(7))
    assert datasets.from_folder(folder).counts.tolist() == [5, 4]


def test_names_outside_ascii_and_with_blanks_are_kept(folder: Path):
    save(folder / "žluťoučký kůň 馬" / "naïve photo.png", noise(7))
    dataset = datasets.from_folder(folder)
    assert dataset.class_names == ("cat", "dog", "žluťoučký kůň 馬")
    assert np.array_equal(dataset.pictures.resized(12)[8], noise(7))


def test_an_accent_written_as_its_own_character_gives_the_same_class_name(folder: Path):
    save(folder / "e\N{COMBINING ACUTE ACCENT}te" / "a.png", noise(7))
    assert datasets.from_folder(folder).class_names[2] == "\N{LATIN SMALL LETTER E WITH ACUTE}te"


# from_folder: what is left out


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


# from_folder: errors


def test_a_missing_folder_names_the_nearest_one_that_exists(folder: Path):
    with pytest.raises(UserError) as caught:
        datasets.from_folder(folder / "no" / "such" / "folder")
    assert "does not exist" in str(caught.value)
    assert f"'{folder}' does" in str(caught.value)


def test_a_file_is_not_taken_for_a_folder(folder: Path):
    with pytest.raises(UserError, match="is a file, not a folder"):
        datasets.from_folder(folder / "cat" / "0.png")


def test_an_empty_folder_is_said_to_be_empty(tmp_path: Path):
    with pytest.raises(UserError, match="is empty.*one sub-folder of pictures per class"):
        datasets.from_folder(tmp_path)


def test_files_without_class_folders_are_to_be_moved(folder: Path):
    with pytest.raises(UserError, match="has 4 files but no class folders. Move the pictures into one sub-folder per"):
        datasets.from_folder(folder / "cat")


def test_classes_one_level_too_deep_are_pointed_at(folder: Path):
    folder.rename(folder.with_name("train"))
    top = folder.parent / "top"
    top.mkdir()
    folder.with_name("train").rename(top / "train")
    with pytest.raises(UserError, match="one level further down") as caught:
        datasets.from_folder(top)
    assert f"such as '{top / 'train'}'" in str(caught.value)


def test_one_class_is_not_enough(folder: Path):
    for file in (folder / "dog").iterdir():
        file.write_bytes(b"bad")
    (folder / "eel").mkdir()
    with pytest.raises(UserError, match="only one class with readable pictures, 'cat'") as caught:
        datasets.from_folder(folder)
    assert "without any: 'dog', 'eel'" in str(caught.value)
    assert "dog/0.png (not a picture" in str(caught.value)


def test_no_picture_at_all_is_an_error(tmp_path: Path):
    (tmp_path / "cat").mkdir()
    (tmp_path / "dog").mkdir()
    with pytest.raises(UserError, match="no readable picture .without any: 'cat', 'dog'"):
        datasets.from_folder(tmp_path)


# from_folder: groups


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


# PictureFiles: any mode becomes RGB


def test_sixteen_bit_grey_keeps_its_proportions(tmp_path: Path):
    values = np.array([[0, 257, 65535], [32768, 1000, 64000], [128, 129, 386]], dtype=np.uint16)
    picture = read_one(save(tmp_path / "grey.png", values), 3)
    assert np.array_equal(picture, np.repeat(np.round(values / 257).astype(np.uint8)[..., None], 3, axis=2))


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_values_without_an_agreed_white_are_stretched(tmp_path: Path, dtype: type):
    picture = read_one(save(tmp_path / "values.tif", np.array([[-100, 0], [300, 200]], dtype=dtype)), 2)
    assert picture[..., 0].tolist() == [[0, 64], [255, 191]]  # 100/400 and 300/400 of 255


def test_floats_that_are_no_numbers_do_not_spoil_the_rest(tmp_path: Path):
    picture = read_one(save(tmp_path / "values.tif", np.array([[0, 1], [np.nan, np.inf]], dtype=np.float32)), 2)
    assert picture[..., 0].tolist() == [[0, 255], [0, 255]]


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("1", 1, (255, 255, 255)),
        ("L", 77, (77, 77, 77)),
        ("LA", (10, 0), (255, 255, 255)),
        ("RGBA", (255, 0, 0, 255), (255, 0, 0)),
        ("RGBA", (255, 0, 0, 0), (255, 255, 255)),
        ("RGBA", (0, 0, 0, 51), (204, 204, 204)),  # one fifth black over white
        ("CMYK", (255, 0, 0, 0), (0, 255, 255)),
    ],
)
def test_every_mode_becomes_rgb_with_transparency_over_white(
    tmp_path: Path, mode: str, colour: object, expected: tuple[int, int, int]
):
    path = tmp_path / "picture.tif"
    Image.new(mode, (4, 4), colour).save(path)
    assert np.array_equal(read_one(path, 4), np.broadcast_to(np.array(expected, dtype=np.uint8), (4, 4, 3)))


def test_a_palette_with_a_transparent_colour_lies_over_white(tmp_path: Path):
    image = Image.new("P", (2, 2), 1)
    image.putpalette([0, 0, 200, 200, 0, 0])
    image.putpixel((0, 0), 0)
    image.save(tmp_path / "palette.png", transparency=1)
    assert read_one(tmp_path / "palette.png", 2).tolist() == [[[0, 0, 200], [255] * 3], [[255] * 3, [255] * 3]]


def test_an_animation_shows_its_first_frame(tmp_path: Path):
    first, second = Image.new("RGB", (4, 4), (200, 0, 0)), Image.new("RGB", (4, 4), (0, 0, 200))
    first.save(tmp_path / "moving.gif", save_all=True, append_images=[second])
    assert read_one(tmp_path / "moving.gif", 4)[0, 0].tolist() == [200, 0, 0]


def test_the_cameras_orientation_is_applied(tmp_path: Path):
    """Orientation 6: the first row of the file is the right-hand column of the scene (EXIF 2.3, tag 0x0112)."""
    pixels = noise(3, 5)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(tmp_path / "turned.png", exif=exif)
    assert np.array_equal(read_one(tmp_path / "turned.png", 5), np.rot90(pixels, -1))


def test_damaged_exif_data_do_not_cost_the_picture(tmp_path: Path):
    Image.fromarray(noise(3, 5)).save(tmp_path / "odd.png", exif=b"Exif\0\0nonsense")
    assert np.array_equal(read_one(tmp_path / "odd.png", 5), noise(3, 5))


def test_the_central_square_is_kept(tmp_path: Path):
    pixels = np.zeros((8, 20, 3), dtype=np.uint8)
    pixels[:, 6:14] = noise(5, 8)
    assert np.array_equal(read_one(save(tmp_path / "wide.png", pixels), 8), noise(5, 8))


def test_shrinking_averages_instead_of_picking_pixels(tmp_path: Path):
    """A board of single black and white pixels becomes grey, whatever the grid that is laid over it."""
    board = np.indices((64, 64)).sum(axis=0) % 2 * 255
    path = save(tmp_path / "board.png", np.repeat(board[..., None], 3, axis=2).astype(np.uint8))
    inner = read_one(path, 8)[1:-1, 1:-1].astype(int)
    assert abs(inner - 127.5).max() < 3


def test_a_picture_of_one_pixel_can_be_enlarged(tmp_path: Path):
    path = save(tmp_path / "dot.png", np.array([[[1, 2, 3]]], dtype=np.uint8))
    assert np.array_equal(read_one(path, 4), np.broadcast_to(np.array([1, 2, 3], dtype=np.uint8), (4, 4, 3)))


# PictureFiles: like an array


@pytest.mark.parametrize(
    "index",
    [
        3,
        -1,
        np.int64(2),
        slice(None),
        slice(1, 7, 3),
        slice(5, 5),
        [6, 0, 0],
        np.array([], dtype=int),
        np.array([True, False] * 4),
    ],
)
def test_files_are_indexed_like_an_array(folder: Path, index: object):
    pictures = datasets.from_folder(folder).pictures.resized(12)
    array = np.stack([noise(number) for number in (0, 1, 2, 3, 100, 101, 102, 103)])
    assert pictures.shape == array.shape
    assert pictures[index].dtype == np.uint8
    assert np.array_equal(pictures[index], array[index])
    if not isinstance(index, int | np.integer):
        assert np.array_equal(pictures.subset(index)[:], array[index])


@pytest.mark.parametrize("index", [8, [9], (0, 0), np.zeros((2, 2), dtype=int), np.ones(3, dtype=bool)])
def test_an_index_that_fits_no_picture_is_refused(folder: Path, index: object):
    with pytest.raises(IndexError):
        datasets.from_folder(folder).pictures[index]


def test_iterating_over_files_ends(folder: Path):
    assert len(list(datasets.from_folder(folder).pictures)) == 8


def test_a_file_that_vanished_is_named(folder: Path):
    dataset = datasets.from_folder(folder)
    (folder / "dog" / "2.png").unlink()
    with pytest.raises(UserError, match=r"dog/2\.png could be read when its folder was opened and now cannot"):
        dataset.pictures[4:8]


# fingerprints


def test_the_fingerprint_of_files_depends_on_pixels_order_and_size_only(folder: Path, tmp_path: Path):
    pictures = datasets.from_folder(folder).pictures
    for file in sorted(folder.rglob("*.png")):
        save(tmp_path / "again" / file.parent.name / f"{file.stem}.bmp", np.asarray(Image.open(file)))
    again = datasets.from_folder(tmp_path / "again").pictures
    assert picture_files.fingerprint(pictures) == picture_files.fingerprint(again)
    others = [pictures.resized(65), pictures.subset(slice(None, None, -1)), pictures.subset([0, 1])]
    assert len({picture_files.fingerprint(other) for other in (pictures, *others)}) == 4
    save(tmp_path / "again" / "dog" / "2.bmp", noise(999))
    changed = datasets.from_folder(tmp_path / "again").pictures
    assert picture_files.fingerprint(changed) != picture_files.fingerprint(pictures)


def test_the_fingerprint_of_an_array_depends_on_every_pixel_and_the_shape():
    array = np.stack([noise(1), noise(2)])
    changed = array.copy()
    changed[1, 5, 5, 1] ^= 1
    variants = [array, changed, array[::-1], array[:1], array.reshape(2, 6, 24, 3), array.astype(np.int16)]
    assert len({picture_files.fingerprint(variant) for variant in variants}) == len(variants)
    assert picture_files.fingerprint(np.asfortranarray(array)) == picture_files.fingerprint(array)


# Dataset


def test_an_array_of_the_right_size_is_returned_as_it_is():
    dataset = datasets.load("synthetic_flowers", per_class=1)
    assert dataset.resized(64) is dataset.pictures


def test_an_array_is_resized_like_files_are(folder: Path):
    files = datasets.from_folder(folder)
    array = datasets.Dataset("a", files.resized(12)[:], files.labels, files.class_names, files.groups, False)
    assert np.array_equal(array.resized(5), files.resized(5)[:])


@pytest.mark.parametrize("image_size", [0, -3, 2.5, "64", True])
def test_an_impossible_size_is_refused(folder: Path, image_size: object):
    for dataset in (datasets.from_folder(folder), datasets.load("synthetic_flowers", per_class=1)):
        with pytest.raises(UserError, match="image_size=.* must be a whole number of pixels"):
            dataset.resized(image_size)


def test_a_subset_keeps_everything_that_belongs_to_a_picture():
    dataset = datasets.load("synthetic_flowers", per_class=2)
    some = dataset.subset([7, 1])
    assert np.array_equal(some.pictures, dataset.pictures[[7, 1]])
    assert (some.labels.tolist(), some.groups.tolist()) == ([2, 1], [7, 1])
    assert np.array_equal(some.truth["mask"], dataset.truth["mask"][[7, 1]])
    assert (some.class_names, some.synthetic) == (dataset.class_names, True)
    assert np.array_equal(dataset.subset(dataset.labels == 1).labels, [1, 1])


def test_a_subset_of_files_stays_on_disk(folder: Path):
    some = datasets.from_folder(folder).subset(np.array([5]))
    assert isinstance(some.pictures, picture_files.PictureFiles)
    assert np.array_equal(some.resized(12)[0], noise(101))


def test_a_dataset_says_in_words_whether_it_is_real(folder: Path):
    assert repr(datasets.from_folder(folder)) == "pets: 8 real pictures, 2 classes (cat: 4, dog: 4)"
    assert repr(datasets.load("synthetic_ripeness", per_class=1)).startswith("synthetic_ripeness: 5 synthetic pictures")


def test_many_classes_are_counted_not_listed():
    dataset = datasets.load("synthetic_source", per_class=1)
    assert repr(dataset).endswith("triangle/spirals: 1, and 50 more)")
    assert "<td>and 50 more classes</td><td>50</td>" in dataset._repr_html_()


def test_the_table_escapes_what_a_folder_may_be_called(tmp_path: Path):
    dataset = with_labels([0, 1])
    named = datasets.Dataset("a & b", dataset.pictures, dataset.labels, ("<i>", "dog"), dataset.groups, False)
    table = named._repr_html_()
    assert "<td>&lt;i&gt;</td><td>1</td>" in table
    assert "a &amp; b: 2 real pictures" in table


def test_unequal_numbers_of_pictures_and_labels_are_refused():
    pictures = np.zeros((3, 4, 4, 3), dtype=np.uint8)
    with pytest.raises(ValueError, match="3 pictures, 2 labels and 3 groups"):
        datasets.Dataset("odd", pictures, np.array([0, 1]), ("a", "b"), np.arange(3), False)
    with pytest.raises(ValueError, match="labels must be 0 to 1"):
        datasets.Dataset("odd", pictures, np.array([0, 1, 2]), ("a", "b"), np.arange(3), False)


# load


def test_synthetic_datasets_are_called_synthetic_and_follow_the_seed():
    drawn = [name for name in datasets.CATALOGUE if name.startswith("synthetic_")]
    assert len(drawn) == 6
    for name in drawn:
        first, again = datasets.load(name, per_class=1, seed=3), datasets.load(name, per_class=1, seed=3)
        assert first.synthetic and first.truth and set(first.counts.tolist()) == {1}
        assert np.array_equal(first.pictures, again.pictures)
        assert not np.array_equal(first.pictures, datasets.load(name, per_class=1, seed=4).pictures)


def test_digits_are_real_pictures_of_all_grey_levels():
    digits = datasets.load("digits")
    assert digits.pictures.shape == (1797, 8, 8, 3)
    assert not digits.synthetic
    assert digits.class_names == tuple("0123456789")
    assert (digits.pictures.dtype, digits.pictures.min(), digits.pictures.max()) == (np.uint8, 0, 255)
    assert (digits.pictures[..., 0] == digits.pictures[..., 2]).all()


def test_a_number_per_class_chooses_that_many_real_pictures():
    few = datasets.load("digits", per_class=7, seed=1)
    assert few.counts.tolist() == [7] * 10
    assert np.array_equal(few.pictures, datasets.load("digits", per_class=7, seed=1).pictures)
    assert not np.array_equal(few.pictures, datasets.load("digits", per_class=7, seed=2).pictures)


def test_an_unknown_dataset_lists_the_known_ones():
    with pytest.raises(UserError, match="'roses' is unknown; choose one of synthetic_source, .*digits, flower_photos"):
        datasets.load("roses")


@pytest.mark.parametrize("per_class", [0, -1, 2.0, True])
def test_an_impossible_number_per_class_is_refused(per_class: object):
    with pytest.raises(UserError, match="per_class=.* must be a whole number"):
        datasets.load("digits", per_class=per_class)


def test_more_per_class_than_there_are_names_the_smallest_class():
    with pytest.raises(UserError, match="per_class=175 is too many: digits has 174 pictures of '8'. Give 174 or less"):
        datasets.load("digits", per_class=175)


def test_flower_photos_are_unpacked_once_and_read(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The archive is small and ours; it has the publisher's layout."""
    archive = tmp_path / "flower_photos.tgz"
    with tarfile.open(archive, "w:gz") as file:
        file.add(folder, "flower_photos")
    monkeypatch.setenv("TLUTILS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(store, "fetch", lambda name: {"flower_photos": archive}[name])
    dataset = datasets.load("flower_photos")
    assert (dataset.name, dataset.class_names, dataset.synthetic) == ("flower_photos", ("cat", "dog"), False)
    assert datasets.load("flower_photos", per_class=2, seed=1).counts.tolist() == [2, 2]


def test_tissue_tiles_of_one_slide_are_one_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The archive is small and ours; it has the publisher's layout and file names."""
    rng, top = np.random.default_rng(0), "Kather_texture_2016_image_tiles_5000"
    archive = tmp_path / f"{top}.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for tissue in ("01_TUMOR", "02_STROMA"):
            for number, slide in enumerate(("01_001", "01_002", "02_001", "03_001")):
                tile = io.BytesIO()
                Image.fromarray(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8)).save(tile, "TIFF")
                name = f"{number}A0_CRC-Prim-HE-{slide}.tif_Row_1_Col_{number}.tif"
                file.writestr(f"{top}/{tissue}/{name}", tile.getvalue())
    monkeypatch.setenv("TLUTILS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(store, "fetch", lambda name: {"colorectal_histology": archive}[name])
    dataset = datasets.load("colorectal_histology")
    assert (dataset.name, dataset.class_names) == ("colorectal_histology", ("01_TUMOR", "02_STROMA"))
    slides = [re.findall(r"HE-(\d+)", path.name)[0] for path in dataset.pictures.paths]
    assert len(set(slides)) == len(set(dataset.groups)) == len(set(zip(slides, dataset.groups, strict=True))) == 3


# split


@st.composite
def labelled_groups(draw: st.DrawFn) -> datasets.Dataset:
    """Two to four classes; groups of one to six pictures, most of one class; three pure groups of every class."""
    n_classes = draw(st.integers(2, 4))
    labels: list[int] = []
    groups: list[int] = []

    def add_group(members: list[int]) -> None:
        groups.extend([max(groups, default=-1) + 1] * len(members))
        labels.extend(members)

    for label in range(n_classes):
        for size in draw(st.lists(st.integers(1, 6), min_size=3, max_size=12)):
            add_group([label] * size)
    for mixed in draw(st.lists(st.lists(st.integers(0, n_classes - 1), min_size=1, max_size=4), max_size=2)):
        add_group(mixed)
    order = draw(st.permutations(range(len(labels))))
    return with_labels([labels[i] for i in order], [groups[i] for i in order])


@given(labelled_groups(), st.integers(0, 2**32 - 1), st.floats(0.05, 0.45), st.floats(0.05, 0.45))
@hypothesis_settings(deadline=None)
def test_sides_share_no_group_and_hold_every_class(
    dataset: datasets.Dataset, seed: int, validation: float, test: float
):
    split = datasets.split(dataset, labels_per_class=None, seed=seed, validation=validation, test=test)
    sides = (split.train, split.validation, split.test)
    assert sorted(np.concatenate(sides).tolist()) == list(range(len(dataset)))
    group_sets = [set(dataset.groups[side].tolist()) for side in sides]
    assert sum(map(len, group_sets)) == len(set.union(*group_sets))
    for side in sides:
        assert side.dtype == np.int64
        assert set(dataset.labels[side].tolist()) == set(range(len(dataset.class_names)))


@given(labelled_groups(), st.integers(0, 2**32 - 1))
@hypothesis_settings(deadline=None)
def test_training_gets_the_number_asked_for_or_the_largest_that_works(dataset: datasets.Dataset, seed: int):
    everything = datasets.split(dataset, labels_per_class=None, seed=seed)
    most = int(np.bincount(dataset.labels[everything.train]).min())
    for asked in {1, most}:
        split = datasets.split(dataset, labels_per_class=asked, seed=seed)
        assert set(np.bincount(dataset.labels[split.train]).tolist()) == {asked}
        assert set(split.train.tolist()) <= set(everything.train.tolist())
        assert set(split.validation.tolist()) == set(everything.validation.tolist())
        assert set(split.test.tolist()) == set(everything.test.tolist())
    with pytest.raises(UserError, match=f"labels_per_class={most + 1} is too many.*Give {most} or less"):
        datasets.split(dataset, labels_per_class=most + 1, seed=seed)


@given(st.lists(st.integers(3, 60), min_size=2, max_size=5), st.floats(0.05, 0.45), st.floats(0.05, 0.45))
@hypothesis_settings(deadline=None)
def test_without_groups_every_class_keeps_its_share(counts: list[int], validation: float, test: float):
    dataset = with_labels([label for label, count in enumerate(counts) for _ in range(count)])
    split = datasets.split(dataset, labels_per_class=None, seed=0, validation=validation, test=test)
    for side, share in ((split.validation, validation), (split.test, test)):
        for label, count in enumerate(counts):
            got, trained = (int((dataset.labels[part] == label).sum()) for part in (side, split.train))
            # One picture at least on every side, and rounding may not take the last one from training.
            assert got == 1 or abs(got - share * count) <= 0.5 + 1e-9 or trained == 1
            assert trained >= 1


def test_shares_are_exact_where_they_can_be():
    split = datasets.split(with_labels([0] * 100 + [1] * 50), labels_per_class=None, seed=0)
    assert [len(side) for side in (split.train, split.validation, split.test)] == [60, 30, 60]
    assert repr(split) == "Split(train: 60, validation: 30, test: 60 pictures)"


def test_groups_of_several_pictures_come_near_the_shares():
    labels = [label for label in range(3) for _ in range(200)]
    dataset = with_labels(labels, [number // 5 for number in range(600)])
    split = datasets.split(dataset, labels_per_class=None, seed=0)
    for side, share in ((split.train, 0.4), (split.validation, 0.2), (split.test, 0.4)):
        assert abs(np.bincount(dataset.labels[side]) - 200 * share).max() <= 5


def test_small_groups_even_out_what_a_large_one_leaves():
    labels = [0, 1] * 100
    dataset = with_labels(labels, [0 if number < 60 else number for number in range(200)])
    for seed in range(5):
        split = datasets.split(dataset, labels_per_class=None, seed=seed)
        counts = [np.bincount(dataset.labels[side]).tolist() for side in (split.train, split.validation, split.test)]
        assert counts == [[40, 40], [20, 20], [40, 40]]


def test_the_seed_decides_the_split():
    dataset = with_labels([0, 1] * 40)
    first, again, other = (datasets.split(dataset, labels_per_class=5, seed=seed) for seed in (1, 1, 2))
    for side in ("train", "validation", "test"):
        assert np.array_equal(getattr(first, side), getattr(again, side))
        assert set(getattr(first, side).tolist()) != set(getattr(other, side).tolist())


def test_fewer_labels_are_part_of_more_and_the_test_pictures_stay():
    dataset = with_labels([0, 1] * 40)
    few, many = (datasets.split(dataset, labels_per_class=n, seed=1) for n in (3, 12))
    assert set(few.train.tolist()) < set(many.train.tolist())
    assert set(few.test.tolist()) == set(many.test.tolist())


def test_the_pictures_of_a_side_are_shuffled():
    split = datasets.split(with_labels([0] * 100 + [1] * 100), labels_per_class=30, seed=0)
    for side in (split.train, split.validation, split.test):
        assert side.tolist() != sorted(side.tolist())


def test_exact_duplicates_are_never_on_two_sides(tmp_path: Path):
    for number in range(12):
        for copy in range(1 + number % 3):
            save(tmp_path / "cat" / f"{number}-{copy}.png", noise(number))
            save(tmp_path / "dog" / f"{number}-{copy}.png", noise(100 + number))
    dataset = datasets.from_folder(tmp_path)
    pixels = [hashlib.sha256(picture.tobytes()).digest() for picture in dataset.resized(12)]
    for seed in range(10):
        split = datasets.split(dataset, labels_per_class=4, seed=seed)
        train, validation, test = ({pixels[i] for i in side} for side in (split.train, split.validation, split.test))
        assert not (train & validation or train & test or validation & test)


def test_too_many_labels_name_the_class_and_the_largest_number_that_works():
    with pytest.raises(UserError) as caught:
        datasets.split(with_labels([0] * 100 + [1] * 20), labels_per_class=9, seed=0)
    text = str(caught.value)
    for part in ("labels_per_class=9", "'class 1' has 20 examples", "leave 8 for training", "Give 8 or less"):
        assert part in text


def test_a_class_of_fewer_than_three_groups_cannot_be_split():
    with pytest.raises(UserError, match="Class 'class 1' of numbers has 6 examples in 2 groups; .* at least 3"):
        datasets.split(with_labels([0] * 6 + [1] * 6, [0, 1, 2, 3, 4, 5] + [6, 7] * 3), labels_per_class=1, seed=0)


def test_groups_that_tie_the_classes_together_cannot_be_split():
    """Three sides for class 0 and for class 1 put groups 2 and 3 on the same side; class 2 then has two sides."""
    groups_of_classes = [(0, 1), (0, 1), (0, 2), (1, 2), (2,)]
    labels = [label for classes in groups_of_classes for label in classes]
    groups = [group for group, classes in enumerate(groups_of_classes) for _ in classes]
    with pytest.raises(UserError, match="no way to put every class into training, validation and test"):
        datasets.split(with_labels(labels, groups), labels_per_class=1, seed=0)


def test_one_class_cannot_be_split():
    with pytest.raises(UserError, match="one class only"):
        datasets.split(with_labels([0] * 20), labels_per_class=1, seed=0)


@pytest.mark.parametrize(("validation", "test"), [(0, 0.4), (0.2, 0), (0.5, 0.5), (-0.1, 0.4), (0.2, float("nan"))])
def test_shares_that_leave_a_side_empty_are_refused(validation: float, test: float):
    with pytest.raises(UserError, match="must be shares above 0"):
        datasets.split(with_labels([0, 1] * 20), labels_per_class=1, seed=0, validation=validation, test=test)


@pytest.mark.parametrize("labels_per_class", [0, -5, 2.5, "20", True])
def test_an_impossible_number_of_labels_is_refused(labels_per_class: object):
    with pytest.raises(UserError, match="labels_per_class=.* must be a whole number of at least 1"):
        datasets.split(with_labels([0, 1] * 20), labels_per_class=labels_per_class, seed=0)


# Real photographs


@needs_real_pictures
def test_real_flowers_are_read_and_split():
    dataset = datasets.from_folder(REAL / "flowers")
    assert repr(dataset) == (
        "flowers: 500 real pictures, 5 classes (daisy: 100, dandelion: 100, rose: 100, sunflower: 100, tulip: 100)"
    )
    split = datasets.split(dataset, labels_per_class=20, seed=0)
    assert np.bincount(dataset.labels[split.train]).tolist() == [20] * 5
    assert dataset.resized(224)[split.train[:8]].shape == (8, 224, 224, 3)


@needs_real_pictures
def test_real_photographs_are_grouped_by_their_day():
    dataset = datasets.from_folder(REAL / "daynight", groups=r"^(\d{8})")
    days = np.array([path.name[:8] for path in dataset.pictures.paths])
    assert dataset.counts.tolist() == [60, 60]
    for group in np.unique(dataset.groups):
        assert len(set(days[dataset.groups == group])) == 1
    assert len(np.unique(dataset.groups)) == len(np.unique(days))


@needs_real_pictures
def test_real_driving_frames_of_several_sizes_are_read():
    dataset = datasets.from_folder(REAL / "road_surface")
    assert dataset.counts.tolist() == [75, 36]
    assert dataset.resized(32)[:].shape == (111, 32, 32, 3)
