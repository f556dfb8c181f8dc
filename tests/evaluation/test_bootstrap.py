"""Resamples are bootstrap resamples, and the scores of each are scikit-learn's."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics as sklearn_metrics

from tlutils.evaluation import bootstrap
from tlutils.settings import UserError


def made_up(seed: int, n: int, shares: list[float]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Labels and probabilities of a model that knows a little; in steps of 1/20, so that many are equal."""
    generator = np.random.default_rng(seed)
    labels = np.sort(generator.choice(len(shares), p=shares, size=n))
    leaning = (np.eye(len(shares))[labels] + 0.7) / (1 + 0.7 * len(shares))
    return labels, generator.multinomial(20, leaning) / 20


def ece(labels: NDArray[np.int64], probabilities: NDArray[np.float64]) -> float:
    """Guo et al. 2017, equations 1 to 3, picture by picture."""
    members: dict[int, list[tuple[bool, float]]] = {}
    for label, row in zip(labels, probabilities, strict=True):
        guess = max(range(len(row)), key=lambda c: row[c])
        number = next(m for m in range(1, 11) if row[guess] <= np.linspace(0, 1, 11)[m])
        members.setdefault(number, []).append((guess == label, row[guess]))
    gaps = [
        len(inside) / len(labels) * abs(sum(r for r, _ in inside) - sum(c for _, c in inside)) / len(inside)
        for inside in members.values()
    ]
    return float(sum(gaps))


def scikit_learn(labels: NDArray[np.int64], probabilities: NDArray[np.float64]) -> dict[str, float | list[float]]:
    classes = range(probabilities.shape[1])
    predicted = probabilities.argmax(axis=1)
    precision, recall, f1, _ = sklearn_metrics.precision_recall_fscore_support(
        labels, predicted, labels=classes, zero_division=np.nan
    )
    binary = probabilities.shape[1] == 2
    scores = probabilities[:, 1] if binary else probabilities
    return {
        "accuracy": sklearn_metrics.accuracy_score(labels, predicted),
        "balanced_accuracy": sklearn_metrics.balanced_accuracy_score(labels, predicted),
        "macro_f1": sklearn_metrics.f1_score(labels, predicted, average="macro"),
        "weighted_f1": sklearn_metrics.f1_score(labels, predicted, average="weighted"),
        "roc_auc": sklearn_metrics.roc_auc_score(labels, scores, multi_class="ovr"),
        "average_precision": sklearn_metrics.average_precision_score(labels, scores),
        "brier": sklearn_metrics.brier_score_loss(labels, probabilities, labels=classes),
        "ece": ece(labels, probabilities),
        "precision": precision,
        "recall": recall,
        "f1": f1,
    }


@pytest.mark.parametrize(
    "shares", [[0.5, 0.5], [0.9, 0.1], [0.2, 0.3, 0.5], [0.3, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1]], ids=len
)
def test_every_score_of_every_resample_is_scikit_learns(shares: list[float]):
    labels, probabilities = made_up(60, 60, shares)
    assert len(np.unique(labels)) == len(shares)
    weights = next(bootstrap.bootstrap(labels, None, 100, seed=1))[:6]
    weights[0] = 1
    found = bootstrap.weighted_scores(labels, probabilities, weights)
    for number, row in enumerate(weights):
        drawn = np.repeat(np.arange(60), row.astype(int))
        for score, expected in scikit_learn(labels[drawn], probabilities[drawn]).items():
            np.testing.assert_allclose(found[score][number], expected, rtol=0, atol=1e-12, err_msg=score)


def test_scores_without_equal_probabilities_are_scikit_learns_too():
    generator = np.random.default_rng(0)
    labels, probabilities = np.arange(90) % 3, generator.dirichlet([1, 1, 1], size=90)
    found = bootstrap.weighted_scores(labels, probabilities, np.ones((1, 90)))
    for score, expected in scikit_learn(labels, probabilities).items():
        np.testing.assert_allclose(found[score][0], expected, rtol=0, atol=1e-12, err_msg=score)


def test_averages_leave_out_a_class_without_pictures():
    labels, probabilities = made_up(0, 80, [0.4, 0.0, 0.3, 0.3])
    predicted = probabilities.argmax(axis=1)
    assert (predicted == 1).any()
    found = bootstrap.weighted_scores(labels, probabilities, np.ones((1, 80)))
    present = [0, 2, 3]
    recalls = [np.mean(predicted[labels == c] == c) for c in present]
    areas = [sklearn_metrics.roc_auc_score(labels == c, probabilities[:, c]) for c in present]
    assert found["balanced_accuracy"][0] == pytest.approx(np.mean(recalls))
    assert found["macro_f1"][0] == pytest.approx(
        sklearn_metrics.f1_score(labels, predicted, labels=present, average="macro")
    )
    assert found["roc_auc"][0] == pytest.approx(np.mean(areas))
    assert all(np.isnan(found[score][0, 1]) for score in ("precision", "recall", "f1"))


def test_a_ranking_of_one_class_is_not_defined():
    for label in (0, 1):
        found = bootstrap.weighted_scores(np.full(3, label), np.full((3, 2), 0.5), np.ones((1, 3)))
        assert np.isnan(found["roc_auc"]).all() and np.isnan(found["average_precision"]).all()


@pytest.mark.parametrize("n", [40, 3_000])
def test_resamples_are_whole_counts_that_keep_every_class(n: int):
    labels = np.arange(n) % 7 % 4
    weights = np.concatenate(list(bootstrap.bootstrap(labels, None, 150, seed=0)))
    assert weights.shape == (150, n)
    assert (weights == weights.astype(int)).all() and weights.min() == 0 and weights.max() > 2
    np.testing.assert_array_equal(weights @ np.eye(4)[labels], np.tile(np.bincount(labels), (150, 1)))


def test_every_picture_is_drawn_once_on_average_with_the_variance_of_drawing_with_replacement():
    labels = np.repeat([0, 1], [5, 15])
    weights = np.concatenate(list(bootstrap.bootstrap(labels, None, 20_000, seed=0)))
    np.testing.assert_allclose(weights.mean(axis=0), 1, atol=0.04)
    # A binomial count of k draws with probability 1/k each has variance 1 - 1/k.
    np.testing.assert_allclose(weights.var(axis=0), np.repeat([1 - 1 / 5, 1 - 1 / 15], [5, 15]), atol=0.06)


def test_the_seed_decides_the_resamples():
    def first(seed: int) -> NDArray[np.float64]:
        return next(bootstrap.bootstrap(np.arange(30) % 2, None, 100, seed))

    np.testing.assert_array_equal(first(3), first(3))
    assert (first(3) != first(4)).any()


def test_the_draws_do_not_depend_on_how_many_are_held_at_once(monkeypatch: pytest.MonkeyPatch):
    labels = np.arange(31) % 3
    at_once = np.concatenate(list(bootstrap.bootstrap(labels, None, 100, seed=0)))
    monkeypatch.setattr(bootstrap, "_HELD_AT_ONCE", 31 * 7)
    chunks = list(bootstrap.bootstrap(labels, None, 100, seed=0))
    assert [len(chunk) for chunk in chunks] == [7] * 14 + [2]
    np.testing.assert_array_equal(np.concatenate(chunks), at_once)


def test_pictures_of_a_group_are_drawn_together():
    labels = np.arange(40) % 2
    groups = [f"patient {number}" for number in labels + 2 * (np.arange(40) // 8)]
    weights = next(bootstrap.bootstrap(labels, groups, 100, seed=0))
    for group in set(groups):
        together = weights[:, [name == group for name in groups]]
        assert (together == together[:, :1]).all()
    # Ten groups of four pictures, five of each class: as many are drawn.
    np.testing.assert_array_equal(weights @ np.eye(2)[labels], np.full((100, 2), 20))


def test_groups_of_mixed_classes_are_drawn_from_those_with_the_same_rarest_class():
    # Patients 0 to 2 have a tumour on one picture of three, patients 3 to 9 on none.
    labels = np.zeros(30, int)
    labels[[0, 3, 6]] = 1
    weights = next(bootstrap.bootstrap(labels, np.arange(30) // 3, 100, seed=0))
    assert (weights[:, labels == 1].sum(axis=1) == 3).all()
    assert (weights[:, :9].sum(axis=1) == 9).all()
    assert len(np.unique(weights[:, 0])) > 2


def test_groups_of_one_picture_are_pictures():
    labels = np.arange(20) % 3
    with_groups, without = (
        next(bootstrap.bootstrap(labels, groups, 100, seed=0)) for groups in ([*"abcdefghijklmnopqrst"], None)
    )
    np.testing.assert_array_equal(with_groups, without)


@given(st.lists(st.sampled_from(["a", "b", 3, (1, 2)]), min_size=1, max_size=20))
def test_groups_of_any_kind_are_numbered_without_gaps(names: list):
    array = np.empty(len(names), dtype=object)
    array[:] = names
    numbers = bootstrap.unit_numbers(array, len(names))
    assert set(numbers) == set(range(len(set(names))))
    assert all((numbers[i] == numbers[j]) == (names[i] == names[j]) for i in range(len(names)) for j in range(i))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"resamples": 99}, "resamples=99"),
        ({"resamples": 1e3}, "resamples=1000.0"),
        ({"resamples": True}, "resamples=True"),
        ({"seed": -1}, "seed=-1"),
        ({"seed": 0.5}, "seed=0.5"),
        ({"groups": [1, 2]}, r"groups has shape \(2,\) for 4 pictures"),
        ({"groups": [[1], [1], [1], [1]]}, r"groups has shape \(4, 1\)"),
        ({"groups": [1.0, 1.0, np.nan, 2.0]}, "Picture 2 has no group"),
        ({"groups": ["a", None, "b", "b"]}, "Picture 1 has no group"),
    ],
)
def test_what_cannot_be_resampled_is_explained(arguments: dict, message: str):
    with pytest.raises(UserError, match=message):
        next(bootstrap.bootstrap(np.array([0, 0, 1, 1]), **{"groups": None, "resamples": 100, "seed": 0, **arguments}))


@settings(deadline=None)
@given(st.data())
def test_scores_stay_in_their_range_and_warn_of_nothing(data: st.DataObject):
    n, n_classes = data.draw(st.integers(1, 12)), data.draw(st.integers(2, 4))
    labels = np.array(data.draw(st.lists(st.integers(0, n_classes - 1), min_size=n, max_size=n)))
    groups = data.draw(st.none() | st.lists(st.integers(0, 3), min_size=n, max_size=n))
    probabilities = (
        np.random.default_rng(data.draw(st.integers(0, 99))).multinomial(4, np.ones(n_classes) / n_classes, n) / 4
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = bootstrap.weighted_scores(labels, probabilities, next(bootstrap.bootstrap(labels, groups, 100, 0)))
    for score, values in found.items():
        assert (np.isnan(values) | ((values >= 0) & (values <= (2 if score == "brier" else 1) + 1e-12))).all()
        if score not in ("roc_auc", "average_precision", "precision", "recall", "f1"):
            assert np.isfinite(values).all()
