"""Export an assembled model to one file that runs without Keras."""

from __future__ import annotations

import importlib.util
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tlutils import inference, settings
from tlutils.deployment import program
from tlutils.models import minilm

if TYPE_CHECKING:
    import keras

FORMATS = ("", "litert")

# Largest difference of a probability, or of the nearness, between the exported file and Keras.
TOLERANCE = 1e-3


def require(export: str) -> None:
    """Raise an error if a format cannot be written here, before the time is spent on training.

    Parameters
    ----------
    export : str
        One of `FORMATS`; empty for Keras' own file alone.

    Raises
    ------
    settings.UserError
        An unknown format, a package that is missing, a backend of Keras that has no converter.
    """
    if export not in FORMATS:
        choices = " or ".join(map(repr, FORMATS))
        raise settings.UserError(f"export={export!r} is unknown; choose {choices} (empty for Keras' own file alone).")
    if not export:
        return
    if importlib.util.find_spec("ai_edge_litert") is None:
        raise settings.UserError(
            f"export={export!r} needs the package ai-edge-litert, which is not installed here. Install it "
            "(pip install ai-edge-litert), or leave export empty."
        )
    import keras

    if keras.backend.backend() != "tensorflow":
        raise settings.UserError(
            f"export={export!r} needs Keras on TensorFlow, and its backend is {keras.backend.backend()}. "
            "Unset KERAS_BACKEND, or leave export empty."
        )


def litert(model: keras.Model, n_tokens: int = 0) -> bytes:
    """Convert an assembled model to LiteRT's format, and ask it what Keras is asked.

    The file takes pictures that have been cut to the central square and resized, since LiteRT has no resizing that
    smooths; the program beside the model does that with Pillow. Of sentences it takes rows of one length.

    Parameters
    ----------
    model : keras.Model
        As `assembly.assemble` builds it.
    n_tokens : int
        How many token numbers there are, where the model takes sentences.

    Returns
    -------
    bytes
        What a file ``.tflite`` holds: one example, float32 of shape (1, image_size, image_size, 3) or int32 of shape
        (1, `minilm.MAX_LENGTH`), to probabilities, ``output_0``, and nearness, ``output_1``.

    Raises
    ------
    Exception
        Of nearly any kind, for a layer that the converter does not know; ValueError for answers that differ from those
        of Keras by more than `TOLERANCE`.
    """
    import keras

    resizing = [layer for layer in model.layers if isinstance(layer, keras.layers.Resizing)]
    network = keras.Model(resizing[0].output, model.outputs) if resizing else model
    shape = network.input_shape[1:] if resizing else (minilm.MAX_LENGTH,)
    content = inference.convert(network, shape)
    rng = np.random.default_rng(0)
    asked = rng.integers(0, 256 if resizing else n_tokens, (4, *shape)).astype(network.inputs[0].dtype)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        path.write_bytes(content)
        found = program.LiteNetwork(path).predict_on_batch(asked)
    for ours, theirs in zip(found, network.predict_on_batch(asked), strict=True):
        # Not "greater than": a NaN must not pass.
        if not np.abs(ours - theirs).max() <= TOLERANCE:
            raise ValueError(f"its answers differ from those of Keras by {np.abs(ours - theirs).max():.1g}")
    return content
