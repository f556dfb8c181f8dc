"""The catalogue of pretrained networks, each with its own preprocessing, input size, cut points and weights."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tlutils import settings, store
from tlutils.models import architectures, checkpoints
from tlutils.store.kinds import Kind, kind_of, with_way_out

if TYPE_CHECKING:
    import keras

PREPROCESS = "preprocess"

# The backbone that learnt each task of the synthetic source, and how many classes the task has (`shapes.SOURCE_TASKS`).
MINI = {"shapes": "vgg16_mini", "outlines": "vgg16_mini_outlines", "textures": "vgg16_mini_textures"}
_SOURCE_CLASSES = {"shapes": 60, "outlines": 10, "textures": 6}

_IMAGENET = "ImageNet"

# The mean of ImageNet's training pictures in VGG16's channel order (Simonyan & Zisserman 2015, section 2.1).
VGG_MEAN_BGR = (103.939, 116.779, 123.68)

_VGG_CUTS = tuple(f"block{block}_pool" for block in range(1, 6))


@dataclass(frozen=True)
class Backbone:
    """A network that takes raw pictures and can be cut.

    Attributes
    ----------
    name : str
    model : keras.Model
        Input: RGB, 0 to 255, shape (n, image_size, image_size, 3). Its layer ``preprocess`` does what this network
        expects, so the reader never has to. Output: the last feature map, or with ``top=True`` the probabilities of
        the source classes.
    image_size : int
        Side of the input in pixels.
    cuts : tuple of str
        Layers where the network may be cut, in order from the pictures to the output. The first, ``preprocess``,
        leaves everything trainable; the last is the end of the base.
    licence : str
        Of the pretrained weights.
    """

    name: str
    model: keras.Model
    image_size: int
    cuts: tuple[str, ...]
    licence: str

    def __repr__(self) -> str:
        return f"Backbone({self.name}, {self.image_size}x{self.image_size}, {self.model.count_params():,} parameters)"


@dataclass(frozen=True)
class _Entry:
    """How one backbone of the catalogue is built and filled, and from what task its weights come."""

    build: Callable[[int, bool], keras.Model]
    fill: Callable[[keras.Model, bool], None]
    preprocessing: Callable[[], keras.Layer]
    image_size: int
    cuts: tuple[str, ...]
    licence: str
    source: str


def load(
    name: str, *, weights: str | Path | None = "pretrained", image_size: int | None = None, top: bool = False
) -> Backbone:
    """Load a backbone.

    Parameters
    ----------
    name : str
        A key of `CATALOGUE`.
    weights : str, Path or None
        ``"pretrained"``, or ``"imagenet"`` where the source task is ImageNet; None or ``"none"`` for random initial
        weights (an untrained control); or the path of a weight file in the format that the backbone's publisher uses:
        ``.npz`` for vgg16_mini, a PyTorch checkpoint for efficientnet_lite0, ``.h5``, ``.weights.h5`` or ``.keras`` for
        the networks of keras.applications.
    image_size : int, optional
        Side of the input in pixels; default: the size of pretraining.
    top : bool
        Keep the classifier of the source task (vgg16_mini and efficientnet_lite0).

    Returns
    -------
    Backbone

    Raises
    ------
    settings.UserError
        Unknown name, unusable size, weights that cannot be brought or do not fit.
    """
    if name not in CATALOGUE:
        near = difflib.get_close_matches(name, CATALOGUE, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise settings.UserError(f"backbone={name!r} is unknown; choose one of {', '.join(CATALOGUE)}.{hint}")
    entry = CATALOGUE[name]
    size = entry.image_size if image_size is None else image_size
    if size < 32:
        raise settings.UserError(f"image_size={size} is too small for {name}, which halves it five times; give >= 32.")
    source = _source_of_weights(name, weights)
    settings.start_keras()
    # The first network makes TensorFlow look for devices.
    with settings.quiet_import():
        bare = entry.build(size, top)
    if source == "pretrained":
        entry.fill(bare, top)
    elif source is not None:
        _fill_from_path(name, bare, settings.expanded(source))
    return Backbone(name, _with_preprocessing(bare, entry.preprocessing()), size, entry.cuts, entry.licence)


def _source_of_weights(name: str, weights: str | Path | None) -> str | Path | None:
    """Return "pretrained", None, or the path that was meant."""
    if weights is None or isinstance(weights, Path):
        return weights
    if not isinstance(weights, str):
        raise settings.UserError(f'weights={weights!r} is no text; give "pretrained", "none" or the path of a file.')
    word = weights.strip().lower()
    if word in ("pretrained", "none"):
        return None if word == "none" else word
    if word == "imagenet":
        task = CATALOGUE[name].source
        if task == _IMAGENET:
            return "pretrained"
        others = ", ".join(other for other, entry in CATALOGUE.items() if entry.source == _IMAGENET)
        raise settings.UserError(
            f'weights={weights!r}: {name} was pretrained on {task}; give weights="pretrained" for these weights, or '
            f"choose a backbone that was pretrained on ImageNet: {others}."
        )
    return weights


def _with_preprocessing(bare: keras.Model, preprocessing: keras.Layer) -> keras.Model:
    """Put `preprocessing` in front of the network, in one flat graph, so that every layer stays within reach."""
    import keras

    inputs = keras.Input(bare.input_shape[1:], name="raw_pictures")
    # A clone onto new inputs keeps the graph flat; calling the model would nest it and hide its layers from Grad-CAM.
    # Keras gives the clone an input of its own, yet its layers remember that they were first called on ours.
    clone = keras.models.clone_model(bare, input_tensors=preprocessing(inputs))
    flat = keras.Model(inputs, clone.get_layer(bare.layers[-1].name).output, name=bare.name)
    for layer in bare.layers:
        if layer.weights:
            flat.get_layer(layer.name).set_weights(layer.get_weights())
    return flat


def _vgg_preprocessing() -> keras.Layer:
    """RGB to blue, green, red minus ImageNet's mean, as a frozen 1x1 convolution: it reloads without custom code."""
    import keras

    layer = keras.layers.Conv2D(3, 1, name=PREPROCESS, trainable=False)
    layer.build((None, None, None, 3))
    kernel = np.eye(3, dtype=np.float32)[::-1].reshape(1, 1, 3, 3)
    layer.set_weights([kernel, -np.array(VGG_MEAN_BGR, dtype=np.float32)])
    return layer


def _rescaling(scale: float, offset: float) -> keras.Layer:
    import keras

    return keras.layers.Rescaling(scale, offset=offset, name=PREPROCESS)


def _fill_vgg16_mini(name: str, model: keras.Model, path: Path) -> None:
    """Fill from the project's own ``.npz``: float16 arrays named ``layer/variable``."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key].astype(np.float32) for key in file.files}
        for layer in model.layers:
            if layer.weights:
                layer.set_weights([arrays[f"{layer.name}/{variable.name}"] for variable in layer.weights])
    except FileNotFoundError:
        raise
    except Exception as error:
        raise _unfitting(name, path, error) from error


def _fill_efficientnet_lite0(model: keras.Model, path: Path) -> None:
    """Fill from the PyTorch checkpoint; there, kernels are (out, in, height, width) and names count blocks from 0."""
    tensors = checkpoints.read_legacy_torch(path)

    def kernel(name: str) -> list[np.ndarray]:
        return [tensors[f"{name}.weight"].transpose(2, 3, 1, 0)]

    def statistics(name: str) -> list[np.ndarray]:
        return [tensors[f"{name}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")]

    try:
        for layer in model.layers:
            if not layer.weights:
                continue
            part, _, what = layer.name.partition("_")
            if layer.name == "source_classes":
                values = [tensors["_fc.weight"].T, tensors["_fc.bias"]]
            elif part == "stem" or part == "head":
                number = "0" if part == "stem" else "1"
                values = kernel(f"_conv_{part}") if what == "conv" else statistics(f"_bn{number}")
            else:
                prefix, number = f"_blocks.{part.removeprefix('block')}", {"e": "0", "d": "1", "p": "2"}[what[0]]
                values = kernel(f"{prefix}._{what}") if what.endswith("_conv") else statistics(f"{prefix}._bn{number}")
                if what == "depthwise_conv":  # PyTorch: (channels, 1, h, w); Keras: (h, w, channels, 1).
                    values = [values[0].swapaxes(2, 3)]
            layer.set_weights(values)
    except (KeyError, ValueError) as error:
        raise _unfitting("efficientnet_lite0", path, error) from error


def _fill_from_path(name: str, model: keras.Model, path: Path) -> None:
    """Fill from a weight file."""
    if not path.is_file():
        what = "is a folder" if path.is_dir() else f"is not a file (looked from {Path.cwd()})"
        raise settings.UserError(
            f'weights={str(path)!r} {what}; give "pretrained", "none" for an untrained network, or the path of a '
            "weight file."
        )
    if name in MINI.values():
        _require_kind(name, path, (Kind.NUMPY_ARCHIVE,))
        _fill_vgg16_mini(name, model, path)
    elif name == "efficientnet_lite0":
        _fill_efficientnet_lite0(model, path)
    else:
        _require_kind(name, path, (Kind.HDF5, Kind.KERAS_MODEL))
        _fill_from_keras_file(name, model, path)


def _require_kind(name: str, path: Path, wanted: tuple[Kind, ...]) -> None:
    """Raise UserError for a file that is something else by its first bytes: a page, a pointer, another format."""
    try:
        found = kind_of(path)
    except OSError as error:
        raise settings.UserError(f"The weights in {path} cannot be read ({error.strerror}).") from error
    if found not in wanted:
        raise settings.UserError(
            f"The weights in {path.name} are not {' or '.join(wanted)}, which {name} takes; it is "
            f"{with_way_out(found) or 'of an unknown kind, or its beginning is damaged'}."
        )


def _fill_from_keras_file(name: str, model: keras.Model, path: Path) -> None:
    """Let Keras fill the model from HDF5, of the layout of Keras 3 or of an older one, or from a whole model."""
    import h5py

    # Keras tells the formats by the suffix alone.
    suffix = ".keras"
    if kind_of(path) == Kind.HDF5:
        try:
            with h5py.File(path, "r") as file:
                suffix = ".h5" if "layer_names" in file.attrs or "model_weights" in file else ".weights.h5"
        except OSError as error:
            raise settings.UserError(
                f"The weights in {path.name} ({path.stat().st_size:,} bytes) are an HDF5 file that is cut short or "
                "damaged. Bring the file again."
            ) from error
    by_name = next((known for known in (".keras", ".weights.h5", ".h5", ".hdf5") if path.name.endswith(known)), "")
    if by_name.replace(".hdf5", ".h5") != suffix:
        raise settings.UserError(
            f"The weights in {path.name} are in the format that Keras calls {suffix}; rename the file to end so."
        )
    try:
        model.load_weights(path)
    except Exception as error:
        raise _unfitting(name, path, error) from error


def _unfitting(name: str, path: Path, error: Exception) -> settings.UserError:
    reason = " ".join(str(error).split("\n\n")[0].split()) or type(error).__name__
    # What NumPy then recommends would run what is in the file.
    if "allow_pickle" in reason:
        reason = "it holds Python objects, which are never loaded"
    return settings.UserError(
        f"The weights in {path.name} do not fit {name}, or the file is damaged ({reason.rstrip('.')}). Bring the file "
        "again, give one of this very network without its top, or use weights=None for an untrained network."
    )


def _mini(task: str) -> _Entry:
    """Return the entry of the vgg16_mini that learnt a task of the synthetic source."""

    def build(size: int, top: bool) -> keras.Model:
        import keras

        base = architectures.vgg16_mini(size)
        if not top:
            return base
        pooled = keras.layers.GlobalAveragePooling2D(name="pooling")(base.output)
        classes = keras.layers.Dense(_SOURCE_CLASSES[task], "softmax", name="source_classes")(pooled)
        return keras.Model(base.input, classes, name=base.name)

    def fill(model: keras.Model, top: bool) -> None:
        _fill_vgg16_mini(MINI[task], model, store.bundled(f"{MINI[task]}.npz"))

    return _Entry(
        build, fill, _vgg_preprocessing, 64, (PREPROCESS, *_VGG_CUTS), "Apache-2.0", f"{task} of drawn pictures"
    )


def _from_keras(
    name: str, constructor: str, preprocessing: Callable[[], keras.Layer], *cuts: str, **options: Any
) -> _Entry:
    """Return the entry of a network of keras.applications, without its top."""

    def new(weights: str | None, size: int) -> keras.Model:
        import keras

        shape = (size, size, 3)
        make = getattr(keras.applications, constructor)
        return make(weights=weights, include_top=False, input_shape=shape, **options)

    def build(size: int, top: bool) -> keras.Model:
        if top:
            with_top = ", ".join(("efficientnet_lite0", *MINI.values()))
            raise settings.UserError(f"top=True: the catalogue has the source classifier of {with_top} only.")
        return new(None, size)

    def fill(model: keras.Model, top: bool) -> None:
        if name in store.FILES:
            _fill_from_path(name, model, store.fetch(name))
        else:  # Keras brings the weights: their publisher gives no hash that the store could check them by.
            model.set_weights(new("imagenet", model.input_shape[1]).get_weights())

    licence = store.FILES[name].licence if name in store.FILES else "Apache-2.0"
    return _Entry(build, fill, preprocessing, 224, (PREPROCESS, *cuts), licence, _IMAGENET)


CATALOGUE: dict[str, _Entry] = {
    **{name: _mini(task) for task, name in MINI.items()},
    "efficientnet_lite0": _Entry(
        lambda size, top: architectures.efficientnet_lite0(size, top=top),
        lambda model, top: _fill_efficientnet_lite0(model, store.fetch("efficientnet_lite0")),
        lambda: _rescaling(1 / 128, -127 / 128),
        224,
        (PREPROCESS, "stem_relu", *(f"stage{stage}" for stage in range(1, 8)), "head"),
        store.FILES["efficientnet_lite0"].licence,
        _IMAGENET,
    ),
    "vgg16": _from_keras("vgg16", "VGG16", _vgg_preprocessing, *_VGG_CUTS),
    "mobilenet": _from_keras(
        "mobilenet",
        "MobileNet",
        lambda: _rescaling(1 / 127.5, -1),
        "conv1_relu",
        *(f"conv_pw_{block}_relu" for block in (1, 3, 5, 7, 9, 11, 12, 13)),
        alpha=0.25,
    ),
    "mobilenetv2": _from_keras(
        "mobilenetv2",
        "MobileNetV2",
        lambda: _rescaling(1 / 127.5, -1),
        "expanded_conv_project_BN",
        *(f"block_{block}_add" for block in (2, 5, 9, 12, 15)),
        "out_relu",
    ),
    "resnet50": _from_keras(
        "resnet50",
        "ResNet50",
        _vgg_preprocessing,
        *("pool1_pool", "conv2_block3_out", "conv3_block4_out", "conv4_block6_out", "conv5_block3_out"),
    ),
    "efficientnetb0": _from_keras(
        "efficientnetb0",
        "EfficientNetB0",
        lambda: _rescaling(1, 0),  # keras.applications' EfficientNet rescales inside the network.
        *("block1a_project_bn", "block2b_add", "block3b_add", "block4c_add", "block5c_add", "block6d_add"),
        "top_activation",
    ),
}
