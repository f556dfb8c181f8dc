"""Tell what is unlike all that a classifier learnt from, and measure that with classes that it never saw."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tlutils import settings
from tlutils.evaluation import opponents


def class_means(features: NDArray[np.floating], labels: NDArray[np.int64]) -> NDArray[np.floating]:
    """Return the mean features of each class that occurs.

    Parameters
    ----------
    features : float array, shape (n, k)
    labels : int array, shape (n,)

    Returns
    -------
    float array, shape (n_classes, k)
        In the order of the class numbers.
    """
    return np.array([features[labels == label].mean(axis=0) for label in np.unique(labels)])


def nearness(features: NDArray[np.floating], means: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the cosine of the angle to the nearest class mean; what is unlike all classes has a small one.

    Parameters
    ----------
    features : float array, shape (n, k)
    means : float array, shape (n_classes, k)

    Returns
    -------
    float array, shape (n,)
        -1 to 1; 0 for features that are all 0.

    Examples
    --------
    >>> nearness(np.array([[3.0, 0.0], [3.0, 4.0], [0.0, 0.0]]), np.array([[1.0, 0.0], [-1.0, 0.0]]))
    array([1. , 0.6, 0. ])
    """
    from sklearn.metrics.pairwise import cosine_similarity

    return cosine_similarity(features, means).max(axis=1)


def without_class(
    label: int,
    features: NDArray[np.floating],
    labels: NDArray[np.int64],
    train: NDArray[np.int64],
    validation: NDArray[np.int64],
) -> tuple[NDArray[np.int64], dict[str, NDArray[np.floating]]]:
    """Leave a class out of training and validation, and ask about all examples.

    Parameters
    ----------
    label : int
        The class that is left out.
    features : float array, shape (n, k)
        Of all examples, from a network that has not seen the class with its label either.
    labels : int array, shape (n,)
    train, validation : int array

    Returns
    -------
    validation : int array
        The validation examples of the other classes, to choose thresholds by.
    signals : dict of str to float array, shape (n,)
        What a head and class means that have never seen the class say of all examples: ``confidence``, the largest
        probability, and ``nearness``.

    Raises
    ------
    settings.UserError
        If fewer than two classes are left.
    """
    part, by = (rows[labels[rows] != label] for rows in (train, validation))
    if len(np.unique(labels[part])) < 2:
        raise settings.UserError(f"Without class {label}, fewer than two are left, and a head needs two or more.")
    head = opponents.tuned_head(features[part], labels[part], (features[by], labels[by]), choose_by="log loss")
    near = nearness(features, class_means(features[part], labels[part]))
    return by, {"confidence": head.predict_proba(features).max(axis=1), "nearness": near}
