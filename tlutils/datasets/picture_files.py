"""Read pictures of any common kind from files, one at a time and only when they are asked for."""

from __future__ import annotations

import contextlib
import hashlib
import os
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from tlutils import settings

if TYPE_CHECKING:
    from PIL import Image

PICTURE_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")

# Telephones write these, and Pillow reads them only with luck or a plug-in. They are tried, so that they get named.
_TRIED_SUFFIXES = (*PICTURE_SUFFIXES, ".avif", ".heic", ".heif")

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
Index = int | slice | Sequence[int] | NDArray[np.integer[Any]] | NDArray[np.bool_]


class PictureFiles:
    """Pictures that stay on disk until they are asked for; indexed like an array of shape (n, size, size, 3).

    What is returned is RGB, upright (the camera's EXIF orientation is applied), the central square of the picture,
    resized with an antialiasing bilinear filter. Transparency is laid over white; 16-bit grey keeps its proportions
    (65535 becomes 255); 32-bit integers and floats have no agreed white, so their own range is stretched to 0 to 255;
    of an animation the first frame counts.

    Parameters
    ----------
    paths : sequence of Path
    digests : sequence of str
        For each path a hash of its decoded pixels, in full size.
    image_size : int
        Side of the pictures that are returned, in pixels.
    """

    def __init__(self, paths: Sequence[Path], digests: Sequence[str], image_size: int) -> None:
        settings.require_whole(1, image_size=image_size)
        self.paths = tuple(paths)
        self.image_size = image_size
        self.digests = tuple(digests)

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
        """SHA-256 of all decoded pixels, their order and the size; file names and formats do not matter."""
        return hashlib.sha256(f"{self.image_size} {' '.join(self.digests)}".encode()).hexdigest()

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
            return central_square(_decode(path), self.image_size)
        except Exception as error:
            raise settings.UserError(
                f"{path.parent.name}/{path.name} could be read when its folder was opened and now cannot "
                f"({_reason(error)}). Bring the file back, or call from_folder again."
            ) from error

    def resized(self, image_size: int) -> PictureFiles:
        """Return the same files, read at another size (pixels)."""
        return PictureFiles(self.paths, self.digests, image_size)

    def subset(self, indices: Index) -> PictureFiles:
        """Return some of the files, still unread."""
        positions = np.atleast_1d(np.arange(len(self))[indices])
        return PictureFiles(
            [self.paths[position] for position in positions],
            [self.digests[position] for position in positions],
            self.image_size,
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
    """Whether a file's suffix is that of a picture, or of one that may turn out to be unreadable."""
    return file.suffix.lower() in _TRIED_SUFFIXES and not file.is_dir()


@dataclass(frozen=True)
class Scan:
    """What decoding a file showed: a digest of its pixels, or the reason why there is none."""

    digest: str = ""
    reason: str = ""


def scan(path: Path) -> Scan:
    """Decode a whole file once, to see whether it can be read and what it shows."""
    # Pillow's decoders raise nearly every kind of exception on damaged files; one such file must not stop the others.
    try:
        picture = _decode(path)
    except Exception as error:
        return Scan(reason=_reason(error))
    digest = hashlib.sha256(f"{picture.size} ".encode())
    digest.update(picture.tobytes())
    return Scan(digest=digest.hexdigest())


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


def _decode(path: Path) -> Image.Image:
    """Decode a whole picture file to upright 8-bit RGB."""
    from PIL import Image, ImageOps

    with Image.open(path) as image:
        limit = Image.MAX_IMAGE_PIXELS
        # Pillow only warns here, and refuses at twice the limit; several such pictures at once would fill the memory.
        if limit is not None and image.width * image.height > limit:
            raise ValueError(f"{image.width * image.height:,} pixels, more than the {limit:,} that are safe to open")
        image.load()
        # Damaged EXIF data leaves the orientation unknown; the picture is as good as without any.
        with contextlib.suppress(Exception):
            ImageOps.exif_transpose(image, in_place=True)
        return _as_rgb(image)


def _as_rgb(image: Image.Image) -> Image.Image:
    """Bring any mode to 8-bit RGB; Pillow's own conversion would cut high values off instead of scaling them."""
    from PIL import Image

    if image.mode.startswith("I;16"):
        scaled = np.asarray(image).astype(np.float64) * (255 / 65535)
        return Image.fromarray(np.round(scaled).astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        values = np.asarray(image, dtype=np.float64)
        finite = values[np.isfinite(values)]
        if not finite.size:
            raise ValueError("no finite pixel value")
        low, high = finite.min(), finite.max()
        scaled = (np.nan_to_num(values, nan=low, posinf=high, neginf=low) - low) * (255 / max(high - low, 1e-300))
        return Image.fromarray(np.round(scaled).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return image.convert("RGB")


def _reason(error: Exception) -> str:
    """Why a file could not be read, in a few words and without its path."""
    from PIL import UnidentifiedImageError

    if isinstance(error, UnidentifiedImageError):
        return "not a picture that Pillow knows"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).strip().split("\n")[0] or type(error).__name__
