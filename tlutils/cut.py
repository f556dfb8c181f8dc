"""Cut a network in two, and compute what lies before the cut only once."""

from __future__ import annotations

import difflib
import hashlib
import io
import math
import os
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tlutils import inference, settings
from tlutils.datasets import picture_files

if TYPE_CHECKING:
    import keras

# Bytes of the CRC-32 that ends every file of activations. Measured on 500 MB: 1.7 GB/s, where SHA-256 makes 1.0 and
# BLAKE2b 0.6; it is there against damage, not against intent.
CHECKSUM = 4


def cut(model: keras.Model, at: str) -> tuple[keras.Model, keras.Model]:
    """Split a network behind one of its layers.

    The two parts share their layers with `model`: training the tail trains the model.

    Parameters
    ----------
    model : keras.Model
        One input, one output.
    at : str
        Name of the last layer of the trunk. Everything that flows to the output must pass through it.

    Returns
    -------
    trunk, tail : keras.Model
        ``tail(trunk(x))`` equals ``model(x)``. A cut behind the last layer leaves a tail that returns its input.

    Raises
    ------
    settings.UserError
        If there is no such layer, if other paths lead round it, or if the model is a tail already.
    """
    import keras

    names = [layer.name for layer in model.layers]
    if at not in names:
        near = difflib.get_close_matches(at, names, n=3, cutoff=0.3)
        raise settings.UserError(
            f"cut={at!r} is not a layer of {model.name}; near names: {', '.join(near) or 'none'}. "
            "The attribute cuts of the backbone lists its cut points."
        )
    middle = model.get_layer(at).output
    if at == names[-1]:
        inputs = keras.Input(middle.shape[1:], name="activations")
        return model, keras.Model(inputs, keras.layers.Identity(name="nothing_left")(inputs), name=f"{model.name}_tail")
    try:
        trunk = keras.Model(model.input, middle, name=f"{model.name}_trunk")
    except ValueError as error:
        # The layers of a tail still remember the tensors of the whole network.
        raise settings.UserError(
            f"{model.name} is itself a part of a network and cannot be cut at {at!r}. Cut the whole network at both "
            "places; between them lies keras.Model(network.get_layer(first).output, network.get_layer(second).output)."
        ) from error
    try:
        tail = keras.Model(middle, model.output, name=f"{model.name}_tail")
    except ValueError as error:
        raise settings.UserError(
            f"cut={at!r} does not part {model.name}: another path leads round that layer (a shortcut). "
            "Choose a layer from the backbone's attribute cuts."
        ) from error
    return trunk, tail


def segments(model: keras.Model, cuts: Sequence[str]) -> list[keras.Model]:
    """Part a network at several cuts: from its input to the first, and from each cut to the next.

    Parameters
    ----------
    model : keras.Model
        One input.
    cuts : sequence of str
        Layers that everything passes through, in order, as in the attribute cuts of a backbone.

    Returns
    -------
    list of keras.Model
        As many as cuts. One after the other they compute the activations at every cut, none of them twice; they share
        their layers with `model`.
    """
    import keras

    tensors = [model.input, *(model.get_layer(at).output for at in cuts)]
    return [keras.Model(begin, end) for begin, end in pairwise(tensors)]


def join(trunk: keras.Model, tail: keras.Model, *heads: keras.Model) -> keras.Model:
    """Put the parts back together into one model that takes what the trunk takes, pictures or tokens.

    Parameters
    ----------
    trunk, tail, *heads : keras.Model
        Each takes what the one before it returns.

    Returns
    -------
    keras.Model
        Shares its weights with the parts.
    """
    import keras

    given = trunk.inputs[0]
    x = inputs = keras.Input(given.shape[1:], dtype=given.dtype, name=given.name)
    for part in (trunk, tail, *heads):
        x = part(x)
    return keras.Model(inputs, x)


def compute_once(
    trunk: keras.Model,
    images: NDArray[np.generic] | picture_files.PictureFiles,
    *,
    batch_size: int = 32,
    dtype: str = "float32",
    run: Callable[[keras.Model, Any], Iterable[NDArray[np.floating]]] | None = None,
) -> NDArray[np.floating]:
    """Return the trunk's activations, computed at the first call and read from disk at every later one.

    The file's name is a hash of everything the activations depend on: the trunk's layers and weights, the pictures and
    their size, the number format and the Keras backend. A changed input is a new file; nothing ever goes stale. A file
    that was damaged, or written by an older version, is computed again.

    A large job through a network with depthwise convolutions is computed by LiteRT (see `inference`), whose first batch
    is equal to that of Keras to a thousandth of the largest activation; all else is computed by Keras.

    Parameters
    ----------
    trunk : keras.Model
        Run in inference mode.
    images : uint8 array or PictureFiles, shape (n, size, size, 3); or array, shape (n, ...)
        Pictures, or what an earlier trunk returned. Read batch by batch, so that memory does not grow with n.
    batch_size : int
        Most pictures computed together.
    dtype : str
        ``"float32"``, or ``"float16"`` for half the disk space and three significant digits.
    run : function of the trunk and the images, optional
        Yields the activations, batch by batch, in the order of the images; for inputs that are not computed one batch
        of `batch_size` after the other. It must compute what the trunk does: the file's name knows nothing of it.

    Returns
    -------
    array, shape (n, ...)
        A read-only memory map in the cache folder.

    Raises
    ------
    settings.UserError
        Wrong size or number format, no pictures, cache folder not writable, disk full or failing.
    """
    given, wanted = tuple(images.shape[1:]), tuple(trunk.input_shape[1:])
    # A length of None, such as that of texts, takes any.
    if len(given) != len(wanted) or any(b not in (None, a) for a, b in zip(given, wanted, strict=True)):
        raise settings.UserError(
            f"The pictures have shape {given}, the trunk takes {wanted}; use dataset.resized(backbone.image_size)."
        )
    if len(images) == 0:
        raise settings.UserError("There are no pictures to compute activations of; check the split or the folder.")
    if dtype not in ("float16", "float32"):
        raise settings.UserError(f'dtype={dtype!r} cannot be stored; choose "float32" or "float16".')
    folder = settings.cache_dir() / "activations"
    folder.mkdir(exist_ok=True)
    key = f"{inference.fingerprint(trunk)} {dtype} {picture_files.fingerprint(images)}"
    path = folder / f"{hashlib.sha256(key.encode()).hexdigest()[:40]}.npy"
    shape = trunk.compute_output_shape((len(images), *given))
    found = _read(path, shape, dtype)
    if found is None:
        _write(path, shape, dtype, run(trunk, images) if run else _in_batches(trunk, images, batch_size))
        found = _read(path, shape, dtype)
    if found is None:
        raise settings.UserError(
            f"{path} does not hold what was just written to it; its disk may be failing. "
            "Set TLUTILS_CACHE to another disk."
        )
    return found


def _in_batches(
    trunk: keras.Model, images: NDArray[np.generic] | picture_files.PictureFiles, batch_size: int
) -> Iterator[NDArray[np.floating]]:
    import keras
    from tqdm import tqdm

    # Keras takes all cores for a batch, yet leaves one idle between its layers and while pictures are read. Under JAX,
    # a step takes the buffers of the model's variables away until it ends, so that a second thread would find none.
    forward: inference.Forward = trunk.predict_on_batch
    threads = 1 if keras.backend.backend() == "jax" else 2
    if inference.pays(trunk, math.prod(images.shape)):
        small = min(batch_size, inference.BATCH)
        lite = inference.lite(trunk, np.asarray(images[:small]))
        if lite:
            forward, batch_size, threads = lite, small, inference.cores()
    size = min(batch_size, len(images))

    def compute(start: int) -> NDArray[np.floating]:
        batch = np.asarray(images[start : start + size])
        # A last batch of another size would be compiled once more: it is filled up with its own pictures.
        return forward(np.resize(batch, (size, *batch.shape[1:])))[: len(batch)]

    with tqdm(total=len(images), unit="picture", desc="trunk", delay=5, leave=False) as bar:
        # The first batch alone, since it compiles.
        yield compute(0)
        bar.update(size)
        with ThreadPoolExecutor(threads) as pool:
            # One more waits, so that no thread does; no more, so that memory does not grow with the pictures.
            starts = iter(range(size, len(images), size))
            begun = deque(pool.submit(compute, start) for start in islice(starts, threads + 1))
            while begun:
                values = begun.popleft().result()
                begun.extend(pool.submit(compute, start) for start in islice(starts, 1))
                yield values
                bar.update(len(values))


def _header(shape: tuple[int, ...], dtype: str) -> bytes:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": tuple(map(int, shape))}
    )
    return header.getvalue()


def _read(path: Path, shape: tuple[int, ...], dtype: str) -> NDArray[np.floating] | None:
    """Return a memory map of activations; None if the file is not there or not as it was written."""
    header = _header(shape, dtype)
    size = len(header) + math.prod(shape) * np.dtype(dtype).itemsize + CHECKSUM
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size != size or file.read(len(header)) != header:
                return None
            checksum, left = zlib.crc32(header), size - len(header) - CHECKSUM
            while part := file.read(min(left, 1 << 20)):
                checksum, left = zlib.crc32(part, checksum), left - len(part)
            if file.read() != checksum.to_bytes(CHECKSUM, "little"):
                return None
            return np.memmap(file, dtype, "r", len(header), shape)
    except OSError:
        return None


def _write(path: Path, shape: tuple[int, ...], dtype: str, batches: Iterable[NDArray[np.floating]]) -> None:
    """Write a .npy file with a checksum behind its numbers, where NumPy does not look."""
    header = _header(shape, dtype)
    checksum = zlib.crc32(header)
    try:
        # Plain writes rather than a writable memory map: on a full disk a write raises an error, a map kills the
        # process.
        with settings.replacing(path) as temporary, temporary.open("wb") as file:
            file.write(header)
            for batch in batches:
                part = batch.astype(dtype).tobytes()
                checksum = zlib.crc32(part, checksum)
                file.write(part)
            file.write(checksum.to_bytes(CHECKSUM, "little"))
    except OSError as error:
        needed = math.prod(shape) * np.dtype(dtype).itemsize
        raise settings.UserError(
            f"The activations could not be written to {path.parent} ({error.strerror}); they need {needed:,} bytes. "
            "Free some space, choose dtype='float16' or set TLUTILS_CACHE to another disk. Nothing was left behind."
        ) from error
