"""Advice ranks all cuts of all backbones by their scores, within a budget, and says why."""

from __future__ import annotations

import dataclasses
import functools

import keras
import numpy as np
import pytest

from tlutils import datasets, store
from tlutils.models import backbones
from tlutils.models.features import pooled_activations
from tlutils.selection import transferability
from tlutils.selection.advice import Candidate, advise
from tlutils.settings import UserError


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TLUTILS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@functools.cache
def small_backbone(name: str = "small", seed: int = 0) -> backbones.Backbone:
    """Two convolutions, the second normalised, that take pictures of 16x16."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((16, 16, 3))
    x = keras.layers.Rescaling(1 / 255, name="preprocess")(inputs)
    x = keras.layers.Conv2D(4, 3, strides=2, activation="relu", name="first")(x)
    x = keras.layers.BatchNormalization()(keras.layers.Conv2D(8, 3, strides=2, use_bias=False, name="second")(x))
    model = keras.Model(inputs, keras.layers.ReLU(name="end")(x))
    return backbones.Backbone(name, model, 16, ("preprocess", "first", "end"), "none")


@pytest.fixture
def untimed(monkeypatch):
    """Let every network take a second for each picture, without running it."""
    monkeypatch.setattr(
        "tlutils.selection.advice._seconds_per_picture", lambda base, _: np.linspace(0.1, 1, len(base.cuts)).tolist()
    )


def coloured(counts: list[int], noise: float = 60.0) -> datasets.Dataset:
    """Pictures whose mean colour tells the class: of class 0 red, of class 1 green, of class 2 blue."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(len(counts)), counts)
    light = np.eye(3)[labels][:, None, None] * 60 + rng.normal(100, noise, (len(labels), 1, 1, 3))
    pictures = np.clip(light + rng.normal(0, 5, (len(labels), 16, 16, 3)), 0, 255).astype(np.uint8)
    names = tuple(f"class <{label}>" for label in range(len(counts)))
    return datasets.Dataset("coloured", pictures, labels.astype(np.int64), names, np.arange(len(labels)), True)


def test_candidates_are_all_cuts_of_all_backbones_ranked_by_the_score_of_their_activations(own_cache, untimed):
    dataset = coloured([20, 20, 20])
    bases = [small_backbone("one", seed=1), small_backbone("two", seed=2)]
    advice = advise(dataset, bases, 1e4)
    expected = {
        (base.name, at): (
            transferability.ridge_loo_r2(x, dataset.labels),
            transferability.ridge_loo_accuracy(x, dataset.labels),
        )
        for base in bases
        for at, x in pooled_activations(base, dataset.pictures).items()
    }
    found = {(row.backbone, row.cut): (row.score, row.accuracy) for row in advice.ranked}
    assert found.keys() == expected.keys()
    for key in found:
        assert found[key] == pytest.approx(expected[key], abs=1e-3), key
    scores = [row.score for row in advice.ranked]
    assert scores == sorted(scores, reverse=True)
    assert advice.best is advice.ranked[0]
    assert advice.n_pictures == 60


def test_the_costs_are_those_of_the_parts_before_and_behind_the_cut(own_cache):
    advice = advise(coloured([5, 5]), [small_backbone()])
    by_cut = {row.cut: row for row in advice.ranked}
    second, first = 3 * 3 * 4 * 8, 3 * 3 * 3 * 4 + 4
    parameters = [by_cut[at].tail_parameters for at in ("preprocess", "first", "end")]
    assert parameters == [first + second, second, 0]  # those of the normalisation do not count
    kilobytes = [by_cut[at].kilobytes_per_picture for at in ("preprocess", "first", "end")]
    assert kilobytes == pytest.approx([16 * 16 * 3 * 4 / 1000, 7 * 7 * 4 * 4 / 1000, 3 * 3 * 8 * 4 / 1000])
    seconds = [by_cut[at].seconds_per_picture for at in ("preprocess", "first", "end")]
    assert 0 < seconds[0] < seconds[1] < seconds[2] < advice.seconds


def test_pretrained_features_are_preferred_to_untrained_ones_and_an_untrained_control_may_take_part(own_cache, untimed):
    control = dataclasses.replace(backbones.load("vgg16_mini", weights=None), name="untrained")
    advice = advise(datasets.load("synthetic_flowers", per_class=10), ["vgg16_mini", control], 1e4)
    assert advice.best.backbone == "vgg16_mini"
    assert advice.best.cut in ("block4_pool", "block5_pool")
    assert {row.backbone for row in advice.ranked} == {"vgg16_mini", "untrained"}


@pytest.mark.parametrize(
    ("counts", "budget", "scored"),
    [
        ([80, 80], 1e4, [80, 80]),
        ([80, 80], 120, [20, 20]),  # 96 pictures are affordable: 2 x 20, not 2 x 50
        ([80, 7], 80, [50, 7]),  # 64 pictures are
        ([80, 80], 7, [2, 2]),
        ([450, 450, 450], 1e9, [200, 200, 200]),  # 1,000 are enough
    ],
)
def test_the_budget_decides_how_many_pictures_of_each_class_are_scored(
    own_cache, untimed, monkeypatch, counts: list[int], budget: float, scored: list[int]
):
    seen = []
    original = pooled_activations

    def watched(base, pictures):
        seen.append(pictures)
        return original(base, pictures)

    monkeypatch.setattr("tlutils.selection.advice.pooled_activations", watched)
    dataset = coloured(counts)
    assert advise(dataset, [small_backbone()], budget).n_pictures == sum(scored)
    label_of = {picture.tobytes(): label for picture, label in zip(dataset.pictures, dataset.labels, strict=True)}
    drawn = {picture.tobytes() for picture in seen[0]}
    assert np.bincount([label_of[picture] for picture in drawn]).tolist() == scored


def test_a_budget_for_less_than_two_pictures_of_each_class_is_refused_with_one_that_suffices(own_cache, untimed):
    with pytest.raises(UserError, match=r"budget=4 seconds are too few: .*4 pictures .*need 1 each. Give budget=[67]"):
        advise(coloured([9, 9]), [small_backbone()], 4)


def test_the_same_seed_gives_the_same_ranking_and_another_seed_other_pictures(own_cache, untimed):
    dataset, base = coloured([80, 80, 80]), small_backbone()

    def scores(seed: int) -> list[float]:
        return [row.score for row in advise(dataset, [base], 100, seed=seed).ranked]

    assert scores(0) == scores(0) != scores(1)


def test_of_pictures_of_one_group_one_is_scored_so_that_copies_do_not_recognise_each_other(own_cache, untimed):
    once = coloured([6, 6], noise=300)
    copies = once.subset(np.repeat(np.arange(12), 5))
    advice = advise(copies, [small_backbone()], 1e4)
    assert advice.n_pictures == 12
    assert advice.best.score == pytest.approx(advise(once, [small_backbone()], 1e4).best.score, abs=1e-3)


def test_a_group_with_pictures_of_two_classes_gives_one_to_each(own_cache, untimed):
    dataset = dataclasses.replace(coloured([6, 6]), groups=np.tile(np.arange(6), 2))
    assert advise(dataset, [small_backbone()], 1e4).n_pictures == 12


def test_by_default_the_candidates_are_the_backbones_whose_weights_are_on_this_machine(own_cache, untimed, monkeypatch):
    asked = []

    def load(name: str) -> backbones.Backbone:
        asked.append(name)
        return small_backbone(name)

    monkeypatch.setattr(backbones, "load", load)
    advise(coloured([3, 3]))
    assert asked == list(backbones.MINI.values())
    for name in ("minilm", "mobilenet"):
        for part in store.FILES[name].parts:
            (own_cache / "downloads" / part.path).parent.mkdir(parents=True, exist_ok=True)
            (own_cache / "downloads" / part.path).touch()
    asked.clear()
    advise(coloured([3, 3]))
    assert asked == [*backbones.MINI.values(), "mobilenet"]


def test_the_reasons_say_what_is_lost_and_gained_against_the_best(own_cache, monkeypatch):
    monkeypatch.setattr("tlutils.selection.advice._seconds_per_picture", lambda base, _: [0.001, 0.002, 0.008])
    rng = np.random.default_rng(0)
    good = np.repeat([0, 1], 50)[:, None] + 0.1 * rng.normal(size=(100, 2))
    two_wrong = good.copy()
    two_wrong[[0, 99]] = good[[99, 0]]
    by_cut = {"preprocess": rng.normal(size=(100, 2)), "first": two_wrong, "end": good}
    monkeypatch.setattr("tlutils.selection.advice.pooled_activations", lambda base, pictures: by_cut)
    dataset = coloured([50, 50])
    reasons = {row.cut: (row.reason, row.accuracy) for row in advise(dataset, [small_backbone()]).ranked}
    assert reasons["end"][0] == (
        "best: a linear head puts 100% of pictures left out into the right class; not told from it: 1 of the others"
    )
    assert reasons["first"][1] == pytest.approx(0.98)
    assert reasons["first"][0] == "not told from the best by these pictures, 4.0 times as fast"
    points = 100 * (1 - reasons["preprocess"][1])
    assert reasons["preprocess"][0] == (
        f"{points:.0f} points below the best, 8.0 times as fast, the mean colour alone, no layer of the network"
    )


def test_a_sentence_says_how_many_candidates_the_pictures_cannot_tell_apart(own_cache, monkeypatch):
    rng = np.random.default_rng(0)
    good = np.repeat([0, 1], 20)[:, None] + 0.1 * rng.normal(size=(40, 2))
    noise = rng.normal(size=(40, 2))
    for end, sentence in (
        (good, "cannot tell the candidates apart."),
        (noise, "cannot tell 1 of the other 2 candidat"),
    ):
        by_cut = {"preprocess": good, "first": good, "end": end}
        monkeypatch.setattr("tlutils.selection.advice.pooled_activations", lambda base, pictures, x=by_cut: x)
        advice = advise(coloured([20, 20]), [small_backbone()])
        assert sentence in repr(advice).splitlines()[1] and sentence in advice._repr_html_()
    by_cut |= {"preprocess": noise, "first": noise, "end": good}
    assert advise(coloured([20, 20]), [small_backbone()]).not_told_apart == 0
    assert "cannot tell" not in repr(advise(coloured([20, 20]), [small_backbone()]))


def test_where_nothing_helps_the_reason_says_so(own_cache, monkeypatch):
    zeros = dict.fromkeys(("preprocess", "first", "end"), np.zeros((20, 2)))
    monkeypatch.setattr("tlutils.selection.advice.pooled_activations", lambda base, pictures: zeros)
    best = advise(coloured([10, 10]), [small_backbone()]).best
    assert best.reason == "ranks first, yet no candidate tells more about the classes than guessing"
    assert best.cut == "preprocess"  # of equals the fastest


def test_the_advice_is_a_table_for_people_and_for_programs(own_cache):
    advice = advise(coloured([9, 9]), [small_backbone("a <b>")])
    table = advice.table()
    assert table.index.tolist() == [1, 2, 3]
    assert table.loc[1, "cut"] == advice.best.cut
    assert table.columns.tolist() == [field.name for field in dataclasses.fields(Candidate)]
    page = advice._repr_html_()
    assert page.count("<tr") == 4
    assert "a <b>" not in page
    for row in advice.ranked:
        assert row.reason in page
        assert row.reason in repr(advice)
    assert f"Best of 3: a <b> cut at {advice.best.cut} (18 pictures scored in" in repr(advice)


@pytest.mark.parametrize(
    ("dataset", "candidates", "budget", "message"),
    [
        (coloured([3, 3]), ["vgg61"], 60, "backbone='vgg61' is unknown.*vgg16"),
        (coloured([3, 3]), "vgg16_mini", 60, r"candidates='vgg16_mini' must be a list.*\['vgg16_mini'\]"),
        (coloured([3, 3]), [], 60, "candidates is empty; give names out of vgg16_mini"),
        (coloured([3, 3]), ["vgg16_mini", "vgg16_mini"], 60, "'vgg16_mini' more than once.*dataclasses.replace"),
        (coloured([3, 3]), ["vgg16_mini"], 0, "budget=0 must be a number of seconds above 0"),
        (coloured([3, 3]), ["vgg16_mini"], True, "budget=True must be"),
        (coloured([3, 1]), ["vgg16_mini"], 60, "Class 'class <1>' of coloured has 1 picture.*two groups"),
        (coloured([3, 0]), ["vgg16_mini"], 60, r"coloured has pictures of 1 class\(es\)"),
    ],
)
def test_what_no_advice_can_be_given_for_is_explained(own_cache, dataset, candidates, budget, message: str):
    with pytest.raises(UserError, match=message):
        advise(dataset, candidates, budget)


def test_a_backbone_is_compiled_once_for_all_advice(own_cache, monkeypatch):
    base, built = small_backbone.__wrapped__(), []
    original = keras.layers.Concatenate.__init__
    monkeypatch.setattr(
        keras.layers.Concatenate,
        "__init__",
        lambda self, *args, **kw: (built.append(1), original(self, *args, **kw))[1],
    )
    for seed in (0, 1):
        advise(coloured([5, 5], noise=seed + 1), [base])
    assert built == [1]
