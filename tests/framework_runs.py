"""Run lessons under each backend of Keras and write what they recorded into data/framework_runs.csv.

    make frameworks

Each lesson runs with three seeds under every backend that is installed, one run after the other, since the seconds are
part of the table. Runs that are finished are not repeated: delete `build/frameworks` for a fresh start. A run that
failed, or whose backend is not installed, has no rows.
"""

from __future__ import annotations

import datetime
import importlib.util
import os
import platform
from collections.abc import Iterator
from typing import Any

import pandas as pd

from tlutils import runs, settings, store

LESSONS = ("01_concepts", "03_vgg16", "05_fine_tuning_well")
BACKENDS = ("tensorflow", "torch", "jax")
SEEDS = (0, 1, 2)


def main() -> None:
    """Run what is not finished, and write the table after each run, so that an interrupted one leaves a whole table."""
    rows: list[dict[str, Any]] = []
    for lesson in LESSONS:
        for seed in SEEDS:
            for backend in filter(importlib.util.find_spec, BACKENDS):
                record = run(lesson, backend, seed)
                if record is not None:
                    rows += told(record)
                    write(rows)


def told(record: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of a run: one for each accuracy, from 0 to 1."""
    versions = record["versions"]
    run = {
        "lesson": record["notebook"],
        "backend": versions["backend"],
        "seed": record["parameters"]["seed"],
        "seconds": record["seconds"],
        "versions": f"keras {versions['keras']}, {versions['backend']} {versions[versions['backend']]}",
        "date": datetime.date.today().isoformat(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
    }
    return [run | {"what": what, "accuracy": round(value, 4)} for what, value in accuracies(record["metrics"])]


def accuracies(metrics: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """Yield the name and the value of each accuracy that lessons 01, 03 and 05 record."""
    for name, values in metrics.items():
        if "accuracy" in name:
            yield from ((f"{name}, {way}", value) for way, value in values.items())
    # Of each row of lesson 05's ablation: on clear pictures, and in fog. The third number is no accuracy.
    for way, (clear, fog, _) in metrics.get("ablation", {}).items():
        yield f"clear, {way.split(':')[0]}", clear
        yield f"fog, {way.split(':')[0]}", fog


def write(rows: list[dict[str, Any]]) -> None:
    """Write the table, and note its checksum."""
    path = settings.DATA / "framework_runs.csv"
    with settings.replacing(path) as temporary:
        pd.DataFrame(rows).to_csv(temporary, index=False, lineterminator="\n")
    store.note_checksum(path)


def run(lesson: str, backend: str, seed: int) -> dict[str, Any] | None:
    """Return the record of a run, from an earlier one if it was finished; none if the lesson failed."""
    copy = settings.BUILD / "frameworks" / f"{backend}_{seed}" / f"{lesson}.ipynb"
    # A run that stopped leaves a copy without a record.
    record = runs.record_of(copy) if copy.exists() else None
    if record is None:
        os.environ["KERAS_BACKEND"] = backend
        [result] = runs.run([settings.ROOT / "notebooks" / copy.name], copy.parent, {"seed": seed})
        print(backend, runs.table([result]), sep="\n", flush=True)
        record = result.record
    return record


if __name__ == "__main__":
    main()
