"""What a command line gives is read as the notebook declares it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlutils import runs
from tlutils.settings import UserError


@pytest.mark.parametrize(
    ("text", "declared", "value"),
    [
        ("20", "int", 20),
        ("1e-4", "float", 1e-4),
        ("1", "float", 1.0),
        ("7", "None", 7),
        ("true", "bool", True),
        ("False", "bool", False),
        ("[3, 4]", "list", [3, 4]),
        ("20", "str", "20"),
        ("true", "str", "true"),
        ("photos: mine #1", "None", "photos: mine #1"),
        ("None", "None", None),
    ],
)
def test_a_value_is_read_as_declared(text: str, declared: str, value: object) -> None:
    read = runs.parse_value("name", text, declared)
    assert (read, type(read)) == (value, type(value))


@pytest.mark.parametrize(
    ("text", "declared"), [("yes", "bool"), ("1", "bool"), ("2.5", "int"), ("True", "int"), ("a", "float")]
)
def test_a_value_of_another_type_than_declared_is_refused(text: str, declared: str) -> None:
    with pytest.raises(UserError, match=rf"epochs='{text}' .* {declared}"):
        runs.parse_value("epochs", text, declared)


@given(st.text())
def test_a_text_parameter_keeps_every_character(text: str) -> None:
    assert runs.parse_value("data_dir", text, "str") == text


@given(st.one_of(st.integers(), st.floats(allow_nan=False), st.booleans()))
def test_what_python_prints_is_read_back(value: float) -> None:
    assert runs.parse_value("name", repr(value), type(value).__name__) == value
