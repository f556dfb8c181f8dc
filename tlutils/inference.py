"""Compute what a network returns, with LiteRT where that is faster than Keras and gives the same."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import queue
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tlutils import settings

if TYPE_CHECKING:
    import keras

Forward = Callable[[NDArray[Any]], NDArray[np.floating]]

# Input numbers of a whole job from which on a conversion is worth its seconds: 1,000 pictures of 224x224 in colour.
# Measured on two cores: EfficientNet-Lite0 takes 5 to 10 s to convert and then saves 5 to 10 ms for each such picture.
# A count, not a clock, so that the same call takes the same way and gives the same bits again.
WORTH_CONVERTING = 150_000_000

# Largest difference from Keras, as a part of the largest activation; float32 leaves about 1e-5.
TOLERANCE = 1e-3

# Pictures computed together. Measured with 1, 4, 8 and 32: more no longer fit into the processor's cache.
BATCH = 4

_log = logging.getLogger(__name__)


def fingerprint(model: keras.Model) -> str:
    """Return a hash of what a network computes: its layers, their weights, and the Keras backend.

    Parameters
    ----------
    model : keras.Model

    Returns
    -------
    str
        64 hexadecimal digits; the same for a network that was built again, whatever Keras calls its layers.
    """
    import keras

    # Keras numbers unnamed layers through the session ("input_layer_3"): positions say the same and stay the same.
    config = model.get_config()
    config["name"] = ""
    text = json.dumps(config, sort_keys=True, default=str)
    # A Sequential has layers only, no operations beside them.
    for position, operation in enumerate(getattr(model, "operations", model.layers)):
        text = text.replace(f'"{operation.name}"', f'"{position}"')
    digest = hashlib.sha256(f"{keras.backend.backend()} {text}".encode())
    for value in model.get_weights():
        digest.update(np.ascontiguousarray(value).data)
    return digest.hexdigest()


def pays(model: keras.Model, numbers: int) -> bool:
    """Tell whether LiteRT would save more seconds than the conversion takes.

    Only in networks with depthwise convolutions: measured on two cores, LiteRT needs 0.4 to 0.6 of the processor time
    of TensorFlow for EfficientNet-Lite0, EfficientNetB0, MobileNet and MobileNetV2, but 1.0 for ResNet50, 0.9 for
    MiniLM, 1.2 for vgg16_mini and 1.4 for VGG16, where all is matrix products.

    Parameters
    ----------
    model : keras.Model
    numbers : int
        How many the inputs of the whole job have: pictures x height x width x channels.

    Returns
    -------
    bool
        False on other backends than TensorFlow, and where TensorFlow has a GPU.
    """
    import keras

    depthwise = (keras.layers.DepthwiseConv2D, keras.layers.SeparableConv2D)
    if numbers < WORTH_CONVERTING or not any(isinstance(layer, depthwise) for layer in _layers(model)):
        return False
    if keras.backend.backend() != "tensorflow":
        return False
    # TensorFlow looks for a GPU when it is first asked, and says so.
    with settings.quiet_import():
        import tensorflow as tf

        return not tf.config.list_physical_devices("GPU")


def lite(model: keras.Model, first: NDArray[Any]) -> Forward | None:
    """Convert a network to LiteRT, or take what was converted before, and hold it against Keras.

    Parameters
    ----------
    model : keras.Model
        One input, one output.
    first : array, shape (n, ...)
        A batch; every later one has its shape.

    Returns
    -------
    function of a batch, or None
        Returns its activations in inference mode, equal to those of Keras to `TOLERANCE` in the batch `first`. It takes
        one core; call it from `cores` threads. None if that cannot be had; the log says why, at the level "info".
    """
    try:
        # Before seconds go into a conversion that nothing could run.
        from ai_edge_litert.interpreter import Interpreter

        content = _converted(model, first.shape[1:])
        with settings.quiet_stderr():
            # One for each core: measured on two, 224 pictures of 224x224 a second, where one on both cores makes 201.
            interpreters = [Interpreter(model_content=content, num_threads=1) for _ in range(cores())]
            forward = _forward(interpreters, first.shape)
        found, expected = forward(first), model.predict_on_batch(first)
    # The package may lack or not load here, and the converter raises nearly every kind of exception on what it does not
    # know. Keras computes everything, so none of that is the reader's concern.
    except Exception as error:
        _log.info("%s is computed by Keras: %s", model.name, (str(error).strip() or repr(error)).splitlines()[0])
        return None
    # Not "greater than": a NaN must not pass.
    if found.shape == expected.shape and np.abs(found - expected).max() <= TOLERANCE * np.abs(expected).max():
        return forward
    _log.info("%s is computed by Keras: LiteRT differs by more than %g", model.name, TOLERANCE)
    return None


def convert(model: keras.Model, shape: tuple[int, ...]) -> bytes:
    """Convert a network to LiteRT's format, in float32.

    Parameters
    ----------
    model : keras.Model
        One input. On the TensorFlow backend.
    shape : tuple of int
        Of one example. Lengths that the network leaves open are fixed by it, since LiteRT is slow, or fails, where it
        must find them itself.

    Returns
    -------
    bytes
        What a file ``.tflite`` holds. Its signature names the outputs ``output_0``, ``output_1``, ... in the order of
        the model's; LiteRT's own list of outputs may have another.

    Raises
    ------
    Exception
        Of nearly any kind, for a layer that the converter does not know.
    """
    import keras
    import tensorflow as tf

    given = keras.InputSpec(shape=(None, *shape), dtype=model.inputs[0].dtype)
    # Whatever the converter prints about a failure stands in its exception, too.
    with tempfile.TemporaryDirectory() as folder, settings.quiet_stderr():
        saved = str(Path(folder) / "saved")
        # Not from a concrete function, which loses the weights without an error.
        model.export(saved, format="tf_saved_model", input_signature=[given], verbose=False)
        return bytes(tf.lite.TFLiteConverter.from_saved_model(saved).convert())


def cores() -> int:
    """Return how many threads can call the function that `lite` returns without waiting for each other."""
    return os.cpu_count() or 1


def _layers(model: keras.Model) -> Iterator[keras.Layer]:
    for layer in model.layers:
        yield layer
        if hasattr(layer, "layers"):
            yield from _layers(layer)


def _converted(model: keras.Model, shape: tuple[int, ...]) -> bytes:
    """Return a network in LiteRT's format, from the cache folder if it lies there undamaged."""
    import tensorflow as tf

    # Another version may convert differently.
    key = hashlib.sha256(f"{fingerprint(model)} {shape} {tf.__version__}".encode()).hexdigest()
    path = settings.cache_dir() / "converted" / f"{key[:40]}.tflite"
    # The hash stands in front. A damaged network would not raise an error, it would end the process.
    with contextlib.suppress(OSError):
        stored = path.read_bytes()
        if stored[:32] == hashlib.sha256(stored[32:]).digest():
            return stored[32:]
    content = convert(model, shape)
    # What cannot be kept is converted again next time.
    with contextlib.suppress(OSError):
        path.parent.mkdir(exist_ok=True)
        with settings.replacing(path) as temporary:
            temporary.write_bytes(hashlib.sha256(content).digest() + content)
    return content


def _forward(interpreters: Sequence[Any], shape: tuple[int, ...]) -> Forward:
    free: queue.SimpleQueue[Any] = queue.SimpleQueue()
    for interpreter in interpreters:
        [given], [wanted] = interpreter.get_input_details(), interpreter.get_output_details()
        interpreter.resize_tensor_input(given["index"], shape)
        interpreter.allocate_tensors()
        free.put(interpreter)

    def forward(batch: NDArray[Any]) -> NDArray[np.floating]:
        # An interpreter has room for one batch. Whoever waits here has read its pictures meanwhile.
        interpreter = free.get()
        try:
            interpreter.set_tensor(given["index"], batch.astype(given["dtype"]))
            interpreter.invoke()
            return interpreter.get_tensor(wanted["index"])
        finally:
            free.put(interpreter)

    return forward
