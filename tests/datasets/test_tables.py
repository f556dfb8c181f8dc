"""Tables of sentences: every row arrives as it was written, and what cannot be used is said."""

from __future__ import annotations

import csv
import io
import json
import time
import warnings
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
cell = st.text(st.sampled_from('ab \t;,"\\\r\n\x0b\x1c\x85\u2028é'), max_size=8).filter(str.strip)


@given(
    rows=st.lists(st.tuples(cell, cell), min_size=2, max_size=8).filter(lambda rows: len({r[1] for r in rows}) > 1),
    separator=st.sampled_from("\t;,"),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
@example(rows=[('"', ","), ('a "b" c', ";")], separator=",", quoting=csv.QUOTE_MINIMAL)
@example(rows=[(",\n", "x"), (" a\r", "y ")], separator=",", quoting=csv.QUOTE_MINIMAL)
@example(rows=[("a;b", "x"), ("c;d", "y")], separator=",", quoting=csv.QUOTE_MINIMAL)
@hypothesis_settings(
    deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)
def test_whatever_a_csv_writer_wrote_comes_back_unchanged(tmp_path, rows, separator, quoting):
    # A text that contains the end of one row and the beginning of another cannot be told from stray quotation marks.
    assume(not any(f"{separator}{label}" in text and set("\r\n") & set(text) for text, _ in rows for _, label in rows))
    target = io.StringIO(newline="")
    csv.writer(target, delimiter=separator, quoting=quoting).writerows([("sentence", "label"), *rows])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = tables.from_csv(table(tmp_path, target.getvalue()), "sentence", "label")
    assert pairs(found) == rows


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


@pytest.mark.parametrize("separator", ["\t", ";", ","])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
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
    with pytest.warns(UserWarning, match="rows without text or label left out, in lines 6, 7") as caught:
        found = tables.from_csv(table(tmp_path, content), "sentence", "label")
    assert pairs(found) == [*LAMPS, ("Two\nlines", "good")]
    assert [warning.filename for warning in caught] == [__file__]


@pytest.mark.parametrize("other", ["Good", "go od", "good "])
def test_classes_that_differ_in_case_and_spaces_only_are_named_and_not_merged(tmp_path, other):
    content = HEADED + f"It shines.,{other}\nIt is fine.,goods\n"
    with pytest.warns(UserWarning, match="doubtful class names") as caught:
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
        (HEADED.encode("utf-16-le"), ("sentence", "label"), "NUL.*UTF-16 without byte order mark"),
        (
            HEADED.replace("broke", "fällt").encode("latin1"),
            ("sentence", "label"),
            r"byte 34 .*line 3: b'\\xe4'.*iconv",
        ),
        (b"\xff\xfea", ("sentence", "label"), "not UTF-16"),
        ("one column\nonly\n", ("sentence", "label"), "no table.*tab: 1 column in line 1"),
        (
            HEADED + "Oh, well, it glows,good\n",
            ("sentence", "label"),
            "comma: 2 columns in line 1, 4 columns in line 4",
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
        ("sentence,label\n", ("sentence", "label"), "no row with a text and a label"),
        ("sentence,label\n,good\nIt broke.,\n", ("sentence", "label"), "no row.*lines 2, 3"),
        (
            'sentence,label\n"He said \\"no\\", really",bad\nIt glows.,good\n',
            ("sentence", "label"),
            "comma: ',' expected",
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
    limit, long = csv.field_size_limit(), 'a "b" ' * 40_000
    target = io.StringIO(newline="")
    csv.writer(target).writerows([("sentence", "label"), (long, "good"), ("short", long)])
    start = time.perf_counter()
    assert read(tmp_path, target.getvalue()) == [(long, "good"), ("short", long)]
    assert time.perf_counter() - start < 5
    assert csv.field_size_limit() == limit
    with pytest.raises(UserError) as caught:
        tables.from_csv(table(tmp_path, target.getvalue()), "text", "label")
    assert csv.field_size_limit() == limit and len(str(caught.value)) < 1000
