"""A mask divided between the places that were pointed at in it."""

from __future__ import annotations

import numpy as np

from napari_samv1.masks.divide import divide
from napari_samv1.records.mask_crop import MaskCrop

Y, X = np.mgrid[:40, :60]
LEFT, RIGHT = np.hypot(Y - 20, X - 20) < 11, np.hypot(Y - 20, X - 38) < 11
DUMB_BELL = LEFT | RIGHT


def test_two_discs_that_touch_are_cut_at_their_neck():
    parts = divide(MaskCrop.from_mask(DUMB_BELL), [(20, 14), (25, 40)])
    left, right = (part.to_mask(DUMB_BELL.shape) for part in parts)
    np.testing.assert_array_equal(left | right, DUMB_BELL)
    assert not (left & right).any()
    # the neck is column 29, and no pixel of a disc is more than one column beyond it
    np.testing.assert_array_equal(left[:, :29], DUMB_BELL[:, :29])
    np.testing.assert_array_equal(right[:, 30:], DUMB_BELL[:, 30:])


def test_pieces_that_nothing_points_at_go_to_the_nearest():
    mask = np.zeros((10, 30), dtype=bool)
    mask[2:5, 2:5] = mask[2:5, 20:23] = mask[7, 19] = True
    first, second = divide(MaskCrop.from_mask(mask), [(3, 3), (3, 21)])
    assert (first.area, second.area) == (9, 10)


def test_a_place_outside_of_the_mask_gets_nothing():
    mask = np.zeros((10, 30), dtype=bool)
    mask[2:5, 2:5] = True
    first, second = divide(MaskCrop.from_mask(mask), [(3, 3), (3, 21)])
    assert (first.area, second.area) == (9, 0)
    assert [part.area for part in divide(MaskCrop.from_mask(mask), [(8, 8), (3, 21)])] == [0, 0]


def test_of_two_places_in_one_pixel_the_first_gets_it():
    assert [one.area for one in divide(MaskCrop.from_mask(DUMB_BELL), [(20, 20), (20.2, 20.2)])] == [
        np.count_nonzero(DUMB_BELL),
        0,
    ]


def test_two_places_on_one_hill_meet_halfway():
    bar = np.zeros((10, 41), dtype=bool)
    bar[2:8, 1:40] = True
    first, second = divide(MaskCrop.from_mask(bar), [(5, 10), (5, 30)])
    assert abs(first.area - second.area) <= 6
    assert first.area + second.area == np.count_nonzero(bar)
