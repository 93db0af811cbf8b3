"""Thick slices: the model sees the projection that napari shows, and the slice in the middle is annotated."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel

from lazy import lazy_slices
from napari_samv1.app.canvas import NoPlaneError
from napari_samv1.layers.image import displayed_plane, plane_at
from napari_samv1.layers.projection import projection_of, thicken
from napari_samv1.layers.sight import ImageSight
from napari_samv1.records.place import Region
from napari_samv1.records.sight import Sight

HW = (7, 8)


@pytest.fixture
def viewer():
    return ViewerModel()


def numbers(*shape, dtype=np.uint16):
    return np.random.default_rng(3).integers(0, 4000, shape).astype(dtype)


def make_thick(viewer, axis, left, right):
    margins = [list(viewer.dims.margin_left), list(viewer.dims.margin_right)]
    margins[0][axis], margins[1][axis] = left, right
    viewer.dims.margin_left, viewer.dims.margin_right = margins


def seen(plane):
    """The values that the model is to see, before limits."""
    return plane.seen.source.read(Region(plane.plane, (0, 0, *plane.shape_yx)), plane.shape_yx)


def shown(viewer, layer, hw=HW):
    """The values that napari shows, by its own account, at every pixel."""
    at = np.array(viewer.dims.point)
    values = np.empty(hw, dtype=np.float64)
    for y, x in np.ndindex(hw):
        at[-2:] = y, x
        values[y, x] = layer.get_value(tuple(at), view_direction=None, dims_displayed=[0, 1], world=True)
    return values


@pytest.mark.parametrize("mode", ["mean", "max", "min", "sum"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_the_values_are_those_that_napari_shows(viewer, mode, dtype):
    layer = viewer.add_image(numbers(9, *HW, dtype=dtype), scale=(2, 1, 1), projection_mode=mode)
    viewer.dims.set_point(0, 8)
    for left, right in ((2.5, 2.5), (0, 4), (1, 0.9), (0.9, 2), (3, 0), (8, 100), (0.5, 0.5)):
        make_thick(viewer, 0, left, right)
        np.testing.assert_allclose(seen(displayed_plane(viewer, layer)), shown(viewer, layer))


@pytest.mark.parametrize("point", [0, 3.4, 3.5, 4.5, 8])
def test_the_slices_are_those_that_napari_takes_at_the_ends_and_between_slices(viewer, point):
    layer = viewer.add_image(numbers(9, *HW), projection_mode="max")
    viewer.dims.set_point(0, point)
    for left, right in ((1, 1), (0.5, 2.5), (2.5, 0.5), (20, 0)):
        make_thick(viewer, 0, left, right)
        np.testing.assert_array_equal(seen(displayed_plane(viewer, layer)), shown(viewer, layer))


def test_two_axes_are_projected_at_once(viewer):
    layer = viewer.add_image(numbers(4, 9, *HW), projection_mode="mean")
    viewer.dims.point = (2, 5, 0, 0)
    viewer.dims.margin_left = viewer.dims.margin_right = (1, 2, 0, 0)
    plane = displayed_plane(viewer, layer)
    np.testing.assert_allclose(seen(plane), layer.data[1:4, 3:8].mean(axis=(0, 1)))
    np.testing.assert_allclose(seen(plane), shown(viewer, layer))
    assert plane.seen.limits[0][0] == "Image (mean of 3 x 5 slices)"


def test_the_middle_slice_is_annotated_and_identified(viewer):
    layer = viewer.add_image(numbers(9, *HW), projection_mode="mean")
    viewer.dims.set_point(0, 4)
    single = displayed_plane(viewer, layer)
    make_thick(viewer, 0, 2, 2)
    thick = displayed_plane(viewer, layer)
    assert thick.key == single.key
    assert thick.pixels_hash() == single.pixels_hash()
    np.testing.assert_array_equal(thick.read(), layer.data[4])
    # an encoding of the one is stale for the other
    assert thick.display_key != single.display_key
    assert (thick.seen.made_of["channels"], thick.seen.made_of["slices"]) != tuple(
        single.seen.made_of.values()
    )
    layer.projection_mode = "max"
    assert displayed_plane(viewer, layer).display_key != thick.display_key
    layer.projection_mode = "none"
    assert displayed_plane(viewer, layer).display_key == single.display_key


def test_contrast_limits_hold_for_the_projection(viewer):
    layer = viewer.add_image(np.arange(9)[:, None, None] * np.ones(HW), projection_mode="sum")
    layer.contrast_limits = (0, 30)
    viewer.dims.set_point(0, 4)
    make_thick(viewer, 0, 1, 1)
    pixels = displayed_plane(viewer, layer).seen_pixels()
    assert (pixels.pixels == round(255 * (3 + 4 + 5) / 30)).all()
    assert str(pixels.display.channels[0].projection) == "sum of 3 slices"


def test_other_slices_of_a_thick_view_are_projected_around_themselves(viewer):
    layer = viewer.add_image(numbers(9, *HW), projection_mode="max")
    viewer.dims.set_point(0, 4)
    make_thick(viewer, 0, 1, 1)
    sight = ImageSight(viewer, lambda: None)
    other = sight.complete(plane_at(layer, (7, None, None)), layer)
    np.testing.assert_array_equal(seen(other), layer.data[6:9].max(axis=0))


def test_each_channel_has_its_own_projection(viewer):
    image = viewer.add_image(numbers(9, *HW), projection_mode="max", contrast_limits=(0, 4000))
    other = viewer.add_image(numbers(9, *HW) // 2, blending="additive", contrast_limits=(0, 4000))
    viewer.dims.set_point(0, 4)
    make_thick(viewer, 0, 1, 1)
    told = []
    sight = ImageSight(viewer, lambda: told.append(True))
    sight.sight = Sight(channels="visible")
    other.projection_mode = "none"
    stacked = seen(sight.complete(displayed_plane(viewer, image), image))
    np.testing.assert_array_equal(stacked[..., 0], image.data[3:6].max(axis=0))
    np.testing.assert_array_equal(stacked[..., 1], other.data[4])
    told.clear()
    make_thick(viewer, 0, 2, 2)
    assert told


def test_rgb_slices_are_projected(viewer):
    data = np.random.default_rng(0).integers(0, 256, (9, *HW, 3), np.uint8)
    layer = viewer.add_image(data, rgb=True, projection_mode="max")
    viewer.dims.set_point(0, 4)
    make_thick(viewer, 0, 1, 1)
    pixels = displayed_plane(viewer, layer).seen_pixels().pixels
    np.testing.assert_array_equal(pixels, data[3:6].max(axis=0))
    layer.projection_mode = "mean"
    pixels = displayed_plane(viewer, layer).seen_pixels().pixels
    np.testing.assert_allclose(pixels, data[3:6].mean(axis=0), atol=0.51)


def test_percentiles_of_the_stack_are_of_projections(viewer):
    layer = viewer.add_image(np.arange(6)[:, None, None] * np.ones(HW), projection_mode="max")
    make_thick(viewer, 0, 0, 1)
    sight = ImageSight(viewer, lambda: None)
    sight.sight = Sight(limits="stack", percentiles=(0, 100))
    plane = sight.complete(displayed_plane(viewer, layer), layer)
    (channel,) = plane.seen.display().channels
    assert (channel.low, channel.high) == (1, 5)


def test_only_the_slices_of_the_slab_are_read_and_not_here(viewer):
    read = []
    lazy = lazy_slices(9, (5, 6), read)
    layer = viewer.add_image(lazy, contrast_limits=(0, 9), projection_mode="mean")
    viewer.dims.set_point(0, 4)
    make_thick(viewer, 0, 1, 1)
    read.clear()
    plane = displayed_plane(viewer, layer)
    assert plane.seen.limits
    assert read == []
    assert (seen(plane) == 4).all()
    assert set(read) == {3, 4, 5}


def test_levels_are_projected_over_the_slices_that_they_hold(viewer):
    fine = np.arange(8)[:, None, None] * np.ones((8, 16, 16))
    coarse = fine.reshape(4, 2, 8, 2, 8, 2).mean(axis=(1, 3, 5))
    layer = viewer.add_image([fine, coarse], multiscale=True, contrast_limits=(0, 8), projection_mode="max")
    viewer.dims.set_point(0, 3)
    make_thick(viewer, 0, 1, 2)
    plane = displayed_plane(viewer, layer)
    whole = Region(plane.plane, (0, 0, 16, 16))
    assert (plane.seen.source.read(whole, (16, 16)) == 5).all()
    # slices 2 to 5 of the finest level are 1 and 2 of the coarser one
    assert (plane.seen.source.read(whole, (8, 8)) == coarse[2, 0, 0]).all()


def test_a_mirrored_axis_of_which_napari_shows_nothing_is_a_sentence(viewer):
    layer = viewer.add_image(numbers(9, *HW), scale=(-1, 1, 1), projection_mode="sum", name="mirrored")
    viewer.dims.set_point(0, -4)
    assert displayed_plane(viewer, layer).key.index[0] == 4
    make_thick(viewer, 0, 1, 1)
    assert (shown(viewer, layer) == 0).all()  # the sum of no slice
    with pytest.raises(NoPlaneError, match=r"mirrored.*thickness to 0"):
        displayed_plane(viewer, layer)


@pytest.mark.parametrize("units", [("um", "um", "um"), ("nm", "um", "um")])
@pytest.mark.parametrize("margins", [(0, 0), (2.5, 2.5), (0, 5), (6.2, 0), (7, 90)])
def test_the_slices_on_record_are_shown_again(viewer, margins, units):
    viewer.add_image(numbers(3, 30, 30), scale=(500, 1, 1), units=("nm", "um", "um"))
    layer = viewer.add_image(numbers(9, *HW), scale=(2.5, 1, 1), units=units, projection_mode="max")
    viewer.dims.set_point(0, layer.data_to_world((4, 0, 0))[0])
    index = displayed_plane(viewer, layer).key.index
    make_thick(viewer, 0, *margins)
    before = projection_of(viewer, layer, index)
    make_thick(viewer, 0, 1, 9)
    thicken(viewer, layer, index, () if before is None else before.slabs)
    assert projection_of(viewer, layer, index) == before
