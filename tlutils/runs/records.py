"""Read what executed notebooks recorded: one, or all below a folder; and lay it out as a table."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path, PurePath
from typing import Any

from tlutils.course import DOES_NOT_HOLD, HOLDS, MIME, VERDICTS, count_verdicts
from tlutils.runs.places import Place
from tlutils.settings import UserError, printable, writing

# Where an executed copy keeps what it is a run of, in the notebook's metadata.
STAMP = "tlutils"
# The endings that are worth another try.
FAILED = ("error", "killed")
# What a record does not count: the start of the kernel and the imports before `course.begin`.
START_SECONDS = 8


@dataclass(frozen=True)
class Result:
    """What came of one notebook.

    Attributes
    ----------
    notebook : str
        Its name without the suffix; below a collected folder, with the folders that lead to it.
    path : Path or str
        The executed copy; in a store, its address.
    status : str
        ``"ok"``, ``"claims failed"`` (a fact, not a comparison), ``"error"`` (a cell raised), ``"killed"`` (its process
        or kernel died or ran out of time), ``"no record"`` or ``"unreadable"``.
    seconds : float or None
        From start to end with the start of the kernel; when collected, as written in the record.
    record : dict or None
        Keys notebook, parameters, metrics, claims, seconds, versions.
    message : str
        Why it is not ok; empty if it is.
    parameters : dict
        Those that the run was given.
    state : str
        When collected: ``"current"``; ``"stale"``, if the notebook or this package has changed since;
        ``"duplicate"`` of one above it; empty if that cannot be told.
    """

    notebook: str
    path: Path | str
    status: str
    seconds: float | None
    record: dict[str, Any] | None
    message: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    state: str = ""

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
    return _record(_parsed(path.read_bytes() if path.is_file() else b"", path), path)


def _record(notebook: dict[str, Any], path: Path | str) -> dict[str, Any] | None:
    record: dict[str, Any] | None = None
    for _, output in _outputs(notebook):
        found = output.get("data", {}).get(MIME)
        if isinstance(found, dict):
            record = found
    try:
        for claim in (record or {}).get("claims", []):
            if "passed" in claim:  # as the first edition wrote it
                claim["verdict"] = HOLDS if claim.pop("passed") else DOES_NOT_HOLD
            VERDICTS.index(claim["verdict"])
        for part in ("parameters", "metrics", "versions"):
            dict((record or {}).get(part, {}))
        float((record or {}).get("seconds", 0))
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise UserError(f"{path} has a corrupt record ({one_line(str(error))}). Run it again.") from error
    return record


def identity(notebook: Mapping[str, Any], parameters: Mapping[str, Any], backend: str) -> str:
    """Return the hash that names a run: of a notebook's sources, parameters, the package's version, the backend."""
    cells = [
        (cell.get("cell_type"), "".join(cell.get("source", "")), cell.get("metadata", {}).get("tags", []))
        for cell in notebook["cells"]
    ]
    told = [cells, dict(parameters), metadata.version("tlutils"), backend]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:12]


def survey(folder: Path | str) -> list[Result]:
    """Judge every executed notebook below a folder, or in a store, by what is written in it.

    Parameters
    ----------
    folder : Path or str

    Returns
    -------
    list of Result
        Sorted by path. Hidden files and folders are left out; an unreadable notebook is one of the results.

    Raises
    ------
    UserError
        If the folder is missing or holds no notebook.
    """
    place = Place(folder)
    if place.folder is not None and not place.folder.is_dir():
        raise UserError(f"There is no folder {folder}. Give one that `tlutils run` has written to.")
    names = place.names()
    if not names:
        raise UserError(f"There is no notebook below {folder}. Give a folder that `tlutils run` has written to.")
    seen: set[str] = set()
    results = []
    for name in names:
        content, path, stem = place.read(name) or b"", place.path(name), name.removesuffix(".ipynb")
        results.append(replace(judge(content, path, stem), state=_state(content, seen)))
    return results


def _state(content: bytes, seen: set[str]) -> str:
    """Tell a run of the notebook as it is now from others; `seen` gathers the identities."""
    try:
        stamp = json.loads(content)["metadata"][STAMP]
        source = json.loads(Path(stamp["notebook"]).read_bytes())
        own, now = stamp["identity"], identity(source, stamp["parameters"], stamp["backend"])
    # Not one of ours, or its notebook is elsewhere.
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return ""
    if own in seen:
        return "duplicate"
    seen.add(own)
    return "current" if own == now else "stale"


def records(results: Sequence[Result], folder: Path | str) -> list[dict[str, Any]]:
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
        _escaped({"file": _below(result, folder), **result.record}) for result in results if result.record is not None
    ]


def rows(results: Sequence[Result], folder: Path | str) -> list[dict[str, Any]]:
    """Return a row for each run that can be read, also of a failed one.

    Parameters
    ----------
    results, folder
        As for `records`.

    Returns
    -------
    list of dict
        The keys of the record, if there is one, and file, notebook, status, state, message, seconds, parameters.
    """
    return [
        _escaped(
            {
                "file": _below(result, folder),
                "notebook": result.notebook.rsplit("/", 1)[-1],
                "seconds": result.seconds,
                "parameters": result.parameters,
                **(result.record or {}),
                "status": result.status,
                "state": result.state,
                "message": result.message,
            }
        )
        for result in results
        if result.status != "unreadable"
    ]


def _below(result: Result, folder: Path | str) -> str:
    if isinstance(result.path, Path):
        return result.path.relative_to(folder).as_posix()
    return result.path.removeprefix(f"{str(folder).rstrip('/')}/")


def _escaped(value: Any) -> Any:
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, list):
        return [_escaped(item) for item in value]
    if isinstance(value, dict):
        return {_escaped(key): _escaped(item) for key, item in value.items()}
    return value


def expected_seconds(notebooks: Sequence[Path], output_dir: Path, earlier: Sequence[Result] = ()) -> float | None:
    """Tell from earlier records how long it takes to execute notebooks one after the other.

    Parameters
    ----------
    notebooks : sequence of Path
    output_dir : Path
        Where an earlier run may have left executed copies. A notebook without a copy there counts with the record
        stored in it, one without any record like the mean of the others.
    earlier : sequence of Result
        Finished runs of the same notebook; if there are any, all count like their mean.

    Returns
    -------
    float or None
        None if no notebook has a record.
    """
    known = [r.seconds + START_SECONDS for r in earlier if r.seconds is not None and r.status not in FAILED]
    for notebook in notebooks if not known else ():
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
        Columns notebook, seconds, one for each verdict with the number of its claims, status; of runs of one notebook
        also the parameters that they were given, and the metrics that are single numbers. Then a line for each failure
        and for each claim that does not hold or cannot be told.

    Examples
    --------
    >>> claims = [{"text": "Transfer wins.", "verdict": "does not hold", "observed": "0.4 < 0.5"}]
    >>> print(table([Result("01_concepts", Path("01_concepts.ipynb"), "claims failed", 61.04, {"claims": claims})]))
    notebook     seconds  holds  cannot tell  does not hold  status
    01_concepts     61.0      0            0              1  claims failed
    <BLANKLINE>
    01_concepts: does not hold: Transfer wins. (0.4 < 0.5)
    """
    given, measured = _columns(results)
    rows: list[tuple[str, ...]] = [("notebook", *map(printable, (*given, *measured)), "seconds", *VERDICTS, "status")]
    for result in results:
        seconds = "-" if result.seconds is None else f"{result.seconds:.1f}"
        counts = ["-" if result.record is None else str(count) for count in result.counts.values()]
        values = [printable(str(result.parameters.get(name, "-")), 40) for name in given]
        metrics = (result.record or {}).get("metrics", {})
        values += [f"{metrics[name]:.4g}" if name in metrics else "-" for name in measured]
        state = f", {result.state}" if result.state in ("stale", "duplicate") else ""
        rows.append((printable(result.notebook), *values, seconds, *counts, result.status + state))
    wide = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    lines = []
    for name, *numbers, status in rows:
        columns = [f"{number:>{width}}" for number, width in zip(numbers, wide[1:], strict=True)]
        lines.append("  ".join([f"{name:{wide[0]}}", *columns, status]))
    reasons = [f"{result.notebook}: {result.message}" for result in results if result.message]
    for result in results:
        for claim in result.claims:
            if claim["verdict"] != HOLDS:
                reasons.append(f"{result.notebook}: {claim['verdict']}: {claim.get('text')} ({claim.get('observed')})")
    return "\n".join(lines + ["", *map(printable, reasons)] * bool(reasons))


def _columns(results: Sequence[Result]) -> tuple[list[str], list[str]]:
    """Return the names of parameters and of plain metrics that are worth a column: of several runs of one notebook."""
    if len(results) < 2 or len({PurePath(result.notebook).name.rsplit("-", 1)[0] for result in results}) > 1:
        return [], []
    metrics = [(result.record or {}).get("metrics", {}) for result in results]
    names = dict.fromkeys(name for of_run in metrics for name in of_run)
    plain = [
        name for name in names if all(isinstance(of_run[name], int | float) for of_run in metrics if name in of_run)
    ]
    return list(dict.fromkeys(name for result in results for name in result.parameters)), plain


def frame(collected: Sequence[Mapping[str, Any]]) -> Any:
    """Return collected runs as a table, one row per run.

    Parameters
    ----------
    collected : sequence of mapping
        As `rows` or `records` return them.

    Returns
    -------
    pandas.DataFrame
        Columns file, notebook, seconds, ``claims.<verdict>`` with the number of claims, status, state and message if
        they are known, then ``parameters.<name>``, ``metrics.<name>`` and ``versions.<name>``; a value that is itself a
        mapping fills a column per key.
    """
    import pandas as pd

    wide = []
    for record in collected:
        row: dict[str, Any] = {key: record.get(key) for key in ("file", "notebook", "seconds")}
        row["claims"] = count_verdicts(record.get("claims", []))
        row |= {key: record[key] for key in ("status", "state", "message") if key in record}
        row |= {key: record[key] for key in ("parameters", "metrics", "versions") if record.get(key)}
        wide.append(row)
    # A whole number stays one where another run lacks that column.
    return pd.json_normalize(wide).convert_dtypes()


def write_table(collected: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write the `frame` of collected runs, whole or not at all: as Parquet if `path` ends so, else as CSV.

    Raises
    ------
    UserError
        If the file cannot be written, or pyarrow, which writes Parquet, is not installed.
    """
    table = frame(collected)
    with writing(path) as temporary:
        if path.suffix != ".parquet":
            table.to_csv(temporary, index=False)
            return
        # A column of a file has one type; lists and mixtures stand in it as text.
        for name in table.columns[[kind == "object" for kind in table.dtypes]]:
            table[name] = table[name].map(
                lambda value: value if value is None else json.dumps(value), na_action="ignore"
            )
        try:
            table.to_parquet(temporary, index=False)
        except ImportError as error:
            raise UserError(
                "Parquet needs pyarrow: pip install -c constraints.txt -e '.[parquet]'; or write CSV."
            ) from error


def judge(content: bytes, path: Path | str, name: str) -> Result:
    """Judge an executed notebook by its outputs and by what the engine wrote into it."""
    try:
        notebook = _parsed(content, path)
        record = _record(notebook, path)
    except UserError as error:
        return Result(name, path, "unreadable", None, None, str(error))
    stamp = notebook.get("metadata", {}).get(STAMP, {})
    seconds, given = stamp.get("seconds"), stamp.get("parameters", {})
    for count, output in _outputs(notebook):
        if output.get("output_type") == "error":
            message = f"In [{count}]: {output.get('ename')}: {output.get('evalue')}"
            return Result(name, path, "error", seconds, None, one_line(message), given)
    if stamp.get("status") in FAILED:
        return Result(name, path, stamp["status"], seconds, None, stamp.get("message", ""), given)
    if record is None:
        return Result(name, path, "no record", seconds, None, "it ended without a record", given)
    # An opponent may win a comparison, which has an interval; what is claimed as a fact must be one.
    failed = [claim for claim in record.get("claims", []) if claim["verdict"] != HOLDS and "interval" not in claim]
    return Result(name, path, "claims failed" if failed else "ok", record.get("seconds"), record, "", given)


def _parsed(content: bytes, path: Path | str) -> dict[str, Any]:
    try:
        notebook = json.loads(content)
        _outputs(notebook)
        return dict(notebook)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} cannot be read as a notebook ({one_line(str(error))}).") from error


def _outputs(notebook: Mapping[str, Any]) -> list[tuple[int | None, dict[str, Any]]]:
    """Return a notebook's outputs in order, each with its cell's execution count."""
    return [(cell.get("execution_count"), output) for cell in notebook["cells"] for output in cell.get("outputs", [])]


def one_line(text: str) -> str:
    """Return a message without colours and line breaks."""
    return " ".join(re.sub(r"\x1b\[[0-9;]*m", "", text).split())
