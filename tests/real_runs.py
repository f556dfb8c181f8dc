"""Run lessons on real data and write what they recorded into data/real_runs.csv.

    make real REAL=folder
    make real REAL=folder LESSONS="01_concepts 03_vgg16"

The folder holds `flowers`, `daynight` and `road_surface`, each with one sub-folder of photographs per class, and
`breastmnist.npz`; the spoken digits come from their publisher. The data stay where they are; the table keeps numbers
and verdicts only. Where lessons are named, the rows of the others stay. Runs that are finished are not repeated: delete
`build/real` for a fresh start.
"""

from __future__ import annotations

import datetime
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tlutils import datasets, runs, settings, store

SEEDS = (0, 1, 2)
TWENTY: dict[str, Any] = {"labels_per_class": 20}
# Each lesson with the data it runs on, and what it is told beside the folder and the seed.
LESSONS: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "00_start_here": (("flowers", "daynight"), {}),
    "01_concepts": (("flowers",), {}),
    "03_vgg16": (("flowers",), TWENTY | {"image_size": 128}),
    "03b_four_steps": (("flowers",), TWENTY),
    "04_what_transfers": (("flowers",), {}),
    "10_driving": (("daynight", "road_surface"), {}),
    "10b_weather_repairs": (("daynight", "road_surface"), {}),
    "11_medical_imaging": (("breast_ultrasound",), {"image_size": 64}),
    "12a_fine_tuning_text": (("telephones", "films", "restaurants"), {}),
    "12b_speech": (("spoken_digits",), {}),
    "15_deploy_small": (("flowers",), TWENTY),
    # Of 300 photographs in the pool, 30 epochs are 300 steps; the drawn flowers have 288.
    "15b_small_network": (("flowers",), TWENTY | {"epochs": 30}),
    "16_your_own_data": (
        ("flowers", "daynight", "breast_ultrasound", "telephones", "films", "restaurants"),
        TWENTY,
    ),
}
FOLDERS = {
    "flowers": "500 photographs of five flowers, 227 x 227, 100 of each",
    "daynight": "120 outdoor photographs, 60 by day and 60 by night",
    "road_surface": "111 driving frames, 75 on paved and 36 on unpaved roads, of three drives",
}
# What the lessons on weather are told of a folder: the day or the drive in a file name, and weathers that may be laid
# over. Night is none of them where night is a class.
DRIVES = {
    "daynight": {"groups": r"^(\d{8})", "weathers": "rain fog snow"},
    "road_surface": {"groups": r"^(\d+)\d\d\."},
}
# What the lesson itself brings from its publisher.
PUBLISHED = {
    "spoken_digits": "2,500 recordings of ten digits, five speakers; Jackson et al. 2018, CC BY-SA 4.0",
    "review_sentences": "3,000 review sentences of three domains; Kotzias et al. 2015, CC BY 4.0",
}
# Parts of it that a lesson runs on one at a time.
DOMAINS = {
    domain: f"1,000 review sentences on {domain}; Kotzias et al. 2015, CC BY 4.0"
    for domain in ("telephones", "films", "restaurants")
}
# A file of the folder, given as data_path.
ARCHIVES = {"breast_ultrasound": "breastmnist.npz"}
MADE_FROM = {
    "breast_ultrasound": "BreastMNIST, 780 pictures, 28 x 28; Yang et al. 2023, from Al-Dhabyani et al. 2020, CC BY 4.0"
}
SOURCES = FOLDERS | PUBLISHED | DOMAINS | MADE_FROM


def main(real: Path, lessons: Sequence[str]) -> None:
    """Run lessons on their data sets with every seed, and write their rows into the table."""
    unknown = [lesson for lesson in lessons if lesson not in LESSONS]
    if unknown:
        sys.exit(f"{unknown[0]!r} does not run on real data here. Choose from {', '.join(LESSONS)}.")
    folders = {name: real / name for name in FOLDERS}
    archives = {name: real / file for name, file in ARCHIVES.items()}
    missing = [str(place) for place in (*folders.values(), *archives.values()) if not place.exists()]
    if missing:
        sys.exit(f"Missing: {', '.join(missing)}. Give a folder that holds them: make real REAL=folder")
    asked = {"review_sentences" if name in DOMAINS else name for lesson in lessons for name in LESSONS[lesson][0]}
    for name in PUBLISHED.keys() & asked:
        store.fetch(name)  # Without it, the lesson would record the table's own numbers, or other sentences.
    rows = []
    for lesson in lessons:
        names, parameters = LESSONS[lesson]
        for name in names:
            for seed in SEEDS:
                given = {"seed": seed, **parameters}
                if name in folders:
                    given["data_dir"] = str(folders[name])
                if lesson.startswith("10"):
                    given |= DRIVES[name]
                if name in archives:
                    given["data_dir" if lesson == "16_your_own_data" else "data_path"] = str(archives[name])
                if name in DOMAINS:
                    given |= {"data_csv": str(table_of(name))} if lesson == "16_your_own_data" else {"domain": name}
                record = run(lesson, given, f"{name}_{seed}")
                rows.append({"lesson": lesson, "data": name, "source": SOURCES[name], **told(record)})
    path = settings.DATA / "real_runs.csv"
    # As text, so that the rows that stay keep every digit.
    earlier = pd.read_csv(path, dtype=str)
    stay = earlier[~earlier["lesson"].isin(lessons)]
    table = pd.concat([stay, pd.json_normalize(rows)]).sort_values("lesson", kind="stable").dropna(axis=1, how="all")
    with settings.replacing(path) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n")
    store.note_checksum(path)


def table_of(domain: str) -> Path:
    """Write the review sentences of a domain as a reader's own table, and return its path."""
    data = datasets.review_sentences()
    rows = np.flatnonzero(data.columns["domain"] == domain)
    table = pd.DataFrame({"sentence": [data.texts[row] for row in rows], "label": data.labels[rows]})
    path = settings.BUILD / "real" / f"{domain}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, index=False, lineterminator="\n")
    return path


def told(record: dict[str, Any]) -> dict[str, Any]:
    """Return what a row keeps of a record: no place and nothing empty, and no seconds, which belong to a machine."""
    metrics = {name: value for name, value in record["metrics"].items() if "seconds" not in name}
    return {
        "parameters": {
            name: value
            for name, value in record["parameters"].items()
            if value != "" and name not in ("data_dir", "data_path", "data_csv", "out_dir")
        },
        "metrics": metrics,
        "verdicts": "; ".join(f"{claim['verdict']}: {claim['text']}" for claim in record["claims"]),
        "date": datetime.date.today().isoformat(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
    }


def run(lesson: str, parameters: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the record of a run, from an earlier one if it was finished."""
    folder = settings.BUILD / "real" / name
    copy = folder / f"{lesson}.ipynb"
    # A run that stopped leaves a copy without a record.
    record = runs.record_of(copy) if copy.exists() else None
    if record is None:
        notebook = settings.ROOT / "notebooks" / copy.name
        if "out_dir" in runs.parameters_of(notebook):
            parameters = {**parameters, "out_dir": str(folder / "model")}
        [result] = runs.run([notebook], folder, parameters)
        print(runs.table([result]), flush=True)
        record = result.record
    if record is None:
        sys.exit(f"{lesson} on {name} left no record; the reason stands above.")
    return record


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("Which photographs? Give a folder that holds flowers, daynight, ...: make real REAL=folder")
    main(Path(sys.argv[1]).expanduser(), sys.argv[2:] or list(LESSONS))
