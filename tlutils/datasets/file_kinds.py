"""What a file in a folder of pictures is: a name for a message, and what its owner can do."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from tlutils.datasets import decoding
from tlutils.store import kinds
from tlutils.store.kinds import Kind


class Described(NamedTuple):
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


TEXT = Described("text")
DAMAGED = Described("a damaged picture", "Replace or delete damaged files.", picture=True)
UNKNOWN = Described(
    "of a kind that is not known here", "Save pictures of an unknown kind as PNG or JPEG, or delete them."
)

_ARCHIVES = (Kind.ZIP, Kind.GZIP, Kind.BZIP2, Kind.XZ, Kind.ZSTD, Kind.SEVEN_ZIP, Kind.RAR, Kind.TAR)
_OTHERS = {
    Kind.EMPTY: "Fetch or copy empty files again.",
    Kind.ZEROS: "Fetch or copy files of zero bytes again.",
    Kind.LFS_POINTER: "Fetch what Git LFS pointers stand for with 'git lfs pull'.",
    Kind.ANNEX_POINTER: "Fetch what git-annex pointers stand for with 'git annex get'.",
    Kind.WEB_PAGE: (
        "Fetch the picture again where the file is a web page: the server sent an error or asked for a password."
    ),
    Kind.SVG: "Export SVG drawings as PNG.",
    Kind.PDF: "Export the pages or pictures of a PDF as PNG.",
    Kind.POSTSCRIPT: decoding.EXPORT,
    Kind.VIDEO: "Save the frames that you want of a video as JPEG, with ffmpeg for instance.",
    Kind.NUMPY_ARRAY: "Save arrays as PNG, with Pillow for instance.",
    Kind.HDF5: "Save the pictures in HDF5 files as PNG.",
    **dict.fromkeys(_ARCHIVES, "Unpack archives first."),
}
_PICTURES = {
    Kind.RAW: decoding.EXPORT,
    Kind.HEIC: "Convert HEIC files to JPEG; an iPhone writes JPEG under Settings, Camera, Formats, Most Compatible.",
    Kind.AVIF: "Convert AVIF files to JPEG or PNG, or renew Pillow: from version 11.3 on it reads them.",
    Kind.DICOM: "Save the pixels of DICOM files as 16-bit PNG, with pydicom for instance.",
    Kind.NIFTI: "Save slices of NIfTI volumes as PNG.",
    Kind.JPEG_XL: "Convert JPEG XL files to JPEG or PNG.",
}
# What is read as a text here, whatever its marks mean.
_TEXTS = (Kind.XML, Kind.JSON, Kind.RTF, Kind.UNKNOWN)


def of(file: Path) -> Described:
    """Tell what a file is that cannot be read as a picture.

    Parameters
    ----------
    file : Path

    Returns
    -------
    Described

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    with file.open("rb") as opened:
        head = opened.read(kinds.HEAD)
        whole = os.fstat(opened.fileno()).st_size <= kinds.HEAD
    kind = kinds.kind_of_bytes(head)
    if kind in (Kind.JPEG, Kind.PNG, Kind.GIF) or head.startswith(decoding.TIFF_STARTS):
        return DAMAGED
    if kind in _TEXTS:
        return TEXT if _is_text(head, whole) else UNKNOWN
    return Described(str(kind), _OTHERS.get(kind, _PICTURES.get(kind, "")), kind in _PICTURES)


def _is_text(head: bytes, whole: bool) -> bool:
    if b"\0" in head and not head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return False
    try:
        # A character may be cut at the end of what was read.
        head.decode("utf-16" if b"\0" in head else "utf-8", "strict" if whole else "ignore")
    except UnicodeDecodeError:
        control = sum(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in head)
        return control == 0 and len(head) > 8
    return True
