"""Brush, eraser and bucket on the bound Labels layer, with the events that napari sends."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Labels

from napari_samv1.layers.binding import AnnotationBinding
from napari_samv1.layers.recording import Recorder
from napari_samv1.records.settings import OVERWRITE

HW = (40, 60)


def areas(bound):
    ids, counts = np.unique(bound.labels.data, return_counts=True)
    return {int(one): int(count) for one, count in zip(ids, counts, strict=True) if one}


@pytest.fixture
def clicked(bound, canvas, settle):
    """Object 1 is a 5 x 5 square around (10, 20)."""
    canvas.click(bound.new_points(), 10, 20)
    settle()
    bound.labels.brush_size = 1
    return bound


def brush(bound, canvas, label, *path):
    bound.labels.selected_label = label
    bound.labels.mode = "paint"
    canvas.drag(bound.labels, *path)


def erase(bound, canvas, *path):
    bound.labels.mode = "erase"
    canvas.drag(bound.labels, *path)


def test_a_brush_stroke_stays_through_a_later_click(clicked, canvas, settle):
    brush(clicked, canvas, 1, (10, 30), (10, 35))
    assert areas(clicked) == {1: 25 + 6}
    canvas.click(clicked.points, 30, 50)
    settle()
    assert (clicked.labels.data[10, 30:36] == 1).all()
    assert clicked.labels.data[30, 50] == 1


def test_an_eraser_stroke_stays_through_a_later_click(clicked, canvas, settle):
    erase(clicked, canvas, (10, 18), (10, 22))
    assert areas(clicked) == {1: 20}
    canvas.click(clicked.points, 30, 50)
    settle()
    assert (clicked.labels.data[10, 18:23] == 0).all()
    assert clicked.labels.data[9, 20] == 1


def test_a_stroke_is_one_step_to_undo_and_leaves_the_prompts(clicked, canvas):
    brush(clicked, canvas, 1, (10, 30), (10, 33), (13, 33))
    assert clicked.document.undo_label == "brush"
    clicked.edits.undo()
    assert areas(clicked) == {1: 25}
    assert len(clicked.points.data) == 1
    clicked.edits.redo()
    assert areas(clicked) == {1: 25 + 7}


def test_a_stroke_on_a_new_number_makes_an_object(clicked, canvas):
    brush(clicked, canvas, 7, (30, 30), (30, 34))
    assert clicked.shown.get(7).painted_in.area == 5
    assert clicked.shown.get(7).reason == ""
    clicked.edits.undo()
    assert 7 not in clicked.shown.objects
    assert areas(clicked) == {1: 25}


def test_a_stroke_leaves_the_pixels_of_others_by_default_and_says_so(clicked, canvas, notices):
    brush(clicked, canvas, 2, (10, 18), (10, 26))
    assert areas(clicked) == {1: 25, 2: 4}
    assert "does not overwrite" in notices[-1]
    brush(clicked, canvas, 2, (30, 18), (30, 20))
    assert notices[-1] == ""


def test_an_overwriting_object_takes_the_pixels_and_gives_them_back(clicked, canvas):
    brush(clicked, canvas, 2, (30, 30), (30, 31))
    clicked.edits.set_settings(2, rule=OVERWRITE)
    brush(clicked, canvas, 2, (10, 18), (10, 22))
    assert areas(clicked) == {1: 20, 2: 7}
    erase(clicked, canvas, (10, 18), (10, 22))
    assert areas(clicked) == {1: 25, 2: 2}


def test_the_bucket_fills_a_hole_of_an_object(clicked, canvas, settle):
    erase(clicked, canvas, (10, 20), (10, 20))
    clicked.labels.selected_label = 1
    clicked.labels.mode = "fill"
    clicked.labels.n_edit_dimensions = 2
    canvas.click(clicked.labels, 10, 20)
    # one pixel of background surrounded by the object
    assert areas(clicked) == {1: 25}
    assert clicked.document.undo_label == "brush"


def test_labels_from_elsewhere_become_an_object_under_the_eraser_and_survive_undo(bound, viewer, canvas):
    data = np.zeros(HW, dtype=np.uint16)
    data[2:6, 2:6] = 9
    bound.labels = viewer.add_labels(data.copy())
    bound.labels.brush_size = 1
    erase(bound, canvas, (2, 2), (2, 5))
    assert areas(bound) == {9: 12}
    assert bound.shown.get(9).mask.area == 12
    bound.edits.undo()
    np.testing.assert_array_equal(bound.labels.data, data)
    assert bound.edits.undo() == ""
    np.testing.assert_array_equal(bound.labels.data, data)
    bound.edits.redo()
    assert areas(bound) == {9: 12}


def test_undoing_older_steps_leaves_an_adopted_label(clicked, viewer, canvas):
    clicked.labels.data[30:34, 2:6] = 9  # another tool's
    erase(clicked, canvas, (30, 2), (30, 5))
    for _ in range(2):
        clicked.edits.undo()
    assert areas(clicked) == {9: 16}


@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_strokes_reach_the_image_pixels_through_another_grid(bound, viewer, canvas, scale):
    shape = tuple(int(size / scale) for size in HW)
    offset = (scale - 1) / 2
    bound.labels = viewer.add_labels(
        np.zeros(shape, dtype=np.uint8), scale=(scale, scale), translate=(offset, offset)
    )
    bound.labels.brush_size = 1
    brush(bound, canvas, 3, (10, 10), (10, 20))
    rows = np.flatnonzero(bound.shown.get(3).mask.to_mask(HW).any(axis=1))
    assert 10 in rows
    assert len(rows) <= 2
    assert bound.labels.data.any()


def test_a_stroke_on_one_slice_is_that_slice_s(viewer, canvas):
    binding = AnnotationBinding(viewer)
    binding.image = viewer.add_image(np.zeros((3, *HW), dtype=np.uint8))
    viewer.dims.set_current_step(0, 1)
    labels = binding.new_labels()
    labels.brush_size = 1
    brush(binding, canvas, 1, (10, 10), (10, 12))
    assert np.argwhere(labels.data).tolist() == [[1, 10, 10], [1, 10, 11], [1, 10, 12]]
    assert binding.shown.get(1).painted_in.area == 3
    viewer.dims.set_current_step(0, 0)
    assert not binding.shown.objects
    binding.close()


def test_a_locked_view_or_no_image_leaves_strokes_to_napari(viewer, canvas):
    binding = AnnotationBinding(viewer)
    labels = Labels(np.zeros(HW, dtype=np.uint8))
    viewer.add_layer(labels)
    binding.labels = labels
    labels.brush_size = 1
    brush(binding, canvas, 1, (10, 10), (10, 12))
    assert labels.data.sum() == 3
    binding.close()


def test_painting_by_data_setitem_is_a_stroke_too(clicked):
    clicked.labels.data_setitem((np.array([30, 31]), np.array([5, 5])), 4)
    assert clicked.shown.get(4).painted_in.area == 2
    assert areas(clicked) == {1: 25, 4: 2}


def test_a_painted_polygon_is_a_stroke(clicked):
    clicked.labels.paint_polygon([[20, 30], [20, 35], [25, 35], [25, 30]], 1)
    assert clicked.shown.get(1).painted_in.area == 36
    assert clicked.labels.data[22, 32] == 1


@pytest.mark.parametrize("slice_of_stroke", [0, 1])
def test_a_session_saved_while_a_stroke_is_drawn_takes_its_pixels_for_no_other_tool_s(
    viewer, canvas, slice_of_stroke
):
    binding = AnnotationBinding(viewer)
    binding.image = viewer.add_image(np.zeros((2, *HW), dtype=np.uint8))
    binding.labels = viewer.add_labels(np.zeros((2, *HW), dtype=np.uint16))
    binding.labels.brush_size = 1
    viewer.dims.set_point(0, 0)
    brush(binding, canvas, 1, (10, 10), (10, 15))
    viewer.dims.set_point(0, slice_of_stroke)
    records = []

    def record():
        records.append(Recorder().record(binding, viewer.layers, {}))

    binding.labels.mode = "paint"
    canvas.drag(binding.labels, (20, 10), (20, 15), (20, 20), each=record)
    assert len(records) == 2
    binding.edits.delete(1)
    brush(binding, canvas, 2, (30, 10), (30, 15))
    record()
    assert binding.labels.data.any()
    assert [plane.beneath for one in records for image in one.images for plane in image.planes] == [None] * 3
    binding.close()
