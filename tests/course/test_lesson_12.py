"""The reading of film reviews in lesson 12 takes an archive like the published one."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest

from tlutils import datasets, settings, store

LESSON = Path(__file__).resolve().parents[2] / "notebooks" / "12_text.ipynb"


def test_the_lesson_reads_film_reviews_from_an_archive_like_the_published_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tmp_path / "reviews.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for name, text in {
            "train/pos/0_9.txt": "A fine film.<br /><br />Caf\u00e9 scenes!",
            "train/pos/1_8.txt": "Go and see it.",
            "train/neg/0_2.txt": "Two hours lost.",
            "train/neg/1_1.txt": "No.",
            "train/unsup/0_0.txt": "Has no label.",
            "test/pos/0_9.txt": "Is not read.",
            "train/urls_pos.txt": "not a review",
        }.items():
            content = text.encode()
            entry = tarfile.TarInfo(f"aclImdb/{name}")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    monkeypatch.setenv("TLUTILS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(store, "fetch", lambda name: archive)
    [cell] = [cell for cell in nbformat.read(LESSON, as_version=4).cells if "def film_reviews" in cell.source]
    names: dict[str, Any] = {"np": np, "datasets": datasets, "settings": settings, "store": store}
    exec(cell.source, names)
    found = names["film_reviews"]()
    assert found.class_names == ("neg", "pos") and found.counts.tolist() == [2, 2]
    labelled = {text: found.class_names[label] for text, label in zip(found.texts, found.labels, strict=True)}
    assert labelled["No."] == "neg" and labelled["A fine film. Caf\u00e9 scenes!"] == "pos"
    assert len(set(found.groups.tolist())) == 4
