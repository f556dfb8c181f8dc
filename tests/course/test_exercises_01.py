"""The exercises of notebook 01 know the right answers and have a hint of its own for each usual wrong one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tlutils import course
from tlutils.course import exercises

check_parameters = exercises.CHECKS["01_trained_parameters"]
check_crossing = exercises.CHECKS["01_crossing"]

Curve = Sequence[float]


def counted_behind(at: str) -> int:
    """Let Keras count what is trained behind a cut of vgg16_mini, with a head of five outputs."""
    import keras

    from tlutils import cut
    from tlutils.models import backbones

    tail = cut.cut(backbones.load("vgg16_mini", weights=None).model, at)[1]
    head = [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(5)]
    return int(keras.Sequential([tail, *head]).count_params())


def test_the_number_that_keras_counts_is_right() -> None:
    assert check_parameters(counted_behind("block3_pool")) is None


# What a wrong number must be told, in a few of its words; the numbers were worked out by hand.
WRONG_NUMBERS: list[tuple[object, str]] = [
    (811_776, "tail alone"),
    (443_397, "cut at block4_pool"),
    (442_752, "block 5 alone"),
    (645, "head alone"),
    (921_429, "whole network"),
    (109_008, "frozen parameters"),
    (811_648, "forgot the biases"),
    (812_416, "five biases"),
    (886_149, "takes 64 channels"),
    (814_341, "not 512"),
    (12, "It is not 12"),
    ("812421", "one whole number"),
    (0.5, "one whole number"),
    (True, "one whole number"),
]


@pytest.mark.parametrize(("answer", "hint"), WRONG_NUMBERS)
def test_a_wrong_number_gets_its_own_hint(answer: object, hint: str) -> None:
    assert hint in (check_parameters(answer) or "")


def test_the_cut_one_block_later_is_told_apart() -> None:
    assert "cut at block4_pool" in (check_parameters(counted_behind("block4_pool")) or "")


def first_level(sizes: Sequence[int], transferred: Curve, scratch: Curve) -> Any:
    """Solve the exercise."""
    return next((n for n, a, b in zip(sizes, transferred, scratch, strict=True) if b >= a), "never")


def position(sizes: Sequence[int], transferred: Curve, scratch: Curve) -> Any:
    return next((i for i in range(len(sizes)) if scratch[i] >= transferred[i]), "never")


def where_transfer_leads(sizes: Sequence[int], transferred: Curve, scratch: Curve) -> Any:
    return next((n for n, a, b in zip(sizes, transferred, scratch, strict=True) if a >= b), "never")


def last_before(sizes: Sequence[int], transferred: Curve, scratch: Curve) -> Any:
    return [n for n, a, b in zip(sizes, transferred, scratch, strict=True) if a > b][-1]


def last_level(sizes: Sequence[int], transferred: Curve, scratch: Curve) -> Any:
    return [n for n, a, b in zip(sizes, transferred, scratch, strict=True) if b >= a][-1]


def strictly_above(sizes: Sequence[int], transferred: Curve, scratch: Curve) -> Any:
    return next((n for n, a, b in zip(sizes, transferred, scratch, strict=True) if b > a), "never")


def not_at_the_start(sizes: Sequence[int], transferred: Curve, scratch: Curve) -> Any:
    return first_level(sizes[1:], transferred[1:], scratch[1:])


def extrapolated(sizes: Sequence[int], transferred: Curve, scratch: Curve) -> Any:
    return next((n for n, a, b in zip(sizes, transferred, scratch, strict=True) if b >= a), 2 * sizes[-1])


def nothing_if_never(sizes: Sequence[int], transferred: Curve, scratch: Curve) -> Any:
    return next((n for n, a, b in zip(sizes, transferred, scratch, strict=True) if b >= a), None)


def error_if_never(sizes: Sequence[int], transferred: Curve, scratch: Curve) -> Any:
    return next(n for n, a, b in zip(sizes, transferred, scratch, strict=True) if b >= a)


def constant(sizes: Sequence[int], transferred: Curve, scratch: Curve) -> Any:
    return 10


def stub(sizes: Sequence[int], transferred: Curve, scratch: Curve) -> Any:
    """Do what the untouched stub does."""
    ...


WRONG_FUNCTIONS: list[tuple[Any, str]] = [
    (position, "position in the list"),
    (where_transfer_leads, "where transfer is ahead"),
    (last_before, "still ahead"),
    (last_level, "stops with IndexError"),
    (lambda sizes, a, b: 100, "Return the first"),
    (strictly_above, "compare with >="),
    (not_at_the_start, "from the first size on"),
    (extrapolated, "Nothing was measured there"),
    (nothing_if_never, 'the word "never"'),
    (error_if_never, "stops with StopIteration"),
    (constant, "level from 50 labels per class on; you return 10"),
    (50, "Define a function"),
]


def test_the_first_size_at_which_scratch_is_level_is_right() -> None:
    assert check_crossing(first_level) is None


@pytest.mark.parametrize(("answer", "hint"), WRONG_FUNCTIONS)
def test_a_wrong_function_gets_its_own_hint(answer: Callable[..., Any], hint: str) -> None:
    assert hint in (check_crossing(answer) or "")


@pytest.mark.parametrize(("name", "untouched"), [("01_trained_parameters", ...), ("01_crossing", stub)])
def test_an_untouched_stub_counts_as_not_solved(
    name: str, untouched: object, capsys: pytest.CaptureFixture[str]
) -> None:
    course.check(name, untouched)
    assert "Not solved yet" in capsys.readouterr().out
