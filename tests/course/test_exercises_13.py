"""The exercises of notebook 10 know the right answers and have a hint of its own for each usual wrong one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tlutils.course import exercises

check_late = exercises.CHECKS["13_late_fusion"]
check_mask = exercises.CHECKS["13_modality_mask"]
check_importance = exercises.CHECKS["13_importance"]


def scaled(values: Any) -> Any:
    return values / values.sum(axis=1, keepdims=True)


def there(parts: Any) -> Any:
    return [part for part in parts if part is not None]


def product(parts: Any) -> Any:
    """Multiply class by class, the slow way, and take the root."""
    found = there(parts)
    rows = np.ones_like(found[0])
    for part in found:
        rows = rows * part
    return rows ** (1 / len(found))


def test_late_fusion_is_right_as_a_product_and_as_a_mean_of_logarithms() -> None:
    assert check_late(lambda parts: scaled(product(parts))) is None
    assert check_late(lambda parts: scaled(np.exp(np.mean([np.log(p) for p in there(parts)], axis=0)))) is None


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (..., "Define a function"),
        (lambda parts: ..., "Not solved yet"),
        (lambda parts: np.mean(there(parts), axis=0), "mean of the probabilities"),
        (lambda parts: np.mean(np.log(there(parts)), axis=0), "These are logarithms"),
        (product, "do not sum to 1"),
        (lambda parts: scaled(product(parts))[0], "one row per card"),
        (lambda parts: scaled(np.exp(sum(np.log(p) for p in parts) / 3)), "leave it out"),
        (lambda parts: scaled(np.exp(sum(np.log(p) for p in there(parts)) / 3)), "still divide by 3"),
    ],
)
def test_late_fusion_has_a_hint_for(answer: Any, hint: str) -> None:
    assert hint in str(check_late(answer))


def mask(n: int, rate: float, rng: np.random.Generator, training: bool) -> Any:
    if not training:
        return np.ones((n, 3))
    kept = rng.random((n, 3)) >= rate
    for row in kept:
        if not row.any():
            row[rng.integers(3)] = True
    return kept


def first_back(n: int, rate: float, rng: np.random.Generator, training: bool) -> Any:
    kept = rng.random((n, 3)) >= rate
    kept[~kept.any(axis=1), 0] = True
    return kept


def test_a_mask_per_card_and_modality_is_right() -> None:
    assert check_mask(mask) is None


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (..., "Define a function"),
        (lambda n, rate, rng, training: None, "Not solved yet"),
        (lambda n, rate, rng, training: rng.random((n, 2944)) >= rate, "whole modalities"),
        (lambda n, rate, rng, training: rng.random(3) >= rate, "draw of its own"),
        (lambda n, rate, rng, training: rng.random((n, 3)) >= rate, "lose all three"),
        (lambda n, rate, rng, training: np.ones((n, 3)), "Nothing is dropped"),
        (lambda n, rate, rng, training: mask(n, rate, rng, training) / (1 - rate), "other values than 0 and 1"),
        (lambda n, rate, rng, training: mask(n, 1 - rate, rng, training), "keep where you should drop"),
        (first_back, "unequally often"),
        (lambda n, rate, rng, training: mask(n, rate, rng, True), "Outside training"),
    ],
)
def test_the_mask_has_a_hint_for(answer: Any, hint: str) -> None:
    assert hint in str(check_mask(answer))


def lost(predict: Any, features: Any, labels: Any, block: Any, rng: Any, sign: int = 1) -> Any:
    moved = features.copy()
    moved[:, block] = features[rng.permutation(len(features))][:, block]
    return sign * ((predict(features) == labels).mean() - (predict(moved) == labels).mean())


def apart(predict: Any, features: Any, labels: Any, block: Any, rng: Any) -> Any:
    moved = features.copy()
    moved[:, block] = rng.permuted(features[:, block], axis=0)
    return (predict(features) == labels).mean() - (predict(moved) == labels).mean()


def in_place(predict: Any, features: Any, labels: Any, block: Any, rng: Any) -> Any:
    before = (predict(features) == labels).mean()
    features[:, block] = features[rng.permutation(len(features))][:, block]
    return before - (predict(features) == labels).mean()


def everything(predict: Any, features: Any, labels: Any, block: Any, rng: Any) -> Any:
    moved = features[rng.permutation(len(features))]
    return (predict(features) == labels).mean() - (predict(moved) == labels).mean()


def of_labels(predict: Any, features: Any, labels: Any, block: Any, rng: Any) -> Any:
    return (predict(features) == labels).mean() - (predict(features) == rng.permutation(labels)).mean()


def test_accuracy_lost_by_permuting_the_rows_of_a_block_is_right() -> None:
    assert check_importance(lost) is None


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (..., "Define a function"),
        (lambda *arguments: None, "Not solved yet"),
        (lambda *arguments: lost(*arguments, sign=-1), "sign is wrong"),
        (lambda *arguments: 1 - lost(*arguments), "accuracy after permuting"),
        (apart, "permuted apart"),
        (in_place, "Work on a copy"),
        (everything, "outside the block"),
        (of_labels, "not the labels"),
    ],
)
def test_the_importance_has_a_hint_for(answer: Any, hint: str) -> None:
    assert hint in str(check_importance(answer))
