"""A model is written for other people: whole or not at all, with nothing of an older one lost."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image

from tlutils import deployment
from tlutils.deployment import bundle, program
from tlutils.deployment.program import NoModel
from tlutils.models import backbones
from tlutils.models.wordpiece import WordPiece
from tlutils.settings import UserError
from tlutils.synthetic import shapes

with_lite = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow" or importlib.util.find_spec("ai_edge_litert") is None,
    reason="needs Keras on TensorFlow, and ai-edge-litert",
)

CLASSES = ("blue", "red")


def labels(unsure: float = 0.9) -> dict[str, Any]:
    return {"classes": CLASSES, "thresholds": {"unsure": unsure, "strange": 0.6}, "image_size": 8, "spans": {}}


def written(folder: Path, model: Any, export: str = "") -> Path:
    deployment.write(folder, model, labels(), "# card\n", "<html></html>", export=export)
    return folder


def paint(path: Path, colour: tuple[int, int, int]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (30, 20), colour).save(path)
    return path


def ask(folder: Path, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the program beside the model where there is no tlutils: importing it would fail."""
    (folder / "elsewhere").mkdir(exist_ok=True)
    (folder / "elsewhere" / "tlutils.py").write_text("raise ImportError('this machine has no tlutils')")
    (folder / "elsewhere" / "keras_hub.py").write_text("raise ImportError('nor keras_hub')")
    given = {**os.environ, "PYTHONPATH": str(folder / "elsewhere"), **environment}
    command = [sys.executable, folder / "predict.py", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder / "elsewhere", env=given)


@pytest.mark.slow
def test_the_program_beside_the_model_answers_on_a_machine_without_tlutils(tmp_path: Path, reddish: Any) -> None:
    folder = written(deployment.prepare(tmp_path / "model"), reddish)
    paint(tmp_path / "asked" / "a.png", (250, 0, 0))
    paint(tmp_path / "asked" / "b" / "c.bmp", (0, 0, 250))
    paint(tmp_path / "asked" / "unsure.png", (100, 20, 100))
    paint(tmp_path / "asked" / "strange.png", (0, 250, 0))
    (tmp_path / "asked" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 cut short")
    done = ask(folder, tmp_path / "asked", "--csv", tmp_path / "answers.csv")
    assert done.returncode == 1, done.stderr
    assert "broken.jpg" in done.stderr
    rows = [line.split(",") for line in (tmp_path / "answers.csv").read_text("utf-8-sig").splitlines()]
    assert rows[0] == ["about", "answer", "confidence", "nearness", "refused", "problem", "blue", "red"]
    told = {Path(row[0]).name: (row[1], row[4]) for row in rows[1:]}
    assert told == {
        "a.png": ("red", "no"),
        "c.bmp": ("blue", "no"),
        "unsure.png": ("blue", "unsure"),
        "strange.png": ("blue", "strange"),
        "broken.jpg": ("", ""),
    }


@pytest.mark.slow
def test_a_table_is_printed_in_any_encoding_and_nothing_found_is_no_success(tmp_path: Path, reddish: Any) -> None:
    folder = written(deployment.prepare(tmp_path / "model"), reddish)
    file = paint(tmp_path / "Blüte\n🌼.png", (250, 0, 0))
    done = ask(folder, file, PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert "100%  red" in done.stdout and len(done.stdout.splitlines()) == 1
    (tmp_path / "empty").mkdir()
    assert ask(folder, tmp_path / "empty").returncode == 2
    missing = ask(folder, tmp_path / "nowhere")
    assert missing.returncode == 2 and "does not exist" in missing.stderr
    unknown = ask(folder, file, KERAS_BACKEND="unknown")
    assert unknown.returncode == 2 and unknown.stderr.startswith("Error: Keras does not start")


def test_the_saved_model_is_plain_keras_and_gives_the_same_probabilities(tmp_path: Path, reddish: Any) -> None:
    folder = written(deployment.prepare(tmp_path), reddish)
    files = [paint(tmp_path / "asked" / f"{n}.png", (n, 40, 250 - n)) for n in range(0, 250, 25)]
    replies = list(deployment.predict(deployment.load(folder), files))
    pictures = np.stack([np.asarray(Image.open(file)) for file in files])
    probabilities, nearness = reddish(pictures)
    np.testing.assert_allclose([reply.probabilities for reply in replies], probabilities, atol=1e-6)
    np.testing.assert_allclose([[reply.nearness] for reply in replies], nearness, atol=1e-6)
    for reply in replies:
        assert reply.answer == CLASSES[int(np.argmax(reply.probabilities))]
        assert bool(reply.refused) == (max(reply.probabilities) < 0.9)
    assert [reply.probabilities for reply in deployment.predict(deployment.load(folder), list(pictures))] == [
        reply.probabilities for reply in replies
    ]


def test_the_nearness_is_the_cosine_to_the_nearest_class_mean_and_what_is_far_from_all_is_strange(
    tmp_path: Path, reddish: Any
) -> None:
    colours = np.array([[0, 250, 0], [30, 200, 40], [250, 10, 20], [10, 10, 250], [90, 90, 90]])
    means = np.array([[0.1, 0.1, 1], [0.5, 0, 0]])
    lengths = np.linalg.norm(colours, axis=1)[:, None] * np.linalg.norm(means, axis=1)
    expected = (colours @ means.T / lengths).max(axis=1)
    pictures = np.broadcast_to(colours[:, None, None].astype(np.uint8), (5, 20, 20, 3))
    replies = list(deployment.predict(deployment.load(written(tmp_path, reddish)), list(pictures)))
    np.testing.assert_allclose([reply.nearness for reply in replies], expected, atol=1e-5)
    assert [reply.refused for reply in replies] == ["strange", "strange", "", "", "unsure"]


def test_asked_in_batches_the_model_answers_for_each_row_in_its_order(reddish: Any) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (80, 8, 8, 3), dtype=np.uint8)
    rows = np.random.default_rng(1).permutation(80)[:70]
    probabilities, nearness = deployment.ask(reddish, pictures, rows)
    expected = reddish(pictures[rows])
    np.testing.assert_allclose(probabilities, expected[0], atol=1e-6)
    np.testing.assert_allclose(nearness, np.asarray(expected[1])[:, 0], atol=1e-6)


def test_an_older_model_is_kept_with_all_its_files_and_what_is_not_ours_stays(tmp_path: Path, reddish: Any) -> None:
    folder = written(deployment.prepare(tmp_path / "model"), reddish)
    (folder / "mine.txt").write_text("stays")
    first = (folder / "labels.json").read_text()
    for _ in range(2):
        deployment.write(folder, reddish, labels(unsure=0.5), "# new\n", "<html></html>")
    assert (folder / "earlier-1" / "labels.json").read_text() == first
    assert json.loads((folder / "earlier-2" / "labels.json").read_text())["thresholds"]["unsure"] == 0.5
    assert deployment.load(folder / "earlier-1").unsure == 0.9
    assert (folder / "mine.txt").read_text() == "stays"
    assert not list(folder.glob(".new-*"))


def test_a_disk_that_fills_leaves_the_older_model_as_it_was(tmp_path: Path, reddish: Any) -> None:
    """The kernel's limit on the size of a file stands for the disk: writing beyond it fails."""
    import resource
    import signal

    folder = written(deployment.prepare(tmp_path / "model"), reddish)
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, limit[1]))
    try:
        with pytest.raises(UserError, match="could not be written"):
            deployment.write(folder, reddish, labels(), "# card\n", "<html></html>")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, handler)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


@pytest.mark.parametrize("place", ["data", "data/red", "data/red/model"])
def test_a_model_is_not_written_into_the_data(tmp_path: Path, place: str) -> None:
    paint(tmp_path / "data" / "red" / "a.png", (250, 0, 0))
    with pytest.raises(UserError, match="lies in the data folder"):
        deployment.prepare(tmp_path / place, tmp_path / "data")
    assert not (tmp_path / "data" / "red" / "model").exists()


def test_without_data_any_folder_will_do_also_one_below_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert deployment.prepare("model", "") == tmp_path / "model"


def test_a_folder_that_cannot_be_made_is_refused_before_the_training(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written to"):
        deployment.prepare(tmp_path / "file" / "model")
    with pytest.raises(UserError, match=r"'own\\x00model': a name holds no zero character"):
        deployment.prepare("own\0model")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda folder: (folder / "model.keras").write_bytes((folder / "model.keras").read_bytes()[:-9]), "cut short"),
        (lambda folder: (folder / "model.keras").unlink(), "has no model.keras"),
        (lambda folder: (folder / "labels.json").write_text("{"), "is damaged"),
        (lambda folder: (folder / "labels.json").write_text("[]"), "is damaged"),
        (lambda folder: (folder / "labels.json").unlink(), "has no labels.json"),
    ],
)
def test_a_model_that_is_not_whole_is_named_and_not_loaded(
    tmp_path: Path, reddish: Any, spoil: Any, words: str
) -> None:
    folder = written(deployment.prepare(tmp_path), reddish)
    spoil(folder)
    with pytest.raises(NoModel, match=words):
        deployment.load(folder)


def test_what_is_no_picture_is_said_to_be_none_with_a_way_out(tmp_path: Path, reddish: Any) -> None:
    (tmp_path / "page.jpg").write_text("<!DOCTYPE html><html>not found</html>")
    model = deployment.load(written(deployment.prepare(tmp_path), reddish))
    [reply] = deployment.predict(model, [tmp_path / "page.jpg"])
    assert reply.problem == "no picture that Pillow knows; open it elsewhere and export it as PNG or JPEG"


def test_a_table_for_which_there_is_no_folder_is_refused_before_the_model_is_asked(tmp_path: Path) -> None:
    with pytest.raises(NoModel, match="reports' for the table does not exist"):
        program.run(tmp_path / "no model here", ["a.png"], tmp_path / "reports" / "answers.csv")


def test_sentences_are_lines_of_utf8_and_marks_within_them_break_none(tmp_path: Path) -> None:
    model = program.Model(None, CLASSES, 0.5, 0.5, {}, tokenizer=WordPiece(["[PAD]", "[UNK]", "[CLS]", "[SEP]"]))
    (tmp_path / "lines.txt").write_bytes("one\x85still one\r\ntwo\u2028still two\n".encode())
    assert program.things_of(model, [str(tmp_path / "lines.txt")]) == ["one\x85still one", "two\u2028still two"]
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\r\n")
    with pytest.raises(NoModel, match="picture.png' is no text in UTF-8 .* Save them as text in UTF-8"):
        program.things_of(model, [str(tmp_path / "picture.png")])


def test_the_names_of_the_modules_that_the_program_is_made_of_do_not_meet() -> None:
    tree = ast.parse(bundle.standalone())
    named = [node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    assigned = [target for node in tree.body if isinstance(node, ast.Assign) for target in node.targets]
    named += [name.id for target in assigned for name in ast.walk(target) if isinstance(name, ast.Name)]
    assert {name: count for name, count in Counter(named).items() if count > 1} == {}
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not any(str(module).startswith("tlutils") for module in imported)


def test_a_card_shows_every_text_of_the_reader_as_text() -> None:
    card = deployment.model_card(
        "<b>1|2</b>", {"classes": "$5, a|b, `x`\n# y"}, {"accuracy": 0.9}, ["<script>alert(1)</script>"]
    )
    page = deployment.report_page("t</title>", card, {'"><script>': b"png"})
    assert "<script>" not in page and "<b>" not in page
    assert "<td>$5, a|b, `x` # y</td>" in page
    assert page.count("<h1>") == 1 and "data:image/png;base64,cG5n" in page


def hide(folder: Path, *packages: str) -> dict[str, str]:
    """Make packages of these names that cannot be imported, as where they are not installed."""
    folder.mkdir(exist_ok=True)
    for package in packages:
        (folder / f"{package}.py").write_text(f"raise ImportError('this machine has no {package}')")
    return {**os.environ, "PYTHONPATH": str(folder)}


@with_lite
def test_an_exported_model_answers_on_a_machine_without_keras(tmp_path: Path, reddish: Any) -> None:
    folder = written(deployment.prepare(tmp_path / "model", export="litert"), reddish, export="litert")
    paint(tmp_path / "asked" / "a.png", (250, 0, 0))
    paint(tmp_path / "asked" / "b.png", (0, 250, 0))
    command = [sys.executable, folder / "predict.py", tmp_path / "asked"]

    def asked(*hidden: str) -> subprocess.CompletedProcess[str]:
        environment = hide(tmp_path / "-".join(hidden), *hidden)
        return subprocess.run(command, capture_output=True, text=True, env=environment)

    done = asked("tlutils", "keras", "tensorflow")
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split()[1:] for line in done.stdout.splitlines()] == [
        ["100%", "red"],
        ["50%", "blue", "refused:", "strange"],
    ]
    nothing = asked("tlutils", "keras", "tensorflow", "ai_edge_litert")
    assert nothing.returncode == 2 and "Install ai-edge-litert, which is enough for model.tflite" in nothing.stderr


@with_lite
def test_the_exported_file_of_a_pretrained_network_gives_the_answers_of_keras(tmp_path: Path) -> None:
    base, rng = backbones.load("vgg16_mini"), np.random.default_rng(0)
    pool = keras.Sequential([keras.Input(base.model.output_shape[1:]), keras.layers.GlobalAveragePooling2D()])
    head = rng.normal(size=(128, 5)), np.zeros(5)
    model = deployment.assemble([base.model, pool], head, rng.normal(size=(5, 128)), image_size=64)
    facts = labels() | {"classes": tuple("abcde"), "image_size": 64}
    for export in ("", "litert"):
        folder = deployment.prepare(tmp_path / f"model{export}")
        deployment.write(folder, model, facts, "# card\n", "<html></html>", export=export)
    pictures = [rng.integers(0, 256, size, dtype=np.uint8) for size in ((64, 64, 3), (90, 70, 3), (40, 200, 3))]
    pictures += list(shapes.flowers(per_class=4, seed=0).pictures)
    ours, theirs = (deployment.load(tmp_path / f"model{export}") for export in ("litert", ""))
    assert isinstance(ours.network, program.LiteNetwork) and isinstance(theirs.network, keras.Model)
    for mine, other in zip(deployment.predict(ours, pictures), deployment.predict(theirs, pictures), strict=True):
        np.testing.assert_allclose(mine.probabilities, other.probabilities, atol=1e-3)
        assert mine.nearness == pytest.approx(other.nearness, abs=1e-3)
        assert mine.answer == other.answer


@with_lite
def test_an_exported_model_of_sentences_answers_as_in_keras_however_long_they_are(tmp_path: Path) -> None:
    tokens = keras.Input((None,), dtype="int32")
    vectors = keras.layers.Embedding(9, 3, mask_zero=True)(tokens)
    model = deployment.assemble(
        [keras.Model(tokens, keras.layers.GlobalAveragePooling1D()(vectors))], (np.eye(3, 2), np.zeros(2)), np.eye(2, 3)
    )
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "good", "bad", "lamp", "."]
    sentences = ["a good lamp.", "bad", "good " * 300, "a bad lamp. a bad lamp."]
    replies = []
    for export in ("", "litert"):
        folder = deployment.prepare(tmp_path / f"model{export}")
        deployment.write(folder, model, labels(), "# card\n", "<html></html>", words, export=export)
        replies.append(list(deployment.predict(deployment.load(folder), sentences)))
    assert (folder / "model.tflite").is_file()
    for theirs, ours in zip(*replies, strict=True):
        np.testing.assert_allclose(ours.probabilities, theirs.probabilities, atol=1e-3)
        assert ours.nearness == pytest.approx(theirs.nearness, abs=1e-3)


@with_lite
def test_without_litert_an_exported_model_is_asked_through_keras(
    tmp_path: Path, reddish: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = written(deployment.prepare(tmp_path), reddish, export="litert")
    assert isinstance(deployment.load(folder / "model.tflite").network, program.LiteNetwork)
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    assert isinstance(deployment.load(folder / "model.tflite").network, keras.Model)


@with_lite
def test_an_exported_file_that_is_damaged_is_named_before_litert_sees_it(tmp_path: Path, reddish: Any) -> None:
    folder = written(deployment.prepare(tmp_path), reddish, export="litert")
    whole = (folder / "model.tflite").read_bytes()
    for damaged in (whole[:-9], whole[:40] + bytes([whole[40] ^ 1]) + whole[41:]):
        (folder / "model.tflite").write_bytes(damaged)
        with pytest.raises(NoModel, match="model.tflite' is not the file .* cut short, damaged or exchanged"):
            deployment.load(folder)


@with_lite
def test_a_model_that_cannot_be_exported_is_written_all_the_same(tmp_path: Path) -> None:
    pixels = keras.Input((8, 8, 3))
    features = keras.layers.Lambda(lambda x: keras.ops.svd(x, compute_uv=False)[:, 0])(pixels)
    model = deployment.assemble([keras.Model(pixels, features)], (np.ones((3, 2)), np.zeros(2)), np.eye(2, 3), 8)
    with pytest.warns(UserWarning, match="model.tflite could not be made, and the rest is written: "):
        written(deployment.prepare(tmp_path), model, export="litert")
    assert {file.name for file in tmp_path.iterdir()} == set(bundle.FILES) - {"model.tflite", "vocabulary.txt"}
    assert list(json.loads((tmp_path / "labels.json").read_text())["sha256"]) == ["model.keras"]


def test_an_export_that_cannot_be_had_is_refused_before_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match="export='onnx' is unknown; choose '' or 'litert'"):
        deployment.prepare(tmp_path / "model", export="onnx")
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    with pytest.raises(UserError, match=r"needs the package ai-edge-litert.*pip install ai-edge-litert"):
        deployment.prepare(tmp_path / "model", export="litert")
    assert not (tmp_path / "model").exists()
