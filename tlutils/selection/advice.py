"""Rank pretrained networks and cuts for a target task before anything is trained."""

from __future__ import annotations

import functools
import html
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tlutils import cut, datasets, settings, store
from tlutils.datasets import picture_files
from tlutils.models import backbones
from tlutils.models.features import pooled_activations
from tlutils.selection.transferability import checked, left_out, r2, right

if TYPE_CHECKING:
    import keras
    import pandas as pd


# Pictures of each class that `advise` may score. Few steps, so that two runs of slightly different speed choose the
# same pictures, give the same ranking and find the activations in the cache.
_PER_CLASS = (2, 5, 10, 20, 50, 100, 200, 500)

# More pictures cost time and no longer change the ranking: with these the standard error is at most 1.6 points.
_ENOUGH = 1000

_TIMED_PICTURES = 8
_SHARE_FOR_TRUNKS = 0.8


@dataclass(frozen=True)
class Candidate:
    """A backbone and a cut, with what it promises and what it costs.

    Attributes
    ----------
    backbone, cut : str
    score : float
        `ridge_loo_r2` of the activations at the cut, averaged over the positions.
    accuracy : float
        `ridge_loo_accuracy` of the same.
    seconds_per_picture : float
        Of the trunk, measured here in batches of at most 8.
    kilobytes_per_picture : float
        What `cut.compute_once` stores, in thousands of bytes (float32).
    tail_parameters : int
        What fine-tuning the layers behind the cut trains (normalisation layers stay frozen); 0 at the end of the base.
    reason : str
        In words, against the best candidate.
    """

    backbone: str
    cut: str
    score: float
    accuracy: float
    seconds_per_picture: float
    kilobytes_per_picture: float
    tail_parameters: int
    reason: str


@dataclass(frozen=True, repr=False)
class Advice:
    """What `advise` found; shows itself as a table.

    Attributes
    ----------
    ranked : tuple of Candidate
        The highest score first.
    n_pictures : int
        Pictures that were scored.
    seconds : float
        That the advice took.
    not_told_apart : int
        Of the other candidates, those that these pictures do not tell from the best.
    """

    ranked: tuple[Candidate, ...]
    n_pictures: int
    seconds: float
    not_told_apart: int

    @property
    def best(self) -> Candidate:
        """The candidate with the highest score."""
        return self.ranked[0]

    def table(self) -> pd.DataFrame:
        """Return the ranking, one row per candidate; the index is the rank, from 1."""
        import pandas as pd

        return pd.DataFrame(self.ranked, index=pd.RangeIndex(1, len(self.ranked) + 1, name="rank"))

    def _title(self) -> str:
        best = f"{self.best.backbone} cut at {self.best.cut}"
        return f"Best of {len(self.ranked)}: {best} ({self.n_pictures} pictures scored in {self.seconds:.0f} s)"

    def _doubt(self) -> str:
        """Return a sentence on what the ranking leaves open, "" if nothing."""
        if not self.not_told_apart:
            return ""
        others = len(self.ranked) - 1
        which = f"{self.not_told_apart} of the other {others} candidates from the best"
        if self.not_told_apart == others:
            which = "the candidates apart"
        return (
            f"These pictures cannot tell {which}. Of those, take the fastest or the smallest, or give more pictures or "
            "a larger budget."
        )

    def __repr__(self) -> str:
        lines = [self._title(), self._doubt(), self.table().to_string(formatters=_FORMATS, index_names=False)]
        return "\n".join(line for line in lines if line)

    def _repr_html_(self) -> str:
        table = self.table().to_html(formatters=_FORMATS, index_names=False, border=0)
        return f"<p>{html.escape(f'{self._title()} {self._doubt()}'.strip())}</p>{table}"


_FORMATS: dict[str | int, Callable[[Any], str]] = {
    "score": "{:.3f}".format,
    "accuracy": "{:.2f}".format,
    "seconds_per_picture": "{:.4f}".format,
    "kilobytes_per_picture": "{:,.1f}".format,
    "tail_parameters": "{:,}".format,
}


def advise(
    dataset: datasets.Dataset,
    candidates: Sequence[str | backbones.Backbone] | None = None,
    budget: float = 60.0,
    *,
    seed: int = 0,
) -> Advice:
    """Rank backbones and their cuts for a target task by a few pictures, without training a network.

    Every backbone computes the chosen pictures once and yields the activations of all its cuts. The ranking is by
    `ridge_loo_r2`: how well a linear head on the frozen trunk, cut there, would do. It does not know what fine-tuning
    the tail would add.

    Parameters
    ----------
    dataset : Dataset
        The training pictures only: ``dataset.subset(split.train)``. Test pictures that take part in the choice no
        longer measure it.
    candidates : sequence of str or Backbone, optional
        Names in `backbones.CATALOGUE`, which are loaded with pretrained weights, or loaded backbones, such as an
        untrained control under a name of its own. Default: every backbone of the catalogue whose weights lie on this
        machine.
    budget : float
        Seconds the advice may take, more or less. All candidates are scored on the same pictures: 2, 5, 10, 20, 50,
        100, 200 or 500 of each class, or all where a class has fewer; the most that the time left after loading allows
        at the speed measured on 8 pictures, and no more than 1,000 together.
    seed : int
        Chooses the pictures. Of pictures of one group and class (copies, one patient) one takes part, since a picture
        left out would be recognised by its twin.

    Returns
    -------
    Advice

    Raises
    ------
    settings.UserError
        Unknown, repeated or no candidates; weights that cannot be brought; a class with fewer than two groups; fewer
        than two classes; a budget that does not suffice for two pictures of each class.
    """
    start = time.perf_counter()
    if isinstance(budget, bool) or not isinstance(budget, int | float) or not budget > 0:
        raise settings.UserError(f"budget={budget!r} must be a number of seconds above 0.")
    order = _one_of_each_group(dataset, seed)
    loaded = _loaded(candidates)
    first = dataset.subset(
        np.concatenate([pool[:1] for pool in order] + [pool[1:2] for pool in order])[:_TIMED_PICTURES]
    )
    seconds = {base.name: _seconds_per_picture(base, first.resized(base.image_size)) for base in loaded}
    per_picture = sum(times[-1] for times in seconds.values())
    per_class = _affordable([len(pool) for pool in order], per_picture, budget, time.perf_counter() - start)
    sample = dataset.subset(np.concatenate([pool[:per_class] for pool in order]))
    found: list[tuple[Candidate, NDArray[np.bool_]]] = []
    for base in loaded:
        activations = pooled_activations(base, sample.resized(base.image_size))
        for at, taken, parameters in zip(base.cuts, seconds[base.name], _tail_parameters(base), strict=True):
            x, members = checked(activations[at], sample.labels)
            left = left_out(x, members)
            hits = right(left, members)
            size = 4 * np.prod(base.model.get_layer(at).output.shape[1:]) / 1000
            costs = taken, float(size), parameters
            found.append((Candidate(base.name, at, r2(left, members), float(hits.mean()), *costs, ""), hits))
    found.sort(key=lambda pair: (-pair[0].score, pair[0].seconds_per_picture))
    best, best_right = found[0]
    equals = sum(not _told_apart(hits, best_right) for _, hits in found[1:])
    reasons = [_reason_of_best(best, equals), *(_reason(*pair, best, best_right) for pair in found[1:])]
    explained = tuple(replace(pair[0], reason=reason) for pair, reason in zip(found, reasons, strict=True))
    return Advice(explained, len(sample), time.perf_counter() - start, equals)


@functools.lru_cache(maxsize=8)
def _segments(backbone: backbones.Backbone) -> list[keras.Model]:
    """Build the networks that lead from the pictures to the first cut and from each cut to the next."""
    return cut.segments(backbone.model, backbone.cuts)


def _at_hand() -> list[str]:
    """Return the names of the backbones whose weights need no fetching."""
    fetched = {name for name in store.FILES if store.present(name)}
    return [name for name in backbones.CATALOGUE if name in fetched or name in backbones.MINI.values()]


def _loaded(candidates: Sequence[str | backbones.Backbone] | None) -> list[backbones.Backbone]:
    if isinstance(candidates, str):
        raise settings.UserError(f"candidates={candidates!r} must be a list of backbones, such as [{candidates!r}].")
    wanted = _at_hand() if candidates is None else list(candidates)
    if not wanted:
        raise settings.UserError(
            f"candidates is empty; give names out of {', '.join(backbones.CATALOGUE)}, or None for all that are here."
        )
    names = [base if isinstance(base, str) else base.name for base in wanted]
    for name in names:
        if names.count(name) > 1:
            raise settings.UserError(
                f"candidates holds {name!r} more than once; give another name to one of them with "
                "dataclasses.replace(backbone, name=...)."
            )
    return [backbones.load(base) if isinstance(base, str) else base for base in wanted]


def _one_of_each_group(dataset: datasets.Dataset, seed: int) -> list[NDArray[np.int64]]:
    """Return for each class that occurs one picture of each of its groups, in random order."""
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(len(dataset))
    pools = []
    for label in np.flatnonzero(dataset.counts):
        members = shuffled[dataset.labels[shuffled] == label]
        pool = members[np.sort(np.unique(dataset.groups[members], return_index=True)[1])]
        if len(pool) < 2:
            raise settings.UserError(
                f"Class {dataset.class_names[label]!r} of {dataset.name} has {len(members)} picture(s) of one group; "
                "a score needs two groups of each class at least. Add pictures of that class, or leave the class out."
            )
        pools.append(pool)
    if len(pools) < 2:
        raise settings.UserError(f"{dataset.name} has pictures of {len(pools)} class(es); advice needs two or more.")
    return pools


def _seconds_per_picture(backbone: backbones.Backbone, pictures: picture_files.Pictures) -> list[float]:
    """Measure how long it takes from a picture to each cut."""
    segments = _segments(backbone)
    seconds = np.zeros(len(segments))
    for _ in range(2):  # The first pass also compiles.
        x = np.asarray(pictures[:])
        for position, segment in enumerate(segments):
            start = time.perf_counter()
            x = segment.predict_on_batch(x)
            seconds[position] = time.perf_counter() - start
    return (np.cumsum(seconds) / len(pictures)).tolist()


def _affordable(available: list[int], seconds_per_picture: float, budget: float, elapsed: float) -> int:
    """Return how many pictures of each class the trunks can compute in the time that is left."""
    # Scoring needs its share too.
    affordable = min((budget - elapsed) * _SHARE_FOR_TRUNKS / seconds_per_picture, _ENOUGH)
    totals = {step: sum(min(count, step) for count in available) for step in _PER_CLASS}
    fewest = _PER_CLASS[0]
    if totals[fewest] * seconds_per_picture > (budget - elapsed) * _SHARE_FOR_TRUNKS:
        needed = elapsed + totals[fewest] * seconds_per_picture / _SHARE_FOR_TRUNKS
        raise settings.UserError(
            f"budget={budget:g} seconds are too few: loading and timing the networks took {elapsed:.0f}, and the "
            f"{totals[fewest]} pictures that are scored at least need {seconds_per_picture:.2g} each. Give "
            f"budget={np.ceil(1.2 * needed):.0f}, or fewer candidates."
        )
    return max([fewest, *(step for step, total in totals.items() if total <= affordable)])


def _tail_parameters(backbone: backbones.Backbone) -> list[int]:
    """Count for each cut what fine-tuning behind it would train."""
    import keras

    counts = []
    for segment in _segments(backbone):
        trained = [layer for layer in segment.layers if not isinstance(layer, keras.layers.BatchNormalization)]
        counts.append(sum(layer.count_params() for layer in trained))
    return [sum(counts[position + 1 :]) for position in range(len(counts))]


def _told_apart(right: NDArray[np.bool_], best_right: NDArray[np.bool_]) -> bool:
    """Say whether these pictures, left out, tell a candidate from a better one."""
    # Two classifiers of the same pictures differ by chance by the root of the pictures where only one is right.
    return bool(best_right.sum() - right.sum() > 2 * np.sqrt((right != best_right).sum()))


def _reason_of_best(best: Candidate, equals: int) -> str:
    if best.score <= 0:
        return "ranks first, yet no candidate tells more about the classes than guessing"
    reason = f"best: a linear head puts {best.accuracy:.0%} of pictures left out into the right class"
    return f"{reason}; not told from it: {equals} of the others" if equals else reason


def _reason(candidate: Candidate, right: NDArray[np.bool_], best: Candidate, best_right: NDArray[np.bool_]) -> str:
    """Say in words how the candidate stands against the best."""
    points = 100 * (best.accuracy - candidate.accuracy)
    apart = _told_apart(right, best_right)
    parts = [f"{points:.0f} points below the best" if apart else "not told from the best by these pictures"]
    speed = best.seconds_per_picture / candidate.seconds_per_picture
    if speed >= 1.5:
        parts.append(f"{speed:.1f} times as fast")
    elif speed <= 1 / 1.5:
        parts.append(f"takes {1 / speed:.1f} times as long")
    if candidate.cut == backbones.PREPROCESS:
        parts.append("the mean colour alone, no layer of the network")
    return ", ".join(parts)
