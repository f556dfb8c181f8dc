"""Tests of tlutils.datasets.splits: nothing leaks, every class is on every side, the shares are kept."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from own_pictures import noise, save

from tlutils import datasets
from tlutils.settings import UserError

SEEDS = st.integers(0, 2**32 - 1)
SHARES = st.floats(0.05, 0.45)


def with_labels(labels: list[int], groups: list[int] | None = None) -> datasets.Dataset:
    """A dataset whose pictures do not matter."""
    n = len(labels)
    names = tuple(f"class {number}" for number in range(max(labels) + 1))
    return datasets.Dataset(
        "numbers",
        np.zeros((n, 1, 1, 3), dtype=np.uint8),
        np.array(labels, dtype=np.int64),
        names,
        np.arange(n) if groups is None else np.array(groups, dtype=np.int64),
        synthetic=True,
    )


def with_random_groups(seed: int) -> datasets.Dataset:
    """Two to four classes; groups of one to six pictures, most of one class; three pure groups of every class."""
    rng = np.random.default_rng(seed)
    n_classes = int(rng.integers(2, 5))
    groups = [[label] * rng.integers(1, 7) for label in range(n_classes) for _ in range(rng.integers(3, 13))]
    groups += [rng.integers(0, n_classes, rng.integers(1, 5)).tolist() for _ in range(rng.integers(0, 3))]
    pairs = rng.permutation([(label, number) for number, group in enumerate(groups) for label in group])
    return with_labels(pairs[:, 0].tolist(), pairs[:, 1].tolist())


@given(SEEDS, SEEDS, SHARES, SHARES)
def test_sides_share_no_group_and_hold_every_class(drawn: int, seed: int, validation: float, test: float):
    dataset = with_random_groups(drawn)
    split = datasets.split(dataset, labels_per_class=None, seed=seed, validation=validation, test=test)
    sides = (split.train, split.validation, split.test)
    assert sorted(np.concatenate(sides).tolist()) == list(range(len(dataset)))
    group_sets = [set(dataset.groups[side].tolist()) for side in sides]
    assert sum(map(len, group_sets)) == len(set.union(*group_sets))
    for side in sides:
        assert side.dtype == np.int64
        assert set(dataset.labels[side].tolist()) == set(range(len(dataset.class_names)))


@given(SEEDS, SEEDS)
def test_training_gets_the_number_asked_for_or_the_largest_that_works(drawn: int, seed: int):
    dataset = with_random_groups(drawn)
    everything = datasets.split(dataset, labels_per_class=None, seed=seed)
    most = int(np.bincount(dataset.labels[everything.train]).min())
    for asked in {1, most}:
        split = datasets.split(dataset, labels_per_class=asked, seed=seed)
        assert set(np.bincount(dataset.labels[split.train]).tolist()) == {asked}
        assert set(split.train.tolist()) <= set(everything.train.tolist())
        assert set(split.validation.tolist()) == set(everything.validation.tolist())
        assert set(split.test.tolist()) == set(everything.test.tolist())
    with pytest.raises(UserError, match=f"labels_per_class={most + 1} is too many.*Give {most} or less"):
        datasets.split(dataset, labels_per_class=most + 1, seed=seed)


@given(st.lists(st.integers(3, 60), min_size=2, max_size=5), SHARES, SHARES)
def test_without_groups_every_class_keeps_its_share(counts: list[int], validation: float, test: float):
    dataset = with_labels([label for label, count in enumerate(counts) for _ in range(count)])
    split = datasets.split(dataset, labels_per_class=None, seed=0, validation=validation, test=test)
    for side, share in ((split.validation, validation), (split.test, test)):
        for label, count in enumerate(counts):
            got, trained = (int((dataset.labels[part] == label).sum()) for part in (side, split.train))
            # One picture at least on every side, and rounding may not take the last one from training.
            assert got == 1 or abs(got - share * count) <= 0.5 + 1e-9 or trained == 1
            assert trained >= 1


def test_shares_are_exact_where_they_can_be():
    split = datasets.split(with_labels([0] * 100 + [1] * 50), labels_per_class=None, seed=0)
    assert [len(side) for side in (split.train, split.validation, split.test)] == [60, 30, 60]
    assert repr(split) == "Split(train: 60, validation: 30, test: 60 pictures)"


def test_groups_of_several_pictures_come_near_the_shares():
    labels = [label for label in range(3) for _ in range(200)]
    dataset = with_labels(labels, [number // 5 for number in range(600)])
    split = datasets.split(dataset, labels_per_class=None, seed=0)
    for side, share in ((split.train, 0.4), (split.validation, 0.2), (split.test, 0.4)):
        assert abs(np.bincount(dataset.labels[side]) - 200 * share).max() <= 5


def test_small_groups_even_out_what_a_large_one_leaves():
    labels = [0, 1] * 100
    dataset = with_labels(labels, [0 if number < 60 else number for number in range(200)])
    for seed in range(5):
        split = datasets.split(dataset, labels_per_class=None, seed=seed)
        counts = [np.bincount(dataset.labels[side]).tolist() for side in (split.train, split.validation, split.test)]
        assert counts == [[40, 40], [20, 20], [40, 40]]


def test_the_seed_decides_the_split():
    dataset = with_labels([0, 1] * 40)
    first, again, other = (datasets.split(dataset, labels_per_class=5, seed=seed) for seed in (1, 1, 2))
    for side in ("train", "validation", "test"):
        assert np.array_equal(getattr(first, side), getattr(again, side))
        assert set(getattr(first, side).tolist()) != set(getattr(other, side).tolist())


def test_fewer_labels_are_part_of_more_and_the_test_pictures_stay():
    dataset = with_labels([0, 1] * 40)
    few, many = (datasets.split(dataset, labels_per_class=n, seed=1) for n in (3, 12))
    assert set(few.train.tolist()) < set(many.train.tolist())
    assert set(few.test.tolist()) == set(many.test.tolist())


def test_another_draw_labels_other_pictures_and_leaves_validation_and_test_alone():
    dataset = with_labels([0, 1] * 100)
    draws = [datasets.split(dataset, labels_per_class=10, seed=3, draw=draw) for draw in range(4)]
    assert len(set.union(*(set(draw.train.tolist()) for draw in draws))) == 80  # of 80 that are left
    assert datasets.shared(draws) == 0
    assert len({frozenset(draw.test.tolist()) for draw in draws}) == 1
    assert len({frozenset(draw.validation.tolist()) for draw in draws}) == 1
    more = datasets.split(dataset, labels_per_class=20, seed=3)
    assert set(draws[0].train) < set(more.train)
    larger = [datasets.split(dataset, labels_per_class=30, seed=3, draw=draw) for draw in range(2)]
    assert datasets.shared(larger) == 20 / 30  # 60 are wanted of 40
    with pytest.raises(UserError, match="All 2 draws have the same .* Ask for fewer labels per class"):
        datasets.shared([more, more])
    with pytest.raises(UserError, match="draw=-1"):
        datasets.split(dataset, labels_per_class=10, seed=3, draw=-1)


def test_the_pictures_of_a_side_are_shuffled():
    split = datasets.split(with_labels([0] * 100 + [1] * 100), labels_per_class=30, seed=0)
    for side in (split.train, split.validation, split.test):
        assert side.tolist() != sorted(side.tolist())


def test_exact_duplicates_are_never_on_two_sides(tmp_path: Path):
    for number in range(12):
        for copy in range(1 + number % 3):
            save(tmp_path / "cat" / f"{number}-{copy}.png", noise(number))
            save(tmp_path / "dog" / f"{number}-{copy}.png", noise(100 + number))
    dataset = datasets.from_folder(tmp_path)
    pixels = [hashlib.sha256(picture.tobytes()).digest() for picture in dataset.resized(12)]
    for seed in range(10):
        split = datasets.split(dataset, labels_per_class=4, seed=seed)
        train, validation, test = ({pixels[i] for i in side} for side in (split.train, split.validation, split.test))
        assert not (train & validation or train & test or validation & test)


def test_sentences_are_split_like_pictures():
    found = datasets.reviews()
    double = found.subset(np.r_[np.arange(60), np.arange(60)])
    split = datasets.split(double, labels_per_class=None, seed=1)
    sides = [set(double.groups[side].tolist()) for side in (split.train, split.validation, split.test)]
    assert sum(map(len, sides)) == len(set.union(*sides)) == len(np.unique(double.groups))


def test_too_many_labels_name_the_class_and_the_largest_number_that_works():
    with pytest.raises(UserError) as caught:
        datasets.split(with_labels([0] * 100 + [1] * 20), labels_per_class=9, seed=0)
    text = str(caught.value)
    for part in (
        "labels_per_class=9",
        "'class 1' of numbers has 20 examples in all",
        "leave 8 for training",
        "Give 8 or less",
    ):
        assert part in text


def test_a_class_of_fewer_than_three_groups_cannot_be_split():
    with pytest.raises(UserError, match="Class 'class 1' of numbers has 6 examples in 2 groups; .* at least 3"):
        datasets.split(with_labels([0] * 6 + [1] * 6, [0, 1, 2, 3, 4, 5] + [6, 7] * 3), labels_per_class=1, seed=0)


def with_groups_of(classes_of_groups: list[tuple[int, ...]]) -> datasets.Dataset:
    labels = [label for classes in classes_of_groups for label in classes]
    return with_labels(labels, [group for group, classes in enumerate(classes_of_groups) for _ in classes])


def test_groups_that_tie_the_classes_together_cannot_be_split():
    """Three sides for class 0 and for class 1 put groups 2 and 3 on the same side; class 2 then has two sides."""
    with pytest.raises(UserError, match="no way to put every class into training, validation and test"):
        datasets.split(with_groups_of([(0, 1), (0, 1), (0, 2), (1, 2), (2,)]), labels_per_class=1, seed=0)


def test_a_way_to_split_is_found_where_the_first_order_of_the_groups_leads_to_none():
    dataset = with_groups_of([(1,), (0, 2), (0, 1), (1,), (0, 2), (1, 2)])
    for seed in range(10):
        split = datasets.split(dataset, labels_per_class=None, seed=seed)
        for side in (split.train, split.validation, split.test):
            assert set(dataset.labels[side].tolist()) == {0, 1, 2}


def test_one_class_cannot_be_split():
    with pytest.raises(UserError, match="one class only"):
        datasets.split(with_labels([0] * 20), labels_per_class=1, seed=0)


@pytest.mark.parametrize(("validation", "test"), [(0, 0.4), (0.2, 0), (0.5, 0.5), (-0.1, 0.4), (0.2, float("nan"))])
def test_shares_that_leave_a_side_empty_are_refused(validation: float, test: float):
    with pytest.raises(UserError, match="must be shares above 0"):
        datasets.split(with_labels([0, 1] * 20), labels_per_class=1, seed=0, validation=validation, test=test)


@pytest.mark.parametrize("labels_per_class", [0, -5, 2.5, "20", True])
def test_an_impossible_number_of_labels_is_refused(labels_per_class: object):
    with pytest.raises(UserError, match="labels_per_class=.* must be a whole number of at least 1"):
        datasets.split(with_labels([0, 1] * 20), labels_per_class=labels_per_class, seed=0)


# Splits that come with the pictures


def with_sides(sides: list[str], labels: list[int], groups: list[int] | None = None) -> datasets.Dataset:
    return dataclasses.replace(with_labels(labels, groups), ready_made=np.array(sides))


@given(SEEDS, SEEDS, st.booleans(), st.booleans())
def test_a_ready_made_split_is_respected_and_what_it_lacks_comes_from_its_training_pictures(
    drawn: int, seed: int, has_validation: bool, has_test: bool
):
    dataset = with_random_groups(drawn)
    n_classes = len(dataset.class_names)
    more = np.tile(np.arange(n_classes), 2 * (has_validation + has_test))
    sides = ["train"] * len(dataset)
    sides += ["validation"] * (2 * n_classes * has_validation) + ["test"] * (2 * n_classes * has_test)
    groups = np.r_[dataset.groups, 1000 + np.arange(len(more))]
    whole = with_sides(sides, np.r_[dataset.labels, more].tolist(), groups.tolist())
    split = datasets.split(whole, labels_per_class=None, seed=seed)
    given_sides = np.array(sides)
    for name, present in (("validation", has_validation), ("test", has_test)):
        found = getattr(split, name)
        if present:
            assert sorted(found.tolist()) == np.flatnonzero(given_sides == name).tolist()
        assert set(given_sides[found].tolist()) == {name if present else "train"}
        assert set(whole.labels[found].tolist()) == set(range(n_classes))
    assert set(given_sides[split.train].tolist()) == {"train"}
    parts = [set(whole.groups[part].tolist()) for part in (split.train, split.validation, split.test)]
    assert sum(map(len, parts)) == len(set.union(*parts))
    assert sorted(np.concatenate([split.train, split.validation, split.test])) == list(range(len(whole)))


def test_draws_of_a_ready_made_split_differ_in_training_only():
    sides = ["train"] * 60 + ["validation"] * 20 + ["test"] * 20
    dataset = with_sides(sides, [0, 1] * 50)
    splits = [datasets.split(dataset, labels_per_class=10, seed=seed, draw=seed) for seed in range(3)]
    assert len({frozenset(split.train.tolist()) for split in splits}) == 3
    for split in splits:
        assert sorted(split.test.tolist()) == list(range(80, 100)) and sorted(split.validation) == list(range(60, 80))
        assert np.bincount(dataset.labels[split.train]).tolist() == [10, 10]
    with pytest.raises(UserError, match="labels_per_class=31 is too many.*Give 30 or less"):
        datasets.split(dataset, labels_per_class=31, seed=0)


def test_a_missing_side_of_a_ready_made_split_has_its_share_of_the_training_pictures():
    dataset = with_sides(["train"] * 100 + ["test"] * 10, [0, 1] * 55)
    split = datasets.split(dataset, labels_per_class=None, seed=0, validation=0.3)
    assert [len(split.train), len(split.validation), len(split.test)] == [70, 30, 10]


def test_a_class_of_one_training_picture_cannot_share_it_with_a_missing_side():
    dataset = with_sides(["train"] * 7 + ["test"] * 2, [0, 0, 0, 0, 0, 0, 1, 0, 1])
    with pytest.raises(UserError, match="1 examples in 1 groups; training and validation need .* at least 2"):
        datasets.split(dataset, labels_per_class=1, seed=0)


@pytest.mark.parametrize("side", ["train", "validation", "test"])
def test_a_ready_made_side_without_a_class_is_named(side: str):
    sides = ["train", "validation", "test"] * 8
    labels = [0 if name == side else number // 3 % 2 for number, name in enumerate(sides)]
    with pytest.raises(UserError, match=f"ready-made {side} of numbers has no picture of 'class 1'"):
        datasets.split(with_sides(sides, labels), labels_per_class=1, seed=0)
