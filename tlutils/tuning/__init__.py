"""What is trained behind the cut: heads, tails, their rates, penalties and normalisation."""

from tlutils.tuning.batchnorm import adapt_batchnorm, freeze_batchnorm, moved_batchnorm
from tlutils.tuning.fine_tuning import blocks, fine_tune, trainable_copy, unfreeze_gradually
from tlutils.tuning.heads import copy, linear_head, predict, restart, train, train_head

__all__ = [
    "adapt_batchnorm",
    "blocks",
    "copy",
    "fine_tune",
    "freeze_batchnorm",
    "linear_head",
    "moved_batchnorm",
    "predict",
    "restart",
    "train",
    "train_head",
    "trainable_copy",
    "unfreeze_gradually",
]
