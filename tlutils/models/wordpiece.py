"""Word pieces, the tokens of BERT; of the standard library alone, since a copy of this file reads texts beside a model.

Devlin et al. 2019, "BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding", with the file
`tokenization.py` that was published with it. In two things this one follows the publisher of all-MiniLM-L6-v2 (its
`tokenizer.json`), whose model has seen texts in no other way:

* characters for private use are removed as control characters are, and words of over 100 characters are [UNK];
* each character is lowered by itself, so a sigma is the same at the end of a word as within it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

_LONGEST_WORD = 100

# Chinese characters, each of which is a word; first and last number of each block.
_IDEOGRAPHS = (
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF),
    (0x2F800, 0x2FA1F),
)


class WordPiece:
    """Turns a text into the numbers of its word pieces.

    >>> wordpiece = WordPiece(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "un", "##read", "##able", ".", "cafe"])
    >>> wordpiece("Unreadable. Caf\u00e9?")
    [4, 5, 6, 7, 8, 1]
    >>> wordpiece.batch([[4, 5, 6, 7], [8]], max_length=5)
    [[2, 4, 5, 6, 3], [2, 8, 3, 0, 0]]

    Parameters
    ----------
    vocabulary : sequence of str
        The pieces, each in the place that is its number; those that go on within a word begin with ``##``. Pieces hold
        no white space, so ``Path("vocab.txt").read_text(encoding="utf-8").split()`` reads a published file.

    Raises
    ------
    ValueError
        If [PAD], [UNK], [CLS] or [SEP] is not among them, or a piece is there twice.
    """

    def __init__(self, vocabulary: Sequence[str]) -> None:
        self.vocabulary = tuple(vocabulary)
        self._numbers = {piece: number for number, piece in enumerate(self.vocabulary)}
        lacking = [piece for piece in ("[PAD]", "[UNK]", "[CLS]", "[SEP]") if piece not in self._numbers]
        if lacking or len(self._numbers) < len(self.vocabulary):
            raise ValueError(
                f"This is no vocabulary of word pieces: {len(self.vocabulary):,} pieces, {len(self._numbers):,} "
                f"different ones, {', '.join(lacking) or 'none'} lacking. Give the lines of the vocab.txt that came "
                "with the model."
            )
        self._pad, self._unknown, self._begin, self._end = map(self.token_to_id, ("[PAD]", "[UNK]", "[CLS]", "[SEP]"))
        self._longest_piece = max(map(len, self.vocabulary))

    def __call__(self, text: str) -> list[int]:
        """Return the numbers of a text's pieces, without [CLS] and [SEP]; none for a text without words.

        What is written like a special token ("[SEP]") is read as the punctuation and letters it consists of.
        """
        # Accents part from their letters in the normal form D, and are read as nothing.
        words = unicodedata.normalize("NFD", text).translate(_READ_AS).split()
        return [number for word in words for number in self._pieces(word)]

    def _pieces(self, word: str) -> list[int]:
        """Take the longest piece that the word begins with, then the longest that goes on, until it is used up."""
        if len(word) > _LONGEST_WORD:
            return [self._unknown]
        found = []
        start = 0
        while start < len(word):
            within = "##" if start else ""
            for end in range(min(len(word), start + self._longest_piece), start, -1):
                number = self._numbers.get(within + word[start:end])
                if number is not None:
                    found.append(number)
                    start = end
                    break
            else:
                return [self._unknown]
        return found

    def batch(self, pieces: Sequence[Sequence[int]], max_length: int) -> list[list[int]]:
        """Return rows of one length as the model takes them: [CLS], the pieces, [SEP], [PAD] up to the longest row.

        Parameters
        ----------
        pieces : sequence of sequences of int
            Of each text, as the call returns them.
        max_length : int
            Tokens that are kept of a text, [CLS] and [SEP] among them.
        """
        rows = [[self._begin, *text[: max_length - 2], self._end] for text in pieces]
        length = max(map(len, rows), default=0)
        return [row + [self._pad] * (length - len(row)) for row in rows]

    def token_to_id(self, token: str) -> int:
        """Return the number of a piece; KeyError if the vocabulary lacks it."""
        return self._numbers[token]

    def id_to_token(self, number: int) -> str:
        """Return the piece of a number; IndexError if there are fewer."""
        return self.vocabulary[number]


class _ReadAs(dict[int, str]):
    """What each character is read as before a text is split at its white space; fills as characters are met."""

    def __missing__(self, number: int) -> str:
        character = chr(number)
        category = unicodedata.category(character)
        if character in "\t\n\r":
            read = " "
        elif category in ("Cc", "Cf", "Co", "Cs", "Mn") or character == "\N{REPLACEMENT CHARACTER}":
            read = ""
        elif _is_punctuation(character, category) or any(first <= number <= last for first, last in _IDEOGRAPHS):
            read = f" {character} "
        else:
            read = character.lower()
        self[number] = read
        return read


def _is_punctuation(character: str, category: str) -> bool:
    """Whether it stands for itself; in ASCII that is all but letters, digits and blanks, "$" and "^" as well."""
    return category.startswith("P") or (character.isascii() and category.startswith("S"))


_READ_AS = _ReadAs()
