"""A search finds good heads, goes on after a kill, shares its study, and refuses what cannot be mixed."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import optuna
import pytest
from sklearn.metrics import accuracy_score, f1_score, log_loss

from tlutils import settings
from tlutils.evaluation import calibration
from tlutils.selection import search

TRAIN, VALIDATION, TEST = np.arange(30), np.arange(30, 60), np.arange(60, 120)
QUICK = search.Space(widths=(0, 4), epochs=4)


def task() -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Three classes that one cut tells apart and the other, pure noise, does not."""
    rng = np.random.default_rng(0)
    labels = np.arange(120) % 3
    good = rng.normal(size=(120, 6)) + 2.5 * np.eye(3)[labels].repeat(2, axis=1)
    return {"noise": rng.normal(size=(120, 6)).astype("float32"), "good": good.astype("float32")}, labels


def run(trials: int, storage: str = "sqlite://", **others: Any) -> optuna.Study:
    """Search the small task."""
    activations, labels = task()
    asked: dict[str, Any] = {"space": QUICK, **others}
    return search.search(activations, labels, TRAIN, VALIDATION, trials=trials, storage=storage, **asked)


def told(study: optuna.Study) -> list[tuple[dict[str, Any], float | None]]:
    """What makes two studies the same."""
    return [(trial.params, trial.value) for trial in study.trials]


def url(path: Path) -> str:
    """Name an SQLite file as Optuna does."""
    return f"sqlite:///{path}"


# What a process beside this one does.
WORKER = textwrap.dedent(
    """
    import sys
    sys.path.insert(0, sys.argv[1])
    import os, pathlib, time, test_search, keras, sklearn.metrics
    start = pathlib.Path(sys.argv[4])
    (start / str(os.getpid())).touch()
    while len(list(start.iterdir())) < int(sys.argv[5]):
        time.sleep(0.01)
    test_search.run(int(sys.argv[2]), sys.argv[3], name="shared")
    """
)


def worker(trials: int, storage: str, start: Path, workers: int = 1) -> subprocess.Popen[bytes]:
    """Search the small task in another process, as soon as so many are ready."""
    start.mkdir(exist_ok=True)
    here = str(Path(__file__).parent)
    command = [sys.executable, "-c", WORKER, here, str(trials), storage, str(start), str(workers)]
    return subprocess.Popen(command, env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}, stderr=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def study() -> optuna.Study:
    """Search once for the tests that only look."""
    return run(15)


def test_a_search_finishes_as_many_trials_as_asked_and_prefers_the_cut_that_tells_the_classes_apart(
    study: optuna.Study,
) -> None:
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 15
    assert study.best_params["cut"] == "good"
    assert study.best_trial.user_attrs["scores"]["accuracy"] > 0.9


def test_every_trial_stays_within_the_space(study: optuna.Study) -> None:
    for trial in study.trials:
        assert set(trial.params) == {"cut", "width", "dropout", "learning_rate", "batch_size"}
        assert trial.params["width"] in QUICK.widths and trial.params["batch_size"] in QUICK.batch_sizes
        assert QUICK.dropout[0] <= trial.params["dropout"] <= QUICK.dropout[1]
        assert QUICK.learning_rate[0] <= trial.params["learning_rate"] <= QUICK.learning_rate[1]


def test_the_head_that_is_trained_again_scores_on_the_validation_pictures_what_the_study_says(
    study: optuna.Study,
) -> None:
    activations, labels = task()
    head = search.refit(study, activations, labels, TRAIN)
    logits = head.predict(activations[study.best_params["cut"]][VALIDATION], verbose=0)
    true, predicted = labels[VALIDATION], logits.argmax(axis=1)
    scores = study.best_trial.user_attrs["scores"]
    assert log_loss(true, calibration.softmax(logits)) == pytest.approx(scores["log_loss"], abs=1e-5)
    assert accuracy_score(true, predicted) == pytest.approx(scores["accuracy"])
    assert f1_score(true, predicted, average="macro") == pytest.approx(scores["macro_f1"])
    assert study.best_value == scores["log_loss"]


def test_a_study_stopped_between_two_trials_ends_as_if_it_had_not_been(study: optuna.Study, tmp_path: Path) -> None:
    storage = url(tmp_path / "studies.db")
    assert len(run(4, storage).trials) == 4
    assert told(run(9, storage)) == told(study)[:9]
    assert len(run(5, storage).trials) == 9


def test_another_seed_draws_other_trials(study: optuna.Study) -> None:
    assert told(run(1, seed=1)) != told(study)[:1]


def test_labels_and_activations_of_the_test_pictures_change_nothing(study: optuna.Study) -> None:
    activations, labels = task()
    labels[TEST] = 0
    for values in activations.values():
        values[TEST] = 0
    blind = search.search(activations, labels, TRAIN, VALIDATION, trials=5, storage="sqlite://", space=QUICK)
    assert told(blind) == told(study)[:5]


def test_feature_maps_are_pooled() -> None:
    activations, labels = task()
    maps = {at: np.stack([values - 1, values + 1], axis=1)[:, :, None] for at, values in activations.items()}
    assert maps["good"].shape == (120, 2, 1, 6)
    on_maps = search.search(maps, labels, TRAIN, VALIDATION, trials=3, storage="sqlite://", space=QUICK)
    values = [trial.value for trial in on_maps.trials]
    assert values == pytest.approx([trial.value for trial in run(3).trials], abs=1e-4)


def test_the_seconds_of_the_usual_loop_follow_from_its_passes_and_those_of_a_search_from_its_trials(
    study: optuna.Study,
) -> None:
    pictures = np.zeros((120, 8, 8, 3), dtype="float32")
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.GlobalAveragePooling2D()])
    once, trial, whole, usual, usual_whole = search.seconds(study, model, pictures, TRAIN, VALIDATION).values()
    passes = QUICK.epochs * len(TRAIN) + len(VALIDATION)
    assert usual / once == pytest.approx(passes / len(pictures))
    assert usual_whole == pytest.approx(15 * usual)
    assert whole == pytest.approx(once + sum(t.duration.total_seconds() for t in study.trials if t.duration))
    assert 0 < once and 0 < trial < 10


def test_accuracy_is_maximised(study: optuna.Study) -> None:
    by_accuracy = run(6, metric="accuracy")
    values = [trial.value for trial in by_accuracy.trials]
    assert by_accuracy.best_value == max(values) > min(values)
    assert values == [trial.user_attrs["scores"]["accuracy"] for trial in by_accuracy.trials]


def test_a_training_that_diverges_is_a_failed_trial_and_does_not_stop_the_search() -> None:
    diverged = run(2, space=search.Space(learning_rate=(1e30, 1e35), widths=(4,), epochs=2))
    assert [trial.state.name for trial in diverged.trials] == ["FAIL", "FAIL"]


def test_a_killed_study_resumes_with_its_finished_trials_untouched(tmp_path: Path) -> None:
    file = tmp_path / "studies.db"
    process = worker(100_000, url(file), tmp_path / "start")
    try:
        deadline = time.monotonic() + 120
        while finished_in(file) < 3:
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    stored = optuna.load_study(study_name="shared", storage=url(file))
    before = [t for t in stored.trials if t.state.is_finished()]
    after = run(len(before) + 2, url(file), name="shared").trials
    assert [t for t in after if t.state.is_finished()][: len(before)] == before
    assert sum(t.state.is_finished() for t in after) == len(before) + 2


def finished_in(file: Path) -> int:
    """Count the finished trials of a file that another process writes."""
    try:
        with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as connection:
            [(count,)] = connection.execute("select count(*) from trials where state = 'COMPLETE'").fetchall()
        return int(count)
    except sqlite3.OperationalError:
        return 0


def test_two_processes_share_one_study_and_draw_different_trials(tmp_path: Path) -> None:
    storage = url(tmp_path / "studies.db")
    processes = [worker(12, storage, tmp_path / "start", workers=2) for _ in range(2)]
    assert [process.wait(timeout=240) for process in processes] == [0, 0]
    trials = optuna.load_study(study_name="shared", storage=storage).trials
    assert 12 <= sum(trial.state.is_finished() for trial in trials) <= 13
    assert len({trial.params["learning_rate"] for trial in trials}) == len(trials)
    overlapping = [a.datetime_complete > b.datetime_start for a, b in zip(trials, trials[1:], strict=False)]
    assert any(overlapping), "the two never ran at the same time, so nothing was tested"


def test_a_study_of_another_space_metric_seed_or_split_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "studies.db"
    run(2, url(file), name="mine")
    before = file.read_bytes()
    other = search.Space(widths=(0, 8), epochs=4)
    for change, hint in (
        ({"space": other}, r"widths=\[0, 4\] where now it is \[0, 8\]"),
        ({"metric": "accuracy"}, "metric=log_loss where now"),
        ({"seed": 3}, "seed=0 where now it is 3"),
    ):
        with pytest.raises(settings.UserError, match=hint):
            run(3, url(file), name="mine", **change)
    activations, labels = task()
    with pytest.raises(settings.UserError, match="other pictures"):
        search.search(activations, labels, TRAIN[1:], VALIDATION, trials=3, storage=url(file), space=QUICK, name="mine")
    assert file.read_bytes() == before


def test_a_study_that_somebody_else_made_is_refused(tmp_path: Path) -> None:
    foreign = optuna.create_study(study_name="mine", storage=url(tmp_path / "studies.db"))
    foreign.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1)
    with pytest.raises(settings.UserError, match="not made by this search"):
        run(2, url(tmp_path / "studies.db"), name="mine")


def test_a_corrupt_file_is_named_and_left_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "studies.db"
    file.write_bytes(b"by no means a database" * 100)
    with pytest.raises(settings.UserError, match="no SQLite file, or a damaged one"):
        run(1, url(file))
    assert file.read_bytes() == b"by no means a database" * 100


def test_a_locked_file_is_named_and_its_study_goes_on_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "_PATIENCE_SECONDS", 0.2)
    file = tmp_path / "studies.db"
    run(2, url(file))
    with sqlite3.connect(file, isolation_level=None) as other:
        other.execute("begin exclusive")
        with pytest.raises(settings.UserError, match="locked by another process"):
            run(3, url(file))
        other.execute("rollback")
    other.close()
    assert len(run(3, url(file)).trials) == 3


@pytest.mark.parametrize("storage", ["studies.db", "nosuchdatabase://here", "postgresql://me:secret@host/studies"])
def test_a_storage_that_optuna_cannot_open_is_named_without_its_password(
    storage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg2", None)
    with pytest.raises(settings.UserError, match="cannot be used") as caught:
        run(1, storage)
    assert "secret" not in str(caught.value)


def test_without_a_storage_the_study_lies_in_a_file_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "_STUDIES", tmp_path / "build" / "studies.db")
    study = run(1, "")
    assert (tmp_path / "build" / "studies.db").is_file() and study.study_name.startswith("heads-")


NONE = np.array([], dtype=np.int64)


@pytest.mark.parametrize(
    ("change", "hint"),
    [
        ({"validation": NONE}, "no validation pictures"),
        ({"train": NONE}, "no training pictures"),
        ({"validation": np.arange(29, 60)}, "1 picture.* in both training and validation, such as number 29"),
        ({"train": np.arange(0, 30, 3)}, "Class 1 has no training picture"),
        ({"metric": "precision"}, "metric='precision' is unknown; choose one of log_loss, accuracy, macro_f1"),
        ({"trials": 0}, "trials=0 must be"),
        ({"trials": True}, "trials=True must be"),
        ({"seed": -1}, "seed=-1 must be"),
        ({"activations": {}}, "no activations"),
        ({"activations": {"early": np.zeros((7, 3))}}, "7 activations at 'early' and 120 labels"),
        ({"activations": {"early": np.full((120, 3), np.nan)}}, "NaN"),
    ],
)
def test_what_cannot_be_searched_is_named_before_a_study_is_made(
    change: dict[str, Any], hint: str, tmp_path: Path
) -> None:
    activations, labels = task()
    pictures = {"activations": activations, "labels": labels, "train": TRAIN, "validation": VALIDATION}
    file = tmp_path / "studies.db"
    with pytest.raises(settings.UserError, match=hint):
        search.search(**({**pictures, "trials": 1, "storage": url(file)} | change))
    assert not file.exists()


@pytest.mark.parametrize(
    "values",
    [
        {"learning_rate": (0.0, 0.1)},
        {"learning_rate": (0.1, 0.01)},
        {"batch_sizes": ()},
        {"batch_sizes": (0,)},
        {"widths": (-1,)},
        {"dropout": (0.5, 1.0)},
        {"epochs": 0},
    ],
)
def test_an_impossible_space_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(settings.UserError, match=f"{next(iter(values))}=.* cannot be searched; the default is"):
        search.Space(**values)


@pytest.mark.parametrize("rate", [0.0, 0.3, 0.8])
def test_dropout_drops_the_asked_share_in_training_keeps_the_mean_and_does_nothing_in_use(rate: float) -> None:
    layer = search._adjustable_dropout()
    layer.set(rate, seed=5)
    ones = np.ones((200, 500), dtype="float32")
    dropped = np.asarray(layer(ones, training=True))
    assert np.mean(dropped == 0) == pytest.approx(rate, abs=0.01)
    assert dropped.mean() == pytest.approx(1, abs=0.02)
    np.testing.assert_array_equal(layer(ones, training=False), ones)
    layer.set(rate, seed=5)
    np.testing.assert_array_equal(layer(ones, training=True), dropped)


def test_optuna_speaks_as_loudly_after_a_search_as_before() -> None:
    before = optuna.logging.get_verbosity()
    run(1)
    assert optuna.logging.get_verbosity() == before
