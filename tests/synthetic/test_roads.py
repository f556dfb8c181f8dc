"""Scenes obey a camera's geometry, fog obeys Koschmieder's law."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st

from tlutils import settings
from tlutils.synthetic.roads import ROADS, roads
from tlutils.synthetic.shapes import World
from tlutils.synthetic.weather import WEATHERS, overlay

every_weather = pytest.mark.parametrize("weather", WEATHERS)
every_bad_weather = pytest.mark.parametrize("weather", ["rain", "fog", "snow", "night"])


@pytest.fixture(scope="module")
def clear() -> World:
    return roads(per_class=6, seed=3)


def light(pictures: np.ndarray) -> np.ndarray:
    """Linear light of sRGB bytes (IEC 61966-2-1)."""
    value = pictures / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def shown(linear: np.ndarray) -> np.ndarray:
    """sRGB, 0 to 255, of linear light."""
    linear = linear.clip(0, 1)
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


@every_weather
def test_the_same_call_draws_the_same_pictures(weather: str):
    first, again = (roads(per_class=1, seed=5, size=32, weather=weather) for _ in range(2))
    assert np.array_equal(first.pictures, again.pictures)
    assert all(np.array_equal(first.truth[name], again.truth[name]) for name in first.truth)


@every_weather
def test_a_picture_does_not_depend_on_how_many_are_drawn(weather: str):
    few, many = (roads(n, seed=5, size=32, weather=weather) for n in (1, 2))
    assert np.array_equal(few.pictures, many.pictures[:5])
    assert all(np.array_equal(few.truth[name], many.truth[name][:5]) for name in few.truth)


def test_seeds_and_places_in_a_world_share_no_picture():
    pictures = np.concatenate([roads(per_class=2, seed=s, size=32).pictures for s in range(3)])
    assert len({picture.tobytes() for picture in pictures}) == 30


def test_shapes_types_and_balance_are_as_documented():
    world = roads(per_class=2, seed=0, size=48, weather="rain")
    assert (world.pictures.shape, world.pictures.dtype) == ((10, 48, 48, 3), np.uint8)
    for name, kind in (("mask", bool), ("vehicles", bool), ("depth", np.float32)):
        assert (world.truth[name].shape, world.truth[name].dtype) == ((10, 48, 48), kind)
    assert world.class_names == ROADS
    assert world.labels.tolist() == list(range(5)) * 2
    assert world.groups.tolist() == list(range(10))


@every_bad_weather
def test_the_scene_is_the_same_in_every_weather_and_the_picture_is_not(clear: World, weather: str):
    world = roads(per_class=2, seed=3, weather=weather, severity=1.0)
    for name in ("mask", "vehicles", "depth"):
        assert np.array_equal(world.truth[name], clear.truth[name][:10])
    assert (world.pictures != clear.pictures[:10]).any(axis=3).mean(axis=(1, 2)).min() > 0.5


@every_weather
def test_severity_zero_is_a_clear_day(clear: World, weather: str):
    assert np.array_equal(roads(per_class=1, seed=3, weather=weather, severity=0).pictures, clear.pictures[:5])
    assert np.array_equal(overlay(clear.pictures[:5], weather, 0.0, seed=0), clear.pictures[:5])


def test_a_clear_day_has_no_severity(clear: World):
    assert np.array_equal(roads(per_class=1, seed=3, severity=1.0).pictures, clear.pictures[:5])


def test_every_picture_shows_road_in_its_lower_half_and_sky_above(clear: World):
    mask, depth = clear.truth["mask"], clear.truth["depth"]
    assert mask[:, 32:].mean(axis=(1, 2)).min() > 0.03
    assert not mask[:, :16].any()
    assert depth.max() == 2000 and depth.min() > 0
    assert not (mask & clear.truth["vehicles"]).any()


def test_the_roads_depth_falls_towards_the_lower_edge_and_is_that_of_a_plane(clear: World):
    for mask, depth in zip(clear.truth["mask"], clear.truth["depth"].astype(float), strict=True):
        rows = np.flatnonzero(mask.any(axis=1))
        near = np.array([np.median(depth[row][mask[row]]) for row in rows])
        assert (np.diff(near) < 0).all()
        # Z = f h / (y - horizon): the same all along a row, and its reciprocal grows evenly downwards.
        assert max(np.ptp(depth[row][mask[row]]) / z for row, z in zip(rows, near, strict=True)) < 1e-4
        slope, level = np.polyfit(rows[near < 100], 1 / near[near < 100], 1)
        assert np.abs(slope * rows + level - 1 / near)[near < 100].max() < 1e-4


def test_vehicles_are_nearer_than_the_ground_that_they_hide(clear: World):
    """Where a vehicle covers a row of the road, the plane behind it is known from the road beside it."""
    compared = 0
    for index in range(len(clear.pictures)):
        mask, vehicles, depth = (clear.truth[name][index] for name in ("mask", "vehicles", "depth"))
        for row in np.flatnonzero(mask.any(axis=1) & vehicles.any(axis=1)):
            assert depth[row][vehicles[row]].max() <= depth[row][mask[row]].min() * 1.001
            compared += 1
    assert compared > 50


def koschmieder(pictures: np.ndarray, depth: np.ndarray, severity: float) -> np.ndarray:
    """Fog written out from its law; the air is as bright as the farthest things and half as colourful."""
    visibility = 975 / (40**severity - 1)
    foggy = np.empty(pictures.shape)
    for index, (picture, metres) in enumerate(zip(light(pictures), depth.astype(float), strict=True)):
        far = picture[metres >= 0.99 * metres.max()].mean(axis=0)
        air = (far + far @ (0.2126, 0.7152, 0.0722)) / 2
        through = np.exp(-3.912 * metres / visibility)[..., None]
        foggy[index] = shown(picture * through + air * (1 - through))
    return foggy


@pytest.mark.parametrize("severity", [0.05, 0.3, 0.6, 1.0])
def test_fog_is_koschmieders_law(clear: World, severity: float):
    foggy = roads(per_class=6, seed=3, weather="fog", severity=severity)
    expected = koschmieder(clear.pictures, clear.truth["depth"], severity)
    assert np.abs(foggy.pictures - expected).max() < 0.52  # rounding, and float32


def test_fog_over_a_photograph_assumes_a_flat_road(clear: World):
    row = (np.arange(64) + 0.5) / 64
    flat = np.array([1 / max(y - 0.45, 1 / 500) if y > 0.45 else 2000 for y in row])
    depth = np.broadcast_to(flat[:, None], (30, 64, 64))
    expected = koschmieder(clear.pictures, depth, 0.6)
    assert np.abs(overlay(clear.pictures, "fog", 0.6, seed=0) - expected).max() < 0.52


def test_nights_are_darker_and_the_sky_the_darker_the_more_severe(clear: World):
    """On the ground the low beam, brighter the darker the night, makes up for some of it."""
    sky = clear.truth["depth"] == 2000
    skies = [clear.pictures[sky].mean()]
    for severity in (0.4, 0.7, 1.0):
        night = roads(per_class=6, seed=3, weather="night", severity=severity).pictures
        assert (night.mean(axis=(1, 2, 3)) < 0.8 * clear.pictures.mean(axis=(1, 2, 3))).all()
        skies.append(night[sky].mean())
    assert (np.diff(skies) < -5).all()


def test_snow_whitens_the_ground_and_rain_darkens_the_picture(clear: World):
    ground = clear.truth["depth"] < 60
    snow, rain = (roads(per_class=6, seed=3, weather=weather, severity=1.0).pictures for weather in ("snow", "rain"))
    assert snow[ground].mean() > clear.pictures[ground].mean() + 20
    assert rain.mean() < clear.pictures.mean() - 5


@every_bad_weather
def test_the_seed_moves_drops_flakes_and_noise_and_fog_has_none(clear: World, weather: str):
    first, second = (overlay(clear.pictures[:2], weather, 0.8, seed=seed) for seed in (0, 1))
    assert np.array_equal(first, second) == (weather == "fog")
    assert np.array_equal(first, overlay(clear.pictures[:2], weather, 0.8, seed=0))
    assert np.array_equal(first[:1], overlay(clear.pictures[:1], weather, 0.8, seed=0))
    twins = overlay(np.repeat(clear.pictures[:1], 2, axis=0), weather, 0.8, seed=0)
    assert np.array_equal(twins[0], twins[1]) == (weather == "fog")


@profile(max_examples=60)
@given(
    st.sampled_from(WEATHERS),
    st.floats(0, 1),
    st.tuples(st.integers(0, 2), st.integers(2, 40), st.integers(2, 40)),
    st.integers(0, 2**32 - 1),
)
def test_a_weather_keeps_shape_and_type_of_any_picture_and_the_picture_itself(
    weather: str, severity: float, shape: tuple[int, int, int], seed: int
):
    pictures = np.random.default_rng(seed).integers(0, 256, (*shape, 3), dtype=np.uint8)
    before = pictures.copy()
    changed = overlay(pictures, weather, severity, seed)
    assert (changed.shape, changed.dtype) == (pictures.shape, np.uint8)
    assert np.array_equal(pictures, before)
    if weather == "clear":
        assert np.array_equal(changed, pictures)


@pytest.mark.parametrize("severity", [-0.01, 1.01, math.nan, math.inf])
def test_a_severity_out_of_range_is_refused(severity: float):
    for attempt in (
        lambda: roads(per_class=1, seed=0, weather="fog", severity=severity),
        lambda: overlay(np.zeros((1, 8, 8, 3), dtype=np.uint8), "fog", severity, seed=0),
    ):
        with pytest.raises(settings.UserError, match=f"severity={severity!r} .* from 0 .* to 1"):
            attempt()


def test_an_unknown_weather_is_refused_with_the_valid_ones():
    for attempt in (
        lambda: roads(per_class=1, seed=0, weather="hail"),
        lambda: overlay(np.zeros((1, 8, 8, 3), dtype=np.uint8), "hail", 0.5, seed=0),
    ):
        with pytest.raises(settings.UserError, match="'hail'.*clear, rain, fog, snow, night"):
            attempt()


@pytest.mark.parametrize(("name", "value"), [("per_class", 0), ("per_class", 1.5), ("size", 31)])
def test_an_impossible_world_is_refused(name: str, value: float):
    with pytest.raises(settings.UserError, match=f"{name}={value} must be a whole number"):
        roads(**{"per_class": 1, "seed": 0, name: value})


@pytest.mark.parametrize(
    "pictures",
    [
        np.zeros((1, 8, 8, 3)),
        np.zeros((8, 8, 3), dtype=np.uint8),
        np.zeros((1, 8, 8, 1), dtype=np.uint8),
        np.zeros((1, 1, 8, 3), dtype=np.uint8),
    ],
    ids=["float", "one picture", "one channel", "one row"],
)
def test_pictures_of_another_type_or_shape_are_refused(pictures: np.ndarray):
    with pytest.raises(ValueError, match="pictures must be uint8"):
        overlay(pictures, "fog", 0.5, seed=0)
