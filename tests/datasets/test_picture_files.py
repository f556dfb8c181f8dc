"""Tests of tlutils.datasets.picture_files: any kind of file becomes RGB, and files behave like an array."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from own_pictures import noise, save
from PIL import Image

from tlutils import datasets
from tlutils.datasets import picture_files
from tlutils.settings import UserError


def read_one(path: Path, image_size: int) -> np.ndarray:
    """The one picture, as PictureFiles returns it."""
    return picture_files.PictureFiles([path], ["digest"], image_size)[0]


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


def test_an_index_that_fits_no_picture_is_refused_so_that_iterating_ends(folder: Path):
    pictures = datasets.from_folder(folder).pictures
    for index in (8, [9], (0, 0), np.zeros((2, 2), dtype=int), np.ones(3, dtype=bool)):
        with pytest.raises(IndexError):
            pictures[index]
    assert len(list(pictures)) == 8


def test_a_file_that_vanished_is_named(folder: Path):
    dataset = datasets.from_folder(folder)
    (folder / "dog" / "2.png").unlink()
    with pytest.raises(UserError, match=r"dog/2\.png could be read when its folder was opened and now cannot"):
        dataset.pictures[4:8]


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


# More than eight bits


def stretched(dataset: datasets.Dataset) -> np.ndarray:
    return dataset.pictures.resized(12)[:][..., 0]


@pytest.mark.parametrize(("dtype", "suffix"), [(np.uint16, "png"), (np.int32, "tif"), (np.float32, "tif")])
def test_deep_pictures_are_stretched_by_the_range_of_their_data_set(tmp_path: Path, dtype: type, suffix: str):
    """A picture of half the brightness stays half as bright."""
    rng = np.random.default_rng(0)
    bright = rng.permutation(np.linspace(0, 4000, 144)).reshape(12, 12).astype(dtype)
    for label in ("ill", "well"):
        for part in (1, 2, 4):
            turned = bright if label == "ill" else bright.T
            save(tmp_path / label / f"{part}.{suffix}", (turned / part).astype(dtype))
    with pytest.warns(datasets.FolderNote, match="all are stretched alike, so that 0 becomes black and 4000 white"):
        dataset = datasets.from_folder(tmp_path)
    shown = stretched(dataset)
    for row, part in enumerate((1, 2, 4)):
        np.testing.assert_allclose(shown[row], bright / part * (255 / 4000), atol=0.6)
    assert np.array_equal(dataset.subset([2]).pictures.resized(12)[0], dataset.pictures.resized(12)[2])


def test_sixteen_bits_that_are_used_in_full_keep_their_white(tmp_path: Path):
    for label in ("ill", "well"):
        for number in range(3):
            save(tmp_path / label / f"{number}.png", noise(number + 10 * len(label))[..., 0].astype(np.uint16) * 200)
    dataset = datasets.from_folder(tmp_path)
    assert dataset.pictures.spans == {"16 bits": (0.0, 65535.0)}
    expected = np.round(noise(30)[..., 0].astype(float) * 200 * (255 / 65535))
    assert np.array_equal(stretched(dataset)[0], expected)


def test_colours_of_twelve_bits_in_sixteen_are_stretched_too(tmp_path: Path):
    import tifffile

    colours = np.random.default_rng(0).integers(0, 4096, (12, 12, 3)).astype(np.uint16)
    for label in ("ill", "well"):
        for number in range(3):
            (tmp_path / label).mkdir(exist_ok=True)
            turned = np.rot90(colours, number + 3 * (label == "well"))[..., :: 1 if label == "ill" else -1]
            tifffile.imwrite(tmp_path / label / f"{number}.tif", turned, photometric="rgb")
    with pytest.warns(datasets.FolderNote, match="pictures of 16 bits: all are stretched alike"):
        shown = datasets.from_folder(tmp_path).pictures.resized(12)[0]
    np.testing.assert_allclose(shown, colours / 16, atol=20)  # Pillow keeps eight of the sixteen bits


def test_a_range_belongs_to_the_fingerprint_of_deep_pictures_only(folder: Path):
    pictures = datasets.from_folder(folder).pictures
    assert pictures.spans == {}
    paths, digests = pictures.paths, pictures.digests
    narrow, wide = (picture_files.PictureFiles(paths, digests, 64, {"16 bits": (0, high)}) for high in (4095, 65535))
    assert len({one.fingerprint for one in (pictures, narrow, wide)}) == 3
    assert narrow.resized(32).spans == narrow.subset([0]).spans == narrow.spans


def test_a_single_hot_pixel_does_not_darken_a_data_set(tmp_path: Path):
    rng = np.random.default_rng(1)
    for number in range(6):
        values = rng.integers(0, 4096, (64, 64)).astype(np.uint16)
        values[0, 0] = 30_000
        save(tmp_path / str(number % 2) / f"{number}.png", values)
    with pytest.warns(datasets.FolderNote, match="pictures of 16 bits"):
        low, high = datasets.from_folder(tmp_path).pictures.spans["16 bits"]
    assert low < 30 and 4050 < high < 4096


# Forms of TIFF and PNG


def test_of_a_stack_the_first_page_that_is_not_empty_is_read(tmp_path: Path):
    import tifffile

    pages = np.stack([np.zeros((12, 12), np.uint8), noise(1)[..., 0], noise(2)[..., 0]])
    for label in ("ill", "well"):
        for number in range(3):
            (tmp_path / label).mkdir(exist_ok=True)
            stack = (pages + number + 10 * len(label)).astype(np.uint8)
            tifffile.imwrite(tmp_path / label / f"{number}.tif", stack, photometric="minisblack")
    with pytest.warns(datasets.FolderNote, match=r"6 files with several pages: .*\(page 2 of ill/0\.tif, "):
        dataset = datasets.from_folder(tmp_path)
    assert np.array_equal(stretched(dataset)[0], pages[1] + 30)


def test_a_stack_of_empty_pages_shows_its_first(tmp_path: Path):
    path = tmp_path / "empty.tif"
    Image.new("L", (4, 4), 7).save(path, save_all=True, append_images=[Image.new("L", (4, 4), 9)])
    assert read_one(path, 4)[0, 0].tolist() == [7, 7, 7] and picture_files.scan(path).page == 1


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_grey_of_sixteen_bits_with_transparency_lies_over_white(tmp_path: Path, planar: str):
    import tifffile

    grey, opaque = np.full((4, 6), 257 * 100, np.uint16), np.full((4, 6), 65535, np.uint16)
    opaque[0] = 0
    both = np.stack([grey, opaque], axis=2 if planar == "contig" else 0)
    path = tmp_path / "la.tif"
    tifffile.imwrite(path, both, photometric="minisblack", planarconfig=planar, extrasamples=["unassalpha"])
    assert read_one(path, 4)[..., 0].tolist() == [[255] * 4, *[[100] * 4] * 3]


@pytest.mark.parametrize("channels", [5, 13])
def test_many_channels_are_counted_with_the_way_out(folder: Path, channels: int, capfd: pytest.CaptureFixture[str]):
    import tifffile

    bands = np.zeros((12, 12, channels), np.uint16)
    tifffile.imwrite(folder / "cat" / "bands.tif", bands, photometric="minisblack", planarconfig="contig")
    with pytest.warns(
        datasets.UnreadablePicture, match=rf"bands\.tif \({channels} channels\).*one or three that you choose"
    ):
        assert len(datasets.from_folder(folder)) == 8
    assert capfd.readouterr().err == ""


def test_long_texts_in_a_png_are_no_fault_up_to_a_bound(folder: Path):
    from PIL import PngImagePlugin

    for name, length in (("long", 5_000_000), ("bomb", 80_000_000)):
        info = PngImagePlugin.PngInfo()
        info.add_itxt("parameters", "x" * length, zip=True)
        Image.fromarray(noise(ord(name[0]))).save(folder / "cat" / f"{name}.png", pnginfo=info)
    with pytest.warns(datasets.UnreadablePicture, match="^1 file unreadable and left out: cat/bomb.png"):
        assert len(datasets.from_folder(folder)) == 9


def test_a_picture_without_any_number_is_named(folder: Path):
    save(folder / "cat" / "nothing.tif", np.full((9, 9), np.nan, dtype=np.float32))
    with pytest.warns(datasets.UnreadablePicture, match=r"cat/nothing\.tif \(no finite pixel value\)"):
        assert len(datasets.from_folder(folder)) == 8


def test_pictures_that_one_bright_picture_makes_flat_are_counted(tmp_path: Path):
    for number in range(6):
        values = np.random.default_rng(number).random((12, 12)).astype(np.float32)
        save(tmp_path / str(number % 2) / f"{number}.tif", values * (1000 if number == 5 else 1))
    with pytest.warns(
        datasets.FolderNote, match=r"6 pictures of floats: .* 5 of them fill less than 1/50 of that range"
    ):
        datasets.from_folder(tmp_path)


def test_complex_numbers_are_not_halved_in_silence(folder: Path):
    import tifffile

    tifffile.imwrite(folder / "cat" / "waves.tif", np.full((12, 12), 1 + 2j, np.complex64))
    with pytest.warns(datasets.UnreadablePicture, match=r"waves\.tif \(pixels of type complex64"):
        assert len(datasets.from_folder(folder)) == 8
