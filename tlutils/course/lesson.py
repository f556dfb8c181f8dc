"""Claims that are checked, exercises that check themselves, and the record of a run."""

from __future__ import annotations

import html
import importlib.metadata
import inspect
import os
import pkgutil
import platform
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from tlutils import settings
from tlutils.course import exercises
from tlutils.course.exercises import answers

MIME = "application/vnd.tlutils.record+json"


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
    """
    global _run
    _run = _Run(notebook, {name: _plain(value) for name, value in parameters.items()})


def metric(name: str, value: Any) -> None:
    """Put a measured value into the record.

    Parameters
    ----------
    name : str
    value : number, str, or lists and dicts of them
        A name given twice keeps the later value.
    """
    _run.metrics[name] = _plain(value)


def claim(text: str, passed: bool, *, observed: object) -> None:
    """State a result and show whether it holds in this run.

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
    passed = bool(passed)
    _run.claims.append({"text": text, "passed": passed, "observed": str(observed)})
    mark, colour, word = ("✓", "#00794f", "holds") if passed else ("✗", "#b3261e", "does not hold here")
    _show(
        f"{mark} {text} [{word}: {observed}]",
        f'<div style="border-left:4px solid {colour};padding:.3em .8em;margin:.3em 0">'
        f'<b style="color:{colour}">{mark}</b> {html.escape(text)}<br>'
        f"<small>{word}: {html.escape(str(observed))}</small></div>",
    )
    if not passed and os.environ.get("TLUTILS_STRICT") == "1":
        raise ClaimFailed(f"{text} Observed: {observed}")


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
    checks = _checks(exercise.partition("_")[0])
    if exercise not in checks:
        files = [file.name.removeprefix("lesson_") for file in pkgutil.iter_modules(exercises.__path__)]
        known = ", ".join(name for file in files for name in _checks(file))
        raise settings.UserError(f"exercise={exercise!r} is unknown; choose one of {known}.")
    parts = answer if isinstance(answer, tuple) else (answer,)
    untouched = all(part is None or part is ... for part in parts)
    try:
        hint = answers.NOT_SOLVED if untouched else checks[exercise](answer)
    except answers.Hint as told:
        hint = str(told)
    if hint == answers.NOT_SOLVED:
        mark, colour, message = "○", "#666666", hint
    else:
        mark, colour, message = ("✓", "#00794f", "Right.") if hint is None else ("✗", "#b3261e", hint)
    _show(
        f"{mark} {message}",
        f'<div style="border-left:4px solid {colour};padding:.3em .8em;margin:.3em 0">'
        f'<b style="color:{colour}">{mark}</b> {html.escape(message)}</div>',
    )


def _checks(lesson: str) -> dict[str, Callable[[Any], str | None]]:
    """Return the checks of a lesson by the names of their exercises: the functions of its file, if it has one."""
    try:
        file = importlib.import_module(f"{exercises.__name__}.lesson_{lesson}")
    except ModuleNotFoundError:
        return {}
    functions = {name: value for name, value in vars(file).items() if inspect.isfunction(value)}
    return {f"{lesson}_{name}": check for name, check in functions.items() if not name.startswith("_")}


def record() -> None:
    """Display the record of the run; the last cell of every notebook calls this.

    The display output has the MIME type `MIME`; a JSON object with the keys notebook, parameters, metrics, claims
    (text, passed, observed), seconds, versions.
    """
    from IPython.display import display

    seconds = round(time.perf_counter() - _run.started, 1)
    held = sum(claim["passed"] for claim in _run.claims)
    data = {
        "notebook": _run.notebook,
        "parameters": _run.parameters,
        "metrics": _run.metrics,
        "claims": _run.claims,
        "seconds": seconds,
        "versions": _versions(),
    }
    text = f"{_run.notebook}: {held} of {len(_run.claims)} claims hold, {len(_run.metrics)} metrics recorded"
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
