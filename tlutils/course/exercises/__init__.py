"""The checks of the exercises, one file for each lesson; a check returns None for a right answer, else a hint."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from typing import Any

CHECKS: dict[str, Callable[[Any], str | None]] = {}
for _module in pkgutil.iter_modules(__path__, f"{__name__}."):
    if ".lesson_" in _module.name:
        CHECKS |= importlib.import_module(_module.name).CHECKS
