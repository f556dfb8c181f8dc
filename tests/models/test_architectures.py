"""The architectures have exactly the parameters that their papers and this course count."""

from __future__ import annotations

from functools import partial

import keras
import numpy as np
import pytest

from tlutils.models import architectures


@pytest.mark.parametrize(
    ("build", "parameters"),
    [
        (architectures.vgg16_mini, 920_784),  # sum over thirteen convolutions of (9 c + 1) k
        (architectures.efficientnet_lite0, 3_413_024),
        (partial(architectures.efficientnet_lite0, top=True), 4_694_024),  # as published
    ],
)
def test_the_number_of_parameters_is_exact(build, parameters):
    assert build(32).count_params() == parameters


def test_the_small_control_network_takes_raw_pictures_and_returns_logits():
    network = architectures.small_network(64, 3)
    assert network.input_shape == (None, 64, 64, 3) and network.output_shape == (None, 3)
    # Kernels of 3 x 3 without bias, four BatchNormalizations of four numbers a channel, one dense layer with bias.
    assert (
        network.count_params() == 9 * (3 * 16 + 16 * 32 + 32 * 64 + 64 * 128) + 4 * (16 + 32 + 64 + 128) + 128 * 3 + 3
    )
    raw = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    assert keras.ops.convert_to_numpy(network(raw)).shape == (2, 3)


@pytest.mark.parametrize("build", [architectures.vgg16_mini, architectures.efficientnet_lite0])
def test_a_size_that_five_halvings_would_use_up_is_refused(build):
    with pytest.raises(ValueError, match="image_size=31"):
        build(31)
