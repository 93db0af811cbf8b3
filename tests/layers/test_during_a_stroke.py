"""What happens while the brush or the eraser is held down: the layer agrees with the document afterwards."""

from __future__ import annotations

import numpy as np
import pytest

from napari_samv1.records.settings import KEEP, OVERWRITE, ObjectSettings
from play.oracle import composite

HW = (40, 60)


def agrees(bound):
    objects = {
        number: (piece.mask.to_mask(HW), piece.settings.rule.kind, piece.settings.rule.label)
        for number, piece in bound.shown.objects.items()
    }
    expected = composite(np.zeros(HW, dtype=np.uint16), bound.shown.stack, objects)
    np.testing.assert_array_equal(bound.labels.data, expected)


@pytest.fixture
def painted(bound, viewer, canvas):
    """Object 1 has two strokes; object 3 has a click that is not answered yet."""

    def painted(rule):
        bound.labels = viewer.add_labels(np.zeros(HW, dtype=np.uint16))
        bound.labels.brush_size = 1
        bound.document.defaults = ObjectSettings(rule=rule)
        bound.labels.selected_label = 1
        bound.labels.mode = "paint"
        for row in (10, 12):
            canvas.drag(bound.labels, (row, 10), (row, 20))
        bound.current.number = 3
        canvas.click(bound.new_points(), 12, 16)
        bound.sync()
        return bound

    return painted


@pytest.mark.parametrize("rule", [KEEP, OVERWRITE])
@pytest.mark.parametrize(("mode", "label"), [("paint", 2), ("paint", 1), ("erase", 1)])
@pytest.mark.parametrize("happens", ["answer", "threshold", "undo", "redo", "delete", "clear"])
def test_no_pixel_of_the_stroke_is_left_behind(painted, canvas, settle, happens, mode, label, rule):
    bound = painted(rule)
    if happens != "answer":
        settle()
    if happens == "redo":
        bound.edits.undo()
    events = {
        "answer": settle,
        "threshold": lambda: bound.edits.set_settings(3, threshold=-1.0),
        "undo": bound.edits.undo,
        "redo": bound.edits.redo,
        "delete": lambda: bound.edits.delete(1),
        "clear": bound.edits.clear,
    }
    said = []
    bound.labels.selected_label, bound.labels.mode = label, mode
    canvas.drag(
        bound.labels, (8, 15), (14, 15), (14, 18), each=lambda: said.append(said or events[happens]())
    )
    if happens in ("undo", "redo", "delete", "clear"):
        assert "Finish the shape or stroke first" in said[0]
    settle()
    agrees(bound)
    while bound.document.undo_label:
        bound.edits.undo()
        agrees(bound)
    while bound.document.redo_label:
        bound.edits.redo()
        agrees(bound)
