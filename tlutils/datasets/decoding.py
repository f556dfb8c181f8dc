"""Decode a picture file; without the rest of the package, since a copy of this file reads pictures beside a model."""

from __future__ import annotations

import contextlib
import fnmatch
import functools
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL import Image, ImageFile

# What systems and programs leave in folders, in small letters; never a class, a domain or a picture.
_JUNK = (
    *("__macosx", ".ds_store", "._*", ".appledouble", ".trashes", ".spotlight-v100", ".fseventsd", "icon\r"),  # macOS
    *("thumbs.db", "ehthumbs*.db", "desktop.ini", "$recycle.bin", "recycler", "system volume information"),  # Windows
    *("*:zone.identifier", "found.000"),  # Windows, seen from Linux
    *("lost+found", ".trash-*", ".directory", ".thumbnails", ".nfs*", ".fuse_hidden*"),  # Linux
    *("@eadir", "#recycle", "#snapshot", "@recycle", "@tmp"),  # network storage
    *(".git", ".gitignore", ".gitattributes", ".gitkeep", ".svn", ".hg", ".dvc", ".dvcignore"),  # versions
    *(".ipynb_checkpoints", "__pycache__", ".idea", ".vscode", ".picasa.ini", "~$*"),  # programs
)
# Whatever else begins with a dot is hidden by its owner's will.
_IS_JUNK = re.compile("|".join(map(fnmatch.translate, (*_JUNK, ".*"))))

_RAW_SUFFIXES = (".arw", ".cr2", ".cr3", ".dng", ".nef", ".orf", ".pef", ".raf", ".rw2", ".srw")

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

# TIFF and BigTIFF, in both orders of bytes.
TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

# The way out of what only other programs read.
EXPORT = "Export them as PNG or JPEG."

# Pages of a stack that are tried until one is not empty.
_MOST_PAGES = 200

# Above half of the 16 bits, values fill them, and 65535 is white.
SIXTEEN_BITS = (0.0, 65535.0)

Spans = Mapping[str, tuple[float, float]]


def is_junk(name: str) -> bool:
    """Whether a file or folder is hidden, or one that systems leave behind."""
    return _IS_JUNK.match(name.casefold()) is not None


def is_raw(file: Path) -> bool:
    """Whether the suffix is that of a camera's raw file, of which Pillow would read the thumbnail."""
    return file.suffix.lower() in _RAW_SUFFIXES


def claims_to_be_picture(file: Path) -> bool:
    """Whether a file has a suffix of pictures; `scan` tells whether it is one."""
    return file.suffix.lower() in _CLAIMING or is_raw(file)


def central_square(image: Image.Image, size: int) -> NDArray[np.uint8]:
    """Crop the largest central square and resize it to `size` pixels a side, in one step."""
    from PIL import Image

    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    # Pillow's bilinear filter widens with the reduction, so shrinking does not alias.
    square = image.resize((size, size), Image.Resampling.BILINEAR, box=(left, top, left + side, top + side))
    return np.asarray(square)


@dataclass(frozen=True, slots=True)
class Decoded:
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


class UnfitPicture(Exception):
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


def open_picture(path: Path) -> ImageFile.ImageFile:
    """Let Pillow tell from the first bytes whether a file is a picture; no pixel is decoded."""
    from PIL import Image

    if is_raw(path):
        raise UnfitPicture("a camera's raw file", EXPORT)
    try:
        image = Image.open(path, formats=_formats())
    except Image.DecompressionBombError:  # from twice the limit on, before the size can be asked for
        raise _too_large("far") from None
    try:
        _require_safe(image.width, image.height)
    except UnfitPicture:
        image.close()
        raise
    return image


def _require_safe(width: int, height: int) -> None:
    """Refuse what Pillow only warns of up to twice its limit: several such pictures at once would fill the memory."""
    from PIL import Image

    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and width * height > limit:
        raise _too_large(f"{width * height:,} pixels,")


def _too_large(many: str) -> UnfitPicture:
    from PIL import Image

    return UnfitPicture(
        f"{many} more than the {Image.MAX_IMAGE_PIXELS:,} pixels that are safe to open",
        "Cut or shrink very large pictures.",
    )


def decode(path: Path) -> Decoded:
    """Decode a whole picture file."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        opened = open_picture(path)
    except UnidentifiedImageError:
        with path.open("rb") as file:
            start = file.read(4)
        if start not in TIFF_STARTS:
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
            return Decoded(kept, "PPM", "I;16", depth, 0)
        mode = "I;16" if image.mode.startswith("I;16") else image.mode
        return Decoded(image, str(image.format).replace("MPO", "JPEG"), mode, depth, page)


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


def _decode_tiff(path: Path) -> Decoded:
    """Read a TIFF of a form that Pillow does not know, such as grey of 16 bits with transparency."""
    import tifffile
    from PIL import Image

    with tifffile.TiffFile(path) as file:
        first = file.pages.first
        _require_safe(first.imagewidth, first.imagelength)
        if first.samplesperpixel > 4:
            raise UnfitPicture(
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
        raise UnfitPicture(
            f"pixels of type {values.dtype} and shape {values.shape}", "Save such pictures as PNG of 8 or 16 bits."
        )
    whole = values.dtype in (np.uint8, np.uint16)
    image = Image.fromarray(values if whole else values.astype(np.float32))
    depth = {"L": "8 bits", "I;16": "16 bits"}.get(image.mode, "floats")
    return Decoded(image, "TIFF", "LA" if channels == 2 else image.mode, depth, page if pages > 1 else 0)


def _over_white(grey: NDArray[Any], opaque: NDArray[Any]) -> NDArray[Any]:
    white = np.iinfo(grey.dtype).max
    share = opaque.astype(np.float64) / white
    return np.round(grey * share + white * (1 - share)).astype(grey.dtype)


def as_rgb(found: Decoded, spans: Spans) -> Image.Image:
    """Bring any mode to 8-bit RGB; Pillow's own conversion would cut high values off instead of scaling them."""
    from PIL import Image

    image = found.image
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        values = np.asarray(image, dtype=np.float64)
        span = spans.get(found.depth, SIXTEEN_BITS if found.depth == "16 bits" else None)
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
    span = spans.get(found.depth, SIXTEEN_BITS)
    if found.depth == "16 bits" and span != SIXTEEN_BITS:
        low, high = span
        curve = np.round((np.arange(256) * 257.0 - low).clip(0, high - low) * (255 / max(high - low, 1e-300)))
        image = image.point([int(level) for level in curve] * 3)
    return image
