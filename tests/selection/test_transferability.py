"""Scores of transferability against the papers' definitions, written out slowly here."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tlutils.selection import transferability
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


@pytest.mark.parametrize(("n", "d", "n_classes"), [(30, 5, 2), (15, 40, 3), (20, 20, 2), (12, 1, 3)])
def test_logme_is_the_highest_evidence_over_both_precisions(n: int, d: int, n_classes: int):
    x, labels = problem(n, d, n_classes)
    assert transferability.logme(x, labels) == pytest.approx(slow_logme(x, labels), abs=1e-6)


@pytest.mark.parametrize(
    ("n", "d", "change"), [(30, 4, "constant"), (14, 30, "duplicate"), (30, 4, "zero column"), (14, 30, "constant")]
)
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


def slow_tau(x: list[float], y: list[float]) -> float:
    """Kendall's tau-b by counting pairs (Kendall 1945, "The treatment of ties in ranking problems")."""
    pairs = [(i, j) for i in range(len(x)) for j in range(i)]
    products = [np.sign(x[i] - x[j]) * np.sign(y[i] - y[j]) for i, j in pairs]
    untied = [sum(z[i] != z[j] for i, j in pairs) for z in (x, y)]
    return float(sum(products) / np.sqrt(untied[0] * untied[1]))


@given(seed=st.integers(0, 1000), n=st.integers(3, 12))
@hypothesis_settings(max_examples=10)
def test_agreement_is_kendalls_tau_with_ties_and_pearsons_r(seed: int, n: int):
    rng = np.random.default_rng(seed)
    x, y = [0.0, 1.0, *rng.integers(0, 5, n - 2)], [1.0, 0.0, *rng.integers(0, 5, n - 2)]
    found = transferability.agreement(x, y)
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
