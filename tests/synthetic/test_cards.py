"""The cards are what their docstring says: two sides that say what was asked for, each spoilt as often as asked."""

from __future__ import annotations

import itertools
import re
from typing import Any

import numpy as np
import pytest

from tlutils import settings
from tlutils.synthetic import cards, shapes

# Looks, actions and wordings of 125 cards, each combination once.
EACH = np.array(list(itertools.product(range(5), repeat=3))).T
# Words that any card may have; they tell no action.
FRAMES = {"it", "watch", "see", "a", "the", "its", "of", "on", "to", "with", "you", "your", "and", "like", "in", "at"}


@pytest.fixture(scope="module")
def shop() -> cards.Cards:
    return cards.cards(*EACH, 3, spoilt=0.3)


@pytest.fixture(scope="module")
def unspoilt() -> cards.Cards:
    """The same cards with nothing spoilt."""
    return cards.cards(*EACH, 3)


def test_the_same_seed_makes_the_same_cards_and_another_seed_others(shop: cards.Cards) -> None:
    again, other = (cards.cards(*EACH, seed, spoilt=0.3) for seed in (3, 4))
    assert again.texts == shop.texts and np.array_equal(again.pictures, shop.pictures)
    assert other.texts != shop.texts and not np.array_equal(other.pictures, shop.pictures)
    assert len(shop) == len(shop.pictures) == 125


def test_no_picture_is_used_twice_and_each_has_the_look_that_was_asked_for(unspoilt: cards.Cards) -> None:
    assert len({picture.tobytes() for picture in unspoilt.pictures}) == 125
    seed = int(np.random.SeedSequence(3).generate_state(1)[0])
    assert np.array_equal(unspoilt.pictures, shapes.flower_pictures(EACH[0], seed))


def test_a_description_tells_its_action_in_the_wording_asked_for_unless_it_is_vague(shop: cards.Cards) -> None:
    for text, action, wording, vague in zip(shop.texts, *EACH[1:], shop.spoilt["text"], strict=True):
        told = [deed for deeds in cards.ACTIONS.values() for deed in deeds if deed in text]
        assert told == ([] if vague else [list(cards.ACTIONS.values())[action][wording]])


def test_two_wordings_of_an_action_share_no_word_that_tells_it() -> None:
    assert all(len(deeds) == cards.WORDINGS for deeds in cards.ACTIONS.values())
    for deeds in cards.ACTIONS.values():
        words = [set(re.findall(r"\w+", deed.lower())) - FRAMES for deed in deeds]
        assert not any(first & second for first, second in itertools.combinations(words, 2))


def test_blurred_pictures_have_no_edges_left_and_others_are_untouched(shop: cards.Cards, unspoilt: cards.Cards) -> None:
    bad = shop.spoilt["picture"]
    assert np.array_equal(shop.pictures[~bad], unspoilt.pictures[~bad])
    steps = np.abs(np.diff(shop.pictures.astype(float), axis=1)).max(axis=(1, 2, 3))
    assert steps[bad].max() < 20 < steps[~bad].min()


def test_about_three_in_ten_sides_are_spoilt_and_independently(shop: cards.Cards, unspoilt: cards.Cards) -> None:
    spoilt = np.array(list(shop.spoilt.values()))
    assert np.all(abs(spoilt.mean(axis=1) - 0.3) < 0.12)
    assert abs(np.corrcoef(spoilt)[0, 1]) < 0.25
    assert not any(bad.any() for bad in unspoilt.spoilt.values())


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"looks": [5]}, "looks: .* 0 to 4"),
        ({"actions": [0.5]}, "actions: .* 0 to 4"),
        ({"wordings": [0, 1]}, "wordings: .* for each card"),
        ({"looks": 1}, "looks: "),
        ({"seed": -1}, "seed=-1"),
        ({"spoilt": 1.5}, "spoilt=1.5"),
    ],
)
def test_a_value_out_of_range_is_named(wrong: dict[str, Any], said: str) -> None:
    given: dict[str, Any] = {"looks": [0], "actions": [0], "wordings": [0], "seed": 0, **wrong}
    with pytest.raises(settings.UserError, match=said):
        cards.cards(**given)


def test_the_text_form_says_how_many_and_what_is_spoilt(shop: cards.Cards) -> None:
    assert repr(shop).startswith("125 cards of a synthetic toy shop; spoilt: picture")
