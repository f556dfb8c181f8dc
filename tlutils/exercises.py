"""Find the check of an exercise; it returns None for a right answer and a hint for a wrong one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tlutils import (
    exercises_basics,
    exercises_driving,
    exercises_medical,
    exercises_multimodal,
    exercises_science,
    exercises_text,
)

CHECKS: dict[str, Callable[[Any], str | None]] = {
    **exercises_basics.CHECKS,
    **exercises_science.CHECKS,
    **exercises_driving.CHECKS,
    **exercises_medical.CHECKS,
    **exercises_text.CHECKS,
    **exercises_multimodal.CHECKS,
}
