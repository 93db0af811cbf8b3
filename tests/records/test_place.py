"""Planes and regions against coordinates worked out by hand."""

import numpy as np
import pytest

from napari_samv1.records.place import Plane, Region


def test_a_plane_of_a_stack_maps_its_pixels_to_the_image_and_back():
    plane = Plane((4, None, 7, None))  # rows are axis 1, columns axis 3
    assert plane.axes == (1, 3)
    np.testing.assert_array_equal(plane.to_image([(2, 9.5)]), [[4, 2, 7, 9.5]])
    np.testing.assert_array_equal(plane.from_image([[4, 2, 7, 9.5]]), [[2, 9.5]])
    assert plane.shape_in((10, 20, 30, 40)) == (20, 40)


def test_a_plane_shows_what_lies_within_half_a_slice():
    plane = Plane((4, None, None))
    shown = plane.shows([[3.49, 0, 0], [3.5, 0, 0], [4.49, 0, 0], [4.5, 0, 0]])
    assert shown.tolist() == [False, True, True, False]


def test_a_region_cuts_its_window_out_of_the_array():
    array = np.arange(2 * 5 * 6).reshape(2, 5, 6)
    region = Region(Plane((1, None, None)), (1, 2, 3, 4))
    np.testing.assert_array_equal(array[region.slices], array[1, 1:4, 2:6])
    assert region.middle_yx == (2, 3.5)


@pytest.mark.parametrize("index", [(None,), (None, None, None), (1, 2)])
def test_a_plane_needs_rows_and_columns(index):
    with pytest.raises(ValueError, match="None on two axes"):
        Plane(index)


@pytest.mark.parametrize("window", [(0, 0, 0, 4), (-1, 0, 2, 2)])
def test_a_region_needs_pixels(window):
    with pytest.raises(ValueError, match="at least one pixel"):
        Region(Plane(), window)
