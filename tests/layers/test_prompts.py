from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from napari.components import ViewerModel
from napari.layers import Points, Shapes

from napari_samv1.layers.image import displayed_plane
from napari_samv1.layers.prompts.features import (
    NEGATIVE,
    OBJECT,
    POLARITY,
    POSITIVE,
    adopt,
    flip,
    make_points,
    make_shapes,
    set_next,
)
from napari_samv1.layers.prompts.read import ReadPrompts, read_points, read_shapes
from napari_samv1.masks.drawn import prompts_of
from napari_samv1.records.prompts import Prompts

BLUE = (0, 0x72 / 255, 0xB2 / 255, 1)
ORANGE = (0xE6 / 255, 0x9F / 255, 0, 1)


@pytest.fixture
def viewer():
    return ViewerModel()


def read(viewer, image, points=None, shapes=None):
    """Prompts by object, as drawn and as the network takes them, and the notes of both layers."""
    plane = displayed_plane(viewer, image)
    none = ReadPrompts()
    clicked = none if points is None else read_points(plane, image, points)
    drawn = none if shapes is None else read_shapes(plane, image, shapes)
    rows = {
        number: (*clicked.rows.get(number, ()), *drawn.rows.get(number, ()))
        for number in (*clicked.rows, *drawn.rows)
    }
    by_object = {number: prompts_of(own, plane.shape_yx) for number, own in rows.items()}
    return SimpleNamespace(by_object=by_object, drawn=rows, notes=(*clicked.notes, *drawn.notes))


def symbols(layer):
    return [str(symbol) for symbol in layer.symbol]


def test_new_layers_lie_exactly_on_the_image(viewer):
    image = viewer.add_image(
        np.zeros((20, 30)),
        scale=(2, 3),
        translate=(1, 2),
        rotate=30,
        shear=[0.3],
        affine=[[1, 0.2, 5], [0.1, 1, 6], [0, 0, 1]],
        units=("um", "um"),
        axis_labels=("y", "x"),
    )
    for layer in (make_points(image), make_shapes(image)):
        np.testing.assert_allclose(layer.data_to_world((7, 8)), image.data_to_world((7, 8)))
        assert layer.units == image.units
        assert layer.axis_labels == image.axis_labels


def test_points_are_read_by_object_and_polarity(viewer):
    image = viewer.add_image(np.zeros((20, 30)))
    points = viewer.add_layer(make_points(image))
    points.add((3, 4))
    set_next(points, polarity=NEGATIVE)
    points.add((5, 6))
    set_next(points, object_id=2, polarity=POSITIVE)
    points.add((7, 8))
    assert read(viewer, image, points).by_object == {
        1: Prompts([(3, 4), (5, 6)], [1, 0]),
        2: Prompts([(7, 8)], [1]),
    }


@pytest.mark.parametrize("first", [NEGATIVE, POSITIVE])
def test_polarity_shows_in_colour_and_symbol_in_any_order(viewer, first):
    image = viewer.add_image(np.zeros((20, 30)))
    points = viewer.add_layer(make_points(image))
    second = POSITIVE if first == NEGATIVE else NEGATIVE
    for polarity, where in ((first, (1, 1)), (second, (2, 2)), (first, (3, 3))):
        set_next(points, polarity=polarity)
        points.add(where)
        flip(points, [])
    colours = {POSITIVE: BLUE, NEGATIVE: ORANGE}
    expected = [colours[polarity] for polarity in (first, second, first)]
    np.testing.assert_allclose(points.face_color, expected, atol=1e-6)
    marks = {POSITIVE: "disc", NEGATIVE: "cross"}
    assert symbols(points) == [marks[polarity] for polarity in (first, second, first)]


def test_flipping_turns_features_colour_symbol_and_label(viewer):
    image = viewer.add_image(np.zeros((20, 30)))
    points = viewer.add_layer(make_points(image))
    points.add([(3, 4), (5, 6)])
    flip(points, [1])
    assert list(points.features[POLARITY]) == [POSITIVE, NEGATIVE]
    np.testing.assert_allclose(points.face_color, [BLUE, ORANGE], atol=1e-6)
    assert symbols(points) == ["disc", "cross"]
    assert read(viewer, image, points).by_object[1].labels.tolist() == [1, 0]
    flip(points, [1])
    assert symbols(points) == ["disc", "disc"]


def test_a_rectangle_is_a_box_however_its_corners_are_listed(viewer):
    image = viewer.add_image(np.zeros((20, 30)))
    shapes = viewer.add_layer(make_shapes(image))
    shapes.add_rectangles([[12, 25], [2, 5]])
    shapes.add_rectangles([[3, 4], [3, 14], [8, 14], [8, 4]])
    assert read(viewer, image, None, shapes).by_object == {
        1: Prompts(boxes_yx=[(2, 5, 12, 25), (3, 4, 8, 14)])
    }


def test_two_objects_can_have_a_box_each(viewer):
    image = viewer.add_image(np.zeros((20, 30)))
    shapes = viewer.add_layer(make_shapes(image))
    shapes.add_rectangles([[2, 5], [12, 25]])
    set_next(shapes, object_id=7)
    shapes.add_rectangles([[3, 4], [8, 14]])
    assert set(read(viewer, image, None, shapes).by_object) == {1, 7}


def test_layers_of_unlike_scale_and_place_are_mapped_by_hand(viewer):
    # image pixel (y, x) lies at world (10 + 2 y, 20 + 4 x); points (v, u) at (5 v, 1 + u)
    image = viewer.add_image(np.zeros((20, 30)), scale=(2, 4), translate=(10, 20))
    points = viewer.add_points([(4, 39)], scale=(5, 1), translate=(0, 1))
    adopt(points)
    np.testing.assert_allclose(read(viewer, image, points).by_object[1].points_yx, [(5, 5)])


def test_a_box_on_a_turned_layer_is_bounded_after_its_corners_are_mapped(viewer):
    image = viewer.add_image(np.zeros((40, 40)))
    # data (y, x) of the shapes lies at world (20 - x, y): a quarter turn
    shapes = viewer.add_shapes(affine=[[0, -1, 20], [1, 0, 0], [0, 0, 1]], ndim=2)
    adopt(shapes)
    shapes.add_rectangles([[2, 3], [10, 15]])
    np.testing.assert_allclose(read(viewer, image, None, shapes).by_object[1].boxes_yx, [(5, 2, 17, 10)])


def test_a_box_on_a_layer_turned_by_half_a_right_angle_grows(viewer):
    image = viewer.add_image(np.zeros((40, 40)))
    shapes = viewer.add_shapes(ndim=2, rotate=45, translate=(20, 20))
    adopt(shapes)
    shapes.add_rectangles([[-4, -4], [4, 4]])
    reach = 4 * np.sqrt(2)
    np.testing.assert_allclose(
        read(viewer, image, None, shapes).by_object[1].boxes_yx,
        [(20 - reach, 20 - reach, 20 + reach, 20 + reach)],
    )


def test_shear_of_the_image_is_undone(viewer):
    image = viewer.add_image(np.zeros((40, 40)), shear=[0.5])
    where = image.data_to_world((6, 10))
    points = viewer.add_points([where])
    adopt(points)
    np.testing.assert_allclose(read(viewer, image, points).by_object[1].points_yx, [(6, 10)])


def test_units_of_prompt_layers_are_converted(viewer):
    image = viewer.add_image(np.zeros((20, 30)), scale=(0.5, 0.5), units=("um", "um"))
    points = viewer.add_points([(2500, 5000)], units=("nm", "nm"))
    adopt(points)
    np.testing.assert_allclose(read(viewer, image, points).by_object[1].points_yx, [(5, 10)])


def test_only_prompts_on_the_displayed_slice_count(viewer):
    image = viewer.add_image(np.zeros((4, 20, 30)), scale=(3, 1, 1))
    points = viewer.add_layer(make_points(image))
    points.add([(1, 3, 4), (2, 5, 6), (2.4, 7, 8)])
    shapes = viewer.add_layer(make_shapes(image))
    shapes.add_rectangles([[1, 2, 5], [1, 2, 25], [1, 12, 25], [1, 12, 5]])
    viewer.dims.set_point(0, 6)
    assert read(viewer, image, points, shapes).by_object == {1: Prompts([(5, 6), (7, 8)], [1, 1])}
    viewer.dims.set_point(0, 3)
    assert read(viewer, image, points, shapes).by_object == {
        1: Prompts([(3, 4)], [1], [(2, 5, 12, 25)]),
    }
    assert read(viewer, image, points, shapes).notes == ()


def test_flat_points_hold_on_every_slice(viewer):
    image = viewer.add_image(np.zeros((4, 20, 30)))
    points = viewer.add_points([(5, 6)])
    adopt(points)
    for z in (0, 3):
        viewer.dims.set_point(0, z)
        assert read(viewer, image, points).by_object == {1: Prompts([(5, 6)], [1])}


def test_points_of_more_dimensions_than_the_image_are_read_at_its_axes(viewer):
    image = viewer.add_image(np.zeros((20, 30)))
    points = viewer.add_points([(1, 5, 6)])
    adopt(points)
    assert read(viewer, image, points).by_object == {1: Prompts([(5, 6)], [1])}


def test_prompts_are_read_alike_in_a_transposed_display(viewer):
    image = viewer.add_image(np.zeros((20, 30)))
    points = viewer.add_layer(make_points(image))
    points.add((3, 24))
    viewer.dims.transpose()
    assert read(viewer, image, points).by_object == {1: Prompts([(3, 24)], [1])}


def test_what_cannot_be_used_is_told_and_not_raised(viewer):
    image = viewer.add_image(np.zeros((20, 30)), name="coins")
    points = viewer.add_layer(make_points(image))
    points.add([(3, 4), (-5, 4), (3, 90)])
    shapes = viewer.add_layer(make_shapes(image))
    shapes.add_rectangles([[2, 2], [2.5, 9]])
    shapes.add_rectangles([[50, 50], [60, 60]])
    shapes.add_paths([[50, 50], [60, 60]])
    shapes.add_ellipses([[2, 2], [9, 9]])
    shapes.add_rectangles([[2, 2], [9, 9]])
    shapes.add_rectangles([[3, 2], [9, 9]])
    flip(shapes, [3, 4, 5])
    found = read(viewer, image, points, shapes)
    assert found.by_object == {1: Prompts([(3, 4)], [1])}
    notes = " ".join(found.notes)
    for expected in (
        "2 points outside of image “coins” are ignored.",
        "narrower than 2 pixels",
        "Rectangle outside of image “coins”",
        "Path outside of image “coins” ignored",
        "Background ellipse ignored",
        "Background rectangle ignored: only points, paths and lines can be background (2 times).",
    ):
        assert expected in notes


def test_a_box_over_the_edge_is_cut_to_the_image(viewer):
    image = viewer.add_image(np.zeros((20, 30)))
    shapes = viewer.add_layer(make_shapes(image))
    shapes.add_rectangles([[-8, 5], [12, 99]])
    assert read(viewer, image, None, shapes).by_object == {1: Prompts(boxes_yx=[(-0.5, 5, 12, 29.5)])}


def test_a_rectangle_whose_corner_was_dragged_stays_a_box(viewer):
    image = viewer.add_image(np.zeros((20, 30)))
    shapes = viewer.add_layer(make_shapes(image))
    shapes.add_polygons([[2, 5], [2, 25], [14, 27], [12, 5]])
    found = read(viewer, image, None, shapes)
    assert found.by_object == {1: Prompts(boxes_yx=[(2, 5, 14, 27)])}
    assert found.notes == ()


def test_adopting_adds_what_is_missing_and_keeps_what_is_there(viewer):
    image = viewer.add_image(np.zeros((20, 30)))
    features = pd.DataFrame({"confidence": [0.5, 0.7], POLARITY: ["negative", "positive"]})
    points = Points([(3, 4), (5, 6)], features=features, size=3, border_color="red")
    viewer.add_layer(points)
    adopt(points, object_id=5)
    assert list(points.features["confidence"]) == [0.5, 0.7]
    assert list(points.features[OBJECT]) == [5, 5]
    assert read(viewer, image, points).by_object == {5: Prompts([(3, 4), (5, 6)], [0, 1])}
    assert symbols(points) == ["cross", "disc"]
    assert (points.size == 3).all()
    points.add((7, 8))
    assert read(viewer, image, points).by_object[5].points_yx.tolist()[-1] == [7, 8]


def test_an_empty_layer_of_the_users_can_be_adopted(viewer):
    image = viewer.add_image(np.zeros((20, 30)))
    points, shapes = viewer.add_points(), viewer.add_shapes()
    for layer in (points, shapes):
        adopt(layer, object_id=3)
    set_next(points, polarity=NEGATIVE)
    points.add((3, 4))
    set_next(points, polarity=POSITIVE)
    points.add((3, 5))
    shapes.add_rectangles([[2, 5], [12, 25]])
    assert read(viewer, image, points, shapes).by_object == {
        3: Prompts([(3, 4), (3, 5)], [0, 1], [(2, 5, 12, 25)])
    }
    np.testing.assert_allclose(points.face_color, [ORANGE, BLUE], atol=1e-6)


def test_a_feature_coloured_by_the_user_keeps_its_colours(viewer):
    points = viewer.add_points(
        [(3, 4), (5, 6)], features={"kind": ["a", "b"]}, face_color="kind", face_color_cycle=["red", "lime"]
    )
    adopt(points)
    np.testing.assert_allclose(points.face_color, [(1, 0, 0, 1), (0, 1, 0, 1)])


def test_object_numbers_that_are_none_are_told(viewer):
    image = viewer.add_image(np.zeros((20, 30)))
    points = viewer.add_points(
        [(1, 1), (2, 2), (3, 3), (4, 4)], features={OBJECT: [1.0, np.nan, 0, 2.5], POLARITY: "positive"}
    )
    adopt(points)
    found = read(viewer, image, points)
    assert found.by_object == {1: Prompts([(1, 1)], [1])}
    assert found.notes == ("3 points without an object number of 1 or more are ignored.",)


def test_an_empty_shapes_layer_says_nothing(viewer):
    image = viewer.add_image(np.zeros((20, 30)))
    found = read(viewer, image, make_points(image), make_shapes(image))
    assert (found.by_object, found.notes) == ({}, ())
    assert read(viewer, image, None, Shapes()).by_object == {}


# What other shapes mean


def test_a_polygon_is_its_box_with_its_inside_as_a_hint(viewer):
    image = viewer.add_image(np.zeros((20, 30)))
    shapes = viewer.add_layer(make_shapes(image))
    shapes.add_polygons([[2, 4], [2, 12], [10, 4]])
    found = read(viewer, image, None, shapes)
    assert found.by_object[1].boxes_yx.tolist() == [[2, 4, 10, 12]]
    area = found.by_object[1].area.to_mask((20, 30))
    assert area[3, 5]
    assert area[2, 11]
    assert not area[9, 11]
    assert found.notes == ("Polygon read as its box, with its inside as a hint.",)
    assert [(one.kind, one.positive) for one in found.drawn[1]] == [("polygon", True)]


def test_an_ellipse_is_round_also_where_the_layer_is_turned(viewer):
    image = viewer.add_image(np.zeros((40, 40)))
    shapes = viewer.add_shapes(ndim=2, rotate=45)
    adopt(shapes)
    centre = np.asarray(shapes.world_to_data((20, 20)))
    shapes.add_ellipses([centre, (10, 5)])  # napari: centre and half axes
    area = read(viewer, image, None, shapes).by_object[1].area
    assert area.area == pytest.approx(np.pi * 50, rel=0.05)
    mask = area.to_mask((40, 40))
    # the long half axis points along a diagonal
    assert mask[26, 26] != mask[26, 14]
    assert mask[20, 20]


def test_a_path_is_points_along_it_with_its_polarity(viewer):
    image = viewer.add_image(np.zeros((20, 30)))
    shapes = viewer.add_layer(make_shapes(image))
    shapes.add_paths([[2, 1], [2, 15]])
    shapes.add_paths([[15, 5], [15, 7]])
    flip(shapes, [1])
    found = read(viewer, image, None, shapes).by_object[1]
    foreground = found.points_yx[found.labels == 1]
    np.testing.assert_allclose(foreground, [(2, 1 + 2 * step) for step in range(8)])
    assert found.points_yx[found.labels == 0].tolist() == [[15, 5], [15, 6], [15, 7]]
    assert len(found.boxes_yx) == 0


def test_only_what_of_a_path_lies_on_the_image_counts(viewer):
    image = viewer.add_image(np.zeros((20, 30)))
    shapes = viewer.add_layer(make_shapes(image))
    shapes.add_paths([[2, -7], [2, 7]])
    found = read(viewer, image, None, shapes).by_object[1]
    assert found.points_yx.tolist() == [[2, 1], [2, 3], [2, 5], [2, 7]]
