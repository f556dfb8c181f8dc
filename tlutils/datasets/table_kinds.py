"""What a file is that was given as a table or an archive of arrays and is none, and the way out."""

from __future__ import annotations

import json
from pathlib import Path

from tlutils.store import kinds
from tlutils.store.kinds import Kind

_UNPACK = "unpack it, and give what lies inside"
_SPREADSHEET = "open it in a spreadsheet program and save its sheet as CSV UTF-8"
_COPY = "copy its table to a spreadsheet, and save that as CSV UTF-8"
_PANDAS = "convert it: python -c \"import pandas; pandas.{reader}.to_csv('new.csv', index=False)\""
_EXPORT = "write the table to a CSV file from the program that made it"
_AGAIN = "fetch the file itself again"

_WAYS_OUT = {
    Kind.LFS_POINTER: "fetch the file that it stands for with git lfs pull",
    Kind.ANNEX_POINTER: "fetch the file that it stands for with git annex get",
    Kind.WEB_PAGE: f"it is often an error or a log-in in place of the file: {_AGAIN}",
    Kind.XML: f"if it is a spreadsheet, {_SPREADSHEET}",
    Kind.SVG: "give the file of the data",
    Kind.GZIP: f"{_UNPACK}: gunzip",
    Kind.BZIP2: f"{_UNPACK}: bunzip2",
    Kind.XZ: f"{_UNPACK}: unxz",
    Kind.ZSTD: f"{_UNPACK}: unzstd",
    Kind.SEVEN_ZIP: _UNPACK,
    Kind.RAR: _UNPACK,
    Kind.DAMAGED_ZIP: "fetch or save it again; workbooks and .npz are such archives",
    Kind.EXCEL: _SPREADSHEET,
    Kind.ODS: _SPREADSHEET,
    Kind.NUMBERS: _SPREADSHEET,
    Kind.OLD_OFFICE: _SPREADSHEET,
    Kind.WORD: _COPY,
    Kind.RTF: _COPY,
    Kind.PARQUET: _PANDAS.format(reader="read_parquet({name!r})"),
    Kind.ARROW: _PANDAS.format(reader="read_feather({name!r})"),
    Kind.STATA: _PANDAS.format(reader="read_stata({name!r})"),
    Kind.SPSS: _EXPORT,
    Kind.SQLITE: _EXPORT,
    Kind.HDF5: "read it with h5py, and write out what is needed",
    Kind.MATLAB: "read it with scipy.io.loadmat, and write out what is needed",
    Kind.NUMPY_ARRAY: "read it with numpy.load, and write out what is needed",
    Kind.NUMPY_ARCHIVE: "lesson 11 reads those; give a table here",
    Kind.PDF: "ask for the data themselves",
    Kind.PICKLE: "ask for the data in another form",
    Kind.PNG: "give the file of the data",
    Kind.JPEG: "give the file of the data",
}


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
    kind = kinds.kind_of_bytes(head)
    what, way_out = str(kind), _WAYS_OUT.get(kind, "")
    if kind in (Kind.ZIP, Kind.EMPTY_ZIP):
        kind, names = kinds.kind_in_zip(file)
        some = f"a zip archive of {len(names)} files ({', '.join(names[:3])}{', ...' * (len(names) > 3)})"
        what, way_out = (str(kind), _WAYS_OUT[kind]) if kind in _WAYS_OUT else (some, _UNPACK)
    elif kind == Kind.JSON:
        lines = _is_json_lines(head)
        what = "JSON lines, one object in each line" if lines else "JSON"
        # Without these, pandas would make numbers and dates of texts and labels.
        options = f"{', lines=True' if lines else ''}, dtype=False, convert_dates=False"
        way_out = _PANDAS.format(reader=f"read_json({{name!r}}{options})")
    return f"'{file}' is {what}. {way_out[0].upper()}{way_out[1:].format(name=str(file))}." if way_out else ""


def _is_json_lines(head: bytes) -> bool:
    """Whether the first line is JSON by itself and others follow."""
    first, _, others = head.removeprefix(b"\xef\xbb\xbf").strip().partition(b"\n")
    try:
        json.loads(first)
    except ValueError:
        return False
    return bool(others)
