"""Ask the model in this folder about pictures or sentences.

    python predict.py PICTURE_OR_FOLDER... [--csv FILE]
    python predict.py FILE_OF_SENTENCES... [--csv FILE]      one sentence in each line; - reads them from the keyboard

Needs Python 3.11 and Pillow, and for `model.keras` also keras with a backend such as tensorflow. Where `model.tflite`
lies in the folder as well, ai-edge-litert is enough, and is taken if it is there: it starts in a moment.
An answer is refused where the model should not be believed: as "unsure" if its confidence lies below the threshold in
labels.json, as "strange" if the picture or sentence is unlike all that the model learnt from. The exit code is 0 if
everything could be read, 1 if something could not, 2 if there was nothing to ask about.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import hashlib
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlutils.datasets.decoding import as_rgb, central_square, claims_to_be_picture, decode, is_junk, open_picture
from tlutils.models.wordpiece import WordPiece

# Pictures or sentences that the model is asked about at a time.
_BATCH = 32


class NoModel(Exception):
    """The folder holds no model that can be asked; the message says why and what to do."""


@dataclass(frozen=True)
class Model:
    """A model as `write` left it.

    Attributes
    ----------
    network : keras.Model or LiteNetwork
        Pictures, uint8, shape (n, image_size, image_size, 3), or token numbers to probabilities, shape (n, n_classes),
        and nearness to what was learnt, shape (n, 1).
    classes : tuple of str
    unsure, strange : float
        The least confidence, and the least nearness, at which an answer is to be believed.
    facts : dict
        All that labels.json says.
    tokenizer : WordPiece or None
        Of a model of sentences.
    """

    network: Any
    classes: tuple[str, ...]
    unsure: float
    strange: float
    facts: dict[str, Any]
    tokenizer: Any = None


class LiteNetwork:
    """The network of a LiteRT file, asked as one of Keras is.

    Parameters
    ----------
    path : Path
        Whole: LiteRT ends the process where a file is damaged.

    Raises
    ------
    ImportError
        Without the package ai-edge-litert.
    """

    def __init__(self, path: Path) -> None:
        from ai_edge_litert.interpreter import Interpreter

        with _without_remarks():
            interpreter = Interpreter(model_content=path.read_bytes())
            interpreter.allocate_tensors()
        # Its runner names the outputs; the interpreter lists them in an order of its own.
        self._run = interpreter.get_signature_runner()
        [(self._name, self._given)] = self._run.get_input_details().items()

    def predict_on_batch(self, inputs: NDArray[np.generic]) -> list[NDArray[np.float32]]:
        """Return probabilities and nearness of pictures, or of token numbers.

        Parameters
        ----------
        inputs : array, shape (n, image_size, image_size, 3) or (n, length)
            Rows of token numbers may be shorter than the network's.

        Returns
        -------
        list of two float32 arrays, shapes (n, n_classes) and (n, 1)
        """
        replies = []
        for row in inputs:
            example = np.zeros(self._given["shape"], self._given["dtype"])
            example[0, : len(row)] = row
            replies.append(self._run(**{self._name: example}))
        return [np.concatenate([reply[name] for reply in replies]) for name in ("output_0", "output_1")]


@contextlib.contextmanager
def _without_remarks() -> Iterator[None]:
    """Drop what LiteRT says when it starts, which goes past `sys.stderr`; an error is raised all the same."""
    try:
        kept = os.dup(2)
    except OSError:  # a program without a console
        yield
        return
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


@dataclass(frozen=True)
class Answer:
    """What the model says of one picture or sentence, or why it was not asked.

    Attributes
    ----------
    about : str
        The path of the picture, or the sentence; empty for an array.
    answer : str
        The most probable class; empty if there is a problem.
    confidence : float
        Its probability.
    nearness : float
        To the nearest class mean of what the model learnt from, -1 to 1.
    refused : str
        ``"strange"`` if the nearness, else ``"unsure"`` if the confidence is below the model's threshold, else empty.
    probabilities : tuple of float
        One for each class.
    problem : str
        Why the picture could not be read; empty if it could.
    """

    about: str
    answer: str = ""
    confidence: float = 0.0
    nearness: float = 0.0
    refused: str = ""
    probabilities: tuple[float, ...] = ()
    problem: str = ""


def load(folder: Path) -> Model:
    """Load the model of a folder, or of a folder's model.keras or model.tflite.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    Model

    Raises
    ------
    NoModel
        No such folder, a file that is missing or damaged, a Keras that does not start and no LiteRT in its place.
    """
    folder = folder.parent if folder.name in ("model.keras", "model.tflite") else folder
    for name in ("labels.json", "model.keras"):
        if not (folder / name).is_file():
            raise NoModel(f"'{folder}' has no {name}. Give the folder that the training wrote (its out_dir).")
    try:
        facts = json.loads((folder / "labels.json").read_text(encoding="utf-8"))
        classes, expected = tuple(facts["classes"]), facts["sha256"]
        unsure, strange = (float(facts["thresholds"][guard]) for guard in ("unsure", "strange"))
    except (ValueError, KeyError, TypeError) as error:
        raise NoModel(f"'{folder / 'labels.json'}' is damaged ({error}). Copy the folder again.") from error
    for name, digest in expected.items():
        path = folder / name
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            what = "is not the file that was written with labels.json" if path.is_file() else "is missing"
            raise NoModel(f"'{path}' {what}: cut short, damaged or exchanged. Copy the whole folder again.")
    network = _network(folder, expected)
    tokenizer = None
    if facts["input"] == "sentences":
        vocabulary = (folder / "vocabulary.txt").read_text(encoding="utf-8").split()
        tokenizer = WordPiece(vocabulary)
    return Model(network, classes, unsure, strange, facts, tokenizer)


def _network(folder: Path, files: Mapping[str, str]) -> Any:
    """The network of a folder, in LiteRT if it was exported and the package is here, else in Keras."""
    exported = "model.tflite" in files
    if exported:
        with contextlib.suppress(ImportError):
            return LiteNetwork(folder / "model.tflite")
    try:
        import keras
    except (ImportError, ValueError) as error:
        way_out = "ai-edge-litert, which is enough for model.tflite; or " * exported
        raise NoModel(
            f"Keras does not start ({error}). Install {way_out}tensorflow, and unset KERAS_BACKEND."
        ) from error
    return keras.saving.load_model(folder / "model.keras")


def predict(model: Model, things: Sequence[Path | str | NDArray[np.uint8]]) -> Iterator[Answer]:
    """Ask a model about pictures or sentences.

    Parameters
    ----------
    model : Model
    things : sequence of Path, of uint8 array, shape (height, width, 3), or of str
        Files of pictures, or pictures, or sentences, as the model was trained on.

    Yields
    ------
    Answer
        In the order of the things.
    """
    for start in range(0, len(things), _BATCH):
        part = things[start : start + _BATCH]
        inputs, problems = _inputs(model, part)
        replies = zip(*model.network.predict_on_batch(inputs), strict=True) if len(inputs) else iter([])
        for thing, problem in zip(part, problems, strict=True):
            about = "" if isinstance(thing, np.ndarray) else str(thing)
            if problem:
                yield Answer(about, problem=problem)
                continue
            row, [near] = next(replies)
            best = int(row.argmax())
            confidence, nearness = float(row[best]), float(near)
            refused = "strange" if nearness < model.strange else "unsure" if confidence < model.unsure else ""
            yield Answer(about, model.classes[best], confidence, nearness, refused, tuple(map(float, row)))


def _inputs(model: Model, things: Sequence[Path | str | NDArray[np.uint8]]) -> tuple[NDArray[Any], list[str]]:
    """What the network takes for those of the things that can be read, and for each thing what was wrong with it."""
    if model.tokenizer is not None:
        problems = ["" if str(thing).strip() else "an empty line" for thing in things]
        pieces = [model.tokenizer(str(thing)) for thing, problem in zip(things, problems, strict=True) if not problem]
        return np.array(model.tokenizer.batch(pieces, model.facts["max_length"]), dtype=np.int32), problems
    from PIL import Image, UnidentifiedImageError

    pictures, problems = [], []
    for thing in things:
        # Pillow's decoders raise nearly every kind of exception on damaged files; one must not stop the others.
        try:
            if isinstance(thing, np.ndarray):
                image = Image.fromarray(thing)
            else:
                image = as_rgb(decode(Path(thing)), model.facts["spans"])
            pictures.append(central_square(image, model.facts["image_size"]))
            problems.append("")
        except UnidentifiedImageError:
            problems.append("no picture that Pillow knows; open it elsewhere and export it as PNG or JPEG")
        except Exception as error:
            problems.append(" ".join(str(error).replace(str(thing), "").split())[:200] or type(error).__name__)
    return np.array(pictures), problems


def things_of(model: Model, arguments: Sequence[str]) -> list[Path | str]:
    """List the pictures, or the sentences, that arguments of the command line name.

    Parameters
    ----------
    model : Model
    arguments : sequence of str
        For pictures, files and folders, which are searched with all below them; hidden ones are passed over. For
        sentences, files with one in each line, or ``-``.

    Returns
    -------
    list of Path or of str

    Raises
    ------
    NoModel
        An argument that is not there, or sentences that are no text in UTF-8.
    """
    things: list[Path | str] = []
    for argument in arguments:
        path = Path(argument).expanduser()
        if model.tokenizer is not None and argument == "-":
            things += _lines(sys.stdin.read())
        elif not path.exists():
            raise NoModel(f"'{argument}' does not exist.")
        elif model.tokenizer is not None:
            try:
                things += _lines(path.read_text(encoding="utf-8-sig"))
            except UnicodeDecodeError as error:
                why = "the model takes sentences, one in each line. Save them as text in UTF-8"
                raise NoModel(f"'{argument}' is no text in UTF-8 ({error.reason}): {why}.") from error
        elif path.is_dir():
            things += [file for file in sorted(path.rglob("*")) if _is_asked_about(file, path)]
        else:
            things.append(path)
    return things


def _lines(text: str) -> list[str]:
    """The lines of a text. Other than `splitlines`, which also breaks sentences at marks such as U+0085 within them."""
    return [line.rstrip("\r") for line in text.removesuffix("\n").split("\n")] if text else []


def _is_asked_about(file: Path, folder: Path) -> bool:
    """Whether a file below a folder is a picture by its bytes, or claims to be one by its name."""
    if not file.is_file() or any(map(is_junk, file.relative_to(folder).parts)):
        return False
    try:
        with open_picture(file):
            return True
    except Exception:
        return claims_to_be_picture(file)


def run(folder: Path, arguments: Sequence[str], csv_file: Path | None = None) -> int:
    """Ask the model of a folder and print a table, or write it.

    Parameters
    ----------
    folder : Path
        As `load` takes it.
    arguments : sequence of str
        As `things_of` takes them.
    csv_file : Path, optional
        Where to write a table with a column for each class, in place of printing one.

    Returns
    -------
    int
        0 if everything could be read, 1 if something could not, 2 if there was nothing to ask about.

    Raises
    ------
    NoModel
        As `load` and `things_of`; no folder for the table.
    """
    # Before anything is computed.
    if csv_file is not None and not csv_file.absolute().parent.is_dir():
        raise NoModel(f"The folder '{csv_file.absolute().parent}' for the table does not exist. Make it first.")
    model = load(folder)
    things = things_of(model, arguments)
    if not things:
        print("Nothing to ask about: no picture and no sentence was found.", file=sys.stderr)
        return 2
    answers = list(predict(model, things))
    if csv_file is not None:
        _write_csv(model, answers, csv_file)
    else:
        _print_table(answers)
    unread = [answer for answer in answers if answer.problem]
    for answer in unread[:10]:
        print(f"Not read: {_shown(answer.about)} ({answer.problem})", file=sys.stderr)
    if len(unread) > 10:
        print(f"and {len(unread) - 10} more", file=sys.stderr)
    return 1 if unread else 0


def _print_table(answers: Sequence[Answer]) -> None:
    told = [answer for answer in answers if not answer.problem]
    width = max((len(_shown(answer.about)) for answer in told), default=0)
    for answer in told:
        refused = f"  refused: {answer.refused}" if answer.refused else ""
        print(f"{_shown(answer.about):<{width}}  {answer.confidence:4.0%}  {_shown(answer.answer)}{refused}")


def _write_csv(model: Model, answers: Sequence[Answer], path: Path) -> None:
    temporary = path.with_name(f".{path.name}.part")
    # utf-8-sig, because a spreadsheet reads accents rightly only with the mark.
    with temporary.open("w", encoding="utf-8-sig", errors="backslashreplace", newline="") as file:
        table = csv.writer(file)
        table.writerow(["about", "answer", "confidence", "nearness", "refused", "problem", *model.classes])
        for answer in answers:
            refused = "" if answer.problem else answer.refused or "no"
            numbers = f"{answer.confidence:.6f}", f"{answer.nearness:.6f}"
            row = [answer.about, answer.answer, *numbers, refused, answer.problem]
            table.writerow([*row, *(f"{value:.6f}" for value in answer.probabilities)])
    temporary.replace(path)


def _shown(text: str) -> str:
    """A text as it can be printed anywhere: control characters and bytes that are no text are escaped."""
    printable = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    encoding = sys.stdout.encoding or "utf-8"
    return printable.encode(encoding, errors="backslashreplace").decode(encoding)


def main() -> int:
    """Read the command line, ask, print."""
    parser = argparse.ArgumentParser(description="Ask the model beside this file.")
    parser.add_argument("paths", nargs="+", metavar="PATH", help="pictures, folders, or files with a sentence a line")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write a table with a column for each class")
    given = parser.parse_args()
    try:
        return run(Path(__file__).parent, given.paths, given.csv)
    except (NoModel, OSError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
