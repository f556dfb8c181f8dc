"""The cards are what their docstring says: three senses, each blind for two kinds, each spoilt as often as asked."""

from __future__ import annotations

import numpy as np
import pytest

from tlutils import settings
from tlutils.synthetic import cards, shapes, sounds


@pytest.fixture(scope="module")
def shop() -> cards.Cards:
    return cards.cards(20, 3)


@pytest.fixture(scope="module")
def other() -> cards.Cards:
    return cards.cards(20, 4)


@pytest.fixture(scope="module")
def unspoilt() -> cards.Cards:
    """The same cards before anything was spoilt."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cards, "SPOILT", 0.0)
        return cards.cards(20, 3)


def test_a_shop_has_equally_many_cards_of_each_kind_and_all_sides(shop: cards.Cards) -> None:
    assert shop.counts.tolist() == [20] * 6
    assert [int((shop.labels == kind).sum()) for kind in range(6)] == [20] * 6
    assert len(shop) == len(shop.texts) == len(set(shop.groups.tolist())) == 120
    for pictures in (shop.pictures, shop.spectrograms):
        assert pictures.shape == (120, 64, 64, 3)
        assert pictures.dtype == np.uint8


def test_the_same_seed_makes_the_same_cards_and_another_seed_others(shop: cards.Cards, other: cards.Cards) -> None:
    first, again = cards.cards(2, 3), cards.cards(2, 3)
    assert again.texts == first.texts
    assert np.array_equal(again.pictures, first.pictures)
    assert np.array_equal(again.spectrograms, first.spectrograms)
    assert other.texts != shop.texts
    assert not np.array_equal(other.pictures, shop.pictures)


def test_each_sense_has_exactly_one_pair_of_kinds_alike_and_no_pair_is_alike_to_two_senses() -> None:
    kinds = np.array(list(cards.KINDS.values()))
    alike = [{(a, b) for a in range(6) for b in range(a) if kinds[a, sense] == kinds[b, sense]} for sense in range(3)]
    assert [len(pairs) for pairs in alike] == [1, 1, 1]
    assert len(set.union(*alike)) == 3


def test_no_picture_and_no_sound_is_used_twice(shop: cards.Cards) -> None:
    for pictures in (shop.pictures, shop.spectrograms):
        assert len({picture.tobytes() for picture in pictures}) == 120


def test_a_description_tells_its_action_unless_it_is_vague(shop: cards.Cards) -> None:
    names = list(cards.ACTIONS)
    for text, label, vague in zip(shop.texts, shop.labels, shop.spoilt["text"], strict=True):
        told = [name for name, deeds in cards.ACTIONS.items() if any(deed in text for deed in deeds)]
        action = list(cards.KINDS.values())[label][1]
        assert told == ([] if vague else [names[action]])


def test_blurred_pictures_have_no_edges_left_and_others_are_untouched(shop: cards.Cards, unspoilt: cards.Cards) -> None:
    bad = shop.spoilt["picture"]
    assert np.array_equal(shop.pictures[~bad], unspoilt.pictures[~bad])
    steps = np.abs(np.diff(shop.pictures.astype(float), axis=1)).max(axis=(1, 2, 3))
    assert steps[bad].max() < 20 < steps[~bad].min()


def test_drowned_sounds_are_noise_over_all_frequencies_and_others_are_untouched(
    shop: cards.Cards, unspoilt: cards.Cards
) -> None:
    bad = shop.spoilt["sound"]
    assert np.array_equal(shop.spectrograms[~bad], unspoilt.spectrograms[~bad])
    spread = shop.spectrograms[..., 0].astype(float).mean(axis=2).std(axis=1)
    assert spread[bad].max() < np.median(spread[~bad])


def test_the_noise_has_a_hundred_times_the_power_of_the_sound() -> None:
    clean = sounds.waveforms(np.arange(5), 0)
    hiss = np.random.default_rng(0).standard_normal(clean.shape, dtype=np.float32)
    for sound, both in zip(clean, cards._drowned(clean, hiss), strict=True):
        scale = (both @ sound) / (sound @ sound)
        ratio = np.sum((both - scale * sound) ** 2) / np.sum((scale * sound) ** 2)
        # The projection errs by chance: the noise is a hundred times stronger than what it is projected on.
        assert 40 < ratio < 400
        assert np.abs(both).max() == pytest.approx(np.abs(sound).max())


def test_picture_and_sound_of_a_card_share_no_random_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    seeds = []
    for module, draw in ((shapes, "flower_pictures"), (sounds, "waveforms")):
        original = getattr(module, draw)
        monkeypatch.setattr(module, draw, lambda kinds, seed, f=original: seeds.append(seed) or f(kinds, seed))
    for seed in range(3):
        cards.cards(1, seed)
    assert len(set(seeds)) == 6


def test_about_three_in_ten_sides_are_spoilt_and_independently(shop: cards.Cards, other: cards.Cards) -> None:
    spoilt = np.concatenate([list(made.spoilt.values()) for made in (shop, other)], axis=1)
    assert np.all(abs(spoilt.mean(axis=1) - 0.3) < 0.12)
    assert abs(np.corrcoef(spoilt)[np.triu_indices(3, 1)]).max() < 0.25


@pytest.mark.parametrize("wrong", [{"per_class": 0}, {"per_class": 1.5}, {"seed": -1}])
def test_a_value_out_of_range_is_named(wrong: dict[str, float]) -> None:
    [(name, value)] = wrong.items()
    with pytest.raises(settings.UserError, match=f"{name}={value}"):
        cards.cards(**{"per_class": 1, "seed": 0, **wrong})  # type: ignore[arg-type]


def test_the_text_form_says_how_many_and_what_is_spoilt(shop: cards.Cards) -> None:
    assert repr(shop).startswith("120 cards of a synthetic toy shop, 6 kinds; spoilt: picture")
