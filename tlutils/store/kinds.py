"""What a file is by its first bytes, whatever its name says; each room adds what its reader can do about it."""

from __future__ import annotations

import re
import zipfile
from enum import StrEnum
from pathlib import Path
from typing import Self

# What `kind_of` reads: tar and DICOM have their signatures within the file, and texts begin with comments.
HEAD = 4096

# What may stand before the first element of a marked-up text.
_PROLOGUE = rb"(?:\xef\xbb\xbf)?\s*+(?><\?xml[^>]*>\s*)?+(?><!--.*?-->\s*)*+"


class Kind(StrEnum):
    """What a file is, as a message calls it, and the regular expression of its beginning; the first that fits counts.

    Signatures are those of the formats' own documents, of https://git-lfs.com/spec, of
    https://git-annex.branchable.com/internals/pointer_file and of the database of the program `file`. TIFF is missing:
    `decoding`, which must work without this module, knows it. Kinds without an expression are told in another way.
    """

    pattern: bytes

    def __new__(cls, name: str, pattern: bytes = rb"(?!)") -> Self:  # noqa: D102
        kind = str.__new__(cls, name)
        kind._value_ = name
        kind.pattern = pattern
        return kind

    EMPTY = "an empty file", rb"\Z"
    ZEROS = "nothing but zero bytes", rb"\0+\Z"
    LFS_POINTER = "a Git LFS pointer", rb"version https://git-lfs\.github\.com/spec"
    ANNEX_POINTER = "a git-annex pointer", rb"/annex/objects/"
    JPEG = "a picture (JPEG)", rb"\xff\xd8\xff"
    PNG = "a picture (PNG)", rb"\x89PNG\r\n"
    GIF = "a picture (GIF)", rb"GIF8"
    JPEG_XL = "JPEG XL", rb"\xff\x0a|\0\0\0\x0cJXL\x20"
    HEIC = "HEIC"
    AVIF = "AVIF"
    RAW = "a camera's raw file"
    DICOM = "DICOM", rb".{128}DICM"
    NIFTI = "NIfTI", rb".{344}n[+i]1\0"
    VIDEO = "a video", rb"\x1aE\xdf\xa3|\0\0\x01[\xba\xb3]|FLV\x01|0&\xb2u\x8ef\xcf\x11|.{8}AVI\x20"
    SOUND = "a sound", rb"ID3|OggS|fLaC|.{8}WAVE"
    MAC_NOTES = "macOS's notes on a file", rb"\0\x05\x16\x07"
    PDF = "a PDF", rb"%PDF"
    POSTSCRIPT = "PostScript", rb"%!PS"
    RTF = "a text document (RTF)", rb"\{\\rtf"
    ZIP = "a zip archive", rb"PK\x03\x04"
    EMPTY_ZIP = "an empty zip archive", rb"PK\x05\x06"
    DAMAGED_ZIP = "a damaged zip archive"
    GZIP = "compressed with gzip", rb"\x1f\x8b"
    BZIP2 = "compressed with bzip2", rb"BZh"
    XZ = "compressed with xz", rb"\xfd7zXZ\0"
    ZSTD = "compressed with zstd", rb"\x28\xb5\x2f\xfd"
    SEVEN_ZIP = "a 7z archive", rb"7z\xbc\xaf\x27\x1c"
    RAR = "a RAR archive", rb"Rar!\x1a\x07"
    TAR = "a tar archive", rb".{257}ustar"
    EXCEL = "an Excel workbook (.xlsx)"
    NUMBERS = "an Apple Numbers document"
    ODS = "an OpenDocument file (.ods)"
    WORD = "a Word document (.docx)"
    OLD_OFFICE = "an old Microsoft Office file, such as .xls", rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
    PARQUET = "a Parquet file", rb"PAR1"
    ARROW = "an Arrow (Feather) file", rb"ARROW1"
    STATA = "a Stata file", rb"<stata_dta>"
    SPSS = "an SPSS file", rb"\$FL2"
    SQLITE = "an SQLite database", rb"SQLite format 3\0"
    HDF5 = "an HDF5 file", rb"\x89HDF\r\n\x1a\n"
    MATLAB = "a MATLAB file", rb"MATLAB 5\.0 MAT-file"
    NUMPY_ARRAY = "a single NumPy array (.npy)", rb"\x93NUMPY"
    NUMPY_ARCHIVE = "a NumPy archive (.npz)"
    KERAS_MODEL = "a Keras model (.keras)"
    TORCH_ZIP = "a PyTorch checkpoint of the newer zip format"
    PICKLE = "a pickle, which may run code when it is opened", rb"\x80[\x02-\x05]"
    SAFETENSORS = "a safetensors file", rb".{7}\0\{"
    PROGRAM = "a program", rb"\x7fELF|MZ"
    WEB_PAGE = "a web page", _PROLOGUE + rb"(?i:<(?:!doctype html|html|head|body|table)\b)"
    SVG = "an SVG drawing", _PROLOGUE + rb"(?i:<(?:!doctype svg|svg)\b)"
    XML = "an XML document", rb"(?:\xef\xbb\xbf)?\s*(?i:<(?:\?xml|error)\b)"
    # No row of a table begins with an object, or with a list of objects, lists or quoted texts.
    JSON = "JSON", rb"(?:\xef\xbb\xbf)?\s*(?:\{\s*[\"}]|\[\s*[\[{\"])"
    UNKNOWN = "", rb""


def kind_of(path: Path) -> Kind:
    """Return what a file is by its content, a zip archive also by the names in it.

    Parameters
    ----------
    path : Path

    Raises
    ------
    OSError
        If it cannot be read.
    """
    with path.open("rb") as file:
        kind = kind_of_bytes(file.read(HEAD))
    return kind_in_zip(path)[0] if kind == Kind.ZIP else kind


def kind_of_bytes(head: bytes) -> Kind:
    r"""Return what a file is by its first bytes.

    Parameters
    ----------
    head : bytes
        `HEAD` of them, or more.

    Examples
    --------
    >>> str(kind_of_bytes(b"\x1f\x8b\x08")), str(kind_of_bytes(b"<!-- saved --> <html>")), str(kind_of_bytes(b"a,b"))
    ('compressed with gzip', 'a web page', '')
    """
    if head[4:8] == b"ftyp":
        return _kind_in_boxes(head)
    return next(kind for kind in Kind if re.match(kind.pattern, head, re.DOTALL))


def _kind_in_boxes(head: bytes) -> Kind:
    """ISO base media files (ISO 14496-12) tell by their brands what is inside."""
    length = min(int.from_bytes(head[:4], "big"), 256)
    brands = {head[8:12], *(head[at : at + 4] for at in range(16, length, 4))}
    if brands & {b"avif", b"avis"}:
        return Kind.AVIF
    if brands & {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}:
        return Kind.HEIC
    return Kind.RAW if b"crx " in brands else Kind.VIDEO


def kind_in_zip(path: Path) -> tuple[Kind, list[str]]:
    """Return what a zip archive is by the names of its members, and those names."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError, EOFError):
        return Kind.DAMAGED_ZIP, []
    found = {
        Kind.TORCH_ZIP: any(name.endswith("/data.pkl") for name in names),
        Kind.KERAS_MODEL: "model.weights.h5" in names,
        Kind.EXCEL: any(name.startswith("xl/") for name in names),
        Kind.WORD: any(name.startswith("word/") for name in names),
        Kind.NUMBERS: any(name.startswith("Index/") and name.endswith(".iwa") for name in names),
        Kind.ODS: "content.xml" in names,
        Kind.NUMPY_ARCHIVE: bool(names) and all(name.endswith(".npy") for name in names),
    }
    return next((kind for kind, fits in found.items() if fits), Kind.ZIP), names


# For whoever was to bring or to give a file of weights or data; goes on after the kind.
_WAYS_OUT = {
    Kind.LFS_POINTER: ", not the file that it stands for: `git lfs pull` brings that",
    Kind.ANNEX_POINTER: ", not the file that it stands for: `git annex get` brings that",
    Kind.WEB_PAGE: ", as a server sends it in place of a file: open the address in a browser to see what it asks for",
    Kind.XML: ", as a server sends it in place of a file: open the address in a browser to see what it asks for",
    Kind.PICKLE: "; older PyTorch checkpoints are such",
    Kind.GZIP: ": unpack it first",
    Kind.ZIP: ": unpack it first",
}
# What lies where the file itself should.
NOT_THE_FILE = (Kind.LFS_POINTER, Kind.ANNEX_POINTER, Kind.WEB_PAGE, Kind.XML, Kind.EMPTY)


def with_way_out(kind: Kind) -> str:
    """Say what a file is that should be one of weights or data, and what to do; "" for an unknown kind."""
    return f"{kind}{_WAYS_OUT.get(kind, '')}"
