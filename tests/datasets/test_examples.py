"""Tests of tlutils.datasets.examples: what belongs together stays together, and shows itself."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from own_pictures import noise

from tlutils import datasets
from tlutils.datasets import picture_files
from tlutils.settings import UserError


@pytest.fixture(scope="module")
def flowers() -> datasets.Dataset:
    return datasets.load("synthetic_flowers", per_class=2)


def test_an_array_of_the_right_size_is_returned_as_it_is(flowers: datasets.Dataset):
    assert flowers.resized(64) is flowers.pictures


def test_an_array_is_resized_like_files_are(folder: Path):
    files = datasets.from_folder(folder)
    array = datasets.Dataset("a", files.resized(12)[:], files.labels, files.class_names, files.groups, False)
    assert np.array_equal(array.resized(5), files.resized(5)[:])


@pytest.mark.parametrize("image_size", [0, 2.5, "64", True])
def test_an_impossible_size_is_refused(folder: Path, flowers: datasets.Dataset, image_size: object):
    for dataset in (datasets.from_folder(folder), flowers):
        with pytest.raises(UserError, match="image_size=.* must be a whole number of at least 1"):
            dataset.resized(image_size)


def test_a_subset_keeps_everything_that_belongs_to_a_picture(flowers: datasets.Dataset):
    some = flowers.subset([7, 1])
    assert np.array_equal(some.pictures, flowers.pictures[[7, 1]])
    assert (some.labels.tolist(), some.groups.tolist()) == ([2, 1], [7, 1])
    assert np.array_equal(some.truth["mask"], flowers.truth["mask"][[7, 1]])
    assert (some.name, some.class_names, some.synthetic) == (flowers.name, flowers.class_names, True)
    assert np.array_equal(flowers.subset(flowers.labels == 1).labels, [1, 1])


def test_a_subset_of_files_stays_on_disk(folder: Path):
    some = datasets.from_folder(folder).subset(np.array([5]))
    assert isinstance(some.pictures, picture_files.PictureFiles)
    assert np.array_equal(some.resized(12)[0], noise(101))


def test_a_subset_of_sentences_keeps_the_order_asked_for_and_all_classes():
    found = datasets.reviews()
    part = found.subset([7, 2])
    assert part.texts == (found.texts[7], found.texts[2]) and len(part) == 2
    assert part.labels.tolist() == found.labels[[7, 2]].tolist()
    assert part.columns["domain"].tolist() == [found.columns["domain"][7], found.columns["domain"][2]]
    assert len(found.subset([])) == 0 and found.subset([]).class_names == found.class_names


def test_a_dataset_says_in_words_whether_it_is_real(folder: Path, flowers: datasets.Dataset):
    assert repr(datasets.from_folder(folder)) == "pets: 8 real pictures, 2 classes (cat: 4, dog: 4)"
    assert repr(flowers).startswith("synthetic_flowers: 10 synthetic pictures, 5 classes (daisy: 2, ")


def test_many_classes_are_counted_not_listed():
    labels = np.arange(60)
    many = datasets.Dataset("m", np.zeros((60, 1, 1, 3), np.uint8), labels, tuple(map(str, labels)), labels, True)
    assert repr(many).endswith("9: 1, and 50 more)")
    assert "<td>and 50 more classes</td><td>50</td>" in many._repr_html_()


def test_the_table_escapes_what_a_folder_or_a_class_may_be_called():
    rest = (np.zeros(1, int), ("<i>",), np.zeros(1, int))
    pictures = datasets.Dataset("a & b", np.zeros((1, 1, 1, 3), np.uint8), *rest, synthetic=False)
    sentences = datasets.Sentences("a & b", ("text",), *rest)
    for shown, title in ((pictures, "1 real pictures"), (sentences, "1 sentences")):
        assert "<td>&lt;i&gt;</td><td>1</td>" in shown._repr_html_()
        assert f"a &amp; b: {title}</caption>" in shown._repr_html_()


@pytest.mark.parametrize(
    ("labels", "groups", "extra", "message"),
    [
        ([0], [0, 1, 2], {}, "differ in number: .*'labels': 1, 'groups': 3"),
        ([0, 1], [0, 1, 2], {}, "differ in number: .*'labels': 2, 'groups': 3"),
        ([0, 1, 1], [0, 1, 2], {"more": np.zeros(2, object)}, "differ in number: .*'more': 2"),
        ([0, 1, 2], [0, 1, 2], {}, "labels must be 0 to 1"),
        ([0, 1, -1], [0, 1, 2], {}, "labels must be 0 to 1"),
    ],
)
def test_attributes_that_do_not_fit_are_refused(labels: list[int], groups: list[int], extra: dict, message: str):
    rest = (np.array(labels), ("p", "q"), np.array(groups))
    with pytest.raises(ValueError, match=f"odd: .*{message}"):
        datasets.Dataset("odd", np.zeros((3, 4, 4, 3), dtype=np.uint8), *rest, False, extra)
    with pytest.raises(ValueError, match=f"odd: .*{message}"):
        datasets.Sentences("odd", ("a", "b", "c"), *rest, extra)


def test_sides_of_a_ready_made_split_fit_the_pictures(flowers: datasets.Dataset):
    with pytest.raises(ValueError, match="'ready_made': 1"):
        dataclasses.replace(flowers, ready_made=np.array(["train"]))
    with pytest.raises(ValueError, match="must be train, validation or test, got .*val"):
        dataclasses.replace(flowers, ready_made=np.array(["train", "val"] * 5))
