"""Tests of tlutils.datasets.catalogue: every dataset of the course arrives in the same form."""

from __future__ import annotations

import io
import re
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from shop import Shop

from tlutils import datasets, store
from tlutils.settings import UserError

Publish = Callable[[str, bytes], store.File]


@pytest.mark.parametrize("name", [name for name in datasets.CATALOGUE if name.startswith("synthetic_")])
def test_synthetic_datasets_are_called_synthetic_and_follow_the_seed(name: str):
    drawn = datasets.load(name, per_class=1, seed=3)
    assert (drawn.name, drawn.synthetic) == (name, True)
    assert drawn.truth and set(drawn.counts.tolist()) == {1}
    assert not np.array_equal(drawn.pictures, datasets.load(name, per_class=1, seed=4).pictures)


def test_digits_are_real_pictures_of_all_grey_levels():
    digits = datasets.load("digits")
    assert digits.pictures.shape == (1797, 8, 8, 3)
    assert not digits.synthetic
    assert digits.class_names == tuple("0123456789")
    assert (digits.pictures.dtype, digits.pictures.min(), digits.pictures.max()) == (np.uint8, 0, 255)
    assert (digits.pictures[..., 0] == digits.pictures[..., 2]).all()


def test_a_number_per_class_chooses_that_many_real_pictures():
    few = datasets.load("digits", per_class=7, seed=1)
    assert few.counts.tolist() == [7] * 10
    assert np.array_equal(few.pictures, datasets.load("digits", per_class=7, seed=1).pictures)
    assert not np.array_equal(few.pictures, datasets.load("digits", per_class=7, seed=2).pictures)


def test_an_unknown_dataset_lists_the_known_ones():
    with pytest.raises(UserError, match="'roses' is unknown; choose one of synthetic_source, .*digits, flower_photos"):
        datasets.load("roses")


@pytest.mark.parametrize("per_class", [0, -1, 2.0, True])
def test_an_impossible_number_per_class_is_refused(per_class: object):
    with pytest.raises(UserError, match="per_class=.* must be a whole number"):
        datasets.load("digits", per_class=per_class)


def test_more_per_class_than_there_are_names_the_smallest_class():
    with pytest.raises(UserError, match="per_class=175 is too many: digits has 174 pictures of '8'. Give 174 or less"):
        datasets.load("digits", per_class=175)


def test_flower_photos_are_fetched_and_unpacked_once_and_read(folder: Path, shop: Shop, publish: Publish):
    """The archive is small and ours; it has the publisher's layout."""
    (folder / "LICENSE.txt").write_text("of each photograph")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as file:
        file.add(folder, "flower_photos")
    publish("flower_photos", packed.getvalue())
    dataset = datasets.load("flower_photos")
    assert (dataset.name, dataset.class_names, dataset.synthetic) == ("flower_photos", ("cat", "dog"), False)
    assert datasets.load("flower_photos", per_class=2, seed=1).counts.tolist() == [2, 2]
    assert shop.asked.total() == 1


def test_tissue_tiles_of_one_slide_are_one_group(publish: Publish):
    """The archive is small and ours; it has the publisher's layout and file names."""
    rng, top = np.random.default_rng(0), "Kather_texture_2016_image_tiles_5000"
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        for tissue in ("01_TUMOR", "02_STROMA"):
            for number, slide in enumerate(("01_001", "01_002", "02_001", "03_001")):
                tile = io.BytesIO()
                Image.fromarray(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8)).save(tile, "TIFF")
                name = f"{number}A0_CRC-Prim-HE-{slide}.tif_Row_1_Col_{number}.tif"
                file.writestr(f"{top}/{tissue}/{name}", tile.getvalue())
    publish("colorectal_histology", packed.getvalue())
    dataset = datasets.load("colorectal_histology")
    assert (dataset.name, dataset.class_names) == ("colorectal_histology", ("01_TUMOR", "02_STROMA"))
    slides = [re.findall(r"HE-(\d+)", path.name)[0] for path in dataset.pictures.paths]
    assert len(set(slides)) == len(set(dataset.groups)) == len(set(zip(slides, dataset.groups, strict=True))) == 3
