"""Read pictures of any common kind from files, one at a time and only when they are asked for."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import logging
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from tlutils import settings
from tlutils.datasets import file_kinds
from tlutils.datasets.copies import Look, look

if TYPE_CHECKING:
    from PIL import Image, ImageFile

# What a file claims to be by its name. Its bytes decide, but one that claims to be a picture and is none gets named.
PICTURE_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
_CLAIMING = frozenset(
    (*PICTURE_SUFFIXES, ".avif", ".heic", ".heif", ".jfif", ".jif", ".jpe", ".jp2", ".jxl")
    + (".pbm", ".pgm", ".pnm", ".ppm", ".dcm", ".svg")
)

# Pillow's formats whose first bytes leave no doubt. Without PostScript, which it hands to another program, and
# without those that it takes nearly any bytes for.
_FORMATS = (
    *("JPEG", "PNG", "TIFF", "BMP", "GIF", "WEBP", "PPM", "MPO", "JPEG2000", "AVIF", "HEIF", "ICO", "PCX", "PSD"),
    *("QOI", "SGI", "SUN"),
)

# Photoshop and image generators write long texts into PNG files, which Pillow refuses from 1 MB on. Unpacked bytes.
_MOST_TEXT, _MOST_TEXTS = 2**24, 2**26

# Pages of a stack that are tried until one is not empty.
_MOST_PAGES = 200

# Above half of the 16 bits, values fill them, and 65535 is white.
_SIXTEEN_BITS = (0.0, 65535.0)

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
Spans = Mapping[str, tuple[float, float]]
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
            return central_square(_as_rgb(_decode(path), self.spans), self.image_size)
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


def claims_to_be_picture(file: Path) -> bool:
    """Whether a file has a suffix of pictures; `scan` tells whether it is one."""
    return file.suffix.lower() in _CLAIMING or file_kinds.is_raw(file)


def is_picture(file: Path) -> bool:
    """Whether a file is a picture by its bytes, also one that cannot be read here."""
    try:
        with _opened(file):
            return True
    except Exception:
        return _kind(file).picture


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
        found = _decode(path)
        span = None if found.depth == "8 bits" else _span(found)
        picture = _as_rgb(found, {} if span is None else {found.depth: span})
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


def _span(found: _Decoded) -> tuple[float, float]:
    values = found.values()
    finite = values[np.isfinite(values)]
    if not finite.size:
        raise _UnfitError("no finite pixel value", "Replace pictures without a value.")
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
    if found.get("16 bits", (0.0, 0.0))[1] > _SIXTEEN_BITS[1] / 2:
        found["16 bits"] = _SIXTEEN_BITS
    return found


def central_square(image: Image.Image, size: int) -> NDArray[np.uint8]:
    """Crop the largest central square and resize it to `size` pixels a side, in one step."""
    from PIL import Image

    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    # Pillow's bilinear filter widens with the reduction, so shrinking does not alias.
    square = image.resize((size, size), Image.Resampling.BILINEAR, box=(left, top, left + side, top + side))
    return np.asarray(square)


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


@dataclass(frozen=True, slots=True)
class _Decoded:
    """A whole picture, upright, in the values of its file."""

    image: Image.Image
    format: str
    mode: str
    depth: str
    page: int

    def values(self) -> NDArray[np.float64]:
        """Its values as numbers; Pillow keeps the upper half only of colours with 16 bits."""
        colours = self.image.mode in ("RGB", "RGBA", "LA", "L")
        return np.asarray(self.image.convert("RGB") if colours else self.image, dtype=np.float64) * (
            257 if colours else 1
        )


class _UnfitError(Exception):
    """A picture that cannot be shown, for a reason of which the owner can be told the way out."""

    def __init__(self, reason: str, way_out: str) -> None:
        super().__init__(reason)
        self.way_out = way_out


@functools.cache
def _formats() -> tuple[str, ...]:
    """Those formats that this Pillow has; AVIF came late, and HEIF comes with a plug-in."""
    from PIL import Image, PngImagePlugin

    Image.init()
    # They print what `_reason` says in its place, file by file.
    for name in ("PIL.TiffImagePlugin", "tifffile"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    PngImagePlugin.MAX_TEXT_CHUNK, PngImagePlugin.MAX_TEXT_MEMORY = _MOST_TEXT, _MOST_TEXTS
    return tuple(name for name in _FORMATS if name in Image.OPEN)


def _opened(path: Path) -> ImageFile.ImageFile:
    """Let Pillow tell from the first bytes whether a file is a picture; no pixel is decoded."""
    from PIL import Image

    if file_kinds.is_raw(path):
        raise _UnfitError("a camera's raw file", file_kinds.of(path).way_out)
    image = Image.open(path, formats=_formats())
    try:
        _require_safe(image.width, image.height)
    except _UnfitError:
        image.close()
        raise
    return image


def _require_safe(width: int, height: int) -> None:
    """Refuse what Pillow only warns of up to twice its limit: several such pictures at once would fill the memory."""
    from PIL import Image

    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and width * height > limit:
        reason = f"{width * height:,} pixels, more than the {limit:,} that are safe to open"
        raise _UnfitError(reason, "Cut or shrink very large pictures.")


def _decode(path: Path) -> _Decoded:
    """Decode a whole picture file."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        opened = _opened(path)
    except UnidentifiedImageError:
        if _kind(path).name != "a damaged TIFF":
            raise
        return _decode_tiff(path)
    with opened as image:
        # A tile's first argument is the layout of the raw pixels, such as RGB;16B.
        layout = image.tile[0].args if image.tile else ""
        sixteen = ";16" in str(layout[0] if isinstance(layout, tuple) and layout else layout)
        page = _turn_to_page(image) if image.format == "TIFF" and getattr(image, "n_frames", 1) > 1 else 0
        image.load()
        # Damaged EXIF data leaves the orientation unknown; the picture is as good as without any.
        with contextlib.suppress(Exception):
            ImageOps.exif_transpose(image, in_place=True)
        depth = {"I": "32 bits", "F": "floats"}.get(image.mode, "16 bits" if sixteen else "8 bits")
        if image.format == "PPM" and image.mode == "I":  # Pillow's form of its 16 bits, whatever the greatest value
            depth, kept = "16 bits", Image.fromarray(np.asarray(image).astype(np.uint16))
            return _Decoded(kept, "PPM", "I;16", depth, 0)
        mode = "I;16" if image.mode.startswith("I;16") else image.mode
        return _Decoded(image, str(image.format).replace("MPO", "JPEG"), mode, depth, page)


def _turn_to_page(image: Image.Image) -> int:
    """Turn to the first page that is not of one value only, or to the first if there is none; return its number."""
    for page in range(_MOST_PAGES):
        try:
            image.seek(page)
        except EOFError:
            break
        extrema = np.reshape(image.getextrema(), (-1, 2))
        if (extrema[:, 0] != extrema[:, 1]).any():
            return page + 1
    image.seek(0)
    return 1


def _decode_tiff(path: Path) -> _Decoded:
    """Read a TIFF of a form that Pillow does not know, such as grey of 16 bits with transparency."""
    import tifffile
    from PIL import Image

    with tifffile.TiffFile(path) as file:
        first = file.pages.first
        _require_safe(first.imagewidth, first.imagelength)
        if first.samplesperpixel > 4:
            raise _UnfitError(
                f"{first.samplesperpixel} channels",
                "Of pictures with many channels, save one or three that you choose as PNG.",
            )
        page, values = 1, first.asarray()
        for number in range(1, min(len(file.pages), _MOST_PAGES)):
            if values.min() != values.max():
                break
            page, values = number + 1, file.pages[number].asarray()
        pages, channels = len(file.pages), int(first.samplesperpixel)
    if channels > 1 and values.shape[0] == channels and values.ndim == 3 and values.shape[2] != channels:
        values = np.moveaxis(values, 0, -1)  # one plane after the other
    if channels == 2 and values.ndim == 3 and np.issubdtype(values.dtype, np.unsignedinteger):
        values = _over_white(values[..., 0], values[..., 1])
    if values.ndim != 2 or np.iscomplexobj(values):
        raise _UnfitError(
            f"pixels of type {values.dtype} and shape {values.shape}", "Save such pictures as PNG of 8 or 16 bits."
        )
    whole = values.dtype in (np.uint8, np.uint16)
    image = Image.fromarray(values if whole else values.astype(np.float32))
    depth = {"L": "8 bits", "I;16": "16 bits"}.get(image.mode, "floats")
    return _Decoded(image, "TIFF", "LA" if channels == 2 else image.mode, depth, page if pages > 1 else 0)


def _over_white(grey: NDArray[Any], opaque: NDArray[Any]) -> NDArray[Any]:
    white = np.iinfo(grey.dtype).max
    share = opaque.astype(np.float64) / white
    return np.round(grey * share + white * (1 - share)).astype(grey.dtype)


def _as_rgb(found: _Decoded, spans: Spans) -> Image.Image:
    """Bring any mode to 8-bit RGB; Pillow's own conversion would cut high values off instead of scaling them."""
    from PIL import Image

    image = found.image
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        values = np.asarray(image, dtype=np.float64)
        span = spans.get(found.depth, _SIXTEEN_BITS if found.depth == "16 bits" else None)
        finite = values[np.isfinite(values)]
        low, high = span or (finite.min(), finite.max())
        values = np.nan_to_num(values, nan=low, posinf=high, neginf=low).clip(low, high)
        scaled = (values - low) * (255 / max(high - low, 1e-300))
        return Image.fromarray(np.round(scaled).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    if image.mode != "RGB":
        image = image.convert("RGB")
    span = spans.get(found.depth, _SIXTEEN_BITS)
    if found.depth == "16 bits" and span != _SIXTEEN_BITS:
        low, high = span
        curve = np.round((np.arange(256) * 257.0 - low).clip(0, high - low) * (255 / max(high - low, 1e-300)))
        image = image.point([int(level) for level in curve] * 3)
    return image


def _kind(path: Path) -> file_kinds.Kind:
    """What a file is, or unknown where it cannot be read."""
    try:
        return file_kinds.of(path)
    except OSError:
        return file_kinds.UNKNOWN


def passed_over(path: Path) -> tuple[str, str]:
    """What a file is that is no picture, and the way out."""
    try:
        kind = file_kinds.of(path)
    except OSError as error:
        return str(error.strerror), ""
    return kind.name, kind.way_out


def _reason(path: Path, error: Exception) -> tuple[str, str]:
    """Why a file could not be read, in a few words and without its path, and what can be done."""
    if isinstance(error, _UnfitError):
        return str(error), error.way_out
    if isinstance(error, OSError) and error.strerror:
        forbidden = isinstance(error, PermissionError)
        return error.strerror, "Give yourself the right to read them, or delete them." if forbidden else ""
    kind = _kind(path)
    if kind.name.startswith("a damaged") or kind == file_kinds.UNKNOWN:
        said = str(error).strip().split("\n")[0] or type(error).__name__
        if "cannot identify image file" in said:
            said = "a damaged picture" if kind.picture else "not a picture that is known here"
        return settings.printable(said, 120), kind.way_out
    return (kind.name if kind.picture or kind == file_kinds.EMPTY else f"not a picture but {kind.name}"), kind.way_out
