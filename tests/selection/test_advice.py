"""Tests of tlutils.selection against the papers' definitions, written out slowly here."""

from __future__ import annotations

import dataclasses

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tlutils import datasets, store
from tlutils.cut import cut
from tlutils.models import backbones
from tlutils.models.features import pooled_activations
from tlutils.selection import transferability
from tlutils.selection.advice import Candidate, advise
from tlutils.settings import UserError

SCORES = {
    "logme": transferability.logme,
    "h_score": transferability.h_score,
    "shrunk h_score": lambda features, labels: transferability.h_score(features, labels, shrinkage=True),
    "ridge_loo_accuracy": transferability.ridge_loo_accuracy,
    "ridge_loo_r2": transferability.ridge_loo_r2,
}
SHAPES = [(30, 5), (15, 40), (20, 20), (12, 1)]  # more pictures than features, fewer, as many, one feature


def problem(n: int, d: int, n_classes: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Features of which some depend on the class, away from the origin, each with its own scale."""
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(n_classes), rng.integers(0, n_classes, n - n_classes)])
    means = rng.normal(size=(n_classes, d))
    features = means[labels] + rng.normal(size=(n, d)) + 0.5
    return features * rng.uniform(0.3, 3, d), labels


def evidence(x: np.ndarray, y: np.ndarray, log_a: float, log_b: float) -> float:
    """Log density of y per picture; y ~ N(0, I / b + x x' / a)."""
    covariance = np.eye(len(y)) / np.exp(log_b) + x @ x.T / np.exp(log_a)
    _, log_determinant = np.linalg.slogdet(covariance)
    return float(-0.5 * (len(y) * np.log(2 * np.pi) + log_determinant + y @ np.linalg.solve(covariance, y)) / len(y))


def slow_logme(x: np.ndarray, labels: np.ndarray, highest_log_b: float = 30) -> float:
    """Climb the two-dimensional evidence from many starting points, for each class."""
    from scipy.optimize import minimize

    best = []
    for label in sorted(set(labels.tolist())):
        y = np.array([1.0 if other == label else 0.0 for other in labels])
        starts = [(a, b) for a in (-6.0, 0.0, 6.0, 12.0) for b in (-1.0, 3.0, min(20.0, highest_log_b))]
        climbs = [
            minimize(
                lambda point, y=y: -evidence(x, y, *point),
                start,
                method="Nelder-Mead",
                options={"xatol": 1e-7, "fatol": 1e-12, "maxiter": 4000},
                bounds=[(-30, 30), (-15, highest_log_b)],
            )
            for start in starts
        ]
        best.append(max(-climb.fun for climb in climbs))
    return float(np.mean(best))


@pytest.mark.parametrize(("n", "d"), SHAPES)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_logme_is_the_highest_evidence_over_both_precisions(n: int, d: int, n_classes: int):
    x, labels = problem(n, d, n_classes)
    assert transferability.logme(x, labels) == pytest.approx(slow_logme(x, labels), abs=1e-6)


@pytest.mark.parametrize("change", ["constant", "duplicate", "zero column"])
@pytest.mark.parametrize(("n", "d"), [(30, 4), (14, 30)])
def test_logme_holds_for_features_that_say_nothing_new(n: int, d: int, change: str):
    x, labels = problem(n, d)
    extra = {"constant": np.full((n, 1), 3.0), "duplicate": x[:, :2], "zero column": np.zeros((n, 1))}[change]
    x = np.hstack([x, extra])
    assert transferability.logme(x, labels) == pytest.approx(slow_logme(x, labels), abs=1e-6)


def test_logme_of_features_that_are_all_zero_is_that_of_noise_alone():
    labels = np.array([0, 0, 0, 1, 1])
    expected = [-0.5 * (np.log(2 * np.pi * share) + 1) for share in (3 / 5, 2 / 5)]  # b = 1 / mean of y^2
    assert transferability.logme(np.zeros((5, 3)), labels) == pytest.approx(np.mean(expected))


def test_logme_finds_the_higher_of_two_maxima_where_the_papers_iteration_rests_at_the_lower():
    rng = np.random.default_rng(110)
    x = rng.normal(size=(14, 6)) * [100, 100, 1, 0.01, 0.01, 0.01]
    labels = np.arange(14) % 2
    rng.shuffle(labels)

    def iterated(y: np.ndarray) -> float:
        """You et al. 2021, algorithm 1: from a = b = 1, in turn the mean weights and the precisions."""
        a = b = 1.0
        eigenvalues = np.linalg.eigvalsh(x.T @ x)
        for _ in range(2000):
            weights = b * np.linalg.solve(a * np.eye(6) + b * x.T @ x, x.T @ y)
            effective = (b * eigenvalues / (a + b * eigenvalues)).sum()
            a, b = effective / (weights @ weights), (14 - effective) / ((x @ weights - y) ** 2).sum()
        return evidence(x, y, np.log(a), np.log(b))

    found = transferability.logme(x, labels)
    # With less noise than exp(-12) the covariance of these features is singular to sixteen digits.
    assert found == pytest.approx(slow_logme(x, labels, highest_log_b=12), abs=1e-6)
    assert found > (iterated(labels) + iterated(1 - labels)) / 2 + 0.1


def test_logme_of_labels_that_the_features_fit_exactly_is_large_and_finite():
    x, labels = problem(40, 6)
    exact = np.hstack([x, np.eye(3)[labels]])
    almost = exact + 1e-2 * np.random.default_rng(0).normal(size=exact.shape)
    assert np.isfinite(transferability.logme(exact, labels))
    assert transferability.logme(exact, labels) > transferability.logme(almost, labels) + 1


def test_logme_of_an_exact_fit_in_n_dimensions_is_the_evidence_without_noise():
    """The labels then are N(0, x x' / a), and a = n / y' (x x')^-1 y is where their density is largest."""
    labels = np.array([0, 1, 0, 1])
    x = np.column_stack([labels * 5.0, (1 - labels) * 5.0, *(np.eye(4)[:, 2:] * 0.05).T])
    gram = x @ x.T
    expected = []
    for y in (labels, 1 - labels):
        misfit = y @ np.linalg.solve(gram, y) / 4
        expected.append(-0.5 * (np.log(2 * np.pi * misfit) + 1 + np.linalg.slogdet(gram)[1] / 4))
    assert transferability.logme(x, labels) == pytest.approx(np.mean(expected), abs=1e-4)


def slow_leep(theta: np.ndarray, labels: np.ndarray) -> float:
    n, sources = theta.shape
    total = 0.0
    for i in range(n):
        expected = 0.0
        for z in range(sources):
            marginal = sum(theta[j, z] for j in range(n)) / n
            joint = sum(theta[j, z] for j in range(n) if labels[j] == labels[i]) / n
            expected += joint / marginal * theta[i, z] if marginal > 0 else 0.0
        total += np.log(expected)
    return total / n


@pytest.mark.parametrize("sharpness", [0.1, 5.0])
def test_leep_is_the_papers_double_sum(sharpness: float):
    rng = np.random.default_rng(0)
    logits = sharpness * rng.normal(size=(25, 7))
    theta = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    theta[:, 3] = 0  # a source class that never occurs
    theta /= theta.sum(axis=1, keepdims=True)
    labels = rng.integers(0, 4, 25)
    assert transferability.leep(theta, labels) == pytest.approx(slow_leep(theta, labels), abs=1e-12)


def test_leep_is_zero_when_source_classes_tell_the_target_class_and_its_entropy_when_they_say_nothing():
    labels = np.array([0, 0, 0, 1])
    assert transferability.leep(np.eye(4)[[0, 1, 0, 2]], labels) == pytest.approx(0)
    entropy = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25))
    assert transferability.leep(np.full((4, 5), 0.2), labels) == pytest.approx(-entropy)


@given(st.integers(0, 2**16), st.integers(2, 30), st.integers(1, 8))
def test_leep_lies_between_the_negative_entropy_of_the_labels_and_zero(seed: int, n: int, sources: int):
    rng = np.random.default_rng(seed)
    theta = rng.dirichlet(np.full(sources, 0.3), n)
    labels = np.concatenate([[0, 1], rng.integers(0, 3, n - 2)])
    shares = np.bincount(labels)[np.bincount(labels) > 0] / n
    assert (shares * np.log(shares)).sum() - 1e-9 <= transferability.leep(theta, labels) <= 1e-9


@pytest.mark.parametrize("rows", [[[2.0, -1.0], [0.5, 0.5]], [[3.0, 1.0], [0.5, 0.5]]])
def test_leep_refuses_logits(rows: list):
    with pytest.raises(UserError, match="softmax, not its logits"):
        transferability.leep(rows, [0, 1])


def slow_h_score(x: np.ndarray, labels: np.ndarray, shrinkage: float | None = None) -> float:
    n, d = x.shape
    mean = x.mean(axis=0)
    of_features, of_means = np.zeros((d, d)), np.zeros((d, d))
    for i in range(n):
        class_mean = x[labels == labels[i]].mean(axis=0)
        of_features += np.outer(x[i] - mean, x[i] - mean) / n
        of_means += np.outer(class_mean - mean, class_mean - mean) / n
    if shrinkage is None:
        return float(np.trace(np.linalg.pinv(of_features, rcond=1e-12, hermitian=True) @ of_means))
    shrunk = (1 - shrinkage) * of_features + shrinkage * np.trace(of_features) / d * np.eye(d)
    return float(np.trace(np.linalg.inv(shrunk) @ ((1 - shrinkage) * of_means)))


def ledoit_wolf(x: np.ndarray) -> float:
    """Ledoit & Wolf 2004, section 3.3: b^2 / d^2 with the norm |A|^2 = trace(A A') / p."""
    n, p = x.shape
    x = x - x.mean(axis=0)
    s = x.T @ x / n
    m = np.trace(s) / p
    d2 = ((s - m * np.eye(p)) ** 2).sum() / p
    b2 = sum(((np.outer(row, row) - s) ** 2).sum() / p for row in x) / n**2
    return min(b2, d2) / d2


@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_h_score_is_the_trace_of_the_definition(n: int, d: int):
    x, labels = problem(n, d)
    assert transferability.h_score(x, labels) == pytest.approx(slow_h_score(x, labels), abs=1e-6)


@pytest.mark.parametrize(("n", "d"), [(60, 5), (20, 50), (30, 30)])
def test_the_shrunk_h_score_shrinks_both_covariances_by_ledoit_and_wolfs_share(n: int, d: int):
    x, labels = problem(n, d)
    expected = slow_h_score(x, labels, ledoit_wolf(x))
    assert transferability.h_score(x, labels, shrinkage=True) == pytest.approx(expected, abs=1e-6)
    assert transferability.h_score(x, labels) - expected > 1e-3


def test_h_score_counts_a_duplicate_feature_once_and_a_constant_one_not_at_all():
    x, labels = problem(60, 5)
    more = np.hstack([x, x[:, :2], np.full((60, 1), 7.0)])
    assert transferability.h_score(more, labels) == pytest.approx(transferability.h_score(x, labels), abs=1e-6)


def test_h_score_of_fewer_pictures_than_features_is_the_same_whatever_the_labels_and_the_shrunk_one_is_not():
    x, labels = problem(20, 50)
    shuffled = np.random.default_rng(1).permutation(labels)
    assert transferability.h_score(x, labels) == pytest.approx(transferability.h_score(x, shuffled)) == pytest.approx(2)
    assert (
        transferability.h_score(x, labels, shrinkage=True) > transferability.h_score(x, shuffled, shrinkage=True) + 0.1
    )


def refitted(x: np.ndarray, labels: np.ndarray) -> tuple[float, float, list[float]]:
    """Fit n times for each penalty, by the normal equations with a column of ones that is not penalised.

    Returns accuracy and R2 at the penalty with the smallest squared error, and the errors at all penalties.
    """
    n, d = x.shape
    targets = (labels[:, None] == np.unique(labels)).astype(float)
    deviations = [np.sqrt(((x[:, j] - x[:, j].mean()) ** 2).mean()) for j in range(d)]
    x = np.column_stack([x[:, j] / max(deviations[j], 0.1 * np.mean(deviations)) for j in range(d)])
    length = sum(((row - x.mean(axis=0)) ** 2).sum() for row in x) / n
    errors, accuracies = [], []
    for penalty in 10.0 ** np.arange(-4, 2.5, 0.5):
        left_out = np.empty_like(targets)
        for i in range(n):
            rest = np.arange(n) != i
            design = np.hstack([x[rest], np.ones((n - 1, 1))])
            damping = np.diag([penalty * length] * d + [0.0])
            weights = np.linalg.solve(design.T @ design + damping, design.T @ targets[rest])
            left_out[i] = np.append(x[i], 1) @ weights
        errors.append(float(((left_out - targets) ** 2).sum()))
        accuracies.append((left_out.argmax(axis=1) == targets.argmax(axis=1)).mean())
    total = sum(((target - targets.mean(axis=0)) ** 2).sum() for target in targets)
    return accuracies[int(np.argmin(errors))], 1 - min(errors) / total, errors


@pytest.mark.parametrize(("n", "d"), [(40, 5), (20, 40), (12, 1)])
@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("seed", [0, 1])
def test_leave_one_out_scores_are_those_of_n_models_each_fitted_without_one_picture(n, d, n_classes, seed):
    x, labels = problem(n, d, n_classes, seed)
    x = x + 0.8 * np.random.default_rng(seed).normal(size=x.shape) * x.std()
    if d > 1:
        x[:, 0] *= 1e-3  # nearly silent, so that the floor of the divisor counts
    accuracy, r2, errors = refitted(x, labels)
    assert np.diff(np.sort(errors))[0] > 1e-9, "two penalties tie; the example decides nothing"
    assert transferability.ridge_loo_accuracy(x, labels) == pytest.approx(accuracy, abs=1e-9)
    assert transferability.ridge_loo_r2(x, labels) == pytest.approx(r2, abs=1e-6)


def test_leave_one_out_r2_of_features_that_say_nothing_is_that_of_the_others_means():
    labels = np.arange(20) % 2
    assert transferability.ridge_loo_r2(np.zeros((20, 3)), labels) == pytest.approx(1 - (20 / 19) ** 2)


def test_ridge_loo_accuracy_of_features_that_say_nothing_is_not_above_chance():
    rng = np.random.default_rng(0)
    labels = np.arange(200) % 2
    assert transferability.ridge_loo_accuracy(rng.normal(size=(200, 300)), labels) < 0.6
    assert transferability.ridge_loo_accuracy(np.zeros((200, 3)), labels) <= 0.5


@pytest.mark.parametrize("name", SCORES)
@hypothesis_settings(max_examples=10)
@given(seed=st.integers(0, 2**16), factor=st.sampled_from([1e-6, 0.5, 1e5]))
def test_no_score_depends_on_the_unit_the_order_or_the_class_numbers(name: str, seed: int, factor: float):
    rng = np.random.default_rng(seed)
    x, labels = problem(24, 6, seed=seed)
    order = rng.permutation(24)
    renamed = np.array([7, 2, 30])[labels]
    changed = SCORES[name](factor * x[order], renamed[order])
    assert changed == pytest.approx(SCORES[name](x, labels), abs=1e-6)


@pytest.mark.parametrize("name", SCORES)
def test_every_score_prefers_informative_features_and_pools_feature_maps(name: str):
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    maps = rng.normal(size=(60, 4, 4, 5)).astype("float32")
    maps[..., 0] += labels[:, None, None]
    informative = SCORES[name](maps, labels)
    assert informative == pytest.approx(SCORES[name](maps.mean(axis=(1, 2)), labels), abs=1e-6)
    assert informative > SCORES[name](maps[..., 1:], labels)


@pytest.mark.parametrize("score", [*SCORES.values(), transferability.leep])
@pytest.mark.parametrize(
    ("features", "labels", "message"),
    [
        (np.full((3, 2), 0.5), [1, 1, 1], "labels holds class 1 only; a score compares two classes or more"),
        (np.full((3, 2), 0.5), [0, 1], r"3 pictures in .*, but labels of shape \(2,\)"),
        (np.full(3, 0.5), [0, 1, 1], r"has shape \(3,\); give \(n, d\)"),
        (np.zeros((0, 2)), [], r"has shape \(0, 2\)"),
        ([[0.5, 0.5], [np.nan, 0.5]], [0, 1], "NaN or infinite values; look at"),
    ],
)
def test_what_cannot_be_scored_is_explained(score, features, labels, message: str):
    with pytest.raises(UserError, match=message):
        score(features, labels)


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TLUTILS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def small_backbone(name: str = "small", seed: int = 0) -> backbones.Backbone:
    """Two convolutions, the second normalised, that take pictures of 16x16."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((16, 16, 3))
    x = keras.layers.Rescaling(1 / 255, name="preprocess")(inputs)
    x = keras.layers.Conv2D(4, 3, strides=2, activation="relu", name="first")(x)
    x = keras.layers.BatchNormalization()(keras.layers.Conv2D(8, 3, strides=2, use_bias=False, name="second")(x))
    model = keras.Model(inputs, keras.layers.ReLU(name="end")(x))
    return backbones.Backbone(name, model, 16, ("preprocess", "first", "end"), "none")


def coloured(counts: list[int], noise: float = 60.0) -> datasets.Dataset:
    """Pictures whose mean colour tells the class: of class 0 red, of class 1 green, of class 2 blue."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(len(counts)), counts)
    light = np.eye(3)[labels][:, None, None] * 60 + rng.normal(100, noise, (len(labels), 1, 1, 3))
    pictures = np.clip(light + rng.normal(0, 5, (len(labels), 16, 16, 3)), 0, 255).astype(np.uint8)
    names = tuple(f"class <{label}>" for label in range(len(counts)))
    return datasets.Dataset("coloured", pictures, labels.astype(np.int64), names, np.arange(len(labels)), True)


@pytest.mark.parametrize("name", ["vgg16_mini", "mobilenet"])
def test_pooled_activations_are_the_means_of_what_each_trunk_returns(own_cache, name: str):
    backbone = backbones.load(name, weights=None, image_size=64)
    pictures = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    pooled = pooled_activations(backbone, pictures)
    assert list(pooled) == list(backbone.cuts)
    for at in backbone.cuts[::3]:
        maps = keras.ops.convert_to_numpy(cut(backbone.model, at)[0](pictures.astype("float32"), training=False))
        np.testing.assert_allclose(pooled[at], maps.mean(axis=(1, 2)), rtol=1e-4, atol=1e-4, err_msg=at)


def test_one_pass_serves_all_cuts_and_every_later_call(own_cache, monkeypatch):
    backbone, pictures = small_backbone(), coloured([2, 2]).pictures
    first = pooled_activations(backbone, pictures)
    assert len(list((own_cache / "activations").iterdir())) == 1
    monkeypatch.setattr(keras.Model, "predict_on_batch", lambda *_: pytest.fail("computed again"))
    for at, values in pooled_activations(backbone, pictures).items():
        np.testing.assert_array_equal(values, first[at])


def test_candidates_are_all_cuts_of_all_backbones_ranked_by_the_score_of_their_activations(own_cache):
    dataset = coloured([20, 20, 20])
    bases = [small_backbone("one", seed=1), small_backbone("two", seed=2)]
    advice = advise(dataset, bases)
    expected = {
        (base.name, at): (
            transferability.ridge_loo_r2(x, dataset.labels),
            transferability.ridge_loo_accuracy(x, dataset.labels),
        )
        for base in bases
        for at, x in pooled_activations(base, dataset.pictures).items()
    }
    found = {(row.backbone, row.cut): (row.score, row.accuracy) for row in advice.ranked}
    assert found.keys() == expected.keys()
    for key in found:
        assert found[key] == pytest.approx(expected[key], abs=1e-3), key
    scores = [row.score for row in advice.ranked]
    assert scores == sorted(scores, reverse=True)
    assert advice.best is advice.ranked[0]
    assert advice.n_pictures == 60


def test_the_costs_are_those_of_the_parts_before_and_behind_the_cut(own_cache):
    advice = advise(coloured([5, 5]), [small_backbone()])
    by_cut = {row.cut: row for row in advice.ranked}
    second, first = 3 * 3 * 4 * 8, 3 * 3 * 3 * 4 + 4
    parameters = [by_cut[at].tail_parameters for at in ("preprocess", "first", "end")]
    assert parameters == [first + second, second, 0]  # those of the normalisation do not count
    kilobytes = [by_cut[at].kilobytes_per_picture for at in ("preprocess", "first", "end")]
    assert kilobytes == pytest.approx([16 * 16 * 3 * 4 / 1000, 7 * 7 * 4 * 4 / 1000, 3 * 3 * 8 * 4 / 1000])
    seconds = [by_cut[at].seconds_per_picture for at in ("preprocess", "first", "end")]
    assert 0 < seconds[0] < seconds[1] < seconds[2] < advice.seconds


def test_pretrained_features_are_preferred_to_untrained_ones_and_an_untrained_control_may_take_part(own_cache):
    control = dataclasses.replace(backbones.load("vgg16_mini", weights=None), name="untrained")
    advice = advise(datasets.load("synthetic_flowers", per_class=10), ["vgg16_mini", control])
    assert advice.best.backbone == "vgg16_mini"
    assert advice.best.cut in ("block4_pool", "block5_pool")
    assert {row.backbone for row in advice.ranked} == {"vgg16_mini", "untrained"}


@pytest.mark.parametrize(
    ("counts", "budget", "scored"),
    [
        ([80, 80], 1e4, [80, 80]),
        ([80, 80], 120, [20, 20]),  # 96 pictures are affordable: 2 x 20, not 2 x 50
        ([80, 7], 80, [50, 7]),  # 64 pictures are
        ([80, 80], 7, [2, 2]),
        ([450, 450, 450], 1e9, [200, 200, 200]),  # 1,000 are enough
    ],
)
def test_the_budget_decides_how_many_pictures_of_each_class_are_scored(
    own_cache, monkeypatch, counts: list[int], budget: float, scored: list[int]
):
    monkeypatch.setattr("tlutils.selection.advice._seconds_per_picture", lambda *_: [0.1, 0.5, 1.0])
    seen = []
    original = pooled_activations

    def watched(base, pictures):
        seen.append(pictures)
        return original(base, pictures)

    monkeypatch.setattr("tlutils.selection.advice.pooled_activations", watched)
    dataset = coloured(counts)
    assert advise(dataset, [small_backbone()], budget).n_pictures == sum(scored)
    label_of = {picture.tobytes(): label for picture, label in zip(dataset.pictures, dataset.labels, strict=True)}
    drawn = {picture.tobytes() for picture in seen[0]}
    assert np.bincount([label_of[picture] for picture in drawn]).tolist() == scored


def test_a_budget_for_less_than_two_pictures_of_each_class_is_refused_with_one_that_suffices(own_cache, monkeypatch):
    monkeypatch.setattr("tlutils.selection.advice._seconds_per_picture", lambda *_: [0.1, 0.5, 1.0])
    with pytest.raises(UserError, match=r"budget=4 seconds are too few: .*4 pictures .*need 1 each. Give budget=[67]"):
        advise(coloured([9, 9]), [small_backbone()], 4)


def test_the_same_seed_gives_the_same_ranking_and_another_seed_other_pictures(own_cache, monkeypatch):
    monkeypatch.setattr("tlutils.selection.advice._seconds_per_picture", lambda *_: [0.1, 0.5, 1.0])
    dataset, base = coloured([80, 80, 80]), small_backbone()

    def scores(seed: int) -> list[float]:
        return [row.score for row in advise(dataset, [base], 100, seed=seed).ranked]

    assert scores(0) == scores(0) != scores(1)


def test_of_pictures_of_one_group_one_is_scored_so_that_copies_do_not_recognise_each_other(own_cache):
    once = coloured([6, 6], noise=300)
    copies = once.subset(np.repeat(np.arange(12), 5))
    advice = advise(copies, [small_backbone()])
    assert advice.n_pictures == 12
    assert advice.best.score == pytest.approx(advise(once, [small_backbone()]).best.score, abs=1e-3)


def test_a_group_with_pictures_of_two_classes_gives_one_to_each(own_cache):
    dataset = dataclasses.replace(coloured([6, 6]), groups=np.tile(np.arange(6), 2))
    assert advise(dataset, [small_backbone()]).n_pictures == 12


def test_by_default_the_candidates_are_the_backbones_whose_weights_are_on_this_machine(own_cache, monkeypatch):
    asked = []

    def load(name: str) -> backbones.Backbone:
        asked.append(name)
        return small_backbone(name)

    monkeypatch.setattr(backbones, "load", load)
    advise(coloured([3, 3]))
    assert asked == list(backbones.MINI.values())
    for name in ("minilm", "mobilenet"):
        for part in store.FILES[name].parts:
            (own_cache / "downloads" / part.path).parent.mkdir(parents=True, exist_ok=True)
            (own_cache / "downloads" / part.path).touch()
    asked.clear()
    advise(coloured([3, 3]))
    assert asked == [*backbones.MINI.values(), "mobilenet"]


def test_the_reasons_say_what_is_lost_and_gained_against_the_best(own_cache, monkeypatch):
    monkeypatch.setattr("tlutils.selection.advice._seconds_per_picture", lambda base, _: [0.001, 0.002, 0.008])
    rng = np.random.default_rng(0)
    good = np.repeat([0, 1], 50)[:, None] + 0.1 * rng.normal(size=(100, 2))
    two_wrong = good.copy()
    two_wrong[[0, 99]] = good[[99, 0]]
    by_cut = {"preprocess": rng.normal(size=(100, 2)), "first": two_wrong, "end": good}
    monkeypatch.setattr("tlutils.selection.advice.pooled_activations", lambda base, pictures: by_cut)
    dataset = coloured([50, 50])
    reasons = {row.cut: (row.reason, row.accuracy) for row in advise(dataset, [small_backbone()]).ranked}
    assert reasons["end"][0] == (
        "best: a linear head puts 100% of pictures left out into the right class; not told from it: 1 of the others"
    )
    assert reasons["first"][1] == pytest.approx(0.98)
    assert reasons["first"][0] == "not told from the best by these pictures, 4.0 times as fast"
    points = 100 * (1 - reasons["preprocess"][1])
    assert reasons["preprocess"][0] == (
        f"{points:.0f} points below the best, 8.0 times as fast, the mean colour alone, no layer of the network"
    )


def test_where_nothing_helps_the_reason_says_so(own_cache, monkeypatch):
    zeros = dict.fromkeys(("preprocess", "first", "end"), np.zeros((20, 2)))
    monkeypatch.setattr("tlutils.selection.advice.pooled_activations", lambda base, pictures: zeros)
    best = advise(coloured([10, 10]), [small_backbone()]).best
    assert best.reason == "ranks first, yet no candidate tells more about the classes than guessing"
    assert best.cut == "preprocess"  # of equals the fastest


def test_the_advice_is_a_table_for_people_and_for_programs(own_cache):
    advice = advise(coloured([9, 9]), [small_backbone("a <b>")])
    table = advice.table()
    assert table.index.tolist() == [1, 2, 3]
    assert table.loc[1, "cut"] == advice.best.cut
    assert table.columns.tolist() == [field.name for field in dataclasses.fields(Candidate)]
    page = advice._repr_html_()
    assert page.count("<tr") == 4
    assert "a <b>" not in page
    for row in advice.ranked:
        assert row.reason in page
        assert row.reason in repr(advice)
    assert f"Best of 3: a <b> cut at {advice.best.cut} (18 pictures scored in" in repr(advice)


@pytest.mark.parametrize(
    ("dataset", "candidates", "budget", "message"),
    [
        (coloured([3, 3]), ["vgg61"], 60, "backbone='vgg61' is unknown.*vgg16"),
        (coloured([3, 3]), "vgg16_mini", 60, r"candidates='vgg16_mini' must be a list.*\['vgg16_mini'\]"),
        (coloured([3, 3]), [], 60, "candidates is empty; give names out of vgg16_mini"),
        (coloured([3, 3]), ["vgg16_mini", "vgg16_mini"], 60, "'vgg16_mini' more than once.*dataclasses.replace"),
        (coloured([3, 3]), ["vgg16_mini"], 0, "budget=0 must be a number of seconds above 0"),
        (coloured([3, 3]), ["vgg16_mini"], True, "budget=True must be"),
        (coloured([3, 1]), ["vgg16_mini"], 60, "Class 'class <1>' of coloured has 1 picture.*two groups"),
        (coloured([3, 0]), ["vgg16_mini"], 60, r"coloured has pictures of 1 class\(es\)"),
    ],
)
def test_what_no_advice_can_be_given_for_is_explained(own_cache, dataset, candidates, budget, message: str):
    with pytest.raises(UserError, match=message):
        advise(dataset, candidates, budget)


def slow_tau(x: list[float], y: list[float]) -> float:
    """Kendall's tau-b by counting pairs (Kendall 1945, "The treatment of ties in ranking problems")."""
    pairs = [(i, j) for i in range(len(x)) for j in range(i)]
    products = [np.sign(x[i] - x[j]) * np.sign(y[i] - y[j]) for i, j in pairs]
    untied = [sum(z[i] != z[j] for i, j in pairs) for z in (x, y)]
    return float(sum(products) / np.sqrt(untied[0] * untied[1]))


@given(seed=st.integers(0, 1000), n=st.integers(3, 12))
@hypothesis_settings(max_examples=20)
def test_agreement_is_kendalls_tau_with_ties_and_pearsons_r(seed: int, n: int):
    rng = np.random.default_rng(seed)
    x, y = [0.0, 1.0, *rng.integers(0, 5, n - 2)], [1.0, 0.0, *rng.integers(0, 5, n - 2)]
    found = transferability.agreement(x, y, draws=20)
    assert found.tau == pytest.approx(slow_tau(x, y), abs=1e-9)
    assert found.r == pytest.approx(np.corrcoef(x, y)[0, 1], abs=1e-9)
    assert -1 <= found.low <= found.high <= 1


def test_the_interval_of_tau_narrows_with_more_candidates_and_repeats_itself():
    rng = np.random.default_rng(0)
    x = rng.normal(size=400)
    y = x + rng.normal(size=400)
    few, many = (transferability.agreement(x[:n], y[:n], seed=1) for n in (20, 400))
    assert many.low < slow_tau(x.tolist(), y.tolist()) < many.high
    assert many.high - many.low < 0.4 * (few.high - few.low)
    assert few == transferability.agreement(x[:20], y[:20], seed=1) != transferability.agreement(x[:20], y[:20], seed=2)


@pytest.mark.parametrize(
    ("scores", "accuracies", "message"),
    [
        ([1, 2], [1, 2], r"shape \(2,\) .*3 candidates"),
        ([1, 2, 3], [1, 2], r"shape \(3,\) and accuracies of shape \(2,\)"),
        ([1, 2, np.nan], [1, 2, 3], "NaN or infinite"),
        ([1, 2, 3], [1, 1, 1], "are equal"),
    ],
)
def test_what_cannot_be_compared_is_explained(scores: list[float], accuracies: list[float], message: str):
    with pytest.raises(UserError, match=message):
        transferability.agreement(scores, accuracies)


def test_a_backbone_is_compiled_once_for_all_advice(own_cache, monkeypatch):
    base, built = small_backbone(), []
    original = keras.layers.Concatenate.__init__
    monkeypatch.setattr(
        keras.layers.Concatenate,
        "__init__",
        lambda self, *args, **kw: (built.append(1), original(self, *args, **kw))[1],
    )
    for seed in (0, 1):
        advise(coloured([5, 5], noise=seed + 1), [base])
    assert built == [1]


def test_the_pictures_of_an_advice_go_through_in_batches_of_one_size(own_cache, monkeypatch):
    base, sizes = small_backbone(), []
    original = keras.Model.predict_on_batch
    monkeypatch.setattr(keras.Model, "predict_on_batch", lambda model, x: (sizes.append(len(x)), original(model, x))[1])
    pooled_activations(base, coloured([25, 25]).pictures)
    assert sizes == [25, 25]
    with pytest.raises(UserError, match="no pictures"):
        pooled_activations(base, coloured([5, 5]).pictures[:0])
