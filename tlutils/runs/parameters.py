"""The parameters that a notebook declares, and the values that a command line gives them."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tlutils.runs.records import one_line
from tlutils.settings import UserError


def parameters_of(notebook: Path) -> dict[str, str]:
    """Return the parameters that a notebook declares, each with its declared type.

    Parameters
    ----------
    notebook : Path

    Returns
    -------
    dict of str to str
        Such as ``{"seed": "int"}``; the type is ``"None"`` where none was declared.

    Raises
    ------
    UserError
        If the notebook is missing or cannot be read.
    """
    from papermill import inspect_notebook

    if not notebook.is_file():
        raise UserError(f"There is no notebook {notebook}. Check the name.")
    try:
        inspected = inspect_notebook(literal(notebook))
    # What a broken notebook makes nbformat and papermill raise is anything from KeyError to their own classes.
    except Exception as error:
        raise UserError(f"{notebook} cannot be read as a notebook ({one_line(str(error))}).") from error
    return {name: parameter["inferred_type_name"] for name, parameter in inspected.items()}


def parse_value(name: str, text: str, declared: str = "None") -> Any:
    """Turn the text of a ``-p name text`` option into a value of the type that the notebook declares.

    A parameter declared ``str`` takes the text as it is. Otherwise a Python literal is read as Python reads it (``20``,
    ``1e-4``, ``True``, ``None``, ``[3, 4]``), ``true`` and ``false`` too are truth values, and the rest stays text.

    Parameters
    ----------
    name, text : str
    declared : str
        Type in the notebook's parameters cell.

    Returns
    -------
    bool, int, float, str, list, dict or None

    Raises
    ------
    UserError
        If the notebook declares ``int``, ``float`` or ``bool`` and the text is none.

    Examples
    --------
    >>> parse_value("learning_rate", "1e-4", "float")
    0.0001
    >>> parse_value("augment", "true", "bool")
    True
    >>> parse_value("data_dir", "2024", "str")
    '2024'
    >>> parse_value("epochs", "many", "int")
    Traceback (most recent call last):
    ...
    tlutils.settings.UserError: epochs='many' is not of the declared type int.
    """
    if declared == "str":
        return text
    try:
        if declared in ("int", "float"):
            return {"int": int, "float": float}[declared](text)
        if text.lower() in ("true", "false"):
            return text.lower() == "true"
        if declared == "bool":
            raise ValueError
    except ValueError:
        raise UserError(f"{name}={text!r} is not of the declared type {declared}.") from None
    try:
        literal = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
    return literal if literal is None or isinstance(literal, int | float | str | list | dict) else text


def checked(name: str, value: Any, declared: str) -> Any:
    """Return a value that a program gave if it is of the declared type, of which a whole number is a float too."""
    kinds: dict[str, Any] = {"int": int, "float": int | float, "bool": bool, "str": str}
    kind = kinds.get(declared, object)
    if not isinstance(value, kind) or (declared in ("int", "float") and isinstance(value, bool)):
        raise UserError(f"{name}={value!r} is not of the declared type {declared}.")
    return float(value) if declared == "float" else value


def share_out(notebooks: Sequence[Path], parameters: Mapping[str, Any], by_some: bool) -> dict[Path, dict[str, Any]]:
    """Give each notebook the parameters it knows; raise UserError for one that is known too seldom."""
    known = {notebook: parameters_of(notebook) for notebook in notebooks}
    for name in parameters:
        strangers = [notebook for notebook in notebooks if name not in known[notebook]]
        if not strangers or (by_some and len(strangers) < len(notebooks)):
            continue
        choices = list(dict.fromkeys(choice for notebook in strangers for choice in known[notebook]))
        close = difflib.get_close_matches(name, choices, n=1)
        raise UserError(
            f"The parameter {name!r} is unknown to {', '.join(notebook.stem for notebook in strangers)}. "
            + (f"Did you mean {close[0]!r}? " if close else "")
            + (f"Valid names: {', '.join(choices)}." if choices else "No parameters are declared there.")
        )
    return {
        notebook: {name: value for name, value in parameters.items() if name in known[notebook]}
        for notebook in notebooks
    }


def literal(path: Path) -> str:
    """Double the braces in a path, which papermill would otherwise fill in like a format string."""
    return str(path).replace("{", "{{").replace("}", "}}")
