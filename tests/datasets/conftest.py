"""What the tests of this room share: a folder of class folders."""

from __future__ import annotations

from pathlib import Path

import pytest
from own_pictures import noise, save


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of four different pictures each."""
    for number in range(4):
        save(tmp_path / "pets" / "cat" / f"{number}.png", noise(number))
        save(tmp_path / "pets" / "dog" / f"{number}.png", noise(100 + number))
    return tmp_path / "pets"
