"""What is drawn is what the truth says, the same every time."""

from __future__ import annotations

import colorsys
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st

from tlutils import settings
from tlutils.synthetic import shapes

Draw = Callable[..., shapes.World]
every_world = pytest.mark.parametrize("draw", [shapes.source_shapes, shapes.flowers, shapes.ripeness])


@every_world
def test_the_same_call_draws_the_same_pictures(draw: Draw):
    first, again = draw(per_class=1, seed=5), draw(per_class=1, seed=5)
    assert np.array_equal(first.pictures, again.pictures)
    assert np.array_equal(first.truth["mask"], again.truth["mask"])


@every_world
def test_a_picture_does_not_depend_on_how_many_are_drawn(draw: Draw):
    few, many = draw(per_class=1, seed=5), draw(per_class=2, seed=5)
    assert np.array_equal(few.pictures, many.pictures[: len(few.pictures)])
    assert np.array_equal(few.truth["mask"], many.truth["mask"][: len(few.pictures)])


@every_world
def test_seeds_and_places_in_a_world_share_no_picture(draw: Draw):
    pictures = np.concatenate([draw(per_class=2, seed=seed).pictures for seed in range(2)])
    assert len({picture.tobytes() for picture in pictures}) == len(pictures)


@every_world
def test_classes_are_interleaved_and_balanced(draw: Draw):
    world = draw(per_class=2, seed=0)
    n_classes = len(world.class_names)
    assert world.labels.tolist() == list(range(n_classes)) * 2
    assert len(set(world.class_names)) == n_classes


@every_world
def test_shapes_and_types_are_as_documented(draw: Draw):
    world = draw(per_class=1, seed=0)
    n = len(world.labels)
    assert (world.pictures.shape, world.pictures.dtype) == ((n, 64, 64, 3), np.uint8)
    assert (world.truth["mask"].shape, world.truth["mask"].dtype) == ((n, 64, 64), bool)
    assert world.labels.dtype == world.groups.dtype == np.int64
    assert len(set(world.groups.tolist())) == n


def test_the_source_task_has_every_outline_with_every_texture():
    names = shapes.source_shapes(per_class=1, seed=0).class_names
    assert len(names) == 60
    assert set(names) == {f"{outline}/{texture}" for outline in shapes.OUTLINES for texture in shapes.TEXTURES}


@pytest.mark.parametrize(("task", "part"), [("outlines", 0), ("textures", 1)])
def test_the_other_source_tasks_ask_one_half_of_the_name_of_the_same_pictures(task: str, part: int):
    whole = shapes.source_shapes(per_class=1, seed=3)
    other = shapes.source_shapes(per_class=1, seed=3, task=task)
    assert np.array_equal(other.pictures, whole.pictures)
    halves = [whole.class_names[label].split("/")[part] for label in whole.labels]
    assert [other.class_names[label] for label in other.labels] == halves


def test_an_unknown_source_task_is_refused_with_the_valid_ones():
    with pytest.raises(settings.UserError, match="'colours'.*shapes, outlines, textures"):
        shapes.source_shapes(per_class=1, seed=0, task="colours")


@every_world
def test_every_object_is_in_its_picture_and_leaves_a_background(draw: Draw):
    masks = draw(per_class=4, seed=1).truth["mask"]
    shares = masks.mean(axis=(1, 2))
    assert 0.01 < shares.min() and shares.max() < 0.9


def test_the_mask_marks_the_object():
    """Inside the mask of an evenly coloured fruit the hue is that of the class; outside it is anything."""
    world = shapes.ripeness(per_class=30, seed=2)
    expected = np.array([0.33, 0.2475, 0.165, 0.0825, 0.0])[world.labels]

    def median_distance(pixels: np.ndarray, hue: float) -> float:
        hues = np.array([colorsys.rgb_to_hsv(*pixel)[0] for pixel in pixels[::7] / 255])
        return float(np.median(np.abs((hues - hue + 0.5) % 1 - 0.5)))

    pairs = list(zip(world.pictures, world.truth["mask"], expected, strict=True))
    inside = [median_distance(picture[mask], hue) for picture, mask, hue in pairs]
    outside = [median_distance(picture[~mask], hue) for picture, mask, hue in pairs]
    assert np.median(inside) < 0.03
    assert np.median(outside) > 0.1


@every_world
def test_the_edge_of_the_mask_is_where_the_picture_changes(draw: Draw):
    """Across the outline neighbouring pixels differ more than where the mask is flat, on average over pictures."""
    world = draw(per_class=1 if draw is shapes.source_shapes else 8, seed=3)
    masks = world.truth["mask"]
    steps = np.abs(np.diff(world.pictures.astype(float), axis=2)).mean(axis=3)
    edges = masks[:, :, 1:] != masks[:, :, :-1]
    assert steps[edges].mean() > 1.5 * steps[~edges].mean()


@every_world
def test_pictures_use_the_range_of_brightness(draw: Draw):
    pictures = draw(per_class=4, seed=1).pictures
    assert pictures.std(axis=(1, 2, 3)).min() > 3
    assert 60 < pictures.mean() < 200


@every_world
@pytest.mark.parametrize("per_class", [0, -1, 1.5])
def test_an_impossible_world_is_refused(draw: Draw, per_class: float):
    with pytest.raises(settings.UserError, match=f"per_class={per_class} must be a whole number of at least 1"):
        draw(per_class=per_class, seed=0)


@profile(max_examples=25)
@given(st.sampled_from([1, 2, 4, 8, 16]), st.integers(0, 2**32 - 1))
def test_scrambling_moves_whole_tiles_and_loses_none(tile: int, seed: int):
    pictures = np.arange(2 * 16 * 16 * 3).reshape(2, 16, 16, 3)  # no value twice, so that a tile can be recognised
    scrambled = shapes.scramble(pictures, tile, seed)
    assert scrambled.shape == pictures.shape

    def tiles(picture: np.ndarray) -> list[bytes]:
        starts = range(0, 16, tile)
        return [picture[y : y + tile, x : x + tile].tobytes() for y in starts for x in starts]

    orders = []
    for before, after in zip(pictures, scrambled, strict=True):
        assert sorted(tiles(before)) == sorted(tiles(after))
        orders.append([tiles(before).index(piece) for piece in tiles(after)])
    assert orders[0] == orders[1]


def test_scrambling_with_one_tile_changes_nothing_and_with_small_tiles_does():
    pictures = shapes.flowers(per_class=1, seed=0).pictures
    assert np.array_equal(shapes.scramble(pictures, tile=64, seed=9), pictures)
    assert not np.array_equal(shapes.scramble(pictures, tile=8, seed=9), pictures)


def test_four_tiles_never_come_back_in_their_own_order() -> None:
    pictures = shapes.flowers(per_class=1, seed=0).pictures
    assert not any(np.array_equal(shapes.scramble(pictures, tile=32, seed=seed), pictures) for seed in range(100))


def test_the_seed_decides_the_order_of_the_tiles():
    pictures = shapes.flowers(per_class=1, seed=0).pictures
    assert np.array_equal(shapes.scramble(pictures, 4, seed=1), shapes.scramble(pictures, 4, seed=1))
    assert not np.array_equal(shapes.scramble(pictures, 4, seed=1), shapes.scramble(pictures, 4, seed=2))


@pytest.mark.parametrize("tile", [0, -8, 5, 64])
def test_a_tile_that_does_not_fit_lists_those_that_do(tile: int):
    with pytest.raises(ValueError, match=rf"tile={tile} does not divide .* 32; choose one of \[1, 2, 4, 8, 16, 32\]"):
        shapes.scramble(np.zeros((1, 32, 32, 3), dtype=np.uint8), tile, seed=0)
