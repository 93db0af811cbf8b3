"""The pixels that an object has, as a hint for the network."""

from __future__ import annotations

import numpy as np
import pytest

HW = (40, 60)


@pytest.fixture
def foreign(bound, viewer):
    """Label 9 of another tool, 4 x 4 pixels from (2, 2) on."""
    data = np.zeros(HW, dtype=np.uint16)
    data[2:6, 2:6] = 9
    bound.labels = viewer.add_labels(data)
    bound.labels.selected_label = 9
    return bound


def test_a_label_from_elsewhere_is_given_as_a_hint_with_its_box(foreign, embedding):
    assert foreign.edits.refine() == ""
    assert np.count_nonzero(foreign.labels.data == 9) == 16
    (job,) = foreign.edits.jobs(embedding)
    assert job.request.prompts.boxes_yx.tolist() == [[2, 2, 5, 5]]
    assert job.request.prompts.area.area == 16


def test_the_answer_takes_the_place_of_what_was_there(foreign, squares, canvas, settle):
    foreign.edits.refine()
    canvas.click(foreign.new_points(), 20, 30)
    settle()
    assert (foreign.labels.data[17:24, 27:34] == 9).all()
    assert (foreign.labels.data[2:6, 2:6] == 9).all()
    assert squares.decoded[-1].area.area == 16
    canvas.click(foreign.points, 3, 3, modifiers=("Shift",))
    settle()
    assert foreign.labels.data[3, 3] == 0


def test_undo_brings_the_old_pixels_back(foreign, settle, canvas):
    before = foreign.labels.data.copy()
    foreign.edits.refine()
    canvas.click(foreign.new_points(), 3, 3, modifiers=("Shift",))
    settle()
    assert not np.array_equal(foreign.labels.data, before)
    for _ in range(3):
        foreign.edits.undo()
    np.testing.assert_array_equal(foreign.labels.data, before)
    assert foreign.shown.get(9).refined.empty


def test_strokes_on_an_answer_stay(bound, canvas, settle):
    canvas.click(bound.new_points(), 10, 20)
    settle()
    bound.labels.brush_size = 1
    bound.labels.mode = "paint"
    canvas.drag(bound.labels, (30, 30), (30, 32))
    assert bound.edits.refine() == ""
    settle()
    assert bound.shown.get(1).painted_in.area == 3
    assert bound.shown.get(1).refined.area == 28


def test_there_must_be_pixels(bound):
    bound.new_points()
    assert "no pixels" in bound.edits.refine()
