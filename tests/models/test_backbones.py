"""The catalogue: cuts in order, preprocessing as published, weights verified before use."""

from __future__ import annotations

import shutil

import h5py
import keras
import numpy as np
import pytest

from tlutils import settings, store, tuning
from tlutils.models import backbones
from tlutils.settings import UserError
from tlutils.synthetic import shapes

NAMES = list(backbones.CATALOGUE)


@pytest.fixture(scope="module")
def untrained():
    """Every backbone once, small, with random weights."""
    return {name: backbones.load(name, weights=None, image_size=32) for name in NAMES}


def pictures(n: int, size: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, size, size, 3), dtype=np.uint8)


@pytest.mark.parametrize("name", NAMES)
def test_cut_points_run_from_the_preprocessing_to_the_end_of_the_base(untrained, name):
    backbone = untrained[name]
    names = [layer.name for layer in backbone.model.layers]
    positions = [names.index(cut) for cut in backbone.cuts]
    assert positions == sorted(positions)
    assert backbone.cuts[0] == "preprocess"
    assert positions[-1] == len(names) - 1


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("vgg16", "vgg16"),
        ("vgg16_mini", "vgg16"),
        ("resnet50", "resnet"),
        ("mobilenet", "mobilenet"),
        ("mobilenetv2", "mobilenet_v2"),
        ("efficientnetb0", "efficientnet"),
    ],
)
def test_the_preprocessing_is_the_one_keras_publishes_for_the_network(untrained, name, module):
    raw = pictures(2, 32).astype("float32")
    expected = getattr(keras.applications, module).preprocess_input(raw.copy())
    found = keras.ops.convert_to_numpy(untrained[name].model.get_layer("preprocess")(raw))
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_efficientnet_lite0_takes_pixels_minus_127_over_128(untrained):
    raw = pictures(2, 32).astype("float32")
    found = keras.ops.convert_to_numpy(untrained["efficientnet_lite0"].model.get_layer("preprocess")(raw))
    np.testing.assert_allclose(found, (raw - 127) / 128, atol=1e-5)


def squares_of_scikit_image(*names):
    """Photographs of 224 x 224 pixels, from the middle."""
    import skimage.data
    from PIL import Image

    squares = []
    for name in names:
        photograph = Image.fromarray(getattr(skimage.data, name)())
        side = min(photograph.size)
        left, upper = (photograph.width - side) // 2, (photograph.height - side) // 2
        square = photograph.crop((left, upper, left + side, upper + side))
        squares.append(np.asarray(square.resize((224, 224), Image.Resampling.BICUBIC)))
    return np.stack(squares)


@pytest.mark.network
def test_efficientnet_lite0_recognises_the_photographs_of_scikit_image():
    imagenet_classes = {"chelsea": 285, "coffee": 967, "rocket": 657}
    model = backbones.load("efficientnet_lite0", top=True).model
    assert tuning.predict(model, squares_of_scikit_image(*imagenet_classes)).tolist() == [*imagenet_classes.values()]


@pytest.mark.network
def test_efficientnet_lite0_computes_what_its_publishers_own_code_computes():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed here")
    published = pytest.importorskip("efficientnet_lite_pytorch", reason="the publisher's code is not installed here")
    network = published.EfficientNet.from_name("efficientnet-lite0").eval()
    network.load_state_dict(torch.load(store.fetch("efficientnet_lite0"), weights_only=True))
    photographs = squares_of_scikit_image("chelsea", "coffee", "rocket", "astronaut").astype("float32")
    with torch.no_grad():
        expected = network(torch.tensor(((photographs - 127) / 128).transpose(0, 3, 1, 2).copy())).softmax(dim=1)
    model = backbones.load("efficientnet_lite0", top=True).model
    found = keras.ops.convert_to_numpy(model(photographs, training=False))
    # Another padding or epsilon changes some of these logarithms by 1 to 3.
    np.testing.assert_allclose(np.log(found), expected.log().numpy(), atol=1e-3)


@pytest.mark.parametrize("task", shapes.SOURCE_TASKS)
def test_every_pretrained_vgg16_mini_knows_its_own_source_task(task: str):
    world = shapes.source_shapes(per_class=3, seed=123, task=task)
    model = backbones.load(backbones.MINI[task], top=True).model
    assert np.mean(tuning.predict(model, world.pictures) == world.labels) > 0.75


def test_an_unknown_backbone_is_refused_with_the_valid_names():
    with pytest.raises(UserError, match="vgg61.*Did you mean 'vgg16'") as refusal:
        backbones.load("vgg61")
    assert all(name in str(refusal.value) for name in backbones.CATALOGUE)


def test_a_size_that_five_halvings_would_use_up_is_refused():
    with pytest.raises(UserError, match="image_size=16"):
        backbones.load("vgg16_mini", weights=None, image_size=16)


def test_a_missing_weight_file_is_named():
    with pytest.raises(UserError, match="nowhere.npz"):
        backbones.load("vgg16_mini", weights="nowhere.npz")


@pytest.mark.parametrize("damage", ["cut short", "one byte changed", "another network's"])
def test_damaged_or_foreign_weights_are_refused_with_their_name(tmp_path, damage, monkeypatch):
    whole = (settings.DATA / "vgg16_mini.npz").read_bytes()
    if damage == "cut short":
        data = whole[: len(whole) // 2]
    elif damage == "one byte changed":
        middle = len(whole) // 2
        data = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
    else:
        np.savez(tmp_path / "foreign.npz", **{"block1_conv1/kernel": np.zeros((3, 3, 3, 5))})
        data = (tmp_path / "foreign.npz").read_bytes()
    (tmp_path / "vgg16_mini.npz").write_bytes(data)
    with pytest.raises(UserError, match=r"vgg16_mini\.npz"):
        backbones.load("vgg16_mini", weights=tmp_path / "vgg16_mini.npz")
    for file in ("checksums.json",):
        shutil.copy(settings.DATA / file, tmp_path)
    monkeypatch.setattr(settings, "DATA", tmp_path)
    with pytest.raises(UserError, match=r"vgg16_mini\.npz"):
        backbones.load("vgg16_mini")


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 58889256\n"
PAGE = b"<html><body>Google Drive - Virus scan warning</body></html>"


@pytest.mark.parametrize("name", ["vgg16_mini", "efficientnet_lite0", "mobilenet"])
@pytest.mark.parametrize(
    ("content", "what"), [(POINTER, "a Git LFS pointer.*git lfs pull"), (PAGE, "a web page"), (b"", "an empty file")]
)
def test_what_lies_in_place_of_weights_is_named(tmp_path, name: str, content: bytes, what: str):
    path = tmp_path / "weights.h5"
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"weights\.h5.* is {what}"):
        backbones.load(name, weights=path, image_size=32)


def test_an_hdf5_file_that_is_cut_short_or_has_another_suffix_is_called_so(tmp_path):
    small = keras.applications.MobileNet(weights=None, alpha=0.25, include_top=False, input_shape=(32, 32, 3))
    small.save_weights(tmp_path / "whole.weights.h5")
    content = (tmp_path / "whole.weights.h5").read_bytes()
    for name, data in (("cut.weights.h5", content[: len(content) // 2]), ("damaged.h5", content[:8] + bytes(4000))):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(UserError, match=rf"{name} \([\d,]+ bytes\) are an HDF5 file that is cut short or damaged"):
            backbones.load("mobilenet", weights=tmp_path / name, image_size=32)
    (tmp_path / "weights.bin").write_bytes(content)
    with pytest.raises(UserError, match=r"weights\.bin are in the format that Keras calls \.weights\.h5; rename"):
        backbones.load("mobilenet", weights=tmp_path / "weights.bin", image_size=32)
    loaded = backbones.load("mobilenet", weights=tmp_path / "whole.weights.h5", image_size=32)
    np.testing.assert_array_equal(loaded.model.get_layer("conv1").get_weights()[0], small.layers[1].get_weights()[0])


def test_python_objects_in_an_archive_are_refused_without_advice_to_load_them(tmp_path):
    np.savez(tmp_path / "objects.npz", **{"block1_conv1/kernel": np.array([{"a": 1}], dtype=object)})
    with pytest.raises(UserError, match="holds Python objects, which are never loaded") as refusal:
        backbones.load("vgg16_mini", weights=tmp_path / "objects.npz")
    assert "allow_pickle" not in str(refusal.value)


@pytest.mark.parametrize("word", ["none", "None", None])
def test_none_is_understood_in_words_and_gives_an_untrained_network(word):
    keras.utils.set_random_seed(0)
    network = backbones.load("vgg16_mini", weights=word)
    pretrained = backbones.load("vgg16_mini", weights="Pretrained")
    kernels = [base.model.get_layer("block1_conv1").get_weights()[0] for base in (network, pretrained)]
    assert not np.array_equal(*kernels)


def test_imagenet_is_understood_where_it_is_the_source_and_corrected_where_it_is_not(tmp_path, monkeypatch):
    monkeypatch.setenv("TLUTILS_CACHE", str(tmp_path))
    monkeypatch.setattr(store, "fetch", lambda name: (_ for _ in ()).throw(UserError(f"asked for {name}")))
    with pytest.raises(UserError, match="asked for efficientnet_lite0"):
        backbones.load("efficientnet_lite0", weights="imagenet", image_size=32)
    with pytest.raises(UserError, match='pretrained on shapes of drawn pictures; give weights="pretrained".*vgg16,'):
        backbones.load("vgg16_mini", weights="imagenet")


@pytest.mark.parametrize(("given", "what"), [("nowhere.h5", "is not a file"), ("", "is a folder"), (7, "is no text")])
def test_a_source_of_weights_that_is_none_is_refused_with_the_choices(given, what: str):
    with pytest.raises(UserError, match=f'{what}.*"pretrained", "none"'):
        backbones.load("vgg16_mini", weights=given)


@pytest.fixture(scope="module")
def vgg16_file(tmp_path_factory):
    """A file of the layout that Keras publishes for VGG16, with random weights, and the network it belongs to."""
    network = keras.applications.VGG16(weights=None, include_top=False, input_shape=(32, 32, 3))
    path = tmp_path_factory.mktemp("weights") / "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [layer.name.encode() for layer in network.layers]
        for layer in network.layers:
            group = file.create_group(layer.name)
            names = [f"{layer.name}_{kind}_1:0" for kind, _ in zip("Wb", layer.weights, strict=False)]
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name, values in zip(names, layer.get_weights(), strict=True):
                group[name] = values
    return network, path


def test_vgg16_from_a_file_computes_what_keras_computes_from_preprocessed_pictures(vgg16_file):
    network, path = vgg16_file
    raw = pictures(2, 32)
    expected = network.predict(keras.applications.vgg16.preprocess_input(raw.astype("float32")), verbose=0)
    backbone = backbones.load("vgg16", weights=path, image_size=32)
    np.testing.assert_allclose(backbone.model.predict(raw, verbose=0), expected, rtol=1e-4, atol=1e-4)


def test_vgg16_comes_from_its_publisher_when_its_hash_fits(vgg16_file, publish):
    network, path = vgg16_file
    publish("vgg16", path.read_bytes())
    loaded = backbones.load("vgg16", image_size=32)
    kernel = loaded.model.get_layer("block5_conv3").get_weights()[0]
    np.testing.assert_array_equal(kernel, network.get_layer("block5_conv3").get_weights()[0])


def test_mobilenet_takes_the_file_that_keras_publishes(real_data):
    path = real_data / "weights" / "mobilenet_2_5_224_tf_no_top.h5"
    backbone = backbones.load("mobilenet", weights=path, image_size=64)
    reference = keras.applications.MobileNet(alpha=0.25, include_top=False, weights=None, input_shape=(64, 64, 3))
    reference.load_weights(path)
    raw = pictures(2, 64)
    expected = reference.predict(keras.applications.mobilenet.preprocess_input(raw.astype("float32")), verbose=0)
    np.testing.assert_allclose(backbone.model.predict(raw, verbose=0), expected, rtol=1e-3, atol=1e-4)
