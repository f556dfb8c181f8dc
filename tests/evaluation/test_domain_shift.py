"""The distance of two domains is what a linear classifier makes of their features."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from tlutils.evaluation import domain_shift
from tlutils.settings import UserError

Rows = NDArray[np.float64]


def features(seed: int, n: int, d: int, shift: float = 0.0) -> Rows:
    """Normal features, the first of which is shifted."""
    result = np.random.default_rng(seed).normal(size=(n, d))
    result[:, 0] += shift
    return result


@pytest.mark.parametrize("shift", [0.5, 1.0, 2.0])
def test_the_distance_of_shifted_normal_features_is_that_of_the_best_linear_classifier(shift: float):
    # The best threshold lies half-way: its error is the normal tail beyond half the shift.
    error = math.erfc(shift / 2 / math.sqrt(2)) / 2
    found = domain_shift.proxy_a_distance(features(0, 2000, 3), features(1, 2000, 3, shift))
    assert found == pytest.approx(2 * (1 - 2 * error), abs=0.08)


def test_domains_that_do_not_overlap_are_2_apart():
    assert domain_shift.proxy_a_distance(features(0, 30, 4), features(1, 50, 4, shift=30)) == 2


def test_few_pictures_with_many_features_fake_no_distance():
    # 60 points in 100 dimensions are always linearly separable: without held-out pictures each distance would be 2.
    distances = [
        domain_shift.proxy_a_distance(features(seed, 30, 100), features(seed + 100, 30, 100), seed=seed)
        for seed in range(6)
    ]
    assert np.mean(distances) < 0.3 and min(distances) >= 0


def test_a_larger_domain_fakes_no_distance():
    # Always answering "source" would be right for 95 % and give 1.8.
    assert domain_shift.proxy_a_distance(features(0, 950, 2), features(1, 50, 2)) < 0.3


def test_a_smaller_domain_counts_as_much_as_a_larger_one():
    def distance(n_source: int, n_target: int) -> float:
        # The target is a narrow cluster within the source's right flank, so that nearly all errors are in the source.
        return domain_shift.proxy_a_distance(features(0, n_source, 1), features(1, n_target, 1) / 20 + 1)

    balanced = distance(1000, 1000)
    assert 1 < balanced < 1.6
    assert distance(1900, 100) == pytest.approx(balanced, abs=0.15)


def test_the_scale_of_a_feature_does_not_matter():
    source, target, units = features(0, 60, 3), features(1, 60, 3, shift=1), np.array([1e-6, 1, 1e6])
    plain = domain_shift.proxy_a_distance(source, target)
    assert 0 < plain < 2
    assert domain_shift.proxy_a_distance(source * units + 5, target * units + 5) == pytest.approx(plain, abs=0.05)


def test_the_seed_of_the_folds_decides_the_distance():
    source, target = features(0, 60, 5), features(1, 60, 5, shift=1)
    distances = [domain_shift.proxy_a_distance(source, target, seed=seed) for seed in (0, 0, 1, 2, 3)]
    assert distances[0] == distances[1] and len(set(distances)) > 1


def test_single_precision_and_constant_features_will_do():
    source, target = (
        np.hstack([array, np.zeros_like(array)]) for array in (features(0, 40, 2), features(1, 40, 2, 30))
    )
    assert domain_shift.proxy_a_distance(source.astype(np.float32), target.astype(np.float32)) == 2


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        (
            np.zeros((20, 4, 4, 3)),
            np.zeros((20, 3)),
            r"source_features has shape .*source_features.mean\(axis=\(1, 2\)\)",
        ),
        (np.zeros((20, 3)), np.zeros(20), r"target_features has shape \(20,\)"),
        (np.zeros((20, 3)), np.zeros((20, 2)), "3 source features and 2 target features"),
        (np.zeros((19, 3)), np.zeros((20, 3)), "source_features has 19 row"),
        (np.zeros((20, 3)), np.full((20, 3), np.nan), "target_features holds NaN"),
    ],
)
def test_features_without_a_distance_are_explained(source: Rows, target: Rows, message: str):
    with pytest.raises(UserError, match=message):
        domain_shift.proxy_a_distance(source, target)
