"""How far two domains are apart in the features of a network."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tlutils import settings

_FOLDS = 5

_FEWEST_PICTURES = 20


def proxy_a_distance(source_features: ArrayLike, target_features: ArrayLike, *, seed: int = 0) -> float:
    """Measure how well a linear classifier tells two domains apart: 2 (1 - 2 err).

    The A-distance of Ben-David et al. 2007, "Analysis of representations for domain adaptation", estimated as they do,
    with two changes. The error comes from cross-validation, so that many features of few pictures, which a linear
    classifier can always learn by heart, fake no distance. And it is the mean of the two domains' errors, so that
    guessing the larger domain gains nothing. Chance stays: two halves of one domain with 1,280 features are up to 0.5
    apart by 50 pictures each, up to 0.2 by 200.

    Parameters
    ----------
    source_features, target_features : float array, shape (n, d)
        Features of pictures of each domain, 20 or more; n may differ. Standardised here, on the training folds.
    seed : int
        Of the folds.

    Returns
    -------
    float
        0 (not to be told apart; an error above 1/2 counts as 1/2) to 2 (separable).

    Raises
    ------
    settings.UserError
        Features of another shape or not finite, of different lengths, too few pictures.

    Examples
    --------
    >>> pictures = np.random.default_rng(0).normal(size=(40, 3))
    >>> proxy_a_distance(pictures[:20], pictures[20:] + 10)
    2.0
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    source = _features("source_features", source_features)
    target = _features("target_features", target_features)
    if source.shape[1] != target.shape[1]:
        raise settings.UserError(
            f"{source.shape[1]} source features and {target.shape[1]} target features; take both from the same layer."
        )
    domain = np.repeat([0, 1], [len(source), len(target)])
    classifier = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=1000))
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=seed)
    # For tables as small as these, a second thread costs several times what it saves.
    with threadpool_limits(1):
        guessed = cross_val_predict(classifier, np.concatenate([source, target]), domain, cv=folds)
    error = 1 - balanced_accuracy_score(domain, guessed)
    return float(max(0.0, 2 * (1 - 2 * error)))


def _features(name: str, values: ArrayLike) -> NDArray[np.float64]:
    features = np.asarray(values, dtype=np.float64)
    if features.ndim != 2 or not features.shape[1]:
        raise settings.UserError(
            f"{name} has shape {features.shape}; give one row per picture. Of activations of shape (n, height, width, "
            f"channels) take {name}.mean(axis=(1, 2))."
        )
    if len(features) < _FEWEST_PICTURES:
        raise settings.UserError(
            f"{name} has {len(features)} row(s); the distance of fewer than {_FEWEST_PICTURES} pictures per domain is "
            "chance. Give more, 200 for a steady value."
        )
    if not np.isfinite(features).all():
        raise settings.UserError(f"{name} holds NaN or infinite values; look at the pictures and the weights.")
    return features
