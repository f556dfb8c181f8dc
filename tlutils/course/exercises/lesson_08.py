"""Check the exercises of lesson 08."""

from __future__ import annotations

from typing import Any

import numpy as np

from tlutils.course.exercises import answers


def leep(answer: Any) -> str | None:
    """A function (theta, labels) -> LEEP."""
    rng = np.random.default_rng(0)
    theta, labels = rng.dirichlet((0.3, 0.5, 0.7, 0.4), size=60), np.arange(60) % 3
    theta[labels == 0, 0] += 1
    theta /= theta.sum(axis=1, keepdims=True)
    value = answers.called(answer, "leep(theta, labels)", theta.copy(), labels.copy())

    members = np.eye(3)[labels]
    joint, picked = members.T @ theta, (np.arange(60), labels)
    expected = (theta @ (joint / joint.sum(axis=0)).T)[picked]
    right = np.log(expected).mean()
    chosen = np.eye(4)[theta.argmax(axis=1)]
    counts = members.T @ chosen
    mistakes = [
        (-right, "The sign is wrong: a log probability is 0 or less, and higher is better."),
        (np.log(expected).sum(), "That is the sum over the pictures: divide by their number."),
        (expected.mean(), "You average the probabilities. Take the logarithm of each picture's first."),
        (np.log(expected.mean()), "You take the logarithm of the mean. The mean of the logarithms is asked for."),
        (
            np.log((theta @ (joint / joint.sum(axis=1, keepdims=True)).T)[picked]).mean(),
            "You have divided by the sum over the source classes. P(y | z) sums to 1 over y: divide by the sum over "
            "the pictures, one for each source class.",
        ),
        (
            np.log((theta @ joint.T / 60)[picked]).mean(),
            "You have used the joint distribution P(y, z). Divide by P(z), the sum over the pictures of theta.",
        ),
        (
            np.log((chosen @ (counts / counts.sum(axis=0)).T)[picked]).mean(),
            "You have kept only the likeliest source class of each picture. LEEP weighs all of them by theta.",
        ),
    ]
    return answers.judge(
        value,
        right,
        mistakes,
        "Not {value:.3f}. First P(y | z), one row per target class; then theta times its transpose; then the "
        "logarithm of the entry of the true label, averaged.",
        shape="Return one number, not an array of shape {shape}: the mean over the pictures.",
    )


def regret(answer: Any) -> str | None:
    """A function (scores, accuracies) -> what choosing by the score loses."""
    scores, accuracies = np.array([-3.0, -0.5, -1.0, -2.0]), np.array([0.80, 0.70, 0.84, 0.91])
    value = answers.called(answer, "regret(scores, accuracies)", scores.copy(), accuracies.copy())
    mistakes = [
        (-0.21, "The sign is wrong: the best accuracy minus that of the chosen one, never below 0."),
        (0.70, "That is the accuracy of the chosen candidate. How much better is the best?"),
        (0.11, "You have chosen the candidate with the lowest score. Higher scores are better."),
        (1.41, "You have subtracted a score from an accuracy. Take the accuracy at the score's best place."),
        (1.5, "That is the difference of two scores. Regret is a difference of accuracies."),
        (0.0, "You compare the best with itself. The chosen candidate is the one with the best score."),
        (3, "That is a place in the ranking. Regret is a difference of accuracies."),
        (2, "That is a place in the ranking. Regret is a difference of accuracies."),
        (21, "That is in points; give a share, 0 to 1, like the accuracies."),
        (0.91 - accuracies.mean(), "That is the regret of choosing at random. Use the scores."),
    ]
    return answers.judge(
        value,
        0.21,
        mistakes,
        "Not {value:.3f}. The best accuracy of all, minus the accuracy of the candidate with the best score.",
    )


def small_modules(answer: Any) -> str | None:
    """Parameters of a 1x1 bottleneck, 64 channels to 8 and back, and of LoRA of rank 4 on a 3x3 kernel."""
    if not isinstance(answer, tuple) or len(answer) != 2:
        return "Give two whole numbers, the adapter's and LoRA's."
    if any(part is ... or part is None for part in answer):
        return answers.NOT_SOLVED
    if not answers.whole(*answer):
        return f"Give two whole numbers, not {answer!r}."
    adapter, lora = (int(part) for part in answer)
    down, up = 64 * 8 + 8, 8 * 64 + 64
    of_adapter = {
        down: "The adapter goes down to 8 channels and up again to 64. You have counted one way.",
        up: "The adapter goes down to 8 channels and up again to 64. You have counted one way.",
        2 * 64 * 8: "You forgot the adapter's biases: one for each output, 8 on the way down and 64 on the way up.",
        9 * 2 * 64 * 8: "The adapter's kernels are 1 x 1, not 3 x 3.",
        9 * 2 * 64 * 8 + 72: "The adapter's kernels are 1 x 1, not 3 x 3.",
        64 * 64 + 64: "That is one 1 x 1 convolution of 64 to 64 channels, without the bottleneck of width 8.",
    }
    of_lora = {
        9 * 64 * 128: "That is the kernel itself, which LoRA leaves as it is. Count its two thin factors.",
        9 * 64 * 128 + 128: "That is the whole convolution, which LoRA leaves as it is. Count the two thin factors.",
        64 * 4 + 4 * 128: "The first factor is as large as the kernel but for its outputs: 3 x 3 x 64 x 4.",
        9 * (64 * 4 + 4 * 128): "Only the first factor is 3 x 3. The second mixes channels at one place: 4 x 128.",
        9 * 64 * 4: "That is the first factor. The second brings 4 channels to 128.",
        4 * 128: "That is the second factor. The first is a 3 x 3 kernel from 64 channels to 4.",
        9 * 64 * 4 + 4 * 128 + 128: "LoRA's factors have no bias of their own.",
    }
    if adapter != down + up:
        return of_adapter.get(adapter, f"The adapter does not have {adapter:,}. Add two layers, weights and biases.")
    if lora != 9 * 64 * 4 + 4 * 128:
        hint = of_lora.get(lora, f"Not {lora:,}. The factors have shapes (3, 3, 64, rank) and (rank, 128).")
        return f"The adapter is right. {hint}"
    return None
