"""A search finds good heads, goes on where it stood, and shares its study."""

from __future__ import annotations

import contextlib
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import optuna
import pytest
import sqlalchemy
from sklearn.metrics import accuracy_score, f1_score, log_loss

from tlutils import settings
from tlutils.evaluation import calibration
from tlutils.selection import search

TRAIN, VALIDATION, TEST = np.arange(30), np.arange(30, 60), np.arange(60, 120)
QUICK = {**search.SPACE, "widths": (0, 4), "epochs": 4}


@pytest.fixture(scope="module", autouse=True)
def quick_space() -> Iterator[None]:
    """Search a small space in all tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "SPACE", QUICK)
        yield


def task() -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Three classes that one cut tells apart and the other, pure noise, does not."""
    rng = np.random.default_rng(0)
    labels = np.arange(120) % 3
    good = rng.normal(size=(120, 6)) + 2.5 * np.eye(3)[labels].repeat(2, axis=1)
    return {"noise": rng.normal(size=(120, 6)).astype("float32"), "good": good.astype("float32")}, labels


def run(trials: int, storage: str = "sqlite://", **others: Any) -> optuna.Study:
    """Search the small task."""
    activations, labels = task()
    pictures = {"activations": activations, "labels": labels, "train": TRAIN, "validation": VALIDATION}
    return search.search(**pictures | {"trials": trials, "storage": storage} | others)


def told(study: optuna.Study) -> list[tuple[dict[str, Any], float | None]]:
    """What makes two studies the same."""
    return [(trial.params, trial.value) for trial in study.trials]


def url(path: Path) -> str:
    """Name an SQLite file as Optuna does."""
    return f"sqlite:///{path}"


@pytest.fixture(scope="module")
def study() -> optuna.Study:
    """Search once for the tests that only look."""
    return run(12)


@pytest.fixture
def untrained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the training out, for the tests that look at the stored study only."""
    monkeypatch.setattr(search._Trainer, "train", lambda *_, **__: None)
    monkeypatch.setattr(search._Trainer, "logits", lambda trainer, model, at, part: np.zeros((len(part), 3)))


def test_a_search_finishes_as_many_trials_as_asked_and_prefers_the_cut_that_tells_the_classes_apart(
    study: optuna.Study,
) -> None:
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 12
    assert study.best_params["cut"] == "good"
    assert study.best_trial.user_attrs["scores"]["accuracy"] > 0.9


def test_every_trial_stays_within_the_space(study: optuna.Study) -> None:
    for trial in study.trials:
        assert set(trial.params) == {"cut", "width", "dropout", "learning_rate", "batch_size"}
        assert trial.params["width"] in QUICK["widths"] and trial.params["batch_size"] in QUICK["batch_sizes"]
        assert QUICK["dropout"][0] <= trial.params["dropout"] <= QUICK["dropout"][1]
        assert QUICK["learning_rate"][0] <= trial.params["learning_rate"] <= QUICK["learning_rate"][1]


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
    assert len(run(2, storage).trials) == 2
    assert told(run(4, storage)) == told(study)[:4]
    assert len(run(3, storage).trials) == 4


def test_labels_and_activations_of_the_test_pictures_change_nothing(study: optuna.Study) -> None:
    activations, labels = task()
    labels[TEST] = 0
    for values in activations.values():
        values[TEST] = 0
    assert told(run(3, activations=activations, labels=labels)) == told(study)[:3]


def test_feature_maps_are_pooled(study: optuna.Study) -> None:
    maps = {at: np.stack([values - 1, values + 1], axis=1)[:, :, None] for at, values in task()[0].items()}
    assert maps["good"].shape == (120, 2, 1, 6)
    values = [trial.value for trial in run(3, activations=maps).trials]
    assert values == pytest.approx([trial.value for trial in study.trials[:3]], abs=1e-4)


def test_the_seconds_of_the_usual_loop_follow_from_its_passes_and_those_of_a_search_from_its_trials(
    study: optuna.Study,
) -> None:
    pictures = np.zeros((120, 8, 8, 3), dtype="float32")
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.GlobalAveragePooling2D()])
    once, trial, whole, usual, usual_whole = search.seconds(study, model, pictures, TRAIN, VALIDATION).values()
    passes = QUICK["epochs"] * len(TRAIN) + len(VALIDATION)
    assert usual / once == pytest.approx(passes / len(pictures))
    assert usual_whole == pytest.approx(12 * usual)
    assert whole == pytest.approx(once + sum(t.duration.total_seconds() for t in study.trials if t.duration))
    assert 0 < once and 0 < trial < 10


def test_accuracy_is_maximised() -> None:
    by_accuracy = run(4, metric="accuracy")
    values = [trial.value for trial in by_accuracy.trials]
    assert by_accuracy.best_value == max(values) > min(values)
    assert values == [trial.user_attrs["scores"]["accuracy"] for trial in by_accuracy.trials]


def test_a_training_that_diverges_is_a_failed_trial_and_does_not_stop_the_search(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(search, "SPACE", {**QUICK, "learning_rate": (1e30, 1e35), "widths": (4,)})
    with pytest.warns(UserWarning, match="nan is not acceptable"):
        diverged = run(2)
    assert [trial.state.name for trial in diverged.trials] == ["FAIL", "FAIL"]


def test_a_database_of_something_else_is_refused_and_stays_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "notes.db"
    with contextlib.closing(sqlite3.connect(file)) as notes:
        notes.execute("CREATE TABLE recipes (name TEXT)")
        notes.commit()
    before = file.read_bytes()
    with pytest.raises(settings.UserError, match=r"notes.db' is a database of something else \(tables: recipes\)"):
        run(1, url(file))
    assert file.read_bytes() == before and [path.name for path in tmp_path.iterdir()] == ["notes.db"]


def test_a_killed_study_resumes_with_its_finished_trials_untouched(
    untrained: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = search._Trainer.train

    def killed(trainer: Any, number: int, **chosen: Any) -> keras.Sequential:
        if number == 2:
            raise KeyboardInterrupt
        return train(trainer, number, **chosen)

    storage = url(tmp_path / "studies.db")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(search._Trainer, "train", killed)
        run(4, storage)
    before = optuna.load_study(study_name=None, storage=storage).trials
    after = run(4, storage).trials
    assert after[:3] == before
    assert [trial.state.name for trial in after] == ["COMPLETE", "COMPLETE", "RUNNING", "COMPLETE", "COMPLETE"]


def test_two_searches_at_once_share_one_study_and_draw_different_trials(
    untrained: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, storage = search._Trainer.train, url(tmp_path / "studies.db")

    def interrupted(trainer: Any, number: int, **chosen: Any) -> keras.Sequential:
        """In the middle of the second trial, run another search to its end."""
        if number == 1:
            run(4, storage)
        return train(trainer, number, **chosen)

    monkeypatch.setattr(search._Trainer, "train", interrupted)
    trials = run(4, storage).trials
    assert [trial.state.name for trial in trials] == ["COMPLETE"] * 5
    assert trials[1].datetime_complete > trials[4].datetime_complete
    assert len({trial.params["learning_rate"] for trial in trials}) == 5


def test_a_file_in_which_another_process_has_just_made_the_tables_is_opened_again(
    untrained: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, make_tables = [], sqlalchemy.MetaData.create_all

    def late(*args: Any, **options: Any) -> None:
        opened.append(args)
        make_tables(*args, **options)
        if len(opened) == 1:
            raise sqlalchemy.exc.OperationalError("", None, Exception("table studies already exists"))

    monkeypatch.setattr(sqlalchemy.MetaData, "create_all", late)
    assert len(run(1, url(tmp_path / "studies.db")).trials) == 1
    assert len(opened) == 2


def test_another_space_metric_seed_or_split_is_another_study_in_the_same_file(
    untrained: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = url(tmp_path / "studies.db")
    activations, labels = task()
    activations["good"] *= 2
    for change in ({}, {"metric": "accuracy"}, {"seed": 3}, {"train": TRAIN[1:]}, {"activations": activations}):
        assert len(run(1, storage, **change).trials) == 1
    monkeypatch.setitem(search.SPACE, "widths", (0, 8))
    assert len(run(1, storage).trials) == 1
    first = [
        optuna.load_study(study_name=name, storage=storage).trials[0] for name in optuna.get_all_study_names(storage)
    ]
    assert len(first) == 6 and len({trial.params["learning_rate"] for trial in first}) == 2  # that of another seed


def test_a_corrupt_file_is_named_and_left_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "studies.db"
    file.write_bytes(b"by no means a database" * 100)
    with pytest.raises(settings.UserError, match="cannot be used .*not a database.*Nothing in it was changed"):
        run(1, url(file))
    assert file.read_bytes() == b"by no means a database" * 100


def test_a_locked_file_is_named_and_its_study_goes_on_afterwards(
    untrained: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "_PATIENCE_SECONDS", 0.2)
    file = tmp_path / "studies.db"
    run(1, url(file))
    with sqlite3.connect(file, isolation_level=None) as other:
        other.execute("begin exclusive")
        with pytest.raises(settings.UserError, match="locked.*Close what may hold it"):
            run(2, url(file))
        other.execute("rollback")
    other.close()
    assert len(run(2, url(file)).trials) == 2


@pytest.mark.parametrize("storage", ["studies.db", "nosuchdatabase://here", "postgresql://me:secret@host/studies"])
def test_a_storage_that_optuna_cannot_open_is_named_without_its_password(
    storage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg2", None)
    with pytest.raises(settings.UserError, match="cannot be used") as caught:
        run(1, storage)
    assert "secret" not in str(caught.value)


def test_without_a_storage_the_study_lies_in_a_file_of_its_own(
    untrained: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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
    file = tmp_path / "studies.db"
    with pytest.raises(settings.UserError, match=hint):
        run(**{"trials": 1, "storage": url(file)} | change)
    assert not file.exists()


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
