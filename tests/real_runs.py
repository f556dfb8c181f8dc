"""Run lessons on real photographs and write what they recorded into data/real_runs.csv.

    make real REAL=folder

The folder holds `flowers` and `daynight`, each with one sub-folder of photographs per class. The photographs stay where
they are; the table keeps numbers and verdicts only. Runs that are finished are not repeated: delete `build/real` for a
fresh start.
"""

from __future__ import annotations

import datetime
import os
import platform
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from tlutils import datasets, runs, settings, store

SEEDS = (0, 1, 2)
# What a run is asked for besides the folder and the seed; daynight has 60 photographs of each class.
LESSONS: dict[str, dict[str, Any]] = {"00_start_here": {"labels_per_class": 20}}
SOURCES = {
    "flowers": "500 photographs of five flowers, 227 x 227, 100 of each",
    "daynight": "120 outdoor photographs, 60 by day and 60 by night",
    "digits": "1,000 of scikit-learn's handwritten digits, 8 x 8 (Alpaydin & Kaynak 1998, CC BY 4.0)",
}


def main(real: Path) -> None:
    """Run every lesson on every data set with every seed, and write the table."""
    folders = {name: real / name for name in ("flowers", "daynight")} | {"digits": digits_as_files()}
    missing = [str(folder) for folder in folders.values() if not folder.is_dir()]
    if missing:
        sys.exit(f"Missing: {', '.join(missing)}. Give a folder that holds flowers and daynight: make real REAL=folder")
    rows = []
    for lesson, asked in LESSONS.items():
        for name, folder in folders.items():
            for seed in SEEDS:
                record = run(lesson, {"data_dir": str(folder), "seed": seed, **asked}, f"{name}_{seed}")
                rows.append({"lesson": lesson, "data": name, "source": SOURCES[name], **told(record)})
    path = settings.DATA / "real_runs.csv"
    with settings.replacing(path) as temporary:
        pd.json_normalize(rows).to_csv(temporary, index=False, lineterminator="\n")
    store.note_checksum(path)


def told(record: dict[str, Any]) -> dict[str, Any]:
    """Return what a row keeps of a record: not the place of the folder, and no seconds, which belong to a machine."""
    metrics = {name: value for name, value in record["metrics"].items() if "seconds" not in name}
    return {
        "parameters": {name: value for name, value in record["parameters"].items() if name != "data_dir"},
        "metrics": metrics,
        "verdicts": "; ".join(f"{claim['verdict']}: {claim['text']}" for claim in record["claims"]),
        "date": datetime.date.today().isoformat(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
    }


def run(lesson: str, parameters: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the record of a run, from an earlier one if it was finished."""
    folder = settings.BUILD / "real" / name
    if not (folder / f"{lesson}.ipynb").exists():
        [result] = runs.run([settings.ROOT / "notebooks" / f"{lesson}.ipynb"], folder, parameters)
        if result.record is None:
            sys.exit(f"{lesson} on {name}: {result.status}, {result.message}")
        print(runs.table([result]), flush=True)
    record = runs.record_of(folder / f"{lesson}.ipynb")
    assert record is not None
    return record


def digits_as_files() -> Path:
    """Write scikit-learn's digits as picture files, a folder for each, so that lessons take them as any folder."""
    folder = settings.BUILD / "real" / "digits"
    digits = datasets.load("digits", per_class=100)
    for number, (picture, label) in enumerate(zip(digits.pictures, digits.labels, strict=True)):
        path = folder / str(label) / f"{number:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.asarray(picture)).save(path)
    return folder


if __name__ == "__main__":
    main(Path(sys.argv[1]).expanduser())
