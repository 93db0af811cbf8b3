"""The current object: chosen in the Labels layer as well, and its prompts come forward."""

from __future__ import annotations

import numpy as np
import pytest

from napari_samv1.layers.prompts.features import DIMMED


@pytest.fixture
def two(bound, canvas, settle):
    """Objects 1 and 2, each of a point and a box; 2 is the current one."""
    shapes = bound.new_shapes()
    points = bound.new_points()
    for y in (10, 30):
        canvas.click(points, y, 20)
        canvas.drag(shapes, (y - 4, 40), (y, 44), (y + 4, 50))
        settle()
        bound.current.next()
    bound.current.number = 2
    return bound


def test_choosing_a_label_chooses_the_object(two, notices):
    two.labels.selected_label = 1
    assert two.current.number == 1
    assert notices[-1] == "on_current"


def test_choosing_an_object_chooses_the_label(two):
    assert two.labels.selected_label == 2
    two.current.number = 1
    assert two.labels.selected_label == 1


def test_picking_a_mask_chooses_its_object_and_background_none(two, canvas):
    two.labels.mode = "pick"
    canvas.click(two.labels, 10, 20)
    assert two.current.number == 1
    canvas.click(two.labels, 2, 2)
    assert two.labels.selected_label == 0
    assert two.current.number == 1


def test_an_object_too_large_for_the_labels_leaves_their_selection(two, viewer):
    two.labels = viewer.add_labels(np.zeros((40, 60), dtype=np.uint8))
    two.current.number = 300
    assert two.labels.selected_label != 300


def test_prompts_of_others_are_dimmed(two, canvas):
    def dimmed(layer, name):
        return (np.asarray(getattr(layer, name))[:, 3] == DIMMED).tolist()

    assert dimmed(two.points, "face_color") == [True, False]
    assert dimmed(two.points, "border_color") == [True, False]
    assert dimmed(two.shapes, "edge_color") == [True, False]
    two.current.number = 1
    assert dimmed(two.points, "face_color") == [False, True]
    assert dimmed(two.shapes, "edge_color") == [False, True]
    canvas.click(two.points, 5, 5, modifiers=("Shift",))
    assert dimmed(two.points, "face_color") == [False, True, False]
    canvas.drag(two.shapes, (20, 5), (22, 8), (25, 12))
    assert dimmed(two.shapes, "edge_color") == [False, True, False]
    two.edits.undo()
    assert dimmed(two.points, "face_color") == [False, True, False][: len(two.points.data)]


def test_letting_go_dims_nothing_and_keeps_features_and_colours(two):
    points, shapes = two.points, two.shapes
    features = points.features.copy()
    mode = points.face_color_mode
    two.close()
    assert (points.face_color[:, 3] == 1).all()
    assert (points.border_color[:, 3] == 1).all()
    assert (np.asarray(shapes.edge_color)[:, 3] == 1).all()
    assert points.features.equals(features)
    assert points.face_color_mode == mode


def test_the_user_s_own_translucent_colours_stay(bound, viewer):
    points = viewer.add_points([[1, 1], [2, 2]], face_color=[[1, 0, 0, 0.5], [0, 1, 0, 1]])
    points.features = {"object": [1, 1], "polarity": ["positive", "positive"]}
    bound.points = points
    bound.current.number = 5
    np.testing.assert_allclose(points.face_color[:, 3], [0.5, DIMMED])
    bound.points = None
    np.testing.assert_allclose(points.face_color[:, 3], [0.5, 1])
