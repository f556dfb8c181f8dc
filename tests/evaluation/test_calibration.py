"""Calibration against the definitions of Guo et al. 2017, written out here."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tlutils.evaluation import calibration, metrics
from tlutils.settings import UserError


def made_up(seed: int, n: int, overconfidence: float = 1.0) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Labels drawn from the softmax of logits of three classes, and these logits times `overconfidence`."""
    generator = np.random.default_rng(seed)
    logits = 1.5 * generator.normal(size=(n, 3))
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (chances.cumsum(axis=1) > generator.random((n, 1))).argmax(axis=1)
    return labels, overconfidence * logits


def log_loss(labels: NDArray[np.int64], logits: NDArray[np.float64], temperature: float) -> float:
    losses = []
    for label, row in zip(labels, logits / temperature, strict=True):
        top = max(row)
        losses.append(top + math.log(sum(math.exp(z - top) for z in row)) - row[label])
    return sum(losses) / len(losses)


def test_a_bin_holds_count_mean_confidence_and_share_of_right_answers():
    probabilities = [[0.88, 0.12], [0.05, 0.95], [0.36, 0.64], [0.82, 0.18], [0.4, 0.6]]
    result = calibration.reliability([0, 0, 1, 1, 0], probabilities)
    np.testing.assert_allclose(result.edges, np.arange(11) / 10)
    # A bin includes its upper edge: 0.6 belongs to the sixth.
    assert result.counts.tolist() == [0, 0, 0, 0, 0, 1, 1, 0, 2, 1]
    np.testing.assert_allclose(result.confidence[5:], [0.6, 0.64, np.nan, 0.85, 0.95])
    np.testing.assert_allclose(result.accuracy[5:], [0, 1, np.nan, 0.5, 0])
    assert result.ece == pytest.approx((0.6 + 0.36 + 2 * 0.35 + 0.95) / 5)


@pytest.mark.parametrize("n", [1, 7, 300])
def test_the_ece_is_that_of_the_evaluation(n: int):
    labels, logits = made_up(n, n)
    probabilities = calibration.softmax(logits)
    result = calibration.reliability(labels, probabilities)
    assert result.ece == pytest.approx(metrics.evaluate(labels, probabilities, resamples=100).ece.value, abs=1e-12)
    assert result.counts.sum() == n


def test_certainty_falls_into_the_last_bin():
    result = calibration.reliability([0, 1], [[1.0, 0.0], [0.0, 1.0]])
    assert result.counts.tolist() == [0] * 9 + [2] and result.ece == 0


def test_logits_are_no_probabilities():
    with pytest.raises(UserError, match="softmax"):
        calibration.reliability(*made_up(0, 20))


@given(
    st.lists(st.lists(st.floats(-50, 50), min_size=3, max_size=3), min_size=1, max_size=5),
    st.floats(0.1, 10),
)
def test_softmax_is_its_definition_and_keeps_the_order(logits: list[list[float]], temperature: float):
    result = calibration.softmax(logits, temperature)
    for row, found in zip(logits, result, strict=True):
        powers = [math.exp((z - max(row)) / temperature) for z in row]
        assert found.tolist() == pytest.approx([power / sum(powers) for power in powers])
        assert all(found[i] <= found[j] for i in range(3) for j in range(3) if row[i] <= row[j])


def test_softmax_of_huge_logits_in_single_precision_is_finite_and_double():
    result = calibration.softmax(np.array([[1e30, 0.0], [-1e30, 0.0]], dtype=np.float32))
    assert result.tolist() == [[1, 0], [0, 1]] and result.dtype == np.float64


@pytest.mark.parametrize("temperature", [0, -1.0, math.nan, math.inf])
def test_an_impossible_temperature_is_named(temperature: float):
    with pytest.raises(UserError, match=f"temperature={temperature} must be"):
        calibration.softmax([[0.0, 1.0]], temperature)


@pytest.mark.parametrize("overconfidence", [0.4, 1.0, 3.0])
def test_the_temperature_undoes_what_made_the_model_too_sure_or_too_unsure(overconfidence: float):
    labels, logits = made_up(0, 20_000, overconfidence)
    assert calibration.fit_temperature(labels, logits) == pytest.approx(overconfidence, rel=0.04)


@pytest.mark.parametrize("seed", range(5))
def test_no_other_temperature_has_a_lower_log_loss(seed: int):
    labels, logits = made_up(seed, 60, overconfidence=2.0)
    best = calibration.fit_temperature(labels, logits)
    least = log_loss(labels, logits, best)
    assert all(least <= log_loss(labels, logits, other) for other in np.geomspace(*calibration.TEMPERATURES, 200))
    # At the minimum, the expected logit is the mean logit of the true classes: the derivative by 1/T is 0.
    expected = (calibration.softmax(logits, best) * logits).sum(axis=1).mean()
    assert expected == pytest.approx(logits[np.arange(60), labels].mean(), abs=1e-6)


@pytest.mark.parametrize("right", [860, 900, 999])
def test_the_temperature_makes_equal_confidences_the_share_of_right_answers(right: int):
    labels = np.repeat([0, 1], [right, 1000 - right])
    # softmax([7 / T, 0]) is right / 1000 at 7 / T = log(right / (1000 - right)).
    expected = 7 / math.log(right / (1000 - right))
    assert calibration.fit_temperature(labels, np.tile([7.0, 0.0], (1000, 1))) == pytest.approx(expected, rel=1e-5)


def test_only_differences_between_logits_matter():
    labels, logits = made_up(1, 80)
    shift = np.random.default_rng(0).normal(size=(80, 1)) * 100
    assert calibration.fit_temperature(labels, logits + shift) == pytest.approx(
        calibration.fit_temperature(labels, logits)
    )


def test_scaling_lowers_the_ece_on_other_pictures_and_moves_no_prediction():
    labels, logits = made_up(2, 2_000, overconfidence=3.0)
    temperature = calibration.fit_temperature(labels[:500], logits[:500])
    before, after = calibration.softmax(logits[500:]), calibration.softmax(logits[500:], temperature)
    assert calibration.reliability(labels[500:], after).ece < calibration.reliability(labels[500:], before).ece / 3
    assert (before.argmax(axis=1) == after.argmax(axis=1)).all()


@pytest.mark.parametrize(
    ("labels", "logits", "bound"),
    [
        ([0, 1], [[2.0, 0.0], [0.0, 0.5]], 0),  # both right
        ([0, 1], [[2.0, 2.0], [0.0, 0.5]], 0),  # none wrong
        ([0] * 9 + [1], [[2.0, 0.0]] * 9 + [[0.01, 0.0]], 0),  # one wrong by a hair's breadth
        ([0, 1], [[-2.0, 0.0], [0.0, -0.5]], 1),  # both wrong
        ([0, 1], [[1.0, 0.0], [1.0, 0.0]], 1),  # no more than chance
        (*made_up(0, 2_000, overconfidence=500.0), 1),
        (*made_up(0, 2_000, overconfidence=0.02), 0),
    ],
)
def test_where_ever_more_or_less_certainty_would_be_best_the_temperature_is_a_bound(labels, logits, bound: int):
    assert calibration.fit_temperature(labels, logits) == pytest.approx(calibration.TEMPERATURES[bound], rel=1e-12)


@pytest.mark.parametrize(
    ("labels", "logits", "message"),
    [
        ([0, 2], [[1.0, 0.0], [1.0, 0.0]], "labels holds class 2, but logits has columns"),
        ([0, 1], [[1.0, np.nan], [1.0, 0.0]], "logits of picture 0 hold NaN"),
        ([0, 1], [1.0, 0.0], r"logits has shape \(2,\)"),
        ([0], [[1.0, 0.0], [1.0, 0.0]], "1 labels and 2"),
        ([], np.zeros((0, 2)), "nothing to measure"),
    ],
)
def test_logits_that_are_no_table_for_these_labels_are_refused(labels: list, logits: list, message: str):
    with pytest.raises(UserError, match=message):
        calibration.fit_temperature(labels, logits)
