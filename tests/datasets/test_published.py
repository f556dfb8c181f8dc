"""The small real data sets have the publisher's numbers of examples, classes and groups."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tlutils import datasets, store


@pytest.fixture(autouse=True)
def mirror(real_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TLUTILS_MIRROR", str(real_data / "publisher"))


def test_spoken_digits_are_fifty_recordings_of_each_digit_by_each_of_five_speakers() -> None:
    found = datasets.spoken_digits()
    pairs = Counter(zip(found.groups.tolist(), found.labels.tolist(), strict=True))
    assert len(pairs) == 50 and set(pairs.values()) == {50}
    for index in (0, 1234, 2499):
        digit, speaker, _ = found.files[index].stem.split("_")
        assert found.class_names[found.labels[index]] == digit
        assert {file.stem.split("_")[1] for file in found.subset(found.groups == found.groups[index]).files} == {
            speaker
        }
        # 8 kHz and 16 bits: two bytes behind a header of 44 for every two samples of ours.
        assert len(found[index]) == found.files[index].stat().st_size - 44


def test_review_sentences_are_a_thousand_from_each_of_three_domains_half_of_them_positive(real_data: Path) -> None:
    found = datasets.review_sentences()
    domains = found.columns["domain"]
    pairs = Counter(zip(domains.tolist(), found.labels.tolist(), strict=True))
    assert pairs == dict.fromkeys([(d, k) for d in ("telephones", "films", "restaurants") for k in (0, 1)], 500)
    assert found.class_names == ("negative", "positive")
    # U+0085, which str.splitlines takes for the end of a row.
    written = b"".join(file.read_bytes() for file in (real_data / "publisher" / "review_sentences").iterdir())
    assert sum(text.count("\x85") for text in found.texts) == written.count(b"\xc2\x85") > 0
    assert not any("\t" in text or "\n" in text or text != text.strip(" ") for text in found.texts)
    assert len(set(found.groups)) == len({" ".join(text.casefold().split()) for text in found.texts})


def test_breast_ultrasound_keeps_the_publishers_split_and_names_the_classes(
    real_data: Path, publish: Callable[[str, bytes], store.File]
) -> None:
    # The same arrays as the publisher's in other bytes.
    publish("breast_ultrasound", (real_data / "breastmnist.npz").read_bytes())
    with pytest.warns(datasets.DoubtfulLabel, match="1 pictures lie on two sides"):
        found = datasets.breast_ultrasound()
    assert found.pictures.shape == (780, 28, 28, 3)
    # Yang et al. 2023, table 2; the data sheet of BreastMNIST gives label 0 as malignant.
    assert Counter(found.ready_made.tolist()) == {"train": 546, "validation": 78, "test": 156}  # type: ignore[union-attr]
    assert dict(zip(found.class_names, found.counts.tolist(), strict=True)) == {
        "malignant": 210,
        "normal or benign": 570,
    }
    split = datasets.split(found, labels_per_class=10, seed=0)
    assert np.array_equal(np.sort(split.test), np.flatnonzero(found.ready_made == "test"))
