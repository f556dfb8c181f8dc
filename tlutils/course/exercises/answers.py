"""Call what a reader wrote and tell what it did, so that every check of an exercise speaks alike."""

from __future__ import annotations

from typing import Any

NOT_SOLVED = "Not solved yet. Write your answer into the cell above and run it again."


def stopped(error: Exception) -> str:
    """Tell the reader what their function raised, with the first line of its message, if it has one."""
    first_line = next(iter(str(error).splitlines()), "")
    return f"The function stops with {type(error).__name__}: {first_line[:150]}"


def returned(answer: Any, how: str, *arguments: Any) -> tuple[Any, str | None]:
    """Call the reader's function; return what it returns, and a hint where there is nothing to check."""
    if not callable(answer):
        return None, f"Define a function {how}."
    try:
        value = answer(*arguments)
    except Exception as error:
        return None, stopped(error)
    return value, NOT_SOLVED if value is None or value is ... else None


def called(answer: Any, how: str, *arguments: Any) -> Any:
    """Call the reader's function; return what it returns as an array, None for a stub, or a hint."""
    import numpy as np

    value, hint = returned(answer, how, *arguments)
    if hint is not None:
        return None if hint is NOT_SOLVED else hint
    try:
        return np.asarray(value, dtype=np.float64)
    except Exception as error:
        return stopped(error)
