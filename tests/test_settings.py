"""Parameters are checked with a message that helps; the import is light and quiet; the cache folder is usable."""

from __future__ import annotations

import importlib.util
import json
import os
import pkgutil
import random
import re
import subprocess
import sys
import unicodedata
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nbclient import NotebookClient

import tlutils
from tlutils import settings

HEAVY = ("keras", "tensorflow", "torch", "jax", "matplotlib", "sklearn", "pandas", "PIL", "papermill", "scipy")


def run_python(program: str, cwd: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a fresh process of the same Python."""
    return subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(settings.ROOT)} | variables,
    )


def refusal(**parameters: Any) -> str:
    """Return the message with which the parameters are refused."""
    with pytest.raises(settings.UserError) as caught:
        settings.check(**parameters)
    return str(caught.value)


def test_checked_parameters_come_back_in_one_object() -> None:
    chosen = settings.check(profile="full", seed=7, data_dir="", labels="", groups="", labels_per_class=20)
    assert (chosen.profile, chosen.seed, chosen.data_dir, chosen.quick) == ("full", 7, None, False)
    assert (chosen.labels, chosen.groups) == (None, "")


@pytest.mark.parametrize("profile", ["fast", "Quick", "", None])
def test_an_unknown_profile_is_named_with_the_two_valid_ones(profile: Any) -> None:
    message = refusal(profile=profile)
    assert f"profile={profile!r}" in message
    assert '"quick"' in message and '"full"' in message


@pytest.mark.parametrize("seed", [-1, 2**32, 1.0, "3", True, None])
def test_an_unusable_seed_is_named_with_the_valid_range(seed: Any) -> None:
    message = refusal(seed=seed)
    assert f"seed={seed!r}" in message
    assert "0 to 4294967295" in message


@pytest.mark.parametrize("count", [0, -5, 2.0, "20", True, None])
def test_an_unusable_count_is_named_with_its_parameter(count: Any) -> None:
    message = refusal(labels_per_class=count)
    assert f"labels_per_class={count!r}" in message
    assert "at least 1" in message


def test_the_first_unusable_count_is_named_and_not_a_usable_one() -> None:
    message = refusal(labels_per_class=5, epochs=0)
    assert "epochs=0" in message and "labels_per_class" not in message


def test_a_missing_folder_is_named_with_the_form_a_folder_must_have() -> None:
    message = refusal(data_dir="no/such/folder")
    assert "data_dir='no/such/folder' does not exist" in message
    assert "one sub-folder of pictures per class" in message


def test_a_file_given_as_folder_is_called_a_file(tmp_path: Path) -> None:
    file = tmp_path / "pictures.zip"
    file.touch()
    assert "is a file, not a folder" in refusal(data_dir=str(file))


@pytest.mark.parametrize("given", [{"labels": "labels.csv"}, {"groups": r"^(\d+)"}])
def test_what_is_about_files_of_the_readers_is_refused_without_a_folder_which_is_the_next_step(
    given: dict[str, str],
) -> None:
    [(name, text)] = given.items()
    message = refusal(**given)
    assert f"{name}={text!r}" in message and "Give data_dir as well" in message and f"leave {name} empty" in message


def test_a_missing_table_is_named_with_the_columns_that_a_table_must_have(tmp_path: Path) -> None:
    message = refusal(data_dir=str(tmp_path), labels="no/such.csv")
    assert "labels='no/such.csv' does not exist" in message and "columns file and label" in message
    assert "is a folder, not a table" in refusal(data_dir=str(tmp_path), labels=str(tmp_path))


def test_a_relative_folder_and_its_table_are_found_from_the_notebooks_folder_and_from_the_one_above(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Papermill starts notebooks in the caller's folder, nbval in the notebook's."""
    (tmp_path / "pictures").mkdir()
    (tmp_path / "labels.csv").touch()
    (tmp_path / "notebooks").mkdir()
    for start in (tmp_path, tmp_path / "notebooks"):
        monkeypatch.chdir(start)
        found = settings.check(data_dir="pictures", labels="labels.csv", groups="^(p)")
        assert found.data_dir is not None and found.data_dir.samefile(tmp_path / "pictures")
        assert found.labels is not None and found.labels.samefile(tmp_path / "labels.csv")
        assert found.groups == "^(p)"


def test_a_tilde_means_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pictures").mkdir()
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(tmp_path))
    assert settings.check(data_dir="~/pictures").data_dir == tmp_path / "pictures"


def test_the_seed_decides_every_random_generator() -> None:
    import keras

    def draw(seed: int) -> tuple[float, float, float]:
        settings.check(seed=seed)
        return random.random(), float(np.random.random()), float(keras.random.uniform(()))

    first = draw(3)
    assert draw(3) == first
    other = draw(4)
    assert all(new != old for new, old in zip(other, first, strict=True))


def test_the_import_is_light_and_takes_less_than_0_3_seconds() -> None:
    program = (
        "import sys, time; start = time.perf_counter(); import tlutils; "
        f"print(time.perf_counter() - start, [name for name in {HEAVY} if name in sys.modules])"
    )
    seconds = []
    for _ in range(3):  # The fastest of three: another process may have had the processor.
        took, loaded = run_python(program).stdout.split(maxsplit=1)
        assert loaded.strip() == "[]"
        seconds.append(float(took))
    assert min(seconds) < 0.3


@pytest.mark.parametrize("module", sorted(module.name for module in pkgutil.iter_modules(tlutils.__path__)))
def test_no_module_imports_a_heavy_package_before_it_is_used(module: str) -> None:
    program = f"import sys, tlutils.{module}; print([name for name in {HEAVY} if name in sys.modules])"
    assert run_python(program).stdout.strip() == "[]"


CHATTER = (
    "E0000 00:00:1 cuda_dnn.cc:8310] Unable to register cuDNN factory",
    "failed call to cuInit: UNKNOWN ERROR (303)",
    "Could not find cudart library on this machine",
    "To enable the following instructions: AVX2 FMA, in other operations, rebuild TensorFlow",
    "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR",
)
WARNINGS = ("UserWarning: a picture was left out", "Killed: out of memory", "Illegal instruction")


def standard_error(body: str) -> list[str]:
    """Run statements within `quiet_import` and return the lines of standard error."""
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    return run_python(
        f"import os, sys\nfrom tlutils import settings\nwith settings.quiet_import():\n{lines}"
    ).stderr.splitlines()


@pytest.mark.parametrize("line", CHATTER)
def test_start_up_chatter_from_c_is_dropped(line: str) -> None:
    assert standard_error(f"os.write(2, {(line + chr(10)).encode()!r})") == []


@pytest.mark.parametrize("line", WARNINGS)
def test_any_other_line_is_let_through_from_c_and_from_python(line: str) -> None:
    body = f"os.write(2, {(CHATTER[0] + chr(10) + line + chr(10)).encode()!r})\nprint({line!r}, file=sys.stderr)"
    assert standard_error(body) == [line, line]


def test_lines_are_let_through_when_the_import_fails() -> None:
    program = (
        "import os\nfrom tlutils import settings\ntry:\n    with settings.quiet_import():\n"
        "        os.write(2, b'the reason\\n')\n        import no_such_package\n"
        "except ImportError:\n    os.write(2, b'caught\\n')"
    )
    assert run_python(program).stderr.splitlines() == ["the reason", "caught"]


def test_standard_error_works_as_before_after_the_import() -> None:
    program = "import os\nfrom tlutils import settings\nwith settings.quiet_import(): pass\nos.write(2, b'cuda\\n')"
    assert run_python(program).stderr.splitlines() == ["cuda"]


def test_a_process_without_standard_error_can_import() -> None:
    program = "import os\nfrom tlutils import settings\nos.close(2)\nwith settings.quiet_import(): print('imported')"
    assert run_python(program).stdout.split() == ["imported"]


def test_starting_tensorflow_prints_nothing() -> None:
    program = (
        "from tlutils import settings; settings.check(seed=1); import keras; print(keras.random.uniform(()).shape)"
    )
    finished = run_python(program)
    assert finished.stderr == ""
    assert finished.stdout.strip() in {"()", "torch.Size([])"}


def test_a_file_is_replaced_when_the_new_one_is_whole_and_stays_as_it_was_when_writing_fails(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), settings.replacing(path) as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]
    with settings.replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old" and temporary.parent == tmp_path
    assert path.read_text() == "new" and list(tmp_path.iterdir()) == [path]


def test_the_cache_folder_is_made_where_the_variable_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TLUTILS_CACHE", str(tmp_path / "new" / "cache"))
    folder = settings.cache_dir()
    assert folder == tmp_path / "new" / "cache"
    assert list(folder.iterdir()) == []


def test_without_the_variable_the_cache_lies_in_the_users_own_cache_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TLUTILS_CACHE")
    for variable in ("HOME", "USERPROFILE", "LOCALAPPDATA", "XDG_CACHE_HOME"):
        monkeypatch.setenv(variable, str(tmp_path))
    folder = settings.cache_dir()
    assert "tlutils" in folder.parts and folder.is_relative_to(tmp_path)


def test_a_cache_folder_that_cannot_be_written_is_named_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing can be made below a file, whoever asks: the administrator of the machine neither."""
    (tmp_path / "file").touch()
    cache = tmp_path / "file" / "cache"
    monkeypatch.setenv("TLUTILS_CACHE", str(cache))
    with pytest.raises(settings.UserError, match=re.escape(str(cache))) as caught:
        settings.cache_dir()
    assert "TLUTILS_CACHE" in str(caught.value)


@given(st.integers(min_value=0, max_value=2**32 - 1), st.integers(min_value=1))
def test_every_seed_in_range_and_every_positive_count_is_accepted(seed: int, count: int) -> None:
    assert settings.check(seed=seed, epochs=count).seed == seed


def test_in_a_notebook_an_error_of_the_reader_shows_its_message_and_the_readers_own_line_only():
    notebook = nbformat.v4.new_notebook()
    source = "from tlutils import datasets\n\nfound = datasets.from_folder('nowhere')"
    notebook.cells = [nbformat.v4.new_code_cell(source)]
    NotebookClient(notebook, timeout=120, kernel_name="python3", allow_errors=True).execute()
    [error] = [output for output in notebook.cells[0].outputs if output.output_type == "error"]
    message, empty, line = error.traceback
    assert message.startswith("UserError: 'nowhere' does not exist") and empty == ""
    assert line == "in line 3 of this cell: found = datasets.from_folder('nowhere')"


START = """
from tlutils import settings
try:
    settings.start_keras()
    import keras
    print(keras.config.floatx(), keras.config.epsilon(), keras.layers.Conv2D(1, 1).data_format)
except settings.UserError as error:
    print(error)
"""


@pytest.mark.parametrize(
    "left",
    [
        {"floatx": "float16", "epsilon": 1e-3, "image_data_format": "channels_first", "backend": "tensorflow"},
        {"image_dim_ordering": "th"},
        None,
    ],
)
def test_keras_starts_with_the_numbers_of_the_course_whatever_an_old_program_left(tmp_path: Path, left: Any) -> None:
    (tmp_path / "keras.json").write_text("{" if left is None else json.dumps(left))
    said = run_python(START, KERAS_HOME=str(tmp_path), KERAS_BACKEND="").stdout
    assert said.split() == ["float32", "1e-07", "channels_last"]


def test_what_a_program_sets_in_keras_by_itself_stays_until_a_lesson_begins() -> None:
    program = (
        "import keras; keras.config.set_floatx('float64'); from tlutils import settings; settings.start_keras();"
        "print(keras.config.floatx()); settings.check(); print(keras.config.floatx())"
    )
    assert run_python(program).stdout.split() == ["float64", "float32"]


@pytest.mark.parametrize(
    ("backend", "message"),
    [
        ("theano", "Keras has no backend 'theano' that trains, and {} asks for it. Write tensorflow"),
        ("numpy", "Keras has no backend 'numpy' that trains, and {} asks for it. Write tensorflow"),
        (
            "jax",
            "The package jax is not installed, and {} asks for it as Keras' backend. Write tensorflow there, "
            "or install it: pip install -c constraints.txt -e '.[jax]'.",
        ),
    ],
)
def test_a_backend_that_is_not_there_is_named_with_the_line_or_the_variable_that_asks_for_it(
    tmp_path: Path, backend: str, message: str
) -> None:
    if backend == "jax" and importlib.util.find_spec("jax"):
        pytest.skip("jax is installed here")
    file = tmp_path / "keras.json"
    file.write_text(json.dumps({"floatx": "float32", "backend": backend}, indent=1))
    by_file = run_python(START, KERAS_HOME=str(tmp_path), KERAS_BACKEND="").stdout
    assert by_file.startswith(message.format(f"line 3 of {file}"))
    file.write_text("{}")
    by_variable = run_python(START, KERAS_HOME=str(tmp_path), KERAS_BACKEND=backend).stdout
    assert by_variable.startswith(message.format("the environment variable KERAS_BACKEND"))


def test_a_configuration_that_keras_refuses_is_named(tmp_path: Path) -> None:
    (tmp_path / "keras.json").write_text('{"floatx": "bfloat16"}')
    said = run_python(START, KERAS_HOME=str(tmp_path), KERAS_BACKEND="").stdout
    assert "floatx=bfloat16" in said and f"Correct or delete {tmp_path / 'keras.json'}" in said


@pytest.mark.parametrize("name", ["keras.py", "tensorflow/__init__.py"])
def test_a_file_of_the_readers_that_hides_a_package_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("# exercise 3: my first network\n")
    said = run_python(START, cwd=tmp_path, KERAS_BACKEND="tensorflow").stdout
    assert said.startswith(f"{tmp_path / name} hides the package") and "Rename it" in said


@given(st.binary(max_size=20))
def test_bytes_that_are_no_utf8_are_shown_as_bytes(name: bytes) -> None:
    shown = settings.printable(name.decode("utf-8", "surrogateescape"))
    for byte in name:
        if byte in (0xFE, 0xFF):  # in no UTF-8
            assert f"\\x{byte:02x}" in shown


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Be a user without a name and without HOME, as a container may start one."""
    pwd = pytest.importorskip("pwd", reason="Windows has no such user")

    def unknown(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    for variable in ("HOME", "XDG_CACHE_HOME", "TLUTILS_CACHE"):
        monkeypatch.delenv(variable, raising=False)


def test_without_a_home_folder_the_two_variables_that_help_are_named(
    homeless: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for given_cache in ("", "~/cache"):
        monkeypatch.setenv("TLUTILS_CACHE", given_cache)
        with pytest.raises(settings.UserError, match="no home folder. Set the environment variable HOME, or TLUTILS_C"):
            settings.cache_dir()
    with pytest.raises(settings.UserError, match="'~/pictures' cannot be found: this user has no home folder"):
        settings.check(data_dir="~/pictures")
    monkeypatch.setenv("TLUTILS_CACHE", str(tmp_path))
    assert settings.cache_dir() == tmp_path


@pytest.mark.parametrize("read", [None, 2024, 1e5, True])
@pytest.mark.parametrize("name", ["data_dir", "labels", "groups"])
def test_what_papermill_did_not_read_as_text_is_refused_and_not_taken_for_none_given(name: str, read: Any) -> None:
    with pytest.raises(settings.UserError, match=f"{name}={read!r} is no text: .* -r {name} TEXT"):
        settings.check(**{name: read})


@given(st.text(st.characters(exclude_categories=()), max_size=40), st.integers(3, 30))
def test_what_is_printable_can_be_written_anywhere_and_is_no_longer_than_asked_for(text: str, most: int):
    shown = settings.printable(text)
    shown.encode()
    assert not any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in shown)
    assert "\u202e" not in shown and settings.printable(shown) == shown
    short = settings.printable(text, most)
    assert len(short) <= most and (short == shown or ("…" in short and shown.startswith(short.split("…")[0])))
