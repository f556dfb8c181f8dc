"""Tell by its first bytes what a file is that is not what was asked for, and the way out."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path

_UNPACK = "unpack it, and give what lies inside"
_SPREADSHEET = "open it in a spreadsheet program and save its sheet as CSV UTF-8"
_PANDAS = "convert it: python -c \"import pandas; pandas.{reader}.to_csv('new.csv', index=False)\""
_EXPORT = "write the table to a CSV file from the program that made it"

# Beginnings as the formats' own specifications, and the database of the program `file`, give them.
_BEGINNINGS: tuple[tuple[bytes, str, str], ...] = (
    (b"version https://git-lfs.github.com/spec/", "a Git LFS pointer, not the file", "fetch it with git lfs pull"),
    (b"\x1f\x8b", "compressed with gzip", f"{_UNPACK}: gunzip"),
    (b"BZh", "compressed with bzip2", f"{_UNPACK}: bunzip2"),
    (b"\xfd7zXZ\0", "compressed with xz", f"{_UNPACK}: unxz"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", f"{_UNPACK}: unzstd"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
    (b"Rar!\x1a\x07", "a RAR archive", _UNPACK),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Microsoft Office file, such as .xls", _SPREADSHEET),
    (b"PAR1", "a Parquet file", _PANDAS.format(reader="read_parquet({name!r})")),
    (b"ARROW1", "an Arrow (Feather) file", _PANDAS.format(reader="read_feather({name!r})")),
    (b"<stata_dta>", "a Stata file", _PANDAS.format(reader="read_stata({name!r})")),
    (b"$FL2", "an SPSS file", _EXPORT),
    (b"SQLite format 3\0", "an SQLite database", _EXPORT),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file", "read it with h5py, and write out what is needed"),
    (b"MATLAB 5.0 MAT-file", "a MATLAB file", "read it with scipy.io.loadmat, and write out what is needed"),
    (b"\x93NUMPY", "a single NumPy array (.npy)", "read it with numpy.load, and write out what is needed"),
    (b"%PDF", "a PDF document", "ask for the data themselves"),
    (b"{\\rtf", "a text document (RTF)", "copy its table to a spreadsheet, and save that as CSV UTF-8"),
    (b"\x89PNG\r\n", "a picture (PNG)", "give the file of the data"),
    (b"\xff\xd8\xff", "a picture (JPEG)", "give the file of the data"),
)  # fmt: skip
_PICKLE = re.compile(rb"\x80[\x02-\x05]")
_PAGE = re.compile(
    rb"(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)?<(?:!doctype html|html|head|body|table)\b", re.IGNORECASE | re.DOTALL
)
_XML = re.compile(rb"<\?xml\b")
# No row of a table begins with an object, or with a list of objects, lists or quoted texts.
_JSON = re.compile(rb"\{\s*[\"}]|\[\s*[\[{\"]")


def told(file: Path, head: bytes) -> str:
    """Say what a file is and the way out of it, or nothing if its beginning is that of no kind known here.

    Parameters
    ----------
    file : Path
        Looked into only if it is a zip archive.
    head : bytes
        Its first bytes, some thousands; JSON lines are told from other JSON if the first line is whole.

    Returns
    -------
    str
        A sentence that begins with the file's name, or the empty string.

    Examples
    --------
    >>> told(Path("lamps.csv"), b"PAR1...")[:36]
    "'lamps.csv' is a Parquet file. Conve"
    >>> told(Path("lamps.csv"), b"sentence,label")
    ''
    """
    what, way_out = _kind(file, head)
    return f"'{file}' is {what}. {way_out[0].upper()}{way_out[1:].format(name=str(file))}." if what else ""


def _kind(file: Path, head: bytes) -> tuple[str, str]:
    for beginning, what, way_out in _BEGINNINGS:
        if head.startswith(beginning):
            return what, way_out
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zip(file)
    if _PICKLE.match(head):
        return "a pickle, which may run code when it is opened", "ask for the data in another form"
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if _PAGE.match(text):
        return "a web page (HTML), often an error or a log-in in place of the file", "fetch the file itself again"
    if _XML.match(text):
        return "an XML document", f"if it is a spreadsheet, {_SPREADSHEET}"
    if _JSON.match(text):
        lines = ", lines=True" if _is_whole_json(text.split(b"\n")[0]) and b"\n" in text.strip() else ""
        kind = "JSON lines, one object in each line" if lines else "JSON"
        # Without these, pandas would make numbers and dates of texts and labels.
        return kind, _PANDAS.format(reader=f"read_json({{name!r}}{lines}, dtype=False, convert_dates=False)")
    return "", ""


def _is_whole_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def _zip(file: Path) -> tuple[str, str]:
    """What a zip archive is that office programs or NumPy made, or any other."""
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError):
        return "a damaged zip archive (workbooks and .npz are such)", "fetch or save it again"
    for of_kind, what, way_out in (
        (lambda name: name.startswith("xl/"), "an Excel workbook (.xlsx)", _SPREADSHEET),
        (
            lambda name: name.startswith("word/"),
            "a Word document (.docx)",
            "copy its table to a spreadsheet, and save that as CSV UTF-8",
        ),
        (lambda name: name.startswith("Index/") and name.endswith(".iwa"), "an Apple Numbers document", _SPREADSHEET),
        (lambda name: name == "content.xml", "an OpenDocument file (.ods)", _SPREADSHEET),
        (lambda name: name.endswith(".npy"), "a NumPy archive (.npz)", "lesson 11 reads those; give a table here"),
    ):
        if any(map(of_kind, names)):
            return what, way_out
    return f"a zip archive of {len(names)} files ({', '.join(names[:3])}{', ...' * (len(names) > 3)})", _UNPACK
