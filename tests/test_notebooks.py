"""Every lesson is complete as it lies in the repository, and runs again with another seed."""

from __future__ import annotations

import ast
import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tlutils import runs

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"
LESSONS = sorted(FOLDER.glob("*.ipynb"))

# Folders that only the author's machine has; a picture's base64 text is not searched.
PRIVATE_PATH = re.compile(r"(?<![\w.:/~-])/(?:home|Users|root|tmp|var|opt|mnt|srv|work)/\w|\b[A-Z]:\\\\?Users\b")
# One typed assignment with a comment; papermill does not see a line with a second "=".
PARAMETER = re.compile(r"\w+: [\w\[\], |]+ = [^=#]+  # [^=]+")
# What depends on the clock even if nothing else does.
CLOCK = re.compile(r"\d[\d.,]*(?= ?(?:ms|s|seconds|minutes|x|times)\b)")

# What a comparison says of itself: the ends of its interval and its margin.
VERDICT = re.compile(r"95 % interval ([-+.\d]+) to ([-+.\d]+), margin ([-.\d]+);")

# What goes with `data_dir`, in every lesson alike.
WITH_A_FOLDER = (
    'labels: str = ""  # a table of file names and labels, where the folder has no sub-folders',
    'groups: str = ""  # a regular expression: what its parentheses catch in a file name stays together',
)

each_lesson = pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)


def read(path: Path) -> nbformat.NotebookNode:
    """Return a notebook in the current format."""
    return nbformat.read(path, as_version=4)


def code_cells(path: Path) -> list[nbformat.NotebookNode]:
    """Return the code cells that are not empty."""
    return [cell for cell in read(path).cells if cell.cell_type == "code" and cell.source.strip()]


def tagged(path: Path, tag: str) -> list[nbformat.NotebookNode]:
    """Return the cells with a tag."""
    return [cell for cell in read(path).cells if tag in cell.metadata.get("tags", [])]


def outputs(path: Path) -> list[nbformat.NotebookNode]:
    """Return all stored outputs."""
    return [output for cell in code_cells(path) for output in cell.outputs]


def test_the_course_has_lessons() -> None:
    assert LESSONS, f"no notebook in {FOLDER}"


@each_lesson
def test_a_lesson_was_run_from_top_to_bottom_in_a_fresh_kernel(path: Path) -> None:
    cells = code_cells(path)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert outputs(path)


@each_lesson
def test_a_lesson_is_a_python_notebook_for_any_environment(path: Path) -> None:
    metadata = read(path).metadata
    assert metadata.kernelspec.name == "python3"
    assert metadata.language_info.name == "python"


@each_lesson
def test_a_lesson_names_its_objectives(path: Path) -> None:
    headings = [line for cell in read(path).cells if cell.cell_type == "markdown" for line in cell.source.splitlines()]
    assert any(re.match(r"#+ .*objectives|\*\*.*objectives", line, re.IGNORECASE) for line in headings)


@each_lesson
def test_every_parameter_is_one_typed_and_commented_line_that_papermill_sees(path: Path) -> None:
    [cell] = tagged(path, "parameters")
    lines = [line for line in cell.source.splitlines() if line.strip() and not line.startswith("#")]
    assert [line for line in lines if not PARAMETER.fullmatch(line)] == []
    assigned = {node.target.id for node in ast.parse(cell.source).body if isinstance(node, ast.AnnAssign)}
    assert set(runs.parameters_of(path)) == assigned >= {"profile", "seed"}


# In lessons 10 and 10b, folders may be domains, which no table of labels tells.
@pytest.mark.parametrize(
    "path",
    [path for path in LESSONS if "data_dir" in runs.parameters_of(path) and not path.stem.startswith("10")],
    ids=lambda path: path.stem,
)
def test_a_lesson_that_takes_a_folder_hands_its_labels_and_groups_on(path: Path, tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "labels.csv").touch()
    given = {"data_dir": str(tmp_path / "pictures"), "labels": str(tmp_path / "labels.csv"), "groups": "^(p)"}
    [parameters] = tagged(path, "parameters")
    assert set(WITH_A_FOLDER) <= set(parameters.source.splitlines())
    names: dict[str, Any] = {}
    exec(parameters.source, names)
    names |= given | ({"out_dir": str(tmp_path / "model")} if "out_dir" in names else {})
    exec(code_cells(path)[1].source, names)
    calls = [
        node for cell in code_cells(path) for node in ast.walk(ast.parse(cell.source)) if isinstance(node, ast.Call)
    ]
    [call] = [node for node in calls if ast.unparse(node.func) == "datasets.own_pictures"]
    assert not [node for node in calls if ast.unparse(node.func) == "datasets.from_folder"]
    handed = {str(word.arg): str(eval(ast.unparse(word.value), names)) for word in call.keywords}
    assert handed == {"labels": given["labels"], "groups": given["groups"]}


@each_lesson
def test_every_exercise_is_followed_by_its_folded_solution(path: Path) -> None:
    cells = [cell for cell in code_cells(path) if {"exercise", "solution"} & set(cell.metadata.get("tags", []))]
    kinds = ["exercise" if "exercise" in cell.metadata.tags else "solution" for cell in cells]
    assert kinds == ["exercise", "solution"] * (len(kinds) // 2)
    assert all(cell.metadata.get("jupyter", {}).get("source_hidden") for cell in tagged(path, "solution"))
    assert kinds or path.stem.startswith("00"), "a lesson has an exercise"


@each_lesson
def test_no_cell_is_longer_than_a_reader_takes_in_at_once(path: Path) -> None:
    assert max(len([line for line in cell.source.splitlines() if line.strip()]) for cell in code_cells(path)) <= 25


@each_lesson
def test_a_lesson_of_the_second_edition_keeps_to_its_size_and_tells_it(path: Path) -> None:
    """The bounds of CONTRIBUTING.md, for lessons that say what is seen with the numbers of the run."""
    sources = [cell.source for cell in code_cells(path)]
    if not any("course.see(" in source for source in sources):
        pytest.skip("a lesson of the first edition")
    lines = [[line for line in source.splitlines() if line.strip()] for source in sources]
    assert max(len(cell) for cell in lines) <= 20
    assert max(len(line) for cell in lines for line in cell) <= 100
    words = sum(len(cell.source.split()) for cell in read(path).cells if cell.cell_type == "markdown")
    minutes = words / 180 + sum(len(cell) for cell in lines) / 10 + 4 * len(tagged(path, "exercise"))
    header = read(path).cells[0].source
    stated = re.search(r"\*\*Reading:\*\* (\d+) minutes", header)
    assert stated is not None and int(stated[1]) == 5 * math.ceil(minutes / 5) <= 50
    record, running = runs.record_of(path), re.search(r"\*\*Running:\*\* (\d+) seconds", header)
    assert record is not None and running is not None
    assert int(running[1]) == pytest.approx(record["seconds"], rel=0.2)


@each_lesson
def test_every_figure_has_an_alternative_text(path: Path) -> None:
    figures = [output for output in outputs(path) if "image/png" in output.get("data", {})]
    silent = [figure for figure in figures if not figure.metadata.get("image/png", {}).get("alt", "").strip()]
    assert silent == []


@each_lesson
def test_no_output_is_an_error_or_a_warning(path: Path) -> None:
    shouted = [output for output in outputs(path) if output.output_type == "error" or output.get("name") == "stderr"]
    assert shouted == []


@each_lesson
def test_no_folder_of_the_authors_machine_shows(path: Path) -> None:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            output.get("data", {}).pop("image/png", None)
    assert PRIVATE_PATH.findall(json.dumps(notebook, ensure_ascii=False)) == []


@each_lesson
def test_no_recording_is_stored(path: Path) -> None:
    """A player holds its recording as text, in a type of its own or within HTML."""
    for output in outputs(path):
        assert not [kind for kind in output.get("data", {}) if kind.startswith(("audio/", "video/"))]
        assert not re.search("<audio|data:audio|audio/wav", json.dumps(output.get("data", {}).get("text/html", "")))


@each_lesson
def test_no_review_sentence_is_stored(path: Path, real_data: Path) -> None:
    """Sentences of fewer than four words may well be somebody else's, too."""
    files = (real_data / "publisher" / "review_sentences").glob("*.txt")
    rows = [row for file in files for row in file.read_text(encoding="utf-8").split("\n")]
    sentences = [row.rsplit("\t", 1)[0].strip() for row in rows if len(row.split()) > 4]
    assert len(sentences) > 2500
    shown = json.dumps([dict(output.get("data", {}), text=output.get("text", "")) for output in outputs(path)])
    assert [sentence for sentence in sentences if json.dumps(sentence)[1:-1] in shown] == []


@each_lesson
def test_a_lesson_with_its_outputs_is_at_most_a_megabyte_and_a_half(path: Path) -> None:
    assert path.stat().st_size <= 1_500_000


@each_lesson
def test_a_lesson_ends_with_a_record_whose_facts_all_hold(path: Path) -> None:
    assert code_cells(path)[-1] == tagged(path, "record")[0]
    record = runs.record_of(path)
    assert record is not None
    assert set(record) == {"notebook", "parameters", "metrics", "claims", "seconds", "versions"}
    assert record["notebook"] == path.stem
    assert set(record["parameters"]) == set(runs.parameters_of(path))
    assert record["claims"]
    facts = [claim for claim in record["claims"] if "interval" not in claim]
    assert [fact for fact in facts if fact["verdict"] != "holds"] == []


@each_lesson
def test_a_verdict_that_was_clear_is_compared_whenever_the_lesson_runs_again(path: Path) -> None:
    """Nearer to its margin than one point, another processor may turn it."""
    for cell in code_cells(path):
        said = [output.data["text/plain"] for output in cell.outputs if "text/plain" in output.get("data", {})]
        found = [[float(number) for number in numbers] for text in said for numbers in VERDICT.findall(text)]
        if found:
            clear = all(min(abs(low - margin), abs(high - margin)) > 1 for low, high, margin in found)
            assert clear == ("nbval-check-output" in cell.metadata.get("tags", [])), cell.source


@pytest.mark.parametrize("lesson", ["01_concepts"])
def test_the_control_network_that_a_lesson_writes_out_is_the_one_of_the_package(lesson: str) -> None:
    import keras

    from tlutils import datasets, tuning
    from tlutils.models import architectures

    [cell] = [cell for cell in code_cells(FOLDER / f"{lesson}.ipynb") if "def small_network" in cell.source]
    names: dict[str, Any] = {"keras": keras, "datasets": datasets, "tuning": tuning, "n_classes": 5}
    exec(cell.source, names)
    written, packaged = names["small_network"](), architectures.small_network(64, 5)
    configs = [[layer.get_config() | {"name": ""} for layer in network.layers] for network in (written, packaged)]
    assert configs[0] == configs[1] and len(configs[0]) == 19


def test_fine_tuning_as_a_lesson_writes_it_out_is_that_of_the_package() -> None:
    import keras
    import numpy as np

    from tlutils import tuning

    [cell] = [cell for cell in code_cells(FOLDER / "03b_four_steps.ipynb") if "def fine_tune" in cell.source]
    names: dict[str, Any] = {"keras": keras, "np": np, "tuning": tuning}
    exec(cell.source, names)
    rng = np.random.default_rng(0)
    inputs, labels = rng.normal(size=(40, 4, 4, 3)).astype("float32"), np.arange(40) % 2
    tail = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Conv2D(5, 3), keras.layers.BatchNormalization()])
    head = tuning.linear_head(keras.ops.convert_to_numpy(tail(inputs)), 2)
    trained = []
    for fine_tune in (names["fine_tune"], lambda *given: tuning.fine_tune(*given, epochs=10)):
        keras.utils.set_random_seed(0)
        trained.append(fine_tune(tail, head, inputs, labels).get_weights())
    assert all(np.array_equal(ours, theirs) for ours, theirs in zip(*trained, strict=True))
    assert not np.array_equal(trained[0][0], tail.get_weights()[0])


def test_a_litert_file_as_a_lesson_makes_it_answers_as_that_of_the_package(tmp_path: Path) -> None:
    import keras
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter

    from tlutils import inference, settings

    def ask(content: bytes) -> Any:
        run = Interpreter(model_content=content).get_signature_runner()
        [name] = run.get_input_details()
        return run(**{name: picture})["output_0"]

    [cell] = [cell for cell in code_cells(FOLDER / "15_deploy_small.ipynb") if "def to_litert" in cell.source]
    names: dict[str, Any] = {"settings": settings}
    exec(cell.source, names)
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Conv2D(8, 3, activation="relu"), keras.layers.Flatten(), keras.layers.Dense(4)]
    model = keras.Sequential([keras.Input((8, 8, 3)), *layers])
    picture = np.random.default_rng(0).uniform(0, 1, (1, 8, 8, 3)).astype("float32")
    given = [keras.InputSpec(shape=(None, 8, 8, 3), dtype="float32")]
    saved = str(tmp_path / "saved")
    model.export(saved, format="tf_saved_model", input_signature=given, verbose=False)
    plain = names["to_litert"](saved)
    np.testing.assert_array_equal(ask(plain), ask(inference.convert(model, (8, 8, 3))))
    in_int8 = names["to_litert"](saved, calibration=picture)
    largest = np.abs(ask(plain)).max()
    assert 0 < np.abs(ask(in_int8) - ask(plain)).max() < 0.05 * largest
    assert len(names["to_litert"](saved, halves=True)) < len(plain)


def test_the_draw_from_a_long_table_of_sentences_keeps_its_small_classes_whole(tmp_path: Path) -> None:
    import numpy as np

    from tlutils import datasets, settings

    rows = [f"the lamp of guest {n},{('good', 'bad')[n % 2]}" for n in range(6000)]
    rows += [f"the odd lamp of guest {n},mixed" for n in range(29)]
    (tmp_path / "lamps.csv").write_text("\n".join(["sentence,label", *rows]), encoding="utf-8")
    [cell] = [cell for cell in code_cells(FOLDER / "12_text.ipynb") if "datasets.from_csv(data_csv" in cell.source]
    names: dict[str, Any] = {"np": np, "datasets": datasets, "profile": "quick", "seed": 0, "labels_per_class": 50}
    names |= {"data_csv": str(tmp_path / "lamps.csv"), "text_column": "sentence", "label_column": "label"}
    exec(cell.source, names)
    assert dict(zip(names["data"].class_names, names["data"].counts.tolist(), strict=True)) == {
        "bad": 995,
        "good": 995,
        "mixed": 29,
    }
    with pytest.raises(settings.UserError, match="class 'mixed' of lamps has 29 examples in all"):
        datasets.split(names["data"], labels_per_class=50, seed=0)


def test_the_control_gets_more_steps_from_more_labels_and_as_many_as_in_the_first_lesson() -> None:
    record = runs.record_of(FOLDER / "01_concepts.ipynb")
    assert record is not None
    steps = {int(labels): count for labels, count in record["metrics"]["steps_from_scratch"].items()}
    in_order = [steps[labels] for labels in sorted(steps)]
    assert all(fewer < more for fewer, more in pairwise(in_order))
    # Lesson 00: 20 times 20 pictures of each of five flowers, 16 in a batch.
    assert steps[20] >= 20 * 100 / 16


def test_what_lessons_show_of_real_data_are_three_runs_on_each_data_set() -> None:
    import pandas as pd

    from tlutils import store

    table = pd.read_csv(store.bundled("real_runs.csv"))
    shown = {path.stem for path in LESSONS if any("real_runs.csv" in cell.source for cell in code_cells(path))}
    # It is about the table as a whole.
    assert shown - {"17_on_real_data"} == set(table["lesson"])
    for _, group in table.groupby(["lesson", "data"]):
        assert sorted(group["parameters.seed"]) == [0, 1, 2]
        assert group["source"].notna().all() and group["verdicts"].str.match("holds|cannot tell|does not hold").all()
    assert "parameters.data_dir" not in table


def test_what_fetch_says_of_a_missing_file_names_the_lessons_that_ask_for_it() -> None:
    from tlutils import store

    asked_for = {"minilm": "minilm.load(", "speech_embedding": "speech.load("}
    # Lesson 17 reads what others recorded of these files.
    lessons = [path for path in LESSONS if path.stem != "17_on_real_data"]
    code = {path.stem.split("_")[0]: "\n".join(cell.source for cell in code_cells(path)) for path in lessons}
    for name, said in store.QUICK.items():
        using = {lesson for lesson, source in code.items() if asked_for.get(name, name) in source}
        # Which photographs a lesson is given decides on this one: some are named, none that never asks.
        named = set(re.findall(r"\b\d\d[a-z]?\b", said))
        assert named <= using if name == "efficientnet_lite0" else named == using, name


def test_the_lesson_on_speech_shows_without_its_recordings_what_it_measured_with_them() -> None:
    import numpy as np
    import pandas as pd

    from tlutils import store

    record = runs.record_of(FOLDER / "12b_speech.ipynb")
    table = pd.read_csv(store.bundled("real_runs.csv")).query("lesson == '12b_speech'").set_index("parameters.seed")
    assert record is not None and record["metrics"]["measured"] and table["metrics.measured"].all()
    for metric in ("at random", "by speaker", "speakers apart", "voices", "shared"):
        for name, measured in record["metrics"][metric].items():
            shown = json.loads(table.loc[0, f"metrics.{metric}.{name}"])
            np.testing.assert_allclose(shown, measured, atol=0.02)


def test_the_lesson_on_fine_tuning_text_shows_the_run_that_its_table_has() -> None:
    import pandas as pd

    from tlutils import store

    record = runs.record_of(FOLDER / "12a_fine_tuning_text.ipynb")
    table = pd.read_csv(store.bundled("real_runs.csv")).query("lesson == '12a_fine_tuning_text'")
    assert record is not None and record["metrics"]["sentences"] == "review_sentences"
    assert set(table["metrics.sentences"]) == {"review_sentences"}
    given = record["parameters"]
    [row] = table[(table["data"] == given["domain"]) & (table["parameters.seed"] == given["seed"])].to_dict("records")
    for way, accuracy in record["metrics"]["test accuracy"].items():
        assert row[f"metrics.test accuracy.{way}"] == pytest.approx(accuracy, abs=0.02)
        wrong = json.loads(row[f"metrics.wrong.{way}"])
        assert 1 - len(wrong) / row["metrics.test sentences"] == pytest.approx(row[f"metrics.test accuracy.{way}"])


def test_whole_lessons_were_run_under_every_backend_with_the_same_seeds() -> None:
    import pandas as pd

    from tlutils import store

    table = pd.read_csv(store.bundled("framework_runs.csv"))
    seeds = table.groupby(["lesson", "backend"])["seed"].agg(lambda column: frozenset(column)).unstack()
    assert {"tensorflow", "torch"} <= set(seeds)
    assert (seeds.nunique(axis=1) == 1).all() and seeds.notna().all(axis=None)
    assert table["accuracy"].between(0, 1).all() and (table["processor_seconds"] > 0).all()
    # Without a network, no backend can matter: what is left are pictures, splits, and the last digit of a solver.
    plain = table[table["what"].str.contains("no network|bare pixels")].groupby(["lesson", "what", "seed"])["accuracy"]
    assert (plain.max() - plain.min() < 0.002).all()


# A student's copy proves that nothing hangs on a solution or on seed 0; few labels and steps prove it as well as many.
FEW: dict[str, dict[str, Any]] = {
    "00_start_here": {"labels_per_class": 5},
    "03_vgg16": {"epochs": 1, "labels_per_class": 5},
    "03b_four_steps": {"image_size": 96, "labels_per_class": 5},
    "04_what_transfers": {"labels_per_class": 5},
    "05_fine_tuning_well": {"epochs": 1, "image_size": 64},
    "06_evaluate": {"trials": 10},
    "10_driving": {"epochs": 2, "labels_per_class": 5, "image_size": 64},
    "10b_weather_repairs": {"epochs": 2, "labels_per_class": 5, "image_size": 64},
    "11_medical_imaging": {"image_size": 64},
    "11b_rare_and_where": {"image_size": 64},
    "12_text": {"labels_per_class": 20},
    "12a_fine_tuning_text": {"labels_per_class": 5, "epochs": 3},
    "12b_speech": {"labels_per_class": 5},
    "13_pictures_and_words": {"per_kind": 6, "epochs": 10},
    "13b_fusion": {"labels_per_class": 5, "epochs": 5},
    "14b_imports": {"labels_per_class": 5, "draws": 2},
    "15_deploy_small": {"labels_per_class": 5, "calls": 1},
    "15b_small_network": {"labels_per_class": 5, "epochs": 1},
    "16_your_own_data": {"epochs": 1, "image_size": 64},
    "18_theory": {"per_class": 10},
}


def run_as_student(path: Path, folder: Path, **parameters: Any) -> dict[str, Any]:
    """Run a lesson without its solutions, from seed 1, and return its record.

    A solution that keeps a right answer stays: without it, what follows would have no answer to use.
    """
    notebook = read(path)
    keeps = "course.answer("
    notebook.cells = [c for c in notebook.cells if "solution" not in c.metadata.get("tags", []) or keeps in c.source]
    folder.mkdir(exist_ok=True)
    nbformat.write(notebook, folder / path.name)
    given = {"seed": 1, **FEW.get(path.stem, {}), **parameters}
    [result] = runs.run([folder / path.name], folder / "out", given)
    assert result.status in ("ok", "claims failed"), result.message
    assert result.record is not None and given.items() <= result.record["parameters"].items()
    return result.record


@pytest.mark.again
@pytest.mark.parametrize("path", [path for path in LESSONS if path.stem[:2] not in ("00", "08")], ids=lambda p: p.stem)
def test_a_student_copy_without_solutions_runs_to_its_end_with_another_seed(path: Path, tmp_path: Path) -> None:
    record = run_as_student(path, tmp_path)
    # Another size of the pictures and few labels leave the model well above guessing one of five.
    assert path.stem != "03b_four_steps" or record["metrics"]["accuracy"]["chosen"] > 0.5


@pytest.mark.slow
def test_the_first_lesson_reads_a_flat_folder_by_a_table_and_tears_no_group(tmp_path: Path) -> None:
    from PIL import Image

    from tlutils import datasets

    drawn = datasets.load("synthetic_flowers", per_class=24, seed=0)
    (tmp_path / "flat").mkdir()
    rows = ["file,label"]
    # Two pictures of each bed, which never has two kinds of flower.
    for label, kind in enumerate(drawn.class_names):
        for number, picture in enumerate(drawn.pictures[drawn.labels == label]):
            rows.append(f"bed{24 * label + number // 2}_{number % 2}.png,{kind}")
            Image.fromarray(picture).save(tmp_path / "flat" / rows[-1].split(",")[0])
    (tmp_path / "labels.csv").write_text("\n".join(rows), encoding="utf-8")
    notebook = read(FOLDER / "00_start_here.ipynb")
    told = (
        "course.metric('read', {'groups': len(set(data.groups)), **dict(zip(data.class_names, data.counts))})\n"
        "sides = [{name: sorted(set(data.groups[rows])) for name, rows in vars(split).items()} for split in splits]\n"
        "course.metric('sides', sides)"
    )
    notebook.cells.insert(-1, nbformat.v4.new_code_cell(told))
    nbformat.write(notebook, tmp_path / "00_start_here.ipynb")
    given = {"data_dir": str(tmp_path / "flat"), "labels": str(tmp_path / "labels.csv"), "labels_per_class": 5}
    given["groups"] = r"^(bed\d+)_"
    [result] = runs.run([tmp_path / "00_start_here.ipynb"], tmp_path / "out", given)
    assert result.status in ("ok", "claims failed"), result.message
    assert result.record is not None and given.items() <= result.record["parameters"].items()
    assert result.record["metrics"]["read"] == {"groups": 60, **dict.fromkeys(drawn.class_names, 24)}
    assert len(result.record["metrics"]["sides"]) == 3
    for sides in result.record["metrics"]["sides"]:
        beds = [bed for side in sides.values() for bed in side]
        assert all(sides.values()) and len(beds) == len(set(beds))


@pytest.fixture
def few_flowers(real_data: Path, tmp_path: Path) -> str:
    """A folder of links to thirty photographs of each flower."""
    for kind in (real_data / "flowers").iterdir():
        (tmp_path / "flowers" / kind.name).mkdir(parents=True)
        for photograph in sorted(kind.iterdir())[:30]:
            (tmp_path / "flowers" / kind.name / photograph.name).symlink_to(photograph)
    return str(tmp_path / "flowers")


def run_on_flowers(output_dir: Path, **parameters: Any) -> dict[str, float]:
    """Run lesson 03b on real photographs and return its accuracies on the test pictures."""
    given = {"labels_per_class": 20, **parameters}
    [result] = runs.run([FOLDER / "03b_four_steps.ipynb"], output_dir, given)
    assert result.status in ("ok", "claims failed"), result.message
    assert result.record is not None
    return dict(result.record["metrics"]["accuracy"])


@pytest.mark.again
def test_the_four_steps_learn_four_of_five_real_photographs_from_twenty_of_each_flower(
    real_data: Path, tmp_path: Path
) -> None:
    flowers = str(real_data / "flowers")
    assert run_on_flowers(tmp_path, data_dir=flowers, backbone="efficientnet_lite0")["chosen"] >= 0.80


@pytest.mark.slow
def test_the_four_steps_take_a_weight_file_of_the_readers_and_beat_an_untrained_base(
    real_data: Path, few_flowers: str, tmp_path: Path
) -> None:
    given = {"data_dir": few_flowers, "labels_per_class": 10, "backbone": "mobilenet"}
    given["weights"] = str(real_data / "weights" / "mobilenet_2_5_224_tf_no_top.h5")
    accuracy = run_on_flowers(tmp_path / "out", **given)
    assert accuracy["chosen"] > accuracy["untrained base"] + 0.1


@pytest.mark.again
def test_a_student_copy_of_the_lesson_on_choosing_advises_real_features_on_real_photographs(
    few_flowers: str, tmp_path: Path
) -> None:
    record = run_as_student(FOLDER / "08_choose_a_model.ipynb", tmp_path, data_dir=few_flowers)
    advised = record["metrics"]["advised"]
    assert advised["backbone"] == "efficientnet_lite0" and advised["reason"].startswith("best: ")


@pytest.mark.slow
def test_the_lesson_on_speech_runs_to_its_end_where_no_publisher_is_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TLUTILS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TLUTILS_MIRROR", raising=False)
    for proxy in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(proxy, "http://127.0.0.1:9")
    record = run_as_student(FOLDER / "12b_speech.ipynb", tmp_path, seed=0)
    stored = runs.record_of(FOLDER / "12b_speech.ipynb")
    assert stored is not None and not record["metrics"]["measured"]
    two_and_five = [row[:2] for row in stored["metrics"]["at random"]["pretrained"]]
    assert [row[:2] for row in record["metrics"]["at random"]["pretrained"]] == two_and_five


@pytest.mark.network
@pytest.mark.parametrize(
    "groups", [pytest.param("^([a-z])_", marks=pytest.mark.slow), pytest.param("", marks=pytest.mark.again)]
)
def test_the_lesson_on_speech_runs_on_recordings_of_the_readers_with_and_without_speakers(
    groups: str, tmp_path: Path, carried: Callable[[str], Path]
) -> None:
    import numpy as np
    from scipy.io import wavfile

    carried("speech_embedding"), carried("efficientnet_lite0")
    rng = np.random.default_rng(0)
    for word, hertz in (("low", 300), ("high", 900)):
        for speaker in "abc":
            for take in range(4):
                time = np.arange(8_000 + 500 * take) / 16_000
                tone = np.sin(2 * np.pi * (hertz + 20 * ord(speaker)) * time) + 0.1 * rng.normal(size=len(time))
                (tmp_path / "words" / word).mkdir(parents=True, exist_ok=True)
                wavfile.write(tmp_path / "words" / word / f"{speaker}_{take}.wav", 16_000, (tone / 4).astype("float32"))
    record = run_as_student(
        FOLDER / "12b_speech.ipynb", tmp_path, recordings_dir=str(tmp_path / "words"), groups=groups, labels_per_class=2
    )
    assert record["metrics"]["measured"] and not record["metrics"]["voices"]
    assert bool(record["metrics"]["speakers apart"]) == bool(groups)
    assert np.mean(record["metrics"]["at random"]["no network"]) > 0.9


@pytest.mark.again
def test_a_student_copy_run_twice_gives_the_same_record_bit_for_bit(tmp_path: Path) -> None:
    first, second = (run_as_student(LESSONS[0], tmp_path / folder) for folder in ("first", "second"))
    assert timeless(first) == timeless(second)


def timeless(record: dict[str, Any]) -> dict[str, Any]:
    """Drop from a record what the clock decides."""
    metrics = {name: value for name, value in record["metrics"].items() if not re.search("seconds|speed|ratio", name)}
    claims = [
        claim | {"observed": CLOCK.sub("?", claim["observed"]), "text": CLOCK.sub("?", claim["text"])}
        for claim in record["claims"]
    ]
    return {"parameters": record["parameters"], "metrics": metrics, "claims": claims}


@pytest.mark.slow
@pytest.mark.parametrize(("claimed", "exit_code"), [("3 > 2", 0), ("2 > 3", 1)])
def test_a_claim_that_does_not_hold_fails_the_check_of_the_notebooks(
    claimed: str, exit_code: int, tmp_path: Path
) -> None:
    notebook = nbformat.v4.new_notebook()
    source = f"from tlutils import course\ncourse.claim('So it is.', {claimed}, observed=0)"
    notebook.cells = [nbformat.v4.new_code_cell(source, execution_count=1)]
    nbformat.write(notebook, tmp_path / "claims.ipynb")
    command = [sys.executable, "-m", "pytest", "--nbval-lax", "--nbval-current-env", str(tmp_path / "claims.ipynb")]
    outcome = subprocess.run(command, env=os.environ | {"TLUTILS_STRICT": "1"}, capture_output=True, text=True)
    assert outcome.returncode == exit_code, outcome.stdout
