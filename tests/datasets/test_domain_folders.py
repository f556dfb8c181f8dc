"""Folders of several domains: the same classes everywhere, and nothing leaks from one domain into another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tlutils import datasets
from tlutils.settings import UserError


def save(path: Path, seed: int, mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (9, 9, 4), dtype=np.uint8)
    if mode == "I;16":
        Image.fromarray(pixels[..., 0].astype(np.uint16) * 257).save(path)
    else:
        Image.fromarray(pixels[..., {"L": 0, "RGB": slice(3), "RGBA": slice(4)}[mode]]).save(path)


def two_domains(folder: Path, per_class: int = 3) -> None:
    for number, (domain, label) in enumerate((d, c) for d in ("clear", "fog") for c in ("street", "lane")):
        for index in range(per_class):
            save(folder / domain / label / f"scene{index}-{domain}.png", 100 * number + index)


def test_pictures_of_all_domains_come_with_their_class_and_their_domain(tmp_path):
    two_domains(tmp_path)
    dataset, domain = datasets.from_domain_folders(tmp_path)
    assert dataset.class_names == ("lane", "street")
    assert domain.tolist() == ["clear"] * 6 + ["fog"] * 6
    for path, label, name in zip(dataset.pictures.paths, dataset.labels, domain, strict=True):
        assert (path.parent.name, path.parent.parent.name) == (dataset.class_names[label], name)
    assert len(set(dataset.groups.tolist())) == 12
    assert dataset.pictures[:].shape == (12, 64, 64, 3)


def test_a_copy_in_another_domain_and_a_caught_name_share_a_group(tmp_path):
    two_domains(tmp_path)
    save(tmp_path / "fog" / "lane" / "copy-fog.png", 0)
    dataset, domain = datasets.from_domain_folders(tmp_path)
    [copy] = [i for i, path in enumerate(dataset.pictures.paths) if path.name == "copy-fog.png"]
    [original] = [i for i, path in enumerate(dataset.pictures.paths) if path.parts[-3:-1] == ("clear", "street")][:1]
    assert dataset.groups[copy] == dataset.groups[original] and domain[copy] != domain[original]

    grouped, _ = datasets.from_domain_folders(tmp_path, groups="^([a-z]+[0-9]?)-")
    scenes = [path.name.split("-")[0] for path in grouped.pictures.paths]
    same_group = grouped.groups[:, None] == grouped.groups
    same_scene = np.array(scenes)[:, None] == np.array(scenes)
    assert (same_group | ~same_scene).all()


def test_a_folder_of_classes_is_one_domain(tmp_path):
    two_domains(tmp_path)
    dataset, domain = datasets.from_domain_folders(tmp_path / "clear")
    alone = datasets.from_folder(tmp_path / "clear")
    assert set(domain.tolist()) == {"clear"} and len(domain) == len(dataset) == len(alone)
    np.testing.assert_array_equal(dataset.labels, alone.labels)


def test_domains_with_different_classes_are_listed(tmp_path):
    two_domains(tmp_path)
    save(tmp_path / "fog" / "motorway" / "1.png", 7)
    save(tmp_path / "night" / "street" / "1.png", 8)
    save(tmp_path / "night" / "motorway" / "2.png", 9)
    with pytest.raises(UserError, match="'clear' lacks 'motorway'; 'night' lacks 'lane'"):
        datasets.from_domain_folders(tmp_path)


def test_one_domain_alone_or_no_folder_at_all_is_an_error(tmp_path):
    save(tmp_path / "clear" / "lane" / "1.png", 1)
    save(tmp_path / "clear" / "street" / "1.png", 2)
    with pytest.raises(UserError, match="one domain only, 'clear'"):
        datasets.from_domain_folders(tmp_path)
    with pytest.raises(UserError, match="does not exist"):
        datasets.from_domain_folders(tmp_path / "absent")


def test_grey_transparent_and_16_bit_files_are_read_side_by_side(tmp_path):
    for number, (domain, mode) in enumerate((d, m) for d in ("a", "b") for m in ("L", "RGBA", "I;16")):
        for label in ("lane", "street"):
            save(tmp_path / domain / label / f"{mode.replace(';', '')}.png", 10 * number + (label == "lane"), mode)
    dataset, _ = datasets.from_domain_folders(tmp_path)
    pictures = dataset.pictures[:]
    assert pictures.shape == (12, 64, 64, 3) and pictures.dtype == np.uint8
    assert all(picture.std() > 5 for picture in pictures)
