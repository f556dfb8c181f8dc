"""What executed notebooks recorded is read back, gathered and laid out."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from executed import stamped

from tlutils import course, runs
from tlutils.settings import UserError


def test_the_last_record_counts(tmp_path: Path) -> None:
    path = stamped(tmp_path / "twice.ipynb", {"seconds": 1})
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.append(nbformat.read(stamped(tmp_path / "other.ipynb", {"seconds": 2}), as_version=4).cells[0])
    nbformat.write(notebook, path)
    assert runs.record_of(path) == {"seconds": 2}


def test_collecting_sorts_the_records_and_reports_what_cannot_be_read(tmp_path: Path) -> None:
    claims = [{"text": "a", "verdict": "holds", "observed": "1"}, {"text": "b", "passed": False, "observed": "2"}]
    stamped(tmp_path / "runs" / "b.ipynb", {"notebook": "b", "claims": claims, "seconds": 2.0})
    stamped(tmp_path / "runs" / "a" / "z.ipynb", {"notebook": "z", "claims": claims[:1], "seconds": 1.0})
    stamped(tmp_path / "runs" / ".ipynb_checkpoints" / "b.ipynb", {"notebook": "old"})
    (tmp_path / "runs" / "c.ipynb").write_text("{")
    results = runs.survey(tmp_path / "runs")
    assert [(result.notebook, result.status, result.counts["holds"]) for result in results] == [
        ("a/z", "ok", 1),
        ("b", "claims failed", 1),
        ("c", "unreadable", 0),
    ]
    assert [(record["file"], record["notebook"]) for record in runs.records(results, tmp_path / "runs")] == [
        ("a/z.ipynb", "z"),
        ("b.ipynb", "b"),
    ]


@pytest.mark.parametrize("name", ["missing", "empty"])
def test_collecting_from_a_folder_without_notebooks_is_a_clear_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=name):
        runs.survey(tmp_path / name)


def test_the_csv_has_a_row_per_run_and_a_column_per_parameter_and_metric(tmp_path: Path) -> None:
    claims = [{"text": "a", "verdict": "holds"}, {"text": "b", "verdict": "cannot tell"}]
    collected = [
        {"file": "a.ipynb", "notebook": "a", "seconds": 1.5, "claims": claims, "parameters": {"seed": 1}},
        {"file": "b.ipynb", "notebook": "b", "seconds": 2.0, "metrics": {"accuracy": {"value": 0.5, "low": 0.25}}},
    ]
    runs.write_table(collected, tmp_path / "table.csv")
    with (tmp_path / "table.csv").open(newline="", encoding="utf-8") as file:
        first, second = csv.DictReader(file)
    counts = [first[f"claims.{verdict}"] for verdict in ("holds", "cannot tell", "does not hold")]
    assert (first["seconds"], counts, first["parameters.seed"]) == ("1.5", ["1", "1", "0"], "1")
    assert (second["metrics.accuracy.value"], second["metrics.accuracy.low"]) == ("0.5", "0.25")
    assert second["parameters.seed"] == first["metrics.accuracy.low"] == ""


def test_parquet_holds_the_same_table_with_lists_and_mixtures_as_text(tmp_path: Path) -> None:
    import pandas as pd

    metrics = ({"accuracy": 0.5, "way": "a", "curve": [1, 2]}, {"accuracy": 1, "way": 3})
    collected = [{"file": f"{n}.ipynb", "seconds": 1.5, "metrics": metrics[n], "status": "ok"} for n in range(2)]
    runs.write_table(collected, tmp_path / "table.parquet")
    table = pd.read_parquet(tmp_path / "table.parquet")
    assert list(table["file"]) == ["0.ipynb", "1.ipynb"] and list(table["metrics.accuracy"]) == [0.5, 1.0]
    assert list(table["metrics.way"]) == ['"a"', "3"] and table["metrics.curve"][0] == "[1, 2]"


@pytest.mark.parametrize(
    "record",
    [{"claims": "all"}, {"claims": [{"text": "a"}]}, {"claims": [{"verdict": "so"}]}, {"seconds": "x"}, {"metrics": 3}],
)
def test_a_corrupt_record_is_left_out_and_named(tmp_path: Path, record: dict[str, Any]) -> None:
    stamped(tmp_path / "a.ipynb", record)
    stamped(tmp_path / "b.ipynb", {"notebook": "b", "claims": [], "seconds": 1.0})
    broken, whole = runs.survey(tmp_path)
    assert broken.status == "unreadable" and "a.ipynb has a corrupt record" in broken.message and whole.status == "ok"


def test_a_sweep_shows_parameters_and_plain_metrics_as_columns() -> None:
    def of(seed: int, **metrics: Any) -> runs.Result:
        record = {"claims": [], "metrics": metrics}
        return runs.Result(f"a-{seed}", Path("a"), "ok", 1.0, record, parameters={"seed": seed}, state="stale")

    lines = runs.table([of(1, accuracy=0.51239, by_class={"a": 1}), of(2)]).splitlines()
    assert [line.split() for line in lines] == [
        "notebook seed accuracy seconds holds cannot tell does not hold status".split(),
        "a-1 1 0.5124 1.0 0 0 0 ok, stale".split(),
        "a-2 2 - 1.0 0 0 0 ok, stale".split(),
    ]


@pytest.mark.parametrize(
    ("claim", "status"),
    [
        ({"verdict": "does not hold"}, "claims failed"),
        ({"verdict": "does not hold", "interval": [-0.2, -0.1]}, "ok"),
        ({"verdict": "cannot tell", "interval": [-0.1, 0.1]}, "ok"),
    ],
)
def test_a_fact_that_is_none_fails_a_run_and_an_opponent_that_wins_does_not(
    tmp_path: Path, claim: dict[str, Any], status: str
) -> None:
    stamped(tmp_path / "a.ipynb", {"claims": [{"text": "So it is.", "observed": "0"} | claim]})
    [result] = runs.survey(tmp_path)
    assert result.status == status
    assert f"a: {claim['verdict']}: So it is. (0)" in runs.table([result])


def test_the_columns_of_the_table_are_aligned() -> None:
    record = {"claims": [{"text": "t", "verdict": "holds"}] * 12}
    results = [
        runs.Result("00_start_here", Path("a"), "ok", 7.04, record),
        runs.Result("b", Path("b"), "error", 100.0, None, "In [3]: ValueError: no"),
    ]
    assert runs.table(results).splitlines() == [
        "notebook       seconds  holds  cannot tell  does not hold  status",
        "00_start_here      7.0     12            0              0  ok",
        "b                100.0      -            -              -  error",
        "",
        "b: In [3]: ValueError: no",
    ]


def test_the_time_of_a_run_comes_from_its_last_copies_else_from_the_stored_records(tmp_path: Path) -> None:
    lessons = [stamped(tmp_path / "lessons" / f"{name}.ipynb", {"seconds": 60.0}) for name in "ab"]
    start = runs.expected_seconds(lessons, tmp_path / "out") or 0
    assert 0 < start - 120 < 60
    stamped(tmp_path / "out" / "a.ipynb", {"seconds": 10.0})
    assert runs.expected_seconds(lessons, tmp_path / "out") == start - 50
    unknown = tmp_path / "lessons" / "c.ipynb"
    nbformat.write(nbformat.v4.new_notebook(), unknown)
    assert runs.expected_seconds([*lessons, unknown], tmp_path / "out") == pytest.approx((start - 50) * 1.5)
    assert runs.expected_seconds([unknown], tmp_path / "out") is None


@pytest.mark.skipif(sys.platform != "linux", reason="file names are bytes on Linux only")
def test_names_that_break_lines_or_are_no_utf8_are_escaped_in_tables_records_and_csv(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "two\nlines" / "\udce4"
    record = {"notebook": "a", "seconds": 1.0, "metrics": {"\udcff\x1b[31m": 1.0}, "claims": []}
    stamped(tmp_path / "a.ipynb", {})
    folder.mkdir(parents=True)
    (tmp_path / "a.ipynb").rename(folder / "a.ipynb")
    (folder / "a.ipynb").write_text(
        json.dumps({"cells": [{"outputs": [{"output_type": "display_data", "data": {course.MIME: record}}]}]})
    )
    (tmp_path / "runs" / "bad\udcfc.ipynb").write_text("{")
    results = runs.survey(tmp_path / "runs")
    table = runs.table(results)
    assert r"two\x0alines/\xe4/a" in table and r"bad\xfc: " in table and table.isascii() and "\x1b" not in table
    [collected] = runs.records(results, tmp_path / "runs")
    assert collected["file"] == r"two\x0alines/\xe4/a.ipynb" and list(collected["metrics"]) == [r"\xff\x1b[31m"]
    runs.write_table([collected], tmp_path / "table.csv")
    assert len((tmp_path / "table.csv").read_text(encoding="utf-8").splitlines()) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot limit the size of files")
def test_a_table_that_the_disk_cannot_take_leaves_the_old_one_whole(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("old")
    program = """
import pathlib, resource, sys
import pandas
from tlutils import runs, settings
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
try:
    runs.write_table([{"notebook": "a" * 50_000}], pathlib.Path("table.csv"))
except settings.UserError as error:
    print(error)
"""
    said = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True).stdout
    assert said.startswith("table.csv could not be written (") and "make room" in said
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("table.csv", "old")]
