"""Scores of transferability: how well features or source classes serve a target task, before anything is trained."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tlutils import settings
from tlutils.tuning.heads import SMALLEST_RELATIVE_DEVIATION

# Bounds of LogME's ratio of prior precision to noise precision, in units of the mean squared length of a feature
# vector. At either end the evidence has come to rest, except for labels that the features fit without any noise: there
# it grows without bound, and the lower bound makes it a large finite score.
_PRECISION_RATIO = (1e-9, 1e9)

# Penalties of the leave-one-out ridge, in units of the mean squared length of a standardised feature vector.
_PENALTIES = np.logspace(-4, 2, 13)

# Of the bootstrap of `agreement`.
_DRAWS = 200


def logme(features: ArrayLike, labels: ArrayLike) -> float:
    """Log of the maximum evidence: how well a Bayesian linear model explains the labels.

    For each class, the n labels (1 for the class, 0 for the others) are taken as y = F w + noise with w ~ N(0, I / a)
    and noise ~ N(0, I / b); the weights w are integrated out, and the precisions a and b are those that make
    log p(y | F, a, b) largest. The score is that maximum per picture, averaged over the classes (You et al. 2021,
    "LogME: Practical assessment of pre-trained models for transfer learning", section 4).

    For a given ratio t = a / b the best b has a closed form, so that a search along t remains. The paper's fixed-point
    iteration seeks a stationary point of the same function, but may rest at one that is not the highest.

    Parameters
    ----------
    features : array, shape (n, d), or activations, shape (n, height, width, d), which are averaged over the positions
    labels : int array, shape (n,)
        Two classes or more.

    Returns
    -------
    float
        Any number; higher is better. In nats per picture, comparable between features of the same pictures only.
        Does not change when all features are multiplied by one number. Features that fit the labels exactly have
        infinite evidence if they span less than n dimensions; the noise is bounded from below, so they get a large
        finite score.

    Raises
    ------
    settings.UserError
        Fewer than two classes, wrong shapes, values that are not finite.

    Notes
    -----
    Cost: one singular value decomposition, n d min(n, d) operations, then about min(n, d) per class and step.
    """
    from scipy.optimize import minimize_scalar

    x, members = checked(features, labels)
    n = len(x)
    scale = float((x**2).sum(axis=1).mean()) or 1.0
    u, singular, _ = np.linalg.svd(x / np.sqrt(scale), full_matrices=False)
    power = singular**2
    explained = (u.T @ members) ** 2
    unexplained = ((members - u @ (u.T @ members)) ** 2).sum(axis=0)

    def evidence(log_ratio: float, k: int) -> float:
        ratio = np.exp(log_ratio)
        misfit = unexplained[k] + explained[:, k] @ (ratio / (ratio + power))
        # y is normal with covariance (I + F F' / t) / b; b = n / misfit is where the density is largest.
        return float(-0.5 * (np.log(2 * np.pi * misfit / n) + 1 + np.log1p(power / ratio).sum() / n))

    # The evidence can have several maxima: a grid finds the highest, the search refines it.
    lowest, highest = np.log(_PRECISION_RATIO)
    grid = np.linspace(lowest, highest, 84)
    best = []
    for k in range(members.shape[1]):
        values = [evidence(point, k) for point in grid]
        top = int(np.argmax(values))
        around = grid[max(top - 1, 0)], grid[min(top + 1, len(grid) - 1)]
        found = minimize_scalar(lambda point, k=k: -evidence(point, k), bounds=around, method="bounded")
        best.append(max(values[top], -found.fun))
    return float(np.mean(best))


def leep(source_probabilities: ArrayLike, labels: ArrayLike) -> float:
    """Log expected empirical prediction: how well the source model's own classes tell the target classes.

    The source model gives picture i the probabilities theta_i(z) of its classes z. Their joint distribution with the
    target label y over the pictures gives P(y | z); the score is the mean of log sum_z P(y_i | z) theta_i(z) (Nguyen et
    al. 2020, "LEEP: A new measure to evaluate transferability of learned representations", section 3).

    Parameters
    ----------
    source_probabilities : array, shape (n, number of source classes)
        Output of the source model's classifier (``backbones.load(name, top=True)``); rows sum to 1.
    labels : int array, shape (n,)
        Two classes or more.

    Returns
    -------
    float
        0 or less; higher is better. Not below the score of always giving the target classes their shares.

    Raises
    ------
    settings.UserError
        Fewer than two classes, wrong shapes, rows that are no probabilities.

    Notes
    -----
    Cost: n times source classes times target classes. Knows nothing of a cut: it scores the whole source model.
    """
    theta, members = checked(source_probabilities, labels, name="source_probabilities", ndims=(2,))
    if theta.min() < 0 or not np.allclose(theta.sum(axis=1), 1, atol=1e-3):
        raise settings.UserError(
            "source_probabilities holds rows that are no probabilities (0 or more, sum 1); give the output of the "
            "source model's softmax, not its logits."
        )
    joint = members.T @ theta
    used = theta.sum(axis=0) > 0
    conditional = joint[:, used] / joint[:, used].sum(axis=0)
    expected = theta[:, used] @ conditional.T
    return float(np.log(expected[members == 1]).mean())


def h_score(features: ArrayLike, labels: ArrayLike, *, shrinkage: bool = False) -> float:
    """Spread of the class means relative to the spread of the features.

    trace(C^-1 M), C the covariance of the features and M that of the class means, each mean counted once per picture
    (Bao et al. 2019, "An information-theoretic approach to transferability in task transfer learning").
    With fewer pictures than features C is singular, the pseudo-inverse takes its place and the score of any features is
    near its highest value. The shrunk version replaces C by (1 - s) C + s v I, v the mean variance, and M by (1 - s) M
    (Ibrahim et al. 2022, "Newer is not always better: rethinking transferability metrics"); s is Ledoit & Wolf's (2004,
    "A well-conditioned estimator for large-dimensional covariance matrices").

    Parameters
    ----------
    features : array, shape (n, d), or activations, shape (n, height, width, d), which are averaged over the positions
    labels : int array, shape (n,)
        Two classes or more.
    shrinkage : bool
        Use the shrunk version.

    Returns
    -------
    float
        0 to the smaller of d and number of classes - 1; higher is better.

    Raises
    ------
    settings.UserError
        Fewer than two classes, wrong shapes, values that are not finite.

    Notes
    -----
    Cost: one singular value decomposition, n d min(n, d) operations; shrinkage adds n d^2.
    """
    from sklearn.covariance import ledoit_wolf_shrinkage

    x, members = checked(features, labels)
    x = x - x.mean(axis=0)
    u, singular, _ = np.linalg.svd(x, full_matrices=False)
    kept = singular > singular[0] * max(x.shape) * np.finfo(np.float64).eps
    variances = singular[kept] ** 2 / len(x)
    # In the axes of the decomposition C is diagonal, and M's diagonal is the variances times these shares.
    shares = ((u[:, kept].T @ members) ** 2 / members.sum(axis=0)).sum(axis=1)
    if not shrinkage or not kept.any():
        return float(shares.sum())
    s = float(ledoit_wolf_shrinkage(x))
    shrunk = (1 - s) * variances + s * variances.sum() / x.shape[1]
    return float(((1 - s) * variances / shrunk) @ shares)


def ridge_loo_accuracy(features: ArrayLike, labels: ArrayLike) -> float:
    """Leave-one-out accuracy of a ridge classifier.

    The features are standardised as in `tuning.linear_head`. A linear model with an intercept is fitted to the
    indicators of the classes by least squares with a penalty on its weights; each picture is then classified by the
    model of all others. With the hat matrix H of the fit, the error at a picture left out is the error of the fit
    divided by 1 - H_ii (Rifkin & Lippert 2007, "Notes on regularized least squares"), so no model is fitted twice. The
    penalty is the one of 13 with the smallest squared leave-one-out error.

    Parameters
    ----------
    features : array, shape (n, d), or activations, shape (n, height, width, d), which are averaged over the positions
    labels : int array, shape (n,)
        Two classes or more.

    Returns
    -------
    float
        0 to 1, in steps of 1 / n; higher is better. Features that say nothing score below chance, since a picture left
        out makes its own class rarer. A class with one picture cannot be recognised; copies of a picture recognise each
        other, so keep one of them.

    Raises
    ------
    settings.UserError
        Fewer than two classes, wrong shapes, values that are not finite.

    Notes
    -----
    Cost: one eigendecomposition, n d min(n, d) operations, then n min(n, d) max(min(n, d), classes) for the penalties.
    """
    x, members = checked(features, labels)
    return float(right(left_out(x, members), members).mean())


def ridge_loo_r2(features: ArrayLike, labels: ArrayLike) -> float:
    """Share of the labels' variance that the ridge of `ridge_loo_accuracy` explains at pictures left out.

    One minus the squared leave-one-out error (PRESS; Allen 1974, "The relationship between variable selection and data
    augmentation and a method for prediction") over the squared deviation of the class indicators from their means.
    Unlike the accuracy it moves with every picture, so that few candidates tie when labels are few.

    Parameters
    ----------
    features, labels
        As in `ridge_loo_accuracy`.

    Returns
    -------
    float
        At most 1; higher is better. About 0 for features that say nothing about the classes.

    Raises
    ------
    settings.UserError
        Fewer than two classes, wrong shapes, values that are not finite.
    """
    x, members = checked(features, labels)
    return r2(left_out(x, members), members)


def left_out(x: NDArray[np.float64], members: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what the model of all other pictures says of each, shape (n, classes)."""
    from sklearn.linear_model import RidgeCV

    deviation = x.std(axis=0)
    floor = SMALLEST_RELATIVE_DEVIATION * deviation.mean()
    x = (x - x.mean(axis=0)) / (np.maximum(deviation, floor) if floor else 1.0)
    x = x / (np.sqrt((x**2).sum(axis=1).mean()) or 1.0)
    # Not RidgeClassifierCV: its leave-one-out accuracy of two classes is always 1 (scikit-learn issue 34942). A scoring
    # other than the default makes RidgeCV keep the predictions; it chooses the same penalty.
    ridge = RidgeCV(_PENALTIES, scoring="neg_mean_squared_error", store_cv_results=True).fit(x, members)
    return np.asarray(ridge.cv_results_[:, :, np.flatnonzero(_PENALTIES == ridge.alpha_)[0]])


def right(left_out: NDArray[np.float64], members: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which of the pictures left out are put into their own class, shape (n,)."""
    return left_out.argmax(axis=1) == members.argmax(axis=1)


def r2(left_out: NDArray[np.float64], members: NDArray[np.float64]) -> float:
    """Return the share of the labels' variance that is explained at pictures left out."""
    deviation = members - members.mean(axis=0)
    return float(1 - ((left_out - members) ** 2).sum() / (deviation**2).sum())


def checked(
    features: ArrayLike, labels: ArrayLike, *, name: str = "features", ndims: tuple[int, ...] = (2, 4)
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the features, shape (n, d), and the indicators of the classes that occur, shape (n, classes)."""
    x, classes = np.asarray(features, dtype=np.float64), np.asarray(labels)
    if x.ndim not in ndims or 0 in x.shape:
        shapes = " or ".join({2: "(n, d)", 4: "(n, height, width, channels)"}[ndim] for ndim in ndims)
        raise settings.UserError(f"{name} has shape {x.shape}; give {shapes}, each length 1 or more.")
    if classes.shape != (len(x),):
        raise settings.UserError(
            f"{len(x)} pictures in {name}, but labels of shape {classes.shape}; give one class number per picture."
        )
    if not np.isfinite(x).all():
        raise settings.UserError(f"{name} holds NaN or infinite values; look at the pictures and the weights.")
    present = np.unique(classes)
    if len(present) < 2:
        raise settings.UserError(
            f"labels holds class {present[0]} only; a score compares two classes or more. Give pictures of others too."
        )
    if x.ndim == 4:
        x = x.mean(axis=(1, 2))
    return x, (classes[:, None] == present).astype(np.float64)


@dataclass(frozen=True)
class Agreement:
    """How well a score goes with accuracies that were measured.

    Attributes
    ----------
    tau : float
        Kendall's rank correlation (tau-b, which allows for ties), -1 to 1.
    low, high : float
        Its bootstrap interval of 95 %, over the candidates.
    r : float
        Pearson's correlation, -1 to 1.
    """

    tau: float
    low: float
    high: float
    r: float


def agreement(scores: ArrayLike, accuracies: ArrayLike, *, seed: int = 0) -> Agreement:
    """Compare a score with the truth, over candidates (Kendall 1938, "A new measure of rank correlation").

    Parameters
    ----------
    scores, accuracies : array, shape (n,)
        Of the same n candidates, 3 or more; neither all equal.
    seed : int
        Of the bootstrap. Draws in which all scores or all accuracies are equal are left out.

    Returns
    -------
    Agreement
        The interval takes the candidates for independent. Cuts of one backbone are not, so it is too narrow for them.

    Raises
    ------
    settings.UserError
        Different lengths, fewer than three candidates, all equal, values that are not finite.
    """
    from scipy.stats import kendalltau, pearsonr

    x, y = np.asarray(scores, dtype=np.float64), np.asarray(accuracies, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape or len(x) < 3:
        raise settings.UserError(
            f"scores of shape {x.shape} and accuracies of shape {y.shape}; give one of each for 3 candidates or more."
        )
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise settings.UserError("scores or accuracies hold NaN or infinite values; leave those candidates out.")
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        raise settings.UserError("All scores or all accuracies are equal, so there is no order to compare.")
    drawn = np.random.default_rng(seed).integers(len(x), size=(_DRAWS, len(x)))
    varied = [rows for rows in drawn if np.ptp(x[rows]) and np.ptp(y[rows])]
    low, high = np.quantile([kendalltau(x[rows], y[rows]).statistic for rows in varied], [0.025, 0.975])
    return Agreement(float(kendalltau(x, y).statistic), float(low), float(high), float(pearsonr(x, y).statistic))
