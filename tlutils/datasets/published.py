"""The three small real data sets that ``tlutils fetch`` brings: spoken digits, review sentences, breast ultrasound."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tlutils import settings, store
from tlutils.datasets import folders, layouts, tables
from tlutils.datasets.examples import Dataset, Sentences, group_numbers
from tlutils.datasets.recordings import Recordings

# What the sentences of each of the publisher's files are about.
_DOMAINS = {"amazon_cells": "telephones", "imdb": "films", "yelp": "restaurants"}


def spoken_digits() -> Recordings:
    """Load 2,500 recordings of the digits 0 to 9: five speakers, 50 of each digit from each, at 8 kHz.

    Jackson et al. 2018, "Free Spoken Digit Dataset", v1.0.9; CC BY-SA 4.0. The 12 MB are brought at the first call.

    Returns
    -------
    Recordings
        Each speaker is a group; the file names are ``DIGIT_SPEAKER_NUMBER.wav``.

    Raises
    ------
    settings.UserError
        If the archive cannot be brought or unpacked.
    """
    folder = store.extract(store.fetch("spoken_digits"), settings.cache_dir() / "spoken_digits")
    files = sorted(folder.glob("*/recordings/*.wav"), key=lambda file: layouts.natural(file.name))
    digits, speakers, _ = zip(*(file.stem.split("_") for file in files), strict=True)
    labels = np.array([int(digit) for digit in digits], dtype=np.int64)
    return Recordings("spoken_digits", tuple(files), labels, tuple("0123456789"), group_numbers(speakers))


def review_sentences() -> Sentences:
    """Load 3,000 real review sentences: 500 positive and 500 negative ones of telephones, films and restaurants each.

    Kotzias et al. 2015, "From Group to Individual Labels Using Deep Features"; CC BY 4.0. The 0.2 MB are brought at
    the first call.

    Returns
    -------
    Sentences
        With the column ``domain``. The spaces round a sentence are taken away, nothing else.

    Raises
    ------
    settings.UserError
        If the files cannot be brought.
    """
    folder = store.fetch("review_sentences")
    texts, labels, domains = [], [], []
    for stem, domain in _DOMAINS.items():
        written = (folder / f"{stem}_labelled.txt").read_text(encoding="utf-8")
        # Not splitlines: a sentence holds U+0085, which is no end of a row here.
        for row in written.removesuffix("\n").split("\n"):
            text, label = row.rsplit("\t", 1)
            texts.append(text.strip(" "))
            labels.append(int(label))
            domains.append(domain)
    return Sentences(
        "review_sentences",
        tuple(texts),
        np.array(labels, dtype=np.int64),
        ("negative", "positive"),
        group_numbers([tables.text_key(text) for text in texts]),
        {"domain": np.array(domains, dtype=object)},
    )


def breast_ultrasound() -> Dataset:
    """Load BreastMNIST: 780 ultrasound pictures of 28x28, grey, in the publisher's split. Not for medical use.

    Yang et al. 2023, "MedMNIST v2: a large-scale lightweight benchmark for 2D and 3D biomedical image classification",
    made from Al-Dhabyani et al. 2020, "Dataset of breast ultrasound images"; CC BY 4.0. The 0.6 MB are brought at the
    first call.

    Returns
    -------
    Dataset
        It names no patients: groups hold exact duplicates only.

    Raises
    ------
    settings.UserError
        If the file cannot be brought.

    Warns
    -----
    DoubtfulLabel
        If a picture lies on two sides of the split.
    """
    dataset = folders.own_pictures(store.fetch("breast_ultrasound"))
    return replace(dataset, name="breast_ultrasound", class_names=("malignant", "normal or benign"))
