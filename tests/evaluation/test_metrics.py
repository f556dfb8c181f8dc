"""Metrics against formulas written out here and values from printed tables."""

from __future__ import annotations

import dataclasses
import json
import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import f1_score, recall_score, roc_curve

from tlutils.evaluation import bootstrap, metrics
from tlutils.settings import UserError

# The 97.5 % quantile of the normal distribution, and of Student's t for n - 1 degrees of freedom, from printed tables.
NORMAL = 1.959964
STUDENT = {2: 12.7062, 3: 4.30265, 5: 2.77645, 11: 2.22814}


def wilson(right: int, n: int) -> tuple[float, float]:
    """Wilson 1927: the shares p with |p - right/n| = z * sqrt(p (1 - p) / n), solved for p."""
    share, z2 = right / n, NORMAL**2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    reach = math.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n**2))) / (1 + z2 / n)
    return centre - reach, centre + reach


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=200))
def test_accuracy_is_the_share_of_right_answers_with_wilsons_interval(pairs: list[tuple[int, int]]):
    labels, predicted = zip(*pairs, strict=True)
    right = sum(label == guess for label, guess in pairs)
    result = metrics.accuracy(labels, predicted)
    assert result.value == pytest.approx(right / len(pairs))
    assert (result.low, result.high) == pytest.approx(wilson(right, len(pairs)), abs=1e-6)
    assert 0 <= result.low <= result.value <= result.high <= 1


def test_a_perfect_score_is_not_taken_for_certainty():
    result = metrics.accuracy(np.zeros(20), np.zeros(20))
    assert result.high == pytest.approx(1)
    assert result.low == pytest.approx(20 / (20 + NORMAL**2), abs=1e-6)  # Wilson's formula for right = n


@pytest.mark.parametrize("n", STUDENT)
def test_the_interval_over_seeds_is_students(n: int):
    values = [0.7 + 0.01 * number * (-1) ** number for number in range(n)]
    mean = sum(values) / n
    deviation = math.sqrt(sum((value - mean) ** 2 for value in values) / (n - 1))
    result = metrics.over_seeds(values)
    assert result.value == pytest.approx(mean)
    assert result.high - result.value == pytest.approx(STUDENT[n] * deviation / math.sqrt(n), rel=1e-5)
    assert result.value - result.low == pytest.approx(result.high - result.value)


def test_equal_values_give_an_interval_of_no_width():
    result = metrics.over_seeds([0.5, 0.5, 0.5])
    assert (result.low, result.value, result.high) == (0.5, 0.5, 0.5)


@pytest.mark.parametrize("values", [[], [0.9], [[0.9, 0.8]]])
def test_fewer_than_two_seeds_are_refused(values: list):
    with pytest.raises(UserError, match="at least two seeds"):
        metrics.over_seeds(values)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_the_seed_that_failed_is_named(bad: float):
    with pytest.raises(UserError, match=f"seed number 1 is {bad}"):
        metrics.over_seeds([0.5, bad, 0.6])


def test_rows_of_the_confusion_are_true_classes_and_absent_classes_count():
    result = metrics.confusion([0, 0, 0, 1, 3], [0, 1, 1, 1, 0], n_classes=4)
    assert result.tolist() == [[1, 2, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0]]
    assert result.dtype == np.int64


@pytest.mark.parametrize(("labels", "predicted"), [([0, 5], [0, 1]), ([0, 1], [0, 5])])
def test_a_class_beyond_the_last_is_named_not_left_out(labels: list, predicted: list):
    with pytest.raises(UserError, match="hold class 5, .*the classes are 0 to 4"):
        metrics.confusion(labels, predicted, 5)


@pytest.mark.parametrize(
    ("labels", "predicted", "message"),
    [
        ([], [], "nothing to measure"),
        ([0, 1, 2], [0, 1], "3 labels and 2 predictions"),
        ([0, 1], [0.0, float("nan")], "predicted holds nan, which is no class number"),
        ([0, -1], [0, 1], "labels holds -1, which is no class number"),
        ([0, 1], [0.2, 0.9], "predicted holds 0.2, which is no class number"),
        (["rose", "tulip"], [0, 1], "labels holds .*rose.*; give class numbers"),
        ([0, 1], [[0.2, 0.8], [0.9, 0.1]], r"predicted has shape \(2, 2\); .*predicted.argmax\(axis=1\)"),
    ],
)
def test_what_cannot_be_compared_is_explained(labels: list, predicted: list, message: str):
    for measure in (metrics.accuracy, lambda *pair: metrics.confusion(*pair, n_classes=3)):
        with pytest.raises(UserError, match=message):
            measure(labels, predicted)


def test_an_interval_prints_its_value_and_its_ends():
    interval = metrics.Interval(0.8431, 0.8, 0.8849)
    assert str(interval) == f"{interval}" == "0.84 [0.80, 0.88]"
    assert f"{interval:.1%}" == "84.3% [80.0%, 88.5%]"


def test_what_is_not_defined_is_printed_as_such_and_becomes_null():
    nothing, no_ends = metrics.Interval(math.nan, math.nan, math.nan), metrics.Interval(1.0, math.nan, math.nan)
    assert f"{nothing:.1%}" == "not defined" and f"{no_ends:.0%}" == "100% [no interval]"
    assert nothing.as_dict() == {"value": None, "low": None, "high": None}
    assert no_ends.as_dict() == {"value": 1.0, "low": None, "high": None}


def made_up(seed: int, counts: list[int], skill: float = 1.5) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Labels with these counts, and probabilities of a model of this skill."""
    generator = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), counts)
    scores = np.exp(generator.normal(size=(len(labels), len(counts))) + skill * np.eye(len(counts))[labels])
    return labels, scores / scores.sum(axis=1, keepdims=True)


def intervals(result: metrics.Evaluation) -> dict[str, metrics.Interval]:
    fields = {name: getattr(result, name) for name in metrics.SCORES}
    by_class = {
        f"{score} of {name}": interval
        for score in ("precision", "recall", "f1")
        for name, interval in zip(result.class_names, getattr(result, score), strict=True)
    }
    return fields | by_class


def test_the_values_are_those_of_the_pictures_and_the_interval_is_around_them():
    labels, probabilities = made_up(0, [50, 30, 20])
    result = metrics.evaluate(labels, probabilities, ["a", "b", "c"])
    predicted = probabilities.argmax(axis=1)
    assert result.accuracy.value == metrics.accuracy(labels, predicted).value
    assert result.weighted_f1.value == pytest.approx(f1_score(labels, predicted, average="weighted"))
    assert [recall.value for recall in result.recall] == pytest.approx(recall_score(labels, predicted, average=None))
    assert result.counts == (50, 30, 20) and result.class_names == ("a", "b", "c") and result.notes == ()
    for name, interval in intervals(result).items():
        if name != "ece":
            assert interval.low < interval.value < interval.high


def drawn(labels: NDArray[np.int64], resamples: int) -> NDArray[np.int64]:
    """Numbers of the pictures in each resample, as many of each class as there are; one row per resample."""
    generator = np.random.default_rng(99)
    classes = [np.flatnonzero(labels == c) for c in np.unique(labels)]
    return np.hstack([generator.choice(members, (resamples, len(members))) for members in classes])


def test_the_intervals_are_those_of_a_bootstrap_written_out():
    labels, probabilities = made_up(1, [60, 25, 15])
    result = metrics.evaluate(labels, probabilities, resamples=2000)
    right = (probabilities.argmax(axis=1) == labels)[drawn(labels, 2000)]
    recalls = [part.mean(axis=1) for part in np.split(right, [60, 85], axis=1)]
    squares = np.square(probabilities - np.eye(3)[labels]).sum(axis=1)[drawn(labels, 2000)]
    expected = {
        result.accuracy: right.mean(axis=1),
        result.balanced_accuracy: np.mean(recalls, axis=0),
        result.recall[2]: recalls[2],
        result.brier: squares.mean(axis=1),
    }
    for interval, values in expected.items():
        low, high = np.quantile(values, [0.025, 0.975])
        assert (interval.low, interval.high) == pytest.approx((low, high), abs=0.15 * (high - low))


def test_the_ends_of_the_ece_are_percentiles_mirrored_at_the_value():
    labels, probabilities = made_up(2, [40, 40], skill=0.3)

    def ece(rows: NDArray[np.int64]) -> float:
        confidence, right = probabilities[rows].max(axis=1), probabilities[rows].argmax(axis=1) == labels[rows]
        number = np.ceil(confidence * 10)
        return float(sum(abs((right - confidence)[number == m].sum()) for m in range(1, 11)) / len(rows))

    weights = np.concatenate(list(bootstrap.bootstrap(labels, None, 200, seed=5)))
    low, high = np.quantile([ece(np.repeat(np.arange(80), row.astype(int))) for row in weights], [0.025, 0.975])
    result = metrics.evaluate(labels, probabilities, resamples=200, seed=5).ece
    value = ece(np.arange(80))
    assert (result.value, result.low, result.high) == pytest.approx((value, 2 * value - high, 2 * value - low))


def test_the_ece_of_a_calibrated_model_may_be_none_at_all():
    generator = np.random.default_rng(0)
    probabilities = generator.dirichlet([1, 1, 1], size=300)
    labels = (probabilities.cumsum(axis=1) > generator.random((300, 1))).argmax(axis=1)
    result = metrics.evaluate(labels, probabilities).ece
    assert result.value > 0.01 and result.low == 0


def test_the_same_seed_gives_the_same_intervals_and_another_seed_others():
    labels, probabilities = made_up(3, [20, 30])
    first, again, other = (metrics.evaluate(labels, probabilities, seed=seed, resamples=100) for seed in (1, 1, 2))
    assert first == again
    assert first.roc_auc != other.roc_auc and first.roc_auc.value == other.roc_auc.value


def test_copies_of_a_picture_narrow_the_interval_unless_groups_tell_that_they_are_copies():
    labels, probabilities = made_up(4, [30, 30])
    once = metrics.evaluate(labels, probabilities)
    copied = np.repeat(labels, 4), np.repeat(probabilities, 4, axis=0)
    naive = metrics.evaluate(*copied)
    grouped = metrics.evaluate(*copied, groups=np.repeat(np.arange(60), 4))
    for score in ("accuracy", "roc_auc", "brier"):
        honest, wrong, right = (getattr(result, score) for result in (once, naive, grouped))
        assert (right.low, right.high) == pytest.approx((honest.low, honest.high))
        # Four times the pictures would halve the interval.
        assert wrong.high - wrong.low == pytest.approx((honest.high - honest.low) / 2, rel=0.25)


def test_where_every_resample_agrees_shares_get_wilsons_interval_and_other_scores_none():
    labels, probabilities = np.array([0] * 12 + [1] * 8), np.eye(2)[[0] * 12 + [1] * 8]
    result = metrics.evaluate(labels, probabilities, ["no", "yes"])
    assert (result.accuracy.low, result.accuracy.high) == pytest.approx(wilson(20, 20), abs=1e-6)
    assert (result.recall[1].low, result.recall[1].high) == pytest.approx(wilson(8, 8), abs=1e-6)
    for score in (result.macro_f1, result.roc_auc, result.precision[0], result.brier, result.ece):
        assert math.isnan(score.low) and math.isnan(score.high) and not math.isnan(score.value)
    wilsons, without = result.notes
    assert "Wilson" in wilsons and wilsons.endswith("accuracy, recall of no, recall of yes.")
    assert without.startswith("No interval") and "ROC AUC" in without


def test_where_all_is_right_wilsons_interval_counts_groups_and_not_their_pictures():
    labels, probabilities = np.repeat([0, 1], 10), np.eye(2)[np.repeat([0, 1], 10)]
    result = metrics.evaluate(labels, probabilities, groups=np.arange(20) // 2)
    # Of n out of n, the lower end of Wilson's interval is n / (n + 1.96^2).
    assert result.accuracy.low == pytest.approx(10 / (10 + 1.96**2), abs=1e-4) and result.accuracy.high == 1
    assert result.recall[0].low == pytest.approx(5 / (5 + 1.96**2), abs=1e-4)
    assert math.isnan(result.roc_auc.low)


def test_groups_that_all_have_the_same_share_of_right_answers_give_no_interval():
    labels, probabilities = np.repeat([0, 1], 20), np.tile([0.8, 0.2], (40, 1))
    probabilities[1::2] = [0.2, 0.8]
    result = metrics.evaluate(labels, probabilities, groups=np.arange(40) // 2)
    assert result.accuracy.value == 0.5 and math.isnan(result.accuracy.low)


@pytest.mark.parametrize(("number", "marked"), [(19, True), (20, False)])
def test_an_interval_from_few_groups_is_marked_as_too_narrow(number: int, marked: bool):
    labels, probabilities = made_up(8, [60, 60], skill=0.5)
    notes = metrics.evaluate(labels, probabilities, groups=np.arange(120) % number).notes
    assert any("fewer than 20 groups" in note and "accuracy" in note for note in notes) == marked
    assert not any("groups" in note for note in metrics.evaluate(labels[:15], probabilities[:15]).notes)


def test_a_class_without_test_pictures_is_named_and_left_out():
    labels, probabilities = made_up(5, [30, 0, 20])
    result = metrics.evaluate(labels, probabilities, ["a", "b", "c"])
    assert all(math.isnan(score[1].value) for score in (result.precision, result.recall, result.f1))
    assert result.balanced_accuracy.value == pytest.approx((result.recall[0].value + result.recall[2].value) / 2)
    assert result.counts[1] == 0
    [note] = result.notes
    assert "no test picture" in note and note.endswith("precision of b, recall of b, F1 of b.")


def test_with_pictures_of_one_class_only_the_ranking_scores_are_not_defined():
    _, probabilities = made_up(6, [15, 15])
    result = metrics.evaluate(np.zeros(30), probabilities)
    assert math.isnan(result.roc_auc.value) and math.isnan(result.average_precision.value)
    assert 0 < result.accuracy.low < result.accuracy.value < result.accuracy.high < 1
    assert any("all test pictures are of one class: ROC AUC, average precision." in note for note in result.notes)


def test_the_precision_of_a_class_that_is_never_predicted_is_not_defined_and_its_f1_is_0():
    labels, probabilities = np.repeat([0, 1], 10), np.tile([0.8, 0.2], (20, 1))
    result = metrics.evaluate(labels, probabilities, ["healthy", "ill"])
    assert math.isnan(result.precision[1].value) and result.recall[1].value == result.f1[1].value == 0
    assert any("never predicted: precision of ill." in note for note in result.notes)


def test_a_class_that_is_seldom_predicted_is_measured_where_it_can_be():
    labels, probabilities = np.repeat([0, 1], 10), np.tile([0.8, 0.2], (20, 1))
    probabilities[[9, 10]] = [0.3, 0.7]
    result = metrics.evaluate(labels, probabilities)
    assert (result.precision[1].low, result.precision[1].high) == (0, 1)
    assert result.notes == ("Not defined in some resamples; the interval leaves them out: precision of 1.",)


def test_a_class_with_a_single_picture_or_group_is_marked():
    labels, probabilities = made_up(7, [20, 1], skill=0.5)
    probabilities[-1] = [0.4, 0.6]
    assert any("Too narrow" in note and "F1 of 1" in note for note in metrics.evaluate(labels, probabilities).notes)
    labels, probabilities = made_up(7, [20, 20], skill=0.5)
    groups = np.concatenate([np.arange(20), np.full(20, 99)])
    assert any("F1 of 1" in note for note in metrics.evaluate(labels, probabilities, groups=groups).notes)


def test_a_single_picture_can_be_evaluated():
    result = metrics.evaluate([1], [[0.2, 0.5, 0.3]])
    assert (result.accuracy.low, result.accuracy.high) == pytest.approx(wilson(1, 1), abs=1e-6)
    assert result.brier.value == pytest.approx(0.2**2 + 0.5**2 + 0.3**2)
    assert result.ece.value == pytest.approx(0.5)


def test_many_classes_are_shown_in_short():
    labels, probabilities = made_up(8, [3] * 80)
    result = metrics.evaluate(labels, probabilities, resamples=100)
    assert len(result.recall) == 80
    assert len(repr(result).splitlines()) < 70 and result._repr_html_().count("<tr") < 60
    assert all(note.count(",") < 15 for note in result.notes)


def test_probabilities_in_half_precision_will_do():
    labels, probabilities = made_up(9, [20] * 6)
    half = metrics.evaluate(labels, probabilities.astype(np.float16), resamples=100)
    full = metrics.evaluate(labels, probabilities, resamples=100)
    assert half.brier.value == pytest.approx(full.brier.value, abs=1e-3)


def test_the_table_holds_every_number_and_escapes_names():
    labels, probabilities = made_up(10, [30, 20])
    result = metrics.evaluate(labels, probabilities, ["<b>dog</b>", "cat & co"])
    text, page = repr(result), result._repr_html_()
    for name, interval in intervals(result).items():
        spec = ".3f" if name in ("brier", "ece") else ".2f"
        assert f"{interval:{spec}}" in text and f"{interval:{spec}}" in page
    assert "1,000 bootstrap resamples (seed 0)" in text and "1,000 bootstrap resamples (seed 0)" in page
    assert "positive class: cat & co" in text and "positive class: cat &amp; co" in page
    assert "<b>dog" not in page and "&lt;b&gt;dog" in page


def test_the_record_holds_every_number_in_plain_json():
    labels, probabilities = made_up(11, [30, 0, 20])
    result = metrics.evaluate(labels, probabilities, ["a", "b", "c"], seed=3)
    record = json.loads(json.dumps(result.as_dict(), allow_nan=False))
    for name in metrics.SCORES:
        assert record[name] == dataclasses.asdict(getattr(result, name))
    assert record["classes"]["c"]["recall"] == dataclasses.asdict(result.recall[2])
    assert record["classes"]["b"]["f1"] == {"value": None, "low": None, "high": None}
    assert (record["pictures"], record["classes"]["a"]["pictures"]) == (50, 30)
    assert (record["resamples"], record["seed"], record["notes"]) == (1000, 3, list(result.notes))


@limits(deadline=None, max_examples=60)
@given(st.data())
def test_no_small_set_of_pictures_is_a_crash(data: st.DataObject):
    n, n_classes = data.draw(st.integers(1, 10)), data.draw(st.integers(2, 4))
    labels = np.array(data.draw(st.lists(st.integers(0, n_classes - 1), min_size=n, max_size=n)))
    groups = data.draw(st.none() | st.lists(st.integers(0, 3), min_size=n, max_size=n))
    probabilities = np.random.default_rng(data.draw(st.integers(0, 99))).dirichlet(np.ones(n_classes), size=n)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = metrics.evaluate(labels, probabilities, groups=groups, resamples=100)
        assert repr(result) and result._repr_html_()
    for name, interval in intervals(result).items():
        noted = [note for note in result.notes if metrics.SCORES.get(name, [name.replace("f1", "F1")])[0] in note]
        if math.isnan(interval.value) or math.isnan(interval.low):
            assert math.isnan(interval.high) and (noted or any(" more." in note for note in result.notes))
        else:
            assert 0 <= interval.low <= interval.high <= (2 if name == "brier" else 1) + 1e-12


LABELS, EVEN = [0, 1, 1], [[0.5, 0.5]] * 3


@pytest.mark.parametrize(
    ("labels", "probabilities", "message"),
    [
        ([], np.zeros((0, 2)), "nothing to measure"),
        ([0, 1], EVEN, "2 labels and 3 predictions"),
        ([0, 1, 2], EVEN, "labels holds class 2, but probabilities has columns for the classes 0 to 1 only"),
        ([0, -1, 1], EVEN, "labels holds -1"),
        ([[1, 0], [1, 0], [0, 1]], EVEN, "labels has shape"),
        (LABELS, [[0.5, 0.5], [0.2, 0.3], [1, 0]], r"picture 1 are \[0.2 0.3\] and sum to 0.5; .*softmax"),
        (LABELS, [[2.0, -1.0], [0.2, 0.8], [1, 0]], r"picture 0 are .*; they must be 0 or more .*softmax"),
        (LABELS, [[0.5, 0.5], [0.5, 0.5], [np.nan, 0.5]], "picture 2 hold NaN .* 1 of 3 rows"),
        (LABELS, [[0.5, 0.5], [np.inf, 0.5], [np.nan, 0.5]], "picture 1 hold NaN or infinite"),
        (LABELS, [0.5, 0.5, 0.5], r"shape \(3,\); .*column_stack\(\[1 - p, p\]\)"),
        (LABELS, [[0.5], [0.5], [0.5]], r"shape \(3, 1\); .*column_stack"),
        (LABELS, [["a", "b"]] * 3, "give numbers"),
    ],
)
def test_what_cannot_be_evaluated_is_explained(labels: list, probabilities: list, message: str):
    for measure in (metrics.evaluate, metrics.sensitivity_at_specificity):
        with pytest.raises(UserError, match=message):
            measure(labels, probabilities)


@pytest.mark.parametrize("names", [["a"], ["a", "b", "c"], ["a", "a"]])
def test_class_names_must_fit_the_columns(names: list[str]):
    with pytest.raises(UserError, match="class_names=.*2 classes"):
        metrics.evaluate(LABELS, EVEN, names)


@pytest.mark.parametrize("measure", [metrics.evaluate, metrics.sensitivity_at_specificity])
def test_groups_and_resamples_are_checked(measure):
    with pytest.raises(UserError, match="groups has shape"):
        measure(LABELS, EVEN, groups=[1, 2])
    with pytest.raises(UserError, match="resamples=10"):
        measure(LABELS, EVEN, resamples=10)


@pytest.mark.parametrize("seed", range(4))
def test_sensitivity_is_the_highest_point_of_scikit_learns_roc_curve_at_a_specificity_of_95_percent(seed: int):
    labels, probabilities = made_up(seed, [40, 20], skill=0.8)
    probabilities = np.round(probabilities, 1)
    false_alarms, hits, _ = roc_curve(labels, probabilities[:, 1], drop_intermediate=False)
    result = metrics.sensitivity_at_specificity(labels, probabilities)
    assert result.value == pytest.approx(hits[false_alarms <= 0.05 + 1e-9].max())
    assert result.low <= result.value <= result.high


@pytest.mark.parametrize(("second_highest", "sensitivity"), [(0.4, 1), (0.85, 0)])
def test_one_false_alarm_in_twenty_is_a_specificity_of_95_percent_and_two_are_not(
    second_highest: float, sensitivity: int
):
    found = np.array([*np.linspace(0, 0.4, 18), second_highest, 0.9, 0.8, 0.8])
    probabilities = np.column_stack([1 - found, found])
    assert metrics.sensitivity_at_specificity(np.repeat([0, 1], [20, 2]), probabilities).value == sensitivity


def test_all_classes_but_the_second_are_negatives():
    labels, probabilities = made_up(12, [20, 20, 20])
    rest = np.column_stack([1 - probabilities[:, 1], probabilities[:, 1]])
    several = metrics.sensitivity_at_specificity(labels, probabilities)
    assert several == metrics.sensitivity_at_specificity((labels == 1).astype(int), rest)
    assert several.low < several.value


def test_the_interval_of_the_sensitivity_is_that_of_a_bootstrap_written_out():
    labels, probabilities = made_up(13, [60, 40], skill=0.8)
    healthy, ill = np.split(probabilities[drawn(labels, 1000), 1], [60], axis=1)
    # Three false alarms in sixty are allowed, so all that is found lies above the fourth highest.
    hits = (ill > np.sort(healthy)[:, [-4]]).mean(axis=1)
    result = metrics.sensitivity_at_specificity(labels, probabilities)
    assert (result.low, result.high) == pytest.approx(np.quantile(hits, [0.025, 0.975]), abs=0.06)


def test_groups_widen_the_interval_of_the_sensitivity():
    labels, probabilities = made_up(14, [30, 30], skill=0.8)
    copied = np.repeat(labels, 4), np.repeat(probabilities, 4, axis=0)
    naive = metrics.sensitivity_at_specificity(*copied)
    grouped = metrics.sensitivity_at_specificity(*copied, groups=np.repeat(np.arange(60), 4))
    assert grouped.high - grouped.low > 1.4 * (naive.high - naive.low)


@pytest.mark.parametrize("label", [0, 1])
def test_a_sensitivity_needs_positives_and_negatives(label: int):
    with pytest.raises(UserError, match=f"{3 * label} of 3 pictures are of class 1"):
        metrics.sensitivity_at_specificity([label] * 3, EVEN)


def test_shares_in_the_auc_have_it_as_their_mean_and_the_variance_of_delong():
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(4)
    labels = rng.random(60) < 0.3
    scores = np.round(rng.normal(size=60) + labels, 1)  # rounded, so that there are ties
    shares = metrics.auc_by_example(labels, scores)
    assert shares.mean() == pytest.approx(roc_auc_score(labels, scores))
    ranks = [[np.mean((s > scores[~labels]) + (s == scores[~labels]) / 2) for s in scores[labels]]]
    ranks += [[np.mean((s < scores[labels]) + (s == scores[labels]) / 2) for s in scores[~labels]]]
    delong = sum(np.var(part) / len(part) for part in ranks)
    assert shares.var() / len(shares) == pytest.approx(delong)


@pytest.mark.parametrize("labels", [[0, 0, 0], [1, 1, 1], [0, 1]])
def test_shares_in_the_auc_need_both_kinds_and_a_score_for_each(labels):
    with pytest.raises(UserError, match="positives as well as negatives"):
        metrics.auc_by_example(labels, [0.1, 0.2, 0.3])


def test_shares_in_the_auc_refuse_what_is_no_number():
    with pytest.raises(UserError, match="not a finite number"):
        metrics.auc_by_example([0, 1], [np.nan, 1.0])
