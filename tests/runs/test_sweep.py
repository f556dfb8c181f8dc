"""A sweep runs every point once, whatever happens meanwhile."""

from __future__ import annotations

import errno
import json
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from sweeping import Loopback, begun, command, wait_until

from tlutils import runs
from tlutils.runs import engine, execution
from tlutils.runs.places import Place
from tlutils.settings import UserError

pytestmark = pytest.mark.slow

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals of this kind")


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing be executed: a seed of 3 fails, all others leave the notebook as it is."""

    def pretend(job: execution.Job) -> execution.Outcome:
        if job.parameters["seed"] == 3:
            return execution.Outcome(job.source, "error", "In [2]: ValueError: no 3", 1.0)
        return execution.Outcome(job.source, "no record", "", 1.0)

    monkeypatch.setattr(execution, "execute", pretend)


def copies(out: Path) -> list[Path]:
    return sorted(out.glob("*.ipynb"))


def given(path: Path) -> int:
    """Return the seed of an executed copy."""
    return int(json.loads(path.read_text(encoding="utf-8"))["metadata"]["papermill"]["parameters"]["seed"])


def test_a_failed_run_keeps_its_notebook_stops_no_other_and_is_repeated_only_if_asked(
    tiny: Path, tmp_path: Path
) -> None:
    grid = {"seed": [0, 1, 2], "fails": [[1]]}
    results = runs.sweep(tiny, grid, tmp_path / "out", workers=2)
    assert [(result.parameters["seed"], result.status) for result in results] == [
        (0, "no record"),
        (1, "error"),
        (2, "no record"),
    ]
    assert results[1].message == "In [3]: ValueError: no 1" and "no 1" in Path(results[1].path).read_text()
    (tmp_path / "mended").touch()
    assert [result.status for result in runs.sweep(tiny, grid, tmp_path / "out")] == [r.status for r in results]
    assert begun(tmp_path) == [0, 1, 2]
    again = runs.sweep(tiny, grid, tmp_path / "out", retry_failed=True)
    assert {result.status for result in again} == {"no record"} and begun(tmp_path) == [0, 1, 1, 2]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(Path(r.path).name for r in again)


@POSIX
@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM"])
def test_a_sweep_that_was_killed_runs_only_what_is_missing(tiny: Path, tmp_path: Path, name: str) -> None:
    words = command("sweep", tiny, "-p", "seed", "0..2", "-p", "waits", "[2]", "-o", tmp_path / "out", "--workers", "2")
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        wait_until(lambda: len(copies(tmp_path / "out")) == 2 and begun(tmp_path) == [0, 1, 2])
        process.send_signal(getattr(signal, name))
        process.communicate(timeout=60)
    assert process.returncode == (130 if name == "SIGTERM" else -9)
    wait_until(lambda: not [p for p in psutil.process_iter(["cmdline"]) if str(tmp_path) in str(p.info["cmdline"])])
    (tmp_path / "go").touch()
    outcome = subprocess.run(words, capture_output=True, text=True)
    assert outcome.returncode == 0 and "3 runs, 1 of them to do" in outcome.stderr
    assert begun(tmp_path) == [0, 1, 2, 2]
    assert sorted(map(given, copies(tmp_path / "out"))) == [0, 1, 2]


@POSIX
def test_two_sweeps_at_once_on_one_folder_run_each_point_once(tiny: Path, tmp_path: Path) -> None:
    words = command("sweep", tiny, "-p", "seed", "0..3", "-o", tmp_path / "out", "--workers", "1")
    both = [subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) for _ in range(2)]
    said = [process.communicate(timeout=240)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert begun(tmp_path) == [0, 1, 2, 3] and len(copies(tmp_path / "out")) == 4
    assert all(text.count("no record\n") == 4 for text in said), "each tells of all"
    assert [path.suffix for path in (tmp_path / "out").iterdir()] == [".ipynb"] * 4


@POSIX
def test_a_worker_that_is_killed_costs_no_run_and_doubles_none(tiny: Path, tmp_path: Path, loopback: Loopback) -> None:
    first, _ = loopback.worker(), loopback.worker()
    loopback.settle(2)
    grid = ["-p", "seed", "0..4", "-p", "waits", "[1,2,3,4]"]
    words = command("sweep", tiny, *grid, "-o", tmp_path / "out", "--scheduler", loopback.address)
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        wait_until(lambda: len(copies(tmp_path / "out")) == 1 and len(begun(tmp_path)) >= 3)
        children = psutil.Process(first.pid).children(recursive=True)
        first.kill()
        (tmp_path / "go").touch()
        said = process.communicate(timeout=240)[1]
    assert process.returncode == 0, said
    assert sorted(map(given, copies(tmp_path / "out"))) == [0, 1, 2, 3, 4]
    assert len(list((tmp_path / "out").iterdir())) == 5
    _, alive = psutil.wait_procs(children, timeout=30)
    assert alive == [], "the kernel went with its worker"


@POSIX
def test_a_stopped_sweep_ends_the_kernels_of_its_scheduler_and_leaves_the_workers(
    tiny: Path, tmp_path: Path, loopback: Loopback
) -> None:
    worker = loopback.worker()
    loopback.settle()
    words = command("sweep", tiny, "-p", "waits", "[0]", "-p", "seed", "0", "-o", tmp_path / "out")
    with subprocess.Popen([*words, "--scheduler", loopback.address], stdout=subprocess.DEVNULL) as process:
        wait_until(lambda: begun(tmp_path) == [0])
        process.terminate()
        assert process.wait(timeout=60) == 130
    wait_until(lambda: psutil.Process(worker.pid).children(recursive=True) == [], seconds=30)
    assert worker.poll() is None and copies(tmp_path / "out") == []


@POSIX
def test_without_the_scheduler_the_sweep_says_so_before_and_during_and_keeps_what_is_finished(
    tiny: Path, tmp_path: Path, loopback: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid = {"seed": [0, 1], "waits": [[1]]}
    with pytest.raises(UserError, match="has no worker. Start one: dask worker tcp://"):
        runs.sweep(tiny, grid, tmp_path / "out", scheduler=loopback.address)
    loopback.worker()
    loopback.settle()
    words = command("sweep", tiny, "-p", "seed", "0,1", "-p", "waits", "[1]", "-o", tmp_path / "out")
    words += ["--scheduler", loopback.address]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        wait_until(lambda: len(copies(tmp_path / "out")) == 1 and begun(tmp_path) == [0, 1])
        loopback.processes[0].kill()
        said = process.communicate(timeout=120)[1]
    assert process.returncode == 1 and "no longer answers" in said and "only what is missing" in said
    assert len(copies(tmp_path / "out")) == 1
    monkeypatch.setattr(engine, "_ANSWER_SECONDS", 0.5)
    with pytest.raises(UserError, match="No Dask scheduler answers at tcp://"):
        runs.sweep(tiny, grid, tmp_path / "out", scheduler=loopback.address)
    with pytest.raises(UserError, match="No Dask scheduler answers at nonsense"):
        runs.sweep(tiny, grid, tmp_path / "out", scheduler="nonsense")


@POSIX
def test_a_worker_without_the_package_is_named(tiny: Path, tmp_path: Path, loopback: Loopback) -> None:
    loopback.worker(before="import sys; sys.modules['tlutils'] = None")
    loopback.settle()
    with pytest.raises(UserError, match=r"worker tcp://.* cannot run .* Install the same environment there"):
        runs.sweep(tiny, {"seed": [0]}, tmp_path / "out", scheduler=loopback.address)


@pytest.mark.usefixtures("pretended")
def test_runs_of_an_edited_notebook_stay_and_are_stale_and_copies_are_duplicates(tiny: Path, tmp_path: Path) -> None:
    [old] = runs.sweep(tiny, {"seed": [1]}, tmp_path / "out")
    tiny.write_text(tiny.read_text().replace("of learning", "of loss"))
    [new] = runs.sweep(tiny, {"seed": [1]}, tmp_path / "out")
    assert old.path != new.path and Path(old.path).exists()
    (tmp_path / "out" / "z.ipynb").write_bytes(Path(new.path).read_bytes())
    states = {result.path: result.state for result in runs.survey(tmp_path / "out")}
    assert states == {old.path: "stale", new.path: "current", tmp_path / "out" / "z.ipynb": "duplicate"}
    table = runs.frame(runs.rows(runs.survey(tmp_path / "out"), tmp_path / "out"))
    assert sorted(table["state"]) == ["current", "duplicate", "stale"] and set(table["parameters.seed"]) == {1}


@pytest.mark.usefixtures("pretended")
def test_outputs_do_not_change_a_run_and_parameters_version_and_backend_do(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import nbformat

    def name(seed: int = 1) -> str:
        [point] = runs.plan(tiny, {"seed": [seed]}, tmp_path / "out")
        return point.name

    plain = name()
    notebook = nbformat.read(tiny, as_version=4)
    notebook.cells[1].outputs = [nbformat.v4.new_output("stream", text="said")]
    notebook.cells[1].execution_count = 7
    nbformat.write(notebook, tiny)
    assert name() == plain != name(2)
    with monkeypatch.context() as patch:
        patch.setenv("KERAS_BACKEND", "torch")
        assert name() != plain
    with monkeypatch.context() as patch:
        patch.setattr("importlib.metadata.version", lambda _: "9")
        assert name() != plain


@pytest.mark.usefixtures("pretended")
def test_a_broken_copy_is_run_again(tiny: Path, tmp_path: Path) -> None:
    [first] = runs.sweep(tiny, {"seed": [1]}, tmp_path / "out")
    whole = Path(first.path).read_bytes()
    Path(first.path).write_bytes(whole[:100])
    [second] = runs.sweep(tiny, {"seed": [1]}, tmp_path / "out")
    assert second.status == "no record" and Path(first.path).read_bytes() == whole


@pytest.mark.usefixtures("pretended")
def test_a_full_disk_fails_the_runs_it_does_not_take_and_harms_no_other(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [first] = runs.sweep(tiny, {"seed": [0]}, tmp_path / "out")
    whole = Path(first.path).read_bytes()

    def full(self: Place, name: str, content: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Place, "write", full)
    kept, lost = runs.sweep(tiny, {"seed": [0, 1]}, tmp_path / "out")
    assert kept.status == "no record" and Path(first.path).read_bytes() == whole
    assert lost.status == "error" and "could not be written: No space left" in lost.message


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-p", "sed", "1"], "'sed' is unknown to tiny. Did you mean 'seed'?"),
        (["-p", "seed", "many"], "-p seed 'many' is not of the declared type int."),
        (["-p", "seed", "1,1"], "stands twice in the grid"),
        (["-p", "seed", "0..99999"], "These are 100,000 runs. Add --yes"),
        ([], "The grid is empty"),
        (["-p", "seed", "1", "-p", "seed", "2"], "'seed' is given twice"),
    ],
)
def test_what_cannot_be_meant_is_a_sentence_before_anything_starts(
    tiny: Path, tmp_path: Path, words: list[str], said: str
) -> None:
    from click.testing import CliRunner

    from tlutils import cli

    outcome = CliRunner().invoke(cli.main, ["sweep", str(tiny), *words, "-o", str(tmp_path / "out")])
    assert outcome.exit_code == 1 and said in outcome.stderr and not (tmp_path / "out").exists()


def test_a_notebook_without_a_parameters_cell_is_named(tiny: Path, tmp_path: Path) -> None:
    tiny.write_text(tiny.read_text().replace('"parameters"', '"other"'))
    with pytest.raises(UserError, match="No parameters are declared there"):
        runs.sweep(tiny, {"seed": [1]}, tmp_path / "out")


def test_a_dry_run_runs_nothing_and_a_draw_repeats(tiny: Path, tmp_path: Path) -> None:
    from click.testing import CliRunner

    from tlutils import cli

    words = ["sweep", str(tiny), "-p", "seed", "0..99999", "--random", "3", "--dry-run", "-o", str(tmp_path / "out")]
    first, second = (CliRunner().invoke(cli.main, words) for _ in range(2))
    assert first.exit_code == 0 and first.stdout == second.stdout and first.stdout.count("to do") == 3
    assert begun(tmp_path) == [] and not (tmp_path / "out").exists()


def test_nothing_in_a_name_or_a_value_is_evaluated(tiny: Path, tmp_path: Path) -> None:
    odd = tiny.rename(tmp_path / "a;touch $(touch x) `touch y` {z}.ipynb")
    value = "$(touch x)'; import os; os.mkdir('y')#\"\"\" {z}"
    [result] = runs.sweep(odd, {"seed": [1], "place": [str(tmp_path)], "fails": [[value]]}, tmp_path / "out")
    assert (result.status, result.parameters["fails"]) == ("no record", [value])
    assert not (tmp_path / "x").exists() and not (tmp_path / "y").exists()


def test_cores_are_shared_out_among_the_notebooks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution, "cores", lambda: 8)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    alone, shared = (execution.environment(tmp_path, {}, at_a_time) for at_a_time in (1, 4))
    assert "TF_NUM_INTRAOP_THREADS" not in alone and shared["TF_NUM_INTRAOP_THREADS"] == "2"
    assert shared["OMP_NUM_THREADS"] == "3", "what the reader has set stays"
