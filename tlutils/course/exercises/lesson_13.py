"""Check the exercises of lesson 13."""

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


def modality_mask(answer: Any) -> str | None:
    """A function (n, rate, rng, training) -> 0 and 1, shape (n, 3); no row of zeros, all ones outside training."""
    n, rate, how = 4000, 0.5, "modality_mask(n, rate, rng, training)"
    mask = answers.as_array(answers.called(answer, how, n, rate, np.random.default_rng(0), True))
    if mask.shape == (3,):
        return "One row for all cards: every card needs a draw of its own, shape (n, 3)."
    if mask.shape != (n, 3):
        return f"Return one number per card and modality, shape (n, 3), not {mask.shape}: whole modalities are dropped."
    if not np.isin(mask, (0, 1)).all():
        return "The mask has other values than 0 and 1. Nothing is scaled up here."
    if (mask.sum(axis=1) == 0).any():
        return "Some cards lose all three modalities. Give such a card one back, drawn at random."
    if mask.all():
        return "Nothing is dropped while training."
    if abs(np.corrcoef(mask.T)[np.triu_indices(3, 1)]).max() > 0.5:
        return "The modalities of a card are dropped together. Draw for each of them."
    rare = answers.as_array(answers.run(answer, how, n, 0.1, np.random.default_rng(1), True))
    if not 0.85 < rare.mean() < 0.95:
        return "With rate=0.1, about a tenth is to be 0. Do you keep where you should drop, or ignore the rate?"
    share = mask.mean(axis=0)
    if np.ptp(share) > 0.06:
        return f"The modalities are kept unequally often, {share.round(2)}. Draw at random which one comes back."
    testing = answers.as_array(answers.run(answer, how, n, rate, np.random.default_rng(0), False))
    if testing.shape != (n, 3) or not testing.all():
        return "Outside training nothing is dropped: return ones if training is False."
    return None


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
