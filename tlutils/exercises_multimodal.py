"""Check the exercises of lesson 10."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

CHECKS: dict[str, Callable[[Any], str | None]] = {}
