"""Executing notebooks: one, the course, or one over a grid of parameters; and reading what they recorded."""

from tlutils.runs.engine import Interrupted, carry_out, default_jobs, plan, run, sweep
from tlutils.runs.grid import grid_from
from tlutils.runs.parameters import parameters_of, parse_value
from tlutils.runs.records import (
    FAILED,
    Result,
    expected_seconds,
    frame,
    record_of,
    records,
    rows,
    survey,
    table,
    write_table,
)

__all__ = [
    "FAILED",
    "Interrupted",
    "Result",
    "carry_out",
    "default_jobs",
    "expected_seconds",
    "frame",
    "grid_from",
    "parameters_of",
    "parse_value",
    "plan",
    "record_of",
    "records",
    "rows",
    "run",
    "survey",
    "sweep",
    "table",
    "write_table",
]
