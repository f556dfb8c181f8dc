"""Write a trained network for other people into one folder: the model, its labels, card, report and program."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tlutils import settings
from tlutils.datasets import decoding
from tlutils.deployment import exported, program
from tlutils.models import minilm, wordpiece

if TYPE_CHECKING:
    import keras

# What `write` leaves; an older model's go into a folder of their own.
FILES = ("model.keras", "model.tflite", "labels.json", "vocabulary.txt", "predict.py", "model_card.md", "report.html")


def prepare(out_dir: str | Path, data: str | Path = "", export: str = "") -> Path:
    """Make the folder that a model will be written to, before the time is spent on training it.

    Parameters
    ----------
    out_dir : str or Path
    data : str or Path, optional
        The reader's folder of pictures, which must stay free of what we write; empty for none.
    export : str, optional
        As `write` takes it.

    Returns
    -------
    Path
        The folder; it exists and can be written to.

    Raises
    ------
    settings.UserError
        A folder that cannot be made or written to, or that lies in the data; an export that cannot be had here.
    """
    if "\0" in str(out_dir):
        raise settings.UserError(f"out_dir={str(out_dir)!r}: a name holds no zero character. Give another.")
    exported.require(export)
    folder = Path(out_dir).expanduser().resolve()
    if str(data) and folder.is_relative_to(Path(data).expanduser().resolve()):
        raise settings.UserError(
            f"out_dir='{out_dir}' lies in the data folder '{data}', where the next run would take it for a class. "
            "Give a folder outside."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise settings.UserError(
            f"out_dir='{out_dir}' cannot be written to ({error.strerror}). Give a folder of your own."
        ) from error
    return folder


def write(
    folder: Path,
    model: keras.Model,
    labels: Mapping[str, Any],
    card: str,
    report: str,
    vocabulary: Sequence[str] | None = None,
    export: str = "",
) -> list[Path]:
    """Write a model with everything that it needs to be used elsewhere; an older one is kept.

    The files are written beside the folder's own ones first. Only when all are whole do they take their places, and an
    older model with its files moves to ``earlier-1``, ``earlier-2``, ...

    Parameters
    ----------
    folder : Path
        As `prepare` returns it.
    model : keras.Model
        As `assemble` builds it.
    labels : mapping
        For labels.json: ``classes``; ``thresholds``, of confidence (``unsure``) and of nearness (``strange``); of
        pictures ``image_size``, and ``spans``, the black and white of those with 16 bits. What the input is and the
        hashes of the files are added.
    card : str
        Markdown.
    report : str
        HTML.
    vocabulary : sequence of str, optional
        Word pieces of a model of sentences.
    export : str, optional
        ``"litert"`` for a file ``model.tflite`` beside ``model.keras``, which the program can ask without Keras.

    Returns
    -------
    list of Path
        What was written.

    Warns
    -----
    UserWarning
        The model could not be exported; everything else is written.

    Raises
    ------
    settings.UserError
        A full disk, or a folder that can no longer be written to. Nothing is lost and nothing half-written is left.
    """
    try:
        with tempfile.TemporaryDirectory(dir=folder, prefix=".new-") as temporary:
            new = Path(temporary)
            model.save(new / "model.keras")
            if export:
                _export(model, len(vocabulary or ()), new / "model.tflite")
            if vocabulary is not None:
                (new / "vocabulary.txt").write_text("\n".join(vocabulary), encoding="utf-8", newline="\n")
            hashes = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(new.iterdir())}
            given = {"input": "sentences" if vocabulary else "pictures", "max_length": minilm.MAX_LENGTH}
            text = json.dumps({**labels, **given, "sha256": hashes}, indent=2, ensure_ascii=True)
            for name, content in (
                ("labels.json", text),
                ("predict.py", standalone()),
                ("model_card.md", card),
                ("report.html", report),
            ):
                (new / name).write_text(content, encoding="utf-8", errors="backslashreplace", newline="\n")
            _keep_earlier(folder)
            return [file.rename(folder / file.name) for file in sorted(new.iterdir())]
    except OSError as error:
        raise settings.UserError(
            f"The model could not be written to '{folder}' ({error.strerror or error}). Free some space or give "
            "another out_dir. What was there before is still there."
        ) from error


def _export(model: keras.Model, n_tokens: int, path: Path) -> None:
    try:
        content = exported.litert(model, n_tokens)
    # The converter raises nearly every kind of exception, and a trained model is worth more than its copy.
    except Exception as error:
        reason = (str(error).strip() or repr(error)).splitlines()[0]
        warnings.warn(f"{path.name} could not be made, and the rest is written: {reason}", stacklevel=3)
    else:
        path.write_bytes(content)


def _keep_earlier(folder: Path) -> None:
    old = [folder / name for name in FILES if (folder / name).exists()]
    if not (folder / "model.keras").exists():
        return  # no older model: what lies here under our names is a part of one, and no use
    number = 1
    while (folder / f"earlier-{number}").exists():
        number += 1
    earlier = folder / f"earlier-{number}"
    earlier.mkdir()
    for file in old:
        file.rename(earlier / file.name)


def standalone() -> str:
    """Return the program that goes with a model: `program`, with the modules that it takes from the course put in.

    Returns
    -------
    str
        Source that needs keras, Pillow and numpy only.
    """
    source = Path(program.__file__).read_text(encoding="utf-8")
    for module in (decoding, wordpiece):
        content = Path(module.__file__ or "").read_text(encoding="utf-8")
        content = content.replace("from __future__ import annotations\n", "")
        line = re.compile(rf"^from {re.escape(module.__name__)} import .*\n", flags=re.MULTILINE)
        before, after = line.split(source)  # program.py imports each module in one line
        source = before + content + after
    return source


def model_card(title: str, about: Mapping[str, object], numbers: Mapping[str, object], limits: Sequence[str]) -> str:
    """Say what a model is, what it is worth and where it should not be believed.

    A short form of Mitchell et al. 2019, "Model cards for model reporting".

    Parameters
    ----------
    title : str
    about, numbers : mapping of str to object
        Become tables, a row for each.
    limits : sequence of str
        Full sentences.

    Returns
    -------
    str
        Markdown.
    """
    lines = [f"# {_cell(title)}"]
    for heading, rows in (("What it is", about), ("What it is worth", numbers)):
        lines += ["", f"## {heading}", "", "| | |", "|---|---|"]
        lines += [f"| {_cell(name)} | {_cell(value)} |" for name, value in rows.items()]
    lines += ["", "## Limits", "", *(f"* {_cell(sentence)}" for sentence in limits)]
    return "\n".join(lines) + "\n"


def _cell(value: object) -> str:
    """A reader's text, such as the name of a class, as one cell of a Markdown table."""
    return re.sub(r"([\\`*_\[\]<>|#$~])", r"\\\1", " ".join(str(value).split()))


def report_page(title: str, card: str, figures: Mapping[str, bytes]) -> str:
    """Lay a card and figures out as one page that needs nothing else.

    Parameters
    ----------
    title : str
    card : str
        Markdown; what looks like HTML in it is shown as text.
    figures : mapping of str to bytes
        PNG by its description, which becomes caption and alternative text.

    Returns
    -------
    str
        HTML.
    """
    import mistune

    body = mistune.create_markdown(escape=True, plugins=["table"])(card)
    shown = [
        f'<figure><img src="data:image/png;base64,{base64.b64encode(png).decode()}" alt="{html.escape(alt)}">'
        f"<figcaption>{html.escape(alt)}</figcaption></figure>"
        for alt, png in figures.items()
    ]
    style = (
        "body{max-width:52rem;margin:2rem auto;padding:0 1rem;font:1rem/1.5 sans-serif;color:#000}"
        "img{max-width:100%}table{border-collapse:collapse}td,th{border:1px solid #999;padding:.2rem .5rem}"
    )
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{style}</style></head>\n<body>{body}{''.join(shown)}</body></html>\n"
    )
