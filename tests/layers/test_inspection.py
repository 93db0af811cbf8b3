"""Pictures from inside the model lie exactly on the image: world coordinates worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels

from napari_samv1.inspection import Cells
from napari_samv1.layers.image import displayed_plane, overview_at
from napari_samv1.layers.inspection import Picture, ShownPictures, make_layer


def viewer_with(data: np.ndarray, **options) -> tuple[ViewerModel, Image]:
    viewer = ViewerModel()
    return viewer, viewer.add_image(data, **options)


def test_cells_of_a_plain_image_lie_on_its_pixels():
    viewer, image = viewer_with(np.zeros((40, 60)))
    plane = displayed_plane(viewer, image)
    cells = Cells.spanning((40, 60), (4, 3))
    layer = make_layer(Picture("norm", np.zeros((4, 3)), cells), image, plane)
    # 10 x 20 pixels per cell, the first from -0.5 to 9.5 and to 19.5
    np.testing.assert_allclose(layer.scale, (10, 20))
    np.testing.assert_allclose(layer.translate, (4.5, 9.5))
    np.testing.assert_allclose(layer.data_to_world((-0.5, -0.5)), (-0.5, -0.5))
    np.testing.assert_allclose(layer.data_to_world((3.5, 2.5)), (39.5, 59.5))
    assert layer.interpolation2d == "nearest"


def test_cells_follow_scale_translate_and_affine_by_hand():
    viewer, image = viewer_with(
        np.zeros((40, 60)), scale=(0.5, 2), translate=(100, -7), affine=[[0, 3, 1], [1, 0, 2], [0, 0, 1]]
    )
    plane = displayed_plane(viewer, image)
    picture = Picture("norm", np.zeros((4, 3)), Cells.spanning((40, 60), (4, 3)))
    layer = make_layer(picture, image, plane)
    # cell (1, 2) is centred on pixel (14.5, 49.5): (107.25, 92) before the affine swaps its axes
    np.testing.assert_allclose(layer.data_to_world((1, 2)), (3 * 92 + 1, 107.25 + 2))


@pytest.mark.parametrize("axes", [(), ("channel",), ("token", "head")])
def test_cells_follow_every_transform_of_an_image(axes):
    rng = np.random.default_rng(5)
    affine = np.eye(3)
    affine[:2] += rng.normal(size=(2, 3))
    viewer, image = viewer_with(
        np.zeros((40, 60)), scale=(0.4, 1.7), translate=(3, -9), rotate=33, shear=[0.4], affine=affine
    )
    plane = displayed_plane(viewer, image)
    cells = Cells((2.25, -1.0), (8.3, 9.1), (5, 7))
    layer = make_layer(Picture("map", np.zeros((*range(2, 2 + len(axes)), 5, 7)), cells, axes), image, plane)
    assert layer.ndim == 2 + len(axes)
    for row, column in ((0, 0), (3, 6), (4, 1)):
        pixel = (2.25 + 8.3 * row, -1.0 + 9.1 * column)
        ahead = tuple(range(len(axes)))
        world = layer.data_to_world((*ahead, row, column))
        np.testing.assert_allclose(world[len(axes) :], image.data_to_world(pixel), atol=1e-9)
        np.testing.assert_allclose(world[: len(axes)], ahead)


def test_a_picture_lies_on_the_displayed_slice_of_a_stack():
    viewer, image = viewer_with(np.zeros((6, 40, 60)), scale=(5, 1, 1), units=("um", "um", "um"))
    viewer.dims.set_point(0, 20)
    plane = displayed_plane(viewer, image)
    picture = Picture("norm", np.zeros((8, 4, 3)), Cells.spanning((40, 60), (4, 3)), ("block",))
    layer = make_layer(picture, image, plane)
    assert layer.data.shape == (8, 1, 4, 3)
    np.testing.assert_allclose(layer.data_to_world((2, 0, 0, 0)), (2, 20, 4.5, 9.5))
    assert [str(unit) for unit in layer.units] == ["pixel", "micrometer", "micrometer", "micrometer"]
    assert tuple(layer.axis_labels[:1]) == ("block",)


def test_a_picture_of_a_coarse_level_lies_on_the_fine_pixels():
    levels = [np.zeros((8192, 4096), np.uint8), np.zeros((4096, 2048), np.uint8)]
    viewer, image = viewer_with(levels, multiscale=True, contrast_limits=(0, 1))
    plane = overview_at(image, displayed_plane(viewer, image).key.index)
    assert plane.shape_yx == (4096, 2048)
    layer = make_layer(Picture("mask", np.zeros((4096, 2048)), Cells.of_pixels(plane.shape_yx)), image, plane)
    np.testing.assert_allclose(layer.data_to_world((0, 1)), (0.5, 2.5))


def test_padding_is_cut_off():
    viewer, image = viewer_with(np.zeros((20, 40)))
    plane = displayed_plane(viewer, image)
    layer = make_layer(Picture("norm", np.ones((5, 5)), Cells((3.5, 3.5), (8, 8), (3, 5))), image, plane)
    assert layer.data.shape == (3, 5)


def test_without_an_image_a_picture_has_its_own_place():
    layer = make_layer(
        Picture("grid", np.zeros((8, 4, 5)), Cells((0, 0), (2, 3), (4, 5)), ("channel",)), None, None
    )
    np.testing.assert_allclose(layer.data_to_world((7, 1, 1)), (7, 2, 3))


def test_a_new_picture_takes_the_place_of_the_old_and_keeps_the_persons_changes():
    viewer, image = viewer_with(np.zeros((40, 60)))
    points = viewer.add_points([(3, 3)])
    plane = displayed_plane(viewer, image)
    shown = ShownPictures(viewer)
    cells = Cells.spanning((40, 60), (4, 3))
    shown.show({"norm": Picture("norm", np.zeros((4, 3)), cells)}, image, plane)
    layer = shown.layer("norm")
    assert list(viewer.layers) == [image, layer, points]
    assert viewer.layers.selection.active is points
    layer.colormap = "magma"
    finer = Picture("finer", np.arange(48.0).reshape(8, 6), Cells.spanning((40, 60), (8, 6)))
    shown.show({"norm": finer}, image, plane)
    assert shown.layer("norm") is layer
    assert layer.colormap.name == "magma"
    assert tuple(layer.contrast_limits) == (0, 47)
    np.testing.assert_allclose(layer.scale, (5, 10))
    stack = Picture("stack", np.zeros((2, 4, 3)), cells, ("block",))
    shown.show({"norm": stack}, image, plane)
    assert shown.layer("norm") is not layer
    assert layer not in viewer.layers
    viewer.layers.remove(shown.layer("norm"))
    assert shown.layer("norm") is None
    shown.show({"norm": stack}, image, plane)
    assert shown.layer("norm") in viewer.layers


def test_a_layer_that_the_person_renamed_keeps_its_name():
    viewer, image = viewer_with(np.zeros((40, 60)))
    plane = displayed_plane(viewer, image)
    shown, cells = ShownPictures(viewer), Cells.spanning((40, 60), (4, 3))
    shown.show({"a": Picture("block 1", np.zeros((4, 3)), cells)}, image, plane)
    shown.show({"a": Picture("block 2", np.zeros((4, 3)), cells)}, image, plane)
    assert shown.layer("a").name == "block 2"
    shown.layer("a").name = "mine"
    shown.layer("a").visible = False
    shown.show({"a": Picture("block 3", np.zeros((4, 3)), cells)}, image, plane)
    assert shown.layer("a").name == "mine"
    assert not shown.layer("a").visible


def test_the_next_pictures_take_the_place_of_the_last_and_the_slider_is_theirs():
    viewer, image = viewer_with(np.zeros((40, 60)))
    plane = displayed_plane(viewer, image)
    shown, cells = ShownPictures(viewer), Cells.spanning((40, 60), (4, 3))
    shown.show({"a": Picture("a", np.zeros((256, 4, 3)), cells, ("channel",))}, image, plane)
    kept = viewer.add_image(np.zeros((4, 3)), name="the person's own")
    colours = {1: "red", 2: "#00ff00"}
    masks = Picture("b", np.ones((4, 4, 3), np.uint8), cells, ("mask",), colours=colours, start=2)
    shown.show({"b": masks}, image, plane)
    assert isinstance(shown.layer("b"), Labels)
    assert list(viewer.layers) == [image, shown.layer("b"), kept]
    assert viewer.dims.nsteps[0] == 4
    assert viewer.dims.point[0] == 2
    np.testing.assert_allclose(shown.layer("b").get_color(1), (1, 0, 0, 1))
    viewer.dims.set_point(0, 1)
    shown.show({"b": masks}, image, plane)
    assert viewer.dims.point[0] == 1
