"""Executing notebooks: one, or the course; and reading what they recorded."""

from tlutils.runs.execution import Interrupted, default_jobs, run
from tlutils.runs.parameters import parameters_of, parse_value
from tlutils.runs.records import Result, expected_seconds, record_of, records, survey, table, write_csv

__all__ = [
    "Interrupted",
    "Result",
    "default_jobs",
    "expected_seconds",
    "parameters_of",
    "parse_value",
    "record_of",
    "records",
    "run",
    "survey",
    "table",
    "write_csv",
]
