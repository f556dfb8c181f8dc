"""Word pieces are those of the publisher of MiniLM, whatever the text, and nothing else gets into a batch."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from tlutils import datasets
from tlutils.models.wordpiece import WordPiece

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]

NORMALISED = normalizers.BertNormalizer(lowercase=True).normalize_str
PARTED = pre_tokenizers.BertPreTokenizer().pre_tokenize_str


def words(text: str) -> list[str]:
    """Part a text into words as the reference does."""
    return [word for word, _ in PARTED(NORMALISED(text))]


@pytest.fixture(scope="module")
def disputed() -> str:
    """Name the characters that the reference reads in another way than the published algorithm.

    The reference sorts characters as Unicode 8 did, where Python has a later table, and misses the 256 ideographs from
    U+2B820 on by a wrong digit in its range (2B920). The algorithm asks for the character's category and names the
    ranges.
    """
    read = {
        character: words(f"a{character}b")
        for character in map(chr, range(0x110000))
        if unicodedata.category(character) not in ("Cn", "Co", "Cs")
    }
    vocabulary = [*SPECIAL, *sorted({word for parts in read.values() for word in parts})]
    wordpiece = WordPiece(vocabulary)
    return "".join(
        character
        for character, parts in read.items()
        if [vocabulary[number] for number in wordpiece(f"a{character}b")] != parts
    )


@pytest.fixture(scope="module")
def published(minilm_folder: Path) -> WordPiece:
    """Read the published vocabulary."""
    return WordPiece((minilm_folder / "vocab.txt").read_text(encoding="utf-8").split())


@pytest.fixture(scope="module")
def reference(minilm_folder: Path) -> Callable[[str], list[int]]:
    """Make the publisher's own tokenizer of its own file, without its wish to see "[SEP]" in a text as the token."""
    given = json.loads((minilm_folder / "tokenizer.json").read_text(encoding="utf-8"))
    given |= {"added_tokens": [], "post_processor": None, "truncation": None, "padding": None}
    tokenizer = Tokenizer.from_str(json.dumps(given))
    return lambda text: tokenizer.encode(text).ids


def test_every_character_is_read_as_in_the_reference_but_for_few_that_came_late_into_unicode(disputed: str) -> None:
    early = [
        character
        for character in disputed
        if unicodedata.ucd_3_2_0.category(character) == unicodedata.category(character)
    ]
    assert early == []
    assert len(disputed) < 1_500  # of 145,000


AWKWARD = [
    *("\u00a0", "\u2028", "\x85", "\x0c", "\x1f", "\u200d", "\u200b", "\ufffd", "\x00", "\t", "\r\n"),
    *("e\u0301", "\u0301", "\u1e69", "\u0130", "\u00df", "\u03a3", "\ufb01", "\u212b", "\uac00", "\u302e"),
    *("\u623f", "\u3042", "\uf900", "\U0001f600", "\U0001f468\u200d\U0001f469", "\ue000", "\ufe0f"),
    *("[SEP]", "[PAD]", "##able", "don't", "$5.00", "a" * 100, "a" * 101, "e\u0301" * 100, "\u0301" * 150),
]


@pytest.mark.network
@given(data=st.data())
def test_any_text_has_the_pieces_of_the_publishers_tokenizer(
    disputed: str, published: WordPiece, reference: Callable[[str], list[int]], data: st.DataObject
) -> None:
    characters = st.characters(exclude_categories=["Cs"], exclude_characters=disputed)
    known = st.sampled_from(published.vocabulary)
    parts = data.draw(st.lists(st.text(characters, max_size=8) | st.sampled_from(AWKWARD) | known))
    text = data.draw(st.sampled_from(["", " "])).join(parts)
    found = published(text)
    assert found == reference(text)
    assert not {published.token_to_id(token) for token in ("[PAD]", "[CLS]", "[SEP]")} & set(found)


@pytest.mark.network
def test_the_reviews_have_the_pieces_of_the_publishers_tokenizer(
    published: WordPiece, reference: Callable[[str], list[int]]
) -> None:
    for text in datasets.reviews().texts:
        assert published(text) == reference(text)


@given(st.lists(st.from_regex(r"(##)?[ab]{1,4}", fullmatch=True), unique=True), st.text("ab ", max_size=20))
def test_the_longest_piece_is_taken_first_in_any_vocabulary(pieces: list[str], text: str) -> None:
    vocabulary = [*SPECIAL, *pieces]
    numbers = {piece: number for number, piece in enumerate(vocabulary)}
    greedy = Tokenizer(models.WordPiece(numbers, unk_token="[UNK]", max_input_chars_per_word=100))
    greedy.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    assert WordPiece(vocabulary)(text) == greedy.encode(text).ids


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("Caf\u00e9, CAFE\u0301", "cafe , cafe"),
        ("cafe\u00a0cafe\u2003cafe\u3000cafe\u2028cafe\tcafe\r\ncafe", "cafe cafe cafe cafe cafe cafe cafe"),
        ("ca\u200bfe ca\x00fe ca\u00adfe ca\x85fe ca\ufffdfe ca\ud800fe", "cafe cafe cafe cafe cafe cafe"),
        ("\u623f\u95f4cafe\u623f", "\u623f [UNK] cafe \u623f"),
        ("cafe\U0002b820cafe", "cafe [UNK] cafe"),
        ("CAFE\u03a3", "cafe ##\u03c3"),
        ("cafe\U0001f600 \U0001f600 \U0001f600,", "[UNK] \U0001f600 \U0001f600 ,"),
        ("cafes", "cafe ##s"),
        ("scafe", "[UNK]"),
        ("s" * 100, "[UNK]"),
        ("cafe" + "s" * 96, "cafe" + " ##s" * 96),
        ("cafe" + "s" * 97, "[UNK]"),
        ("cafe" + "s\u0301" * 96, "cafe" + " ##s" * 96),
        ("[SEP]", "[ [UNK] ]"),
        (" \t\u200b\u0301", ""),
    ],
)
def test_pieces_written_out(text: str, pieces: str) -> None:
    vocabulary = [*SPECIAL, "cafe", "##s", ",", "[", "]", "##\u03c3", "\u623f", "\U0001f600"]
    assert " ".join(vocabulary[number] for number in WordPiece(vocabulary)(text)) == pieces


@given(st.lists(st.lists(st.integers(4, 9), max_size=12)), st.integers(3, 12))
def test_a_batch_has_each_text_between_its_marks_up_to_the_limit(texts: list[list[int]], max_length: int) -> None:
    rows = WordPiece([*SPECIAL, *"abcdef"]).batch(texts, max_length)
    assert len({len(row) for row in rows}) == min(1, len(texts)) and len(rows) == len(texts)
    for row, text in zip(rows, texts, strict=True):
        length = min(max_length, len(text) + 2)
        assert row[0] == 2 and row[1 : length - 1] == text[: length - 2] and row[length - 1] == 3
        assert not any(row[length:])
    assert not rows or min(row.count(0) for row in rows) == 0


@pytest.mark.parametrize(
    ("vocabulary", "message"),
    [
        (["the", "[PAD]"], "2 different ones, .UNK., .CLS., .SEP. lacking"),
        ([*SPECIAL, "a", "a"], "6 pieces, 5 different"),
    ],
)
def test_what_is_no_vocabulary_is_refused(vocabulary: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        WordPiece(vocabulary)


def test_pieces_and_numbers_are_named_by_each_other() -> None:
    wordpiece = WordPiece([*SPECIAL, "cafe"])
    assert wordpiece.id_to_token(4) == "cafe" and wordpiece.token_to_id("cafe") == 4
    with pytest.raises(KeyError):
        wordpiece.token_to_id("tea")
