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
