"""Read what executed notebooks recorded: one, or all below a folder; and lay it out as a table."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tlutils.course import DOES_NOT_HOLD, HOLDS, MIME, VERDICTS, count_verdicts
from tlutils.settings import UserError, printable, writing

# What a record does not count: the start of the kernel and the imports before `course.begin`.
START_SECONDS = 8


@dataclass(frozen=True)
class Result:
    """What came of one notebook.

    Attributes
    ----------
    notebook : str
        Its name without the suffix; below a collected folder, with the folders that lead to it.
    path : Path
        The executed copy.
    status : str
        ``"ok"``, ``"claims failed"`` (a fact, not a comparison), ``"error"`` (a cell raised), ``"killed"`` (its process
        or kernel died or ran out of time), ``"no record"`` or ``"unreadable"``.
    seconds : float or None
        From start to end with the start of the kernel; when collected, as written in the record.
    record : dict or None
        Keys notebook, parameters, metrics, claims, seconds, versions.
    message : str
        Why it is not ok; empty if it is.
    """

    notebook: str
    path: Path
    status: str
    seconds: float | None
    record: dict[str, Any] | None
    message: str = ""

    @property
    def claims(self) -> list[dict[str, Any]]:
        """The record's claims, none if there is no record."""
        return list((self.record or {}).get("claims", []))

    @property
    def counts(self) -> dict[str, int]:
        """How many claims got each verdict."""
        return count_verdicts(self.claims)


def record_of(path: Path) -> dict[str, Any] | None:
    """Return the record that an executed notebook ends with.

    Parameters
    ----------
    path : Path

    Returns
    -------
    dict or None
        The last output of the record's MIME type, None if there is none.

    Raises
    ------
    UserError
        If the file cannot be read as a notebook.
    """
    record = None
    for _, output in _outputs(path):
        found = output.get("data", {}).get(MIME)
        if isinstance(found, dict):
            record = found
    for claim in (record or {}).get("claims", []):
        if "passed" in claim:  # as the first edition wrote it
            claim["verdict"] = HOLDS if claim.pop("passed") else DOES_NOT_HOLD
    return record


def survey(folder: Path) -> list[Result]:
    """Judge every executed notebook below a folder by what is written in it.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    list of Result
        Sorted by path. Hidden files and folders are left out; an unreadable notebook is one of the results.

    Raises
    ------
    UserError
        If the folder is missing or holds no notebook.
    """
    if not folder.is_dir():
        raise UserError(f"There is no folder {folder}. Give one that `tlutils run` has written to.")
    found = [path.relative_to(folder) for path in sorted(folder.rglob("*.ipynb"))]
    visible = [path for path in found if not any(part.startswith(".") for part in path.parts)]
    if not visible:
        raise UserError(f"There is no notebook below {folder}. Give a folder that `tlutils run` has written to.")
    return [read(folder / path, path.with_suffix("").as_posix()) for path in visible]


def records(results: Sequence[Result], folder: Path) -> list[dict[str, Any]]:
    """Return the records among some results.

    Parameters
    ----------
    results : sequence of Result
        As `survey` returns them; those without a record are left out.
    folder : Path
        What was surveyed.

    Returns
    -------
    list of dict
        Each record with the further key ``file``, the path below `folder`. In all names and texts, characters that
        break lines or are no UTF-8 are escaped.
    """
    return [
        _escaped({"file": result.path.relative_to(folder).as_posix(), **result.record})
        for result in results
        if result.record is not None
    ]


def _escaped(value: Any) -> Any:
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, list):
        return [_escaped(item) for item in value]
    if isinstance(value, dict):
        return {_escaped(key): _escaped(item) for key, item in value.items()}
    return value


def expected_seconds(notebooks: Sequence[Path], output_dir: Path) -> float | None:
    """Tell from earlier records how long it takes to execute notebooks one after the other.

    Parameters
    ----------
    notebooks : sequence of Path
    output_dir : Path
        Where an earlier run may have left executed copies. A notebook without a copy there counts with the record
        stored in it, one without any record like the mean of the others.

    Returns
    -------
    float or None
        None if no notebook has a record.
    """
    known = []
    for notebook in notebooks:
        for path in (output_dir / notebook.name, notebook):
            record = record_of(path) if path.is_file() else None
            if record is not None and "seconds" in record:
                known.append(record["seconds"] + START_SECONDS)
                break
    return sum(known) / len(known) * len(notebooks) if known else None


def table(results: Sequence[Result]) -> str:
    """Lay results out as plain text, with the reasons of the failed ones below.

    Parameters
    ----------
    results : sequence of Result

    Returns
    -------
    str
        Columns notebook, seconds, one for each verdict with the number of its claims, status; then a line for each
        failure and for each claim that does not hold or cannot be told.

    Examples
    --------
    >>> claims = [{"text": "Transfer wins.", "verdict": "does not hold", "observed": "0.4 < 0.5"}]
    >>> print(table([Result("01_concepts", Path("01_concepts.ipynb"), "claims failed", 61.04, {"claims": claims})]))
    notebook     seconds  holds  cannot tell  does not hold  status
    01_concepts     61.0      0            0              1  claims failed
    <BLANKLINE>
    01_concepts: does not hold: Transfer wins. (0.4 < 0.5)
    """
    rows: list[tuple[str, ...]] = [("notebook", "seconds", *VERDICTS, "status")]
    for result in results:
        seconds = "-" if result.seconds is None else f"{result.seconds:.1f}"
        counts = ["-" if result.record is None else str(count) for count in result.counts.values()]
        rows.append((printable(result.notebook), seconds, *counts, result.status))
    wide = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    lines = []
    for name, *numbers, status in rows:
        columns = [f"{number:>{width}}" for number, width in zip(numbers, wide[1:], strict=True)]
        lines.append("  ".join([f"{name:{wide[0]}}", *columns, status]))
    reasons = [f"{result.notebook}: {result.message}" for result in results if result.message]
    for result in results:
        for claim in result.claims:
            if claim["verdict"] != HOLDS:
                reasons.append(f"{result.notebook}: {claim['verdict']}: {claim['text']} ({claim.get('observed')})")
    return "\n".join(lines + ["", *map(printable, reasons)] * bool(reasons))


def write_csv(collected: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write collected records as a table, one row per run, whole or not at all.

    Parameters
    ----------
    collected : sequence of mapping
        As `records` returns them.
    path : Path
        Columns file, notebook, seconds, ``claims.<verdict>`` with the number of claims, then ``parameters.<name>``,
        ``metrics.<name>`` and ``versions.<name>``; a value that is itself a mapping fills a column per key.

    Raises
    ------
    UserError
        If the file cannot be written.
    """
    import pandas as pd

    rows = []
    for record in collected:
        row: dict[str, Any] = {key: record.get(key) for key in ("file", "notebook", "seconds")}
        row["claims"] = count_verdicts(record.get("claims", []))
        row |= {key: record[key] for key in ("parameters", "metrics", "versions") if record.get(key)}
        rows.append(row)
    # A whole number stays one where another run lacks that column.
    table = pd.json_normalize(rows).convert_dtypes()
    with writing(path) as temporary:
        table.to_csv(temporary, index=False)


def read(path: Path, name: str) -> Result:
    """Judge an executed notebook by its outputs alone."""
    try:
        outputs = _outputs(path)
        record = record_of(path)
    except UserError as error:
        return Result(name, path, "unreadable", None, None, str(error))
    for count, output in outputs:
        if output.get("output_type") == "error":
            message = f"In [{count}]: {output.get('ename')}: {output.get('evalue')}"
            return Result(name, path, "error", None, None, one_line(message))
    if record is None:
        return Result(name, path, "no record", None, None, "it ended without a record")
    # An opponent may win a comparison, which has an interval; what is claimed as a fact must be one.
    failed = [claim for claim in record.get("claims", []) if claim["verdict"] != HOLDS and "interval" not in claim]
    return Result(name, path, "claims failed" if failed else "ok", record.get("seconds"), record)


def _outputs(path: Path) -> list[tuple[int | None, dict[str, Any]]]:
    """Return a notebook's outputs in order, each with its cell's execution count."""
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        return [(cell.get("execution_count"), output) for cell in cells for output in cell.get("outputs", [])]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} cannot be read as a notebook ({one_line(str(error))}).") from error


def one_line(text: str) -> str:
    """Return a message without colours and line breaks."""
    return " ".join(re.sub(r"\x1b\[[0-9;]*m", "", text).split())
