"""Check the exercises of lesson 12."""

from __future__ import annotations

from typing import Any

import numpy as np

from tlutils.course.exercises import answers


def mean_pooling(answer: Any) -> str | None:
    """A function (activations, token_ids) -> the mean of each text's activations over its tokens."""
    rng = np.random.default_rng(0)
    token_ids = np.array([[101, 7, 8, 9, 102], [101, 7, 102, 0, 0], [101, 8, 9, 102, 0]])
    present = token_ids > 0
    activations = rng.normal(1, 1, (3, 5, 4)) * present[..., None]
    how = "mean_pooling(activations, token_ids)"
    value = answers.as_array(answers.called(answer, how, activations.copy(), token_ids.copy()))
    total, count = activations.sum(axis=1), present.sum(axis=1, keepdims=True)
    right = total / count
    inner = activations.copy()
    inner[:, 0] = 0
    inner[np.arange(3), count[:, 0] - 1] = 0
    mistakes = [
        (total / 5, "You divide by the padded length. A short text has fewer tokens: divide by its own number."),
        (total, "That is the sum. Divide by the number of tokens of each text."),
        (activations[:, 0], "That is the first token, [CLS]. The mean over all tokens is asked for."),
        (activations.max(axis=1), "That is the largest activation, not the mean."),
        (total / count.mean(), "You divide every text by the same number. Count the tokens of each row."),
        (inner.sum(axis=1) / (count - 2), "You leave out [CLS] and [SEP]. They are tokens, too; only padding is not."),
        (total / (5 - count + 1e-12), "The mask is on the wrong side: you count the padding."),
        (
            right / np.linalg.norm(right, axis=1, keepdims=True),
            "That is already scaled to length 1. The plain mean is asked for.",
        ),
    ]
    otherwise = "Not yet. Sum the activations over the tokens, then divide by the number of token_ids that are not 0."
    if not np.isfinite(value).all():
        otherwise = "That is not finite: you divide by 0. Divide by the number of tokens, not of padded places."
    shape = "Of 3 texts with 4 numbers per token you return shape {shape}; one vector per text is (3, 4)."
    return answers.judge(value, right, mistakes, otherwise, shape=shape)


def cosine(answer: Any) -> str | None:
    """A function (first, second) -> the cosine of the angle between two vectors."""
    first, second = np.array([1.0, 2.0, 2.0]), np.array([0.0, -3.0, 4.0])
    value = answers.called(answer, "cosine(first, second)", first.copy(), second.copy())
    product, lengths = first @ second, np.linalg.norm(first) * np.linalg.norm(second)
    right = product / lengths
    mistakes = [
        (product, "That is the product of vectors of any length. Divide by both lengths."),
        (np.linalg.norm(first - second), "That is the distance. Likeness grows as the distance falls."),
        (1 - right, "That is the cosine distance, 1 minus the cosine."),
        (-right, "The sign is wrong: vectors that point the same way have the cosine 1."),
        (np.arccos(right), "That is the angle. Its cosine is asked for."),
        (np.degrees(np.arccos(right)), "That is the angle in degrees. Its cosine is asked for."),
        (product / lengths**2, "You divide by the squared lengths. Take the square root of each sum of squares."),
        (product / np.linalg.norm(first), "You divide by the first length only. Divide by both."),
        (product / np.linalg.norm(second), "You divide by the second length only. Divide by both."),
        (np.corrcoef(first, second)[0, 1], "That is the correlation: you have taken off the means. Leave them."),
    ]
    otherwise = "Not {value:.3f}. The sum of products, divided by the lengths of both vectors."
    return answers.judge(value, right, mistakes, otherwise)


def domain_loss(answer: Any) -> str | None:
    """A function (matrix) -> for each tested domain, the accuracy at home minus the mean of the others' models."""
    matrix = np.array([[0.90, 0.60, 0.55], [0.70, 0.80, 0.75], [0.66, 0.50, 0.95]])
    value = answers.as_array(answers.called(answer, "domain_loss(matrix)", matrix.copy()))
    home = np.diag(matrix)
    away = (matrix.sum(axis=0) - home) / 2
    right = home - away
    if value.shape == () and np.isclose(value, right.mean()):
        return "That is the mean over the domains. Give one number for each tested domain."
    masked = np.where(np.eye(3, dtype=bool), -np.inf, matrix)
    mistakes = [
        (-right, "The sign is wrong: a loss is above 0 where the model from home is better."),
        (home - (matrix.sum(axis=1) - home) / 2, "You go along the rows. A column holds all models on one domain."),
        (home - matrix.mean(axis=0), "Your mean includes the model from home. Leave the diagonal out."),
        (home - (matrix.sum(axis=0) - home) / 3, "You divide by all domains. Two models come from elsewhere."),
        (home - masked.max(axis=0), "You compare with the best of the others. Their mean is asked for."),
        (away, "That is what the others reach. Subtract it from the diagonal."),
        (home, "That is the diagonal alone. Subtract what models from elsewhere reach."),
        (right / home, "That is the loss relative to home. The difference of accuracies is asked for."),
        (100 * right, "That is in points; give shares, like the accuracies."),
    ]
    otherwise = "Not yet. For each column: the entry on the diagonal, minus the mean of the other entries."
    shape = "Of three domains you return shape {shape}; one number for each tested domain is asked for."
    return answers.judge(value, right, mistakes, otherwise, shape=shape)
