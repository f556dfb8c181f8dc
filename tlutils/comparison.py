"""Compare two models on the same pictures, and two domains by their features."""

from __future__ import annotations

import html
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tlutils import metrics, resampling, settings

if TYPE_CHECKING:
    import pandas as pd

_FOLDS = 5
_FEWEST_PICTURES = 20


@dataclass(frozen=True)
class McNemar:
    """Outcome of McNemar's exact test.

    Attributes
    ----------
    only_first, only_second : int
        Pictures that only this model gets right.
    p_value : float
        Two-sided.
    """

    only_first: int
    only_second: int
    p_value: float

    def __str__(self) -> str:
        return (
            f"{self.only_first} pictures only the first gets right, {self.only_second} only the second; "
            f"McNemar's exact p = {self.p_value:.2g}"
        )


def mcnemar(labels: ArrayLike, first: ArrayLike, second: ArrayLike) -> McNemar:
    """Test whether two models are right equally often (McNemar 1947, "Note on the sampling error of the difference").

    Pictures that both or neither get right say nothing about the difference. If the models are equally good, each of
    the others is a fair coin: the test is the exact binomial one.

    Parameters
    ----------
    labels, first, second : int array, shape (n,)
        True class numbers, and those that each model predicts, for the same pictures in the same order. The pictures
        must be independent: of several pictures of one patient, take one, or use `compare` with groups.

    Returns
    -------
    McNemar

    Raises
    ------
    settings.UserError
        As for `metrics.accuracy`.

    Examples
    --------
    >>> print(mcnemar([1, 1, 1, 1, 1, 1], [0, 0, 0, 0, 0, 1], [1, 1, 1, 1, 1, 1]))
    0 pictures only the first gets right, 5 only the second; McNemar's exact p = 0.062
    """
    from scipy.stats import binomtest

    true, of_first = metrics.check_classes(labels, first)
    _, of_second = metrics.check_classes(labels, second)
    only_first = int(((of_first == true) & (of_second != true)).sum())
    only_second = int(((of_second == true) & (of_first != true)).sum())
    differ = only_first + only_second
    p_value = float(binomtest(only_first, differ).pvalue) if differ else 1.0
    return McNemar(only_first, only_second, p_value)


@dataclass(frozen=True, repr=False)
class Comparison:
    """What `compare` measured; shows itself as a table.

    Attributes
    ----------
    names : pair of str
    pictures : int
    first, second : dict of float
        Each score of `metrics.SCORES` for each model.
    difference : dict of Interval
        Second minus first; NaN for the ends where every resample gives the same.
    mcnemar : McNemar or None
        None with groups, whose pictures are not independent.
    resamples, seed : int
        Of the bootstrap.
    """

    names: tuple[str, str]
    pictures: int
    first: dict[str, float]
    second: dict[str, float]
    difference: dict[str, metrics.Interval]
    mcnemar: McNemar | None
    resamples: int
    seed: int

    def as_dict(self) -> dict[str, Any]:
        """Return every number by its name, for the record of a run; None for what is not defined."""
        test = self.mcnemar
        return {
            "pictures": self.pictures,
            "names": list(self.names),
            "first": {score: None if math.isnan(value) else value for score, value in self.first.items()},
            "second": {score: None if math.isnan(value) else value for score, value in self.second.items()},
            "difference": {score: interval.as_dict() for score, interval in self.difference.items()},
            "mcnemar": test and {"only_first": test.only_first, "only_second": test.only_second, "p": test.p_value},
            "resamples": self.resamples,
            "seed": self.seed,
        }

    def __repr__(self) -> str:
        return "\n\n".join([self._caption(), self._table().to_string(index=False), self._test()])

    def _repr_html_(self) -> str:
        caption, test = html.escape(self._caption()), html.escape(self._test())
        return f"<p>{caption}</p>{self._table().to_html(index=False)}<p><small>{test}</small></p>"

    def _caption(self) -> str:
        return (
            f"{self.pictures} test picture(s); difference: {self.names[1]} minus {self.names[0]}, with 95 % intervals "
            f"from {self.resamples:,} paired bootstrap resamples (seed {self.seed})"
        )

    def _table(self) -> pd.DataFrame:
        import pandas as pd

        rows = []
        for score, (label, spec, best) in metrics.SCORES.items():
            models = [
                "not defined" if math.isnan(v) else f"{v:{spec}}" for v in (self.first[score], self.second[score])
            ]
            rows.append([label, *models, f"{self.difference[score]:+.3f}", best])
        return pd.DataFrame(rows, columns=["score", *self.names, "difference [interval]", "best"])

    def _test(self) -> str:
        if self.mcnemar is None:
            test = "No McNemar test, since pictures of one group are not independent."
        else:
            test = f"{self.mcnemar} (first: {self.names[0]}, second: {self.names[1]})."
        same = any(math.isnan(interval.low) for interval in self.difference.values())
        return test + " No interval where every resample gives the same difference, or none." * same


def compare(
    labels: ArrayLike,
    first: ArrayLike,
    second: ArrayLike,
    names: tuple[str, str] = ("first", "second"),
    *,
    groups: ArrayLike | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> Comparison:
    """Compare two models on the same test pictures, with the paired bootstrap and McNemar's exact test.

    Both models are scored on the same resamples. What makes a picture hard for both cancels, so the interval of the
    difference is narrower than the two models' own intervals suggest: these may overlap although one model is better.
    All intervals are percentiles, that of the ECE too, since its bias mostly cancels.

    Parameters
    ----------
    labels : int array, shape (n,)
    first, second : float array, shape (n, n_classes)
        Probabilities, as for `metrics.evaluate`.
    names : pair of str
        Of the models, for the table.
    groups, resamples, seed
        As for `metrics.evaluate`.

    Returns
    -------
    Comparison
        Takes twice as long as `metrics.evaluate`.

    Raises
    ------
    settings.UserError
        As for `metrics.evaluate`; models of different numbers of classes; equal names.

    Examples
    --------
    >>> labels = np.array([0, 1] * 50)
    >>> good, weak = np.eye(2)[labels] * 0.8 + 0.1, np.full((100, 2), 0.5)
    >>> result = compare(labels, weak, good, ("weak", "good"))
    >>> result.difference["accuracy"].value, result.mcnemar.only_second
    (0.5, 50)
    """
    true, scores = metrics.check_probabilities(labels, first)
    _, others = metrics.check_probabilities(labels, second)
    if scores.shape != others.shape:
        raise settings.UserError(
            f"The first model has {scores.shape[1]} classes, the second {others.shape[1]}; only models of the same "
            "classes can be compared."
        )
    if len(names) != 2 or names[0] == names[1]:
        raise settings.UserError(f"names={names!r}: give two models two different names.")
    whole = np.ones((1, len(true)))
    values = [resampling.weighted_scores(true, model, whole) for model in (scores, others)]
    changes: list[dict[str, NDArray[np.float64]]] = []
    for weights in resampling.bootstrap(true, groups, resamples, seed):
        before, after = (resampling.weighted_scores(true, model, weights) for model in (scores, others))
        changes.append({score: after[score] - before[score] for score in metrics.SCORES})
    first_scores, second_scores = ({score: float(value[score][0]) for score in metrics.SCORES} for value in values)
    difference = {
        score: metrics.bootstrap_interval(
            second_scores[score] - first_scores[score], np.concatenate([change[score] for change in changes])
        )
        for score in metrics.SCORES
    }
    independent = resampling.unit_numbers(groups, len(true)).max() + 1 == len(true)
    return Comparison(
        names=(names[0], names[1]),
        pictures=len(true),
        first=first_scores,
        second=second_scores,
        difference=difference,
        mcnemar=mcnemar(true, scores.argmax(axis=1), others.argmax(axis=1)) if independent else None,
        resamples=resamples,
        seed=seed,
    )


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

    source = _features("source_features", source_features)
    target = _features("target_features", target_features)
    if source.shape[1] != target.shape[1]:
        raise settings.UserError(
            f"{source.shape[1]} source features and {target.shape[1]} target features; take both from the same layer."
        )
    domain = np.repeat([0, 1], [len(source), len(target)])
    classifier = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=1000))
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=seed)
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
