"""Undo, slices, layers and images: what one step concerns, and nothing else, comes and goes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from napari_samv1.layers.binding import OTHER_SHAPE
from napari_samv1.layers.prompts.features import OBJECT, POLARITY

HW = (40, 60)


@pytest.fixture
def stacked(bound, viewer):
    """A stack of five slices, the first of which is shown."""
    bound.image = viewer.add_image(np.zeros((5, *HW), dtype=np.uint8), name="stack")
    viewer.dims.set_point(0, 0)
    return bound


def click(bound, canvas, settle, z, y, x):
    bound.viewer.dims.set_point(0, z)
    canvas.click(bound.points if bound.points is not None else bound.new_points(), y, x)
    settle()


def areas(labels):
    ids, counts = np.unique(labels, return_counts=True)
    return {int(one): int(count) for one, count in zip(ids, counts, strict=True) if one}


# Slices


def test_undo_on_one_slice_leaves_the_prompts_and_masks_of_every_other(stacked, canvas, settle):
    for z in (0, 1, 2):
        click(stacked, canvas, settle, z, 10 + 5 * z, 20)
    drawn = stacked.labels.data.copy()
    assert [areas(plane) for plane in drawn[:3]] == [{1: 25}, {2: 25}, {3: 25}]
    stacked.viewer.dims.set_point(0, 0)
    assert stacked.edits.undo() == ""
    settle()
    # the last step was on the third slice, which is shown so that it can be seen
    assert stacked.screen.plane().key.index[0] == 2
    np.testing.assert_array_equal(stacked.labels.data[:2], drawn[:2])
    assert not stacked.labels.data[2].any()
    assert stacked.points.data[:, 0].tolist() == [0, 1]
    stacked.edits.redo()
    settle()
    np.testing.assert_array_equal(stacked.labels.data, drawn)
    assert stacked.points.data[:, 0].tolist() == [0, 1, 2]


def test_a_number_is_one_object_in_the_whole_image_and_continues_only_when_asked(stacked, canvas, settle):
    click(stacked, canvas, settle, 0, 10, 20)
    click(stacked, canvas, settle, 1, 10, 20)
    assert areas(stacked.labels.data[1]) == {2: 25}
    stacked.viewer.dims.set_point(0, 2)
    assert stacked.current.carry_over() == ""
    click(stacked, canvas, settle, 2, 10, 20)
    assert areas(stacked.labels.data[2]) == {2: 25}
    assert [piece.plane.index[0] for piece in stacked.document.pieces_of(2)] == [1, 2]
    # settings are the object's, on every slice of it
    stacked.edits.set_settings(2, choice=3)
    assert [areas(plane) for plane in stacked.labels.data[:3]] == [{1: 25}, {2: 81}, {2: 81}]


def test_back_on_a_slice_the_object_that_was_in_hand_there_is_in_hand_again(stacked, canvas, settle):
    click(stacked, canvas, settle, 0, 10, 20)
    click(stacked, canvas, settle, 1, 10, 20)
    stacked.viewer.dims.set_point(0, 0)
    assert stacked.current.number == 1
    stacked.viewer.dims.set_point(0, 4)
    assert stacked.current.number == 3


def test_deleting_an_object_takes_all_its_slices_and_comes_back_in_one_step(stacked, canvas, settle):
    click(stacked, canvas, settle, 0, 10, 20)
    stacked.viewer.dims.set_point(0, 1)
    stacked.current.carry_over()
    click(stacked, canvas, settle, 1, 10, 20)
    drawn = stacked.labels.data.copy()
    assert stacked.edits.delete(1) == ""
    assert not stacked.labels.data.any()
    assert len(stacked.points.data) == 0
    stacked.edits.undo()
    np.testing.assert_array_equal(stacked.labels.data, drawn)
    assert len(stacked.points.data) == 2


def test_a_stroke_through_several_slices_is_one_step_and_belongs_to_its_object(stacked, canvas, settle):
    click(stacked, canvas, settle, 2, 10, 20)
    labels = stacked.labels
    labels.n_edit_dimensions = 3
    labels.brush_size = 5
    labels.mode = "paint"
    labels.selected_label = 1
    before = labels.data.copy()
    labels.paint((2, 30, 40), 1)
    painted = labels.data.copy()
    assert painted[1, 30, 40] == painted[3, 30, 40] == 1
    assert sorted(piece.plane.index[0] for piece in stacked.document.pieces_of(1)) == [0, 1, 2, 3, 4]
    stacked.edits.undo()
    np.testing.assert_array_equal(labels.data, before)
    stacked.edits.redo()
    np.testing.assert_array_equal(labels.data, painted)


# Layers


def test_undo_after_another_points_layer_was_chosen_leaves_that_layer_alone(bound, viewer, canvas, settle):
    canvas.click(bound.new_points(), 10, 20)
    settle()
    own = viewer.add_points([(5.0, 5.0), (30.0, 50.0)], name="mine")
    bound.points = own
    settle()
    data, features = own.data.copy(), own.features.copy()
    for _ in range(3):
        bound.edits.undo()
        settle()
    np.testing.assert_array_equal(own.data, data)
    pd.testing.assert_frame_equal(own.features, features)


def test_choosing_another_points_layer_takes_no_masks_away(bound, viewer, canvas, settle):
    canvas.click(bound.new_points(), 10, 20)
    settle()
    bound.points = viewer.add_points(np.zeros((0, 2)), name="fresh")
    settle()
    assert areas(bound.labels.data) == {1: 25}


def test_a_deleted_prompt_layer_leaves_the_masks_and_its_clicks_come_back_in_a_new_one(
    bound, viewer, canvas, settle
):
    canvas.click(bound.new_points(), 10, 20)
    settle()
    viewer.layers.remove(bound.points)
    settle()
    assert areas(bound.labels.data) == {1: 25}
    again = bound.new_points()
    np.testing.assert_array_equal(again.data, [(10, 20)])
    assert settle() == []
    canvas.click(again, 10, 24)
    settle()
    assert len(bound.current.piece.prompts) == 2


def test_after_undo_and_redo_the_next_click_goes_to_the_object_in_hand(bound, canvas, settle):
    points = bound.new_points()
    canvas.click(points, 10, 20)
    settle()
    bound.edits.undo()
    canvas.click(points, 12, 20)
    settle()
    assert points.features[OBJECT].tolist() == [1]
    bound.current.next()
    canvas.click(points, 30, 40)
    settle()
    bound.edits.undo()
    bound.edits.redo()
    bound.edits.undo()
    canvas.click(points, 30, 50)
    settle()
    assert points.features[OBJECT].tolist() == [1, 2]
    assert areas(bound.labels.data) == {1: 25, 2: 25}


def test_assigning_features_does_not_change_what_the_next_click_is(bound, canvas, settle):
    points = bound.new_points()
    canvas.click(points, 10, 20)
    bound.current.next()
    bound.current.polarity = "negative"
    points.features = points.features.copy()
    canvas.click(points, 30, 40)
    assert points.features[OBJECT].tolist() == [1, 2]
    assert points.features[POLARITY].tolist() == ["positive", "negative"]


def test_two_clicks_cleared_undone_and_redone(bound, canvas, settle):
    points = bound.new_points()
    canvas.click(points, 10, 20)
    canvas.click(points, 10, 24)
    settle()
    drawn = bound.labels.data.copy()
    bound.edits.clear()
    bound.edits.undo()
    np.testing.assert_array_equal(bound.labels.data, drawn)
    assert points.data.tolist() == [[10, 20], [10, 24]]
    bound.edits.redo()
    assert not bound.labels.data.any()
    assert len(points.data) == 0


def test_a_features_table_of_the_users_own_is_adopted(bound, canvas, settle):
    points = bound.new_points()
    canvas.click(points, 10, 20)
    settle()
    with pytest.warns(RuntimeWarning, match="property used for face_color dropped"):
        points.features = pd.DataFrame({"mine": ["a"]})
    bound.current.next()
    canvas.click(points, 30, 40)
    settle()
    assert points.features["mine"].iloc[0] == "a"
    assert 2 in areas(bound.labels.data)


TABLES = {
    "nothing": {},
    "numbers": {"mine": [1.5]},
    "words for objects": {"object": ["a"], "polarity": ["positive"]},
    "no number": {"object": [np.nan], "polarity": ["positive"]},
    "objects alone": {"object": [1]},
    "polarities alone": {"polarity": ["negative"]},
    "words for polarities": {"object": [1], "polarity": ["maybe"]},
    "numbers for polarities": {"object": [1], "polarity": [3]},
    "truths": {"object": [True], "polarity": [False]},
    "small numbers": {"object": np.array([1], np.uint8), "polarity": ["negative"]},
    "categories": {"object": pd.Categorical([1]), "polarity": pd.Categorical(["dipole"])},
}


@pytest.mark.filterwarnings("ignore:property used for")
@pytest.mark.parametrize("kind", ["points", "shapes"])
@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_whatever_table_takes_the_place_of_ours_everything_goes_on(bound, canvas, settle, kind, table):
    points, shapes = bound.new_points(), bound.new_shapes()
    layer = points if kind == "points" else shapes

    def point(y, x):
        if kind == "points":
            canvas.click(points, y, x)
        else:
            canvas.drag(shapes, (y - 3, x - 3), (y, x), (y + 3, x + 3))

    point(10, 20)
    settle()
    layer.features = pd.DataFrame(table, index=[0])
    bound.current.polarity = "negative"
    bound.current.polarity = "positive"
    bound.current.next()
    bound.current.number = 300
    point(25, 40)
    settle()
    assert len(layer.data) == 2
    for name, values in table.items():
        if name == "mine":
            assert layer.features[name].iloc[0] == values[0]
    assert int(layer.features["object"].iloc[1]) == 300
    assert 300 in areas(bound.labels.data)
    bound.edits.remove_last()
    assert len(layer.data) == 1
    bound.edits.undo()
    bound.edits.undo()
    bound.edits.redo()
    bound.edits.clear()
    bound.current.number = 300
    assert settle() is not None


def test_a_split_and_removing_a_prompt_are_two_steps(bound, canvas, settle):
    points = bound.new_points()
    canvas.click(points, 10, 20)
    canvas.click(points, 30, 40)
    settle()
    assert bound.edits.split() == ""
    settle()
    assert bound.edits.remove_last() == ""
    settle()
    bound.edits.undo()
    settle()
    assert sorted(points.features[OBJECT]) == [1, 2]
    bound.edits.undo()
    settle()
    assert points.features[OBJECT].tolist() == [1, 1]


# Labels of other tools


def test_labels_in_a_large_layer_are_not_overwritten(bound, viewer, canvas, settle):
    large = np.zeros((8300, 8300), dtype=np.uint8)
    bound.image = viewer.add_image(np.broadcast_to(np.uint8(0), (8300, 8300)), contrast_limits=(0, 1))
    large[100:200, 100:200], large[300:400, 300:400] = 1, 3
    bound.labels = viewer.add_labels(large)
    assert bound.current.number == 4


@pytest.mark.parametrize("number", [2**53 + 1, 864691135000000000])
def test_large_numbers_stay_what_they_are(bound, viewer, canvas, settle, number):
    labels = np.zeros(HW, dtype=np.uint64)
    labels[2:8, 2:8] = number
    bound.labels = viewer.add_labels(labels)
    assert bound.current.number == number + 1
    points = bound.new_points()
    canvas.click(points, 20, 30)
    settle()
    assert points.features[OBJECT].tolist() == [number + 1]
    assert areas(bound.labels.data) == {number: 36, number + 1: 25}


# Data


def test_other_data_of_the_same_shape_keeps_what_is_annotated(bound, canvas, settle, squares):
    points = bound.new_points()
    canvas.click(points, 10, 20)
    settle()
    bound.labels.brush_size = 1
    bound.labels.mode = "paint"
    bound.labels.paint((30, 50), 1)
    drawn, decoded = bound.labels.data.copy(), len(squares.decoded)
    before = bound.screen.plane()
    bound.image.data = np.ones(HW, dtype=np.uint8)
    settle()
    np.testing.assert_array_equal(bound.labels.data, drawn)
    assert len(squares.decoded) == decoded
    assert bound.screen.plane().key == before.key
    assert bound.screen.plane().display_key != before.display_key  # so that it is called stale
    assert bound.edits.undo() == ""
    assert areas(bound.labels.data) == {1: 25}


def test_on_the_next_image_numbers_start_at_1(bound, viewer, canvas, settle):
    canvas.click(bound.new_points(), 10, 20)
    settle()
    for number in range(2):
        bound.image = viewer.add_image(np.zeros((50, 70), dtype=np.uint8), translate=(0, 100 * (number + 1)))
        canvas.click(bound.new_points(), 10, 20 + 100 * (number + 1))
        settle()
        assert areas(bound.labels.data) == {1: 25}


def test_on_data_of_another_shape_numbers_start_again_at_1_as_told(bound, canvas, settle, notices):
    canvas.click(bound.new_points(), 10, 20)
    settle()
    bound.current.next()
    canvas.click(bound.points, 30, 40)
    settle()
    bound.current.next()
    earlier = bound.labels
    assert areas(earlier.data) == {1: 25, 2: 25}
    bound.image.data = np.zeros((30, 50), dtype=np.uint8)
    assert OTHER_SHAPE in notices
    assert "numbering starts again at 1" in OTHER_SHAPE
    canvas.click(bound.new_points(), 10, 20)
    settle()
    assert bound.labels is not earlier
    assert areas(bound.labels.data) == {1: 25}
    assert areas(earlier.data) == {1: 25, 2: 25}


def test_a_moved_labels_layer_gets_its_masks_at_once(bound, viewer, canvas, settle):
    canvas.click(bound.new_points(), 10, 20)
    settle()
    bound.labels.translate = (4, 0)
    assert bound.labels.data[10 - 4, 20] == 1
    assert areas(bound.labels.data) == {1: 25}
