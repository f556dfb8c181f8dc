"""Read the rows of a table in a text file, whatever separates its cells, and find the columns that are asked for."""

from __future__ import annotations

import csv
import difflib
import io
import re
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from tlutils import settings
from tlutils.datasets import table_kinds

if TYPE_CHECKING:
    import pandas as pd

_SEPARATORS = {"\t": "tab", ";": "semicolon", ",": "comma", "|": "pipe"}
# The longer marks first: that of UTF-16 is the beginning of that of UTF-32.
_MARKS = {b"\xff\xfe\0\0": "utf-32", b"\0\0\xfe\xff": "utf-32", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
# Excel's way to tell itself the separator.
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?[ \t;,|]*(?:\r\n|\n|\r)', re.IGNORECASE)
# A mark after an odd number of backslashes, as MySQL and PHP escape it.
_ESCAPED_MARK = re.compile(r'(?<!\\)((?:\\\\)*)\\"')
_ENCLOSED = re.compile(r'\s*"(.*)"\s*', re.DOTALL)
_NUMBER = re.compile(r"[+-]?(?:\d+[.,]?\d*|[.,]\d+)(?:e[+-]?\d+)?", re.ASCII | re.IGNORECASE)

# Names that headers usually have, as `plain` writes them.
TEXTS = ("sentence", "text", "review", "message", "comment", "tweet", "content", "body", "title", "document")
LABELS = ("label", "class", "target", "category", "diagnosis", "classname", "labels", "dx", "sentiment", "y")
FILES = ("file", "filename", "path", "filepath", "image", "imagename", "imagepath", "imageid", "picture", "id")


class Table(NamedTuple):
    """The rows under the line in which each ends, a name for each column, and where those are that were asked for."""

    cells: pd.DataFrame
    names: list[str]
    places: tuple[int, ...]
    header_taken: Sequence[str]
    joined: Sequence[str]

    @property
    def labels(self) -> set[str]:
        """The different cells of the last column that was asked for."""
        return set(self.cells[self.places[-1]])


def read(file: Path, columns: Mapping[str, str | Sequence[str]], advice: str) -> Table:
    """Read a file with the separator and the use of quotation marks that give a table with the columns.

    Parameters
    ----------
    file : Path
    columns : mapping of str to str or sequence of str
        For each parameter the name or number that the reader gave, or names to choose from as `plain` writes them. The
        labels come last.
    advice : str
        What file to give instead of one that cannot be used.

    Returns
    -------
    Table
        ``header_taken`` is the first row, if it was taken for a header although numbers were given; ``joined`` says
        where a cell looks as if quotation marks had joined rows.

    Raises
    ------
    settings.UserError
    """
    content = _content(file, advice)
    said = _SEPARATOR_LINE.match(content)
    content, separator, before = (content[said.end() :], said[1], 1) if said else (content, "", 0)
    found: list[Table] = []
    reasons: dict[str, list[str]] = {}
    problems: list[settings.UserError] = []
    for mark in separator or _SEPARATORS:
        if mark not in content:
            continue
        ways: list[Table] = []
        for rows in _readings(content, mark, before, reasons.setdefault(_SEPARATORS.get(mark, repr(mark)), [])):
            try:
                ways.append(_located(file, rows, mark, columns))
            except settings.UserError as error:
                problems.append(error)
        # Two stray marks may look like a pair that encloses whole rows. If what they enclose are rows like the others,
        # down to their labels, the marks are plain characters.
        if len(ways) == 2 and len(ways[1].cells) > len(ways[0].cells) and ways[1].labels <= ways[0].labels:
            del ways[0]
        found += ways[:1]
    if found:
        # Where texts have as many commas in every row, say, the right separator is the one whose labels come back most.
        return min(found, key=lambda way: len(way.labels))
    if problems:
        raise problems[0]
    looked = repr(separator) if separator else ", ".join(_SEPARATORS.values())
    told = "; ".join(f"{name}: {reason[0]}" for name, reason in reasons.items()) or f"looked for {looked}, found none"
    raise settings.UserError(
        f"'{file}' is no table: no separator gives every row the same number of columns, two or more ({told}). "
        "Enclose texts that contain the separator in quotation marks and double those inside, delete lines above and "
        "below the table, or save it with tabs."
    )


def plain(name: str) -> str:
    """Write a column's name without what makes spellings differ: case, spaces, underscores, hyphens."""
    return re.sub(r"[\W_]+", "", name.casefold())


def _content(file: Path, advice: str) -> str:
    try:
        content = file.read_bytes()
    except OSError as error:
        why = "it is a folder" if file.is_dir() else f"{error.strerror}; looked from {Path.cwd()}"
        raise settings.UserError(f"'{file}' cannot be read ({why}). {advice}") from error
    if told := table_kinds.told(file, content[: 2**20]):
        raise settings.UserError(told)
    encoding = next((name for mark, name in _MARKS.items() if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding).lstrip("\ufeff")
    except UnicodeDecodeError as error:
        raise settings.UserError(_undecodable(file, content, encoding, error.start)) from None
    if "\0" in text:
        # Every second byte of Western text in UTF-16 is zero.
        quoted = shlex.quote(str(file))
        zeros = [content[start::2].count(0) for start in (0, 1)]
        if max(zeros) > len(content) // 4:
            guess = "utf-16le" if zeros[1] > zeros[0] else "utf-16be"
            what = f"it is UTF-16 without byte order mark. Convert it: iconv -f {guess} -t utf-8 {quoted} > new.csv"
        else:
            what = f"text has none. Save the table as CSV UTF-8, or take them out: tr -d '\\000' < {quoted} > new.csv"
        line = text[: text.index("\0")].count("\n") + 1
        raise settings.UserError(f"'{file}' has NUL bytes, the first in line {line}: {what}")
    if not text.strip():
        raise settings.UserError(f"'{file}' is empty. {advice}")
    return text


def _undecodable(file: Path, content: bytes, encoding: str, start: int) -> str:
    line = content[:start].decode(encoding, "ignore").count("\n") + 1
    message = f"'{file}' is not {encoding.upper()} at byte {start} (counted from 0), in line {line}"
    again = "Save it as UTF-8 in an editor, or as CSV UTF-8 in a spreadsheet program"
    if encoding != "utf-8":
        return f"{message}; perhaps it is cut. Fetch it again. {again}."
    before, after = (
        re.split("[\r\n]", part.decode("cp1252", "replace")) for part in (content[:start][-20:], content[start:][:20])
    )
    return (
        f"{message}: {content[start : start + 1]!r}. {again}, or convert it. Read as Windows-1252, the usual one in "
        f"Western Europe, it says {before[-1] + after[0]!r} there; if that is right: "
        f"iconv -f cp1252 -t utf-8 {shlex.quote(str(file))} > new.csv; for other languages another name, such as "
        "cp1251 or gbk, takes the place of cp1252."
    )


def _readings(content: str, separator: str, before: int, reasons: list[str]) -> Iterator[dict[int, list[str]]]:
    """Read the rows with quotation marks that enclose cells, and with plain ones where that may be another reading."""
    quoted = None
    # A text has no NUL, which so can stand for an escaped mark while the others are told apart.
    escaped = [_ESCAPED_MARK.sub("\\1\0", content)] if '\\"' in content else []
    for text in (content, *escaped):
        try:
            quoted = _rows(text, separator, csv.QUOTE_MINIMAL, before)
        except csv.Error as error:
            reasons.append(str(error))
        else:
            if text is not content:
                quoted = {line: [cell.replace("\0", '"') for cell in row] for line, row in quoted.items()}
            yield quoted
            break
    if quoted is None or any("\n" in cell or "\r" in cell for row in quoted.values() for cell in row):
        try:
            yield _without_outer_marks(_rows(content, separator, csv.QUOTE_NONE, before))
        except csv.Error as error:
            reasons.append(str(error))


def _rows(content: str, separator: str, quoting: Literal[0, 3], before: int) -> dict[int, list[str]]:
    """Read rows of equal length, each under the line in which it ends; blank rows are passed over.

    pandas.read_csv would drop quotation marks that do not pair, or join the rows between them, and fill short rows up;
    the csv module refuses the one, and this function the other.
    """
    rows: dict[int, list[str]] = {}
    line = before
    limit = csv.field_size_limit(len(content))
    try:
        reader = csv.reader(io.StringIO(content, newline=""), delimiter=separator, quoting=quoting, strict=True)
        for row in reader:
            line = before + reader.line_num
            if "".join(row).strip():
                rows[line] = row
    except csv.Error as error:
        raise csv.Error(f"{error}, in the row that begins in line {line + 1}") from None
    finally:
        csv.field_size_limit(limit)
    if not rows:
        raise csv.Error("all cells are empty")
    width = usual = Counter(map(len, rows.values())).most_common(1)[0][0]
    # Spreadsheets write columns without a single entry behind the last one, in all rows or in some.
    while not any(row[width - 1].strip() for row in rows.values() if len(row) == usual):
        width -= 1
    wrong = {
        line: row
        for line, row in rows.items()
        if len(row) < width or (len(row) > width and "".join(row[width:]).strip())
    }
    if wrong or width < 2:
        told = settings.listed([f"line {line} ({len(row)})" for line, row in wrong.items()])
        columns = f"{width} column{'s' if width > 1 else ''}"
        raise csv.Error(
            f"{columns} in most rows" + (f", but not in {len(wrong)} of {len(rows)}: {told}" if wrong else "")
        )
    return {line: row[:width] for line, row in rows.items()}


def _without_outer_marks(rows: dict[int, list[str]]) -> dict[int, list[str]]:
    """Take the marks off that enclose every cell of a column, which somebody wrote without doubling those inside."""
    first, *others = rows.values()
    for at in range(len(first)):
        if others and all(_ENCLOSED.fullmatch(row[at]) for row in others):
            for row in rows.values():
                if found := _ENCLOSED.fullmatch(row[at]):
                    row[at] = _ESCAPED_MARK.sub(r'\1"', found[1]).replace('""', '"')
    return rows


def _located(
    file: Path, rows: dict[int, list[str]], separator: str, columns: Mapping[str, str | Sequence[str]]
) -> Table:
    """Tell whether the first row is a header, and find the columns."""
    import pandas as pd

    rows = _with_labels(rows) if [*columns.values()][-1] == LABELS else rows
    first = [cell.strip() for cell in next(iter(rows.values()))]
    given = [name for name in columns.values() if isinstance(name, str)]
    # A header of numbers is what pandas gives a table without names of its own.
    header = (
        len(given) < len(columns)
        or not all(name.isdecimal() for name in given)
        or (set(given) <= set(first) and all(not cell or cell.isdecimal() for cell in first))
    )
    places = tuple(_place(file, parameter, name, first, header) for parameter, name in columns.items())
    if len(set(places)) < len(places):
        found = [
            name if isinstance(name, str) else first[at] for name, at in zip(columns.values(), places, strict=True)
        ]
        same = " and ".join(f"{parameter}={name!r}" for parameter, name in zip(columns, found, strict=True))
        raise settings.UserError(f"{same} are the same column of '{file}'. {_choices(first)}")
    taken = not header and _is_header(list(rows.values()), *places)
    header = header or taken
    cells = pd.DataFrame(list(rows.values()), index=list(rows), dtype=object).iloc[int(header) :]
    names = [cell if header and cell and first.index(cell) == at else str(at) for at, cell in enumerate(first)]
    return Table(cells, names, places, [*map(short, first)] if taken else [], _joined(rows, separator, places[-1]))


def _with_labels(rows: dict[int, list[str]]) -> dict[int, list[str]]:
    """Add a column of labels where there is none, but one column for each class with a single 1 in each row."""
    (top, header), *others = rows.items()
    names = [cell.strip() for cell in header]
    values = {line: [number(cell) for cell in row] for line, row in others}
    classes = [at for at in range(len(names)) if all(row[at] in (0, 1) for row in values.values())]
    single = all(sum(row[at] == 1 for at in classes) == 1 for row in values.values())
    if {plain(name) for name in names} & set(LABELS) or not others or len(classes) < 2 or not single:
        return rows
    labels = {line: next(names[at] for at in classes if row[at] == 1) for line, row in values.items()}
    return {top: [*header, LABELS[0]]} | {line: [*row, labels[line]] for line, row in others}


def _joined(rows: dict[int, list[str]], separator: str, label: int) -> list[str]:
    """Name the rows with a cell of several lines of which one is like a row, down to its label."""
    labels = {row[label] for row in rows.values()}
    return [
        f"the row that ends in line {line}"
        for line, row in rows.items()
        for cell in row
        if ("\n" in cell or "\r" in cell)
        and any(
            len(parts) == len(row) and parts[label] in labels
            for parts in (part.split(separator) for part in re.split("[\r\n]+", cell))
        )
    ]


def _place(file: Path, parameter: str, name: str | Sequence[str], first: Sequence[str], header: bool) -> int:
    if not isinstance(name, str):
        spelt = [plain(cell) for cell in first]
        usual = next((spelt.index(one) for one in name if one in spelt), None)
        if usual is None:
            raise settings.UserError(
                f"'{file}' has no column with a usual name ({settings.listed(name)}). Give that name to the right one "
                f"in its first row, {settings.listed([*map(short, first)])}; if that is no header but the first row of "
                f"the data, write one above it. In Python, {parameter} chooses a column."
            )
        return usual
    if header and first.count(name) > 1:
        raise settings.UserError(f"{parameter}={name!r}: '{file}' has {first.count(name)} columns of that name.")
    if header and name in first:
        return first.index(name)
    if name.isdecimal() and int(name) < len(first):
        return int(name)
    cells = {plain(cell): cell for cell in first if cell}
    near = difflib.get_close_matches(plain(name), cells, n=1)
    raise settings.UserError(
        f"{parameter}={name!r} is no column of '{file}'. {_choices(first)}"
        + (f" Did you mean {cells[near[0]]!r}?" if near else "")
    )


def _choices(first: Sequence[str]) -> str:
    return (
        f"Choose from its first row, {settings.listed([*map(short, first)])}; if that is no header but the first row "
        f"of the data, give the numbers 0 to {len(first) - 1}."
    )


def _is_header(rows: Sequence[Sequence[str]], text: int, label: int) -> bool:
    """Whether the first row names the columns, although the reader gave numbers.

    Its label must be on no other row. Beside that it has usual names, or the labels are numbers and this one is not,
    or they recur and the texts below are of several words where this one is a word.
    """
    name, title, others = rows[0][label].strip(), rows[0][text].strip(), rows[1:]
    labels = Counter(row[label].strip() for row in others)
    if not name or name in labels:
        return False
    if plain(name) in LABELS or plain(title) in (*TEXTS, *FILES):
        return True
    if not others:
        return False
    if number(name) is None and all(number(other) is not None for other in labels):
        return True
    longer = sum(len(row[text].split()) > 1 for row in others)
    return len(title.split()) == 1 and min(labels.values()) > 1 and 2 * longer > len(others)


def number(text: str) -> float | None:
    """The value of a number in Western digits, with decimal point or comma, or None.

    Examples
    --------
    >>> number(" 01,50 "), number("1_0"), number("one")
    (1.5, None, None)
    """
    return float(text.replace(",", ".")) if _NUMBER.fullmatch(text.strip()) else None


def short(text: str) -> str:
    """Quote a text for a message, at most 60 characters of it."""
    return repr(text if len(text) <= 60 else f"{text[:57]}...")
