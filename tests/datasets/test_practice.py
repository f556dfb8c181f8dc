"""The folder to practise on has the faults that the lesson speaks of."""

from __future__ import annotations

from pathlib import Path

import pytest

from tlutils import datasets


def test_the_practice_folder_has_one_file_that_is_no_picture_and_one_picture_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TLUTILS_CACHE", str(tmp_path))
    with pytest.warns(datasets.UnreadablePicture, match=r"notes\.jpg"):
        flowers = datasets.own_pictures(datasets.practice_folder(0))
    assert flowers.name == "synthetic_practice"
    assert flowers.counts.tolist() == [30, 30, 30, 30, 31]
    assert len(set(flowers.groups.tolist())) == 150
