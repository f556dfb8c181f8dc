"""The exercises of notebook 09 know the right answers; its reading of film reviews takes any such archive."""

from __future__ import annotations

import io
import re
import tarfile
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest

from tlutils import datasets, settings, store
from tlutils.course import exercises

check_pooling = exercises.CHECKS["12_mean_pooling"]
check_cosine = exercises.CHECKS["12_cosine"]
check_loss = exercises.CHECKS["12_domain_loss"]

LESSON = Path(__file__).resolve().parents[2] / "notebooks" / "12_text.ipynb"

Array = np.ndarray[Any, Any]


def tokens(ids: Array) -> Array:
    """Count the tokens of each text."""
    return (ids != 0).sum(axis=1)


def one_by_one(activations: Array, ids: Array) -> Array:
    """Pool every text alone, from the definition."""
    return np.array([row[: int(n)].mean(axis=0) for row, n in zip(activations, tokens(ids), strict=True)])


def test_pooling_is_right_by_the_definition_and_by_a_mask() -> None:
    assert check_pooling(one_by_one) is None
    assert check_pooling(lambda a, ids: (a * (ids > 0)[..., None]).sum(axis=1) / tokens(ids)[:, None]) is None


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (..., "Define a function"),
        (lambda a, ids: ..., "Not solved yet"),
        (lambda a, ids: None, "Not solved yet"),
        (lambda a, ids: a.mean(axis=1), "padded length"),
        (lambda a, ids: a.sum(axis=1), "That is the sum"),
        (lambda a, ids: a[:, 0], r"\[CLS\]"),
        (lambda a, ids: a.max(axis=1), "largest"),
        (lambda a, ids: a.sum(axis=1) / tokens(ids).mean(), "same number"),
        (
            lambda a, ids: np.array([r[1 : n - 1].mean(axis=0) for r, n in zip(a, tokens(ids), strict=True)]),
            "leave out",
        ),
        (lambda a, ids: a.sum(axis=1) / ((ids == 0).sum(axis=1)[:, None] + 1e-12), "wrong side"),
        (lambda a, ids: a.sum(axis=1) / np.where(ids == 0, 1, np.nan).sum(axis=1)[:, None], "not finite"),
        (lambda a, ids: (m := one_by_one(a, ids)) / np.linalg.norm(m, axis=1, keepdims=True), "length 1"),
        (lambda a, ids: a.mean(axis=2), "one vector per text"),
        (lambda a, ids: a.sum(axis=1) / 7, "Not yet"),
        (lambda a, ids: a / ids, "stops with ValueError"),
    ],
)
def test_a_wrong_pooling_has_a_hint(answer: Any, hint: str) -> None:
    with np.errstate(all="ignore"):
        found = check_pooling(answer)
    assert found is not None and re.search(hint, found), found


def right_cosine(first: Array, second: Array) -> float:
    """Return the cosine, from the definition."""
    return float(sum(first * second) / np.sqrt(sum(first**2)) / np.sqrt(sum(second**2)))


def test_the_cosine_is_right_in_two_ways() -> None:
    assert check_cosine(right_cosine) is None
    assert check_cosine(lambda a, b: (a / np.linalg.norm(a)) @ (b / np.linalg.norm(b))) is None


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (..., "Define a function"),
        (lambda a, b: ..., "Not solved yet"),
        (lambda a, b: a @ b, "any length"),
        (lambda a, b: np.linalg.norm(a - b), "distance"),
        (lambda a, b: 1 - right_cosine(a, b), "cosine distance"),
        (lambda a, b: -right_cosine(a, b), "sign"),
        (lambda a, b: np.arccos(right_cosine(a, b)), "That is the angle. "),
        (lambda a, b: np.degrees(np.arccos(right_cosine(a, b))), "degrees"),
        (lambda a, b: a @ b / (a @ a) / (b @ b), "squared lengths"),
        (lambda a, b: a @ b / np.linalg.norm(a), "first length only"),
        (lambda a, b: a @ b / np.linalg.norm(b), "second length only"),
        (lambda a, b: np.corrcoef(a, b)[0, 1], "correlation"),
        (lambda a, b: a * b, "one number"),
        (lambda a, b: 0.123, "Not 0.123"),
        (lambda a, b: a @ b[:2], "stops with ValueError"),
    ],
)
def test_a_wrong_cosine_has_a_hint(answer: Any, hint: str) -> None:
    found = check_cosine(answer)
    assert found is not None and re.search(hint, found), found


def right_loss(matrix: Array) -> Array:
    """Return each domain's loss, from the definition."""
    places = range(len(matrix))
    away = [np.mean([matrix[i, j] for i in places if i != j]) for j in places]
    return np.array([matrix[j, j] - away[j] for j in places])


def test_the_loss_from_a_change_of_domain_is_right() -> None:
    assert check_loss(right_loss) is None
    assert check_loss(lambda m: list(right_loss(m))) is None


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (..., "Define a function"),
        (lambda m: ..., "Not solved yet"),
        (lambda m: -right_loss(m), "sign"),
        (lambda m: right_loss(m.T), "rows"),
        (lambda m: np.diag(m) - m.mean(axis=0), "Leave the diagonal out"),
        (lambda m: np.diag(m) - (m.sum(axis=0) - np.diag(m)) / 3, "divide by all domains"),
        (lambda m: np.diag(m) - (m - 9 * np.eye(3)).max(axis=0), "best of the others"),
        (lambda m: np.diag(m) - right_loss(m), "Subtract it"),
        (np.diag, "diagonal alone"),
        (lambda m: right_loss(m) / np.diag(m), "relative"),
        (lambda m: 100 * right_loss(m), "points"),
        (lambda m: right_loss(m).mean(), "mean over the domains"),
        (lambda m: m, "one number for each"),
        (lambda m: m[0], "Not yet"),
    ],
)
def test_a_wrong_loss_has_a_hint(answer: Any, hint: str) -> None:
    found = check_loss(answer)
    assert found is not None and re.search(hint, found), found


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
