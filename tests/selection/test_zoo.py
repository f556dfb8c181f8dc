"""The zoo's truth is what plain training gives, and its table survives kills, repeats and bad files."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tlutils import datasets, settings, tuning
from tlutils.cut import cut
from tlutils.models import backbones
from tlutils.selection import zoo


def small_target(pictures_per_class: int = 25) -> datasets.Dataset:
    """Two classes of 16x16 pictures that differ in brightness, with noise."""
    rng = np.random.default_rng(0)
    labels = np.arange(2 * pictures_per_class) % 2
    pictures = np.clip(rng.normal(110 + 25 * labels[:, None, None, None], 60, (len(labels), 16, 16, 3)), 0, 255)
    groups = np.arange(len(labels))
    return datasets.Dataset("bright", pictures.astype("uint8"), labels, ("dark", "bright"), groups, synthetic=True)


def small_backbone() -> backbones.Backbone:
    """Two convolutions, the second normalised, with statistics that are not the initial ones."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((16, 16, 3))
    x = keras.layers.Rescaling(1 / 64, offset=-2, name="preprocess")(inputs)
    x = keras.layers.Conv2D(6, 3, strides=2, activation="relu", name="first")(x)
    x = keras.layers.BatchNormalization(name="normalised")(x)
    x = keras.layers.Conv2D(8, 3, strides=2, activation="relu", name="end")(x)
    model = keras.Model(inputs, x)
    model.get_layer("normalised").set_weights([np.full(6, 1.5), np.full(6, 0.1), np.full(6, 0.3), np.full(6, 2.0)])
    return backbones.Backbone("small", model, 16, ("preprocess", "first", "end"), "none")


@pytest.fixture(scope="module")
def truths() -> list[zoo.Truth]:
    """Every cut of the small backbone, two draws; the backbone itself is not trained."""
    base = small_backbone()
    before = base.model.get_weights()
    found = list(zoo.fine_tuned(base, {"bright": small_target()}, draws=(0, 1)))
    assert all(np.array_equal(old, new) for old, new in zip(before, base.model.get_weights(), strict=True))
    return found


def test_there_is_one_truth_for_each_cut_and_draw_in_the_order_of_the_cuts(truths: list[zoo.Truth]) -> None:
    assert [(row.cut, row.draw) for row in truths] == [
        (at, draw) for at in ("preprocess", "first", "end") for draw in (0, 1)
    ]
    assert all(row.seconds > 0 and row.preparation > 0 for row in truths)


@pytest.mark.parametrize(("at", "draw"), [("preprocess", 0), ("first", 1), ("end", 0)])
def test_the_truth_is_the_accuracy_of_lp_ft_with_the_tools_of_the_course(
    truths: list[zoo.Truth], at: str, draw: int
) -> None:
    base, data = small_backbone(), small_target()
    trunk, tail = cut(base.model, at)
    activations = keras.ops.convert_to_numpy(trunk(data.pictures, training=False))
    features = keras.ops.convert_to_numpy(tail(activations, training=False))
    split = datasets.split(data, labels_per_class=zoo.LABELS_PER_CLASS, seed=draw)
    labels = data.labels[split.train]
    head = tuning.linear_head(features[split.train], 2)
    steps(head, features[split.train], labels, zoo.HEAD_EPOCHS, zoo.HEAD_RATE, draw)
    model = tuning.trainable_copy(tail, head)
    steps(model, activations[split.train], labels, zoo.EPOCHS, zoo.RATE, draw)
    accuracy = np.mean(tuning.predict(model, activations[split.test]) == data.labels[split.test])
    [row] = [row for row in truths if (row.cut, row.draw) == (at, draw)]
    assert row.accuracy == pytest.approx(accuracy, abs=1e-9)


def steps(model: keras.Model, x: Any, y: Any, epochs: int, rate: float, draw: int) -> None:
    """Train in one pass over all epochs laid end to end, in shuffled batches of which none crosses an epoch."""
    assert len(x) < zoo.BATCH, "one batch is an epoch"
    rng = np.random.default_rng(draw)
    order = np.concatenate([rng.permutation(len(x)) for _ in range(epochs)])
    model.compile(keras.optimizers.Adam(rate), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(x[order], y[order], batch_size=len(x), shuffle=False, verbose=0)


def test_without_the_tail_the_truth_is_that_of_a_logistic_regression_on_mean_activations(
    truths: list[zoo.Truth],
) -> None:
    from sklearn.linear_model import LogisticRegression

    data, split = small_target(), datasets.split(small_target(), labels_per_class=10, seed=1)
    colours = (data.pictures / 64 - 2).mean(axis=(1, 2))
    train = colours[split.train]
    colours = (colours - train.mean(axis=0)) / train.std(axis=0)
    head = LogisticRegression(max_iter=1000).fit(colours[split.train], data.labels[split.train])
    [row] = [row for row in truths if (row.cut, row.draw) == ("preprocess", 1)]
    assert row.frozen == pytest.approx(head.score(colours[split.test], data.labels[split.test]))
    assert row.frozen > 0.7


def test_a_part_of_the_table_can_be_computed_alone_and_comes_out_the_same(truths: list[zoo.Truth]) -> None:
    [row] = zoo.fine_tuned(small_backbone(), {"bright": small_target()}, cuts=["first"], draws=(1,))
    [before] = [other for other in truths if (other.cut, other.draw) == ("first", 1)]
    assert (row.accuracy, row.frozen) == (before.accuracy, before.frozen)


@pytest.mark.parametrize("name", zoo.TARGETS)
def test_every_target_has_five_hundred_pictures_of_the_backbones_size_and_two_fifths_for_the_test(name: str) -> None:
    found = zoo.target(name)
    assert found.pictures.shape == (500, zoo.IMAGE_SIZE, zoo.IMAGE_SIZE, 3)
    assert len(zoo.draw_split(found, 0).test) == 200


def test_the_untrained_member_is_vgg16_mini_with_random_weights_that_are_always_the_same() -> None:
    first, second, pretrained = (zoo.member(name) for name in ("untrained", "untrained", "vgg16_mini"))
    assert (first.name, first.cuts) == ("untrained", pretrained.cuts)
    weights = [base.model.get_layer("block1_conv1").get_weights()[0] for base in (first, second, pretrained)]
    assert np.array_equal(weights[0], weights[1]) and not np.allclose(weights[0], weights[2])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: zoo.member("vgg61"), "backbone='vgg61' is not in the zoo; choose one of vgg16_mini"),
        (lambda: zoo.target("roses"), "target='roses' is not in the zoo; choose one of synthetic_flowers"),
        (
            lambda: list(zoo.fine_tuned(small_backbone(), {"bright": small_target()}, ["second"])),
            "cut='second' is no cut of small; choose from preprocess, first, end",
        ),
        (
            lambda: list(zoo.fine_tuned(zoo.member("untrained"), {"bright": small_target()})),
            r"bright has pictures of shape \(16, 16, 3\), untrained takes \(64, 64, 3\)",
        ),
        (
            lambda: list(zoo.fine_tuned(small_backbone(), {"bright": small_target(12)})),
            "labels_per_class=10 is too many",
        ),
    ],
)
def test_what_the_zoo_does_not_have_is_explained(call: Any, message: str) -> None:
    with pytest.raises(settings.UserError, match=message):
        call()


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Replace training by numbers, shrink the zoo to one target, and note which cuts were asked for."""
    noted: list[tuple[str, str]] = []

    def numbers(base: backbones.Backbone, targets: dict[str, Any], cuts: list[str]) -> Iterator[zoo.Truth]:
        for at in cuts:
            noted.append((base.name, at))
            yield from (zoo.Truth(name, base.name, at, d, 0.5, 0.25, 1.5, 2.5) for name in targets for d in zoo.DRAWS)

    monkeypatch.setattr(zoo, "fine_tuned", numbers)
    monkeypatch.setattr(zoo, "TARGETS", {"bright": small_target})
    monkeypatch.setattr(zoo, "BACKBONES", ("small", "other"))
    monkeypatch.setattr(zoo, "member", lambda name: dataclasses.replace(small_backbone(), name=name))
    return noted


def test_the_table_is_plain_text_with_a_row_for_each_training(trained: list[tuple[str, str]], tmp_path: Path) -> None:
    table = zoo.compute(tmp_path / "zoo.csv")
    lines = (tmp_path / "zoo.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "target,backbone,cut,draw,accuracy,frozen,seconds,preparation"
    assert lines[1] == "bright,small,preprocess,0,0.5,0.25,1.5,2.5"
    assert len(lines) == 1 + 2 * 3 * len(zoo.DRAWS) == 1 + len(table)
    assert table.iloc[0].tolist() == ["bright", "small", "preprocess", 0, 0.5, 0.25, 1.5, 2.5]


def test_a_complete_table_is_read_by_the_checksum_that_is_noted_with_it_and_a_changed_one_is_refused(
    trained: list[tuple[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "DATA", tmp_path)
    (tmp_path / "checksums.json").write_text('{"other.csv": "sha256:0"}', encoding="utf-8")
    table = zoo.compute(tmp_path / "zoo.csv")
    assert zoo.read().equals(table)
    assert set(json.loads((tmp_path / "checksums.json").read_text(encoding="utf-8"))) == {"other.csv", "zoo.csv"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checksums.json", "zoo.csv"]
    with (tmp_path / "zoo.csv").open("a", encoding="utf-8") as file:
        file.write("digits,untrained,block1_pool,0,0.5,0.4,1,2\n")
    with pytest.raises(settings.UserError, match="zoo.csv has other bytes than published"):
        zoo.read()


def test_a_killed_computation_goes_on_at_the_first_cut_that_is_not_complete(
    trained: list[tuple[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = zoo.fine_tuned

    def killed(base: backbones.Backbone, targets: Any, cuts: Any) -> Iterator[zoo.Truth]:
        for row in numbers(base, targets, cuts):
            if (row.cut, row.draw) == ("first", 1):
                raise KeyboardInterrupt
            yield row

    monkeypatch.setattr(zoo, "fine_tuned", killed)
    with pytest.raises(KeyboardInterrupt):
        zoo.compute(tmp_path / "zoo.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["zoo.csv"]
    assert len((tmp_path / "zoo.csv").read_text(encoding="utf-8").splitlines()) == 1 + len(zoo.DRAWS)
    monkeypatch.setattr(zoo, "fine_tuned", numbers)
    trained.clear()
    zoo.compute(tmp_path / "zoo.csv")
    assert trained == [("small", "first"), ("small", "end"), *(("other", at) for at in ("preprocess", "first", "end"))]
    trained.clear()
    zoo.compute(tmp_path / "zoo.csv")
    assert trained == []


def test_a_fresh_computation_begins_anew(trained: list[tuple[str, str]], tmp_path: Path) -> None:
    whole = zoo.compute(tmp_path / "zoo.csv")
    first = trained.copy()
    trained.clear()
    assert zoo.compute(tmp_path / "zoo.csv", fresh=True).equals(whole)
    assert trained == first


GOOD = "target,backbone,cut,draw,accuracy,frozen,seconds,preparation\ndigits,untrained,block1_pool,0,0.5,0.4,1,2\n"


@pytest.mark.parametrize("text", ["", GOOD.replace("frozen,", "cold,"), GOOD.replace("0.5", "half")])
def test_a_file_that_is_no_table_is_refused_and_left_alone(text: str, tmp_path: Path) -> None:
    path = tmp_path / "zoo.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(settings.UserError, match="zoo.csv is no table of truth .*--fresh"):
        zoo.compute(path)
    assert path.read_text(encoding="utf-8") == text


def test_a_table_that_cannot_be_written_is_one_sentence(trained: list[tuple[str, str]], tmp_path: Path) -> None:
    with pytest.raises(settings.UserError, match="could not be written"):
        zoo.compute(tmp_path / "no" / "zoo.csv")
    assert trained == []


def test_the_table_that_comes_with_the_course_is_complete() -> None:
    table = zoo.read()
    entries = set(zip(table["target"], table["backbone"], table["draw"], strict=True))
    assert entries == {(t, b, d) for t in zoo.TARGETS for b in zoo.BACKBONES for d in zoo.DRAWS}
    for name, of in (("untrained", "vgg16_mini"), ("efficientnet_lite0", "efficientnet_lite0")):
        assert set(table.loc[table["backbone"] == name, "cut"]) == set(backbones.CATALOGUE[of].cuts)
