"""The exercise of notebook 00 knows the right answer and has a hint of its own for each usual wrong one."""

from __future__ import annotations

import pytest

from tlutils import course
from tlutils.course import exercises

check = exercises.CHECKS["00_place_the_cut"]

# What a wrong answer must be told, in a few of its words.
WRONG: list[tuple[object, str]] = [
    ("block4_pool", "only block 5 is left"),
    ("block5_pool", "feature extraction"),
    ("block2_pool", "block2_pool lies more than blocks 4 and 5"),
    ("preprocess", "preprocess lies more than blocks 4 and 5"),
    ("block3_conv3", "lies inside block 3"),
    ("block4_conv1", "a part of the block would stay frozen"),
    ("head", "'head' is no cut point"),
    (3, "in quotes"),
    (["block4", "block5"], "in quotes"),
]


def test_the_end_of_block_3_is_right() -> None:
    assert check("block3_pool") is None


def test_the_right_cut_leaves_blocks_4_and_5_and_nothing_else() -> None:
    from tlutils import cut
    from tlutils.models import backbones

    tail = cut.cut(backbones.load("vgg16_mini", weights=None).model, "block3_pool")[1]
    assert {layer.name.split("_")[0] for layer in tail.layers if layer.weights} == {"block4", "block5"}


def test_the_untouched_stub_counts_as_not_solved(capsys: pytest.CaptureFixture[str]) -> None:
    course.check("00_place_the_cut", ...)
    assert "Not solved yet" in capsys.readouterr().out


@pytest.mark.parametrize(("answer", "hint"), WRONG)
def test_a_wrong_cut_gets_its_own_hint(answer: object, hint: str) -> None:
    assert hint in (check(answer) or "")


def test_every_cut_point_but_one_is_wrong() -> None:
    from tlutils.models import backbones

    cuts = backbones.CATALOGUE["vgg16_mini"].cuts
    assert [name for name in cuts if check(name) is None] == ["block3_pool"]
