"""Notebooks are run with papermill and judged by exit and record."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest
from executed import stamped

from tlutils import course, runs
from tlutils.settings import UserError

pytestmark = pytest.mark.slow

PARAMETERS = "seed: int = 0  # chooses the pictures\nrate: float = 0.1  # of learning\nplace: str = ''  # a folder"
# Its claim holds for the default seed only.
RECORD = f"""
from IPython.display import display
claim = {{"text": "The seed is 0.", "verdict": "holds" if seed == 0 else "does not hold", "observed": str(seed)}}
record = {{"notebook": "tiny", "parameters": {{"seed": seed, "rate": rate, "place": place}},
          "metrics": {{"twice": 2 * seed}}, "claims": [claim], "seconds": 1.5, "versions": {{}}}}
display({{"{course.MIME}": record, "text/plain": "record"}}, raw=True)
"""

Maker = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path) -> Maker:
    """Write a notebook with a parameters cell and the given code cells; return its path."""

    def write(name: str, *sources: str, parameters: str = PARAMETERS) -> Path:
        notebook = nbformat.v4.new_notebook()
        notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
        notebook.metadata.language_info = {"name": "python"}
        notebook.cells = [nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]})]
        notebook.cells += [nbformat.v4.new_code_cell(source) for source in sources]
        path = tmp_path / "lessons" / f"{name}.ipynb"
        path.parent.mkdir(exist_ok=True)
        nbformat.write(notebook, path)
        return path

    return write


def kernels_of(folder: Path) -> list[psutil.Process]:
    """Return the kernels whose connection file lies below a folder."""
    return [process for process in psutil.process_iter(["cmdline"]) if str(folder) in str(process.info["cmdline"])]


def test_a_notebook_whose_claims_hold_is_ok_and_its_copy_carries_the_record(make: Maker, tmp_path: Path) -> None:
    [result] = runs.run([make("tiny", RECORD)], tmp_path / "out" / "deep")
    assert (result.status, result.counts["holds"], len(result.claims), result.message) == ("ok", 1, 1, "")
    assert result.seconds is not None and result.seconds > 0
    assert result.path == tmp_path / "out" / "deep" / "tiny.ipynb"
    assert runs.record_of(result.path) == result.record
    assert [path.name for path in result.path.parent.iterdir()] == ["tiny.ipynb"], "nothing else is left behind"


def test_parameters_reach_the_notebook_with_their_types_and_values(make: Maker, tmp_path: Path) -> None:
    given = {"seed": 3, "rate": 1e-4, "place": "1e-4 {braces} 'quotes' # é"}
    [result] = runs.run([make("tiny", RECORD)], tmp_path / "out", given)
    assert result.record is not None
    assert result.record["parameters"] == given


def test_a_failed_claim_shows_in_the_status_and_stops_nothing_even_under_strict(
    make: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TLUTILS_STRICT", "1")
    lesson = make("tiny", "from tlutils import course\ncourse.claim('Wrong.', False, observed=0)", RECORD)
    [result] = runs.run([lesson], tmp_path / "out", {"seed": 1})
    assert (result.status, result.counts["holds"], len(result.claims)) == ("claims failed", 0, 1)


def test_every_way_of_ending_badly_has_its_own_status(make: Maker, tmp_path: Path) -> None:
    lessons = [
        make("raises", "1 / 0", RECORD),
        make("dies", "import os; os._exit(1)", RECORD),
        make("leaves", "raise SystemExit(0)", RECORD),
        make("forgets"),
    ]
    results = runs.run(lessons, tmp_path / "out", jobs=2)
    assert [(result.notebook, result.status) for result in results] == [
        ("raises", "error"),
        ("dies", "killed"),
        ("leaves", "error"),
        ("forgets", "no record"),
    ]
    assert results[0].message == "In [2]: ZeroDivisionError: division by zero"
    assert all(result.record is None and result.message for result in results)


def test_a_record_stored_in_the_source_is_not_taken_for_one_of_this_run(make: Maker, tmp_path: Path) -> None:
    lesson = stamped(tmp_path / "stale.ipynb", {"claims": []})
    notebook = nbformat.read(lesson, as_version=4)
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook.metadata.language_info = {"name": "python"}
    notebook.cells[0].source = "pass"
    nbformat.write(notebook, lesson)
    assert runs.record_of(lesson) is not None
    [result] = runs.run([lesson], tmp_path / "out")
    assert result.status == "no record"


def test_a_notebook_that_takes_too_long_is_stopped_with_its_kernel(make: Maker, tmp_path: Path) -> None:
    lesson = make("slow", "import time; time.sleep(600)")
    [result] = runs.run([lesson], tmp_path / "out", timeout=20)
    assert (result.status, result.message) == ("killed", "stopped after 20 s")
    assert kernels_of(tmp_path / "out") == []


def test_the_kernel_is_this_python_even_if_another_kernel_of_that_name_comes_first(
    make: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "jupyter" / "kernels" / "python3"
    other.mkdir(parents=True)
    spec = {"argv": ["no-such-python", "{connection_file}"], "display_name": "Other", "language": "python"}
    (other / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    lesson = make("tiny", "import sys, pathlib\npathlib.Path(place).write_text(sys.executable)", RECORD)
    [result] = runs.run([lesson], tmp_path / "out", {"place": str(tmp_path / "python")})
    assert result.status == "ok"
    assert (tmp_path / "python").read_text() == sys.executable


def test_a_kernel_that_does_not_come_up_is_started_once_more(
    make: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A sitecustomize that ends the first kernel before it can answer.
    trap = """
import os, sys, pathlib
seen = pathlib.Path(os.environ["TRAP"])
if any("ipykernel" in word for word in sys.orig_argv) and not seen.exists():
    seen.touch()
    os._exit(1)
"""
    (tmp_path / "trap").mkdir()
    (tmp_path / "trap" / "sitecustomize.py").write_text(trap)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "trap"))
    monkeypatch.setenv("TRAP", str(tmp_path / "seen"))
    [result] = runs.run([make("tiny", RECORD)], tmp_path / "out")
    assert (tmp_path / "seen").exists(), "the trap must have closed"
    assert result.status == "ok"


def test_a_relative_path_means_what_it_means_to_the_caller(
    make: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    runs.run([make("tiny", "open(place, 'w').close()", RECORD)], Path("out"), {"place": "written"})
    assert (tmp_path / "here" / "written").exists()
    assert (tmp_path / "here" / "out" / "tiny.ipynb").exists()


def test_an_unknown_parameter_is_named_with_the_valid_and_the_closest_one(make: Maker, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"'sed' is unknown to tiny\. Did you mean 'seed'\? .* seed, rate, place"):
        runs.run([make("tiny", RECORD)], tmp_path / "out", {"sed": 1})
    assert not (tmp_path / "out").exists(), "nothing ran"


def test_every_notebook_must_know_a_parameter_unless_some_are_enough(make: Maker, tmp_path: Path) -> None:
    knows, ignores = make("knows", RECORD), make("ignores", parameters="epochs: int = 1  # passes")
    with pytest.raises(UserError, match="'seed' is unknown to ignores"):
        runs.run([knows, ignores], tmp_path / "out", {"seed": 1})
    with pytest.raises(UserError, match="'other' is unknown to knows, ignores"):
        runs.run([knows, ignores], tmp_path / "out", {"other": 1}, by_some=True)
    results = runs.run([knows, ignores], tmp_path / "out", {"seed": 1}, by_some=True, jobs=2)
    assert [result.status for result in results] == ["claims failed", "no record"]


def test_a_copy_never_replaces_its_source(make: Maker) -> None:
    lesson = make("tiny", RECORD)
    before = lesson.read_bytes()
    with pytest.raises(UserError, match="would replace"):
        runs.run([lesson], lesson.parent)
    assert lesson.read_bytes() == before


def test_two_notebooks_of_one_name_are_refused(make: Maker, tmp_path: Path) -> None:
    lesson = make("tiny", RECORD)
    twin = tmp_path / "tiny.ipynb"
    twin.write_bytes(lesson.read_bytes())
    with pytest.raises(UserError, match=r"called tiny\.ipynb"):
        runs.run([lesson, twin], tmp_path / "out")


@pytest.mark.parametrize("content", [None, "", "{", "[]", '{"cells": 3}'])
def test_a_missing_or_broken_source_is_a_clear_error(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "broken.ipynb"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError, match="broken"):
        runs.run([path], tmp_path / "out")


POSIX = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals of this kind")


def started(folder: Path, *notebooks: Path, **options: Any) -> subprocess.Popen[str]:
    """Start the command on notebooks, of which the last says when it is reached and sleeps, and wait until it does."""
    command = [sys.executable, "-c", "from tlutils.cli import main; main()", "run", *map(str, notebooks)]
    command += ["-o", str(folder), "--jobs", "2"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)
    waited_for = [*(folder / path.name for path in notebooks[:-1]), folder.parent / "reached"]
    deadline = time.monotonic() + 300
    while not all(path.exists() for path in waited_for) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert len(kernels_of(folder)) >= 1
    return process


def sleeper(make: Maker, tmp_path: Path, seconds: int = 600) -> Path:
    reached = f"open({str(tmp_path / 'reached')!r}, 'w').close()"
    return make("slow", reached, f"import time; time.sleep({seconds})", RECORD)


@POSIX
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_an_interrupted_run_prints_and_keeps_what_is_finished_and_older_copies_and_leaves_no_kernel(
    make: Maker, tmp_path: Path, name: str
) -> None:
    older = stamped(tmp_path / "out" / "slow.ipynb", {"claims": []}).read_bytes()

    def heed() -> None:  # Tests that were started in the background, or by nohup, hand on that it is ignored.
        signal.signal(getattr(signal, name), signal.SIG_DFL)

    with started(tmp_path / "out", make("quick", RECORD), sleeper(make, tmp_path), preexec_fn=heed) as process:
        for _ in range(2):  # Who is impatient sends it twice.
            process.send_signal(getattr(signal, name))
        said, _ = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "quick" in said and "ok" in said and "slow" not in said
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["quick.ipynb", "slow.ipynb"]
    assert (tmp_path / "out" / "slow.ipynb").read_bytes() == older
    assert kernels_of(tmp_path / "out") == []


@POSIX
def test_under_nohup_a_run_goes_on_when_the_terminal_closes(make: Maker, tmp_path: Path) -> None:
    def ignore() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    with started(tmp_path / "out", sleeper(make, tmp_path, seconds=3), preexec_fn=ignore) as process:
        process.send_signal(signal.SIGHUP)
        said, _ = process.communicate(timeout=120)
    assert process.returncode == 0 and "ok" in said


@POSIX
def test_a_run_that_was_killed_outright_leaves_no_kernel_either(make: Maker, tmp_path: Path) -> None:
    with started(tmp_path / "out", sleeper(make, tmp_path)) as process:
        process.kill()
    deadline = time.monotonic() + 30
    while kernels_of(tmp_path / "out") and time.monotonic() < deadline:
        time.sleep(0.2)
    assert kernels_of(tmp_path / "out") == []


def test_what_a_killed_notebook_had_lies_beside_the_older_copy_until_one_is_whole_again(
    make: Maker, tmp_path: Path
) -> None:
    older = stamped(tmp_path / "out" / "slow.ipynb", {"claims": []}).read_bytes()
    [result] = runs.run([make("slow", "import os; os.kill(os.getppid(), 9); os._exit(1)")], tmp_path / "out")
    assert (result.status, result.path) == ("killed", tmp_path / "out" / "slow.stopped.ipynb")
    assert (tmp_path / "out" / "slow.ipynb").read_bytes() == older
    assert runs.record_of(result.path) is None
    [result] = runs.run([make("slow", RECORD)], tmp_path / "out")
    assert result.status == "ok" and [path.name for path in (tmp_path / "out").iterdir()] == ["slow.ipynb"]


def test_files_of_the_working_folder_hide_no_module_and_can_be_imported_all_the_same(
    make: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    for name in ("random", "code", "numpy", "papermill", "nbformat"):
        (here / f"{name}.py").write_text("raise SystemExit('my exercise')")
    (here / "my_notes.py").write_text("x = 1")
    monkeypatch.chdir(here)
    uses = "import random, code, numpy, my_notes, subprocess, sys\nassert my_notes.x == 1 and random.random() < 1"
    child = "subprocess.run([sys.executable, '-c', 'import random; random.random()'], check=True)"
    [result] = runs.run([make("tiny", uses, child, RECORD)], tmp_path / "out")
    assert (result.status, result.message) == ("ok", "")


@POSIX
def test_a_user_without_a_home_folder_can_run_notebooks_once_there_is_a_cache(
    make: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pwd

    lesson = make("tiny", "import os; assert os.environ['TLUTILS_CACHE'] == place", RECORD)
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: {}[uid])
    for variable in ("HOME", "XDG_CACHE_HOME", "TLUTILS_CACHE"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(UserError, match="no home folder. Set the environment variable HOME, or TLUTILS_CACHE"):
        runs.run([lesson], tmp_path / "out")
    monkeypatch.setenv("TLUTILS_CACHE", str(tmp_path / "cache"))
    [result] = runs.run([lesson], tmp_path / "out", {"place": str(tmp_path / "cache")})
    assert (result.status, result.message) == ("ok", "")


@pytest.mark.skipif(sys.platform != "linux", reason="file names are bytes on Linux only")
def test_a_name_that_no_notebook_can_hold_is_refused_before_anything_runs(make: Maker, tmp_path: Path) -> None:
    lesson, odd = make("tiny", RECORD), os.fsdecode(b"k\xe4tzchen")
    odd_lesson = lesson.rename(lesson.with_name(f"{odd}.ipynb"))
    with pytest.raises(UserError, match=r"k\\xe4tzchen.ipynb.* no UTF-8"):
        runs.run([odd_lesson], tmp_path / "out")
    lesson = odd_lesson.rename(lesson)
    with pytest.raises(UserError, match=r"'k\\xe4tzchen', looked for from .* no UTF-8"):
        runs.run([lesson], tmp_path / "out", {"place": odd})
    with pytest.raises(UserError, match=r"k\\xe4tzchen', looked for from .* no UTF-8"):
        runs.run([lesson], tmp_path / odd)
    assert not (tmp_path / "out").exists()


def test_an_output_folder_that_cannot_be_written_is_named(make: Maker, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="file/out cannot take executed notebooks .* choose another output folder"):
        runs.run([make("tiny", RECORD)], tmp_path / "file" / "out")


def test_a_copy_that_cannot_be_put_in_its_place_spoils_no_other_result(make: Maker, tmp_path: Path) -> None:
    (tmp_path / "out" / "first.ipynb").mkdir(parents=True)
    first, second = runs.run([make("first", RECORD), make("second", RECORD)], tmp_path / "out")
    assert first.status == "error" and "first.ipynb could not be written: " in first.message
    assert second.status == "ok"


def test_half_of_the_cores_but_never_more_than_two_notebooks_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    for cores, jobs in [(None, 1), (1, 1), (2, 1), (3, 1), (4, 2), (64, 2)]:
        monkeypatch.setattr(os, "cpu_count", lambda cores=cores: cores)
        assert runs.default_jobs() == jobs
