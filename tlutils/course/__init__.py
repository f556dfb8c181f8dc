"""What makes a notebook a lesson: claims, exercises and the record."""

from tlutils.course.lesson import MIME, ClaimFailed, begin, check, claim, metric, record

__all__ = ["MIME", "ClaimFailed", "begin", "check", "claim", "metric", "record"]
