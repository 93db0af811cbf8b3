from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel

from lazy import lazy_slices, pyramid
from napari_samv1.app.canvas import NoPlaneError
from napari_samv1.layers import image as image_module
from napari_samv1.layers.image import displayed_plane, overview_at, plane_at
from napari_samv1.layers.projection import projection_of


@pytest.fixture
def viewer():
    return ViewerModel()


def test_a_grey_image_is_seen_through_its_contrast_limits_and_gamma(viewer):
    data = np.arange(12, dtype=np.uint16).reshape(3, 4)
    layer = viewer.add_image(data, contrast_limits=(2, 9), gamma=0.5)
    plane = displayed_plane(viewer, layer)
    assert (plane.shape_yx, plane.axes, plane.intensity, plane.gamma) == ((3, 4), (0, 1), (2.0, 9.0), 0.5)
    np.testing.assert_array_equal(plane.read(), data)


def test_rgb_is_seen_as_it_is_and_alpha_is_ignored(viewer):
    data = np.random.default_rng(0).integers(0, 255, (5, 6, 4), dtype=np.uint8)
    layer = viewer.add_image(data, rgb=True)
    plane = displayed_plane(viewer, layer)
    assert (plane.shape_yx, plane.intensity, plane.gamma) == ((5, 6), None, 1.0)
    np.testing.assert_array_equal(plane.read(), data[..., :3])


def test_floating_rgb_keeps_its_range(viewer):
    layer = viewer.add_image(np.full((5, 6, 3), 0.5, dtype=np.float32), rgb=True)
    assert displayed_plane(viewer, layer).intensity == "dtype"


def test_contrast_and_data_make_it_stale_and_a_slice_is_another_plane(viewer):
    layer = viewer.add_image(np.zeros((4, 5, 6), dtype=np.uint8))
    first = displayed_plane(viewer, layer)
    layer.contrast_limits = (0, 9)
    second = displayed_plane(viewer, layer)
    assert second.key == first.key
    assert second.display_key != first.display_key
    viewer.dims.set_point(0, 3)
    assert displayed_plane(viewer, layer).key != first.key
    now = displayed_plane(viewer, layer)
    newer = displayed_plane(viewer, layer, data_revision=1)
    assert newer.key == now.key
    assert newer.display_key != now.display_key


def test_the_displayed_slice_of_a_scaled_stack_is_read(viewer):
    data = np.arange(4 * 5 * 6).reshape(4, 5, 6)
    layer = viewer.add_image(data, scale=(2.5, 1, 1), translate=(10, 0, 0))
    viewer.dims.set_point(0, 10 + 2.5 * 3)
    plane = displayed_plane(viewer, layer)
    assert plane.key.index == (3, None, None)
    np.testing.assert_array_equal(plane.read(), data[3])


def test_a_transposed_display_is_the_same_plane(viewer):
    layer = viewer.add_image(np.arange(20).reshape(4, 5))
    before = displayed_plane(viewer, layer)
    viewer.dims.transpose()
    assert displayed_plane(viewer, layer).key == before.key
    np.testing.assert_array_equal(displayed_plane(viewer, layer).read(), layer.data)


def test_other_displayed_axes_are_another_plane(viewer):
    data = np.arange(4 * 5 * 6).reshape(4, 5, 6)
    layer = viewer.add_image(data)
    viewer.dims.order = (1, 2, 0)
    viewer.dims.set_point(1, 2)
    plane = displayed_plane(viewer, layer)
    assert plane.axes == (0, 2)
    np.testing.assert_array_equal(plane.read(), data[:, 2, :])


def test_a_flat_image_in_a_viewer_with_stacks_keeps_its_own_axes(viewer):
    layer = viewer.add_image(np.zeros((5, 6)))
    viewer.add_image(np.zeros((3, 4, 5, 6)))
    assert displayed_plane(viewer, layer).axes == (0, 1)


def test_an_axis_that_the_image_lacks_cannot_be_displayed(viewer):
    layer = viewer.add_image(np.zeros((5, 6)), name="flat")
    viewer.add_image(np.zeros((4, 5, 6)))
    viewer.dims.order = (1, 0, 2)
    with pytest.raises(NoPlaneError, match='axis that image "flat" does not have'):
        displayed_plane(viewer, layer)


def test_3d_is_refused_with_a_sentence(viewer):
    layer = viewer.add_image(np.zeros((4, 5, 6)))
    viewer.dims.ndisplay = 3
    with pytest.raises(NoPlaneError, match="2D view"):
        displayed_plane(viewer, layer)


def test_a_slider_beside_the_image_is_refused(viewer):
    layer = viewer.add_image(np.zeros((4, 5, 6)), name="short")
    viewer.add_image(np.zeros((9, 5, 6)))
    viewer.dims.set_point(0, 3)
    assert displayed_plane(viewer, layer).key.index == (3, None, None)
    viewer.dims.set_point(0, 7)
    with pytest.raises(NoPlaneError, match='outside of image "short"'):
        displayed_plane(viewer, layer)


def test_units_of_the_viewer_are_converted(viewer):
    layer = viewer.add_image(np.arange(4 * 5 * 6).reshape(4, 5, 6), units=("um", "um", "um"))
    viewer.add_points(np.zeros((1, 3)), units=("nm", "nm", "nm"))
    viewer.dims.set_point(0, 2000)
    assert displayed_plane(viewer, layer).key.index == (2, None, None)


def test_only_the_displayed_plane_of_a_lazy_array_is_computed(viewer):
    read = []
    lazy = lazy_slices(4, (5, 6), read)
    layer = viewer.add_image(lazy, contrast_limits=(0, 4))
    viewer.dims.set_point(0, 2)
    plane = displayed_plane(viewer, layer)
    read.clear()
    pixels = plane.read()
    assert set(read) == {2}
    assert type(pixels) is np.ndarray
    assert (pixels == 2).all()


def test_a_plane_is_at_full_resolution_and_an_overview_of_a_reasonable_size(viewer, monkeypatch):
    levels = [np.zeros((64, 96)), np.ones((32, 48)), np.full((16, 24), 2)]
    layer = viewer.add_image(levels, multiscale=True, contrast_limits=(0, 2))
    monkeypatch.setattr(image_module, "OVERVIEW_PIXELS", 2000)
    plane = displayed_plane(viewer, layer)
    assert (plane.level, plane.shape_yx, plane.factors_yx) == (0, (64, 96), (1.0, 1.0))
    np.testing.assert_array_equal(plane.to_layer([(1, 2)]), [(1, 2)])
    overview = overview_at(layer, plane.key.index)
    assert (overview.level, overview.shape_yx, overview.factors_yx) == (1, (32, 48), (2.0, 2.0))
    assert (overview.read() == 1).all()
    # the first coarse pixel spans the first two fine ones, so its centre lies between them
    np.testing.assert_allclose(overview.to_layer([(0, 0), (1, 2)]), [(0.5, 0.5), (2.5, 4.5)])
    np.testing.assert_allclose(overview.from_layer([(0.5, 0.5), (2.5, 4.5)]), [(0, 0), (1, 2)])
    monkeypatch.setattr(image_module, "OVERVIEW_PIXELS", 10)
    assert overview_at(layer, plane.key.index).level == 2
    with pytest.raises(NoPlaneError, match="no level 3"):
        plane_at(layer, plane.key.index, level=3)


def test_a_level_halved_along_z_too_is_read_at_the_right_slice(viewer):
    levels = [np.zeros((8, 20, 20)), np.arange(4)[:, None, None] * np.ones((4, 10, 10))]
    layer = viewer.add_image(levels, multiscale=True, contrast_limits=(0, 4))
    for fine, coarse in ((0, 0), (1, 0), (2, 1), (7, 3)):
        assert (plane_at(layer, (fine, None, None), level=1).read() == coarse).all()


def test_the_hash_of_a_plane_too_large_to_read_is_of_a_sample(viewer):
    import dask.array as dask_array

    levels = pyramid((40_000, 30_000), lambda y, x: (7 * y + 13 * x) % 200, 8, np.uint8)
    lazy = [dask_array.from_array(level, chunks=256, meta=np.empty((0, 0), np.uint8)) for level in levels]
    layer = viewer.add_image(lazy, multiscale=True, contrast_limits=(0, 200))
    plane = displayed_plane(viewer, layer)
    before = sum(level.pixels for level in levels)
    recorded = plane.pixels_hash()
    assert recorded.startswith("sample-of-image:")
    assert sum(level.pixels for level in levels) - before <= 1_000_000
    assert plane.has_pixels(recorded)
    assert not plane.has_pixels("sample-of-image:another")


def test_pixels_reach_half_a_pixel_beyond_their_centres(viewer):
    plane = displayed_plane(viewer, viewer.add_image(np.zeros((5, 6))))
    points = [(-0.5, -0.5), (-0.51, 0), (4.49, 5.49), (4.5, 0), (0, 5.5)]
    assert plane.contains(points).tolist() == [True, False, True, False, False]


def test_an_image_with_more_axes_than_napari_shows_has_no_plane():
    viewer = ViewerModel()
    layer = viewer.add_image(np.zeros((1, 2, 2, 20, 30), np.uint8))
    layer.projection_mode = "mean"
    viewer.layers.clear()
    assert viewer.dims.ndim == 2
    with pytest.raises(NoPlaneError, match="does not show"):
        displayed_plane(viewer, layer)
    with pytest.raises(NoPlaneError, match="does not show"):
        projection_of(viewer, layer, (0, 0, 0, None, None))
