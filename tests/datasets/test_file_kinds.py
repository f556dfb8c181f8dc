"""Tests of tlutils.datasets.file_kinds: files are named by what they are, each with a way out."""

from __future__ import annotations

import io
import struct
import tarfile
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from own_pictures import noise
from PIL import Image

from tlutils import datasets
from tlutils.datasets import file_kinds


def boxes(brand: bytes, *compatible: bytes) -> bytes:
    """Start of an ISO base media file."""
    length = 16 + 4 * len(compatible)
    return struct.pack(">I", length) + b"ftyp" + brand + bytes(4) + b"".join(compatible) + bytes(200)


def archive(kind: str) -> bytes:
    buffer = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(buffer, "w") as file:
            file.writestr("a.txt", "a")
    else:
        with tarfile.open(fileobj=buffer, mode=kind) as file:
            file.addfile(tarfile.TarInfo("a.txt"))
    return buffer.getvalue()


def hdf5() -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file["x"] = [1]
    return buffer.getvalue()


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 58889256\n"
KINDS = [
    (b"", "an empty file", "again"),
    (bytes(5000), "nothing but zero bytes", "again"),
    (POINTER.encode(), "a Git LFS pointer", "git lfs pull"),
    (b"\xef\xbb\xbf\n<!DOCTYPE html><html></html>", "a web page", "the server sent an error"),
    (b'<?xml version="1.0"?>\n<svg xmlns="x"></svg>', "an SVG drawing", "Export SVG"),
    (b"%PDF-1.7\n%\xe2\xe3", "a PDF", "Export the pages"),
    (boxes(b"heic", b"mif1", b"heic"), "HEIC", "Most Compatible"),
    (boxes(b"mif1", b"heic"), "HEIC", "Convert HEIC"),
    (boxes(b"mif1", b"avif"), "AVIF", "Convert AVIF"),
    (boxes(b"isom", b"mp42"), "a video", "Save the frames"),
    (boxes(b"qt  "), "a video", "Save the frames"),
    (b"RIFF\0\0\0\0AVI LIST", "a video", "Save the frames"),
    (b"RIFF\0\0\0\0WAVEfmt ", "a sound", ""),
    (archive("zip"), "a zip archive", "Unpack"),
    (archive("w:gz"), "compressed with gzip", "Unpack"),
    (archive("w"), "a tar archive", "Unpack"),
    (bytes(128) + b"DICM" + bytes(99), "DICOM", "pydicom"),
    (hdf5(), "an HDF5 file", "PNG"),
    (b"file;label\n1.png;rose\n", "text", ""),
    ("größer".encode(), "text", ""),
    ("größer und noch größer".encode("latin-1"), "text", ""),
    ("größer".encode("utf-16"), "text", ""),
    (b"\x93NUMPY\1\0v\0{'descr': '<f8'}", "a single NumPy array (.npy)", "PNG"),
    (b"\x01\x02\x03\x00\x9c\x8f\x80" * 9, "of a kind that is not known here", "Save pictures of an unknown kind"),
]


WITH_A_WAY = [row for row in KINDS if row[2]]


# Numbers for names, since an archive tells when it was made.
@pytest.mark.parametrize(("content", "name", "way_out"), KINDS, ids=map(str, range(len(KINDS))))
@pytest.mark.parametrize("suffix", ["", ".jpg"])
def test_a_file_is_named_by_its_bytes_with_a_way_out(
    tmp_path: Path, content: bytes, name: str, way_out: str, suffix: str
):
    (tmp_path / f"file{suffix}").write_bytes(content)
    kind = file_kinds.of(tmp_path / f"file{suffix}")
    assert kind.name == name and way_out in kind.way_out


@pytest.mark.parametrize(("content", "name", "way_out"), WITH_A_WAY, ids=map(str, range(len(WITH_A_WAY))))
def test_the_reader_of_a_folder_hears_of_the_kind_and_the_way_out(
    folder: Path, content: bytes, name: str, way_out: str
):
    (folder / "cat" / "odd.jpg").write_bytes(content)
    (folder / "dog" / "odd").write_bytes(content)
    with pytest.warns(UserWarning) as caught:
        dataset = datasets.from_folder(folder)
    text = " ".join(str(warning.message) for warning in caught)
    assert len(dataset) == 8 and way_out in text
    known = name if name != "of a kind that is not known here" else "not a picture that is known here"
    assert known in text and text.count("odd") + text.count("without suffix") == 2


def test_a_cameras_raw_file_is_not_read_as_its_thumbnail(folder: Path):
    Image.fromarray(noise(7)).save(folder / "cat" / "raw.dng", "TIFF")
    with pytest.warns(datasets.UnreadablePicture, match=r"cat/raw.dng \(a camera's raw file\).*Export them"):
        assert len(datasets.from_folder(folder)) == 8


def test_a_video_is_no_picture_though_pillow_has_a_reader_for_its_start(folder: Path):
    (folder / "cat" / "film.mpg").write_bytes(b"\x00\x00\x01\xb3\x14\x00\xf0\x13" + bytes(100))
    with pytest.warns(datasets.FolderNote, match=r"1 \.mpg \(a video\) in cat"):
        assert len(datasets.from_folder(folder)) == 8


@given(st.binary(max_size=300))
def test_any_bytes_have_a_name(tmp_path_factory: pytest.TempPathFactory, content: bytes):
    file = tmp_path_factory.getbasetemp() / "any"
    file.write_bytes(content)
    kind = file_kinds.of(file)
    assert kind.name and kind.way_out.endswith((".", "")) and np.isin(kind.picture, [True, False])
