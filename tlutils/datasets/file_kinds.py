"""What a file is, told from its first bytes: a name for a message, and what its owner can do."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from tlutils.datasets import decoding

# DICOM and tar have their signatures within it, and text shows itself to be text.
_HEAD = 4096


@dataclass(frozen=True)
class Kind:
    """What a file is.

    Attributes
    ----------
    name : str
        Such as ``"a web page"``.
    way_out : str
        What its owner can do, one sentence; empty where there is nothing to say.
    picture : bool
        Whether its owner takes it for a picture, readable here or not.
    """

    name: str
    way_out: str = ""
    picture: bool = False


_REPLACE = "Replace or delete damaged files."
_EXPORT = "Export them as PNG or JPEG."
_UNPACK = "Unpack archives first."
_FRAMES = "Save the frames that you want of a video as JPEG, with ffmpeg for instance."

EMPTY = Kind("an empty file", "Fetch or copy empty files again.")
TEXT = Kind("text")
UNKNOWN = Kind("of a kind that is not known here", "Save pictures of an unknown kind as PNG or JPEG, or delete them.")
_RAW = Kind("a camera's raw file", _EXPORT, picture=True)
_HEIC = Kind(
    "HEIC",
    "Convert HEIC files to JPEG; an iPhone writes JPEG under Settings, Camera, Formats, Most Compatible.",
    picture=True,
)
_AVIF = Kind("AVIF", "Convert AVIF files to JPEG or PNG, or renew Pillow: from version 11.3 on it reads them.", True)
_DICOM = Kind("DICOM", "Save the pixels of DICOM files as 16-bit PNG, with pydicom for instance.", True)
_VIDEO, _ARCHIVE, _AUDIO = Kind("a video", _FRAMES), Kind("an archive", _UNPACK), Kind("a sound")

# By the bytes at an offset; the first that fits counts.
_SIGNATURES: tuple[tuple[int, bytes, Kind], ...] = (
    (
        0,
        b"version https://git-lfs.github.com/spec",
        Kind("a Git LFS pointer", "Fetch what Git LFS pointers stand for with 'git lfs pull'."),
    ),
    *((0, start, Kind("a damaged picture", _REPLACE, True)) for start in (b"\xff\xd8\xff", b"\x89PNG\r\n", b"GIF8")),
    *((0, start, Kind("a damaged TIFF", _REPLACE, True)) for start in decoding.TIFF_STARTS),
    (0, b"\0\5\x16\7", Kind("macOS's notes on a file")),
    (0, b"%PDF", Kind("a PDF", "Export the pages or pictures of a PDF as PNG.")),
    (0, b"%!PS", Kind("PostScript", _EXPORT)),
    (0, b"PK\3\4", Kind("a zip archive", _UNPACK)),
    (0, b"PK\5\6", Kind("an empty zip archive")),
    *(
        (0, start, _ARCHIVE)
        for start in (b"\x1f\x8b", b"7z\xbc\xaf\x27\x1c", b"Rar!", b"BZh", b"\xfd7zXZ\0", b"(\xb5/\xfd")
    ),
    (257, b"ustar", _ARCHIVE),
    *(
        (0, start, _VIDEO)
        for start in (b"\x1aE\xdf\xa3", b"\0\0\1\xba", b"\0\0\1\xb3", b"FLV\1", b"0&\xb2u\x8ef\xcf\x11")
    ),
    (8, b"AVI ", _VIDEO),
    (8, b"WAVE", _AUDIO),
    *((0, start, _AUDIO) for start in (b"ID3", b"OggS", b"fLaC")),
    (128, b"DICM", _DICOM),
    *((344, magic, Kind("NIfTI", "Save slices of NIfTI volumes as PNG.", True)) for magic in (b"n+1\0", b"ni1\0")),
    (0, b"\x93NUMPY", Kind("a NumPy array", "Save arrays as PNG, with Pillow for instance.")),
    (0, b"\x89HDF\r\n\x1a\n", Kind("HDF5", "Save the pictures in HDF5 files as PNG.")),
    (0, b"\xd0\xcf\x11\xe0", Kind("an Office document or a thumbnail cache")),
    *(
        (0, start, Kind("JPEG XL", "Convert JPEG XL files to JPEG or PNG.", True))
        for start in (b"\xff\x0a", b"\0\0\0\x0cJXL ")
    ),
    (0, b"SQLite format 3", Kind("a database")),
    (0, b"\x7fELF", Kind("a program")),
    (0, b"MZ", Kind("a program")),
)


def of(file: Path) -> Kind:
    """Tell what a file is; its suffix counts only where cameras give their raw files the bytes of a TIFF.

    Parameters
    ----------
    file : Path

    Returns
    -------
    Kind

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    with open(file, "rb") as opened:
        head = opened.read(_HEAD)
        whole = os.fstat(opened.fileno()).st_size <= _HEAD
    if not head:
        return EMPTY
    if decoding.is_raw(file):
        return _RAW
    if head[4:8] == b"ftyp":
        return _in_boxes(head)
    for offset, signature, kind in _SIGNATURES:
        if head.startswith(signature, offset):
            return kind
    return _written(head, whole)


def _in_boxes(head: bytes) -> Kind:
    """ISO base media files (ISO 14496-12) tell by their brands what is inside."""
    length = min(int.from_bytes(head[:4], "big"), 256)
    brands = {head[8:12], *(head[at : at + 4] for at in range(16, length, 4))}
    if brands & {b"avif", b"avis"}:
        return _AVIF
    if brands & {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}:
        return _HEIC
    return _RAW if b"crx " in brands else _VIDEO


def _written(head: bytes, whole: bool) -> Kind:
    """Tell texts from other bytes, and marked-up texts from plain ones."""
    if not head.strip(b"\0"):
        return Kind("nothing but zero bytes", "Fetch or copy files of zero bytes again.")
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1000].lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return Kind(
            "a web page",
            "Fetch the picture again where the file is a web page: the server sent an error or asked for a password.",
        )
    if b"<svg" in start:
        return Kind("an SVG drawing", "Export SVG drawings as PNG.")
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" not in head:
        try:
            # A character may be cut at the end of what was read.
            head.decode("utf-16" if b"\0" in head else "utf-8", "strict" if whole else "ignore")
        except UnicodeDecodeError:
            control = sum(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in head)
            return TEXT if control == 0 and len(head) > 8 else UNKNOWN
        return TEXT
    return UNKNOWN
