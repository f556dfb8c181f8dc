"""Features of pictures at every cut of a network, computed in one pass."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tlutils import cut
from tlutils.datasets import picture_files
from tlutils.models import backbones

if TYPE_CHECKING:
    import keras


def pooled_activations(
    backbone: backbones.Backbone, pictures: picture_files.Pictures
) -> dict[str, NDArray[np.floating]]:
    """Compute the mean activations at all cuts of a network in one pass, kept by `cut.compute_once`.

    Parameters
    ----------
    backbone : Backbone
    pictures : uint8 array or PictureFiles, shape (n, image_size, image_size, 3)

    Returns
    -------
    dict of str to array, shape (n, channels at the cut)
        In the order of ``backbone.cuts``. At ``preprocess`` it is the mean colour.
    """
    together = _all_cuts(backbone)
    ends = np.cumsum([backbone.model.get_layer(at).output.shape[-1] for at in backbone.cuts])
    # Batches of one size, since another one at the end makes the backend trace the network again.
    batch_size = math.ceil(len(pictures) / max(1, math.ceil(len(pictures) / 32)))
    parts = np.split(cut.compute_once(together, pictures, batch_size=batch_size), ends[:-1], axis=1)
    return dict(zip(backbone.cuts, parts, strict=True))


# Kept, since the first call of a new model takes longer than all pictures of an advice.
@functools.lru_cache(maxsize=8)
def _all_cuts(backbone: backbones.Backbone) -> keras.Model:
    """Build the network that returns the mean activations at all cuts, side by side."""
    import keras

    tensors = [backbone.model.get_layer(at).output for at in backbone.cuts]
    # One output, so that it can be kept in one file.
    pooled = keras.layers.Concatenate()([keras.layers.GlobalAveragePooling2D()(tensor) for tensor in tensors])
    return keras.Model(backbone.model.input, pooled, name=f"{backbone.model.name}_all_cuts")
