"""What the tests of sweeps share: a cluster on loopback, and what a notebook of theirs has written down."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path


class Loopback:
    """A scheduler of Dask on this machine, and workers, each a process of its own."""

    def __init__(self) -> None:
        self.processes: list[subprocess.Popen[bytes]] = []
        self.address = ""

    def start(self, kind: str, *words: str, before: str = "") -> subprocess.Popen[bytes]:
        """Start a process of that kind; `before` is run in it first."""
        program = f"{before}; import sys; from distributed.cli.dask_{kind} import main; main()"
        command = [sys.executable, "-c", program, *words, "--no-dashboard"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.processes.append(process)
        return process

    def worker(self, before: str = "pass") -> subprocess.Popen[bytes]:
        """Start a worker that runs a notebook at a time."""
        return self.start("worker", self.address, "--nthreads", "1", "--no-nanny", before=before)

    def settle(self, workers: int = 1) -> None:
        """Wait until the scheduler has workers."""
        from distributed import Client

        with Client(self.address, set_as_default=False) as client:
            client.wait_for_workers(workers, timeout=120)


def wait_until(condition: Callable[[], object], seconds: float = 120) -> None:
    """Wait for what must come; a slow machine is no defect."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.05)


def begun(folder: Path) -> list[int]:
    """Return the seeds whose notebooks have begun, sorted, each as often as it has."""
    with contextlib.suppress(FileNotFoundError):
        return sorted(int(line) for line in (folder / "begun").read_text().split())
    return []


def command(*words: object) -> list[str]:
    """Return the command line of tlutils in this Python."""
    return [sys.executable, "-c", "from tlutils.cli import main; main()", *map(str, words)]
