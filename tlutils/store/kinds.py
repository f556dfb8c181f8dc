"""What a file is by its first bytes, whatever its name says: a page or a pointer in place of the file, or a format."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

LFS_POINTER = "a Git LFS pointer, not the file that it stands for: `git lfs pull` brings that"
ANNEX_POINTER = "a git-annex pointer, not the file that it stands for: `git annex get` brings that"
WEB_PAGE = "a web page, as a server sends it in place of a file: open the address in a browser to see what it asks for"
EMPTY = "empty"
HDF5 = "an HDF5 file"
NUMPY_ARCHIVE = "a NumPy archive (.npz)"
KERAS_MODEL = "a Keras model (.keras)"
TORCH_ZIP = "a PyTorch checkpoint of the newer zip format"
PICKLE = "a pickle, as older PyTorch checkpoints are"
CUT_ZIP = "a zip archive that is cut short or damaged"

# What lies where the file itself should.
NOT_THE_FILE = (LFS_POINTER, ANNEX_POINTER, WEB_PAGE, EMPTY)

# First bytes of each; https://git-lfs.com/spec and https://git-annex.branchable.com/internals/pointer_file for the
# pointers, the formats' own documents for the rest.
_BEGINNINGS = {
    rb"version https://git-lfs": LFS_POINTER,
    rb"/annex/objects/": ANNEX_POINTER,
    rb"(?i)(\xef\xbb\xbf)?\s*(<!--.*?-->\s*)*<(!doctype html|html|head|body|\?xml|error)\b": WEB_PAGE,
    rb"\x89HDF\r\n\x1a\n": HDF5,
    rb"\x93NUMPY": "a single NumPy array (.npy)",
    rb"\x80[\x02-\x05]": PICKLE,
    rb".{7}\0\{": "a safetensors file",
    rb"\x1f\x8b": "a gzip archive: unpack it first",
    rb"(?i)\s*[{\[]": "JSON text",
}


def kind_of(path: Path) -> str:
    """Return what a file is by its content, such as ``"a web page, ..."``; "" for what is not known here.

    Parameters
    ----------
    path : Path
        A file that can be read.
    """
    with path.open("rb") as file:
        head = file.read(2048)
    if not head:
        return EMPTY
    if head.startswith(b"PK\x03\x04"):
        return _kind_of_zip(path)
    return next((kind for pattern, kind in _BEGINNINGS.items() if re.match(pattern, head, re.DOTALL)), "")


def _kind_of_zip(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError):
        return CUT_ZIP
    if any(name.endswith("/data.pkl") for name in names):
        return TORCH_ZIP
    if "model.weights.h5" in names:
        return KERAS_MODEL
    if names and all(name.endswith(".npy") for name in names):
        return NUMPY_ARCHIVE
    return "a zip archive: unpack it first"
