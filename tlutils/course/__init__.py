"""What makes a notebook a lesson: findings, claims, exercises and the record."""

from tlutils.course.lesson import (
    DOES_NOT_HOLD,
    HOLDS,
    MIME,
    VERDICTS,
    ClaimFailed,
    answer,
    begin,
    check,
    claim,
    compare,
    count_verdicts,
    metric,
    only_here,
    record,
    see,
)

__all__ = [
    "DOES_NOT_HOLD",
    "HOLDS",
    "MIME",
    "VERDICTS",
    "ClaimFailed",
    "answer",
    "begin",
    "check",
    "claim",
    "compare",
    "count_verdicts",
    "metric",
    "only_here",
    "record",
    "see",
]
