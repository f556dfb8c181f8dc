"""What the tests of this room share: a poem in the shop, and no waiting."""

from __future__ import annotations

from pathlib import Path

import pytest
from poem import poem_file
from shop import POEM, Shop, sha256

from tlutils import store
from tlutils.store import downloading


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloading, "PAUSES", (0, 0.01))


@pytest.fixture
def poem(shop: Shop, downloads: Path, monkeypatch: pytest.MonkeyPatch) -> store.File:
    """Publish the poem in the shop and in the catalogue."""
    shop.shelf["/poem.txt"] = POEM
    item = poem_file(f"{shop.url}/poem.txt")
    monkeypatch.setitem(store.FILES, "poem", item)
    return item


@pytest.fixture
def zipped(shop: Shop, downloads: Path, monkeypatch: pytest.MonkeyPatch) -> store.File:
    """Publish an archive of which nothing but a member is known."""
    item = store.File(
        download=store.Part("an anthology.zip", None, ""),
        origin=f"{shop.url}/an%20anthology.zip",
        members={"an anthology/poem.txt": store.Part("anthology/poem.txt", len(POEM), sha256(POEM))},
        licence="none",
        description="a poem",
    )
    monkeypatch.setitem(store.FILES, "anthology", item)
    return item
