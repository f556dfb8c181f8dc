"""See whether a classifier's probabilities mean what they say, and put them right with a temperature."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tlutils import settings
from tlutils.evaluation import bootstrap, metrics

# Between which a temperature is looked for. A few dozen validation pictures, of which one or none is wrong, would
# otherwise ask for any certainty, and a model at the level of chance for none at all.
TEMPERATURES = (0.25, 4.0)


@dataclass(frozen=True, eq=False)
class Reliability:
    """How often the predicted class is right, by the confidence of the prediction.

    Attributes
    ----------
    edges : float array, shape (bins + 1,)
        Of the bins, equally wide from 0 to 1; a bin includes its upper edge.
    counts : int array, shape (bins,)
        Pictures in each bin.
    confidence, accuracy : float array, shape (bins,)
        Mean probability of the predicted class, and share of right predictions; NaN in an empty bin.
    """

    edges: NDArray[np.float64]
    counts: NDArray[np.int64]
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]

    @property
    def ece(self) -> float:
        """Expected calibration error: mean gap between accuracy and confidence (Guo et al. 2017, equation 3)."""
        return float(np.nansum(self.counts * np.abs(self.accuracy - self.confidence)) / self.counts.sum())


def reliability(labels: ArrayLike, probabilities: ArrayLike) -> Reliability:
    """Compute the data of a reliability diagram (Guo et al. 2017, "On calibration of modern neural networks").

    Parameters
    ----------
    labels, probabilities
        As for `metrics.evaluate`.

    Returns
    -------
    Reliability
        `plots.reliability` draws it.

    Raises
    ------
    settings.UserError
        As for `metrics.evaluate`.

    Examples
    --------
    >>> data = reliability([0, 1, 1], [[0.9, 0.1], [0.35, 0.65], [0.65, 0.35]])
    >>> data.counts.tolist(), data.accuracy[6:].tolist()
    ([0, 0, 0, 0, 0, 0, 2, 0, 1, 0], [0.5, nan, 1.0, nan])
    """
    true, scores = metrics.check_scores(labels, probabilities)
    confidence = scores.max(axis=1)
    bin_of = bootstrap.confidence_bins(confidence)
    right, confident, counts = (
        np.bincount(bin_of, weights, bootstrap.BINS) for weights in (scores.argmax(axis=1) == true, confidence, None)
    )
    with np.errstate(invalid="ignore"):
        return Reliability(bootstrap.EDGES, counts, confident / counts, right / counts)


def softmax(logits: ArrayLike, temperature: float = 1.0) -> NDArray[np.float64]:
    """Turn logits into probabilities: exp(z_k / T) / sum_j exp(z_j / T).

    Parameters
    ----------
    logits : float array, shape (n, n_classes)
    temperature : float
        T, above 0. Above 1 the probabilities move towards equal ones, below 1 towards certainty; their order, and with
        it the predicted class, stays.

    Returns
    -------
    float64 array, shape (n, n_classes)

    Raises
    ------
    settings.UserError
        A temperature that is not a positive number.

    Examples
    --------
    >>> softmax([[0.0, np.log(3)]])
    array([[0.25, 0.75]])
    """
    import scipy.special

    if not 0 < temperature < math.inf:
        raise settings.UserError(f"temperature={temperature!r} must be a positive number.")
    return scipy.special.softmax(np.asarray(logits, dtype=np.float64) / temperature, axis=-1)


def fit_temperature(labels: ArrayLike, logits: ArrayLike) -> float:
    """Find the temperature that calibrates a classifier (temperature scaling; Guo et al. 2017, section 4.2).

    It minimises the log loss of ``softmax(logits, temperature)``, the mean of -log p(true class), between the bounds
    `TEMPERATURES`. The loss is convex in 1/T, so that it has one minimum, which lies at a bound where every picture is
    right (the loss falls as far as T does) or where the logits say no more than chance (it falls as T grows).

    Parameters
    ----------
    labels : int array, shape (n,)
        Of validation pictures: neither the training pictures, of which the model is too sure, nor the test pictures.
    logits : float array, shape (n, n_classes)

    Returns
    -------
    float
        T, within `TEMPERATURES`; above 1 for a model that was too sure of itself.

    Raises
    ------
    settings.UserError
        Labels or logits of another shape, not finite, or of different pictures.

    Examples
    --------
    >>> round(fit_temperature([0, 0, 0, 1], [[4.0, 0.0]] * 4), 2)  # right in 3 of 4: softmax is 3/4 at 4 / T = log 3
    3.64
    """
    import scipy.optimize
    import scipy.special

    true, scores = metrics.check_scores(labels, logits, logits=True)
    # Only differences between logits matter; taken from the true class they make the loss mean(log(sum(exp(.)))).
    margins = scores - scores[np.arange(len(true)), true][:, None]

    def loss(log_temperature: float) -> float:
        return float(scipy.special.logsumexp(margins * np.exp(-log_temperature), axis=1).mean())

    bounds = np.log(TEMPERATURES)
    best = scipy.optimize.minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-9})
    # The search comes near a bound and never upon it.
    return float(np.exp(min([*bounds, best.x], key=loss)))
