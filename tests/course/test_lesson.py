"""Claims, exercise checks and the record, in this process and in a real kernel."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from tlutils import course, settings

Notebook = Any
BEGIN = """
import numpy as np
from pathlib import Path
from tlutils import course
course.begin("07_test", profile="quick", seed=np.int64(3), data_dir=Path("pictures"), sizes=(1, 2))
"""
METRICS = """
course.metric("accuracy", np.float32(0.5))
course.metric("count", np.int64(7))
course.metric("runs", np.array([[0.25, np.nan], [np.inf, 1.0]]))
course.metric("flag", np.bool_(True))
course.metric("nested", {1: (np.float64(0.5), None)})
course.metric("count", 8)
"""


def execute(*sources: str, strict: bool = False) -> Notebook:
    """Execute cells in a real kernel; the environment variable is set or unset for the kernel only."""
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_code_cell(source) for source in sources]
    environment = {name: value for name, value in os.environ.items() if name != "TLUTILS_STRICT"}
    if strict:
        environment["TLUTILS_STRICT"] = "1"
    client = NotebookClient(notebook, timeout=120, kernel_name="python3")
    with client.setup_kernel(env=environment):
        for index, cell in enumerate(notebook.cells):
            client.execute_cell(cell, index)
    return notebook


@pytest.fixture(scope="module")
def notebook() -> Notebook:
    """A small lesson: a claim that holds, one that does not, metrics, the record."""
    return execute(
        BEGIN,
        'course.claim("Two is <more> than one.", 2 > 1, observed="2 > 1")',
        'course.claim("One is more than two.", 1 > 2, observed=np.float64(0.25))',
        METRICS,
        "course.record()",
    )


@pytest.mark.parametrize("stored", ["1", ""])
def test_what_is_other_peoples_is_shown_in_the_readers_run_and_not_where_outputs_are_stored(
    stored: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TLUTILS_STORED", stored)
    course.only_here(["their sentence"], "a sentence of a review")
    said = capsys.readouterr().out
    assert ("their sentence" in said) != (stored == "1") and ("a sentence of a review" in said) == (stored == "1")


@pytest.fixture(scope="module")
def record(notebook: Notebook) -> dict[str, Any]:
    """The record that the lesson displays."""
    return dict(notebook.cells[-1].outputs[0].data[course.MIME])


def test_a_claim_that_holds_shows_a_tick_and_the_numbers(notebook: Notebook) -> None:
    (output,) = notebook.cells[1].outputs
    assert output.data["text/plain"] == "✓ Two is <more> than one. [holds: 2 > 1]"
    assert "✓" in output.data["text/html"] and "Two is &lt;more&gt; than one." in output.data["text/html"]


def test_a_wrong_claim_shows_a_cross_and_the_notebook_goes_on(notebook: Notebook) -> None:
    (output,) = notebook.cells[2].outputs
    assert output.data["text/plain"] == "✗ One is more than two. [does not hold: 0.25]"
    assert "✗" in output.data["text/html"]
    assert notebook.cells[3].execution_count == 4


def test_a_wrong_claim_really_raises_under_strict() -> None:
    cells = ("from tlutils import course", 'course.claim("One is more than two.", 1 > 2, observed="1 > 2")')
    with pytest.raises(CellExecutionError) as caught:
        execute(*cells, strict=True)
    assert caught.value.ename == "ClaimFailed"
    assert caught.value.evalue == "One is more than two. Observed: 1 > 2"


@pytest.mark.parametrize("strict", ["", "0", None])
def test_only_the_value_1_makes_claims_strict(
    strict: str | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if strict is None:
        monkeypatch.delenv("TLUTILS_STRICT", raising=False)
    else:
        monkeypatch.setenv("TLUTILS_STRICT", strict)
    course.claim("One is more than two.", 1 > 2, observed="1 > 2")
    assert "✗" in capsys.readouterr().out


def test_a_failed_claim_is_in_the_record_also_under_strict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TLUTILS_STRICT", "1")
    course.begin("07_test")
    with pytest.raises(course.ClaimFailed):
        course.claim("One is more than two.", False, observed="1")
    assert displayed_record()["claims"] == [
        {"text": "One is more than two.", "verdict": "does not hold", "observed": "1"}
    ]


@pytest.mark.parametrize(
    ("ours", "verdict", "mark"),
    [
        ([0.9, 0.92, 0.91], "holds", "✓"),
        ([0.6, 0.62, 0.61], "does not hold", "✗"),
        ([0.6, 0.9, 0.7], "cannot tell", "?"),
    ],
)
def test_a_comparison_has_one_of_three_verdicts_and_stops_nothing_under_strict(
    ours: list[float], verdict: str, mark: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TLUTILS_STRICT", "1")
    course.begin("07_test")
    course.compare("Ours leads by ten points.", ours, [0.6, 0.6, 0.6], margin=0.1)
    shown = capsys.readouterr().out
    assert f"'{mark} Ours leads by ten points. [{verdict}: " in shown
    assert "margin 10; 3 draws]" in shown
    [claim] = displayed_record()["claims"]
    low, high = claim["interval"]
    assert claim["verdict"] == verdict and claim["margin"] == 0.1
    assert claim["difference"] == pytest.approx(np.mean(ours) - 0.6) == pytest.approx((low + high) / 2)


def test_an_interval_that_touches_the_margin_cannot_tell() -> None:
    course.begin("07_test")
    course.compare("Ours is better.", [0.5, 0.5], [0.5, 0.5])
    course.compare("Ours is better by a point.", [0.5, 0.5], [0.5, 0.5], margin=0.01)
    assert [claim["verdict"] for claim in displayed_record()["claims"]] == ["cannot tell", "does not hold"]


def test_what_is_seen_is_said_as_text_and_no_markup_of_the_readers_gets_in() -> None:
    [cell] = execute("from tlutils import course", 'course.see("With <20> labels: 89 %.")').cells[1:]
    assert cell.outputs[0].data["text/plain"] == "What we see. With <20> labels: 89 %."
    assert "With &lt;20&gt; labels" in cell.outputs[0].data["text/html"]


def displayed_record() -> dict[str, Any]:
    """Display the record of this process and catch it on its way to the front end."""
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output

    InteractiveShell.instance()
    try:
        with capture_output() as caught:
            course.record()
    finally:
        InteractiveShell.clear_instance()
    (output,) = caught.outputs
    return dict(output.data[course.MIME])


def test_the_record_has_the_keys_of_the_design(record: dict[str, Any]) -> None:
    assert set(record) == {"notebook", "parameters", "metrics", "claims", "seconds", "versions"}
    assert course.MIME == "application/vnd.tlutils.record+json"


def test_the_record_names_notebook_and_parameters(record: dict[str, Any]) -> None:
    assert record["notebook"] == "07_test"
    assert record["parameters"] == {"profile": "quick", "seed": 3, "data_dir": "pictures", "sizes": [1, 2]}


def test_the_record_holds_every_claim_with_its_numbers(record: dict[str, Any]) -> None:
    assert record["claims"] == [
        {"text": "Two is <more> than one.", "verdict": "holds", "observed": "2 > 1"},
        {"text": "One is more than two.", "verdict": "does not hold", "observed": "0.25"},
    ]


def test_the_records_values_are_plain_json(record: dict[str, Any]) -> None:
    """NaN and infinity are no JSON; they are kept as words."""
    assert record["metrics"] == {
        "accuracy": 0.5,
        "count": 8,
        "runs": [[0.25, "nan"], ["inf", 1.0]],
        "flag": True,
        "nested": {"1": [0.5, None]},
    }
    assert json.loads(json.dumps(record, allow_nan=False)) == record


def test_the_record_says_how_long_it_took_and_with_which_versions(record: dict[str, Any]) -> None:
    import keras

    assert 0 <= record["seconds"] < 120
    assert record["versions"]["keras"] == keras.__version__
    assert record["versions"]["numpy"] == np.__version__
    assert {"python", "machine", "system", "tlutils", "backend"} <= set(record["versions"])


def test_the_record_has_a_line_for_front_ends_that_do_not_know_it(notebook: Notebook) -> None:
    (output,) = notebook.cells[-1].outputs
    assert output.data["text/plain"] == "07_test: holds: 1; does not hold: 1; 5 metrics recorded"


def test_a_new_beginning_forgets_the_last_notebook() -> None:
    course.begin("07_test")
    course.metric("accuracy", 0.5)
    course.begin("08_test")
    assert displayed_record()["metrics"] == {}


@pytest.fixture
def doubled(monkeypatch: pytest.MonkeyPatch) -> str:
    """An exercise whose answer is 4, in a lesson of its own."""

    def double(answer: Any) -> str | None:
        return None if answer == 4 else f"{answer} is not twice <two>."

    lesson = ModuleType("lesson_99")
    lesson.double = double  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tlutils.course.exercises.lesson_99", lesson)
    return "99_double"


@pytest.mark.parametrize(
    ("answer", "shown"),
    [(4, "✓ Right."), (3, "✗ 3 is not twice <two>."), (..., "○ Not solved yet."), (None, "○ Not solved yet.")],
)
def test_a_check_says_right_or_what_is_wrong_or_not_solved_yet(
    doubled: str, answer: object, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    course.check(doubled, answer)
    assert shown in capsys.readouterr().out


@pytest.mark.parametrize("unknown", ["01_krossing", "01__crossing", "01_answers", "77_crossing", "crossing", ""])
def test_an_unknown_exercise_is_told_the_known_ones_which_are_those_of_the_notebooks(unknown: str) -> None:
    with pytest.raises(settings.UserError, match=f"exercise='{unknown}' is unknown; choose one of ") as caught:
        course.check(unknown, 4)
    folder = Path(__file__).resolve().parents[2] / "notebooks"
    source = "".join(
        cell.source
        for path in sorted(folder.glob("*.ipynb"))
        for cell in nbformat.read(path, 4).cells
        if cell.cell_type == "code"
    )
    known = str(caught.value).partition("choose one of ")[2].removesuffix(".").split(", ")
    assert sorted(re.findall(r'course\.check\(\s*"([^"]+)"', source)) == sorted(known)


@pytest.mark.parametrize(("given", "kept", "told"), [(4, 4, "right"), (3, 5, "solution"), (..., 5, "solution")])
def test_a_right_answer_is_kept_and_any_other_gives_way_to_the_solution(
    doubled: str, given: object, kept: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert course.answer(doubled, given, 5) == kept
    assert told in capsys.readouterr().out


@pytest.mark.parametrize("read", [None, 2024, True, 1e5])
def test_a_parameter_declared_as_text_must_be_text_when_a_lesson_begins(read: object) -> None:
    declared = f"source: str = ''  # a file\nsource = {read!r}"
    with pytest.raises(CellExecutionError, match=rf"source={read!r} is no text: .* -r source TEXT"):
        execute(declared, "from tlutils import course\ncourse.begin('07_test', source=source)")


def test_what_is_declared_otherwise_and_the_number_of_a_column_are_taken_as_they_are() -> None:
    declared = "rate: float = 1\ntext_column: str = 'text'\ntext_column = 0\nfree = None"
    begin = "from tlutils import course\ncourse.begin('07_test', rate=rate, text_column=text_column, free=free)"
    execute(declared, begin)
