"""Findings, claims that are checked, exercises that check themselves, and the record of a run."""

from __future__ import annotations

import html
import importlib.metadata
import inspect
import os
import pkgutil
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from tlutils import settings
from tlutils.course import exercises
from tlutils.course.exercises import answers
from tlutils.evaluation import comparison

MIME = "application/vnd.tlutils.record+json"
HOLDS, CANNOT_TELL, DOES_NOT_HOLD = VERDICTS = ("holds", "cannot tell", "does not hold")
# Each with its mark and its colour, dark enough for text on white.
_MARKS = {HOLDS: ("✓", "#00794f"), CANNOT_TELL: ("?", "#5f6368"), DOES_NOT_HOLD: ("✗", "#b3261e")}


T = TypeVar("T")


class ClaimFailed(AssertionError):
    """A sentence of the notebook does not hold in this run (raised only under TLUTILS_STRICT=1)."""


class _Run:
    """What the notebook of this process has said so far."""

    def __init__(self, notebook: str, parameters: dict[str, Any]) -> None:
        self.notebook = notebook
        self.parameters = parameters
        self.metrics: dict[str, Any] = {}
        self.claims: list[dict[str, Any]] = []
        self.started = time.perf_counter()


_run = _Run("", {})


def begin(notebook: str, **parameters: Any) -> None:
    """Start the record of a notebook; its second code cell calls this.

    Parameters
    ----------
    notebook : str
        Name without suffix, for example ``"03_vgg16"``.
    **parameters
        Name and value of every parameter.

    Raises
    ------
    UserError
        If a parameter that the notebook declares as text is none, as when papermill read its value as a number.
    """
    global _run
    # IPython keeps what the parameters cell declares, and papermill's own cell after it declares nothing.
    declared = getattr(sys.modules["__main__"], "__annotations__", {})
    texts = {name: value for name, value in parameters.items() if declared.get(name) is str}
    # Columns may be given by their numbers.
    settings.require_text(**{name: value for name, value in texts.items() if not _is_column(name, value)})
    _run = _Run(notebook, {name: _plain(value) for name, value in parameters.items()})


def _is_column(name: str, value: object) -> bool:
    return name.endswith("_column") and isinstance(value, int) and not isinstance(value, bool)


def metric(name: str, value: Any) -> None:
    """Put a measured value into the record.

    Parameters
    ----------
    name : str
    value : number, str, or lists and dicts of them
        A name given twice keeps the later value.
    """
    _run.metrics[name] = _plain(value)


def see(text: str) -> None:
    """Say what a figure or a table shows, with the numbers of this run.

    Parameters
    ----------
    text : str
        One or more full sentences; an f-string, so that they stay true in another run.
    """
    _show(f"What we see. {text}", f"<p><b>What we see.</b> {html.escape(text)}</p>")


def only_here(shown: Any, what: str) -> None:
    """Show in the reader's run what is other people's, such as a recording; in stored outputs, say so instead.

    `make notebooks`, which makes the outputs that a notebook is committed with, sets the environment variable
    TLUTILS_STORED to 1.

    Parameters
    ----------
    shown : object
        What IPython displays: a player, a picture, a table.
    what : str
        What it is, for the line that stands in its place.
    """
    from IPython.display import display

    if os.environ.get("TLUTILS_STORED") == "1":
        print(f"Here your own run has: {what}. It is not ours to store.")
    else:
        display(shown)


def claim(text: str, passed: bool, *, observed: object) -> None:
    """State an exact fact and show whether it holds in this run.

    Parameters
    ----------
    text : str
        A full sentence.
    passed : bool
        Whether the numbers of this run bear it out.
    observed : object
        The numbers, as a reader would want to see them.

    Raises
    ------
    ClaimFailed
        If it does not hold and the environment variable TLUTILS_STRICT is 1. Otherwise a red cross is shown and the
        notebook goes on: with other data or parameters a claim may well be false, and that is worth seeing.
    """
    verdict = HOLDS if passed else DOES_NOT_HOLD
    _state({"text": text, "verdict": verdict, "observed": str(observed)})
    if not passed and os.environ.get("TLUTILS_STRICT") == "1":
        raise ClaimFailed(f"{text} Observed: {observed}")


def compare(
    text: str,
    ours: ArrayLike,
    theirs: ArrayLike,
    *,
    margin: float = 0.0,
    groups: ArrayLike | None = None,
    shared: float = 0.0,
) -> None:
    """State that one way is better than another, and show one of three verdicts.

    The sentence holds if the 95 % interval of the difference lies above the margin, and does not hold if it lies below.
    Otherwise these draws and examples cannot tell. No verdict stops a notebook, whatever TLUTILS_STRICT says: an
    opponent that can win sometimes does.

    Parameters
    ----------
    text : str
        A full sentence.
    ours, theirs : float array, shape (draws, examples) or (draws,)
        Scores from 0 to 1 of both ways in the same draws, as for `comparison.over_draws`.
    margin : float
        How much better the sentence says that our way is; 0.1 for ten points.
    groups, shared
        As for `comparison.over_draws`.

    Raises
    ------
    settings.UserError
        As for `comparison.over_draws`.
    """
    found = comparison.over_draws(ours, theirs, groups, shared=shared)
    verdict = HOLDS if found.low > margin else DOES_NOT_HOLD if found.high < margin else CANNOT_TELL
    draws, *examples = np.shape(ours)
    counted = f"{draws} draws" + (f" that share {shared:.0%}" if shared else "")
    counted += "".join(f", {count} examples" for count in examples)
    observed = (
        f"{100 * found.value:+.1f} points, 95 % interval {100 * found.low:+.1f} to {100 * found.high:+.1f}, "
        f"margin {100 * margin:g}; {counted}"
    )
    numbers = {"difference": found.value, "interval": [found.low, found.high], "margin": margin}
    _state({"text": text, "verdict": verdict, "observed": observed, **numbers})


def _state(said: dict[str, Any]) -> None:
    """Keep a sentence with its verdict for the record, and show it."""
    _run.claims.append(_plain(said))
    text, verdict, observed = said["text"], said["verdict"], said["observed"]
    mark, colour = _MARKS[verdict]
    below = f"<br><small>{verdict}: {html.escape(observed)}</small>"
    _show(f"{mark} {text} [{verdict}: {observed}]", _with_bar(mark, colour, html.escape(text) + below))


def check(exercise: str, answer: object) -> None:
    """Check an exercise and say what is wrong with a wrong answer.

    Parameters
    ----------
    exercise : str
        Number of the lesson and name of the exercise, such as ``"03_affordable_cut"``.
    answer : object
        What the exercise asks for; None or ``...`` (or a tuple of them) counts as not yet solved.

    Raises
    ------
    settings.UserError
        Unknown exercise.
    """
    hint = _hint(exercise, answer)
    if hint == answers.NOT_SOLVED:
        mark, colour, message = "○", _MARKS[CANNOT_TELL][1], hint
    else:
        message = "Right." if hint is None else hint
        mark, colour = _MARKS[HOLDS if hint is None else DOES_NOT_HOLD]
    _show(f"{mark} {message}", _with_bar(mark, colour, html.escape(message)))


def answer(exercise: str, given: T, solution: T) -> T:
    """Keep the reader's answer to an exercise if it is right, and take the solution otherwise.

    So a notebook runs from top to bottom before anything is solved, and what follows an exercise calls what the reader
    wrote.

    Parameters
    ----------
    exercise : str
        As for `check`.
    given : object
        What the reader answered.
    solution : object
        What the course would answer.

    Returns
    -------
    object
        `given` or `solution`.

    Raises
    ------
    settings.UserError
        Unknown exercise.
    """
    if _hint(exercise, given) is None:
        print("Your answer is right; it is used from here on.")
        return given
    print("The solution of the course is used from here on.")
    return solution


def _hint(exercise: str, answer: object) -> str | None:
    """Return what is wrong with an answer, None if it is right."""
    checks = _checks(exercise.partition("_")[0])
    if exercise not in checks:
        files = [file.name.removeprefix("lesson_") for file in pkgutil.iter_modules(exercises.__path__)]
        known = ", ".join(name for file in files for name in _checks(file))
        raise settings.UserError(f"exercise={exercise!r} is unknown; choose one of {known}.")
    parts = answer if isinstance(answer, tuple) else (answer,)
    if all(part is None or part is ... for part in parts):
        return answers.NOT_SOLVED
    try:
        return checks[exercise](answer)
    except answers.Hint as told:
        return str(told)


def _checks(lesson: str) -> dict[str, Callable[[Any], str | None]]:
    """Return the checks of a lesson by the names of their exercises: the functions of its file, if it has one."""
    try:
        file = importlib.import_module(f"{exercises.__name__}.lesson_{lesson}")
    except ModuleNotFoundError:
        return {}
    functions = {name: value for name, value in vars(file).items() if inspect.isfunction(value)}
    return {f"{lesson}_{name}": check for name, check in functions.items() if not name.startswith("_")}


def count_verdicts(claims: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Return how many claims of a record got each of `VERDICTS`."""
    return {verdict: sum(claim["verdict"] == verdict for claim in claims) for verdict in VERDICTS}


def record() -> None:
    """Display the record of the run; the last cell of every notebook calls this.

    The display output has the MIME type `MIME`; a JSON object with the keys notebook, parameters, metrics, claims,
    seconds, versions. Each claim has text, verdict and observed; one of `compare` also difference, interval and margin.
    """
    from IPython.display import display

    seconds = round(time.perf_counter() - _run.started, 1)
    counts = count_verdicts(_run.claims)
    data = {
        "notebook": _run.notebook,
        "parameters": _run.parameters,
        "metrics": _run.metrics,
        "claims": _run.claims,
        "seconds": seconds,
        "versions": _versions(),
    }
    said = "; ".join(f"{verdict}: {counts[verdict]}" for verdict in VERDICTS if counts[verdict]) or "no claims"
    text = f"{_run.notebook}: {said}; {len(_run.metrics)} metrics recorded"
    display({MIME: data, "text/plain": text}, raw=True)


def _versions() -> dict[str, str]:
    """What the numbers of a run depend on besides its parameters."""
    packages = ("tlutils", "keras", "tensorflow", "torch", "jax", "numpy", "scikit-learn")
    found = {"python": platform.python_version(), "machine": platform.machine(), "system": platform.system()}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    import keras

    return found | {"backend": keras.backend.backend()}


def _with_bar(mark: str, colour: str, markup: str) -> str:
    """Put markup behind a mark and a bar of one colour."""
    return (
        f'<div style="border-left:4px solid {colour};padding:.3em .8em;margin:.3em 0">'
        f'<b style="color:{colour}">{mark}</b> {markup}</div>'
    )


def _show(text: str, markup: str) -> None:
    """Display as HTML where there is a browser, as text elsewhere."""
    from IPython.display import display

    display({"text/plain": text, "text/html": markup}, raw=True)


def _plain(value: Any) -> Any:
    """Turn NumPy values, tuples and paths into what JSON has."""
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if np.isfinite(value) else str(value)
    return str(value)
