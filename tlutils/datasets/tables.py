"""Bring labelled sentences into one form, from any table."""

from __future__ import annotations

import csv
import difflib
import io
import unicodedata
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tlutils import settings, store
from tlutils.datasets.examples import DoubtfulLabel, Sentences, group_numbers

_SEPARATORS = {"\t": "tab", ";": "semicolon", ",": "comma"}

# A class with at most this share of another, and a name at least this similar (difflib's ratio), may be a misspelling.
_RARE = 0.1
_SIMILAR = 0.8

# The comparison of spellings is quadratic in both.
_CLASSES_COMPARED = 200
_LETTERS_COMPARED = 100


class UnusableRow(UserWarning):
    """A row was left out because it has no text or no label."""


class DoubtfulClass(UserWarning):
    """Class names that may be meant to be one, or a header that was read as a sentence."""


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

    The separator, a tab, a semicolon or a comma, is the one that gives every row the same number of columns.
    Quotation marks enclose a field if every one that begins a field also ends it (RFC 4180); otherwise they are plain
    characters. The text is UTF-8, with or without byte order mark, or UTF-16 with it. Texts and labels stay as they
    are, letter by letter. Time and memory grow linearly with the file.

    Parameters
    ----------
    path : str or Path
    text_column, label_column : str or int
        Names from the first row. In a file without such a header: numbers, from 0. A number that is a name in the
        header means that name.

    Returns
    -------
    Sentences
        Classes in the order of their names, sentences in the order of their rows. Duplicates are kept, in one group.
        The other columns are under their names; one without a name of its own is under its number.

    Raises
    ------
    settings.UserError
        No such file; a file that is empty, no text or no table; a column that is not there; one column for both, or
        the two exchanged; fewer than two classes.

    Warns
    -----
    UnusableRow
        Names the lines that were left out because text or label is missing.
    DoubtfulClass
        Names classes that differ in case and spaces only, or of which a rare one is spelt almost like a common one.
        They are never merged.
    DoubtfulLabel
        Names lines with the same sentence under different labels.

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
    file = Path(path).expanduser()
    table, header, text_at, label_at = _located(file, _tables(file, _content(file)), text_column, label_column)
    names = [name.strip() for name in table.rows[0]] if header else []
    rows, lines = table.rows[header:], np.array(table.lines[header:], dtype=np.int64)
    usable = np.array([bool(row[text_at].strip() and row[label_at].strip()) for row in rows], dtype=bool)
    kept = [row for row, use in zip(rows, usable, strict=True) if use]
    left_out = [str(line) for line in lines[~usable]]
    texts, given = [row[text_at] for row in kept], [row[label_at] for row in kept]
    _require_classes(file, texts, given, left_out)

    class_names = tuple(sorted(set(given)))
    number = {name: label for label, name in enumerate(class_names)}
    labels = np.array([number[name] for name in given], dtype=np.int64)
    keys = [_key(text) for text in texts]
    others = {
        names[column] if header and names[column] and names.index(names[column]) == column else str(column): column
        for column in range(len(table.rows[0]))
        if column not in (text_at, label_at)
    }
    columns = {name: np.array([row[column] for row in kept], dtype=object) for name, column in others.items()}
    found = Sentences(file.stem, tuple(texts), labels, class_names, group_numbers(keys), columns)
    doubts = _doubtful_classes(found)
    if not header and usable[0] and found.counts[labels[0]] == 1 and len(texts[0].split()) == 1 and len(texts) > 2:
        doubts.append(f"the first row, {_short(texts[0])} with the label {_short(given[0])}, may be a header")
    for category, things, text in (
        (UnusableRow, left_out, "rows without text or label left out, in lines {}. Complete or delete them."),
        (DoubtfulClass, doubts, "doubtful class names: {}. Nothing was merged; correct the file if they are one."),
        (
            DoubtfulLabel,
            _contradictions(keys, given, lines[usable]),
            "the same sentence under different labels: {}. Delete the wrong rows.",
        ),
    ):
        if things:
            listed = settings.listed(things, ", " if things is left_out else "; ")
            warnings.warn(f"{file.name}: {text.format(listed)}", category, stacklevel=2)
    return found


def _content(file: Path) -> str:
    advice = "Give the path of a table with one sentence per row."
    if not file.exists():
        raise settings.UserError(f"'{file}' does not exist (looked from {Path.cwd()}). {advice}")
    if file.is_dir():
        raise settings.UserError(f"'{file}' is a folder, not a file. {advice}")
    try:
        content = file.read_bytes()
    except OSError as error:
        raise settings.UserError(f"'{file}' cannot be read ({error.strerror}). {advice}") from error
    encoding = "utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8"
    try:
        text = content.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = content[: error.start].decode(encoding, "ignore").count("\n") + 1
        raise settings.UserError(
            f"'{file}' is not {encoding.upper()} at byte {error.start} (counted from 0), in line {line}: "
            f"{content[error.start : error.start + 1]!r}. Save it as UTF-8 in an editor, or as CSV UTF-8 in a "
            f"spreadsheet, or convert it: iconv -f latin1 -t utf-8 {file.name} > new.csv"
        ) from None
    if "\0" in text:
        raise settings.UserError(
            f"'{file}' has NUL bytes, the first in line {text[: text.index(chr(0))].count(chr(10)) + 1}: it is no "
            "text, or UTF-16 without byte order mark. Save the table as CSV in UTF-8."
        )
    if not text.strip():
        raise settings.UserError(f"'{file}' is empty. {advice}")
    return text


@dataclass(frozen=True)
class _Table:
    """Rows of equal length, and the line of the file in which each begins."""

    rows: list[list[str]]
    lines: list[int]


def _tables(file: Path, text: str) -> list[list[_Table]]:
    """Read the text with every separator that gives all rows the same number of columns.

    Each has one reading or two: with quotation marks that enclose fields, then with marks that are plain characters.
    """
    found, reasons = [], []
    limit = csv.field_size_limit()
    csv.field_size_limit(max(limit, len(text)))
    try:
        for separator, name in _SEPARATORS.items():
            ways = [_table(text, separator, csv.QUOTE_MINIMAL), _table(text, separator, csv.QUOTE_NONE)]
            tables = [way for way in ways if isinstance(way, _Table)]
            if tables:
                found.append(tables)
            else:
                reasons.append(f"{name}: {ways[0] or ways[1]}")
    finally:
        csv.field_size_limit(limit)
    if not found:
        raise settings.UserError(
            f"'{file}' is no table: no separator gives every row the same number of columns, two or more "
            f"({'; '.join(reasons)}). Enclose texts that contain the separator in quotation marks and double those "
            "inside, or save the table with tabs."
        )
    return found


def _table(text: str, separator: str, quoting: Literal[0, 3]) -> _Table | str:
    """Read the text in one way, or say why it cannot be read so; "" where quotation marks do not pair."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, quoting=quoting, strict=True)
    table = _Table([], [])
    line = 1
    try:
        for row in reader:
            start, line = line, reader.line_num + 1
            if len(row) < 2 and not "".join(row).strip():
                continue
            if len(row) < 2:
                return f"1 column in line {start}"
            if table.rows and len(row) != len(table.rows[0]):
                return f"{len(table.rows[0])} columns in line {table.lines[0]}, {len(row)} in line {start}"
            table.rows.append(row)
            table.lines.append(start)
    except csv.Error:
        return ""
    return table


def _located(
    file: Path, readings: Sequence[Sequence[_Table]], text_column: str | int, label_column: str | int
) -> tuple[_Table, bool, int, int]:
    """Return the table that has both columns, whether its first row is a header, and where the columns are."""

    def labels(way: tuple[_Table, bool, int, int]) -> set[str]:
        return {row[way[3]] for row in way[0].rows}

    found, problems = [], []
    for tables in readings:
        ways = []
        for table in tables:
            try:
                ways.append((table, *_columns(file, table, str(text_column).strip(), str(label_column).strip())))
            except settings.UserError as error:
                problems.append(error)
        # Two stray marks may look like a pair that encloses whole rows. If what they enclose are rows like the others,
        # down to their labels, the marks are plain characters.
        if len(ways) == 2 and len(ways[1][0].rows) > len(ways[0][0].rows) and labels(ways[1]) <= labels(ways[0]):
            del ways[0]
        found += ways[:1]
    if not found:
        raise problems[0]
    # Where texts have as many commas in every row, say, the right separator is the one whose labels come back most.
    return min(found, key=lambda way: len(labels(way)))


def _columns(file: Path, table: _Table, text_column: str, label_column: str) -> tuple[bool, int, int]:
    """Return whether the first row is a header, and the positions of the two columns."""
    first, wanted = [cell.strip() for cell in table.rows[0]], (text_column, label_column)
    header = True
    if all(name.isdecimal() for name in wanted):
        # In a file without header, the first row may hold these numbers, such as the label 1; then they come back.
        header = all(name in first for name in wanted) and (
            all(not cell or cell.isdecimal() for cell in first)
            or label_column not in {row[first.index(label_column)].strip() for row in table.rows[1:]}
        )
    places = []
    for parameter, name in zip(("text_column", "label_column"), wanted, strict=True):
        if header and first.count(name) > 1:
            raise settings.UserError(f"{parameter}={name!r}: '{file}' has {first.count(name)} columns of that name.")
        if header and name in first:
            places.append(first.index(name))
        elif name.isdecimal() and int(name) < len(first):
            places.append(int(name))
        else:
            raise settings.UserError(f"{parameter}={name!r} is no column of '{file}'. {_choices(table, name)}")
    if places[0] == places[1]:
        raise settings.UserError(
            f"text_column={text_column!r} and label_column={label_column!r} are the same column of '{file}'. "
            f"{_choices(table, '')}"
        )
    return header, places[0], places[1]


def _choices(table: _Table, name: str) -> str:
    """Say which columns there are, and what to do if the first row is no header."""
    first = [cell.strip() for cell in table.rows[0]]
    numbers = f"the numbers 0 to {len(first) - 1}"
    data = any(
        cell.endswith((".", "!", "?")) or cell and cell in {row[at].strip() for row in table.rows[1:]}
        for at, cell in enumerate(first)
    )
    if data:
        return f"It seems to have no header; its first row is {settings.listed([*map(_short, first)])}. Give {numbers}."
    near = difflib.get_close_matches(name, first, n=1) if len(name) <= _LETTERS_COMPARED else []
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"Choose from {settings.listed([*map(_short, first)])}; if that is no header, give {numbers}.{hint}"


def _require_classes(file: Path, texts: Sequence[str], labels: Sequence[str], left_out: Sequence[str]) -> None:
    if not texts:
        lines = f"; without text or label: lines {settings.listed(left_out)}" if left_out else ""
        raise settings.UserError(
            f"'{file}' has no row with a text and a label{lines}. Add some, or choose other columns."
        )
    if len(set(texts)) < len(texts) / 10 and len(set(labels)) > len(labels) / 2:
        raise settings.UserError(
            f"'{file}' has {len(set(texts))} different texts and {len(set(labels))} different labels in {len(texts)} "
            "rows. Exchange text_column and label_column."
        )
    if len(set(labels)) < 2:
        raise settings.UserError(
            f"'{file}' has only one class, {_short(labels[0])}, in {len(labels)} rows. A classifier needs two classes "
            "or more: add sentences of another, or choose another label_column."
        )


def _key(text: str) -> str:
    """What two texts share that differ in case, spaces and the composition of accents only."""
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:57]}...")


def _doubtful_classes(found: Sentences) -> list[str]:
    """Describe the classes that may be meant to be one."""
    counts = dict(zip(found.class_names, found.counts.tolist(), strict=True))
    bare = {name: _key(name).replace(" ", "") for name in counts}
    same: dict[str, list[str]] = {}
    for name in counts:
        same.setdefault(bare[name], []).append(name)
    doubtful = [names for names in same.values() if len(names) > 1]
    if len(counts) <= _CLASSES_COMPARED:
        compared = [name for name in counts if len(name) <= _LETTERS_COMPARED]
        for common in compared:
            rare = [name for name in compared if counts[name] <= _RARE * counts[common]]
            similar = difflib.get_close_matches(common, rare, n=len(rare), cutoff=_SIMILAR) if rare else []
            doubtful += [[common, name] for name in similar if bare[common] != bare[name]]
    return [" and ".join(f"{_short(name)} ({counts[name]})" for name in names) for names in doubtful]


def _contradictions(keys: Sequence[str], labels: Sequence[str], lines: NDArray[np.int64]) -> list[str]:
    """Describe the pairs of rows with the same sentence and different labels."""
    first: dict[str, int] = {}
    pairs = []
    for row, key in enumerate(keys):
        other = first.setdefault(key, row)
        if labels[other] != labels[row]:
            pairs.append(" and ".join(f"line {lines[at]} ({_short(labels[at])})" for at in (other, row)))
    return pairs
