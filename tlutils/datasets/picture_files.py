"""Read pictures of any common kind from files, one at a time and only when they are asked for."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from tlutils import settings
from tlutils.datasets import file_kinds
from tlutils.datasets.copies import Look, look
from tlutils.datasets.decoding import (
    SIXTEEN_BITS,
    Decoded,
    Spans,
    UnfitPicture,
    as_rgb,
    central_square,
    decode,
    open_picture,
)
from tlutils.store.kinds import Kind

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
Index = int | slice | Sequence[int] | NDArray[np.integer[Any]] | NDArray[np.bool_]


class PictureFiles:
    """Pictures that stay on disk until they are asked for; indexed like an array of shape (n, size, size, 3).

    What is returned is RGB, upright (the camera's EXIF orientation is applied), the central square of the picture,
    resized with an antialiasing bilinear filter. Transparency is laid over white. Of an animation the first frame
    counts, of a stack of pages the first that is not empty. More than 8 bits are stretched from `spans` to 0 to 255.

    Parameters
    ----------
    paths : sequence of Path
    digests : sequence of str
        For each path a hash of its decoded pixels, in full size.
    image_size : int
        Side of the pictures that are returned, in pixels.
    spans : mapping from a depth ("16 bits", "32 bits", "floats") to (low, high), optional
        The values that become black and white, one pair for the whole data set, so that a bright picture stays
        brighter than a dark one. What is missing: 0 to 65535 for 16 bits, and each picture's own range for 32 bits and
        floats, which have no agreed white.
    """

    def __init__(
        self, paths: Sequence[Path], digests: Sequence[str], image_size: int, spans: Spans = MappingProxyType({})
    ) -> None:
        settings.require_whole(1, image_size=image_size)
        self.paths = tuple(paths)
        self.image_size = image_size
        self.digests = tuple(digests)
        self.spans = dict(spans)

    def __len__(self) -> int:
        return len(self.paths)

    def __repr__(self) -> str:
        return f"PictureFiles({len(self)} pictures, {self.image_size}x{self.image_size})"

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """The shape of the array that ``[:]`` returns."""
        return (len(self), self.image_size, self.image_size, 3)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of all decoded pixels, their order, size and spans; file names and formats do not matter."""
        spans = "".join(f" {depth} {low} {high}" for depth, (low, high) in sorted(self.spans.items()))
        return hashlib.sha256(f"{self.image_size} {' '.join(self.digests)}{spans}".encode()).hexdigest()

    def __getitem__(self, index: Index) -> NDArray[np.uint8]:
        positions = np.arange(len(self))[index]
        if positions.ndim == 0:
            return self._read(int(positions))
        if positions.ndim > 1:
            raise IndexError(f"pictures are indexed along one axis only, got an index of shape {positions.shape}")
        pictures = np.empty((len(positions), self.image_size, self.image_size, 3), dtype=np.uint8)

        def fill(row: int) -> None:
            pictures[row] = self._read(int(positions[row]))

        in_threads(fill, range(len(positions)))
        return pictures

    def _read(self, position: int) -> NDArray[np.uint8]:
        path = self.paths[position]
        try:
            return central_square(as_rgb(decode(path), self.spans), self.image_size)
        except Exception as error:
            raise settings.UserError(
                f"{settings.printable(f'{path.parent.name}/{path.name}')} could be read when its folder was opened and "
                f"now cannot ({_reason(path, error)[0]}). Bring the file back, or read the folder again."
            ) from error

    def resized(self, image_size: int) -> PictureFiles:
        """Return the same files, read at another size (pixels)."""
        return PictureFiles(self.paths, self.digests, image_size, self.spans)

    def subset(self, indices: Index) -> PictureFiles:
        """Return some of the files, still unread."""
        positions = np.atleast_1d(np.arange(len(self))[indices])
        return PictureFiles(
            [self.paths[position] for position in positions],
            [self.digests[position] for position in positions],
            self.image_size,
            self.spans,
        )


Pictures = NDArray[np.uint8] | PictureFiles


def fingerprint(pictures: NDArray[np.generic] | PictureFiles) -> str:
    """Return a SHA-256 that changes with any pixel, with the order and with the size of the pictures.

    Parameters
    ----------
    pictures : array or PictureFiles

    Returns
    -------
    str
        64 hexadecimal digits.

    Examples
    --------
    >>> pictures = np.zeros((2, 8, 8, 3), dtype=np.uint8)
    >>> fingerprint(pictures) == fingerprint(pictures.copy()), fingerprint(pictures) == fingerprint(pictures[:1])
    (True, False)
    """
    if isinstance(pictures, PictureFiles):
        return pictures.fingerprint
    digest = hashlib.sha256(f"{pictures.dtype.str} {pictures.shape}".encode())
    for picture in pictures:
        digest.update(np.ascontiguousarray(picture).data)
    return digest.hexdigest()


def is_picture(file: Path) -> bool:
    """Whether a file is a picture by its bytes, also one that cannot be read here."""
    try:
        with open_picture(file):
            return True
    except Exception:
        return kind(file).picture


@dataclass(frozen=True, slots=True)
class Scan:
    """What decoding a file showed.

    Attributes
    ----------
    digest : str
        Of the pixels; empty where there are none.
    reason, way_out : str
        Why there are none, and what can be done.
    format, mode : str
        Pillow's names; MPO, which telephones write, counts as JPEG.
    depth : str
        ``"8 bits"``, ``"16 bits"``, ``"32 bits"`` or ``"floats"``.
    size : (int, int)
        Width and height.
    span : (float, float) or None
        Of more than 8 bits: nearly the least and the greatest value, a thousandth of the pixels on either side apart.
    page : int
        Of a stack: which page is shown, from 1; 0 if there is one only.
    look : Look or None
        From afar; None of a blank picture.
    """

    digest: str = ""
    reason: str = ""
    way_out: str = ""
    format: str = ""
    mode: str = ""
    depth: str = "8 bits"
    size: tuple[int, int] = (0, 0)
    span: tuple[float, float] | None = None
    page: int = 0
    look: Look | None = None


def scan(path: Path) -> Scan:
    """Decode a whole file once, to see whether it can be read and what it shows."""
    # Pillow's decoders raise nearly every kind of exception on damaged files; one such file must not stop the others.
    try:
        found = decode(path)
        span = None if found.depth == "8 bits" else _span(found)
        picture = as_rgb(found, {} if span is None else {found.depth: span})
    except Exception as error:
        reason, way_out = _reason(path, error)
        return Scan(reason=reason, way_out=way_out)
    digest = hashlib.sha256(f"{picture.size} ".encode())
    if span is None:
        digest.update(picture.tobytes())
    else:  # Eight bits of it depend on the span of its data set.
        digest.update(f"{found.depth} {found.image.mode} ".encode() + found.image.tobytes())
    return Scan(
        digest.hexdigest(), "", "", found.format, found.mode, found.depth, picture.size, span, found.page, look(picture)
    )


def _span(found: Decoded) -> tuple[float, float]:
    values = found.values()
    finite = values[np.isfinite(values)]
    if not finite.size:
        raise UnfitPicture("no finite pixel value", "Replace pictures without a value.")
    low, high = np.quantile(finite, (0.001, 0.999), method="nearest")
    return float(low), float(high)


def spans(scans: Sequence[Scan]) -> dict[str, tuple[float, float]]:
    """Find the range of a data set's values, for each depth of more than 8 bits that occurs; see `PictureFiles`.

    Sixteen bits that are used in full keep their agreed white, 65535.
    """
    found: dict[str, tuple[float, float]] = {}
    for one in scans:
        if one.span is not None:
            low, high = found.get(one.depth, one.span)
            found[one.depth] = (min(low, one.span[0]), max(high, one.span[1]))
    if found.get("16 bits", (0.0, 0.0))[1] > SIXTEEN_BITS[1] / 2:
        found["16 bits"] = SIXTEEN_BITS
    return found


def in_threads(
    function: Callable[[_Item], _Result], items: Sequence[_Item], *, progress: bool = False
) -> list[_Result]:
    """Call `function` on every item; Pillow decodes and resizes outside Python's lock, so threads use all cores."""
    from tqdm import tqdm

    # Each thread holds a picture or two in full size; four keep 12-megapixel photographs below half a gigabyte.
    workers = min(4, os.cpu_count() or 1)
    # Pillow warns of odd metadata in files that it reads well. Set once, outside: filters belong to all threads.
    with warnings.catch_warnings(), ThreadPoolExecutor(workers) as pool:
        warnings.simplefilter("ignore")
        results = pool.map(function, items)
        options = {"total": len(items), "unit": "picture", "desc": "reading", "delay": 5, "leave": False}
        return list(tqdm(results, disable=not progress, **options))


def kind(path: Path) -> file_kinds.Described:
    """What a file is that cannot be read as a picture, or why it cannot be read at all."""
    try:
        return file_kinds.of(path)
    except OSError as error:
        return file_kinds.Described(str(error.strerror))


def _reason(path: Path, error: Exception) -> tuple[str, str]:
    """Why a file could not be read, in a few words and without its path, and what can be done."""
    if isinstance(error, UnfitPicture):
        return str(error), error.way_out
    if isinstance(error, OSError) and error.strerror:
        forbidden = isinstance(error, PermissionError)
        return error.strerror, "Give yourself the right to read them, or delete them." if forbidden else ""
    found = kind(path)
    if found in (file_kinds.DAMAGED, file_kinds.UNKNOWN):
        said = str(error).strip().split("\n")[0] or type(error).__name__
        if "cannot identify image file" in said:
            said = "a damaged picture" if found.picture else "not a picture that is known here"
        return settings.printable(said, 120), found.way_out
    told = found.name if found.picture or found.name == Kind.EMPTY else f"not a picture but {found.name}"
    return told, found.way_out
