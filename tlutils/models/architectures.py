"""Build the networks that keras.applications does not have: vgg16_mini, EfficientNet-Lite0 and the small control."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras


def vgg16_mini(image_size: int = 64, *, batch_normalised: bool = False) -> keras.Model:
    """Build VGG16's thirteen convolutions and five pools (Simonyan & Zisserman 2015) with a quarter of the channels.

    Layer names are those of `keras.applications.VGG16`, so what is said of a layer here can be tried on the original.

    Parameters
    ----------
    image_size : int
        Side of the RGB input in pixels, 32 or more: five pools halve it five times.
    batch_normalised : bool
        Put a BatchNormalization named ``<convolution>_bn`` before every ReLU. Pretraining wants it; it is folded into
        the convolutions afterwards, and the network that readers load has none.

    Returns
    -------
    keras.Model
        Input (image_size, image_size, 3), preprocessed; output of ``block5_pool``. He-normal initial weights
        (He et al. 2015), without which thirteen plain convolutions do not start to learn; 920,784 parameters.
    """
    import keras

    if image_size < 32:
        raise ValueError(f"image_size={image_size} is too small for five pools; give 32 or more")
    inputs = keras.Input((image_size, image_size, 3), name="pictures")
    x = inputs
    # (convolutions, channels) of each block: a quarter of VGG16's channels.
    blocks = ((2, 16), (2, 32), (3, 64), (3, 128), (3, 128))
    for block, (repeats, channels) in enumerate(blocks, start=1):
        for number in range(1, repeats + 1):
            name = f"block{block}_conv{number}"
            activation = None if batch_normalised else "relu"
            x = keras.layers.Conv2D(
                channels, 3, padding="same", activation=activation, kernel_initializer="he_normal", name=name
            )(x)
            if batch_normalised:
                x = keras.layers.BatchNormalization(name=f"{name}_bn")(x)
                x = keras.layers.ReLU(name=f"{name}_relu")(x)
        x = keras.layers.MaxPooling2D(name=f"block{block}_pool")(x)
    return keras.Model(inputs, x, name="vgg16_mini")


def small_network(image_size: int, n_classes: int) -> keras.Model:
    """Build the small network that the lessons train from scratch, as the control of every transfer result.

    Four convolutions with BatchNormalization. On a few hundred pictures it learns more, and many times faster, than a
    network of VGG16's depth does from random weights, so that transfer is not compared with a straw man.

    Parameters
    ----------
    image_size : int
        Side of the RGB input in pixels, 32 or more; 0 to 255.
    n_classes : int

    Returns
    -------
    keras.Model
        Returns logits.
    """
    import keras

    network = keras.Sequential(name="small_network")
    network.add(keras.Input((image_size, image_size, 3), name="pictures"))
    network.add(keras.layers.Rescaling(1 / 64, offset=-2))
    for channels, stride in ((16, 2), (32, 1), (64, 1), (128, 1)):
        network.add(keras.layers.Conv2D(channels, 3, strides=stride, padding="same", use_bias=False))
        # A running mean over about ten batches; Keras' default of a hundred outlasts a training of this length.
        network.add(keras.layers.BatchNormalization(momentum=0.9))
        network.add(keras.layers.ReLU())
        network.add(keras.layers.MaxPooling2D())
    network.add(keras.layers.GlobalAveragePooling2D())
    network.add(keras.layers.Dense(n_classes))
    return network


# EfficientNet-Lite0's seven stages: (kernel, stride, expansion, channels, repeats).
_LITE0_STAGES = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)


def efficientnet_lite0(image_size: int = 224, *, top: bool = False) -> keras.Model:
    """Build EfficientNet-Lite0: EfficientNet-B0 (Tan & Le 2019) without squeeze-and-excitation, with ReLU6.

    Parameters
    ----------
    image_size : int
        Side of the RGB input in pixels, 32 or more.
    top : bool
        Add global pooling and the 1000-class softmax layer.

    Returns
    -------
    keras.Model
        Input (image_size, image_size, 3), preprocessed; output of layer ``head`` (1280 channels), or probabilities.
        3,413,024 parameters without the top, 4,694,024 with it, BatchNormalization statistics counted.
    """
    import keras

    if image_size < 32:
        raise ValueError(f"image_size={image_size} is too small for five halvings; give 32 or more")

    def normalised(x: keras.KerasTensor, name: str, activation: bool = True) -> keras.KerasTensor:
        x = keras.layers.BatchNormalization(epsilon=1e-3, name=f"{name}_bn")(x)
        return keras.layers.ReLU(max_value=6.0, name=f"{name}_relu")(x) if activation else x

    def pointwise(x: keras.KerasTensor, channels: int, name: str) -> keras.KerasTensor:
        return keras.layers.Conv2D(channels, 1, use_bias=False, name=name)(x)

    inputs = keras.Input((image_size, image_size, 3), name="pictures")
    x = keras.layers.Conv2D(32, 3, strides=2, padding="same", use_bias=False, name="stem_conv")(inputs)
    x = normalised(x, "stem")
    block = 0
    for stage, (kernel, stride, expansion, channels, repeats) in enumerate(_LITE0_STAGES, start=1):
        for repeat in range(repeats):
            name, shortcut = f"block{block}", x
            if expansion > 1:
                x = normalised(pointwise(x, x.shape[-1] * expansion, f"{name}_expand_conv"), f"{name}_expand")
            x = keras.layers.DepthwiseConv2D(
                kernel,
                strides=stride if repeat == 0 else 1,
                padding="same",
                use_bias=False,
                name=f"{name}_depthwise_conv",
            )(x)
            x = normalised(x, f"{name}_depthwise")
            x = normalised(pointwise(x, channels, f"{name}_project_conv"), f"{name}_project", activation=False)
            if repeat > 0:
                x = keras.layers.Add(name=f"{name}_add")([shortcut, x])
            block += 1
        # An identity with a speaking name, so that the end of a stage can be named as a cut.
        x = keras.layers.Activation("linear", name=f"stage{stage}")(x)
    x = normalised(pointwise(x, 1280, "head_conv"), "head")
    x = keras.layers.Activation("linear", name="head")(x)
    if top:
        x = keras.layers.GlobalAveragePooling2D(name="pooling")(x)
        x = keras.layers.Dense(1000, activation="softmax", name="source_classes")(x)
    return keras.Model(inputs, x, name="efficientnet_lite0")
