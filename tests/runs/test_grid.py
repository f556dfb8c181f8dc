"""A grid is what the command line, a file or a program says, and nothing in it is guessed or evaluated."""

from __future__ import annotations

from pathlib import Path

import pytest

from tlutils import runs
from tlutils.runs.grid import Grid, grid_of, values_of
from tlutils.settings import UserError

DECLARED = {"seed": "int", "rate": "float", "data_dir": "str", "free": "None"}


@pytest.mark.parametrize(
    ("name", "text", "values"),
    [
        ("seed", "0..4", [0, 1, 2, 3, 4]),
        ("seed", "-1..1, 7", [-1, 0, 1, 7]),
        ("rate", "1e-4,1", [1e-4, 1.0]),
        ("data_dir", "2024", ["2024"]),
        ("data_dir", "0..4,../a", ["0..4", "../a"]),
        ("data_dir", r"(day\d{1,2}),$(touch x)", [r"(day\d{1,2})", "$(touch x)"]),
        ("free", "3,block5,true", [3, "block5", True]),
    ],
)
def test_values_are_read_as_declared(name: str, text: str, values: list[object]) -> None:
    read = values_of(name, text, DECLARED[name])
    assert read == values and list(map(type, read)) == list(map(type, values))


@pytest.mark.parametrize(
    ("name", "text"), [("seed", "1,many"), ("seed", "4..0"), ("seed", "0..10000000"), ("seed", "")]
)
def test_what_is_no_value_or_range_is_named(name: str, text: str) -> None:
    with pytest.raises(UserError, match=name):
        values_of(name, text, DECLARED[name])


def test_a_grid_is_all_combinations_and_a_draw_from_it_repeats_with_its_seed() -> None:
    grid = runs.grid_from([("free", "a,b"), ("seed", "0..2")], None, DECLARED)
    assert [(point["free"], point["seed"]) for point in grid] == [(x, y) for x in "ab" for y in range(3)]
    large = runs.grid_from([("seed", "0..999")], None, DECLARED)
    assert large.drawn(4, 1) == large.drawn(4, 1) != large.drawn(4, 2)
    assert len({str(point) for point in grid.drawn(6, 0)}) == 6
    with pytest.raises(UserError, match="random=7 cannot be drawn from 6"):
        grid.drawn(7, 0)


def test_a_huge_grid_is_counted_without_being_made() -> None:
    assert len(runs.grid_from([("seed", "0..99999"), ("free", "0..99999")], None, DECLARED)) == 10**10


@pytest.mark.parametrize(
    ("name", "content", "points"),
    [
        ("g.yaml", "data_dir: [2024, b]\nseed: [1]", [{"data_dir": "2024", "seed": 1}, {"data_dir": "b", "seed": 1}]),
        ("g.yml", "- {seed: 1, rate: 1}\n- {seed: 2}", [{"seed": 1, "rate": 1.0}, {"seed": 2}]),
        ("g.csv", "seed,data_dir\n1,2024\n2,\n", [{"seed": 1, "data_dir": "2024"}, {"seed": 2}]),
    ],
)
def test_a_file_says_what_the_command_line_would(
    tmp_path: Path, name: str, content: str, points: list[dict[str, object]]
) -> None:
    (tmp_path / name).write_text(content)
    assert list(runs.grid_from([], tmp_path / name, DECLARED)) == points
    doubled = list(runs.grid_from([("free", "x,y")], tmp_path / name, DECLARED))
    assert doubled == [{"free": x} | point for x in "xy" for point in points]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("g.yaml", "seed: [1, [2]]", "no grid"),
        ("g.yaml", "seed: {a: 1}", "no grid"),
        ("g.yaml", "!!python/object/apply:os.system [exit]", "no grid|cannot be read"),
        ("g.yaml", "seed: [1", "cannot be read"),
        ("g.yaml", "", "no grid"),
        ("g.csv", "seed\n", "empty"),
        ("g.csv", "seed\n1,2\n", "no grid"),
        ("g.csv", "seed\n1\n1\n", "twice"),
        ("missing.yaml", None, "cannot be read"),
    ],
)
def test_a_file_that_is_no_grid_is_one_sentence(tmp_path: Path, name: str, content: str | None, said: str) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=said):
        runs.grid_from([], tmp_path / name, DECLARED)


def test_a_grid_that_is_empty_or_has_something_twice_is_refused() -> None:
    for axes, said in [([[]], "empty"), ([], "empty"), ([[{"a": 1}, {"a": 1}]], "twice"), ([[{"a": 1}]] * 2, "'a' is")]:
        with pytest.raises(UserError, match=said):
            Grid(axes)


def test_a_program_gives_values_of_the_declared_types() -> None:
    assert list(grid_of({"seed": range(2), "rate": [1]}, DECLARED)) == [{"seed": n, "rate": 1.0} for n in range(2)]
    for wrong in ({"seed": [True]}, {"seed": ["1"]}, {"data_dir": [2024]}, {"data_dir": "abc"}, [{"rate": "a"}]):
        with pytest.raises(UserError, match="of the declared type|no list of values"):
            grid_of(wrong, DECLARED)
