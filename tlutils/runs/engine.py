"""One engine for all runs: points of a grid, or the lessons of the course, as tasks of a Dask cluster."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
import signal
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tlutils.runs import execution
from tlutils.runs.grid import grid_of
from tlutils.runs.parameters import parameters_of, share_out
from tlutils.runs.places import Place
from tlutils.runs.records import FAILED, STAMP, Result, identity, judge, one_line
from tlutils.settings import UserError, cache_dir, printable

_POLL_SECONDS = 0.02
_COUNT_SECONDS = 5.0
_ANSWER_SECONDS = 15.0

# Ctrl-C; the end of a batch job; a closed terminal or connection. Windows has no SIGHUP.
_STOPPING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


class Interrupted(KeyboardInterrupt):
    """The runs were stopped by a signal; ``results`` has those that were finished by then."""

    def __init__(self, results: list[Result]) -> None:
        super().__init__("interrupted")
        self.results = results


@dataclass(frozen=True)
class Point:
    """A run to be: a notebook with parameters, and the name of its executed copy.

    Attributes
    ----------
    notebook : Path
    source : bytes
        The notebook as it was when the run was planned.
    parameters : dict
    name : str
        Of the executed copy, without the suffix; in a sweep, it ends with the identity.
    identity : str
        Hash of the notebook's sources, the parameters, the version of this package and Keras' backend.
    earlier : Result or None
        What an earlier run left.
    """

    notebook: Path
    source: bytes
    parameters: dict[str, Any]
    name: str
    identity: str
    earlier: Result | None = None

    @property
    def shared(self) -> bool:
        """Whether any sweep would run just this under just this name."""
        return self.name.endswith(f"-{self.identity}")


def default_jobs() -> int:
    """Return how many notebooks to run at a time: one on two or three cores, two on more, since each uses two."""
    return min(2, max(1, execution.cores() // 2))


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
    given = share_out(notebooks, parameters or {}, by_some)
    for text in (*map(str, notebooks), str(output_dir), *map(str, (parameters or {}).values())):
        _require_utf8(text)
    points = [_point(notebook, *_content(notebook), given[notebook], numbered=False) for notebook in notebooks]
    twice = [name for name, count in Counter(point.name for point in points).items() if count > 1]
    if twice:
        raise UserError(f"Two notebooks are called {twice[0]}.ipynb; run them into different folders.")
    for point in points:
        if (output_dir / f"{point.name}.ipynb").resolve() == point.notebook.resolve():
            raise UserError(f"The executed copy would replace {point.notebook} itself; choose another output folder.")
    return carry_out(points, output_dir, jobs=jobs, timeout=timeout)


def plan(
    notebook: Path, grid: Mapping[str, Sequence[Any]] | Sequence[Mapping[str, Any]], out: Path | str
) -> list[Point]:
    """Return the points of a grid, each with what an earlier sweep left of it.

    Parameters
    ----------
    notebook : Path
    grid : mapping of str to sequence, or sequence of mapping
        For each parameter its values, which are combined; or the points themselves.
    out : Path or str
        Folder, or address of a store, of the executed notebooks.

    Returns
    -------
    list of Point

    Raises
    ------
    UserError
        For a missing notebook, an unknown parameter, a value of another type than declared, an empty grid or one with
        something twice, a place that cannot be read.
    """
    declared = parameters_of(notebook)
    points = grid_of(grid, declared)
    for name in dict.fromkeys(name for parameters in points for name in parameters):
        share_out([notebook], {name: None}, False)
    place = Place(out)
    there = set(place.names())
    content, source = _content(notebook)
    planned = []
    for parameters in points:
        for text in (str(notebook), str(out), *map(str, parameters.values())):
            _require_utf8(text)
        point = _point(notebook, content, source, parameters, numbered=True)
        planned.append(replace(point, earlier=_earlier(place, point.name, there)))
    return planned


def sweep(
    notebook: Path,
    grid: Mapping[str, Sequence[Any]] | Sequence[Mapping[str, Any]],
    out: Path | str,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    timeout: float = 3600.0,
    retry_failed: bool = False,
) -> list[Result]:
    """Run a notebook over a grid of parameters, on this machine or on a Dask cluster; finished runs are not repeated.

    Executed notebooks are called ``<notebook>-<identity>.ipynb``. The identity is a hash of the notebook's sources, the
    parameters, the version of this package and ``KERAS_BACKEND``, so runs of an edited notebook stay beside the new
    ones. Each run appears when it is whole; what a killed one had is in ``<notebook>-<identity>.stopped.ipynb``.

    Parameters
    ----------
    notebook, grid, out
        As for `plan`.
    workers : int, optional
        Notebooks at a time on this machine; by default `default_jobs`.
    scheduler : str, optional
        Address of a Dask scheduler, such as ``tcp://host:8786``, whose workers run the notebooks instead. They need
        this package and the data; the notebooks travel to them and back.
    timeout : float
        Seconds that one run may take.
    retry_failed : bool
        Whether runs that failed earlier are repeated.

    Returns
    -------
    list of Result
        In the order of the grid, earlier runs among them.

    Raises
    ------
    UserError
        As `plan`; and if the scheduler does not answer, has no fit worker, or goes away meanwhile.
    Interrupted
        As `run`.
    """
    points = plan(notebook, grid, out)
    return carry_out(points, out, jobs=workers, scheduler=scheduler, timeout=timeout, retry_failed=retry_failed)


def carry_out(
    points: Sequence[Point],
    out: Path | str,
    *,
    jobs: int | None = None,
    scheduler: str | None = None,
    timeout: float = 3600.0,
    retry_failed: bool = False,
) -> list[Result]:
    """Run the points that have no earlier result; see `run` and `sweep`."""
    from tqdm import tqdm

    if jobs is None:
        jobs = default_jobs()
    if jobs < 1:
        raise UserError(f"jobs={jobs} runs nothing; give 1 or more.")
    if os.path.expanduser("~") == "~":
        cache_dir()  # Says what to do where there is neither a home folder nor another one for the cache.
    results: dict[str, Result] = {}
    for point in points:
        if point.earlier is not None and not (retry_failed and point.earlier.status in FAILED):
            results[point.name] = point.earlier
    waiting = deque(point for point in points if point.name not in results)
    if not waiting:
        return list(results.values())
    place = Place(out)
    place.prepare()
    # With the time left.
    bar = tqdm(total=len(waiting), unit="notebook", file=sys.stderr, disable=None)
    with _signals_noted() as noted, bar, _Cluster(jobs, scheduler, place, timeout) as cluster:
        while (waiting or cluster.flying) and not noted:
            for _ in range(min(len(waiting), cluster.room())):
                point = waiting.popleft()
                done = cluster.begin(point)
                if done is None:
                    waiting.append(point)  # Another sweep is at it.
                elif done:
                    results[point.name] = done[0]
                    bar.update()
            bar.set_postfix_str(", ".join(point.name for point in cluster.flying.values()))
            time.sleep(_POLL_SECONDS)
            for point, result in cluster.landed():
                results[point.name] = result
                bar.update()
    finished = [results[point.name] for point in points if point.name in results]
    if len(finished) < len(points):
        raise Interrupted(finished)
    return finished


def _content(notebook: Path) -> tuple[dict[str, Any], bytes]:
    """Return a notebook, and the same as bytes, without what an earlier run wrote there."""
    content: dict[str, Any] = json.loads(notebook.read_bytes())
    content.get("metadata", {}).pop(STAMP, None)
    return content, json.dumps(content).encode()


def _point(
    notebook: Path, content: Mapping[str, Any], source: bytes, parameters: dict[str, Any], numbered: bool
) -> Point:
    number = identity(content, parameters, os.environ.get("KERAS_BACKEND", ""))
    return Point(notebook, source, parameters, f"{notebook.stem}-{number}" if numbered else notebook.stem, number)


def _earlier(place: Place, name: str, there: Container[str] | None = None) -> Result | None:
    """Return what lies under the name of a run, if it can be read: the whole copy, or what a killed run had."""
    for file in (f"{name}.ipynb", f"{name}.stopped.ipynb"):
        content = place.read(file) if there is None or file in there else None
        result = judge(content, place.path(file), name) if content is not None else None
        if result is not None and result.status != "unreadable":
            return result
    return None


class _Cluster:
    """Workers of Dask, in this process or those of a scheduler, and what they have in hand."""

    def __init__(self, jobs: int, scheduler: str | None, place: Place, timeout: float) -> None:
        import distributed

        self._place = place
        self._timeout = timeout
        self._scheduler = scheduler
        self._slots = jobs
        self._at_a_time: dict[str, int] = {}
        self._claims: dict[str, Any] = {}
        self.flying: dict[Any, Point] = {}
        # It would write of every lost connection; what matters of that is said in a sentence.
        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        if scheduler is None:
            # Each notebook has a process of its own below these workers, which thus need none.
            self._local: Any = distributed.LocalCluster(
                n_workers=jobs, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0", memory_limit=0
            )
            self._client = distributed.Client(self._local)
        else:
            self._local = None
            try:
                self._client = distributed.Client(scheduler, timeout=_ANSWER_SECONDS, set_as_default=False)
            except (OSError, ValueError, TypeError) as error:
                raise UserError(
                    f"No Dask scheduler answers at {scheduler} ({one_line(str(error))}). Start one with dask scheduler "
                    "and give the address that it says, or leave the scheduler out to work on this machine."
                ) from error
            try:
                self._require_fit_workers()
            except BaseException:
                self._client.close()
                raise
        self._count()

    def _require_fit_workers(self) -> None:
        own = execution.facts()
        found = self._client.run(execution.facts, on_error="return")
        if not found:
            raise UserError(
                f"The scheduler at {self._scheduler} has no worker. Start one: dask worker {self._scheduler}"
            )
        for worker, theirs in found.items():
            if theirs != own:
                said = theirs["tlutils"] if isinstance(theirs, dict) else one_line(str(theirs))
                raise UserError(
                    f"The worker {worker} cannot run the course's notebooks: it answers {said!r} and not "
                    f"{own['tlutils']!r}, the version of tlutils here. Install the same environment there, then start "
                    "the worker again."
                )

    def _gone(self) -> UserError:
        return UserError(
            f"The scheduler at {self._scheduler} no longer answers. What is finished stays in {self._place.where}; "
            "start scheduler and workers again and give the same command: it runs only what is missing."
        )

    def _count(self) -> None:
        """See which workers there are."""
        from distributed.comm.addressing import get_address_host

        self._counted = time.monotonic()
        try:
            threads = self._client.nthreads()
        except Exception as error:  # Dask's own classes, and those of the network.
            raise self._gone() from error
        self._at_a_time = {}
        for address, count in threads.items():
            host = get_address_host(address)
            self._at_a_time[host] = self._at_a_time.get(host, 0) + count
        if self._local is None:
            # One more for each, so that none waits for its next.
            self._slots = sum(threads.values()) + len(threads)

    def room(self) -> int:
        """Return how many more runs the workers take."""
        if self._local is None and time.monotonic() - self._counted > _COUNT_SECONDS:
            self._count()
        return max(0, self._slots - len(self.flying))

    def begin(self, point: Point) -> list[Result] | None:
        """Start a run; give its result instead if another sweep has got it meanwhile, None while one is at it."""
        from filelock import FileLock, Timeout

        if point.shared:
            if self._place.folder is not None:
                # It ends with the process that holds it.
                claim = FileLock(self._place.folder / f".{point.name}.lock")
                try:
                    claim.acquire(timeout=0)
                except Timeout:
                    return None
                self._claims[point.name] = claim
            found = _earlier(self._place, point.name)
            if found is not None and found != point.earlier:
                self._let_go(point)
                return [found]
        key = f"{point.name}-{secrets.token_hex(8)}"
        job = execution.Job(
            key=key,
            stem=point.notebook.stem,
            source=point.source,
            parameters=point.parameters,
            # A worker elsewhere may have another one. Keras takes an empty one for none.
            environment={"KERAS_BACKEND": os.environ.get("KERAS_BACKEND", "")} if self._local is None else {},
            timeout=self._timeout,
            at_a_time=self._at_a_time,
            scratch=str(self._place.folder.absolute()) if self._local is not None and self._place.folder else None,
        )
        self.flying[self._client.submit(execution.execute, job, key=key, pure=False)] = point
        return []

    def landed(self) -> Iterator[tuple[Point, Result]]:
        """Put away what has ended."""
        from distributed import KilledWorker

        for future in [future for future in self.flying if future.done()]:
            if future.status not in ("finished", "error"):
                raise self._gone()
            point = self.flying[future]
            if future.status == "finished":
                outcome = future.result()
            elif isinstance(error := future.exception(), KilledWorker):
                message = "every worker that took it died, often for want of memory"
                outcome = execution.Outcome(None, "killed", message, None)
            else:
                outcome = execution.Outcome(None, "error", f"its worker failed: {one_line(str(error))}", None)
            result = _stored(point, outcome, self._place)
            del self.flying[future]
            self._let_go(point)
            yield point, result

    def _let_go(self, point: Point) -> None:
        claim = self._claims.pop(point.name, None)
        if claim is not None:
            with contextlib.suppress(OSError):
                Path(claim.lock_file).unlink(missing_ok=True)
            claim.release()

    def __enter__(self) -> _Cluster:
        return self

    def __exit__(self, *_: object) -> None:
        # A run that is taken back ends with its kernel; what has gone needs no farewell.
        with contextlib.suppress(Exception):
            if self.flying:
                self._client.cancel(list(self.flying))
        with contextlib.suppress(Exception):
            self._client.close(timeout=2)
        if self._local is not None:
            self._local.close(timeout=20)
        for point in self.flying.values():
            self._let_go(point)


def _stamped(outcome: execution.Outcome, point: Point, path: str) -> bytes:
    """Write into the executed copy what it is a run of, and how it ended."""
    notebook = json.loads(outcome.content or b"")
    notebook["metadata"].setdefault("papermill", {}).update(input_path=str(point.notebook), output_path=path)
    notebook["metadata"][STAMP] = {
        "identity": point.identity,
        "notebook": str(point.notebook.resolve()),
        "backend": os.environ.get("KERAS_BACKEND", ""),
        "status": outcome.status,
        "message": outcome.message,
        "seconds": outcome.seconds,
        "parameters": point.parameters,
    }
    return (json.dumps(notebook, indent=1, ensure_ascii=False) + "\n").encode()


def _stored(point: Point, outcome: execution.Outcome, place: Place) -> Result:
    """Put the executed copy in its place, with what it is a run of."""
    status, message, record = outcome.status, outcome.message, None
    stopped = f"{point.name}.stopped.ipynb"
    name = stopped if status == "killed" else f"{point.name}.ipynb"
    if outcome.content is not None:
        content = _stamped(outcome, point, str(place.path(name)))
        record = judge(content, place.path(name), point.name).record
        try:
            place.write(name, content)
            if name != stopped:
                place.remove(stopped)
        except OSError as error:
            status, message = "error", f"{place.path(name)} could not be written: {error.strerror or error}"
    return Result(
        point.name,
        place.path(name),
        status,
        outcome.seconds,
        None if status in FAILED else record,
        message,
        point.parameters,
    )


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
