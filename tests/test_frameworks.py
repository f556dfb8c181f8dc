"""TensorFlow and PyTorch in one process, and what lesson 14 says of them, with PyTorch itself."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import numpy as np
import pytest

from tlutils import course

pytestmark = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed here")

# A step of both on the same numbers; each uses its own threads for a convolution of this size.
STEPS = """
import numpy as np
x = np.random.default_rng(0).normal(size=(16, 32, 32, 8)).astype("float32")
kernel = np.random.default_rng(1).normal(size=(3, 3, 8, 32)).astype("float32")
variable, parameter = tensorflow.Variable(kernel), torch.tensor(kernel.transpose(3, 2, 0, 1), requires_grad=True)
with tensorflow.GradientTape() as tape:
    ours = tensorflow.reduce_mean(tensorflow.nn.relu(tensorflow.nn.conv2d(x, variable, 1, "SAME")))
theirs = torch.relu(torch.nn.functional.conv2d(torch.tensor(x.transpose(0, 3, 1, 2)), parameter, padding=1)).mean()
theirs.backward()
gap = np.abs(tape.gradient(ours, variable).numpy().transpose(3, 2, 0, 1) - parameter.grad.numpy()).max()
print("same" if gap < 1e-5 and abs(float(ours) - theirs.item()) < 1e-5 else gap)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("first", "second"), [("tensorflow", "torch"), ("torch", "tensorflow")])
def test_both_frameworks_compute_in_one_process_whichever_comes_first(first: str, second: str) -> None:
    program = [sys.executable, "-c", f"import {first}\nimport {second}\n{STEPS}"]
    outcome = subprocess.run(program, capture_output=True, text=True, timeout=120)
    assert (outcome.returncode, outcome.stdout.strip()) == (0, "same"), outcome.stderr[-1000:]


def test_what_the_exercise_calls_right_makes_pytorch_compute_what_keras_computes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    import keras
    import torch

    def carried(kernel: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
        """Ask a Keras layer for its answer to each input of PyTorch's order that is one in one place."""
        dense = keras.layers.Dense(kernel.shape[1], use_bias=False)
        ones = torch.eye(len(kernel)).reshape(-1, shape[2], *shape[:2]).numpy().transpose(0, 2, 3, 1)
        network = keras.Sequential([keras.Input(shape), keras.layers.Flatten(), dense])
        dense.set_weights([kernel])
        return keras.ops.convert_to_numpy(network(ones)).T

    course.check("14_dense_to_torch", carried)
    assert "✓ Right." in capsys.readouterr().out
    kernel, maps = np.random.default_rng(0).normal(size=(24, 5)), np.random.default_rng(1).normal(size=(7, 2, 3, 4))
    linear = torch.nn.Linear(24, 5, bias=False)
    with torch.no_grad():
        linear.weight.copy_(torch.tensor(carried(kernel, (2, 3, 4))))
        found = linear(torch.nn.Flatten()(torch.tensor(maps.transpose(0, 3, 1, 2), dtype=torch.float32)))
    np.testing.assert_allclose(found.numpy(), maps.reshape(7, 24) @ kernel, atol=1e-5)
