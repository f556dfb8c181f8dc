"""Features of pictures at every cut of a network, computed in one pass."""

from __future__ import annotations

import functools
import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tlutils import cut, tuning
from tlutils.datasets import picture_files
from tlutils.models import backbones

if TYPE_CHECKING:
    import keras

_SMALL_BATCH = 8


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


def untrained_activations(
    backbone: backbones.Backbone, pictures: picture_files.Pictures, sample: NDArray[np.int64]
) -> dict[str, NDArray[np.floating]]:
    """Compute what `pooled_activations` does for the same network with random weights, the untrained control.

    Parameters
    ----------
    backbone : Backbone
        Of the catalogue; only its name and size are used.
    pictures : uint8 array or PictureFiles, shape (n, image_size, image_size, 3)
    sample : int array
        Training pictures on which batch normalisation measures its means and variances: with those of the start, the
        activations of a deep untrained network fade or grow from layer to layer. Some dozens are enough.

    Returns
    -------
    dict of str to array, shape (n, channels at the cut)
    """
    blank = backbones.load(backbone.name, weights=None, image_size=backbone.image_size)
    if tuning.moved_batchnorm(blank.model, blank.model)[1]:
        # In small batches, since all activations of a batch are in memory at once: 60 MB for each picture of 224x224.
        blank = replace(blank, model=tuning.adapt_batchnorm(blank.model, pictures[sample], batch_size=_SMALL_BATCH))
    return pooled_activations(blank, pictures)


# Kept, since the first call of a new model takes longer than all pictures of an advice.
@functools.lru_cache(maxsize=8)
def _all_cuts(backbone: backbones.Backbone) -> keras.Model:
    """Build the network that returns the mean activations at all cuts, side by side."""
    import keras

    tensors = [backbone.model.get_layer(at).output for at in backbone.cuts]
    # One output, so that it can be kept in one file.
    pooled = keras.layers.Concatenate()([keras.layers.GlobalAveragePooling2D()(tensor) for tensor in tensors])
    return keras.Model(backbone.model.input, pooled, name=f"{backbone.model.name}_all_cuts")
