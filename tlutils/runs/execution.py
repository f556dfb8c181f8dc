"""Execute notebooks with papermill, each in a process of its own, and read the records that they leave."""

from __future__ import annotations

import base64
import contextlib
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tlutils.runs.parameters import literal, share_out
from tlutils.runs.records import Result, one_line, read
from tlutils.settings import UserError, cache_dir, printable

# papermill leaves with this code when the kernel died; a process stopped by a signal has a negative one.
_DEAD_KERNEL = 138
_POLL_SECONDS = 0.1
_NO_ROOM = 2**20

# Papermill, which ends when its standard input does: so it, and its kernel with it, outlives no run that was killed.
_PAPERMILL = """
import os, threading
threading.Thread(target=lambda: os.read(0, 1) or os._exit(1), daemon=True).start()
from papermill.cli import papermill
papermill()
"""


# Ctrl-C; the end of a batch job; a closed terminal or connection. Windows has no SIGHUP.
_STOPPING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]

# The modules of the working folder come after all others: a reader's random.py must not stand for Python's own.
_KERNEL = """
import sys
sys.path.append("")
from ipykernel.kernelapp import launch_new_instance
launch_new_instance()
"""


class Interrupted(KeyboardInterrupt):
    """The run was stopped by a signal; ``results`` has the notebooks that were finished by then."""

    def __init__(self, results: list[Result]) -> None:
        super().__init__("interrupted")
        self.results = results


def default_jobs() -> int:
    """Return how many notebooks to run at a time: one on two or three cores, two on more, since each uses two."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(2, max(1, cores // 2))


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
    the caller's, so a relative path among the parameters means what it means to papermill; modules in that folder come
    last, so a ``random.py`` there hides none. Its executed copy appears as ``output_dir/<name>.ipynb`` once it is
    complete, never half-written, and only then an older one goes. What a killed notebook had until then becomes
    ``output_dir/<name>.stopped.ipynb``. A failed claim stops no notebook here, whatever ``TLUTILS_STRICT`` says: it
    shows in the status.

    Parameters
    ----------
    notebooks : sequence of Path
    output_dir : Path
        Made if need be; an older copy of the same notebook in it is replaced when the new one is whole.
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
        Before anything runs: a missing notebook, an unknown parameter, a copy that would replace its source, a folder
        that cannot be written to, a user without a home folder or another one for the cache.
    Interrupted
        On SIGINT (Ctrl-C), SIGTERM or SIGHUP, after the running notebooks and their kernels were stopped; finished
        copies stay, older ones too.
    """
    from tqdm import tqdm

    if jobs is None:
        jobs = default_jobs()
    if jobs < 1:
        raise UserError(f"jobs={jobs} runs nothing; give 1 or more.")
    given = share_out(notebooks, parameters or {}, by_some)
    for text in (*map(str, notebooks), str(output_dir), *map(str, (parameters or {}).values())):
        _require_utf8(text)
    copies = _plan_copies(notebooks, output_dir)
    results: dict[Path, Result] = {}
    waiting = deque(notebooks)
    running: list[_Execution] = []
    bar = tqdm(total=len(notebooks), unit="notebook", file=sys.stderr, disable=None)
    with _workplace(output_dir) as (folder, environment), _signals_noted() as noted, bar:
        try:
            while (waiting or running) and not noted:
                while waiting and len(running) < jobs:
                    notebook = waiting.popleft()
                    try:
                        running.append(_Execution(notebook, given[notebook], folder, environment, timeout))
                    except OSError as error:
                        message = f"it could not be started: {error.strerror or error}"
                        results[notebook] = Result(notebook.stem, copies[notebook], "error", None, None, message)
                bar.set_postfix_str(", ".join(execution.notebook.stem for execution in running))
                time.sleep(_POLL_SECONDS)
                for execution in [execution for execution in running if execution.is_over()]:
                    running.remove(execution)
                    results[execution.notebook] = execution.result(copies[execution.notebook])
                    bar.update()
        finally:
            for execution in running:
                execution.stop()
    finished = [results[notebook] for notebook in notebooks if notebook in results]
    if len(finished) < len(notebooks):
        raise Interrupted(finished)
    return finished


@contextlib.contextmanager
def _workplace(output_dir: Path) -> Iterator[tuple[Path, dict[str, str]]]:
    """Give a folder for what is not finished, and the environment variables that papermill needs to work in it."""
    try:
        output_dir.mkdir(parents=True, exist_ok=True)
        made = tempfile.TemporaryDirectory(prefix=".running-", dir=output_dir, ignore_cleanup_errors=True)
        environment = _environment(Path(made.name))
    except OSError as error:
        raise UserError(
            f"{output_dir} cannot take executed notebooks ({error.strerror or error}). Make room there, or choose "
            "another output folder."
        ) from error
    with made as folder:
        yield Path(folder), environment


@contextlib.contextmanager
def _signals_noted() -> Iterator[list[int]]:
    """Give a list that fills with the signals to stop, which thus interrupt nothing half-way, however many come."""
    noted: list[int] = []
    # Python takes signals in the main thread only.
    if threading.current_thread() is not threading.main_thread():
        yield noted
        return
    before = {number: signal.getsignal(number) for number in _STOPPING}
    # A shell starts a background job deaf to SIGINT, which is to be heard all the same; whoever calls nohup means it.
    heard = [number for number, handler in before.items() if handler != signal.SIG_IGN or number == signal.SIGINT]
    for number in heard:
        signal.signal(number, lambda number, _: noted.append(number))
    try:
        yield noted
    finally:
        for number in heard:
            signal.signal(number, before[number] if before[number] is not None else signal.SIG_DFL)


def _require_utf8(text: str) -> None:
    try:
        str(Path(text).absolute()).encode()
    except UnicodeEncodeError:
        raise UserError(
            f"'{printable(text)}', looked for from {printable(str(Path.cwd()))}, has a name that is no UTF-8, and an "
            "executed notebook holds such names as UTF-8. Rename the file or folder, or make a link with a plain name."
        ) from None


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
    spec = {
        "argv": [sys.executable, "-P", "-c", _KERNEL, "-f", "{connection_file}"],
        "display_name": "Python 3",
        "language": "python",
    }
    (folder / "kernels" / "python3").mkdir(parents=True)
    (folder / "kernels" / "python3" / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if name != "TLUTILS_STRICT"}
    others = [environment["JUPYTER_PATH"]] if environment.get("JUPYTER_PATH") else []
    environment["JUPYTER_PATH"] = os.pathsep.join([str(folder.resolve()), *others])
    environment["JUPYTER_RUNTIME_DIR"] = str(folder.resolve() / "runtime")
    # For the kernel's own processes too, such as joblib's.
    environment["PYTHONSAFEPATH"] = "1"
    if os.path.expanduser("~") == "~":
        # Jupyter cannot do without a home folder; what is to be kept needs a place that lasts.
        environment |= {"TLUTILS_CACHE": str(cache_dir().resolve()), "HOME": str(folder.resolve())}
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
        command = [sys.executable, "-P", "-c", _PAPERMILL, literal(self.notebook.resolve())]
        command += [literal(self._partial.resolve())]
        command += ["--kernel", "python3", "--no-progress-bar", "--log-level", "ERROR"]
        if self._parameters:
            text = yaml.safe_dump(self._parameters)
            command += ["--parameters_base64", base64.b64encode(text.encode()).decode()]
        with self._log.open("wb") as log:
            # A group of its own keeps Ctrl-C from reaching it: `run` stops it in good order.
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
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
            with contextlib.suppress(OSError):  # Then the first failure stands.
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
            with contextlib.suppress(psutil.NoSuchProcess):
                member.kill()
        psutil.wait_procs(family, timeout=10)
        self._process.wait()

    def result(self, copy: Path) -> Result:
        """Judge the executed copy and move it to its place."""
        seconds = time.monotonic() - self._started
        judged = read(self._partial, self.notebook.stem)
        code = self._process.returncode
        status, message, record = judged.status, judged.message, judged.record
        if self._out_of_time:
            status, message = "killed", f"stopped after {self._timeout:g} s"
        elif code == _DEAD_KERNEL or code < 0:
            status, message = "killed", "its kernel died, often for want of memory"
        elif code != 0 and judged.status != "error":
            status, message = "error", self._last_words()
        stopped = copy.with_suffix(".stopped.ipynb")
        path = stopped if status == "killed" else copy
        if judged.status != "unreadable":
            try:
                self._partial.replace(path)
                if path is copy:
                    stopped.unlink(missing_ok=True)
            except OSError as error:
                status, message = "error", f"{path} could not be written: {error.strerror or error}"
        if status in ("killed", "error"):
            record = None
        return Result(self.notebook.stem, path, status, seconds, record, message)

    def _last_words(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").split("\n")
        spoken = [line for line in lines if line.strip()]
        if spoken:
            return one_line(spoken[-1])
        # Where nothing could be written, nothing was said.
        full = shutil.disk_usage(self._log.parent).free < _NO_ROOM
        return os.strerror(errno.ENOSPC) if full else f"papermill left with exit code {self._process.returncode}"
