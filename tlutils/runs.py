"""Execute notebooks with papermill, each in a process of its own, and read the records that they leave."""

from __future__ import annotations

import ast
import base64
import csv
import difflib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tlutils.course import MIME
from tlutils.settings import UserError

# papermill leaves with this code when the kernel died; a process stopped by a signal has a negative one.
_DEAD_KERNEL = 138
_POLL_SECONDS = 0.1


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
        ``"ok"``, ``"claims failed"``, ``"error"`` (a cell raised), ``"killed"`` (its process or kernel died or ran out
        of time), ``"no record"`` or ``"unreadable"``.
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
    def held(self) -> int:
        """Number of claims that held."""
        return sum(bool(claim["passed"]) for claim in self.claims)


class Interrupted(KeyboardInterrupt):
    """The run was stopped from the keyboard; ``results`` has the notebooks that were finished by then."""

    def __init__(self, results: list[Result]) -> None:
        super().__init__("interrupted")
        self.results = results


def default_jobs() -> int:
    """Return how many notebooks to run at a time: one on two or three cores, two on more, since each uses two."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(2, max(1, cores // 2))


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
        inspected = inspect_notebook(_literal(notebook))
    # What a broken notebook makes nbformat and papermill raise is anything from KeyError to their own classes.
    except Exception as error:
        raise UserError(f"{notebook} cannot be read as a notebook ({_one_line(str(error))}).") from error
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


def run(
    notebooks: Sequence[Path],
    output_dir: Path,
    parameters: Mapping[str, Any] | None = None,
    *,
    jobs: int | None = None,
    timeout: float = 3600.0,
    by_some: bool = False,
) -> list[Result]:
    """Execute notebooks with papermill and judge each by its exit and its record.

    Every notebook gets a process of its own and the Python that runs this function as its kernel. Its working folder is
    the caller's, so a relative path among the parameters means what it means to papermill. Its executed copy appears as
    ``output_dir/<name>.ipynb`` once it is complete, never half-written. A failed claim stops no notebook here, whatever
    ``TLUTILS_STRICT`` says: it shows in the status.

    Parameters
    ----------
    notebooks : sequence of Path
    output_dir : Path
        Made if need be; an older copy of the same notebook in it is replaced.
    parameters : mapping, optional
        Values for the notebooks' parameters cells.
    jobs : int, optional
        Notebooks at a time, 1 or more; by default `default_jobs`.
    timeout : float
        Seconds that one notebook may take.
    by_some : bool
        If true, a parameter may be unknown to some of the notebooks and goes only to those that know it; if false,
        every notebook must know it.

    Returns
    -------
    list of Result
        In the order of `notebooks`.

    Raises
    ------
    UserError
        Before anything runs: a missing notebook, an unknown parameter, a copy that would replace its source.
    Interrupted
        On Ctrl-C, after the running notebooks and their kernels were stopped; finished copies stay.
    """
    from tqdm import tqdm

    if jobs is None:
        jobs = default_jobs()
    if jobs < 1:
        raise UserError(f"jobs={jobs} runs nothing; give 1 or more.")
    given = _share_out(notebooks, parameters or {}, by_some)
    copies = _plan_copies(notebooks, output_dir)
    output_dir.mkdir(parents=True, exist_ok=True)

    results: dict[Path, Result] = {}
    waiting = deque(notebooks)
    running: list[_Execution] = []
    bar = tqdm(total=len(notebooks), unit="notebook", file=sys.stderr, disable=None)
    with (
        bar,
        tempfile.TemporaryDirectory(prefix=".running-", dir=output_dir, ignore_cleanup_errors=True) as folder,
    ):
        environment = _environment(Path(folder))
        try:
            while waiting or running:
                while waiting and len(running) < jobs:
                    notebook = waiting.popleft()
                    copies[notebook].unlink(missing_ok=True)
                    running.append(_Execution(notebook, given[notebook], Path(folder), environment, timeout))
                bar.set_postfix_str(", ".join(execution.notebook.stem for execution in running))
                time.sleep(_POLL_SECONDS)
                for execution in [execution for execution in running if execution.is_over()]:
                    running.remove(execution)
                    results[execution.notebook] = execution.result(copies[execution.notebook])
                    bar.update()
        except KeyboardInterrupt:
            raise Interrupted([results[notebook] for notebook in notebooks if notebook in results]) from None
        finally:
            for execution in running:
                execution.stop()
    return [results[notebook] for notebook in notebooks]


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
    return [_read(folder / path, path.with_suffix("").as_posix()) for path in visible]


def collect(folder: Path) -> list[dict[str, Any]]:
    """Return the records of all notebooks below a folder.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    list of dict
        Sorted by path; each record with the further key ``file``, the path below `folder`. Notebooks without a record
        are left out; `survey` names them.

    Raises
    ------
    UserError
        If the folder is missing or holds no notebook.
    """
    return records(survey(folder), folder)


def records(results: Sequence[Result], folder: Path) -> list[dict[str, Any]]:
    """Return the records among some results, each with the key ``file``, its path below `folder`."""
    return [
        {"file": result.path.relative_to(folder).as_posix(), **result.record}
        for result in results
        if result.record is not None
    ]


def table(results: Sequence[Result]) -> str:
    """Lay results out as plain text, with the reasons of the failed ones below.

    Parameters
    ----------
    results : sequence of Result

    Returns
    -------
    str
        Columns notebook, seconds, claims, status; then a line per failure.

    Examples
    --------
    >>> record = {"claims": [{"text": "Transfer wins.", "passed": False, "observed": "0.4 < 0.5"}]}
    >>> print(table([Result("01_concepts", Path("01_concepts.ipynb"), "claims failed", 61.04, record)]))
    notebook     seconds  claims  status
    01_concepts     61.0     0/1  claims failed
    <BLANKLINE>
    01_concepts: claim failed: Transfer wins. (observed: 0.4 < 0.5)
    """
    rows = [("notebook", "seconds", "claims", "status")]
    for result in results:
        seconds = "-" if result.seconds is None else f"{result.seconds:.1f}"
        claims = "-" if result.record is None else f"{result.held}/{len(result.claims)}"
        rows.append((result.notebook, seconds, claims, result.status))
    wide = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [f"{name:{wide[0]}}  {took:>{wide[1]}}  {held:>{wide[2]}}  {status}" for name, took, held, status in rows]
    reasons = [f"{result.notebook}: {result.message}" for result in results if result.message]
    for result in results:
        for claim in result.claims:
            if not claim["passed"]:
                reasons.append(f"{result.notebook}: claim failed: {claim['text']} (observed: {claim.get('observed')})")
    return "\n".join(lines + ["", *reasons] * bool(reasons))


def write_csv(collected: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write collected records as a table, one row per run.

    Parameters
    ----------
    collected : sequence of mapping
        As `collect` returns them.
    path : Path
        Columns file, notebook, seconds, claims, claims_held, then ``parameters.<name>``, ``metrics.<name>`` and
        ``versions.<name>``; a value that is itself a mapping fills a column per key.
    """
    rows = []
    for record in collected:
        claims = record.get("claims", [])
        row: dict[str, Any] = {key: record.get(key) for key in ("file", "notebook", "seconds")}
        row |= {"claims": len(claims), "claims_held": sum(bool(claim["passed"]) for claim in claims)}
        for key in ("parameters", "metrics", "versions"):
            row |= _flat(key, record.get(key, {}))
        rows.append(row)
    columns = list(dict.fromkeys(column for row in rows for column in row))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def _flat(prefix: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        return {prefix: value}
    return {column: inner for key in value for column, inner in _flat(f"{prefix}.{key}", value[key]).items()}


def _share_out(notebooks: Sequence[Path], parameters: Mapping[str, Any], by_some: bool) -> dict[Path, dict[str, Any]]:
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


def _plan_copies(notebooks: Sequence[Path], output_dir: Path) -> dict[Path, Path]:
    copies: dict[Path, Path] = {}
    for notebook in notebooks:
        copy = output_dir / notebook.name
        if copy in copies.values():
            raise UserError(f"Two notebooks are called {notebook.name}; run them into different folders.")
        if copy.resolve() == notebook.resolve():
            raise UserError(f"The executed copy would replace {notebook} itself; choose another output folder.")
        copies[notebook] = copy
    return copies


def _environment(folder: Path) -> dict[str, str]:
    """Return the environment variables for papermill: its kernel "python3" is this very Python.

    Another environment's kernel of that name, in the user's own Jupyter folder or on JUPYTER_PATH, would otherwise come
    first. The kernels' connection files go to `folder`, so none is left behind.
    """
    from ipykernel.kernelspec import write_kernel_spec

    (folder / "kernels").mkdir()
    write_kernel_spec(folder / "kernels" / "python3")
    environment = {name: value for name, value in os.environ.items() if name != "TLUTILS_STRICT"}
    others = [environment["JUPYTER_PATH"]] if environment.get("JUPYTER_PATH") else []
    environment["JUPYTER_PATH"] = os.pathsep.join([str(folder.resolve()), *others])
    environment["JUPYTER_RUNTIME_DIR"] = str(folder.resolve() / "runtime")
    return environment


class _Execution:
    """A notebook being executed by papermill in another process."""

    def __init__(
        self, notebook: Path, parameters: dict[str, Any], folder: Path, environment: dict[str, str], timeout: float
    ) -> None:
        self.notebook = notebook
        self._parameters = parameters
        self._environment = environment
        self._timeout = timeout
        self._partial = folder / notebook.name
        self._log = folder / f"{notebook.stem}.log"
        self._retried = False
        self._out_of_time = False
        self._start()

    def _start(self) -> None:
        import yaml

        self._started = time.monotonic()
        command = [sys.executable, "-m", "papermill", _literal(self.notebook.resolve())]
        command += [_literal(self._partial.resolve())]
        command += ["--kernel", "python3", "--no-progress-bar", "--log-level", "ERROR"]
        if self._parameters:
            text = yaml.safe_dump(self._parameters)
            command += ["--parameters_base64", base64.b64encode(text.encode()).decode()]
        with self._log.open("wb") as log:
            # A group of its own keeps Ctrl-C from reaching it: `run` stops it in good order.
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=True,
                creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
            )

    def is_over(self) -> bool:
        """Whether it has ended; stops it when its time is up, starts it again once if its kernel never came up."""
        if self._process.poll() is None:
            if time.monotonic() - self._started < self._timeout:
                return False
            self._out_of_time = True
            self.stop()
        elif self._process.returncode != 0 and not self._retried and not self._reached_a_cell():
            self._retried = True
            self._start()
            return False
        return True

    def _reached_a_cell(self) -> bool:
        try:
            cells = json.loads(self._partial.read_text(encoding="utf-8"))["cells"]
        except (OSError, ValueError, KeyError):
            return False
        return any(cell["metadata"].get("papermill", {}).get("start_time") for cell in cells)

    def stop(self) -> None:
        """Kill the process with its kernel and all that the kernel started."""
        import psutil

        try:
            parent = psutil.Process(self._process.pid)
            family = [parent, *parent.children(recursive=True)]
        except psutil.NoSuchProcess:
            return
        for member in family:
            try:
                member.kill()
            except psutil.NoSuchProcess:
                pass
        psutil.wait_procs(family, timeout=10)
        self._process.wait()

    def result(self, copy: Path) -> Result:
        """Move the executed copy to its place and judge it."""
        seconds = time.monotonic() - self._started
        read = _read(self._partial, self.notebook.stem)
        if read.status != "unreadable":
            self._partial.replace(copy)
        code = self._process.returncode
        status, message, record = read.status, read.message, read.record
        if self._out_of_time:
            status, message = "killed", f"stopped after {self._timeout:g} s"
        elif code == _DEAD_KERNEL or code < 0:
            status, message = "killed", "its kernel died, often for want of memory"
        elif code != 0 and read.status != "error":
            status, message = "error", self._last_words()
        if status in ("killed", "error"):
            record = None
        return Result(self.notebook.stem, copy, status, seconds, record, message)

    def _last_words(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").split("\n")
        spoken = [line for line in lines if line.strip()]
        return _one_line(spoken[-1]) if spoken else f"papermill left with exit code {self._process.returncode}"


def _read(path: Path, name: str) -> Result:
    """Judge an executed notebook by its outputs alone."""
    try:
        outputs = _outputs(path)
        record = record_of(path)
    except UserError as error:
        return Result(name, path, "unreadable", None, None, str(error))
    for count, output in outputs:
        if output.get("output_type") == "error":
            message = f"In [{count}]: {output.get('ename')}: {output.get('evalue')}"
            return Result(name, path, "error", None, None, _one_line(message))
    if record is None:
        return Result(name, path, "no record", None, None, "it ended without a record")
    held = all(claim["passed"] for claim in record.get("claims", []))
    return Result(name, path, "ok" if held else "claims failed", record.get("seconds"), record)


def _outputs(path: Path) -> list[tuple[int | None, dict[str, Any]]]:
    """Return a notebook's outputs in order, each with its cell's execution count."""
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        return [(cell.get("execution_count"), output) for cell in cells for output in cell.get("outputs", [])]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} cannot be read as a notebook ({_one_line(str(error))}).") from error


def _literal(path: Path) -> str:
    """Double the braces in a path, which papermill would otherwise fill in like a format string."""
    return str(path).replace("{", "{{").replace("}", "}}")


def _one_line(text: str) -> str:
    return " ".join(re.sub(r"\x1b\[[0-9;]*m", "", text).split())
