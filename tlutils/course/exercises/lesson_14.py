"""Check the exercises of lesson 14."""

from __future__ import annotations

from typing import Any

import numpy as np

from tlutils.course.exercises import answers


def dense_to_torch(answer: Any) -> str | None:
    """A function (kernel of a Dense layer, shape of the flattened map) -> weight of PyTorch's Linear layer."""
    shape = (2, 3, 4)
    # Each number says where it belongs: its row, column, channel and output.
    kernel = np.arange(2 * 3 * 4 * 5, dtype=np.float64).reshape(24, 5)
    right = np.empty((5, 24))
    for row in range(2):
        for column in range(3):
            for channel in range(4):
                right[:, channel * 6 + row * 3 + column] = kernel[(row * 3 + column) * 4 + channel]
    found = answers.called(answer, "dense_to_torch(kernel, shape)", kernel.copy(), shape)
    return answers.judge(
        found,
        right,
        [
            (
                kernel.T,
                "The inputs are still in Keras' order. reshape alone moves no number: reshape to what is there, "
                "(height, width, channels, outputs), then transpose.",
            ),
            (
                kernel.reshape(4, 2, 3, 5).transpose(3, 1, 2, 0).reshape(5, 24),
                "In Keras' kernel the channels come last: reshape to (height, width, channels, outputs).",
            ),
            (
                kernel.reshape(*shape, 5).transpose(3, 2, 1, 0).reshape(5, 24),
                "Height and width are swapped. PyTorch's order is channels, height, width.",
            ),
        ],
        "The numbers are not where PyTorch's Linear layer expects them. Reshape the kernel to (height, width, "
        "channels, outputs), bring the axes into the order outputs, channels, height, width, and reshape to two axes.",
        shape="Return the shape (outputs, inputs), here (5, 24), not {shape}: a Linear layer holds the outputs first.",
    )


def what_moves(answer: Any) -> str | None:
    """What one training step changes in a BatchNorm layer, for each of four ways to freeze it."""
    right = {
        "Keras, trainable = False": "nothing",
        "TensorFlow, training=True": "statistics",
        "PyTorch, requires_grad_(False)": "statistics",
        "PyTorch, eval()": "weights",
    }
    hints = {
        "Keras, trainable = False": "In Keras this holds both: a frozen BatchNorm layer also runs in inference mode.",
        "TensorFlow, training=True": "No gradient of its weights is asked for. Who updates the moving statistics, and "
        "when?",
        "PyTorch, requires_grad_(False)": "No gradient reaches the weights. The statistics need none: the layer writes "
        "them whenever it runs in training mode.",
        "PyTorch, eval()": "eval() keeps the statistics as they are. It stops no gradient.",
    }
    given = answers.choices(answer, dict.fromkeys(right, ("nothing", "weights", "statistics")))
    return next((f"{way}: {hints[way]}" for way in right if given[way] != right[way]), None)
