"""Check the exercises of lesson 12b."""

from __future__ import annotations

from typing import Any

import numpy as np

from tlutils.course.exercises import answers


def mean_by_recording(answer: Any) -> str | None:
    """A function (outputs, owners) -> one row for each recording, the mean over its windows."""
    how = "mean_by_recording(outputs, owners)"
    rng = np.random.default_rng(0)
    outputs, owners = rng.normal(size=(7, 3)), np.array([0, 1, 1, 1, 2, 3, 3])
    members = [outputs[owners == owner] for owner in range(4)]
    right = np.array([rows.mean(axis=0) for rows in members])
    mistakes = [
        (
            np.array([rows.sum(axis=0) for rows in members]),
            "These are sums: a recording of three windows counts three times. Divide by the number of its windows.",
        ),
        (np.array([rows[0] for rows in members]), "You keep the first window of each recording and drop the others."),
        (np.array([rows[-1] for rows in members]), "You keep the last window of each recording and drop the others."),
        (np.array([rows.max(axis=0) for rows in members]), "This is the largest value over the windows, not the mean."),
        (right[::-1], "The recordings are in the wrong order. Row 0 belongs to owner 0."),
        (
            np.array([rows.sum(axis=0) for rows in members]) * 4 / 7,
            "You divide every sum by the same number. Divide each by the number of windows of its own recording.",
        ),
    ]
    shape = "Return one row for each of the 4 recordings, with as many numbers as outputs has columns, not {shape}."
    otherwise = "Not yet. For every owner, take the rows of outputs that are its own, and average them over the rows."
    hint = answers.judge(answers.called(answer, how, outputs, owners), right, mistakes, otherwise, shape=shape)
    if hint is None and not answers.gives(answer, outputs[:2], outputs[:2], np.array([0, 1])):
        return "Right for four recordings, but two of one window each go wrong. Count the recordings in owners."
    return hint


def believed(answer: Any) -> str | None:
    """For whom each of four claimed accuracies counts."""
    options = ("new speakers", "these speakers", "nothing")
    chosen = answers.choices(answer, dict.fromkeys("ABCD", options))
    hints = {
        ("A", "these speakers"): "A: nobody of the test was heard in training. So what was measured is new speakers.",
        ("A", "nothing"): "A: every speaker said every word, and the test speakers are new. What else could tell?",
        ("B", "new speakers"): "B: the takes 0 to 4 are of the same six people as the others. No new voice was asked.",
        ("B", "nothing"): "B: everybody said every word, so no voice tells the word. For these six, the number counts.",
        ("C", "new speakers"): "C: the folds hold new takes, and the two voices stay. Ask what tells yes from no.",
        ("C", "these speakers"): "C: the voice alone tells the word here. Even for these two, nobody knows what a "
        "no of Ann would be called.",
        ("D", "new speakers"): "D: the patients are apart, but the device is not. Ask what else differs between the "
        "two classes.",
        ("D", "these speakers"): "D: the device alone may tell the class. So it says nothing on coughs.",
    }
    for claim, choice in chosen.items():
        if (claim, choice) in hints:
            return hints[claim, choice]
    return None
