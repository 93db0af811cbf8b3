"""Clearing and deleting an object: all that made its mask goes in one step, and comes back in one."""

from __future__ import annotations

import numpy as np

from napari_samv1.engine.jobs import run_each
from napari_samv1.layers.prompts.features import OBJECT
from napari_samv1.records.mask_crop import MaskCrop
from painting import paint


def answer(bound, squares, embedding):
    bound.sync()
    for result in run_each(squares, bound.edits.jobs(embedding)):
        assert bound.edits.accept([result]) == ""


def painted_and_clicked(bound, squares, embedding):
    """Object 1 with a click, a stroke, a refinement and a threshold of its own."""
    points = bound.new_points()
    points.add([(20, 30)])
    answer(bound, squares, embedding)
    bound.edits.refine()
    answer(bound, squares, embedding)
    stroke = MaskCrop.from_mask(np.ones((2, 5), dtype=bool), (2, 3))
    paint(bound, 1, stroke)
    bound.edits.set_settings(1, threshold=-1.0)
    return points


def test_clearing_takes_clicks_strokes_and_the_hint_and_keeps_the_settings(bound, squares, embedding):
    points = painted_and_clicked(bound, squares, embedding)
    assert bound.labels.data[2, 3] == 1
    assert bound.edits.clear() == ""
    cleared = bound.current.piece
    assert len(points.data) == 0
    assert not (bound.labels.data == 1).any()
    assert cleared.refined.empty
    assert cleared.painted_in.empty
    assert cleared.settings.threshold == -1.0
    points.add([(22, 33)])
    answer(bound, squares, embedding)
    # a fresh click, alone: the third candidate, cut at the kept threshold, and no box or hint with it
    assert len(squares.decoded[-1].boxes_yx) == 0
    assert squares.decoded[-1].area is None
    assert bound.current.piece.mask.area == 7 * 7


def test_clearing_is_one_step_and_comes_back_whole(bound, squares, embedding):
    points = painted_and_clicked(bound, squares, embedding)
    before, shown = bound.current.piece, bound.labels.data.copy()
    bound.edits.clear()
    assert bound.document.undo_label == "clear object 1"
    assert bound.edits.undo() == ""
    assert bound.current.piece is before
    np.testing.assert_array_equal(bound.labels.data, shown)
    assert list(points.features[OBJECT]) == [1]
    bound.edits.redo()
    assert len(points.data) == 0
    assert not (bound.labels.data == 1).any()


def test_clearing_what_is_empty_is_no_step(bound):
    bound.new_points()
    assert bound.edits.clear() == ""
    assert not bound.document.undo_label
    bound.sync()
    assert bound.edits.clear() == ""
    assert not bound.document.undo_label


def test_a_label_of_another_tool_can_be_deleted_and_comes_back(bound):
    labels = bound.new_labels()
    labels.data[5:9, 5:9] = 7
    labels.data[20:22, 20:22] = 8
    bound.new_points()
    bound.current.number = 7
    assert bound.edits.delete(7) == ""
    assert not (labels.data == 7).any()
    assert (labels.data == 8).sum() == 4
    bound.edits.undo()
    assert (labels.data == 7).sum() == 16
