"""Run lessons under each backend of Keras and write what they recorded into data/framework_runs.csv.

    make frameworks

Each lesson runs with three seeds under every backend that is installed, one run after another. Runs that the table has
are not repeated: delete it for a fresh start. A run that failed, or whose backend is not installed, has no rows.
"""

from __future__ import annotations

import datetime
import importlib.util
import os
import platform
import resource
from collections.abc import Iterator
from itertools import product
from typing import Any

import pandas as pd

from tlutils import runs, settings, store

# Fewer epochs than the lessons have: the question is whether backends agree, not how good a network can be.
LESSONS: dict[str, dict[str, Any]] = {
    "03_vgg16": {"epochs": 3},
    "01_concepts": {},
    "05_fine_tuning_well": {"epochs": 2, "image_size": 64},
}
SEEDS = (0, 1, 2)
BACKENDS = ("tensorflow", "torch", "jax")
TABLE = settings.DATA / "framework_runs.csv"


def main() -> None:
    """Run what the table lacks, and write it after each run, so that an interrupted one leaves a whole table."""
    rows = pd.read_csv(TABLE).to_dict("records") if TABLE.is_file() else []
    # Seed by seed, so that an interrupted table compares all lessons under all backends.
    for seed, lesson, backend in product(SEEDS, LESSONS, filter(importlib.util.find_spec, BACKENDS)):
        if any((lesson, backend, seed) == (row["lesson"], row["backend"], row["seed"]) for row in rows):
            continue
        rows += run(lesson, backend, seed)
        if rows:
            with settings.replacing(TABLE) as temporary:
                pd.DataFrame(rows).to_csv(temporary, index=False, lineterminator="\n")
            store.note_checksum(TABLE)


def run(lesson: str, backend: str, seed: int) -> list[dict[str, Any]]:
    """Run a lesson and return its rows, one for each accuracy; none if the lesson failed."""
    os.environ["KERAS_BACKEND"] = backend
    before = processor_seconds()
    folder = settings.BUILD / "frameworks" / f"{backend}_{seed}"
    [result] = runs.run([settings.ROOT / "notebooks" / f"{lesson}.ipynb"], folder, {"seed": seed, **LESSONS[lesson]})
    print(backend, seed, runs.table([result]).split("\n\n")[0], sep="\n", flush=True)
    if result.record is None:
        return []
    versions = result.record["versions"]
    told = {
        "lesson": lesson,
        "backend": versions["backend"],
        "seed": seed,
        "processor_seconds": round(processor_seconds() - before),
        "versions": f"keras {versions['keras']}, {backend} {versions[backend]}",
        "date": datetime.date.today().isoformat(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
    }
    return [told | {"what": what, "accuracy": round(value, 4)} for what, value in accuracies(result.record["metrics"])]


def processor_seconds() -> float:
    """Return what all ended runs have used of all cores; threads that wait for each other count too."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def accuracies(metrics: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """Yield the name and the value of each accuracy that lessons 01, 03 and 05 record."""
    for name, values in metrics.items():
        if "accuracy" in name:
            yield from ((f"{name}, {way}", value) for way, value in values.items())
    # Of each row of lesson 05's ablation: on clear pictures, and in fog. The third number is no accuracy.
    for way, (clear, fog, _) in metrics.get("ablation", {}).items():
        yield f"clear, {way.split(':')[0]}", clear
        yield f"fog, {way.split(':')[0]}", fog


if __name__ == "__main__":
    main()
