"""Clean-up of one object's mask, against scikit-image on the whole image."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt
from skimage.draw import disk
from skimage.measure import label, regionprops
from skimage.morphology import reconstruction

from napari_samv1.masks.clean import CleanUp
from napari_samv1.records.mask_crop import MaskCrop


def cleaned(mask, **settings):
    return CleanUp(**settings).apply(MaskCrop.from_mask(mask), mask.shape).to_mask(mask.shape)


def blobs(seed, image_hw=(40, 50)):
    generator = np.random.default_rng(seed)
    mask = np.zeros(image_hw, dtype=bool)
    for _ in range(generator.integers(1, 9)):
        centre = generator.integers(0, image_hw)
        mask[disk(centre, generator.integers(1, 11), shape=image_hw)] = True
    for _ in range(generator.integers(0, 9)):
        mask[disk(generator.integers(0, image_hw), generator.integers(1, 4), shape=image_hw)] = False
    return mask


seeds = st.integers(0, 10_000)


@given(seeds)
def test_the_defaults_change_nothing(seed):
    mask = blobs(seed)
    np.testing.assert_array_equal(cleaned(mask), mask)


@settings(deadline=None)
@given(seeds)
def test_holes_are_what_the_image_edge_does_not_reach(seed):
    mask = blobs(seed)
    # flood the background from the edge, 4-connected
    flood = np.zeros(mask.shape)
    flood[[0, -1]] = flood[:, [0, -1]] = 1
    background = (~mask).astype(float)
    cross = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]])
    outside = reconstruction(np.minimum(flood, background), background, footprint=cross)
    np.testing.assert_array_equal(cleaned(mask, fill_holes=True), outside == 0)


@settings(deadline=None)
@given(seeds, st.integers(0, 120))
def test_islands_below_the_area_go(seed, area):
    mask = blobs(seed)
    expected = np.zeros_like(mask)
    for piece in regionprops(label(mask, connectivity=2)):
        if piece.area >= area:
            expected[tuple(piece.coords.T)] = True
    np.testing.assert_array_equal(cleaned(mask, drop_islands=area), expected)


@settings(deadline=None)
@given(seeds)
def test_the_largest_piece_alone_stays(seed):
    mask = blobs(seed)
    areas = [piece.area for piece in regionprops(label(mask, connectivity=2))]
    kept = cleaned(mask, keep_largest=True)
    assert kept.sum() == max(areas, default=0)
    assert label(kept, connectivity=2).max() == min(1, len(areas))
    assert not (kept & ~mask).any()


@settings(deadline=None)
@given(seeds, st.integers(1, 9))
def test_growing_reaches_every_pixel_within_that_distance(seed, pixels):
    mask = blobs(seed)
    if mask.any():
        np.testing.assert_array_equal(cleaned(mask, grow=pixels), distance_transform_edt(~mask) <= pixels)


@settings(deadline=None)
@given(seeds, st.integers(1, 9))
def test_narrowing_drops_every_pixel_within_that_distance_of_the_background(seed, pixels):
    mask = blobs(seed)
    if mask.any() and not mask.all():
        np.testing.assert_array_equal(cleaned(mask, grow=-pixels), distance_transform_edt(mask) > pixels)


def test_the_image_edge_is_no_outline():
    full = np.ones((20, 30), dtype=bool)
    np.testing.assert_array_equal(cleaned(full, grow=-3, smooth=2), full)
    half = np.zeros((20, 30), dtype=bool)
    half[:, :15] = True
    np.testing.assert_array_equal(cleaned(half, smooth=3), half)
    half[:, 12:15] = False
    np.testing.assert_array_equal(cleaned(half, grow=-2), np.arange(30) < np.full((20, 1), 10))


def test_smoothing_removes_spikes_and_keeps_a_disk():
    mask = np.zeros((80, 80), dtype=bool)
    mask[disk((40, 40), 20)] = True
    round_one = mask.copy()
    mask[40, 60:78] = True
    smooth = cleaned(mask, smooth=2)
    assert not smooth[40, 63:].any()
    assert (smooth & round_one).sum() / (smooth | round_one).sum() > 0.97


def test_smoothing_sees_no_difference_between_the_crop_and_the_image():
    mask = np.zeros((90, 100), dtype=bool)
    mask[30:60, 40:70] = blobs(5, (30, 30))
    far = cleaned(np.pad(mask, 50), smooth=1.5, grow=2)[50:-50, 50:-50]
    np.testing.assert_array_equal(cleaned(mask, smooth=1.5, grow=2), far)


@settings(deadline=None)
@given(
    seeds,
    st.builds(
        CleanUp,
        fill_holes=st.booleans(),
        drop_islands=st.integers(0, 60),
        keep_largest=st.booleans(),
        smooth=st.sampled_from([0, 0.7, 2]),
        grow=st.integers(-4, 4),
    ),
)
def test_what_the_settings_promise_holds_for_the_result(seed, settings):
    mask = blobs(seed)
    result = settings.apply(MaskCrop.from_mask(mask), mask.shape).to_mask(mask.shape)
    pieces = label(result, connectivity=2)
    areas = np.bincount(pieces.ravel())[1:]
    if settings.keep_largest:
        assert pieces.max() <= 1
    assert (areas >= settings.drop_islands).all()
    if settings.fill_holes:
        np.testing.assert_array_equal(cleaned(result, fill_holes=True), result)


def test_a_mask_that_vanishes_is_an_empty_crop():
    crop = MaskCrop.from_mask(np.ones((3, 3), dtype=bool), (5, 5))
    assert CleanUp(grow=-5).apply(crop, (20, 20)).empty
    assert CleanUp(drop_islands=10).apply(crop, (20, 20)).empty
    empty = MaskCrop.from_mask(np.zeros((3, 3), dtype=bool))
    assert CleanUp(fill_holes=True, smooth=2, grow=4).apply(empty, (20, 20)).empty


@pytest.mark.parametrize("wrong", [{"drop_islands": -1}, {"smooth": -0.5}, {"smooth": float("nan")}])
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        CleanUp(**wrong)
