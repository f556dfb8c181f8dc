"""Every network and data set of the registries is listed once, with the facts that the registries have."""

from __future__ import annotations

from pathlib import Path

import pytest

from tlutils import datasets, inventory, store
from tlutils.models import backbones


@pytest.fixture
def listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, inventory.Item]:
    """What is listed where mobilenet alone has been fetched, by name."""
    monkeypatch.setenv("TLUTILS_CACHE", str(tmp_path))
    (tmp_path / "downloads").mkdir()
    (tmp_path / "downloads" / store.FILES["mobilenet"].target).touch()
    items = inventory.items()
    assert len({item.name for item in items}) == len(items)
    return {item.name: item for item in items}


def test_all_that_the_registries_name_is_listed(listed: dict[str, inventory.Item]) -> None:
    assert set(listed) == {*backbones.CATALOGUE, *store.FILES, *datasets.CATALOGUE}
    kinds = {kind: {name for name, item in listed.items() if item.kind == kind} for kind in ("backbone", "encoder")}
    assert kinds == {"backbone": set(backbones.CATALOGUE), "encoder": {"minilm", "speech_embedding"}}


def test_what_is_here_and_how_the_rest_comes(listed: dict[str, inventory.Item]) -> None:
    assert listed["mobilenet"].here and not listed["efficientnet_lite0"].here
    assert listed["vgg16_mini"].here and listed["digits"].here
    assert listed["mobilenetv2"].here is None and "Keras" in listed["mobilenetv2"].get
    for name, item in listed.items():
        assert (f"tlutils fetch {name}" in item.get) == (name in store.FILES)
    assert "carried" in listed["minilm"].get and "carried" not in listed["vgg16"].get


def test_sizes_licences_and_sources_are_those_of_the_registries(listed: dict[str, inventory.Item]) -> None:
    assert listed["mobilenet"].megabytes == 2.108140
    assert listed["vgg16"].megabytes == 58.889256
    assert listed["breastmnist_128"].megabytes is None  # Its publisher's table has a hash only.
    # Six members of the wheel.
    assert listed["minilm"].megabytes == pytest.approx(91.567, abs=1e-3)
    assert listed["resnet50"].licence == "MIT" and listed["flower_photos"].licence == "CC BY 2.0"
    assert listed["vgg16_mini_textures"].task == "textures of drawn pictures"
    assert listed["vgg16"].task == "ImageNet" and listed["vgg16"].input == "224x224"
    assert all(item.licence and item.task and item.get for item in listed.values())


def test_the_table_shows_every_item_and_what_it_does_not_know(listed: dict[str, inventory.Item]) -> None:
    lines = inventory.table(list(listed.values())).splitlines()
    for name, item in listed.items():
        [line] = [line for line in lines if line.startswith(f"{name} ")]
        assert item.input in line
    [line] = [line for line in lines if line.startswith("mobilenetv2 ")]
    assert line.split()[3] == "?"
    assert max(map(len, lines)) <= 140
