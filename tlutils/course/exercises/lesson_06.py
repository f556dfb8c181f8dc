"""Check the exercises of lesson 06."""

from __future__ import annotations

from typing import Any

import numpy as np

from tlutils.course.exercises import answers


def per_class(answer: Any) -> str | None:
    """A function (matrix) -> precision, recall and F1 of each class; row: true class, column: predicted class."""
    matrix = np.array([[8, 2, 0], [1, 5, 4], [3, 0, 37]])
    returned = answers.called(answer, "per_class(matrix)", matrix.copy())
    try:
        precision, recall, f1 = (np.asarray(part, dtype=float) for part in returned)
    except (TypeError, ValueError):
        return "Return three arrays: precision, recall, f1."
    hits = np.diag(matrix)
    by_column, by_row = hits / matrix.sum(axis=0), hits / matrix.sum(axis=1)
    for part in (precision, recall, f1):
        if part.shape != (3,):
            return f"Of three classes you return an array of shape {part.shape}; one number per class is asked for."
    if np.allclose(precision, by_row) and np.allclose(recall, by_column):
        return "Precision and recall are swapped: a column holds what was called c, a row what is c."
    if np.allclose(precision, hits / matrix.sum()):
        return "You divide by all pictures. Precision divides by the pictures that were called c: a column."
    if not np.allclose(precision, by_column):
        return "Precision is not right: divide the hits on the diagonal by the sums over each column."
    if not np.allclose(recall, by_row):
        return "Precision is right. Recall is not: divide the hits by the sums over each row."
    if np.allclose(f1, (precision + recall) / 2):
        return "F1 is the harmonic mean, 2PR / (P + R), not the arithmetic one."
    if not np.allclose(f1, 2 * precision * recall / (precision + recall)):
        return "Precision and recall are right. F1 is 2PR / (P + R), class by class."
    return None


def ece(answer: Any) -> str | None:
    """A function (labels, probabilities, bins) -> expected calibration error."""
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet((0.4, 0.4, 0.4), size=300)
    labels = np.where(rng.random(300) < 0.6, probabilities.argmax(axis=1), rng.integers(0, 3, size=300))
    how = "ece(labels, probabilities, bins=10)"
    value = answers.called(answer, how, labels.copy(), probabilities.copy(), 10)

    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    bin_of = np.ceil(confidence * 10)
    filled = [bin_of == number for number in np.unique(bin_of)]
    gaps = np.array([(right[chosen] - confidence[chosen]).mean() for chosen in filled])
    weights = np.array([chosen.mean() for chosen in filled])
    of_true = probabilities[np.arange(300), labels]
    mistakes = [
        (np.nan, "That is NaN: some bins are empty. Leave out a bin without pictures."),
        (abs(weights @ gaps), "That lets gaps of one sign cancel those of the other: take |.| in every bin."),
        (np.abs(gaps).mean(), "That gives every bin the same weight: weight each by its share of the pictures."),
        (np.abs(gaps).sum() / 10, "That gives every bin the same weight: weight each by its share of the pictures."),
        (weights @ gaps**2, "Those are squared gaps: the ECE takes their absolute values."),
        (np.abs(right - confidence).mean(), "That compares picture by picture: average within each bin first."),
        (np.abs(1 - of_true).mean(), "That is the probability of the true class; confidence is the largest one."),
        (100 * weights @ np.abs(gaps), "That is in per cent; the ECE is a share, 0 to 1."),
        (len(labels) * weights @ np.abs(gaps), "That is the sum over the pictures: divide by their number."),
    ]
    return answers.judge(
        value,
        weights @ np.abs(gaps),
        mistakes + [(-wrong, hint) for wrong, hint in mistakes],
        "Not {value:.3f}. Sort by the largest probability; |accuracy - confidence| in a bin.",
        shape="Return one number, not an array of shape {shape}: the weighted mean of the bins' gaps.",
    )


def only_one_right(answer: Any) -> str | None:
    """A function (labels, first, second) -> pictures that only the first, and only the second model gets right."""
    labels = np.repeat([0, 1, 2], 10)
    first, second = labels.copy(), labels.copy()
    first[:7] = 1  # wrong alone in 4, together with the second in 3
    second[4:7], second[10:12] = 2, 0  # on these 3 with another class, and in 2 alone
    how = "only_one_right(labels, first, second)"
    found = answers.called(answer, how, labels.copy(), first.copy(), second.copy())
    hints: dict[tuple[int, ...], str] = {
        (4, 2): "The two counts are swapped: the first number belongs to the first model.",
        (7, 5): "You count the mistakes of each model. Leave out the pictures that both get wrong, and swap.",
        (5, 7): "You count all mistakes of the other model. A picture that both get wrong counts for neither.",
        (23, 25): "You count all that each model gets right. Leave out the pictures that both get right.",
        (9, 9): "You count the pictures on which the answers differ. One of the two answers must also be right.",
    }
    try:
        counts = tuple(int(count) for count in found)
    except (TypeError, ValueError):
        return "Return two counts: only the first right, only the second right."
    if counts == (2, 4):
        return None
    return hints.get(counts, f"Not {counts}. Combine two conditions picture by picture with &, then count the True.")
