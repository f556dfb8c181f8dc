"""Scenes are dealt so that no test scene is learnt from, whether drawn or photographed, many or few."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest
from own_pictures import noise, save

from tlutils import datasets, settings

FEW = {"train": 2, "validation": 1, "test": 1}


def dealt(data_dir: Path | None = None, **given: object) -> datasets.Scenes:
    """Scenes of two draws, small."""
    asked = {"seed": 0, "image_size": 32, "draws": 2, "per_class": FEW} | given
    return datasets.weather_scenes(data_dir, **asked)  # type: ignore[arg-type]


def photographs(folder: Path, drives: dict[str, dict[str, int]], below: str = "") -> Path:
    """Save pictures named by their drive and a number, so many of each class."""
    for drive, kinds in drives.items():
        for kind, count in kinds.items():
            for number in range(count):
                seed = zlib.crc32(f"{drive} {kind} {number} {below}".encode())
                save(folder / below / kind / f"{drive}-{number}.png", noise(seed))
    return folder


def groups(scenes: datasets.Scenes, draw: int, side: str, name: str) -> set[int]:
    return set(scenes.view(draw, side, name).groups.tolist())


def test_drawn_scenes_are_the_same_in_every_weather_and_others_on_every_side_and_in_every_draw() -> None:
    scenes = dealt()
    assert scenes.weathers[0] == "clear" and len(scenes.weathers) == 5 and scenes.dial and scenes.synthetic
    everywhere = [groups(scenes, draw, side, "clear") for draw in range(2) for side in FEW]
    assert sum(map(len, everywhere)) == len(set.union(*everywhere)) == 2 * 5 * 4
    assert groups(scenes, 1, "test", "snow") == groups(scenes, 1, "test", "clear")
    pictures = [scenes.view(draw, side, "clear").pictures for draw in range(2) for side in FEW]
    assert len({picture.tobytes() for part in pictures for picture in part}) == 40


def test_the_table_says_where_each_part_lies() -> None:
    scenes = dealt(weathers=("clear", "fog"))
    data, rows = scenes.table(train=["clear"], test=["clear", "fog"])
    assert len(rows) == 2 * 3 and len(data) == sum(map(len, rows.values())) == 2 * (10 + 5 + 5)
    for part, places in rows.items():
        view = scenes.view(*part)
        assert np.array_equal(data.pictures[places], view.pictures)
        assert np.array_equal(data.labels[places], view.labels) and np.array_equal(data.groups[places], view.groups)


def test_the_dial_turns_a_weather_and_leaves_the_clear_day() -> None:
    scenes = dealt(weathers=("clear", "fog"))
    clear, light, thick = (scenes.view(0, "test", "fog", severity).pictures for severity in (0.0, 0.3, 1.0))
    assert np.array_equal(clear, scenes.view(0, "test", "clear").pictures)
    assert clear.std() > light.std() > thick.std()


def test_of_a_folder_of_classes_the_weathers_are_laid_over_the_photographs(tmp_path: Path) -> None:
    folder = photographs(tmp_path, {f"d{n}": {"paved": 1, "gravel": 1} for n in range(12)})
    scenes = dealt(folder, groups="^(d[0-9]+)-", weathers=("clear", "fog"))
    assert scenes.class_names == ("gravel", "paved") and scenes.weathers == ("clear", "fog") and scenes.draws == 2
    assert not scenes.synthetic and 0 <= scenes.shared < 1 and "2 training pictures" in scenes.story
    for draw in range(2):
        test = groups(scenes, draw, "test", "clear")
        assert test == groups(scenes, draw, "test", "fog")
        assert test.isdisjoint(groups(scenes, draw, "train", "clear") | groups(scenes, draw, "validation", "clear"))
    train = scenes.view(0, "train", "clear")
    assert np.bincount(train.labels).tolist() == [2, 2]
    assert not np.array_equal(train.pictures, scenes.view(0, "train", "fog").pictures)


def test_a_folder_of_domains_stays_as_it_is_and_has_no_dial(tmp_path: Path) -> None:
    for name in ("autumn", "clear"):
        photographs(tmp_path, {f"d{n}": {"paved": 1, "gravel": 1} for n in range(12)}, name)
    scenes = dealt(tmp_path, groups="^(d[0-9]+)-")
    assert scenes.weathers == ("clear", "autumn") and not scenes.dial
    assert groups(scenes, 0, "test", "autumn") == groups(scenes, 0, "test", "clear")
    pictures = {name: scenes.view(0, "test", name).pictures for name in scenes.weathers}
    assert not np.array_equal(pictures["clear"], pictures["autumn"])


def test_a_ready_made_split_stays_and_the_draws_learn_from_other_pictures_of_its_training(tmp_path: Path) -> None:
    for side, count in (("train", 12), ("val", 3), ("test", 4)):
        photographs(tmp_path, {f"{side}{n}": {"paved": 1, "gravel": 1} for n in range(count)}, side)
    with pytest.warns(datasets.FolderNote, match="respected: train 24, validation 6, test 8"):
        scenes = dealt(tmp_path)
    assert "ready-made" in scenes.story and scenes.dial
    of_draws = [{side: groups(scenes, draw, side, "clear") for side in FEW} for draw in range(2)]
    assert of_draws[0]["test"] == of_draws[1]["test"] and len(of_draws[0]["test"]) == 8
    assert of_draws[0]["validation"] == of_draws[1]["validation"] and len(of_draws[0]["validation"]) == 6
    assert of_draws[0]["train"] != of_draws[1]["train"]


def test_of_few_drives_each_that_has_every_class_is_left_out_once(tmp_path: Path) -> None:
    drives = {"a": {"paved": 8, "gravel": 4}, "b": {"paved": 8}, "c": {"paved": 5, "gravel": 6}}
    scenes = dealt(photographs(tmp_path, drives), groups="^([a-z])-", draws=5)
    assert scenes.draws == 2 and "left out" not in scenes.story and "one group" in scenes.story
    tests = [scenes.view(draw, "test", "clear") for draw in range(2)]
    assert [np.bincount(test.labels).tolist() for test in tests] == [[4, 8], [6, 5]]
    for draw, test in enumerate(tests):
        learnt = groups(scenes, draw, "train", "clear") | groups(scenes, draw, "validation", "clear")
        assert set(test.groups.tolist()).isdisjoint(learnt)


def test_one_drive_with_every_class_is_too_few(tmp_path: Path) -> None:
    drives = {"a": {"paved": 8, "gravel": 4}, "b": {"paved": 8}}
    with pytest.raises(settings.UserError, match="2 groups, and 0 of them can be left out"):
        dealt(photographs(tmp_path, drives), groups="^([a-z])-")


def test_an_unknown_weather_is_an_error() -> None:
    with pytest.raises(settings.UserError, match="hail"):
        dealt(weathers=("clear", "hail"))
