"""Labels that were in the layer before anybody pointed at them."""

from __future__ import annotations

import numpy as np
import pytest

HW = (40, 60)


@pytest.fixture
def before():
    """Label 9 of another tool, 4 x 4 pixels from (2, 2) on."""
    data = np.zeros(HW, dtype=np.uint16)
    data[2:6, 2:6] = 9
    return data


@pytest.fixture
def foreign(bound, viewer, before):
    bound.labels = viewer.add_labels(before.copy())
    bound.labels.selected_label = 9
    bound.new_points()
    return bound


def test_a_label_that_is_clicked_at_stays_until_the_answer(foreign, canvas, before):
    canvas.click(foreign.points, 20, 30)
    foreign.sync()
    np.testing.assert_array_equal(foreign.labels.data, before)
    assert foreign.shown.pending == (9,)


def test_the_answer_takes_the_place_of_the_label_and_undo_brings_it_back(foreign, canvas, settle, before):
    canvas.click(foreign.points, 20, 30)
    settle()
    answered = foreign.labels.data.copy()
    assert (answered[17:24, 27:34] == 9).any()
    assert (answered[2:6, 2:6] == 0).all()
    foreign.edits.undo()
    np.testing.assert_array_equal(foreign.labels.data, before)
    foreign.edits.redo()
    np.testing.assert_array_equal(foreign.labels.data, answered)


def test_background_points_alone_wipe_no_label(foreign, canvas, settle, before):
    foreign.current.polarity = "negative"
    canvas.click(foreign.points, 3, 3)
    settle()
    np.testing.assert_array_equal(foreign.labels.data, before)


def test_a_stroke_on_a_label_stays_through_a_click(foreign, canvas, settle):
    foreign.labels.brush_size = 1
    foreign.labels.mode = "paint"
    canvas.drag(foreign.labels, (3, 10), (3, 12))
    canvas.click(foreign.points, 20, 30)
    settle()
    assert (foreign.labels.data[3, 10:13] == 9).all()
    assert (foreign.labels.data[2:6, 2:6] == 9).all()
    assert (foreign.labels.data[18:23, 28:33] == 9).any()
