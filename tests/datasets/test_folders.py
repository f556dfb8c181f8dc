"""Tests of tlutils.datasets.folders: what is found, what is left out and said, what belongs together."""

from __future__ import annotations

import io
import os
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import skimage.data
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


def test_hidden_files_and_what_systems_leave_behind_are_passed_over_in_silence(folder: Path):
    for name in ("Thumbs.db", "cat/._0.png", "cat/desktop.ini", "dog/.DS_Store", "dog/0.png:Zone.Identifier"):
        (folder / name).write_bytes(b"\0\5\x16\7")
    for name in (".ipynb_checkpoints", "__MACOSX", "lost+found", "$RECYCLE.BIN", "System Volume Information", ".git"):
        save(folder / name / "0.png", noise(77))
    save(folder / "cat" / "@eaDir" / "0.png" / "SYNOPHOTO_THUMB_M.png", noise(78))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dataset = datasets.from_folder(folder)
    assert len(dataset) == 8
    assert sum(dataset.report.junk.values()) == 12 and not dataset.report.passed_over


def test_files_that_are_no_pictures_are_counted_by_folder_suffix_and_kind(folder: Path):
    (folder / "LICENCE.txt").write_text("free")
    for number in range(3):
        (folder / "cat" / f"notes {number}.csv").write_text("good;cats")
    save(folder / "overview.png", noise(77))
    (folder / "dog" / "film").write_bytes(b"\0\0\0\x20ftypisom" + bytes(100))
    with pytest.warns(datasets.FolderNote) as caught:
        dataset = datasets.from_folder(folder)
    [text] = [str(warning.message) for warning in caught]
    assert text.startswith("6 files passed over: 3 .csv (text) in cat, ")
    assert "1 .txt (text) in the folder itself" in text
    assert "1 .png (beside the class folders) in the folder itself" in text
    assert "1 without suffix (a video) in dog" in text and "Save the frames" in text
    assert sum(dataset.report.passed_over.values()) == 6 and dataset.report.notes == (text,)


def test_what_was_passed_over_in_many_folders_is_still_one_short_message(tmp_path: Path):
    for number in range(60):
        save(tmp_path / f"class {number}" / "1.png", noise(number))
        (tmp_path / f"class {number}" / f"{number}.csv").write_text("a;b")
    with pytest.warns(datasets.FolderNote, match=r"^60 files passed over: 60 \.csv \(text\)\.$"):
        datasets.from_folder(tmp_path)


def test_ten_thousand_empty_files_make_one_short_message(folder: Path):
    for number in range(10_000):
        (folder / "cat" / f"empty {number}.jpg").touch()
    with pytest.warns(datasets.UnreadablePicture, match="^10000 files unreadable") as caught:
        assert len(datasets.from_folder(folder)) == 8
    assert len(caught) == 1 and len(str(caught[0].message)) < 1000


@pytest.mark.parametrize("suffix", [".jfif", ".jpe", ".JPG", ".jpg_large", "", ".txt", ".HEIC"])
def test_a_jpeg_is_a_picture_whatever_it_is_called(folder: Path, suffix: str):
    Image.fromarray(noise(7)).save(folder / "cat" / f"more{suffix}", "JPEG")
    assert datasets.from_folder(folder).counts.tolist() == [5, 4]


@pytest.mark.parametrize(("mode", "suffix"), [("RGB", ".ppm"), ("L", ".pgm"), ("1", ".pbm")])
def test_portable_pixmaps_are_read(folder: Path, mode: str, suffix: str):
    for name in ("cat", "dog"):
        Image.fromarray(noise(ord(name[0]))).convert(mode).save(folder / name / f"more{suffix}")
    assert datasets.from_folder(folder).counts.tolist() == [5, 5]


def test_every_usual_picture_format_is_read(folder: Path):
    for suffix in ("bmp", "gif", "JPG", "jpeg", "png", "tif", "TIFF", "webp"):
        save(folder / "cat" / f"more.{suffix}", noise(7))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert datasets.from_folder(folder).counts.tolist() == [12, 4]


def test_names_outside_ascii_and_with_blanks_are_kept(folder: Path):
    for number, name in enumerate(("naïve photo.png", "🌹. .png", "z .png")):
        save(folder / "žluťoučký kůň 馬" / name, noise(7 + number))
    dataset = datasets.from_folder(folder)
    assert dataset.class_names == ("cat", "dog", "žluťoučký kůň 馬")
    assert np.array_equal(dataset.pictures.resized(12)[8], noise(7))


def test_an_accent_written_as_its_own_character_gives_the_same_class_name(folder: Path):
    for number in range(3):
        save(folder / "e\N{COMBINING ACUTE ACCENT}te" / f"{number}.png", noise(7 + number))
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
    assert "cat/no picture.jpg (not a picture but text)" in text
    assert "dog/empty.png (an empty file)" in text and "dog/telephone.heic (HEIC)" in text
    assert "Convert HEIC files to JPEG" in text and "Fetch or copy empty files again." in text
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
    with pytest.warns(datasets.UnreadablePicture, match="cat/huge.png .*143 pixels that are.*Cut or shrink"):
        assert len(datasets.from_folder(folder)) == 8


def test_a_class_without_readable_pictures_is_named_and_left_out(folder: Path):
    (folder / "bird").mkdir()
    with pytest.warns(datasets.UnreadablePicture, match="1 class folder without a readable picture .*: bird"):
        assert datasets.from_folder(folder).class_names == ("cat", "dog")


def test_bytes_that_are_no_utf8_stand_as_codes_everywhere(tmp_path: Path):
    root = os.fsencode(tmp_path)
    for number, name in enumerate((b"k\xe4tzchen", b"hund")):
        os.makedirs(root + b"/" + name)
        for index in range(4):
            Image.fromarray(noise(10 * number + index)).save(os.fsdecode(root + b"/" + name + b"/\xb1_%d.png" % index))
        Path(os.fsdecode(root + b"/" + name + b"/\xfc.jpg")).write_bytes(b"bad")
    with pytest.warns(datasets.UnreadablePicture) as caught:
        dataset = datasets.from_folder(tmp_path)
    assert dataset.class_names == ("hund", "k\\xe4tzchen")
    assert dataset.pictures[:].shape == (8, 64, 64, 3)
    for text in (repr(dataset), dataset._repr_html_(), str(dataset.report), *(str(w.message) for w in caught)):
        text.encode()


def test_numbered_classes_stand_in_their_natural_order(tmp_path: Path):
    for number, name in enumerate(("10", "2", "1", "nan", "fold 9", "fold 10")):
        save(tmp_path / name / "a.png", noise(number))
    dataset = datasets.from_folder(tmp_path)
    assert dataset.class_names == ("1", "2", "10", "fold 9", "fold 10", "nan")
    assert [dataset.class_names[label] for label in dataset.labels] == list(dataset.class_names)


def test_a_class_that_no_split_could_take_is_left_out_with_a_word(folder: Path):
    save(folder / "bird" / "a.png", noise(7))
    save(folder / "bird" / "b.png", noise(8))
    save(folder / "bird" / "same as b.png", noise(8))
    with pytest.warns(datasets.FolderNote, match=r"Left out, .* needs three .*: 'bird' \(3\)"):
        dataset = datasets.from_folder(folder)
    assert dataset.class_names == ("cat", "dog") and len(dataset) == dataset.report.read == 8
    datasets.split(dataset, labels_per_class=1, seed=0)


def test_classes_that_look_the_same_are_named(folder: Path):
    for number in range(3):
        save(folder / "Cat " / f"{number}.png", noise(50 + number))
    with pytest.warns(datasets.FolderNote, match="differ only in case, blanks or dots: 'Cat ' and 'cat'"):
        assert datasets.from_folder(folder).class_names == ("Cat ", "cat", "dog")


def test_very_small_and_very_long_pictures_are_read_and_named(folder: Path):
    save(folder / "cat" / "dot.png", np.full((1, 1, 3), 9, dtype=np.uint8))
    save(folder / "dog" / "strip.png", np.random.default_rng(0).integers(0, 256, (10, 30_000, 3), dtype=np.uint8))
    with pytest.warns(datasets.FolderNote) as caught:
        dataset = datasets.from_folder(folder)
    said = " ".join(str(warning.message) for warning in caught)
    assert (
        "1 picture under 8 pixels high or wide: cat/dot.png" in said and "in the middle is seen: dog/strip.png" in said
    )
    assert dataset.report.sizes == {"smallest": (1, 1), "median": (12, 12), "largest": (30_000, 10)}


def test_a_report_tells_what_a_folder_holds(folder: Path):
    Image.fromarray(noise(0)).convert("L").save(folder / "dog" / "grey.jpg")
    save(folder / "cat" / "again.bmp", noise(3))
    report = datasets.from_folder(folder).report
    assert (report.read, report.exact_duplicates, report.ready_made) == (10, 1, {})
    assert report.formats == {"PNG": 8, "JPEG": 1, "BMP": 1} and report.modes == {"RGB": 9, "L": 1}
    assert report.depths == {"8 bits": 10}
    for part in ("10 pictures read", "PNG (8), BMP (1), JPEG (1)", "median 12x12", "1 exact"):
        assert part in str(report)


# Shortcuts


def two_classes(
    folder: Path, first: Callable[[int], Image.Image], second: Callable[[int], Image.Image], suffixes="png png"
):
    for name, draw, suffix in zip(("healthy", "ill"), (first, second), suffixes.split(), strict=True):
        (folder / name).mkdir(parents=True)
        for number in range(12):
            draw(number + 100 * len(name)).save(folder / name / f"{number}.{suffix}")


def colour(number: int, side: int = 12) -> Image.Image:
    return Image.fromarray(noise(number, side))


@pytest.mark.parametrize(
    ("second", "suffixes", "told"),
    [
        (
            lambda n: Image.fromarray(noise(n)[..., 0].astype(np.uint16) * 200),
            "png png",
            "bit depth (16 bits for 'ill'",
        ),
        (lambda n: colour(n).convert("L"), "png png", "mode (RGB for 'healthy', L for 'ill'"),
        (lambda n: colour(n, 14), "png png", "size (12x12 for 'healthy', 14x14 for 'ill'"),
        (colour, "png bmp", "file format (PNG for 'healthy', BMP for 'ill'"),
        (colour, "tif tiff", "suffix (.tif for 'healthy', .tiff for 'ill'"),
    ],
)
def test_a_property_of_the_files_that_tells_the_class_is_warned_of(
    tmp_path: Path, second: Callable[[int], Image.Image], suffixes: str, told: str
):
    two_classes(tmp_path / "scans", colour, second, suffixes)
    with pytest.warns(datasets.Shortcut) as caught:
        datasets.from_folder(tmp_path / "scans")
    text = next(str(warning.message) for warning in caught if warning.category is datasets.Shortcut)
    assert all(part in text for part in told.replace(" (", ", ").split(", "))


def test_a_threshold_on_the_size_that_tells_the_class_is_warned_of(tmp_path: Path):
    two_classes(tmp_path / "a", lambda n: colour(n, 20 + n % 12), lambda n: colour(n, 40 + n % 12))
    with pytest.warns(datasets.Shortcut, match="sizes .*for 'healthy'"):
        datasets.from_folder(tmp_path / "a")


def test_properties_that_say_nothing_of_the_class_are_no_shortcut(tmp_path: Path):
    two_classes(tmp_path / "a", lambda n: colour(n, 20 + n % 7), lambda n: colour(n, 20 + n % 7))
    Image.fromarray(noise(1)).convert("L").save(tmp_path / "a" / "ill" / "grey.jpg")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        datasets.from_folder(tmp_path / "a")


def test_sizes_that_are_all_different_are_no_shortcut(tmp_path: Path):
    sizes = iter(range(20, 100, 2)), iter(range(21, 100, 2))
    two_classes(tmp_path / "a", lambda n: colour(n, next(sizes[0])), lambda n: colour(n, next(sizes[1])))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        datasets.from_folder(tmp_path / "a")


# Errors


def empty(folder: Path) -> Path:
    (folder / "empty").mkdir()
    return folder / "empty"


def two_empty_classes(folder: Path) -> Path:
    for name in ("cat", "dog"):
        (folder / "new" / name).mkdir(parents=True)
    return folder / "new"


def packed(folder: Path) -> Path:
    return Path(shutil.make_archive(str(folder), "zip", folder))


def wrapped_twice(folder: Path) -> Path:
    (folder.parent / "archive" / "data").mkdir(parents=True)
    folder.rename(folder.parent / "archive" / "data" / "pets")
    return folder.parent


def nothing_in_the_files(folder: Path) -> Path:
    for file in folder.glob("*/*.png"):
        file.write_bytes(b"")
    return folder


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (lambda folder: folder / "no" / "such" / "folder", "does not exist; '{folder}' does. Give a folder that has"),
        (lambda folder: folder / "cat" / "0.png", "is a file, not a folder (a picture). Give a folder that has"),
        (packed, "is a file, not a folder (a zip archive). Unpack archives first. Give a folder that has"),
        (empty, "is empty. Give a folder that has one sub-folder of pictures per class"),
        (lambda folder: folder / "cat", "the class. Or, if a table names the class of each file, give that table"),
        (lambda folder: folder.parent, "give a folder further down, such as '{folder}'"),
        (wrapped_twice, "give a folder further down, such as '{folder.parent}/archive/data/pets'"),
        (two_empty_classes, "no readable picture (without any: 'cat', 'dog')"),
        (nothing_in_the_files, "(an empty file)). A classifier needs two classes or more: "),
        (nothing_in_the_files, "tiff, webp). Fetch or copy empty files again."),
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


def test_of_alternatives_the_parenthesis_that_caught_something_counts(tmp_path: Path):
    for number, name in enumerate(["person1-a", "person1-b", "IM-0002"]):
        save(tmp_path / "ill" / f"{name}.png", noise(number))
        save(tmp_path / "well" / f"{name}.png", noise(10 + number))
    groups = datasets.from_folder(tmp_path, groups=r"^(?:IM-(\d+)|person(\d+))").groups
    assert groups[1] == groups[2] != groups[0] == groups[3]


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


def photograph(number: int) -> Image.Image:
    """One of 20 parts of scikit-image's photographs of an astronaut and of a cup of coffee."""
    part = [skimage.data.astronaut, skimage.data.coffee][number % 2]()[number // 10 * 200 :, number % 10 // 2 * 70 :]
    return Image.fromarray(part[:128, :128])


def test_nearly_the_same_pictures_share_a_group_and_others_do_not(tmp_path: Path):
    for name, start in (("cat", 0), ("dog", 10)):
        (tmp_path / name).mkdir()
        for number in range(8):
            photograph(start + number).save(tmp_path / name / f"{number}.png")
    photograph(0).resize((80, 80)).save(tmp_path / "dog" / "small.png")
    photograph(1).save(tmp_path / "cat" / "pressed.jpg", quality=40)
    Image.fromarray(np.asarray(photograph(2)) // 10 * 9).save(tmp_path / "cat" / "darker.png")
    dataset = datasets.from_folder(tmp_path)
    names = [f"{path.parent.name}/{path.name}" for path in dataset.pictures.paths]
    group = dict(zip(names, dataset.groups.tolist(), strict=True))
    assert group["cat/0.png"] == group["dog/small.png"]
    assert group["cat/1.png"] == group["cat/pressed.jpg"] and group["cat/2.png"] == group["cat/darker.png"]
    assert len(set(group.values())) == 16
    assert dataset.report.near_duplicates == 3


def test_mirrored_and_turned_copies_share_a_group_with_their_picture_and_with_no_other(tmp_path: Path):
    for name, start in (("cat", 0), ("dog", 10)):
        (tmp_path / name).mkdir()
        for number in range(5):
            picture = photograph(start + number)
            picture.save(tmp_path / name / f"{number}.png")
            for way in Image.Transpose:
                picture.transpose(way).save(tmp_path / name / f"{way.name}{number}.png")
    dataset = datasets.from_folder(tmp_path)
    assert len(dataset) == 80 and len(set(dataset.groups.tolist())) == 10
    for path, group in zip(dataset.pictures.paths, dataset.groups, strict=True):
        original = path.with_name(f"{path.stem[-1]}.png")
        assert group == dataset.groups[dataset.pictures.paths.index(original)]


def test_copies_that_only_their_names_tell_share_a_group_with_the_picture_of_that_name(folder: Path):
    for number, name in enumerate(
        ("0_rot10", "0-Blur-2", "1_augmented_3_zoom", "5_flip", "a.rf.12ab34cd", "a.rf.56ef78ab")
    ):
        save(folder / "cat" / f"{name}.png", noise(200 + number))
    save(folder / "dog" / "2.gif", noise(300))
    dataset = datasets.from_folder(folder)
    groups: dict[int, list[str]] = {}
    for path, group in zip(dataset.pictures.paths, dataset.groups.tolist(), strict=True):
        groups.setdefault(group, []).append(path.name)
    together = [names for names in groups.values() if len(names) > 1]
    copies = [["0-Blur-2.png", "0.png", "0_rot10.png"], ["1.png", "1_augmented_3_zoom.png"]]
    assert together == [*copies, ["a.rf.12ab34cd.png", "a.rf.56ef78ab.png"]]


def test_a_fixed_camera_whose_pictures_are_all_alike_makes_no_single_group(tmp_path: Path):
    for name in ("empty", "full"):
        for number in range(6):
            pixels = np.asarray(photograph(0)).copy()
            pixels[number : number + 2, number : number + 2] = 255 * (name == "full")
            save(tmp_path / name / f"{number}.png", pixels)
    with pytest.warns(datasets.FolderNote, match="so many that these make no groups .*only exact copies"):
        dataset = datasets.from_folder(tmp_path)
    assert len(set(dataset.groups.tolist())) == 12
    datasets.split(dataset, labels_per_class=2, seed=0)


# Files named elsewhere


def test_files_and_labels_from_elsewhere_are_read_in_their_order(folder: Path):
    pairs = [(folder / "dog" / "1.png", "b"), (folder / "cat" / "2.png", "a"), (folder / "dog" / "0.png", "b")]
    dataset = datasets.from_files(pairs, "table", groups=["x", "y", "x"], ready_made=["train", "Test", "validation"])
    assert (dataset.name, dataset.class_names, dataset.labels.tolist()) == ("table", ("a", "b"), [1, 0, 1])
    assert dataset.groups.tolist() == [0, 1, 0] and dataset.ready_made.tolist() == ["train", "test", "validation"]
    assert np.array_equal(dataset.pictures.resized(12)[1], noise(2))
    by_name = datasets.from_files(pairs, "table", groups=r"^(\d)")
    assert len(set(by_name.groups.tolist())) == 3


def test_a_file_that_is_not_there_is_named_and_a_side_that_is_none_refused(folder: Path):
    pairs = [(folder / "cat" / f"{number}.png", str(number % 2)) for number in range(5)]
    with pytest.warns(datasets.UnreadablePicture, match=r"^1 file unreadable and left out: 4\.png \(No such file"):
        assert len(datasets.from_files(pairs, "table")) == 4
    with pytest.raises(UserError, match="cannot be 'later', 'nan'; call it train, validation or test"):
        datasets.from_files(pairs, "table", ready_made=["train", "test", "train", "nan", "later"])
    with pytest.raises(UserError, match="no readable picture"):
        datasets.from_files([], "table")


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


# The reader's pictures, in whichever form


def test_a_folder_a_table_of_its_files_and_an_archive_are_read_through_one_door(tmp_path: Path):
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (12, 16, 16, 3), dtype=np.uint8)
    labels = np.arange(12) % 2
    for number, picture in enumerate(pictures):
        kind = tmp_path / "folder" / ("ill", "well")[labels[number]]
        kind.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(kind / f"p{number // 4}-{number}.png")
        (tmp_path / "flat").mkdir(exist_ok=True)
        Image.fromarray(picture).save(tmp_path / "flat" / f"p{number // 4}-{number}.png")
    rows = [f"p{number // 4}-{number}.png,{('ill', 'well')[label]}" for number, label in enumerate(labels)]
    (tmp_path / "labels.csv").write_text("\n".join(["file,label", *rows]))
    arrays = {}
    for side, part in (("train", slice(0, 6)), ("val", slice(6, 8)), ("test", slice(8, 12))):
        arrays |= {f"{side}_images": pictures[part], f"{side}_labels": labels[part][:, None]}
    np.savez(tmp_path / "archive.npz", **arrays)
    folder = datasets.own_pictures(tmp_path / "folder", groups=r"^p(\d)")
    table = datasets.own_pictures(tmp_path / "flat", labels=tmp_path / "labels.csv", groups=r"^p(\d)")
    archive = datasets.own_pictures(tmp_path / "archive.npz")
    for found in (folder, table):
        assert found.class_names == ("ill", "well") and len(np.unique(found.groups)) == 3
        names = np.array([int(path.stem.split("-")[1]) for path in found.pictures.paths])
        np.testing.assert_array_equal(found.labels, labels[names])
        np.testing.assert_array_equal(found.resized(16)[:], pictures[names])
    split = datasets.split(archive, labels_per_class=None, seed=0)
    assert sorted(split.train) == [0, 1, 2, 3, 4, 5] and sorted(split.test) == [8, 9, 10, 11]


@pytest.mark.parametrize("given", [{"labels": "labels.csv"}, {"groups": "^(p)"}])
def test_an_archive_has_no_file_names_to_be_named_by_a_table_or_an_expression(tmp_path: Path, given: dict[str, str]):
    with pytest.raises(UserError, match="without file names"):
        datasets.own_pictures(tmp_path / "archive.npz", **given)
