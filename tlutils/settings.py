"""Check what a notebook was asked to do, once, before anything is computed."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import logging
import os
import re
import secrets
import sys
import tempfile
import threading
import traceback
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

PROFILES = ("quick", "full")

# The checkout that this package lies in; of an installed package, the folder of the installed packages.
ROOT = Path(__file__).resolve().parent.parent
# The project's own small files: beside the package in a checkout, within it once installed.
DATA = next((folder for folder in (ROOT / "data", ROOT / "tlutils" / "data") if folder.is_dir()), ROOT / "data")
# What may be deleted and computed again: below the checkout, or where the reader works.
BUILD = ROOT / "build" if (ROOT / "pyproject.toml").is_file() else Path("build")

# What TensorFlow's C++ side says on standard error at every start on a machine without an NVIDIA GPU, and what says
# nothing about the reader's work. Anything else that it prints is passed on.
_STARTUP_CHATTER = re.compile(
    r"cuda|cuInit|cudart|cuDNN|cuBLAS|cuFFT|TensorRT|tensorrt|oneDNN custom operations|cpu_feature_guard"
    r"|To enable the following instructions|absl::InitializeLog|computation_placer|port\.cc|XLA service|NUMA node",
    re.IGNORECASE,
)

_STDERR = threading.RLock()
# Those of Keras' backends that train, each called like its package; the first is the one that Keras takes by itself.
_BACKENDS = ("tensorflow", "torch", "jax")

# Names in a message, and classes in a table, before the rest becomes a count.
NAMED_AT_MOST = 10

# Unicode's marks for the direction of writing; they would turn the text that follows a name.
_TURNING = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


class UserError(Exception):
    """Something the reader can put right; its message says how."""

    def _render_traceback_(self) -> list[str]:
        """Show in a notebook the message and the reader's own line, not the way through the package; IPython asks."""
        own = [frame for frame in traceback.extract_tb(self.__traceback__) if "ipykernel" in frame.filename]
        lines = [f"{type(self).__name__}: {self}"]
        if own:
            lines += ["", f"in line {own[0].lineno} of this cell: {own[0].line}"]
        return lines


@dataclass(frozen=True)
class Settings:
    """What the notebook was asked to do, checked.

    Attributes
    ----------
    profile : str
        ``"quick"`` (offline, minutes on two cores) or ``"full"`` (real data, downloads).
    seed : int
        Every random choice follows from it.
    data_dir : Path or None
        The reader's own pictures.
    labels : Path or None
        A table of file names and labels, where the folder has no sub-folders.
    groups : str
        A regular expression: what its parentheses catch in a file name stays together; empty for none.
    """

    profile: str
    seed: int
    data_dir: Path | None
    labels: Path | None
    groups: str

    @property
    def quick(self) -> bool:
        """Whether the short, offline profile was chosen."""
        return self.profile == "quick"


def check(
    *, profile: str = "quick", seed: int = 0, data_dir: str = "", labels: str = "", groups: str = "", **counts: int
) -> Settings:
    """Validate a notebook's parameters, seed every random generator and make the computation repeatable.

    Parameters
    ----------
    profile : str
        One of `PROFILES`.
    seed : int
        0 to 2**32 - 1.
    data_dir : str
        A folder, or the empty string for none. A relative path is looked up from the working directory, then from the
        folder above it, since nbval and papermill start notebooks in different folders.
    labels : str
        A table, looked up like the folder, or the empty string for none.
    groups : str
        A regular expression, or the empty string for none.
    **counts : int
        Any further parameters that must be whole numbers of at least 1, such as ``epochs=20``.

    Returns
    -------
    Settings

    Raises
    ------
    UserError
        For the first parameter that cannot be used; it names the value and the valid choices.

    Examples
    --------
    >>> check(profile="quick", seed=3, epochs=20)
    Settings(profile='quick', seed=3, data_dir=None, labels=None, groups='')
    >>> check(profile="fast")
    Traceback (most recent call last):
    ...
    tlutils.settings.UserError: profile='fast' is unknown; choose "quick" (offline, minutes) or "full" (real data).
    """
    if profile not in PROFILES:
        raise UserError(f'profile={profile!r} is unknown; choose "quick" (offline, minutes) or "full" (real data).')
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise UserError(f"seed={seed!r} cannot seed the random generators; give a whole number from 0 to {2**32 - 1}.")
    require_whole(1, **counts)
    require_text(data_dir=data_dir, labels=labels, groups=groups)
    folder = table = None
    if data_dir:
        advice = "Give a folder that has one sub-folder of pictures per class."
        folder = _existing("data_dir", data_dir, Path.is_dir, "is a file, not a folder", advice)
    for name, text in (("labels", labels), ("groups", groups)):
        if text and folder is None:
            raise UserError(
                f"{name}={text!r} is about files of yours, and data_dir is empty. Give data_dir as well, the folder "
                f"that these files lie in, or leave {name} empty."
            )
    if labels:
        advice = "Give a table with the columns file and label, and a row for each picture."
        table = _existing("labels", labels, Path.is_file, "is a folder, not a table", advice)
    make_repeatable(seed)
    return Settings(profile, seed, folder, table, groups)


def _existing(name: str, text: str, is_kind: Callable[[Path], bool], other_kind: str, advice: str) -> Path:
    """Return where a path leads, from the working directory or the one above it."""
    given = expanded(text)
    for place in (given, Path("..") / given):
        if is_kind(place):
            return place
    what = other_kind if given.exists() else "does not exist"
    raise UserError(f"{name}={text!r} {what} (looked in the working directory and the one above it). {advice}")


def make_repeatable(seed: int) -> None:
    """Seed Python, NumPy and the Keras backend, and ask the backend for repeatable operations.

    Two runs with the same seed on the same machine then give the same numbers, bit for bit.

    Parameters
    ----------
    seed : int

    Raises
    ------
    UserError
        If Keras cannot start, see `start_keras`.
    """
    start_keras()
    # Also where the reader's own cell was the first to import Keras.
    _set_numbers()
    with quiet_import():
        import keras

        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            # On a processor, TensorFlow's operations repeat themselves anyway; the switch would only slow tf.data down
            # and fill the notebooks with its C++ warnings.
            if tf.config.list_physical_devices("GPU"):
                tf.config.experimental.enable_op_determinism()
        elif keras.backend.backend() == "torch":
            import torch

            torch.use_deterministic_algorithms(True)
        keras.utils.set_random_seed(seed)


def start_keras() -> None:
    """Import Keras, in silence, with the numbers and the order of axes that the course is written for.

    A ``keras.json`` left by an older program may ask for others, which would give other results or stop a layer. What
    the reader's program has set after an import of its own stays.

    Raises
    ------
    UserError
        If the backend that is asked for cannot train or is not installed, if Keras refuses its configuration, or if a
        file of the reader's hides a package; the message names the file, or the environment variable.
    """
    if "keras" in sys.modules:
        return
    backend, place = _asked_backend()
    if backend not in _BACKENDS:
        raise UserError(
            f"Keras has no backend {backend!r} that trains, and {place} asks for it. "
            f"Write {' or '.join(_BACKENDS)} there; the course is written for {_BACKENDS[0]}."
        )
    for package in ("keras", backend):
        _require_installed(package, place)
    try:
        with quiet_import():
            import keras  # noqa: F401
    # What a package says that does not fit this machine, or its configuration, may be anything.
    except Exception as error:
        raise UserError(
            f"Keras does not start with {backend!r}, which {place} asks for ({type(error).__name__}: {error}). "
            f"Correct or delete {_keras_json()} if it is there, else install the environment again."
        ) from error
    _set_numbers()


def _set_numbers() -> None:
    import keras

    keras.config.set_floatx("float32")
    keras.config.set_epsilon(1e-7)
    keras.config.set_image_data_format("channels_last")
    # A lesson trains dozens of small models on purpose; TensorFlow would advise against it in every other cell. When it
    # exports one, it would name a folder that is of no interest to the reader.
    logging.getLogger("tensorflow").addFilter(_is_news)


def _is_news(record: logging.LogRecord) -> bool:
    said = record.getMessage()
    return "tf.function retracing" not in said and not said.startswith("Assets written to")


def _keras_json() -> Path:
    """Return where Keras will look for its configuration; the rule is its own."""
    home = os.path.expanduser("~")
    folder = os.environ.get("KERAS_HOME", os.path.join(home if os.access(home, os.W_OK) else "/tmp", ".keras"))
    return Path(os.path.expanduser(os.path.join(folder, "keras.json")))


def _asked_backend() -> tuple[str, str]:
    """Return the backend that Keras will choose, and what asks for it."""
    chosen = os.environ.get("KERAS_BACKEND")
    if chosen:
        return chosen, "the environment variable KERAS_BACKEND"
    file = _keras_json()
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
        asked = json.loads(text)["backend"]
    # Keras passes over what it cannot read and what is no JSON.
    except (OSError, ValueError, LookupError, TypeError):
        return _BACKENDS[0], "its default"
    line = 1 + text[: text.rindex('"backend"')].count("\n") if '"backend"' in text else 1
    return str(asked), f"line {line} of {file}"


def _require_installed(package: str, place: str) -> None:
    """Raise `UserError` if an import would not find a package, or would find a file of the reader's in its place."""
    found = importlib.util.find_spec(package)
    if found is None:
        extra = f": pip install -c constraints.txt -e '.[{package}]'" if package in _BACKENDS[1:] else ""
        raise UserError(
            f"The package {package} is not installed, and {place} asks for it as Keras' backend. Write {_BACKENDS[0]} "
            f"there, or install it{extra}."
        )
    origin = Path(found.origin or "")
    # Python looks into the working folder first when a notebook or a script lies there.
    if Path.cwd() in (origin.parent, origin.parent.parent) and "site-packages" not in origin.parts:
        raise UserError(
            f"{origin} hides the package {package}, whose name it has. Rename it, and start again; or work in another "
            "folder."
        )


def quiet_import() -> contextlib.AbstractContextManager[None]:
    """Drop TensorFlow's start-up chatter from standard error; let every other line through."""
    return quiet_stderr(_STARTUP_CHATTER)


@contextlib.contextmanager
def quiet_stderr(dropped: re.Pattern[str] = re.compile("")) -> Iterator[None]:
    """Drop the lines of standard error in which `dropped` is found, by default all; let the others through.

    What C++ says bypasses `sys.stderr`, so the file descriptor itself is turned to a temporary file for the time of the
    block. One block at a time: two threads would put back each other's file.
    """
    with _STDERR:
        # Kernels capture file descriptor 2; a process without one (pythonw) has nothing to keep quiet.
        try:
            kept = os.dup(2)
        except OSError:
            yield
            return
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
        with tempfile.TemporaryFile() as caught:
            sys.stderr.flush()
            os.dup2(caught.fileno(), 2)
            try:
                yield
            finally:
                sys.stderr.flush()
                os.dup2(kept, 2)
                os.close(kept)
                caught.seek(0)
                for line in caught.read().decode(errors="replace").splitlines():
                    if line.strip() and not dropped.search(line):
                        print(line, file=sys.stderr)


def require_whole(least: int, **numbers: object) -> None:
    """Raise `UserError` for the first number that is not whole or is below `least`; NumPy's integers count as whole."""
    import numpy as np

    for name, number in numbers.items():
        if isinstance(number, bool) or not isinstance(number, int | np.integer) or number < least:
            raise UserError(f"{name}={number!r} must be a whole number of at least {least}.")


def require_text(**texts: object) -> None:
    """Raise `UserError` for the first value that is no text, as when papermill read a folder called 2024 as a number.

    Papermill's ``-p`` makes numbers, truth values and nothing of what looks like them (papermill issue 55); a lesson
    would then fail far away, or take nothing for "none given" and use the course's own data.
    """
    for name, text in texts.items():
        if not isinstance(text, str):
            raise UserError(
                f"{name}={text!r} is no text: papermill -p reads 2024, True, None and the like as numbers, truth "
                f"values or nothing. Give it with -r {name} TEXT, which keeps text, or with tlutils run -p."
            )


def listed(names: Sequence[str], separator: str = ", ") -> str:
    """Join the first ten names of a message and count the rest.

    Examples
    --------
    >>> listed(["rose", "tulip"])
    'rose, tulip'
    >>> listed([str(number) for number in range(12)])
    '0, 1, 2, 3, 4, 5, 6, 7, 8, 9, and 2 more'
    """
    rest = [f"and {len(names) - NAMED_AT_MOST} more"] if len(names) > NAMED_AT_MOST else []
    return separator.join([*names[:NAMED_AT_MOST], *rest])


def many(count: int, noun: str) -> str:
    """Count a noun.

    Examples
    --------
    >>> many(1, "file"), many(2, "file")
    ('1 file', '2 files')
    """
    return f"{count} {noun}{'' if count == 1 else 's'}"


def printable(text: str, most: int | None = None) -> str:
    r"""Show a name that came from outside so that it can stand in a message, a table, a file and a figure.

    Bytes of a file name that are not UTF-8, control characters and marks that turn the direction of writing stand as
    their codes; everything else stays as it is.

    Parameters
    ----------
    text : str
    most : int, optional
        Characters; a longer text loses its middle, since names often differ at their ends.

    Examples
    --------
    >>> printable(b"gr\xfcn".decode("utf-8", "surrogateescape"))
    'gr\\xfcn'
    >>> printable("one\ntwo"), printable("abcdefghijklmnopqrstuvwxyz", most=11)
    ('one\\x0atwo', 'abcde…vwxyz')
    """
    shown = "".join(map(_shown, text)) if not (text.isascii() and text.isprintable()) else text
    if most is not None and len(shown) > most:
        end = (most - 1) // 2
        shown = f"{shown[: most - 1 - end]}…{shown[len(shown) - end :]}"
    return shown


def _shown(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # How Python carries a byte that is not UTF-8.
        return f"\\x{code - 0xDC00:02x}"
    if unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") or character in _TURNING:
        return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
    return character


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Write a file in full or not at all: give a temporary path beside `path`, which is renamed to it in the end.

    Whoever reads `path` meanwhile, also after a kill, finds the old file or the new one, each whole. Where the block
    raises an error, the temporary file goes.
    """
    # Not tempfile's, whose files only their owner may read.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[Path]:
    """Give what `replacing` gives; a disk that does not take the file becomes a `UserError`."""
    try:
        with replacing(path) as temporary:
            yield temporary
    except OSError as error:
        raise UserError(
            f"{path} could not be written ({error.strerror or error}). Give another file, or make room on the disk."
        ) from error


def expanded(path: str | Path) -> Path:
    """Return a path with ``~`` replaced by the home folder.

    Raises
    ------
    UserError
        If there is a ``~`` and no home folder, as for a user without a name and without HOME.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise UserError(
            f"{str(path)!r} cannot be found: this user has no home folder. Set the environment variable HOME, or "
            "write the path without '~'."
        ) from error


def cache_dir() -> Path:
    """Return the folder for downloads and computed activations, made if need be.

    Returns
    -------
    Path
        ``$TLUTILS_CACHE`` if set, otherwise the operating system's cache folder for ``tlutils``.

    Raises
    ------
    UserError
        If the folder cannot be made or written to, or if no folder is given and the user has none.
    """
    import platformdirs

    try:
        folder = expanded(os.environ.get("TLUTILS_CACHE") or platformdirs.user_cache_dir("tlutils"))
    # A user without a name and without HOME, as in a container.
    except (RuntimeError, UserError) as error:
        raise UserError(
            "There is no place for downloads and stored activations, since this user has no home folder. Set the "
            "environment variable HOME, or TLUTILS_CACHE to a folder of yours, and start again."
        ) from error
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(
            f"The cache folder {folder} cannot be written to ({error.strerror}). "
            "Set the environment variable TLUTILS_CACHE to a folder of yours and start again."
        ) from error
    return folder
