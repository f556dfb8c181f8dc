"""Grids of parameters: from a command line, from a file, or drawn from one by chance."""

from __future__ import annotations

import csv
import io
import json
import math
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tlutils.runs.parameters import checked, parse_value
from tlutils.settings import UserError

_RANGE = re.compile(r"(-?\d+)\.\.(-?\d+)")
_MOST = 100_000


class Grid:
    """All combinations of some axes, each a list of alternatives; none is made before it is asked for.

    Parameters
    ----------
    axes : sequence of sequence of mapping
        An alternative sets one parameter or more.

    Raises
    ------
    UserError
        If an axis is empty, has an alternative twice, or sets what another one sets.
    """

    def __init__(self, axes: Sequence[Sequence[Mapping[str, Any]]]) -> None:
        self._axes = axes
        owners: set[str] = set()
        empty = "The grid is empty, or a row of it is. Give at least one value of each parameter."
        if not axes:
            raise UserError(empty)
        for axis in axes:
            names = {name for alternative in axis for name in alternative}
            if not axis or not all(axis):
                raise UserError(empty)
            if names & owners:
                raise UserError(f"{sorted(names & owners)[0]!r} is given twice. Name each parameter once.")
            owners |= names
            seen = set()
            for alternative in axis:
                told = json.dumps(alternative, sort_keys=True, default=str)
                if told in seen:
                    raise UserError(f"{told} stands twice in the grid. Give each value or row once.")
                seen.add(told)

    def __len__(self) -> int:
        return math.prod(map(len, self._axes))

    def __getitem__(self, index: int) -> dict[str, Any]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        point: dict[str, Any] = {}
        # The last axis changes fastest.
        for axis in reversed(self._axes):
            index, place = divmod(index, len(axis))
            point = {**axis[place], **point}
        return point

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self[index] for index in range(len(self)))

    def drawn(self, count: int, seed: int) -> list[dict[str, Any]]:
        """Return some of the combinations, drawn without repetition; the same for the same seed."""
        if not 1 <= count <= len(self):
            raise UserError(f"random={count} cannot be drawn from {len(self)} combinations; give 1 to {len(self)}.")
        return [self[index] for index in sorted(random.Random(seed).sample(range(len(self)), count))]


def grid_of(values: Mapping[str, Sequence[Any]] | Sequence[Mapping[str, Any]], declared: Mapping[str, str]) -> Grid:
    """Return the grid of a mapping from names to values, or of a list of points, held against the declared types."""
    if isinstance(values, Mapping):
        for name, of_name in values.items():
            if isinstance(of_name, str) or not isinstance(of_name, Sequence):
                raise UserError(f"{name}={of_name!r} is no list of values. Write {name}=[...], also for a single one.")
        axes: list[list[Mapping[str, Any]]] = [[{name: value} for value in values[name]] for name in values]
    else:
        axes = [list(values)]
    checks = [
        [{name: checked(name, value, declared.get(name, "None")) for name, value in row.items()} for row in axis]
        for axis in axes
    ]
    return Grid(checks)


def grid_from(pairs: Sequence[tuple[str, str]], file: Path | None, declared: Mapping[str, str]) -> Grid:
    """Return the grid of ``-p NAME VALUES`` options and of a file: every row of the file with every combination."""
    axes = [[{name: value} for value in values_of(name, text, declared.get(name, "None"))] for name, text in pairs]
    return Grid(axes + (_read(file, declared) if file else []))


def values_of(name: str, text: str, declared: str = "None") -> list[Any]:
    r"""Read ``a,b,c`` as values of a declared type, and ``0..4`` as the whole numbers from 0 to 4.

    A comma within brackets separates nothing; of a text parameter, ``0..4`` is a text.

    Examples
    --------
    >>> values_of("seed", "0..2,7", "int")
    [0, 1, 2, 7]
    >>> values_of("groups", r"(day\d{1,2}),none", "str")
    ['(day\\d{1,2})', 'none']
    """
    values: list[Any] = []
    for piece in _pieces(text):
        ends = _RANGE.fullmatch(piece.strip()) if declared in ("int", "float", "None") else None
        if ends is None:
            values.append(parse_value(name, piece if declared == "str" else piece.strip(), declared))
            continue
        first, last = int(ends[1]), int(ends[2])
        if not 0 <= last - first < _MOST:
            raise UserError(f"{name}={piece!r} is no range from a smaller to a larger number, below {_MOST:,} long.")
        values += [parse_value(name, str(number), declared) for number in range(first, last + 1)]
    return values


def _pieces(text: str) -> list[str]:
    pieces, depth = [""], 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        if character == "," and depth <= 0:
            pieces.append("")
        else:
            pieces[-1] += character
    return pieces


def _read(file: Path, declared: Mapping[str, str]) -> list[list[dict[str, Any]]]:
    """Read the axes of a file; its texts mean what they mean on the command line."""
    import yaml

    try:
        text = file.read_text(encoding="utf-8-sig")
        if file.suffix.lower() == ".csv":
            table = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
            content: Any = [{name: cell for name, cell in row.items() if cell not in ("", None)} for row in table]
        else:
            # As text, so that a folder called 2024 stays one.
            content = yaml.load(text, Loader=yaml.BaseLoader)
    except (OSError, ValueError, csv.Error, yaml.YAMLError) as error:
        raise UserError(f"{file} cannot be read as a grid ({' '.join(str(error).split())}).") from error
    lists = isinstance(content, dict)
    axes = (
        [[{name: value} for value in ([of] if isinstance(of, str) else of)] for name, of in content.items()]
        if (lists and all(isinstance(of, list | str) for of in content.values()))
        else [content]
    )
    whole = all(isinstance(axis, list) and all(isinstance(row, dict) for row in axis) for axis in axes)
    if not whole or any(not isinstance(value, str) for axis in axes for row in axis for value in row.values()):
        raise UserError(
            f"{file} is no grid. Write each name with its list of values (YAML), or a list of points (YAML), or a "
            "table with a column per name and a row per point (CSV)."
        )
    return [
        [{name: parse_value(name, value, declared.get(name, "None")) for name, value in row.items()} for row in axis]
        for axis in axes
    ]
