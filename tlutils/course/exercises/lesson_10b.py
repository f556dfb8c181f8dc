"""Check the exercises of lesson 10b."""

from __future__ import annotations

from typing import Any

import numpy as np

from tlutils.course.exercises import answers


def coral(answer: Any) -> str | None:
    """A function (source, target) -> source rows with the target's mean and, up to + I, its covariance."""

    def power(matrix: Any, p: float) -> Any:
        values, vectors = np.linalg.eigh(matrix)
        return vectors * values**p @ vectors.T

    rng = np.random.default_rng(7)
    source = rng.normal(size=(40, 3)) @ np.array([[2.0, 0.5, 0.0], [0.0, 1.0, -0.7], [0.3, 0.0, 0.6]]) + [1, -2, 0.5]
    target = rng.normal(size=(30, 3)) @ np.array([[0.7, 0.0, 0.4], [1.1, 2.5, 0.0], [0.0, -0.6, 1.3]]) + [-1, 3, 2]
    value = answers.as_array(answers.called(answer, "coral(source, target)", source.copy(), target.copy()))
    if value.shape == (len(target), 3):
        return "You move the target's rows. The labels belong to the source: move its rows."
    if value.shape != source.shape:
        return f"Return an array like source, of shape {source.shape}, not {value.shape}."
    cs, ct, one = np.cov(source, rowvar=False), np.cov(target, rowvar=False), np.eye(3)
    centred, ms, mt = source - source.mean(axis=0), source.mean(axis=0), target.mean(axis=0)
    whiten, colour = power(cs + one, -0.5), power(ct + one, 0.5)
    no_identity = "You forgot + I. Here the covariances have inverses; with fewer pictures than features they do not."
    order = "The order is transposed: rows stand left, so whiten first, S @ whiten @ recolour. The two do not commute."
    alone = "That moves the mean alone. If you whiten and recolour with the source's covariance, one undoes the other."
    mistakes = [
        (centred @ power(cs, -0.5) @ power(ct, 0.5) + mt, no_identity),
        (centred @ colour @ whiten + mt, order),
        (centred + mt, alone),
        (centred @ whiten + mt, "The rows are white now. Recolour them with the target's covariance."),
        ((source - mt) @ whiten @ colour + mt, "You centre with the target's mean. Centre the source with its own."),
        (source @ whiten @ colour, "The means are left as they fall. Centre first; add the target's mean at the end."),
        (source @ whiten @ colour + mt, "Centre the source rows with their own mean first."),
        (centred @ whiten @ colour, "You forgot to add the target's mean at the end."),
        (centred @ whiten @ colour + ms, "You add the source's mean. The rows shall lie where the target's lie."),
        (centred @ power(ct + one, -0.5) @ power(cs + one, 0.5) + mt, "Source and target are swapped in the roots."),
        (centred @ power(cs + one, 0.5) @ power(ct + one, -0.5) + mt, "The signs of the two exponents are swapped."),
        (centred @ power(cs + one, -1) @ (ct + one) + mt, "Take square roots: the exponents are -1/2 and 1/2."),
    ]
    otherwise = (
        "The means agree, the covariance does not: (S - mean) @ (Cs + I)^(-1/2) @ (Ct + I)^(1/2) + target's mean."
        if np.allclose(value.mean(axis=0), mt)
        else "The mean of the moved rows must be the target's. Centre with the source's mean, add the target's."
    )
    return answers.judge(value, centred @ whiten @ colour + mt, mistakes, otherwise)


def control(answer: Any) -> str | None:
    """The control that each of four reports lacks."""
    options = ("the mean alone", "the network alone", "a weather left out", "a few labels")
    cases = {
        "A": (options[1], "A: two things differ between the linear head and the adversarial network. Take one away."),
        "B": (options[0], "B: CORAL moves two things. Ask which of them brought the 11 points."),
        "C": (options[2], "C: ask who drew the snow of the training, and who that of the test."),
        "D": (options[3], "D: ask what else could be done in two weeks."),
    }
    return answers.matched(answer, options, cases)
