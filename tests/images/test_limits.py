"""Limits of a plane are numbers from a bounded sample, the same for every region."""

from __future__ import annotations

import numpy as np
import pytest

from lazy import CountingArray, pyramid
from napari_samv1.images.displayed import displayed
from napari_samv1.images.intensity import to_rgb8
from napari_samv1.images.limits import percentiles_of_stack, plane_display, plane_sample, plane_stretch
from napari_samv1.images.source import as_source
from napari_samv1.records.display import Channel, Display, Paint
from napari_samv1.records.place import Plane
from napari_samv1.records.preparation import BUNDLED, PUBLISHED

RNG = np.random.default_rng(1)


def test_limits_of_a_small_plane_are_what_a_picture_of_it_is_shown_with():
    image = RNG.integers(100, 40_000, (400, 500), dtype=np.uint16)
    sample = plane_sample(as_source(image), Plane())
    display = plane_display(sample, None, 1.0)
    np.testing.assert_array_equal(displayed(image, display), to_rgb8(image))
    assert plane_stretch(sample, display, PUBLISHED) is None


def test_one_bright_object_leaves_the_others_as_bright_as_they_are():
    """16 blocks of 128: 3 of bare ground, 12 with an object of 60, one with another of 250."""
    image = np.full((512, 512), 20, np.uint8)
    corners = [(y, x) for y in range(32, 512, 128) for x in range(32, 512, 128)][3:]
    for y, x in corners[:-1]:
        image[y : y + 40, x : x + 40] = 60
    y, x = corners[-1]
    image[y : y + 40, x : x + 40] = 250
    sample = plane_sample(as_source(image), Plane())
    assert plane_stretch(sample, plane_display(sample, None, 1.0), BUNDLED) == (20, 60)


def test_bare_ground_is_not_stretched_to_its_noise():
    image = RNG.integers(20, 24, (512, 512)).astype(np.uint8)
    image[200:240, 200:240] = 180
    sample = plane_sample(as_source(image), Plane())
    assert plane_stretch(sample, plane_display(sample, None, 1.0), BUNDLED) == (20, 180)


@pytest.mark.parametrize("levels", [1, 8])
def test_a_large_plane_is_looked_at_in_few_places(levels):
    arrays = pyramid((40_000, 30_000), lambda y, x: 500 + (7 * y + 13 * x) % 1000, levels, np.uint16)
    sample = plane_sample(as_source(arrays), Plane())
    assert sum(array.pixels for array in arrays) < 1_000_000
    (channel,) = plane_display(sample, None, 1.0).channels
    assert channel.low == pytest.approx(501, abs=20)
    assert channel.high == pytest.approx(1498, abs=20)


def test_small_bright_things_that_coarse_levels_average_away_are_not_cut_off():
    # one pixel of sixteen is bright: the coarsest level, a mean, is even
    fine = CountingArray((8192, 8192), lambda y, x: 100 + 800 * ((y % 4 == 0) & (x % 4 == 0)), np.uint16)
    coarse = CountingArray((512, 512), lambda y, x: 150 + 0 * (y + x), np.uint16)
    (channel,) = plane_display(plane_sample(as_source([fine, coarse]), Plane()), None, 1.0).channels
    assert (channel.low, channel.high) == (100, 900)


def test_a_rare_bright_place_that_no_block_meets_is_seen_in_the_overview():
    def slide(y, x):
        return 100 + 800 * ((y < 2048) & (x < 2048)) + (x % 2)

    levels = pyramid((32_768, 32_768), slide, 7, np.uint16)
    (channel,) = plane_display(plane_sample(as_source(levels), Plane()), None, 1.0).channels
    assert channel.high >= 900


def test_a_plane_without_a_finite_value_has_some_limits():
    image = np.full((40, 40), np.nan, np.float32)
    assert plane_display(plane_sample(as_source(image), Plane()), None, 1.0) == Display.single(0, 1)


def test_given_limits_and_those_of_the_type_need_no_sample():
    assert plane_display([np.zeros((4, 4), np.uint16)], (5, 9), 2.0) == Display.single(5, 9, 2.0)
    assert plane_display([np.zeros((4, 4), np.uint8)], None, 1.0) == Display.single(0, 255)


def test_channels_are_added_in_their_colours():
    pixels = np.array([[[10, 0], [0, 40], [10, 40], [5, 0]]], np.uint16)
    black, red, magenta = (0, 0, 0, 1), (1, 0, 0, 1), (1, 0, 1, 1)
    display = Display(
        (
            Channel(0, 10, paint=Paint((black, red), "additive")),
            Channel(0, 40, paint=Paint((black, magenta), "additive")),
        )
    )
    expected = [[[255, 0, 0], [255, 0, 255], [255, 0, 255], [128, 0, 0]]]
    np.testing.assert_array_equal(displayed(pixels, display), expected)
    with pytest.raises(ValueError, match="2 channels needs pixels"):
        displayed(pixels[..., 0], display)


@pytest.mark.parametrize(
    "wrong", [{"low": 2, "high": 1}, {"low": 0, "high": np.inf}, {"low": 0, "high": 1, "gamma": 0}]
)
def test_numbers_that_display_nothing_are_refused(wrong):
    with pytest.raises(ValueError, match=r"limits|gamma"):
        Channel(**wrong)


def test_percentiles_of_a_huge_stack_take_a_sample_of_its_slices():
    stack = CountingArray((30, 20_000, 20_000), lambda z, y, x: 100 * z + (y + x) % 50, np.uint16)
    low, high = percentiles_of_stack(as_source(stack), Plane((3, None, None)), (0, 100))
    # the first slice begins at 0, and the last ends at 2949
    assert low <= 2
    assert high >= 2947
    # 8 slices of 32 blocks of 128 x 128, and a few for the hash of the image
    assert stack.pixels <= 8 * 32 * 128**2 + 100_000


def test_percentiles_of_a_stack_are_of_all_its_values_where_it_is_small():
    stack = np.random.default_rng(0).integers(0, 4000, (3, 40, 50, 2), np.uint16)
    for plane in (Plane((1, None, None, 0)), Plane((0, None, None, 1))):
        found = percentiles_of_stack(as_source(stack, ndim=4), plane, (1, 99))
        assert found == tuple(np.percentile(stack, (1, 99)))


def test_a_stack_without_a_finite_value_has_some_limits():
    stack = np.full((3, 8, 8), np.nan, np.float32)
    assert percentiles_of_stack(as_source(stack), Plane((0, None, None)), (1, 99)) == (0, 1)
