"""Tests of tlutils.datasets.copies: copies are found, other pictures are not, and quickly."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import imagehash
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageEnhance, ImageOps

from tlutils.datasets import copies


def pressed(picture: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


@pytest.fixture(scope="module")
def photographs(real_data: Path) -> list[Image.Image]:
    """One hundred flowers."""
    return [Image.open(file).convert("RGB") for file in sorted((real_data / "flowers").glob("*/*.jpg"))[::5]]


def from_grey(grey: np.ndarray) -> copies.Look:
    return copies.Look(grey.astype(np.uint8).tobytes(), (0, 0, 0))


def test_the_hash_is_that_of_imagehash():
    grey = np.random.default_rng(0).integers(0, 256, (50, 32, 32))
    expected = [imagehash.phash(Image.fromarray(one.astype(np.uint8)), 16, 2).hash.ravel() for one in grey]
    np.testing.assert_array_equal(copies.hashes([from_grey(one) for one in grey])[0], expected)


def test_the_other_hashes_are_those_of_the_mirrored_and_turned_pictures():
    grey = np.random.default_rng(0).integers(0, 256, (20, 32, 32))
    turned = [np.rot90(one, turns, (1, 2)) for one in (grey, grey[:, :, ::-1]) for turns in range(4)]
    expected = {copies.hashes([from_grey(one) for one in pictures])[0].tobytes() for pictures in turned}
    assert {way.tobytes() for way in copies.hashes([from_grey(one) for one in grey])} == expected


@pytest.mark.parametrize(
    ("change", "share"),
    [
        (lambda picture: picture.resize((picture.width // 2, picture.height // 2)), 0.9),
        (lambda picture: picture.resize((picture.width * 2, picture.height * 2)), 0.95),
        (lambda picture: pressed(picture, 40), 0.95),
        (lambda picture: ImageEnhance.Brightness(picture).enhance(1.1), 0.95),
        (ImageOps.mirror, 0.9),
        (lambda picture: picture.rotate(90, expand=True), 0.9),
    ],
)
def test_copies_of_photographs_are_joined_and_photographs_are_not(
    photographs: list[Image.Image], change: Callable[[Image.Image], Image.Image], share: float
):
    n = len(photographs)
    found = copies.alike([copies.look(one) for one in [*photographs, *map(change, photographs)]])
    assert len(set(found[:n].tolist())) == n
    assert np.mean(found[:n] == found[n:]) >= share


def test_blank_pictures_and_other_colours_stay_alone():
    blank = [copies.look(Image.new("RGB", (40, 40), colour)) for colour in ("black", "white", "white")]
    ramp = np.random.default_rng(0).integers(0, 200, (32, 32), dtype=np.uint8)
    red, blue = (np.stack([ramp if channel == kept else 0 * ramp for channel in range(3)], -1) for kept in (0, 2))
    assert len(set(copies.alike([*blank, *(copies.look(Image.fromarray(one)) for one in (red, blue))]).tolist())) == 5


@given(st.integers(0, 2**32 - 1))
def test_sets_are_those_of_a_comparison_of_all_pairs(seed: int):
    """Chains of hashes that change by some bits at each step, against the definition."""
    from scipy.sparse.csgraph import connected_components

    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(5):
        row = rng.random(256) < 0.5
        for _ in range(rng.integers(1, 6)):
            rows.append(row)
            row = row.copy()
            row[rng.choice(256, rng.integers(0, copies.MOST_BITS + 4), replace=False)] ^= True
    bits, tones = np.array(rows), np.zeros((len(rows), 3), dtype=np.int16)
    near = (bits[:, None] != bits).sum(axis=-1) <= copies.MOST_BITS
    expected = connected_components(near, directed=False)[1]
    found = copies.joined(bits, tones)
    np.testing.assert_array_equal(found[:, None] == found, expected[:, None] == expected)


def test_no_picture_and_one_picture_are_sets_too():
    assert copies.alike([]).tolist() == [] and copies.alike([None]).tolist() == [0]


def test_twenty_thousand_pictures_and_as_many_copies_of_one_are_compared_without_all_pairs():
    """All pairs of 40,000 would be 800 million; the test is done when it ends."""
    rng = np.random.default_rng(0)
    looks = [from_grey(one) for one in rng.integers(0, 256, (20_000, 32, 32), dtype=np.uint8)]
    found = copies.alike([*looks, *[looks[0]] * 20_000])
    assert len(np.unique(found)) == 20_000 and (found[20_000:] == found[0]).all()
