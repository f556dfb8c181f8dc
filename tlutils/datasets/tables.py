"""Bring labelled sentences, and lists of labelled picture files, into one form from any table."""

from __future__ import annotations

import difflib
import itertools
import os
import unicodedata
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING

from tlutils import settings, store
from tlutils.datasets import delimited
from tlutils.datasets.decoding import claims_to_be_picture
from tlutils.datasets.delimited import short
from tlutils.datasets.examples import DoubtfulLabel, Sentences, contradictions, group_numbers

if TYPE_CHECKING:
    import pandas as pd

# How pandas and spreadsheets write that a value is missing (pandas.read_csv, parameter na_values), and what people
# write. Not "None": it is the name of a class in many tables of severity.
_MISSING = frozenset(
    "#N/A|#N/A N/A|#NA|-1.#IND|-1.#QNAN|-NaN|-nan|1.#IND|1.#QNAN|<NA>|N/A|NA|NULL|NaN|n/a|nan|null"
    "|na|n.a.|NAN|Null|-|--|---|?|".split("|")
)
# Names that are compared with one that is missing; the comparison takes tens of microseconds for each.
_COMPARED_AT_MOST = 2000


class PassedOver(UserWarning):
    """Rows of a table, or files beside it, are not used, or something in the table was not read as it is written."""


# What to warn of: the category, the things, and the sentence that lists them.
_Note = tuple[type[UserWarning], Sequence[str], str]


def reviews() -> Sentences:
    """Load the course's 552 invented review sentences of books, hotels and kitchen appliances.

    Returns
    -------
    Sentences
        With the columns ``domain`` and ``phenomenon``; ``data/reviews.md`` says what they mean and how the sentences
        were made.

    Raises
    ------
    settings.UserError
        If the file is missing or has other bytes than published.

    Examples
    --------
    >>> reviews()
    reviews: 552 sentences, 2 classes (negative: 276, positive: 276)
    """
    return from_csv(store.bundled("reviews.csv"), "sentence", "label")


def from_csv(path: str | Path, text_column: str | int, label_column: str | int) -> Sentences:
    r"""Read your own sentences: a table with one sentence per row, its label in another column.

    The separator, a tab, a semicolon, a comma or a pipe, is the one that gives every row the same number of columns; a
    first line such as ``sep=;`` says it. Quotation marks enclose a field if every one that begins a field also ends it
    (RFC 4180), those inside doubled or after a backslash; otherwise they are plain characters, but for those round
    every cell of a column. The text is UTF-8, with or without byte order mark, or UTF-16 or UTF-32 with it. Texts stay
    as they are, letter by letter; labels lose the spaces round them.

    Parameters
    ----------
    path : str or Path
    text_column, label_column : str or int
        Names from the first row. In a file without such a row: two numbers, from 0.

    Returns
    -------
    Sentences
        Classes in the order of their names, sentences in the order of their rows. Duplicates are kept, in one group.
        The other columns are under their names; one without a name of its own is under its number.

    Raises
    ------
    settings.UserError
        No such file; a file that is empty, no text or no table; a column that is not there; one column for both; texts
        that are mostly numbers; labels that are a quantity or all different; fewer than two classes.

    Warns
    -----
    PassedOver
        Names the lines of rows that were left out because text or label is missing, labels that lost spaces and so
        became one class, and a first row that was taken for a header although numbers were given.
    DoubtfulLabel
        Names classes that differ in case and spaces only, or are one number in two spellings; they are not merged.
        Names the lines of rows with the same sentence under different labels.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "lamps.csv"
    ...     _ = path.write_text("bright;good;north\nbroken;bad;south\n", encoding="utf-8")
    ...     lamps = from_csv(path, 0, 1)
    >>> lamps, lamps.columns["2"].tolist()
    (lamps: 2 sentences, 2 classes (bad: 1, good: 1), ['north', 'south'])
    """
    import pandas as pd

    file = Path(path).expanduser()
    wanted = {"text_column": str(text_column).strip(), "label_column": str(label_column).strip()}
    table, notes = _labelled(file, wanted, "Give the path of a table with one sentence per row.")
    texts, given = table.cells[table.places[0]], table.cells[table.places[1]]
    _require_words(file, texts, wanted["text_column"])
    labels, class_names = pd.factorize(given, sort=True)
    keys = [text_key(text) for text in texts]
    rows = [f"line {line} ({short(label)})" for line, label in given.items()]
    pairs = contradictions(rows, keys, labels)
    _warn(
        file, [*notes, (DoubtfulLabel, pairs, "the same sentence under different labels: {}. Delete the wrong rows.")]
    )
    columns = {name: table.cells[at].to_numpy() for at, name in enumerate(table.names) if at not in table.places}
    return Sentences(file.stem, tuple(texts), labels, tuple(class_names), group_numbers(keys), columns)


def files_and_labels(
    path: str | Path,
    folder: str | Path | None = None,
    *,
    file_column: str | int | None = None,
    label_column: str | int | None = None,
) -> list[tuple[Path, str]]:
    r"""Read a table that names picture files, one per row, with the label of each in another column.

    Parameters
    ----------
    path : str or Path
        A table as `from_csv` reads it. A name may lack its suffix where one picture alone fits.
    folder : str or Path, optional
        What the names are relative to; otherwise the folder of the table.
    file_column, label_column : str or int, optional
        Names from the first row, or numbers from 0 where there is no such row. Otherwise the first of the usual names
        that the table has: file, filename, path, image, id and so on; label, class, target, category, diagnosis. In a
        table without any of the latter, columns with a single 1 in each row are the classes.

    Returns
    -------
    list of (Path, str)
        In the order of the rows; each path begins with the folder. The files are there; they were not opened.

    Raises
    ------
    settings.UserError
        What `from_csv` raises; no such folder; a name that is absolute or goes up with ``..``, that is not there as it
        is written, case included, or that has two labels.

    Warns
    -----
    PassedOver
        As `from_csv`; also names rows that say the same once more, and files that the table does not name.
    DoubtfulLabel
        As `from_csv`, of classes.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("1.png", "2.png"):
    ...         (Path(folder) / name).touch()
    ...     table = Path(folder) / "labels.csv"
    ...     _ = table.write_text("image,age,diagnosis\n2.png,40,ill\n1.png,50,well\n", encoding="utf-8")
    ...     [(file.name, label) for file, label in files_and_labels(table)]
    [('2.png', 'ill'), ('1.png', 'well')]
    """
    file = Path(path).expanduser()
    wanted = {
        parameter: usual if name is None else str(name).strip()
        for parameter, name, usual in (
            ("file_column", file_column, delimited.FILES),
            ("label_column", label_column, delimited.LABELS),
        )
    }
    table, notes = _labelled(file, wanted, "Give the path of a table with one picture file per row.")
    base = file.parent if folder is None else Path(folder).expanduser()
    if not base.is_dir():
        raise settings.UserError(f"folder='{folder}' is no folder. Give the one that the names in '{file}' begin in.")
    names = table.cells[table.places[0]].str.strip()
    _require_inside(file, base, names)
    inside = _files_below(base)
    known = {**_by_bare_name(inside), **inside}
    found = {line: _found(base, name, known) for line, name in names.items()}
    _require_found(file, base, {line: name for line, name in names.items() if found[line] is None}, len(names), inside)
    labels = table.cells[table.places[1]]
    once: dict[Path, tuple[int, str]] = {}
    again, contrary = [], []
    for line, place in found.items():
        assert place is not None
        earlier, label = once.setdefault(place, (line, labels[line]))
        if label != labels[line]:
            contrary.append(
                f"{short(names[line])} in lines {earlier} ({short(label)}) and {line} ({short(labels[line])})"
            )
        elif earlier != line:
            again.append(f"line {line} ({short(names[line])})")
    if contrary:
        raise settings.UserError(
            f"'{file}' gives two labels to one file ({len(contrary)} times): {settings.listed(contrary)}. A picture "
            "has one label here: delete the wrong rows, or choose another label_column."
        )
    unnamed = _unnamed(file, base, once, inside)
    notes += [
        (PassedOver, again, f"rows left out that name a file once more ({len(again)}): {{}}."),
        (PassedOver, unnamed, f"files that it does not name and that are not used ({len(unnamed)}): {{}}."),
    ]
    _warn(file, notes)
    return [(place, label) for place, (_, label) in once.items()]


def _labelled(
    file: Path, wanted: Mapping[str, str | Sequence[str]], advice: str
) -> tuple[delimited.Table, list[_Note]]:
    """Read the table without the rows that lack one of the two columns, its labels stripped; note what is doubtful."""
    table = delimited.read(file, wanted, advice)
    first, last = table.places
    written = table.cells[last]
    cells = table.cells.copy()
    cells[last] = written.str.strip()
    labels_missing = _MISSING - {"-"} if "+" in set(cells[last]) else _MISSING
    lacking = cells[first].str.strip().isin(["", *_MISSING]) | cells[last].isin(["", *labels_missing])
    # Tables that were put one behind the other have their header in the middle.
    repeated = (cells[first].str.strip() == table.names[first]) & (cells[last] == table.names[last])
    kept = cells[~lacking & ~repeated]
    left_out = [f"line {line}" for line in cells.index[lacking]]
    class_names = sorted(set(kept[last]))
    _require_classes(file, kept[last], class_names, left_out)
    missing = (
        f"{len(left_out)} of {len(cells)} rows left out, because a cell is missing (empty, or a sign such as NA, null "
        "or -): {}. Complete or delete them; if such a sign is a class, give the class a name."
    )
    header = "the first row was taken for a header, although columns were given as numbers: {}."
    merged = "labels taken for one class, because they differ only in the spaces round them: {}."
    joined = "cells that hold what look like further rows, in {}. If they are rows, look for a stray quotation mark."
    doubtful = "doubtful class names: {}. Correct the file if they are one."
    return table._replace(cells=kept), [
        (PassedOver, table.header_taken, header),
        (PassedOver, table.joined, joined),
        (
            PassedOver,
            [f"line {line}" for line in cells.index[repeated]],
            "rows left out that are the header again: {}.",
        ),
        (PassedOver, left_out, missing),
        (PassedOver, _merged(written.loc[kept.index]), merged),
        (DoubtfulLabel, _doubtful(class_names), doubtful),
    ]


def _warn(file: Path, notes: Sequence[_Note]) -> None:
    """Say to whoever called the function that calls this one what a table has that is passed over or doubtful."""
    for category, things, what in notes:
        if things:
            warnings.warn(f"{file.name}: {what.format(settings.listed(things))}", category, stacklevel=3)


def _require_classes(file: Path, labels: pd.Series, class_names: Sequence[str], left_out: Sequence[str]) -> None:
    if not class_names:
        lines = f"; {len(left_out)} rows lack one: {settings.listed(left_out)}" if left_out else ""
        raise settings.UserError(
            f"'{file}' has no row with an entry in both columns{lines}. Add some, or choose other columns."
        )
    if len(class_names) < 2:
        raise settings.UserError(
            f"'{file}' has only one class, {short(class_names[0])}. A classifier needs two classes or more: add "
            "rows of another, or choose another label_column."
        )
    values = [value for value in map(delimited.number, class_names) if value is not None]
    # A word among numbers may say that one of them is not known.
    numeric = 10 * len(values) >= 9 * len(class_names)
    fractions = numeric and any(value % 1 for value in values)
    # Codes of classes are whole and come back often; a price, an age or a score takes many values, each of them rarely.
    n, each = len(class_names), len(labels) / len(class_names)
    mostly_once = each < 2 and n > (5 if numeric else 10)
    if mostly_once or (numeric and n > 20 and each < 10) or (fractions and n > 10):
        some = ", ".join(map(short, class_names[:3]))
        raise settings.UserError(
            f"'{file}' has {n} different labels in {len(labels)} rows, such as {some}: "
            + (
                "numbers that measure something, a quantity to be estimated. This course tells classes apart: make a "
                "few of the numbers, such as low and high, or choose another label_column. If they are codes of "
                "classes, write names in their place."
                if numeric
                else "most are there once, as texts, dates and identifiers are. Choose another label_column, whose "
                "values come back."
            )
        )


def _require_words(file: Path, texts: pd.Series, text_column: str) -> None:
    """Refuse a column of numbers, dates or codes in place of sentences."""
    numbers = sum(not any(map(str.isalpha, text)) and any(map(str.isdigit, text)) for text in texts)
    if 2 * numbers > len(texts):
        raise settings.UserError(
            f"text_column={text_column!r}: {numbers} of {len(texts)} texts in '{file}' are numbers only, such "
            f"as {short(texts.iloc[0])}. Choose the column with the sentences."
        )


def text_key(text: str) -> str:
    """Return what two texts share that differ in case, spaces and the composition of accents only."""
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())


def _merged(written: pd.Series) -> list[str]:
    """Describe the spellings of one label that differ in the spaces round it."""
    spellings: dict[str, list[str]] = {}
    for label, rows in written.value_counts(sort=False).items():
        spellings.setdefault(str(label).strip(), []).append(f"{short(str(label))} ({rows})")
    return [" and ".join(sorted(some)) for some in spellings.values() if len(some) > 1]


def _doubtful(class_names: Sequence[str]) -> list[str]:
    """Describe the classes that may be meant to be one, or none."""
    alike: dict[str | float, list[str]] = {}
    for name in class_names:
        value = delimited.number(name)
        # Characters of category Cf, such as a zero-width space, cannot be seen.
        seen = "".join(sign for sign in text_key(name) if sign != " " and unicodedata.category(sign) != "Cf")
        alike.setdefault(seen if value is None else value, []).append(short(name))
    return [" and ".join(names) for names in alike.values() if len(names) > 1]


def _files_below(folder: Path) -> dict[str, Path]:
    """Every file that is not hidden, under its name from the folder on, accents composed."""
    found = {}
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith("."):
                path = Path(place, name)
                found[unicodedata.normalize("NFC", path.relative_to(folder).as_posix())] = path
    return found


def _by_bare_name(inside: Mapping[str, Path]) -> dict[str, Path]:
    """The pictures under their names without suffix, as tables of picture numbers have them, where that tells one."""
    bare = [(name.removesuffix(file.suffix), file) for name, file in inside.items() if claims_to_be_picture(file)]
    often = Counter(name for name, _ in bare)
    return {name: file for name, file in bare if often[name] == 1}


def _require_inside(file: Path, base: Path, names: pd.Series) -> None:
    outside = [f"{short(name)} (line {line})" for line, name in names.items() if _leads_out(name)]
    if outside:
        raise settings.UserError(
            f"{len(outside)} of {len(names)} names in '{file}' lead out of '{base}': {', '.join(outside[:3])}. Write "
            "them relative to that folder, without .. and without the way from the root, or give another folder."
        )


def _leads_out(name: str) -> bool:
    """Whether a name is absolute, an address, or goes up, by the rules of any system."""
    windows = PureWindowsPath(name)
    return bool(windows.anchor) or name.startswith("~") or "://" in name or ".." in windows.parts


def _found(base: Path, name: str, known: Mapping[str, Path]) -> Path | None:
    """The file of exactly that name; Windows' separators and decomposed accents are other spellings of one name."""
    for spelt in (name, name.replace("\\", "/")):
        relative = PurePosixPath(spelt).as_posix()
        composed = known.get(unicodedata.normalize("NFC", relative))
        if composed is not None:
            return composed
        # Path.is_file would raise an error for a name that is too long, such as a text from another column.
        if os.path.isfile(base / relative):
            return base / relative
    return None


def _require_found(file: Path, base: Path, missing: Mapping[int, str], n: int, inside: Mapping[str, Path]) -> None:
    if not missing:
        return
    shown = ", ".join(f"{short(name)} (line {line})" for line, name in itertools.islice(missing.items(), 3))
    first = next(iter(missing.values()))
    near = _nearest(first, [*inside])
    hint = f" Nearest to {short(first)} is {short(near)}." if near else f" The folder holds {len(inside)} files."
    raise settings.UserError(
        f"{len(missing)} of {n} files that '{file}' names are not in '{base}': {shown}.{hint} Names count from that "
        "folder on and are exact, case included; only the suffix may be missing, where one picture fits. Correct the "
        "table, or give another folder or file_column."
    )


def _nearest(name: str, files: Sequence[str]) -> str:
    """The file whose name is the same but for case, folder or suffix, or the most similar one."""
    wanted = PurePosixPath(name.replace("\\", "/").casefold())
    for part in ("name", "stem"):
        for other in files:
            if getattr(PurePosixPath(other.casefold()), part) == getattr(wanted, part):
                return other
    alike = difflib.get_close_matches(name, itertools.islice(files, _COMPARED_AT_MOST), n=1)
    return alike[0] if alike else ""


def _unnamed(table: Path, base: Path, named: Iterable[Path], inside: Mapping[str, Path]) -> list[str]:
    """The files beside and below those that the table names, from the folder on that holds them all."""
    named = set(named)
    root = Path(os.path.commonpath([file.parent for file in named]))
    return [
        name
        for name, file in inside.items()
        if file.is_relative_to(root) and file not in named and not (file.name == table.name and file.samefile(table))
    ]
