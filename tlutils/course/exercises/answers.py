"""Call what a reader wrote, and compare it with the right answer, so that every check of an exercise speaks alike."""

from __future__ import annotations

import numbers
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

NOT_SOLVED = "Not solved yet. Write your answer into the cell above and run it again."


class Hint(Exception):
    """End a check; the message is what the reader is told."""


def run(answer: Any, how: str, *arguments: Any) -> Any:
    """Call the reader's function, which may return nothing; what it raises becomes a hint."""
    if not callable(answer):
        raise Hint(f"Define a function {how}.")
    try:
        return answer(*arguments)
    except Exception as error:
        raise _stopped(error) from error


def called(answer: Any, how: str, *arguments: Any) -> Any:
    """Call the reader's function; one that returns nothing is not solved yet."""
    value = run(answer, how, *arguments)
    if value is None or value is ...:
        raise Hint(NOT_SOLVED)
    return value


def as_array(value: Any, what: str = "numbers") -> Any:
    """Turn what a reader's function returned into an array."""
    try:
        if isinstance(value, str):
            raise TypeError("NumPy would read a number out of text")
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise Hint(f"Return {what}, not {value!r}.") from error
    except Exception as error:
        raise _stopped(error) from error


def judge(
    value: Any,
    right: Any,
    mistakes: Iterable[tuple[Any, str]],
    otherwise: str,
    *,
    shape: str = "Return one number, not an array of shape {shape}.",
    within: float = 1e-8,
) -> str | None:
    """Compare what a reader's function returned with the right numbers, then with those of the usual mistakes.

    Parameters
    ----------
    value : array_like
    right : array_like
    mistakes : iterable of (array_like, str)
        What a mistake leads to, and its hint; the first that fits is told.
    otherwise : str
        The hint for any other numbers; ``{value}`` stands for them.
    shape : str
        The hint for a shape other than that of `right`; ``{shape}`` stands for it.
    within : float
        Numbers no further apart are the same.

    Returns
    -------
    str or None
        None for the right numbers.
    """
    found = as_array(value, "numbers" if np.ndim(right) else "one number")
    if found.shape != np.shape(right):
        return shape.format(shape=found.shape)
    if np.allclose(found, right, atol=within):
        return None
    for wrong, hint in mistakes:
        if np.allclose(found, wrong, atol=within, equal_nan=True):
            return hint
    return otherwise.format(value=found.tolist())


def choices(answer: Any, options: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return a dictionary in which the reader has chosen one of the options for each key; anything else ends the check.

    Parameters
    ----------
    answer : object
        What the reader gave; with a value of None or ``...`` it is not solved yet.
    options : mapping from each key to what may be chosen for it

    Returns
    -------
    dict of str to str

    Raises
    ------
    Hint
        No dictionary, other keys, a value that is no option.
    """
    if not isinstance(answer, dict) or set(answer) != set(options):
        raise Hint(f"Give a dictionary with the keys {', '.join(options)}, as in the cell above.")
    if any(value is None or value is ... for value in answer.values()):
        raise Hint(NOT_SOLVED)
    for key, allowed in options.items():
        if answer[key] not in allowed:
            named = [repr(option) for option in allowed]
            which = " or ".join(named) if len(named) == 2 else f"one of {', '.join(named)}"
            raise Hint(f"{key}: choose {which}, not {answer[key]!r}.")
    return answer


def matched(answer: Any, options: Sequence[str], cases: Mapping[str, tuple[str, str]]) -> str | None:
    """Check a dictionary with one of the same options for each case.

    Parameters
    ----------
    answer : object
        What the reader gave.
    options : sequence of str
    cases : mapping from each case to the right option and to the hint for any other one

    Returns
    -------
    str or None
        The hint of the first wrong case, None if there is none.

    Raises
    ------
    Hint
        As `choices`.
    """
    chosen = choices(answer, dict.fromkeys(cases, options))
    return next((hint for case, (right, hint) in cases.items() if chosen[case] != right), None)


def gives(answer: Any, right: Any, *arguments: Any) -> bool:
    """Whether the reader's function returns this for other arguments, too; one that fails does not."""
    try:
        return judge(called(answer, "", *arguments), right, [], "No.") is None
    except Hint:
        return False


def whole(*values: Any) -> bool:
    """Whether the reader gave whole numbers."""
    return all(isinstance(v, numbers.Real) and not isinstance(v, bool) and v % 1 == 0 for v in values)


def _stopped(error: Exception) -> Hint:
    """Tell the reader what their function raised, with the first line of its message, if it has one."""
    first_line = next(iter(str(error).splitlines()), "")
    return Hint(f"The function stops with {type(error).__name__}: {first_line[:150]}")
