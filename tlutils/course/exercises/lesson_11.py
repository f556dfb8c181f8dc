"""Check the exercises of lesson 11."""

from __future__ import annotations

from typing import Any

import numpy as np

from tlutils.course.exercises import answers


def by_patient(answer: Any) -> str | None:
    """A function (scores, patients) -> the mean score of each patient, in the order of their numbers."""
    how = "by_patient(scores, patients)"
    # Patient 7 comes before 2, there is no 3, and the numbers of slices differ.
    scores = np.array([0.9, 0.1, 0.4, 0.3, 0.8, 0.2, 0.6])
    patients = np.array([7, 2, 7, 2, 5, 2, 7])
    members = [scores[patients == patient] for patient in (2, 5, 7)]
    right = np.array([each.mean() for each in members])
    mistakes = [
        (np.array([each.sum() for each in members]), "These are sums: a patient with more slices would score higher."),
        (np.array([each.max() for each in members]), "This is the largest score of each patient, not the mean."),
        (np.array([each[0] for each in members]), "You keep the first slice of each patient and drop the others."),
        (right[[2, 0, 1]], "The patients come in the order of their first slices. Sort them by their numbers."),
        (right[::-1], "The patients are in the wrong order: the smallest number comes first."),
        (
            np.array([each.sum() for each in members]) * 3 / 7,
            "You divide every sum by the same number. Divide each by the number of slices of its own patient.",
        ),
    ]
    shape = "Return one number for each of the 3 patients, not an array of shape {shape}."
    otherwise = "Not yet. For every patient, take the scores of its slices, wherever they lie, and average them."
    hint = answers.judge(answers.called(answer, how, scores, patients), right, mistakes, otherwise, shape=shape)
    if hint is None and not answers.gives(answer, [0.5, 0.25], np.array([0.5, 0.0, 0.5]), np.array([0, 4, 4])):
        return "Right for three patients, but two others go wrong. Take the numbers from patients."
    return hint


def missing(answer: Any) -> str | None:
    """What each of four reports lacks."""
    options = ("an opponent", "a split by patient", "an interval by patient", "a threshold from validation")
    cases = {
        "A": (options[1], "A: ask where the other slices of a test patient are."),
        "B": (options[0], "B: the patients are apart. Ask what else could reach 0.91, without photographs."),
        "C": (options[2], "C: opponents are there. Ask how many people stand behind the 2,000 slices."),
        "D": (options[3], "D: ask who chose the threshold, and on whom."),
    }
    return answers.matched(answer, options, cases)
