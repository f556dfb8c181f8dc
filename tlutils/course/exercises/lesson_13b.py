"""Check the exercises of lesson 13b."""

from __future__ import annotations

from typing import Any

import numpy as np

from tlutils.course.exercises import answers


def late_fusion(answer: Any) -> str | None:
    """A function (list of probability arrays, None where missing) -> normalised geometric mean of those there."""
    rng = np.random.default_rng(0)
    first, second = (rng.dirichlet(np.ones(4), size=5) for _ in range(2))
    how = "late_fusion(probabilities)"

    def right(parts: list[Any]) -> Any:
        product = np.exp(np.mean(np.log(parts), axis=0))
        return product / product.sum(axis=1, keepdims=True)

    parts = [first, second, first]
    logarithms = np.mean(np.log(parts), axis=0)
    hint = answers.judge(
        answers.called(answer, how, parts),
        right(parts),
        [
            (np.mean(parts, axis=0), "This is the mean of the probabilities. Average their logarithms."),
            (logarithms, "These are logarithms. Take exp, and divide each row by its sum."),
            (np.exp(logarithms), "The rows do not sum to 1. Divide each by its sum."),
        ],
        "With all modalities there, this is not the geometric mean of the probabilities, scaled to sum 1.",
        shape="Return one row per card and one column per class, shape (5, 4), not {shape}.",
    )
    if hint is not None:
        return hint
    leave_out = "None stands for a missing modality; leave it out."
    try:
        missing = answers.run(answer, how, [first, None, second])
    except answers.Hint as stopped:
        return f"{leave_out} {stopped}"
    if missing is None:
        return leave_out
    thirds = np.exp(np.log([first, second]).sum(axis=0) / 3)
    otherwise = "With a modality missing, the result is not the geometric mean of those that are there."
    return answers.judge(
        missing,
        right([first, second]),
        [
            (
                thirds / thirds.sum(axis=1, keepdims=True),
                "With one of three missing you still divide by 3. Divide by the number that is there.",
            )
        ],
        otherwise,
        shape=otherwise,
    )


def importance(answer: Any) -> str | None:
    """A function (predict, features, labels, block, rng) -> accuracy lost when the block's rows are permuted."""
    rng = np.random.default_rng(0)
    n = 2000
    # The label is the product of columns 0 and 1, mostly 1; permuted apart, they agree half the time.
    sign = rng.choice((-1.0, 1.0), size=(n, 3))
    sign[:, 1] = np.where(rng.random(n) < 0.9, sign[:, 0], -sign[:, 0])
    labels = (sign[:, 0] * sign[:, 1] > 0).astype(np.int64)
    before, seen = sign.copy(), []

    def predict(features: Any) -> Any:
        seen.append(np.array(features))
        return (features[:, 0] * features[:, 1] > 0).astype(np.int64)

    how = "importance(predict, features, labels, block, rng)"
    value = answers.called(answer, how, predict, sign, labels, slice(0, 2), np.random.default_rng(1))
    if not np.array_equal(sign, before):
        return "You changed the reader's own features. Work on a copy."
    moved = [features for features in seen if features.shape == sign.shape and not np.array_equal(features, sign)]
    if not moved:
        return "The model never saw permuted features. Permute the rows of the block, not the labels."
    pairs = moved[-1][:, 0] * moved[-1][:, 1] > 0
    if abs(pairs.mean() - labels.mean()) > 1e-9:
        return "Each feature was permuted apart. Give all columns of the block the same new order."
    if not np.array_equal(moved[-1][:, 2], sign[:, 2]):
        return "Columns outside the block moved, too. Permute the block alone."
    lost = 1 - np.mean((pairs).astype(np.int64) == labels)
    mistakes = [
        (-lost, "The sign is wrong: accuracy before minus accuracy after."),
        (1 - lost, "This is the accuracy after permuting. Return what was lost."),
    ]
    return answers.judge(value, lost, mistakes, f"The accuracy falls by {lost:.3f}; you return {{value:.3f}}.")


def which_fusion(answer: Any) -> str | None:
    """What fits each of four cases."""
    options = ("late fusion", "a hidden layer or products", "modality dropout", "one modality")
    cases = {
        "A": (options[0], "A: given the label, the two err independently, and one is often silent."),
        "B": (options[1], "B: ask what the sum of two answers says if each alone says nothing."),
        "C": (options[2], "C: the network is needed. Ask what it has never met in training."),
        "D": (options[3], "D: ask what the second modality has added, with all these labels."),
    }
    return answers.matched(answer, options, cases)
