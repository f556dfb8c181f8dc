"""The command reads its line, calls one function and prints what comes back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from tlutils import cli, course, datasets, doctor, runs, settings, store
from tlutils.models import backbones
from tlutils.selection import advice, zoo

RECORD = {"notebook": "a", "parameters": {"seed": 1}, "metrics": {"accuracy": 0.5}, "claims": [], "seconds": 2.0}
DISPLAY = f"""
from IPython.display import display
claim = {{"text": "Zero.", "verdict": "holds" if seed == 0 else "does not hold", "observed": ""}}
record = {RECORD} | {{"parameters": {{"seed": seed}}, "claims": [claim]}}
display({{"{course.MIME}": record, "text/plain": "record"}}, raw=True)
"""


def invoke(*words: object) -> Result:
    """Call the command in this process."""
    return CliRunner().invoke(cli.main, [str(word) for word in words])


@pytest.fixture
def lesson(tmp_path: Path) -> Path:
    """A notebook whose one claim holds for seed 0 only."""
    notebook = nbformat.v4.new_notebook()
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook.metadata.language_info = {"name": "python"}
    notebook.cells = [
        nbformat.v4.new_code_cell("seed: int = 0  # any", metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell(DISPLAY),
    ]
    nbformat.write(notebook, tmp_path / "lesson.ipynb")
    return tmp_path / "lesson.ipynb"


@pytest.fixture
def executed(tmp_path: Path) -> Path:
    """A folder with one executed notebook and one broken file."""
    notebook = nbformat.v4.new_notebook()
    output = nbformat.v4.new_output("display_data", data={course.MIME: RECORD})
    notebook.cells = [nbformat.v4.new_code_cell("record()", outputs=[output])]
    folder = tmp_path / "executed"
    folder.mkdir()
    nbformat.write(notebook, folder / "a.ipynb")
    (folder / "broken.ipynb").write_text("{")
    return folder


def test_the_command_starts_without_the_heavy_packages() -> None:
    heavy = (
        "{'keras', 'tensorflow', 'matplotlib', 'papermill', 'pandas', 'sklearn', 'PIL', 'numpy', 'dask', 'distributed'}"
    )
    program = f"import sys, tlutils.cli; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout.strip() == "[]"


@pytest.mark.slow
def test_a_run_with_default_parameters_fails_only_if_something_is_wrong(lesson: Path, tmp_path: Path) -> None:
    good = invoke("run", lesson, "-o", tmp_path / "out")
    assert good.exit_code == 0
    name, _, *counts, status = good.stdout.splitlines()[1].split()
    assert (name, counts, status) == ("lesson", ["1", "0", "0"], "ok")
    lesson.write_text(lesson.read_text().replace("seed: int = 0", "seed: int = 5"))
    bad = invoke("run", lesson, "-o", tmp_path / "out")
    assert bad.exit_code == 1
    assert "claims failed" in bad.stdout and "lesson: does not hold: Zero." in bad.stdout


@pytest.mark.slow
def test_a_run_says_at_the_start_how_long_it_will_take_and_stops_what_takes_longer(
    lesson: Path, executed: Path, tmp_path: Path
) -> None:
    assert "minutes" not in invoke("run", lesson, "-o", tmp_path / "out").stderr
    # The record of the first run tells two seconds, to which the start of the kernel is added.
    assert "1 notebook(s), about 1 minutes" in invoke("run", lesson, "-o", tmp_path / "out").stderr
    lesson.write_text(lesson.read_text().replace("seed: int = 0", "import time; time.sleep(60); seed: int = 0"))
    late = invoke("run", lesson, "-o", tmp_path / "out", "--timeout", 5)
    assert late.exit_code == 1 and "stopped after 5 s" in late.stdout


@pytest.mark.slow
def test_with_parameters_of_ones_own_a_failed_claim_is_shown_and_tolerated(lesson: Path, tmp_path: Path) -> None:
    outcome = invoke("run", lesson, "-p", "seed", "7", "-o", tmp_path / "out")
    assert outcome.exit_code == 0
    assert "claims failed" in outcome.stdout
    record = runs.record_of(tmp_path / "out" / "lesson.ipynb")
    assert record is not None and record["parameters"] == {"seed": 7}


@pytest.mark.slow
def test_with_parameters_of_ones_own_an_error_still_fails(lesson: Path, tmp_path: Path) -> None:
    lesson.write_text(lesson.read_text().replace("seed == 0", "1 / (seed - 7)"))
    assert invoke("run", lesson, "-p", "seed", "7", "-o", tmp_path / "out").exit_code == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-p", "sed", "1"], "Error: The parameter 'sed' is unknown to lesson. Did you mean 'seed'?"),
        (["-p", "seed", "many"], "Error: -p seed 'many' is not of the declared type int."),
    ],
)
def test_a_parameter_that_cannot_be_used_is_one_sentence_and_no_traceback(
    lesson: Path, tmp_path: Path, words: list[str], message: str
) -> None:
    outcome = invoke("run", lesson, "-o", tmp_path / "out", *words)
    assert outcome.exit_code == 1
    assert outcome.stderr.startswith(message)
    assert "Traceback" not in outcome.output


@pytest.mark.slow
def test_a_lesson_is_found_by_its_name_and_a_wrong_name_is_corrected(
    lesson: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "ROOT", tmp_path)
    (tmp_path / "notebooks").mkdir()
    lesson.rename(tmp_path / "notebooks" / "03_vgg16.ipynb")
    outcome = invoke("run", "03_vgg", "-o", tmp_path / "out")
    assert (outcome.exit_code, "Did you mean '03_vgg16'?" in outcome.stderr) == (1, True)
    assert invoke("run", "03_vgg16", "-o", tmp_path / "out").exit_code == 0
    assert invoke("run", "-o", tmp_path / "course").exit_code == 0
    assert (tmp_path / "course" / "03_vgg16.ipynb").exists()


def test_collect_prints_a_table_and_names_what_it_left_out(executed: Path) -> None:
    outcome = invoke("collect", executed)
    assert outcome.exit_code == 0
    assert "a" in outcome.stdout and "unreadable" in outcome.stdout
    assert "broken.ipynb" in outcome.stderr


def test_collect_json_prints_the_records_and_nothing_else(executed: Path) -> None:
    assert json.loads(invoke("collect", executed, "--json").stdout) == [{"file": "a.ipynb", **RECORD}]


def test_collect_csv_writes_a_row_per_run(executed: Path, tmp_path: Path) -> None:
    assert invoke("collect", executed, "--csv", tmp_path / "table.csv").exit_code == 0
    header, row = (tmp_path / "table.csv").read_text().splitlines()
    assert dict(zip(header.split(","), row.split(","), strict=True))["metrics.accuracy"] == "0.5"


def test_a_file_that_cannot_be_written_is_one_sentence(executed: Path, tmp_path: Path) -> None:
    outcome = invoke("collect", executed, "--csv", tmp_path / "no" / "table.csv")
    assert outcome.exit_code == 1
    assert outcome.stderr.splitlines()[-1].startswith("Error: ") and "Traceback" not in outcome.output


def test_fetch_brings_a_file_from_the_mirror_and_prints_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / "tiny.bin").write_bytes(b"abc")
    # SHA-256 of "abc": FIPS 180-2, appendix B.1.
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    tiny = store.File(
        download=store.Part("tiny.bin", 3, f"sha256:{digest}"), origin="https://it", licence="free", description=""
    )
    monkeypatch.setattr(store, "FILES", {"tiny": tiny})
    monkeypatch.setattr("tlutils.store.fetching.FILES", {"tiny": tiny})
    monkeypatch.setenv("TLUTILS_MIRROR", str(tmp_path / "mirror"))
    monkeypatch.setenv("TLUTILS_CACHE", str(tmp_path / "cache"))
    for words in (["tiny"], ["--profile", "full"]):
        outcome = invoke("fetch", *words)
        assert outcome.exit_code == 0
        assert str(tmp_path / "cache") in outcome.stdout and "tiny.bin" in outcome.stdout
    some = invoke("fetch", "flowers", "tiny")
    assert some.exit_code == 1
    assert "'flowers'" in some.stderr and "tiny.bin" in some.stdout


def without_publishers(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Close every way to a publisher and to the package index, and begin with an empty cache."""
    monkeypatch.setenv("TLUTILS_CACHE", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    for proxy in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(proxy, "http://127.0.0.1:9")


def test_fetch_without_a_name_brings_what_the_quick_profile_uses_goes_on_and_says_in_a_line_what_is_missing(
    tmp_path: Path, real_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("spoken_digits", "speech_embedding", "review_sentences")
    monkeypatch.setattr(store, "QUICK", {name: store.QUICK[name] for name in names})
    without_publishers(tmp_path, monkeypatch)
    monkeypatch.setenv("TLUTILS_MIRROR", str(real_data / "publisher"))
    outcome = invoke("fetch")
    assert outcome.exit_code == 1
    assert [line.split()[0] for line in outcome.stdout.splitlines()] == ["spoken_digits", "review_sentences"]
    assert outcome.stderr.splitlines() == [
        "Error: 1 of 3 could not be had. Used by:",
        "  speech_embedding: lessons 12b and 13b",
        "All else is here. The reasons and the ways out: tlutils fetch speech_embedding",
    ]
    # Asked for by its name, it gives its reasons.
    named = invoke("fetch", "speech_embedding")
    assert "TLUTILS_MIRROR to that folder" in named.stderr and "package index" in named.stderr
    # What is here is not brought again.
    monkeypatch.delenv("TLUTILS_MIRROR")
    assert invoke("fetch").stdout == outcome.stdout


def test_a_dry_run_lists_sizes_licences_and_sources_and_brings_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TLUTILS_CACHE", str(tmp_path))
    lines = invoke("fetch", "--profile", "full", "--dry-run").stdout.splitlines()[:-1]
    assert [line.split()[0] for line in lines] == list(store.FILES)
    for name, line in zip(store.FILES, lines, strict=True):
        assert store.FILES[name].licence in line and store.FILES[name].source in line
    [histology] = [line for line in lines if line.startswith("colorectal_histology ")]
    assert " 258.1 MB  CC BY 4.0; https://zenodo.org/" in histology
    # 17.365 + 83.506 + 9.285 + 11.975 + 0.560 MB; the sentences' archive has no published size.
    (tmp_path / "downloads").mkdir()
    quick = invoke("fetch", "--dry-run").stdout.splitlines()
    assert len(quick) == 1 + len(store.QUICK) and quick[-1].endswith("122.7 MB.")
    (tmp_path / "downloads" / "breastmnist.npz").touch()
    assert "here  CC BY 4.0" in invoke("fetch", "breast_ultrasound", "--dry-run").stdout
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["breastmnist.npz"]
    assert "'flowers'" in invoke("fetch", "flowers", "--dry-run").stderr


def test_fetch_on_a_machine_that_reaches_no_publisher_says_a_line_for_each_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_publishers(tmp_path, monkeypatch)
    monkeypatch.delenv("TLUTILS_MIRROR", raising=False)
    said = invoke("fetch").stderr.splitlines()
    assert [line.split(":")[0].strip() for line in said[1:-1]] == list(store.QUICK)
    assert all(len(line) < 120 for line in said[:-1])


def test_a_full_disk_or_a_missing_folder_is_no_publisher_out_of_reach(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    without_publishers(tmp_path / "file" / "cache", monkeypatch)
    outcome = invoke("fetch")
    assert outcome.exit_code == 1 and "cannot be written to" in outcome.stderr and "Used by" not in outcome.stderr


def test_fetch_of_an_unknown_name_says_which_names_there_are() -> None:
    outcome = invoke("fetch", "flowers")
    assert outcome.exit_code == 1
    assert "'flowers'" in outcome.stderr and "flower_photos" in outcome.stderr


@pytest.mark.slow
def test_the_doctor_finds_a_ready_machine_ready_and_lists_what_is_still_to_be_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TLUTILS_CACHE", str(tmp_path))
    outcome = invoke("doctor")
    assert outcome.exit_code == 0, outcome.output
    for word in ("keras", "tensorflow", "processor cores", "memory", "cache folder", "mirror"):
        assert word in outcome.stdout
    assert f"tlutils fetch {' '.join(store.QUICK)}" in outcome.stdout
    for name in store.QUICK:
        for part in store.FILES[name].parts:
            (tmp_path / "downloads" / part.path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "downloads" / part.path).touch()
    assert ("still to be fetched", "nothing; the quick profile runs offline") in doctor.examine()[0]


def test_the_doctor_names_every_problem_and_the_next_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "checksums.json").write_text('{"reviews.csv": ""}')
    installed = metadata.version

    def version(package: str) -> str:
        if package == "ai-edge-litert":
            raise metadata.PackageNotFoundError(package)
        return installed(package)

    monkeypatch.setattr(metadata, "version", version)
    monkeypatch.setattr(settings, "DATA", tmp_path)
    monkeypatch.setenv("TLUTILS_CACHE", str(tmp_path / "file" / "cache"))
    monkeypatch.setenv("KERAS_BACKEND", "abacus")
    outcome = invoke("doctor")
    assert outcome.exit_code == 1
    problems = [line for line in outcome.stdout.splitlines() if line.startswith("Problem: ")]
    backend = "no backend 'abacus' that trains, and the environment variable KERAS_BACKEND asks for it"
    lacking = "The package ai-edge-litert is not installed. Install the environment again."
    for problem, next_step in zip(problems, (lacking, backend, "TLUTILS_CACHE", "reviews.csv; install"), strict=True):
        assert next_step in problem


def test_the_doctor_is_not_misled_by_files_of_the_working_folder_and_names_those_that_would_mislead_a_notebook(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("keras", "random", "code", "my_notes"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('my exercise')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TLUTILS_CACHE", str(tmp_path / "cache"))
    facts, problems = doctor.examine()
    assert problems == []
    said = dict(facts)
    assert said["keras backend"] == "tensorflow"
    assert said["files that hide packages"].startswith("keras.py; rename")


def command(*words: object, **variables: str) -> subprocess.CompletedProcess[bytes]:
    """Call the command in a process of its own, as a shell does."""
    program = [sys.executable, "-c", "from tlutils.cli import main; main()", *map(str, words)]
    return subprocess.run(program, capture_output=True, env=os.environ | variables, timeout=300)


@pytest.mark.parametrize("encoding", ["cp1252", "cp949", "ascii", "utf-8"])
def test_characters_that_the_output_cannot_take_are_replaced_and_do_not_change_the_exit_code(
    executed: Path, tmp_path: Path, encoding: str
) -> None:
    for name in ("猫 ✓", "собака"):
        (executed / f"{name}.ipynb").write_bytes((executed / "a.ipynb").read_bytes())
    outcome = command(
        "collect", executed, "--csv", tmp_path / "table.csv", PYTHONUTF8="0", PYTHONIOENCODING=f"{encoding}:strict"
    )
    assert outcome.returncode == 0 and b"Traceback" not in outcome.stderr
    assert len(outcome.stdout.splitlines()) >= 5
    assert "猫 ✓.ipynb" in (tmp_path / "table.csv").read_text(encoding="utf-8")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full here")
def test_an_output_that_takes_nothing_is_one_sentence_and_a_failure(executed: Path) -> None:
    program = [sys.executable, "-c", "from tlutils.cli import main; main()", "collect", str(executed), "--json"]
    with open("/dev/full", "wb") as full:
        outcome = subprocess.run(program, stdout=full, stderr=subprocess.PIPE, text=True)
    assert outcome.returncode == 1 and outcome.stderr.splitlines()[-1] == "Error: No space left on device."


def test_advise_prints_no_warnings_of_tensorflow(flowers: Path, tmp_path: Path) -> None:
    (flowers / "daisy" / "notes.png").unlink()
    asked = ["--candidate", "vgg16_mini", "--candidate", "vgg16_mini_outlines", "--candidate", "vgg16_mini_textures"]
    outcome = command("advise", flowers, *asked, TLUTILS_CACHE=str(tmp_path / "cache"))
    assert outcome.returncode == 0 and outcome.stderr == b""


def test_fetch_without_a_place_says_so_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("TLUTILS_CACHE", str(tmp_path / "file" / "cache"))
    outcome = invoke("fetch")
    assert outcome.exit_code == 1 and outcome.stderr.count("cannot be written to") == 1


def test_list_is_a_table_for_people_and_for_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TLUTILS_CACHE", str(tmp_path))
    shown = invoke("list").stdout
    listed = json.loads(invoke("list", "--json").stdout)
    names = [item["name"] for item in listed]
    assert {"vgg16_mini", "minilm", "digits", "movie_reviews"} <= set(names)
    lines = [line.split()[0] for line in shown.splitlines() if line.split()]
    assert all(name in lines for name in names)


@pytest.fixture
def flowers(tmp_path: Path) -> Path:
    """A folder of ten synthetic pictures of each of two flowers, and one file that is no picture."""
    drawn = datasets.load("synthetic_flowers", per_class=10)
    for number, (picture, label) in enumerate(zip(np.asarray(drawn.pictures), drawn.labels, strict=True)):
        if label < 2:
            folder = tmp_path / "flowers" / drawn.class_names[label]
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(folder / f"{number}.png")
    (tmp_path / "flowers" / "daisy" / "notes.png").write_text("no picture")
    return tmp_path / "flowers"


def test_advise_prints_the_ranking_and_names_what_it_left_out(
    flowers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TLUTILS_CACHE", str(tmp_path / "cache"))
    outcome = invoke("advise", flowers, "--candidate", "vgg16_mini")
    assert outcome.exit_code == 0, outcome.output
    assert outcome.stdout.startswith("Best of 6: vgg16_mini cut at block") and "(20 pictures" in outcome.stdout
    for column in ("cut", "score", "reason"):
        assert column in outcome.stdout
    assert outcome.stderr.startswith("Warning: ") and "daisy/notes.png" in outcome.stderr
    as_json = invoke("advise", flowers, "--candidate", "vgg16_mini", "--json")
    advice = json.loads(as_json.stdout)
    assert advice["n_pictures"] == 20 and len(advice["ranked"]) == 6
    best = advice["ranked"][0]
    assert f"Best of 6: vgg16_mini cut at {best['cut']} " in outcome.stdout
    assert best["score"] == max(candidate["score"] for candidate in advice["ranked"])


def test_advise_hands_candidates_budget_and_groups_on(flowers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def advise(dataset: datasets.Dataset, candidates: list[str] | None, budget: float) -> advice.Advice:
        asked.append((len(dataset), candidates, budget, len(set(dataset.groups))))
        return advice.Advice((), 0, 0.0, 0)

    monkeypatch.setattr(advice, "advise", advise)
    invoke("advise", flowers, "--json")
    twice = ["--candidate", "vgg16", "--candidate", "resnet50", "--candidate", "vgg16"]
    invoke("advise", flowers, *twice, "--budget", 5, "--groups", r"(\d)\.png", "--json")
    assert asked == [(20, None, 60.0, 20), (20, ["vgg16", "resnet50"], 5.0, 4)]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "'nowhere' does not exist"),
        (["flowers", "--candidate", "vgg61"], "--candidate 'vgg61' is unknown"),
        (["flowers", "--budget", "0"], "--budget 0.0 must be a number of seconds above 0"),
        (["flowers", "--budget", "nan"], "--budget nan must be a number of seconds above 0"),
        (["flowers", "--candidate", "vgg16_mini", "--budget", "0.001"], "Give --budget "),
        (["flowers", "--groups", "x"], "--groups 'x' has no parentheses"),
    ],
)
def test_advice_that_cannot_be_given_is_one_sentence(
    flowers: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
) -> None:
    monkeypatch.chdir(flowers.parent)
    outcome = invoke("advise", *words)
    assert outcome.exit_code == 1
    last = outcome.stderr.splitlines()[-1]
    assert last.startswith("Error: ") and message in last and "Traceback" not in outcome.output


def test_zoo_writes_the_table_and_prints_one_line_per_candidate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def truth(backbone: backbones.Backbone, targets: dict[str, datasets.Dataset], cuts: list[str]) -> list[zoo.Truth]:
        triples = [(at, name, draw) for at in cuts for name in targets for draw in zoo.DRAWS]
        return [zoo.Truth(name, backbone.name, at, draw, 0.5 + draw / 8, 0.5, 1.0, 1.0) for at, name, draw in triples]

    monkeypatch.setattr(zoo, "BACKBONES", ("untrained",))
    monkeypatch.setattr(zoo, "TARGETS", {name: zoo.TARGETS["digits"] for name in ("digits", "again")})
    monkeypatch.setattr(zoo, "fine_tuned", truth)
    outcome = invoke("zoo", "--output", tmp_path / "zoo.csv")
    assert outcome.exit_code == 0, outcome.output
    assert len((tmp_path / "zoo.csv").read_text().splitlines()) == 1 + 6 * len(zoo.TARGETS) * len(zoo.DRAWS)
    lines = [line for line in outcome.stdout.splitlines() if "block" in line or "preprocess" in line]
    assert len(lines) == 6 and all(line.count("0.625") == len(zoo.TARGETS) for line in lines)
    refused = invoke("zoo", "--output", tmp_path / "no" / "zoo.csv")
    assert refused.exit_code == 1 and "Traceback" not in refused.output


def test_every_command_explains_itself() -> None:
    for name in ("run", "collect", "list", "fetch", "doctor", "pretrain", "advise", "zoo"):
        assert name in invoke("--help").stdout
        assert invoke(name, "--help").exit_code == 0


def test_an_error_of_ours_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(folder: Path) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(runs, "survey", fail)
    assert isinstance(invoke("collect", ".").exception, ZeroDivisionError)
    monkeypatch.setattr(runs, "survey", lambda folder: (_ for _ in ()).throw(settings.UserError("Do this.")))
    assert invoke("collect", ".").stderr == "Error: Do this.\n"


def test_predict_prints_or_writes_what_a_model_says_and_its_exit_code_tells_what_was_not_read(
    tmp_path: Path, reddish: Any
) -> None:
    from tlutils import deployment

    thresholds = {"unsure": 0.9, "strange": 0.6}
    facts = {"classes": ["blue", "red"], "thresholds": thresholds, "image_size": 8, "spans": {}}
    deployment.write(deployment.prepare(tmp_path / "model"), reddish, facts, "# card", "<html></html>")
    (tmp_path / "asked").mkdir()
    Image.new("RGB", (20, 10), (250, 0, 0)).save(tmp_path / "asked" / "a.png")
    told = invoke("predict", tmp_path / "model", tmp_path / "asked")
    assert told.exit_code == 0 and "100%  red" in told.output
    (tmp_path / "asked" / "b.png").write_bytes(b"")
    written = invoke("predict", tmp_path / "model" / "model.keras", tmp_path / "asked", "--csv", tmp_path / "o.csv")
    assert written.exit_code == 1 and "b.png" in written.output
    assert len((tmp_path / "o.csv").read_text("utf-8-sig").splitlines()) == 3
    missing = invoke("predict", tmp_path / "nowhere", tmp_path / "asked")
    assert missing.exit_code == 1 and "has no labels.json" in missing.output


def test_predict_names_what_asks_for_a_backend_that_keras_does_not_have(tmp_path: Path) -> None:
    command = [sys.executable, "-P", "-c", "from tlutils.cli import main; main()", "predict", tmp_path, tmp_path]
    outcome = subprocess.run(
        command, env={**os.environ, "KERAS_BACKEND": "abacus"}, capture_output=True, text=True, check=False
    )
    assert outcome.returncode == 1 and outcome.stderr.startswith("Error: Keras has no backend 'abacus' that trains")
