"""Bring labelled sentences into one form, from any table."""

from __future__ import annotations

import csv
import difflib
import io
import unicodedata
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from tlutils import settings, store
from tlutils.datasets.examples import DoubtfulLabel, Sentences, contradictions, group_numbers

if TYPE_CHECKING:
    import pandas as pd

_SEPARATORS = {"\t": "tab", ";": "semicolon", ",": "comma"}


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
    are, letter by letter.

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
        No such file; a file that is empty, no text or no table; a column that is not there; one column for both; fewer
        than two classes.

    Warns
    -----
    UserWarning
        Names the lines of rows that were left out because text or label is missing, and classes that differ in case
        and spaces only; they are not merged.
    DoubtfulLabel
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
    table, names, text, label = _read(file, _content(file), str(text_column).strip(), str(label_column).strip())
    whole = table[(table[text].str.strip() != "") & (table[label].str.strip() != "")]
    left_out = [str(line) for line in table.index.difference(whole.index)]
    labels, class_names = pd.factorize(whole[label], sort=True)
    _require_two_classes(file, class_names, left_out)
    keys = [_key(sentence) for sentence in whole[text]]
    rows = [f"line {line} ({_short(given)})" for line, given in whole[label].items()]
    for category, things, what in (
        (UserWarning, left_out, "rows without text or label left out, in lines {}. Complete or delete them."),
        (UserWarning, _doubtful(class_names), "doubtful class names: {}. Correct the file if they are one."),
        (
            DoubtfulLabel,
            contradictions(rows, keys, labels),
            "the same sentence under different labels: {}. Delete the wrong rows.",
        ),
    ):
        if things:
            warnings.warn(f"{file.name}: {what.format(settings.listed(things))}", category, stacklevel=2)
    columns = {name: whole[at].to_numpy() for at, name in enumerate(names) if at not in (text, label)}
    return Sentences(file.stem, tuple(whole[text]), labels, tuple(class_names), group_numbers(keys), columns)


def _content(file: Path) -> str:
    advice = "Give the path of a table with one sentence per row."
    try:
        content = file.read_bytes()
    except OSError as error:
        why = "it is a folder" if file.is_dir() else f"{error.strerror}; looked from {Path.cwd()}"
        raise settings.UserError(f"'{file}' cannot be read ({why}). {advice}") from error
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


class _Reading(NamedTuple):
    """The rows under the line in which each ends, a name for each column, and where the two columns are."""

    table: pd.DataFrame
    names: list[str]
    text: int
    label: int

    @property
    def labels(self) -> set[str]:
        return set(self.table[self.label])


def _read(file: Path, content: str, text_column: str, label_column: str) -> _Reading:
    """Read the content with the separator and the use of quotation marks that give a table with both columns."""
    found: list[_Reading] = []
    reasons: list[str] = []
    problems: list[settings.UserError] = []
    for separator, name in _SEPARATORS.items():
        ways = []
        for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_NONE):
            try:
                ways.append(_located(file, _rows(content, separator, quoting), text_column, label_column))
            except settings.UserError as error:
                problems.append(error)
            except csv.Error as error:
                reasons.append(f"{name}: {error}")
        # Two stray marks may look like a pair that encloses whole rows. If what they enclose are rows like the others,
        # down to their labels, the marks are plain characters.
        if len(ways) == 2 and len(ways[1].table) > len(ways[0].table) and ways[1].labels <= ways[0].labels:
            del ways[0]
        found += ways[:1]
    if found:
        # Where texts have as many commas in every row, say, the right separator is the one whose labels come back most.
        return min(found, key=lambda way: len(way.labels))
    if problems:
        raise problems[0]
    raise settings.UserError(
        f"'{file}' is no table: no separator gives every row the same number of columns, two or more "
        f"({'; '.join(dict.fromkeys(reasons))}). Enclose texts that contain the separator in quotation marks and "
        "double those inside, or save the table with tabs."
    )


def _rows(content: str, separator: str, quoting: Literal[0, 3]) -> dict[int, list[str]]:
    """Read rows of equal length, each under the line in which it ends; blank lines are passed over.

    pandas.read_csv would drop quotation marks that do not pair, or join the rows between them, and fill short rows up;
    the csv module refuses the one, and this function the other.
    """
    rows: dict[int, list[str]] = {}
    limit = csv.field_size_limit(len(content))
    try:
        reader = csv.reader(io.StringIO(content, newline=""), delimiter=separator, quoting=quoting, strict=True)
        for row in reader:
            if len(row) > 1 or "".join(row).strip():
                rows[reader.line_num] = row
    finally:
        csv.field_size_limit(limit)
    lengths: dict[int, int] = {}
    for line, row in rows.items():
        lengths.setdefault(len(row), line)
    if len(lengths) > 1 or 1 in lengths:
        told = [f"{length} column{'s' if length > 1 else ''} in line {line}" for length, line in lengths.items()]
        raise csv.Error(", ".join(told[:2]))
    return rows


def _located(file: Path, rows: dict[int, list[str]], text_column: str, label_column: str) -> _Reading:
    """Tell whether the first row is a header, and find the two columns."""
    import pandas as pd

    first = [cell.strip() for cell in next(iter(rows.values()))]
    wanted = {"text_column": text_column, "label_column": label_column}
    # A header of numbers is what pandas gives a table without names of its own.
    header = not all(name.isdecimal() for name in wanted.values()) or (
        set(wanted.values()) <= set(first) and all(not cell or cell.isdecimal() for cell in first)
    )
    places = []
    for parameter, name in wanted.items():
        if header and first.count(name) > 1:
            raise settings.UserError(f"{parameter}={name!r}: '{file}' has {first.count(name)} columns of that name.")
        if header and name in first:
            places.append(first.index(name))
        elif name.isdecimal() and int(name) < len(first):
            places.append(int(name))
        else:
            near = difflib.get_close_matches(name, first, n=1)
            raise settings.UserError(
                f"{parameter}={name!r} is no column of '{file}'. {_choices(first)}"
                + (f" Did you mean {near[0]!r}?" if near else "")
            )
    if places[0] == places[1]:
        raise settings.UserError(
            f"text_column={text_column!r} and label_column={label_column!r} are the same column of '{file}'. "
            f"{_choices(first)}"
        )
    table = pd.DataFrame(list(rows.values()), index=list(rows), dtype=object).iloc[int(header) :]
    names = [cell if header and cell and first.index(cell) == at else str(at) for at, cell in enumerate(first)]
    return _Reading(table, names, *places)


def _choices(first: Sequence[str]) -> str:
    return (
        f"Choose from its first row, {settings.listed([*map(_short, first)])}; if that is no header but a sentence and "
        f"its label, give the numbers 0 to {len(first) - 1}."
    )


def _require_two_classes(file: Path, class_names: Sequence[str], left_out: Sequence[str]) -> None:
    if not len(class_names):
        lines = f"; without text or label: lines {settings.listed(left_out)}" if left_out else ""
        raise settings.UserError(
            f"'{file}' has no row with a text and a label{lines}. Add some, or choose other columns."
        )
    if len(class_names) < 2:
        raise settings.UserError(
            f"'{file}' has only one class, {_short(class_names[0])}. A classifier needs two classes or more: add "
            "sentences of another, or choose another label_column."
        )


def _key(text: str) -> str:
    """What two texts share that differ in case, spaces and the composition of accents only."""
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:57]}...")


def _doubtful(class_names: Sequence[str]) -> list[str]:
    """Describe the classes that may be meant to be one."""
    alike: dict[str, list[str]] = {}
    for name in class_names:
        alike.setdefault(_key(name).replace(" ", ""), []).append(_short(name))
    return [" and ".join(names) for names in alike.values() if len(names) > 1]
