"""Patients are what their truth says, and each dial moves only what it names."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st
from scipy import ndimage, stats

from tlutils import settings
from tlutils.synthetic.scans import scans
from tlutils.synthetic.shapes import World


def same(first: World, second: World) -> bool:
    return (
        np.array_equal(first.pictures, second.pictures)
        and np.array_equal(first.labels, second.labels)
        and all(np.array_equal(first.truth[name], second.truth[name]) for name in ("mask", "marker"))
    )


def one_per_patient(world: World, values: np.ndarray) -> np.ndarray:
    return values[np.unique(world.groups, return_index=True)[1]]


def standard_errors(hits: int, n: int, share: float) -> float:
    """How far a count lies from its binomial mean."""
    return abs(hits - n * share) / math.sqrt(n * share * (1 - share))


@pytest.fixture(scope="module")
def many() -> World:
    return scans(400, seed=1, prevalence=0.4, slices=1)


@pytest.fixture
def unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Findings that do not show."""
    monkeypatch.setattr("tlutils.synthetic.scans._CONTRAST", 0.0)


def test_the_same_call_draws_the_same_scans():
    assert same(scans(6, seed=3, marker=0.7), scans(6, seed=3, marker=0.7))


def test_seeds_and_places_in_a_world_share_no_picture():
    pictures = np.concatenate([scans(5, seed=s, size=32).pictures for s in range(3)])
    assert len({picture.tobytes() for picture in pictures}) == len(pictures) == 60


@pytest.mark.usefixtures("unseen")
def test_a_head_does_not_depend_on_how_many_patients_there_are_nor_on_who_is_ill():
    few = scans(4, seed=2, size=32, prevalence=0.1)
    many = scans(15, seed=2, size=32, prevalence=0.9)
    assert not np.array_equal(few.labels, many.labels[:16])
    assert np.array_equal(few.pictures, many.pictures[:16])


@profile(max_examples=20)
@given(st.integers(1, 15), st.floats(0.001, 1), st.integers(0, 2**32 - 1))
def test_prevalence_is_exact(patients: int, prevalence: float, seed: int):
    world = scans(patients, seed, prevalence=prevalence, slices=1, size=32)
    assert world.labels.sum() == max(1, round(prevalence * patients))


def test_a_higher_prevalence_keeps_the_ill_ones_and_changes_nobody_else():
    low, high = (scans(20, seed=4, prevalence=p, size=32) for p in (0.2, 0.5))
    assert (high.labels >= low.labels).all() and high.labels.sum() == 40 and low.labels.sum() == 16
    unchanged = high.labels == low.labels
    assert np.array_equal(high.pictures[unchanged], low.pictures[unchanged])
    assert np.array_equal(high.truth["mask"][unchanged], low.truth["mask"][unchanged])


@pytest.mark.parametrize("slices", [1, 3])
def test_slices_of_a_patient_lie_together_and_share_label_and_marker(slices: int):
    world = scans(12, seed=0, prevalence=0.5, slices=slices, size=32, marker=0.5)
    assert world.groups.tolist() == [patient for patient in range(12) for _ in range(slices)]
    for values in (world.labels, world.truth["marker"]):
        by_patient = values.reshape(12, slices)
        assert (by_patient == by_patient[:, :1]).all()
        assert 0 < by_patient[:, 0].sum() < 12


def test_shapes_and_types_are_as_documented():
    world = scans(3, seed=0, size=40, slices=2)
    assert (world.pictures.shape, world.pictures.dtype) == ((6, 40, 40, 3), np.uint8)
    assert (world.truth["mask"].shape, world.truth["mask"].dtype) == ((6, 40, 40), bool)
    assert (world.truth["marker"].shape, world.truth["marker"].dtype) == ((6,), bool)
    assert world.labels.dtype == world.groups.dtype == np.int64
    assert world.class_names == ("benign", "malignant")
    assert (world.pictures == world.pictures[..., :1]).all()


@pytest.mark.usefixtures("unseen")
def test_slices_of_one_patient_resemble_each_other_more_than_those_of_two():
    world = scans(12, seed=0, slices=2)
    alike = np.corrcoef(world.pictures[..., 0].reshape(24, -1).astype(float))
    siblings = (world.groups[:, None] == world.groups) & ~np.eye(24, dtype=bool)
    others = world.groups[:, None] != world.groups
    assert alike[siblings].mean() > alike[others].mean() + 0.1
    assert (np.where(siblings, alike, 0).max(axis=1) > np.where(others, alike, 0).mean(axis=1) * 24 / 22).all()


@pytest.mark.usefixtures("unseen")
def test_the_finding_lies_inside_the_head():
    world = scans(40, seed=5, prevalence=0.5, slices=2)
    for picture, mask in zip(world.pictures[..., 0], world.truth["mask"], strict=True):
        bright = ndimage.uniform_filter(picture.astype(float), 3) > 45
        right, left = np.maximum.accumulate(bright, axis=1), np.maximum.accumulate(bright[:, ::-1], axis=1)[:, ::-1]
        assert not (mask & ~(right & left)).any()


def test_every_slice_of_an_ill_patient_cuts_the_tumour_and_the_others_have_a_spot_in_all_slices_or_in_none():
    world = scans(30, seed=6, prevalence=0.4, slices=4)
    seen = world.truth["mask"].any(axis=(1, 2)).reshape(30, 4)
    assert (seen == seen[:, :1]).all()
    assert seen[world.labels.reshape(30, 4) == 1].all()


def test_half_of_the_benign_patients_have_a_spot(many: World):
    spots = many.truth["mask"][many.labels == 0].any(axis=(1, 2))
    assert standard_errors(int(spots.sum()), len(spots), 0.5) < 4


def test_malignant_and_benign_findings_have_the_same_areas(many: World):
    """Size must not tell what shape should: the same distribution, to a chance of one in ten thousand."""
    areas = many.truth["mask"].sum(axis=(1, 2))
    malignant, benign = areas[many.labels == 1], areas[(many.labels == 0) & (areas > 0)]
    assert stats.ks_2samp(malignant, benign).pvalue > 1e-4
    assert abs(malignant.mean() / benign.mean() - 1) < 0.12


def test_a_malignant_outline_is_longer_than_a_benign_one_of_the_same_area(many: World):
    """Perimeter squared over area, counted in pixel sides: what tells the classes apart."""
    masks = many.truth["mask"]
    perimeter = np.diff(masks, axis=1).sum(axis=(1, 2)) + np.diff(masks, axis=2).sum(axis=(1, 2))
    ratio = perimeter**2 / np.maximum(masks.sum(axis=(1, 2)), 1)
    seen = masks.any(axis=(1, 2))
    assert ratio[many.labels == 1].mean() > 1.2 * ratio[seen & (many.labels == 0)].mean()


def test_a_finding_brightens_its_mask_and_changes_nothing_else(monkeypatch: pytest.MonkeyPatch):
    seen = scans(20, seed=8, prevalence=0.5)
    monkeypatch.setattr("tlutils.synthetic.scans._CONTRAST", 0.0)
    unseen = scans(20, seed=8, prevalence=0.5)
    masks = seen.truth["mask"]
    assert np.array_equal(masks, unseen.truth["mask"])
    assert not masks.any(axis=(1, 2)).all()
    # The finding's edge is soft: it reaches a pixel or two beyond its mask.
    around = ndimage.binary_dilation(masks, np.ones((1, 3, 3)), iterations=2)
    assert np.array_equal(seen.pictures[~around], unseen.pictures[~around])
    assert seen.pictures[masks].mean() > unseen.pictures[masks].mean() + 20


def test_the_diameter_of_a_finding_is_a_fifth_of_the_picture(many: World):
    areas = many.truth["mask"][many.labels == 1].sum(axis=(1, 2))
    assert np.median(2 * np.sqrt(areas / np.pi)) / 64 == pytest.approx(0.2, rel=0.15)


def test_slices_do_not_move_labels_and_markers():
    few, many = (scans(20, seed=2, slices=s, size=32, prevalence=0.3, marker=0.6) for s in (1, 3))
    assert np.array_equal(few.labels, one_per_patient(many, many.labels))
    assert np.array_equal(few.truth["marker"], one_per_patient(many, many.truth["marker"]))


@pytest.mark.parametrize("size", [32, 64, 100])
def test_the_marker_lies_in_its_corner_and_nowhere_else_changes_a_pixel(size: int):
    without, given_away = (scans(8, seed=1, size=size, prevalence=0.5, marker=m) for m in (0.0, 1.0))
    changed = (without.pictures != given_away.pictures).any(axis=3)
    assert np.array_equal(changed.any(axis=(1, 2)), given_away.truth["marker"])
    corner = size // 5
    assert not changed[:, corner:].any() and not changed[:, :, corner:].any()
    assert np.array_equal(without.truth["mask"], given_away.truth["mask"])


def test_the_marker_is_one_letter_of_one_white_and_never_touches_a_head():
    world = scans(8, seed=1, prevalence=0.5, marker=1.0)
    without = scans(8, seed=1, prevalence=0.5)
    marked = world.truth["marker"]
    white = world.pictures[marked, :12, :12, 0] == 235
    assert (white == white[0]).all() and white[0].any()
    # Behind the letter there was only noise.
    assert without.pictures[marked, :12, :12, 0][white].mean() < 40


def test_marker_zero_draws_none_and_one_gives_the_label_away():
    assert not scans(30, seed=0, marker=0.0, slices=1, size=32, prevalence=0.5).truth["marker"].any()
    told = scans(30, seed=0, marker=1.0, slices=1, size=32, prevalence=0.5)
    assert np.array_equal(told.truth["marker"], told.labels == 1)


@pytest.mark.parametrize("marker", [0.1, 0.5, 0.8])
def test_marker_is_the_probability_that_the_marker_agrees_with_the_label(marker: float):
    world = scans(100, seed=5, marker=marker, slices=1, size=32, prevalence=0.5)
    for label in (0, 1):
        chosen = world.labels == label
        agree = world.truth["marker"][chosen] == (label == 1)
        assert standard_errors(int(agree.sum()), int(chosen.sum()), marker) < 4


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("patients", value) for value in (0, -1, 2.0, True, "3")],
        *[("seed", value) for value in (-1, 0.5, True)],
        *[("size", value) for value in (31, 64.0)],
        *[("slices", value) for value in (0, 1.5)],
        *[("prevalence", value) for value in (0.0, -0.1, 1.1, math.nan)],
        *[("marker", value) for value in (-0.1, 1.1, math.nan)],
    ],
)
def test_a_value_outside_its_range_is_refused_by_name(name: str, value: object):
    valid = {"patients": 2, "seed": 0, "size": 32}
    with pytest.raises(settings.UserError, match=f"^{name}={value!r} (must be|is out of range; give)"):
        scans(**{**valid, name: value})


def test_where_only_the_outline_tells_everybody_has_a_finding_and_its_grey_values_say_nothing():
    world = scans(120, seed=9, prevalence=0.5, slices=1, outline_only=True)
    masks, grey = world.truth["mask"], world.pictures[..., 0].astype(float)
    assert masks.any(axis=(1, 2)).all()
    spread = np.array([picture[ndimage.binary_erosion(mask)].std() for picture, mask in zip(grey, masks, strict=True)])
    level = np.array([picture[mask].mean() for picture, mask in zip(grey, masks, strict=True)])
    ill = world.labels == 1
    for values in (spread, level):
        assert stats.ks_2samp(values[ill], values[~ill]).pvalue > 1e-3
    perimeter = np.diff(masks, axis=1).sum(axis=(1, 2)) + np.diff(masks, axis=2).sum(axis=(1, 2))
    ratio = perimeter**2 / masks.sum(axis=(1, 2))
    assert ratio[ill].mean() > 1.2 * ratio[~ill].mean()


def test_the_dial_for_the_outline_leaves_heads_and_places_of_spots_as_they_are():
    usual, outline = (scans(20, seed=4, slices=1, outline_only=only) for only in (False, True))
    spotted = (usual.labels == 0) & usual.truth["mask"].any(axis=(1, 2))
    assert spotted.any() and np.array_equal(usual.pictures[spotted], outline.pictures[spotted])
