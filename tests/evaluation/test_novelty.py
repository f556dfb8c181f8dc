"""What is unlike all classes is far from their means, whatever the head says."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics.pairwise import cosine_similarity

from tlutils.evaluation import novelty
from tlutils.settings import UserError


def three_directions(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Features of three classes, each along an axis of its own."""
    labels = np.arange(90) % 3
    return 4 * np.eye(3)[labels] + np.random.default_rng(seed).normal(size=(90, 3)) * 0.4, labels


def test_the_nearness_is_the_largest_cosine_to_a_class_mean():
    features, labels = three_directions()
    means = novelty.class_means(features, labels)
    for label in range(3):
        np.testing.assert_allclose(means[label], features[labels == label].mean(axis=0))
    expected = cosine_similarity(features, means).max(axis=1)
    np.testing.assert_allclose(novelty.nearness(features, means), expected)
    np.testing.assert_allclose(novelty.nearness(7 * features, means), expected)


def test_a_class_that_was_left_out_is_far_from_the_others_and_takes_no_part_in_what_is_learnt():
    features, labels = three_directions()
    train, validation = np.arange(60), np.arange(60, 90)
    by, seen = novelty.without_class(2, features, labels, train, validation)
    assert set(labels[by]) == {0, 1} and len(by) == 20
    assert seen["nearness"][labels == 2].max() < seen["nearness"][labels != 2].min()
    assert seen["confidence"][labels == 2].mean() < seen["confidence"][labels != 2].mean()
    moved = features.copy()
    moved[labels == 2] += 5
    _, again = novelty.without_class(2, moved, labels, train, validation)
    for signal in ("confidence", "nearness"):
        np.testing.assert_array_equal(again[signal][labels != 2], seen[signal][labels != 2])


def test_of_two_classes_none_can_be_left_out():
    features, labels = three_directions()
    two = labels < 2
    with pytest.raises(UserError, match="fewer than two are left"):
        novelty.without_class(0, features[two], labels[two], np.arange(40), np.arange(40, 60))
