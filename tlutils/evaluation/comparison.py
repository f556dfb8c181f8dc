"""Compare two models on the same pictures, in one run or over several draws."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from tlutils import settings
from tlutils.evaluation import bootstrap, metrics

if TYPE_CHECKING:
    import pandas as pd


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
class Comparison(metrics.Report):
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
    notes : tuple of str
        The outcome of the test, and what is not defined.
    """

    names: tuple[str, str]
    pictures: int
    first: dict[str, float]
    second: dict[str, float]
    difference: dict[str, metrics.Interval]
    mcnemar: McNemar | None
    resamples: int
    seed: int
    notes: tuple[str, ...]

    def _shown(self) -> tuple[str, *tuple[pd.DataFrame, ...]]:
        import pandas as pd

        caption = (
            f"{self.pictures} test picture(s); difference: {self.names[1]} minus {self.names[0]}, with 95 % intervals "
            f"from {self.resamples:,} paired bootstrap resamples (seed {self.seed})"
        )
        rows = []
        for score, (label, spec, best) in metrics.SCORES.items():
            models = [
                "not defined" if math.isnan(v) else f"{v:{spec}}" for v in (self.first[score], self.second[score])
            ]
            rows.append([label, *models, f"{self.difference[score]:+.3f}", best])
        return caption, pd.DataFrame(rows, columns=["score", *self.names, "difference [interval]", "best"])


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
    >>> import numpy as np
    >>> labels = np.array([0, 1] * 50)
    >>> good, weak = np.eye(2)[labels] * 0.8 + 0.1, np.full((100, 2), 0.5)
    >>> result = compare(labels, weak, good, ("weak", "good"))
    >>> result.difference["accuracy"].value, result.mcnemar.only_second
    (0.5, 50)
    """
    true, scores = metrics.check_scores(labels, first)
    _, others = metrics.check_scores(labels, second)
    if scores.shape != others.shape:
        raise settings.UserError(
            f"The first model has {scores.shape[1]} classes, the second {others.shape[1]}; only models of the same "
            "classes can be compared."
        )
    if len(names) != 2 or names[0] == names[1]:
        raise settings.UserError(f"names={names!r}: give two models two different names.")
    # The same seed draws the same resamples for both.
    before, after = (bootstrap.resampled_scores(true, model, groups, resamples, seed) for model in (scores, others))
    difference = {score: metrics.bootstrap_interval(after[score] - before[score]) for score in metrics.SCORES}
    test, note = None, "No McNemar test, since pictures of one group are not independent."
    if bootstrap.unit_numbers(groups, len(true)).max() + 1 == len(true):
        test = mcnemar(true, scores.argmax(axis=1), others.argmax(axis=1))
        note = f"{test} (first: {names[0]}, second: {names[1]})."
    if any(math.isnan(interval.low) for interval in difference.values()):
        note += " No interval where every resample gives the same difference, or none."
    return Comparison(
        names=(names[0], names[1]),
        pictures=len(true),
        first={score: float(before[score][0]) for score in metrics.SCORES},
        second={score: float(after[score][0]) for score in metrics.SCORES},
        difference=difference,
        mcnemar=test,
        resamples=resamples,
        seed=seed,
        notes=(note,),
    )


def over_draws(
    ours: ArrayLike, theirs: ArrayLike, groups: ArrayLike | None = None, *, shared: float = 0.0
) -> metrics.Interval:
    """Mean difference of paired scores over several draws, with an interval for other draws and other examples.

    Two things are left to chance: the draw (which pictures were labelled, which weights a network started from) and
    the choice of the test examples. The variances of both means are added, as those of the pigeonhole bootstrap are
    (Owen 2007, "The pigeonhole bootstrap"), and Student's t gets the degrees of freedom of the sum (Satterthwaite 1946,
    "An approximate distribution of estimates of variance components"). Resampling would make the interval too narrow:
    three draws have only ten resamples. Draws that share labelled pictures differ too little among themselves; their
    variance is corrected as if scores were correlated as much as pictures are shared (Nadeau & Bengio 2003, "Inference
    for the generalization error"). Where no example tells the two apart, the interval is three over the number of
    examples wide on each side (the rule of three; Hanley & Lippman-Hand 1983, "If nothing goes wrong, is everything all
    right?").

    Parameters
    ----------
    ours, theirs : float array, shape (draws, examples) or (draws,)
        Scores of two models in the same draws, two or more; 1 for right and 0 for wrong, say. A column is the same
        example in every draw. With one score per draw, the examples must be others in each draw.
    groups : array, shape (examples,), optional
        Examples of one group, such as the slices of a patient, are chosen together.
    shared : float
        The share of labelled pictures that two draws have in common, 0 to less than 1, as `datasets.shared` tells it.

    Returns
    -------
    Interval
        Ours minus theirs; the ends of the 95 % interval.

    Raises
    ------
    settings.UserError
        Scores of unequal shapes, fewer than two draws, a score that is not finite, groups that do not fit, draws that
        are all the same.

    Examples
    --------
    >>> print(over_draws([[1, 1, 1, 0], [1, 1, 0, 1]], [[0, 0, 0, 0], [0, 0, 0, 0]]))
    0.75 [0.29, 1.21]
    """
    from scipy.stats import t

    first, second = np.asarray(ours, dtype=np.float64), np.asarray(theirs, dtype=np.float64)
    if first.shape != second.shape or first.ndim not in (1, 2) or len(first) < 2 or first.size == 0:
        raise settings.UserError(
            f"Scores of shapes {first.shape} and {second.shape}: give two arrays of one shape, (draws, examples) or "
            "(draws,), with two or more draws."
        )
    difference = first - second
    if not np.isfinite(difference).all():
        raise settings.UserError("A score is not a finite number; look at that draw, it failed.")
    if not 0 <= shared < 1:
        raise settings.UserError(
            f"shared={shared}: draws that label the same pictures are one draw. Give fewer labels, more pictures, or a "
            "share of 0 to less than 1."
        )
    by_draw = difference if difference.ndim == 1 else difference.mean(axis=1)
    mean = float(by_draw.mean())
    spread_of_draws = float(by_draw.var(ddof=1)) * (1 / len(by_draw) + shared / (1 - shared))
    parts = [(spread_of_draws, len(by_draw) - 1)]
    least = 0.0
    if difference.ndim == 2 and difference.shape[1] > 1:
        unit = bootstrap.unit_numbers(groups, difference.shape[1])
        sums = np.bincount(unit, weights=difference.mean(axis=0) - mean)
        if len(sums) > 1:
            spread = len(sums) / (len(sums) - 1) * float(np.square(sums).sum()) / difference.shape[1] ** 2
            parts.append((spread, len(sums) - 1))
            least = 3 / len(sums) if spread == 0 else 0.0
    elif groups is not None:
        raise settings.UserError("Groups belong to examples; give the scores of single examples, (draws, examples).")
    variance = sum(spread for spread, _ in parts)
    reach = least
    if variance > 0:
        freedom = 1 / sum((spread / variance) ** 2 / number for spread, number in parts)
        reach = max(least, float(t.ppf(0.975, freedom)) * math.sqrt(variance))
    return metrics.Interval(mean, mean - reach, mean + reach)
