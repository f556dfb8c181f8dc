"""Execute one notebook with papermill, in a process of its own; a worker of Dask calls this."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from tlutils.runs.parameters import literal
from tlutils.runs.records import judge, one_line
from tlutils.settings import cache_dir

# Papermill left with this code: its kernel died. A process stopped by a signal has a negative one.
_DEAD_KERNEL = 138
_POLL_SECONDS = 0.05
_NO_ROOM = 2**20

# Papermill, which ends when its standard input does: so it, and its kernel with it, outlives no worker that was killed.
# It reads and writes files of this machine only. What papermill would load for stores, and nbformat for the grammar of
# web addresses, costs seconds and is kept out.
_PAPERMILL = f"""
import json, os, sys, threading, traceback
threading.Thread(target=lambda: os.read(0, 1) or os._exit(1), daemon=True).start()
sys.modules.update(dict.fromkeys(("rfc3987_syntax", "boto3", "pyarrow", "pyarrow.fs")))
import nbclient.exceptions, papermill
with open(sys.argv[1], encoding="utf-8") as file:
    asked = json.load(file)
try:
    papermill.execute_notebook(**asked, kernel_name="python3", progress_bar=False)
except nbclient.exceptions.DeadKernelError:
    traceback.print_exc()
    sys.exit({_DEAD_KERNEL})
"""

# The modules of the working folder come after all others: a reader's random.py must not stand for Python's own.
_KERNEL = """
import sys
sys.path.append("")
from ipykernel.kernelapp import launch_new_instance
launch_new_instance()
"""

# What makes the libraries of numbers use fewer cores than there are.
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")


@dataclass(frozen=True)
class Job:
    """What a worker is told; the notebook travels within, so that it need not lie where the worker runs.

    Attributes
    ----------
    key : str
        Of the task; when the scheduler takes it back, the notebook is stopped.
    stem : str
        Name of the notebook without its suffix.
    source : bytes
    parameters : mapping
    environment : mapping
        Variables that the kernel gets beside those of the worker.
    timeout : float
        Seconds.
    at_a_time : mapping
        For each machine, how many notebooks run there at a time.
    scratch : str or None
        Folder for what is not finished; by default the worker's own for temporary files.
    """

    key: str
    stem: str
    source: bytes
    parameters: Mapping[str, Any]
    environment: Mapping[str, str]
    timeout: float
    at_a_time: Mapping[str, int]
    scratch: str | None


@dataclass(frozen=True)
class Outcome:
    """What came of a job: the notebook as far as it came, if at all, and how it ended, in the words of `Result`."""

    content: bytes | None
    status: str
    message: str
    seconds: float | None


def facts() -> dict[str, str]:
    """Say what a worker would run with."""
    return {"tlutils": metadata.version("tlutils")}


def cores() -> int:
    """Return how many processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def execute(job: Job) -> Outcome:
    """Run a job to its end, its time limit, or until the scheduler takes it back or the worker closes."""
    from distributed import get_worker

    worker = get_worker()
    others = job.at_a_time.get(worker.ip, 1)

    def wanted() -> bool:
        task = worker.state.tasks.get(job.key)
        return task is not None and task.state == "executing" and worker.status.name == "running"

    try:
        with tempfile.TemporaryDirectory(prefix=".running-", dir=job.scratch, ignore_cleanup_errors=True) as made:
            execution = _Execution(job, Path(made).resolve(), others)
            try:
                while not execution.is_over() and wanted():
                    time.sleep(_POLL_SECONDS)
            finally:
                execution.stop()
            return execution.outcome()
    except OSError as error:
        return Outcome(None, "error", f"it could not be started: {error.strerror or error}", 0.0)


def environment(folder: Path, added: Mapping[str, str], at_a_time: int = 1) -> dict[str, str]:
    """Return the environment variables for papermill: its kernel "python3" is this very Python.

    Another environment's kernel of that name, in the user's own Jupyter folder or on JUPYTER_PATH, would otherwise come
    first. The kernels' connection files go to `folder`, so none is left behind.
    """
    variables = {name: value for name, value in os.environ.items() if name != "TLUTILS_STRICT"} | dict(added)
    others = [variables["JUPYTER_PATH"]] if variables.get("JUPYTER_PATH") else []
    variables["JUPYTER_PATH"] = os.pathsep.join([str(folder), *others])
    variables["JUPYTER_RUNTIME_DIR"] = str(folder / "runtime")
    # For the kernel's own processes too, such as joblib's.
    variables["PYTHONSAFEPATH"] = "1"
    if at_a_time > 1:
        for name in _THREADS:
            variables.setdefault(name, str(max(1, cores() // at_a_time)))
    if os.path.expanduser("~") == "~":
        # Jupyter cannot do without a home folder; what is to be kept needs a place that lasts.
        variables |= {"TLUTILS_CACHE": str(cache_dir().resolve()), "HOME": str(folder)}
    return variables


class _Execution:
    """A notebook being executed by papermill in another process."""

    def __init__(self, job: Job, folder: Path, at_a_time: int) -> None:
        self._job = job
        self._partial = folder / "executed.ipynb"
        self._log = folder / "log"
        self._asked = folder / "asked.json"
        self._environment = environment(folder, job.environment, at_a_time)
        self._retried = False
        self._out_of_time = False
        (folder / "source.ipynb").write_bytes(job.source)
        paths = {"input_path": literal(folder / "source.ipynb"), "output_path": literal(self._partial)}
        self._asked.write_text(json.dumps(paths | {"parameters": dict(job.parameters)}), encoding="utf-8")
        spec = {
            "argv": [sys.executable, "-P", "-c", _KERNEL, "-f", "{connection_file}"],
            "display_name": "Python 3",
            "language": "python",
        }
        (folder / "kernels" / "python3").mkdir(parents=True)
        (folder / "kernels" / "python3" / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")
        self._start()

    def _start(self) -> None:
        self._started = time.monotonic()
        with self._log.open("wb") as log:
            # A group of its own keeps Ctrl-C from reaching it: it is stopped in good order.
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _PAPERMILL, str(self._asked)],
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
            if time.monotonic() - self._started < self._job.timeout:
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

    def outcome(self) -> Outcome:
        """Judge the executed copy by its outputs and by the way papermill left."""
        seconds = time.monotonic() - self._started
        content = self._partial.read_bytes() if self._partial.is_file() else None
        judged = judge(content or b"", self._partial, self._job.stem)
        code = self._process.returncode
        status, message = judged.status, judged.message
        if self._out_of_time:
            status, message = "killed", f"stopped after {self._job.timeout:g} s"
        elif code == _DEAD_KERNEL or code < 0:
            status, message = "killed", "its kernel died, often for want of memory"
        elif code != 0 and judged.status != "error":
            status, message = "error", self._last_words()
        return Outcome(None if judged.status == "unreadable" else content, status, message, seconds)

    def _last_words(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").split("\n")
        spoken = [line for line in lines if line.strip()]
        if spoken:
            return one_line(spoken[-1])
        # Where nothing could be written, nothing was said.
        full = shutil.disk_usage(self._log.parent).free < _NO_ROOM
        return os.strerror(errno.ENOSPC) if full else f"papermill left with exit code {self._process.returncode}"
