"""Tables of sentences: every row arrives as it was written, and what cannot be used is said."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import pickle
import re
import subprocess
import sys
import time
import warnings
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tlutils import datasets, settings
from tlutils.datasets import tables
from tlutils.settings import UserError

HEADED = "sentence,label\nIt glows.,good\nIt broke.,bad\n"


def table(folder: Path, content: str | bytes, name: str = "lamps.csv") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(folder: Path, content: str | bytes, text: str | int = "sentence", label: str | int = "label"):
    """Read without a warning, as the caller's (text, label) pairs."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = tables.from_csv(table(folder, content), text, label)
    return pairs(found)


def pairs(found: datasets.Sentences) -> list[tuple[str, str]]:
    return [(text, found.class_names[label]) for text, label in zip(found.texts, found.labels, strict=True)]


LAMPS = [("It glows.", "good"), ("It broke.", "bad")]
# What a reader of tables may take for its own: separators, marks, and line ends of every kind, as text.
cell = st.text(st.sampled_from('ab \t;,|"\\\r\n\x0b\x1c\x85\u2028é'), max_size=8).filter(str.strip)


@given(
    rows=st.lists(st.tuples(cell, cell), min_size=2, max_size=8).filter(
        lambda rows: len({label.strip() for _, label in rows}) > 1
    ),
    separator=st.sampled_from("\t;,|"),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
@example(rows=[('"', ","), ('a "b" c', ";")], separator=",", quoting=csv.QUOTE_MINIMAL)
@example(rows=[(",\n", "x"), (" a\r", "y ")], separator=",", quoting=csv.QUOTE_MINIMAL)
@example(rows=[("a;b", "x"), ("c;d", "y")], separator=",", quoting=csv.QUOTE_MINIMAL)
@hypothesis_settings(
    deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)
def test_whatever_a_csv_writer_wrote_comes_back_but_for_the_spaces_round_labels(tmp_path, rows, separator, quoting):
    # A text that contains the end of one row and the beginning of another cannot be told from stray quotation marks.
    assume(not any(f"{separator}{label}" in text and set("\r\n") & set(text) for text, _ in rows for _, label in rows))
    target = io.StringIO(newline="")
    csv.writer(target, delimiter=separator, quoting=quoting).writerows([("sentence", "label"), *rows])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = tables.from_csv(table(tmp_path, target.getvalue()), "sentence", "label")
    assert pairs(found) == [(text, label.strip()) for text, label in rows]


@pytest.mark.parametrize("name", ["amazon_cells", "imdb", "yelp"])
def test_real_reviews_with_stray_quotation_marks_give_all_thousand_rows(real_data, name):
    path = real_data / "text" / f"{name}_labelled.txt"
    found = tables.from_csv(path, "1", "2")
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").split("\n") if line]
    assert len(found) == 1000
    assert pairs(found) == [(text, label) for _, text, label in rows]
    assert found.columns["0"].tolist() == [site for site, _, _ in rows]


def test_the_reviews_of_the_course_are_balanced_in_every_domain():
    found = tables.reviews()
    assert repr(found) == "reviews: 552 sentences, 2 classes (negative: 276, positive: 276)"
    for domain in ("books", "hotels", "kitchen"):
        assert found.subset(found.columns["domain"] == domain).counts.tolist() == [92, 92]
    assert set(found.columns["phenomenon"]) == {"plain", "negation", "irony", "mixed"}


def test_reviews_with_other_bytes_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(settings, "DATA", tmp_path)
    table(tmp_path, json.dumps({"reviews.csv": "sha256:" + "0" * 64}), "checksums.json")
    table(tmp_path, HEADED, "reviews.csv")
    with pytest.raises(UserError, match=r"reviews\.csv has other bytes"):
        tables.reviews()


@pytest.mark.parametrize("separator", ["\t", ";", ",", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_separator_and_encoding_are_found(tmp_path, separator, encoding):
    content = HEADED.replace(",", separator).replace("glows", "glüht — 灯")
    assert read(tmp_path, content.encode(encoding)) == [("It glüht — 灯.", "good"), LAMPS[1]]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_kind_of_line_end_and_blank_lines_are_read(tmp_path, end):
    assert read(tmp_path, HEADED.replace("\n", end + end)) == LAMPS


def test_stray_quotation_marks_swallow_no_rows(tmp_path):
    rows = [('"Hello there', "good"), ("It broke.", "bad"), ('as large as 5"', "good"), ('a "real" lamp', "bad")]
    for some in (rows[:3], rows, [rows[0], rows[1], rows[3]], [*rows, ("so so", "bad")]):
        some = [*some, ("last", "good"), ("least", "bad")]
        assert read(tmp_path, "".join(f"{text}\t{label}\n" for text, label in some), 0, 1) == some


def test_quotation_marks_that_pair_enclose_fields_also_beside_words_in_quotes(tmp_path):
    content = 'sentence,label\n"Nice, really\nnice",good\nHe said "wow" twice,bad\n'
    assert read(tmp_path, content) == [("Nice, really\nnice", "good"), ('He said "wow" twice', "bad")]


@pytest.mark.parametrize(("text", "label"), [("0", "1"), (0, 1), ("0", 1)])
def test_without_header_numbers_choose_columns_and_the_first_row_is_a_sentence(tmp_path, text, label):
    assert read(tmp_path, "It glows.,good\nIt broke.,bad\n", text, label) == LAMPS


def test_a_number_means_a_header_of_that_name_first(tmp_path):
    assert read(tmp_path, "1,0\ngood,It glows.\nbad,It broke.\n", "0", "1") == LAMPS
    assert read(tmp_path, "1,2,sentence\nx,good,It glows.\nx,bad,It broke.\n", "sentence", "2") == LAMPS
    assert read(tmp_path, HEADED, "sentence", 1) == LAMPS


def test_a_first_row_whose_label_is_such_a_number_is_still_a_sentence(tmp_path):
    content = "yelp\tGood.\t1\nyelp\tBad.\t0\nyelp\tFine.\t1\n"
    assert read(tmp_path, content, "1", "2") == [("Good.", "1"), ("Bad.", "0"), ("Fine.", "1")]
    content = "1\tGood.\t2\n2\tBad.\t1\n3\tFine.\t2\n"
    assert read(tmp_path, content, "1", "2") == [("Good.", "2"), ("Bad.", "1"), ("Fine.", "2")]


@pytest.mark.parametrize(("separator", "other"), [(",", ";"), (";", ",")])
def test_the_separator_is_the_one_whose_labels_come_back(tmp_path, separator, other):
    rows = [(f"Yes{other} well", "good"), (f"No{other} not", "bad"), (f"Oh{other} my", "good")]
    assert read(tmp_path, "".join(f"{text}{separator}{label}\n" for text, label in rows), 0, 1) == rows


def test_other_columns_keep_their_names_or_take_their_numbers(tmp_path):
    content = "site,sentence,,label,site\na,It glows.,b,good,c\nd,It broke.,e,bad,f\n"
    found = tables.from_csv(table(tmp_path, content), "sentence", "label")
    assert {name: values.tolist() for name, values in found.columns.items()} == {
        "site": ["a", "d"],
        "2": ["b", "e"],
        "4": ["c", "f"],
    }
    assert all(values.dtype == object for values in found.columns.values())


def test_equal_sentences_share_a_group_whatever_their_case_spaces_and_accents(tmp_path):
    texts = ["Un café  noir", "un cafe\u0301 NOIR ", "un cafe noir", "STRASSE", "Straße"]
    content = "sentence\tlabel\n" + "".join(f"{text}\t{k}\n" for text, k in zip(texts, "aabcc", strict=True))
    groups = tables.from_csv(table(tmp_path, content), "sentence", "label").groups
    assert groups[0] == groups[1] and groups[3] == groups[4]
    assert len(set(groups.tolist())) == 3


def test_rows_without_text_or_label_are_left_out_with_their_lines(tmp_path):
    content = HEADED + '"Two\nlines",good\n  ,bad\nNo label,\n'
    with pytest.warns(tables.PassedOver, match="2 of 5 rows left out.*line 6, line 7") as caught:
        found = tables.from_csv(table(tmp_path, content), "sentence", "label")
    assert pairs(found) == [*LAMPS, ("Two\nlines", "good")]
    assert [warning.filename for warning in caught] == [__file__]


@pytest.mark.parametrize("other", ["Good", "go od", "good\u200b"])
def test_classes_that_differ_in_case_and_spaces_only_are_named_and_not_merged(tmp_path, other):
    content = HEADED + f"It shines.,{other}\nIt is fine.,goods\n"
    with pytest.warns(datasets.DoubtfulLabel, match="doubtful class names") as caught:
        found = tables.from_csv(table(tmp_path, content), "sentence", "label")
    [message] = [str(warning.message) for warning in caught]
    assert "'good'" in message and repr(other) in message and "'bad'" not in message and "'goods'" not in message
    assert set(found.class_names) == {"good", "bad", "goods", other}


def test_the_same_sentence_under_two_labels_is_named_with_its_lines(tmp_path):
    with pytest.warns(datasets.DoubtfulLabel, match=r"line 2 \('good'\) and line 4 \('bad'\)"):
        tables.from_csv(table(tmp_path, HEADED + "it  GLOWS.,bad\n"), "sentence", "label")


@pytest.mark.parametrize(
    ("content", "columns", "message"),
    [
        ("", ("sentence", "label"), "is empty"),
        (" \n\n", ("sentence", "label"), "is empty"),
        ("\ufeff", ("sentence", "label"), "is empty"),
        ("a,b\nc\0,d\n", ("a", "b"), "NUL bytes, the first in line 2"),
        (HEADED.encode("utf-16-le"), ("sentence", "label"), "NUL.*UTF-16 without byte order mark.*utf-16le"),
        (HEADED.encode("utf-16-be"), ("sentence", "label"), "utf-16be"),
        (
            HEADED.replace("broke", "fällt").encode("latin1"),
            ("sentence", "label"),
            r"byte 34 .*line 3: b'\\xe4'.*it says 'It fällt.,bad' there.*iconv -f cp1252",
        ),
        (b"\xff\xfea", ("sentence", "label"), "not UTF-16"),
        ("one column\nonly\n", ("sentence", "label"), "no table.*looked for tab, semicolon, comma, pipe, found none"),
        (
            HEADED + "Oh, well, it glows,good\n",
            ("sentence", "label"),
            r"comma: 2 columns in most rows, but not in 1 of 4: line 4 \(4\)",
        ),
        (HEADED, ("sentense", "label"), "text_column='sentense'.*'sentence', 'label'; .*mean 'sentence'"),
        (HEADED, ("sentence", 2), "label_column='2'.*0 to 1"),
        (HEADED, ("sentence", -1), "label_column='-1'"),
        (HEADED, (0.5, 1), "text_column='0.5'"),
        (HEADED, (0, 0), "same column"),
        (HEADED, ("label", "label"), "same column"),
        ("It glows.,good\nIt broke.,bad\n", ("sentence", "label"), "first row, 'It glows.', 'good'; .*numbers 0 to 1"),
        ("a,a\nb,c\n", ("a", "c"), "2 columns of that name"),
        ("sentence,label\nIt glows.,good\nIt shines.,good\n", ("sentence", "label"), "only one class, 'good'"),
        ("sentence,label\n", ("sentence", "label"), "no row with an entry in both columns"),
        ("sentence,label\n,good\nIt broke.,\n", ("sentence", "label"), "no row.*line 2, line 3"),
        (
            'sentence,label\nfine,good\n"He said "no", really",bad\nIt glows.,good\n',
            ("sentence", "label"),
            "comma: ',' expected.*row that begins in line 3",
        ),
    ],
)
def test_a_table_that_cannot_be_used_says_why_and_what_to_do(tmp_path, content, columns, message):
    with pytest.raises(UserError, match=f"(?s){message}") as caught:
        tables.from_csv(table(tmp_path, content), *columns)
    assert "lamps.csv" in str(caught.value)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(UserError, match="none.csv' cannot be read .No such file.*looked from"):
        tables.from_csv(tmp_path / "none.csv", 0, 1)
    with pytest.raises(UserError, match="cannot be read .it is a folder"):
        tables.from_csv(tmp_path, 0, 1)


def test_a_cell_beyond_the_limit_of_csv_is_read_in_a_moment_and_the_limit_stays(tmp_path):
    limit, long = csv.field_size_limit(), 'a "b" c' * 40_000
    target = io.StringIO(newline="")
    csv.writer(target).writerows([("sentence", "label"), (long, "good"), ("short", long)])
    start = time.perf_counter()
    assert read(tmp_path, target.getvalue()) == [(long, "good"), ("short", long)]
    assert time.perf_counter() - start < 5
    assert csv.field_size_limit() == limit
    with pytest.raises(UserError) as caught:
        tables.from_csv(table(tmp_path, target.getvalue()), "text", "label")
    assert csv.field_size_limit() == limit and len(str(caught.value)) < 1000


@pytest.mark.parametrize("separator", [";", ",", "\t", "|", "^"])
@pytest.mark.parametrize("line", ["sep={}\r\n", '"sep={}"\n', "SEP={}\n"])
def test_a_first_line_that_tells_the_separator_is_obeyed_and_counted(tmp_path, separator, line):
    body = HEADED.replace(",", separator)
    assert read(tmp_path, "\ufeff" + line.format(separator) + body) == LAMPS
    with pytest.warns(tables.PassedOver, match="line 5"):
        tables.from_csv(table(tmp_path, line.format(separator) + body + f"{separator}good\n"), "sentence", "label")


def test_a_told_separator_rules_out_the_others(tmp_path):
    assert read(tmp_path, "sep=;\nsentence;label\na,b;c\nd,e;f\n") == [("a,b", "c"), ("d,e", "f")]
    with pytest.raises(UserError, match="no table.*looked for ';', found none"):
        tables.from_csv(table(tmp_path, "sep=;\n" + HEADED), "sentence", "label")


def zipped(*names: str) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name in names:
            archive.writestr(name, "<x/>")
    return target.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (zipped("[Content_Types].xml", "xl/worksheets/sheet1.xml"), "Excel workbook.*save its sheet as CSV UTF-8"),
        (zipped("mimetype", "content.xml"), "OpenDocument.*save its sheet as CSV UTF-8"),
        (zipped("[Content_Types].xml", "word/document.xml"), "Word document"),
        (zipped("Index/Document.iwa"), "Apple Numbers"),
        (zipped("train_images.npy"), "NumPy archive"),
        (zipped("a.csv", "b.csv", "c.csv", "d.csv"), r"zip archive of 4 files \(a.csv, b.csv, c.csv, ...\). Unpack"),
        (zipped("a.csv")[:30], "damaged zip archive"),
        (gzip.compress(HEADED.encode()), "compressed with gzip. Unpack.*gunzip"),
        (bz2.compress(HEADED.encode()), "compressed with bzip2"),
        (lzma.compress(HEADED.encode()), "compressed with xz"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500), "old Microsoft Office"),
        (b"PAR1" + bytes(50), "Parquet.*read_parquet"),
        (b"SQLite format 3\0" + bytes(50), "SQLite database.*Write the table to a CSV"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", "Git LFS pointer.*git lfs pull"),
        (b"\xef\xbb\xbf\n <!DOCTYPE html><html><body><table>", "web page"),
        (b'<?xml version="1.0"?>\n<html lang="en">', "web page"),
        (b'<?xml version="1.0"?>\n<Workbook>', "XML document.*save its sheet"),
        (pickle.dumps([1, 2]), "pickle"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "a picture"),
    ],
    ids=lambda value: value[:12] if isinstance(value, str) else "",
)
def test_what_a_file_is_instead_of_a_table_is_told_by_its_bytes_with_a_way_out(tmp_path, content, message):
    with pytest.raises(UserError, match=f"(?s)lamps.csv' is .*{message}") as caught:
        tables.from_csv(table(tmp_path, content), "sentence", "label")
    assert "iconv" not in str(caught.value)


@pytest.mark.parametrize("name", ["it's lamps.jsonl", "{0}.json"])
@pytest.mark.parametrize("layout", ["lines", "list", "indented"])
def test_the_command_that_a_message_gives_for_json_makes_the_table(tmp_path, name, layout):
    rows = [{"sentence": text, "label": label} for text, label in [("2020-01-01", "01"), ('a, "b"', "1"), ("c", "01")]]
    content = {
        "lines": "\n".join(map(json.dumps, rows)),
        "list": json.dumps(rows),
        "indented": json.dumps(rows, indent=1),
    }[layout]
    with pytest.raises(UserError, match="is JSON") as caught:
        tables.from_csv(table(tmp_path, content, name), "sentence", "label")
    assert ("JSON lines" in str(caught.value)) == (layout == "lines")
    code = re.search(r'python -c "(.*)"', str(caught.value))[1]
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    with pytest.warns(datasets.DoubtfulLabel, match="'01' and '1'"):
        found = tables.from_csv(tmp_path / "new.csv", "sentence", "label")
    assert pairs(found) == [(row["sentence"], row["label"]) for row in rows]


def test_texts_with_brackets_and_braces_are_no_json(tmp_path):
    assert read(tmp_path, "[music] plays,good\n{so} so,bad\n", 0, 1) == [("[music] plays", "good"), ("{so} so", "bad")]


def test_marks_after_a_backslash_are_plain_and_other_backslashes_stay(tmp_path):
    content = r""""sentence","label"
"He said \"no\", really","bad"
"C:\new\\","good"
"5\"","go\"od"
a \"lamp\","good"
"""
    expected = [('He said "no", really', "bad"), (r"C:\new" + 2 * "\\", "good"), ('5"', 'go"od'), ('a "lamp"', "good")]
    assert read(tmp_path, content) == expected
    assert read(tmp_path, '"C:\\","good"\n"D:\\x","bad"\n', 0, 1) == [("C:\\", "good"), ("D:\\x", "bad")]


@pytest.mark.parametrize("head", ['"sentence","label"', "sentence,label"])
def test_marks_round_every_cell_are_taken_off_though_those_inside_are_not_doubled(tmp_path, head):
    content = head + '\n"He said "no" again","bad"\n""Yes", she said","good"\n'
    with pytest.raises(UserError, match="is no table"):
        tables.from_csv(table(tmp_path, content), "sentence", "label")
    content = content.replace(", she", " she")
    assert read(tmp_path, content) == [('He said "no" again', "bad"), ('"Yes" she said', "good")]


def test_rows_that_stray_marks_seem_to_have_joined_are_pointed_at(tmp_path):
    content = 'sentence,label\n"Oh, well",good\n"Hello there,good\nIt broke,bad\nas large as 5",bad\n'
    with pytest.warns(tables.PassedOver, match="look like further rows, in the row that ends in line 5"):
        assert len(tables.from_csv(table(tmp_path, content), "sentence", "label")) == 2


@pytest.mark.parametrize(
    ("head", "rows"),
    [
        ("sentence,label", [("It glows.", "good"), ("It broke.", "bad")]),
        ("Review Text,Class Name", [("It glows.", "good"), ("It broke.", "bad")]),
        ("what,stars", [("It glows.", "1"), ("It broke.", "2")]),
        ("what,verdict", [("It glows.", "good"), ("It broke.", "bad"), ("It shone.", "good"), ("It fell.", "bad")]),
    ],
)
def test_a_header_is_no_sentence_though_columns_are_numbers(tmp_path, head, rows):
    content = head + "\n" + "".join(f"{text},{label}\n" for text, label in rows)
    with pytest.warns(tables.PassedOver, match="first row was taken for a header"):
        assert pairs(tables.from_csv(table(tmp_path, content), 0, 1)) == rows


@pytest.mark.parametrize("first", [("It shone.", "fine"), ("Nice", "good"), ("Nice one", "best")])
def test_a_sentence_is_no_header_though_its_label_is_rare(tmp_path, first):
    rows = [first, *LAMPS, ("It shines.", "good"), ("It fell.", "bad")]
    assert read(tmp_path, "".join(f"{text},{label}\n" for text, label in rows), 0, 1) == rows


def test_empty_columns_and_rows_that_spreadsheets_add_are_passed_over(tmp_path):
    assert read(tmp_path, "sentence;label;;\nIt glows.;good;;\nIt broke.;bad;;\n;;;\n;;;\n") == LAMPS
    assert read(tmp_path, "sentence,label\nIt glows.,good,,\nIt broke.,bad,,\n") == LAMPS
    assert read(tmp_path, "sentence,label,\nIt glows.,good\nIt broke.,bad\n") == LAMPS


def test_rows_with_too_many_or_too_few_cells_are_counted_with_their_lines(tmp_path):
    rows = ["sentence,label,site"] + ["It glows.,good,x", "It broke.,bad,y"] * 20
    rows[7], rows[12], rows[30] = "It, well,bad,x", "cut", "It glows.,good"
    with pytest.raises(UserError, match=r"not in 3 of 41: line 8 \(4\), line 13 \(1\), line 31 \(2\)"):
        tables.from_csv(table(tmp_path, "\n".join(rows)), "sentence", "label")


def test_spaces_round_labels_are_taken_off_and_what_that_merges_is_said(tmp_path):
    spaced = "sentence , label \nIt glows. , good \nIt broke. , bad\n"
    assert read(tmp_path, spaced) == [("It glows. ", "good"), ("It broke. ", "bad")]
    with pytest.warns(tables.PassedOver, match=r"'ham ' \(2\) and 'ham' \(1\)") as caught:
        found = tables.from_csv(table(tmp_path, "s,l\na,ham\nb,ham \nc,ham \nd,spam\n"), "s", "l")
    assert len(caught) == 1 and found.counts.tolist() == [3, 1]


@pytest.mark.parametrize("sign", ["", "NA", "NaN", "nan", "null", "NULL", "N/A", "<NA>", "#N/A", "-", "?", " - "])
@pytest.mark.parametrize("column", [0, 1])
def test_cells_that_mean_missing_are_left_out_and_said(tmp_path, sign, column):
    row = ["It is gone.", "good"]
    row[column] = sign
    with pytest.warns(tables.PassedOver, match="1 of 3 rows left out.*line 4.*if such a sign is a class"):
        assert pairs(tables.from_csv(table(tmp_path, HEADED + ",".join(row)), "sentence", "label")) == LAMPS


def test_minus_beside_plus_and_none_beside_severe_are_classes(tmp_path):
    for names in (("+", "-"), ("None", "severe"), ("none", "severe"), ("Na", "Cl")):
        assert read(tmp_path, "s,l\na,{}\nb,{}\n".format(*names), "s", "l") == [("a", names[0]), ("b", names[1])]


@pytest.mark.parametrize("other", ["1.0", "01", "1,0", "+1", "1e0"])
def test_one_number_in_two_spellings_is_named_and_not_merged(tmp_path, other):
    with pytest.warns(datasets.DoubtfulLabel, match="'1'") as caught:
        found = tables.from_csv(table(tmp_path, f"s;l\na;1\nb;{other}\nc;0\n"), "s", "l")
    assert repr(other) in str(caught[0].message) and "'0'" not in str(caught[0].message)
    assert set(found.class_names) == {"1", other, "0"}


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([f"{n / 7:.2f}" for n in range(60)], "60 different labels in 60 rows.*numbers that measure"),
        ([f"{n / 10:.1f}".replace(".", ",") for n in range(12)] * 40, "numbers that measure"),
        ([str(17 * n) for n in range(50)] * 3, "numbers that measure.*write names"),
        ([f"{n}.5" for n in range(6)], "numbers that measure"),
        ([f"2020-01-{n:02d}" for n in range(1, 31)], "most are there once"),
        ([f"user {n}" for n in range(25)] + ["user 1"], "most are there once"),
    ],
)
def test_labels_that_are_a_quantity_or_all_different_are_refused(tmp_path, labels, message):
    content = "s;l\n" + "".join(f"text {chr(97 + n % 26)}{n};{label}\n" for n, label in enumerate(labels))
    with pytest.raises(UserError, match=message):
        tables.from_csv(table(tmp_path, content), "s", "l")


@pytest.mark.parametrize(
    "labels",
    [
        [f"{n / 2}" for n in range(1, 11)] * 2,
        [str(n) for n in range(60) for _ in range(10)],
        [f"intent {n}" for n in range(150) for _ in range(2)],
        ["1", "2", "3"],
    ],
)
def test_stars_codes_and_many_classes_are_no_quantity(tmp_path, labels):
    rows = [(f"text {n}", label) for n, label in enumerate(labels)]
    assert read(tmp_path, "s;l\n" + "".join(f"{text};{label}\n" for text, label in rows), "s", "l") == rows


def test_a_column_of_numbers_is_no_column_of_sentences(tmp_path):
    content = "id,when,label,s\n" + "".join(f"{n},12:{n:02d},{'ab'[n % 2]},5 stars {n}\n" for n in range(10))
    for column in ("id", "when"):
        with pytest.raises(UserError, match=f"text_column='{column}': 10 of 10 texts .* numbers only"):
            tables.from_csv(table(tmp_path, content), column, "label")
    assert len(read(tmp_path, content, "s", "label")) == 10


def test_a_name_that_differs_in_case_and_underscores_is_offered(tmp_path):
    with pytest.raises(UserError, match="Did you mean 'REVIEW TEXT'"):
        tables.from_csv(table(tmp_path, "REVIEW TEXT,y\na,b\nc,d\n"), "review_text", "y")


# ------------------------------------------------------------------ files and their labels


def pictures(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def labelled(path: Path, *given, **chosen) -> list[tuple[str, str]]:
    """Read without a warning; names from the table's folder on."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = datasets.files_and_labels(path, *given, **chosen)
    assert all(file.is_file() for file, _ in found)
    return [(file.relative_to(path.parent).as_posix(), label) for file, label in found]


@pytest.mark.parametrize("head", ["filename,label", "File Name,Class", "image_id,diagnosis", "PATH,target", "id,dx"])
def test_files_and_labels_come_in_the_order_of_the_rows_under_usual_names(tmp_path, head):
    pictures(tmp_path, "b.png", "x/a.png")
    assert labelled(table(tmp_path, head + "\nx/a.png, cat\nb.png,dog \n")) == [("x/a.png", "cat"), ("b.png", "dog")]


def test_columns_are_chosen_by_name_and_number_and_names_count_from_the_folder(tmp_path):
    pictures(tmp_path / "all", "1.png", "2.png")
    path = table(tmp_path, "id,scan,label,finding\n7,1.png,x,ill\n8,2.png,x,well\n")
    expected = [("all/1.png", "ill"), ("all/2.png", "well")]
    assert labelled(path, tmp_path / "all", file_column="scan", label_column="finding") == expected
    assert labelled(table(tmp_path, "1.png\till\n2.png\twell\n"), tmp_path / "all", file_column=0, label_column=1) == (
        expected
    )
    with pytest.raises(UserError, match="no column with a usual name.*Give that name to .*'scan'.*file_column"):
        datasets.files_and_labels(table(tmp_path, "scan,label\n1.png,x\n2.png,y\n"), tmp_path / "all")
    with pytest.raises(UserError, match="none' is no folder"):
        datasets.files_and_labels(table(tmp_path, "file,label\n1.png,x\n2.png,y\n"), tmp_path / "none")


def test_windows_separators_a_leading_dot_and_decomposed_accents_name_the_same_file(tmp_path):
    pictures(tmp_path, "x/a.png", "b.png", "cafe\u0301.png")
    path = table(tmp_path, "file,label\nx\\a.png,1\n./b.png,2\ncaf\u00e9.png,3\n")
    assert [name for name, _ in labelled(path)] == ["x/a.png", "b.png", "cafe\u0301.png"]


def test_a_name_without_suffix_is_that_of_the_one_picture_that_fits(tmp_path):
    pictures(tmp_path, "ISIC_1.5.jpg", "x/2.png", "3.png", "3.jpg")
    named = table(tmp_path, "image_id,dx\nISIC_1.5,mel\nx/2,nv\n3.jpg,nv\n3.png,mel\n")
    assert labelled(named) == [("ISIC_1.5.jpg", "mel"), ("x/2.png", "nv"), ("3.jpg", "nv"), ("3.png", "mel")]
    (tmp_path / "4.txt").touch()
    for name in ("3", "4"):
        with pytest.raises(UserError, match=rf"1 of 2 files .* are not in .*'{name}' \(line 3\)"):
            datasets.files_and_labels(table(tmp_path, f"image_id,dx\nISIC_1.5,mel\n{name},nv\n"))


def test_columns_with_a_single_one_in_each_row_are_the_classes(tmp_path):
    pictures(tmp_path, "1.png", "2.png", "3.png")
    one_hot = "image, MEL , NV,site\n1.png,0.0,1.0,arm\n2.png,1.0,0.0,leg\n3.png,0.0,1,arm\n"
    assert labelled(table(tmp_path, one_hot)) == [("1.png", "NV"), ("2.png", "MEL"), ("3.png", "NV")]
    for wrong in ("1.png,1,1,arm", "1.png,0,0,arm", "1.png,2,0,arm"):
        with pytest.raises(UserError, match="no column with a usual name .*Give that name to the right one"):
            datasets.files_and_labels(table(tmp_path, one_hot.replace("1.png,0.0,1.0,arm", wrong)))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["A.png", "c.png"], r"2 of 4 files .*'A.png' \(line 4\), 'c.png' \(line 5\).*Nearest to 'A.png' is 'a.png'"),
        (["x" * 300], "1 of 3 files"),
        (["deep"], "Nearest to 'deep' is 'x/deep.png'.*case included; only the suffix"),
        (["deep.png"], "Nearest to 'deep.png' is 'x/deep.png'"),
        (["ab.png"], "Nearest to 'ab.png' is 'a.png'|'b.png'"),
        (["????"], "The folder holds 4 files"),
        (
            [f"n{n}.png" for n in range(9)],
            r"9 of 11 .*'n0.png' \(line 4\), 'n1.png' \(line 5\), 'n2.png' \(line 6\)\. ",
        ),
    ],
)
def test_names_that_are_not_there_are_counted_with_the_nearest(tmp_path, names, message):
    pictures(tmp_path, "a.png", "b.png", "x/deep.png")
    path = table(tmp_path, "file,label\na.png,1\nb.png,2\n" + "".join(f"{name},1\n" for name in names))
    with pytest.raises(UserError, match=message):
        datasets.files_and_labels(path)


@pytest.mark.parametrize(
    "name",
    ["../b.png", "x/../../b.png", "/etc/passwd", "C:\\b.png", "\\\\host\\b.png", "~/b.png", "..\\b.png", "http://x/b"],
)
def test_names_that_leave_the_folder_are_refused(tmp_path, name):
    folder = pictures(tmp_path, "b.png", "data/a.png") / "data"
    with pytest.raises(UserError, match=r"1 of 2 names .* lead out of .*\(line 3\)"):
        datasets.files_and_labels(table(folder, f"file,label\na.png,1\n{name},2\n"))


def test_a_file_that_is_named_twice_counts_once_or_is_refused_if_its_labels_differ(tmp_path):
    pictures(tmp_path, "a.png", "b.png")
    with pytest.warns(tables.PassedOver, match=r"name a file once more \(1\): line 4 \('./a.png'\)"):
        found = datasets.files_and_labels(table(tmp_path, "file,label\na.png,1\nb.png,2\n./a.png,1\n"))
    assert [(file.name, label) for file, label in found] == [("a.png", "1"), ("b.png", "2")]
    with pytest.raises(
        UserError, match=r"two labels to one file \(1 times\): 'a.png' in lines 2 \('1'\) and 4 \('2'\)"
    ):
        datasets.files_and_labels(table(tmp_path, "file,label\na.png,1\nb.png,2\na.png,2\n"))


def test_files_that_the_table_does_not_name_are_counted_but_not_hidden_ones_nor_those_elsewhere(tmp_path):
    pictures(
        tmp_path, "data/a.png", "data/x/b.png", "data/x/c.png", "data/d.png", "data/.e.png", "data/.f/g.png", "h.png"
    )
    path = table(tmp_path, "file,label\ndata/a.png,1\ndata/x/b.png,2\n")
    with pytest.warns(tables.PassedOver, match=r"not used \(2\): data/d.png, data/x/c.png") as caught:
        datasets.files_and_labels(path)
    assert [warning.filename for warning in caught] == [__file__]


@pytest.mark.parametrize("folder", [None, ".", "../pets"])
def test_relative_folders_do_as_well_and_the_table_is_no_picture_of_its_own(tmp_path, monkeypatch, folder):
    table(pictures(tmp_path / "pets", "x/a.png", "b.png"), "file,label\nx/a.png,cat\nb.png,dog\n", "pets.csv")
    monkeypatch.chdir(tmp_path / "pets")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = datasets.files_and_labels("pets.csv", folder)
    assert found == [(Path(folder or ".") / "x/a.png", "cat"), (Path(folder or ".") / "b.png", "dog")]


def test_pictures_without_a_label_and_quantities_are_treated_as_in_tables_of_sentences(tmp_path):
    pictures(tmp_path, *(f"{n}.png" for n in range(40)))
    with pytest.warns(tables.PassedOver) as caught:
        found = datasets.files_and_labels(
            table(tmp_path, "file,label\n" + "".join(f"{n}.png,{'ab'[n % 2] if n < 39 else ''}\n" for n in range(40)))
        )
    assert len(found) == 39
    missing, unnamed = (str(warning.message) for warning in caught)
    assert "1 of 40 rows left out" in missing and "line 41" in missing
    assert "not used (1): 39.png" in unnamed
    with pytest.raises(UserError, match="numbers that measure"):
        datasets.files_and_labels(table(tmp_path, "file,label\n" + "".join(f"{n}.png,{n}\n" for n in range(40))))


def test_a_header_that_comes_again_in_the_middle_is_no_sentence(tmp_path):
    with pytest.warns(tables.PassedOver, match="header again: line 4"):
        assert pairs(tables.from_csv(table(tmp_path, HEADED + HEADED), "sentence", "label")) == LAMPS * 2


def test_json_lines_are_told_though_the_first_is_long(tmp_path):
    content = "".join(json.dumps({"text": "word " * 20_000, "stars": n}) + "\n" for n in range(3))
    with pytest.raises(UserError, match="JSON lines.*lines=True"):
        tables.from_csv(table(tmp_path, content), "text", "stars")


def test_one_column_for_both_is_named_also_where_one_was_guessed(tmp_path):
    with pytest.raises(UserError, match="file_column='file' and label_column='file' are the same column"):
        datasets.files_and_labels(table(tmp_path, "file,label\na.png,1\n"), label_column="file")
