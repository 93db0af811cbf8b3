"""The objects in the panel, with a real mouse and keyboard: list, candidates, clean-up, undo, tools."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QLabel

from napari_samv1.annotation.pieces import Piece
from napari_samv1.app.gesture import Gesture
from napari_samv1.layers.inspection import is_picture
from napari_samv1.records.mask_crop import MaskCrop
from napari_samv1.records.settings import OVERWRITE
from napari_samv1.widgets.panel.object_model import ID, PROMPTS, STATE, ObjectModel
from session_steps import COIN, OTHER_COIN, wait_until_idle

LEFT = Qt.MouseButton.LeftButton


def area(binding, object_id: int) -> int:
    return 0 if binding.labels is None else int((binding.labels.data == object_id).sum())


@pytest.fixture
def answered(qtbot):
    """Wait until every object has its mask."""
    return partial(wait_until_idle, qtbot)


@pytest.fixture
def two_objects(annotating, answered, qtbot) -> SimpleNamespace:
    annotating.hand.click(*COIN)
    answered(annotating.panel)
    qtbot.mouseClick(annotating.panel.objects.next_object, LEFT)
    annotating.hand.click(*OTHER_COIN)
    answered(annotating.panel)
    return annotating


def click_row(qtbot, objects, row: int) -> None:
    where = objects.view.visualRect(objects.model.index(row)).center()
    qtbot.mouseClick(objects.view.viewport(), LEFT, pos=where)


# The list


def test_picking_a_row_makes_its_object_current_and_clicks_correct_it(two_objects, answered, qtbot):
    panel, binding = two_objects.panel, two_objects.binding
    click_row(qtbot, panel.objects, 0)
    assert binding.current.number == 1
    assert binding.labels.selected_label == 1
    decoded = len(two_objects.discs.decoded)
    two_objects.hand.click(COIN[0] - 25, COIN[1])
    answered(panel)
    assert [binding.labels.data[COIN[0] - 25, COIN[1]], binding.labels.data[OTHER_COIN]] == [1, 2]
    # one decoding, of one object
    assert two_objects.discs.decoded[decoded:] == [1]


def test_the_row_of_the_current_object_is_highlighted_however_it_was_chosen(two_objects, qtbot):
    panel, binding = two_objects.panel, two_objects.binding
    assert panel.objects.current == 2
    binding.labels.selected_label = 1
    assert panel.objects.current == 1
    assert panel.objects.view.selectionModel().isRowSelected(0)
    two_objects.hand.key(Qt.Key.Key_N)
    assert panel.objects.current == 3
    assert panel.objects.model.index(2).data(STATE) == "new"


def test_arrows_move_through_the_list_and_delete_works_only_there(two_objects, answered, qtbot):
    panel, binding, hand = two_objects.panel, two_objects.binding, two_objects.hand
    binding.points.selected_data = set()
    hand.key(Qt.Key.Key_Delete)  # on the canvas: napari's own, for selected points
    assert set(binding.shown.objects) == {1, 2}
    click_row(qtbot, panel.objects, 1)
    qtbot.keyClick(panel.objects.view, Qt.Key.Key_Up)
    assert binding.current.number == 1
    qtbot.keyClick(panel.objects.view, Qt.Key.Key_Delete)
    answered(panel)
    assert set(binding.shown.objects) == {2}
    assert area(binding, 1) == 0
    assert area(binding, 2) > 0
    assert binding.current.number == 2
    assert panel.objects.model.rowCount() == 1


def test_the_delete_button_and_undo_bring_an_object_back(two_objects, answered, qtbot):
    panel, binding = two_objects.panel, two_objects.binding
    before = binding.labels.data.copy()
    qtbot.mouseClick(panel.objects.delete, LEFT)
    answered(panel)
    assert area(binding, 2) == 0
    assert "delete object 2" in panel.objects.undo.toolTip()
    qtbot.mouseClick(panel.objects.undo, LEFT)
    answered(panel)
    np.testing.assert_array_equal(binding.labels.data, before)
    assert len(binding.points.data) == 2
    assert "delete object 2" in panel.objects.redo.toolTip()
    qtbot.mouseClick(panel.objects.redo, LEFT)
    answered(panel)
    assert area(binding, 2) == 0
    assert not panel.objects.redo.isEnabled()


def test_undo_goes_back_to_nothing_step_by_step(two_objects, answered, qtbot):
    panel, binding = two_objects.panel, two_objects.binding
    while panel.objects.undo.isEnabled():
        qtbot.mouseClick(panel.objects.undo, LEFT)
        answered(panel)
    assert len(binding.points.data) == 0
    assert not binding.labels.data.any()


def test_a_row_says_why_there_is_no_mask(annotating, answered, qtbot):
    qtbot.mouseClick(annotating.panel.tools.background, LEFT)
    annotating.hand.click(*COIN)
    answered(annotating.panel)
    index = annotating.panel.objects.model.index(0)
    assert (index.data(PROMPTS), index.data(STATE)) == ("1 prompt", "no mask")
    assert "background points only" in index.data(Qt.ItemDataRole.ToolTipRole)


def test_the_swatch_has_the_label_s_colour_and_follows_it(two_objects, qtbot):
    labels, model = two_objects.binding.labels, two_objects.panel.objects.model

    def shown() -> list[float]:
        return list(model.index(1).data(Qt.ItemDataRole.DecorationRole).getRgbF())

    np.testing.assert_allclose(shown(), labels.get_color(2), atol=0.01)
    told = []
    model.dataChanged.connect(lambda *_: told.append(1))
    labels.new_colormap()
    assert told
    np.testing.assert_allclose(shown(), labels.get_color(2), atol=0.01)


def rows(*areas: int) -> dict[int, Piece]:
    return {
        number: Piece(number, mask=MaskCrop.from_mask(np.ones((size, 1), dtype=bool)))
        for number, size in enumerate(areas, start=1)
    }


def test_only_the_row_that_changed_is_told_of(qtbot):
    model = ObjectModel(lambda _label: None)
    objects = rows(*range(1, 501))
    model.show(objects, 1)
    changed, resets, inserted, removed = [], [], [], []
    model.dataChanged.connect(lambda first, last, *_: changed.append((first.row(), last.row())))
    model.modelReset.connect(lambda: resets.append(1))
    model.rowsInserted.connect(lambda _parent, first, last: inserted.append((first, last)))
    model.rowsRemoved.connect(lambda _parent, first, last: removed.append((first, last)))
    model.show(dict(objects), 1)
    assert changed == []
    objects[250] = Piece(250, mask=MaskCrop.from_mask(np.ones((9, 1), dtype=bool)))
    model.show(objects, 1)
    assert changed == [(249, 249)]
    assert model.index(249).data(STATE) == "9 px"
    model.show(objects, 501)
    assert (inserted, changed[1:]) == ([(500, 500)], [])
    del objects[100]
    model.show(objects, 501)
    assert removed == [(99, 99)]
    assert resets == []
    assert model.row_of(101) == 99
    assert model.row_of(100) == -1


def test_another_plane_s_objects_are_one_reset(qtbot):
    model = ObjectModel(lambda _label: None)
    resets = []
    model.modelReset.connect(lambda: resets.append(1))
    model.show(rows(*range(1, 501)), 1)
    model.show({}, 1)
    assert len(resets) == 2
    assert model.rowCount() == 1


def test_five_hundred_objects_are_asked_for_their_visible_rows_only(qtbot):
    from napari_samv1.widgets.panel.object_list import ObjectList

    asked = []
    objects = ObjectList(lambda label: asked.append(label), lambda action: None)
    qtbot.addWidget(objects)
    objects.resize(300, 250)
    objects.show()
    objects.show_objects(rows(*range(1, 501)), 480)
    qtbot.wait(50)
    assert objects.current == 480
    assert 480 in asked
    assert len(set(asked)) < 60


def test_a_row_that_changes_is_painted_and_no_other_is_laid_out(qtbot):
    from napari_samv1.widgets.panel.object_list import ObjectList

    objects = ObjectList(lambda _label: None, lambda _action: None)
    qtbot.addWidget(objects)
    counted, painted = [], []
    model = objects.model
    count, data = model.rowCount, model.data
    model.rowCount = lambda *parent: counted.append(1) or count(*parent)
    model.data = lambda index, role=0: painted.append(index.row()) or data(index, role)
    objects.resize(300, 250)
    objects.show()
    pieces = rows(*range(1, 1001))
    objects.show_objects(pieces, 480)
    qtbot.waitUntil(lambda: 479 in painted, timeout=20_000)
    qtbot.wait(200)
    # Qt asks for the number of rows once or twice for each row that it lays out
    assert len(counted) > 1000
    counted.clear()
    painted.clear()
    pieces[480] = Piece(480, mask=MaskCrop.from_mask(np.ones((9, 1), dtype=bool)))
    objects.show_objects(pieces, 480)
    qtbot.waitUntil(lambda: 479 in painted, timeout=20_000)
    assert len(set(painted)) < 60
    assert len(counted) < 200


# Candidates


def test_the_candidates_are_pictures_of_the_current_object_made_when_it_changed(
    two_objects, answered, qtbot, monkeypatch
):
    from napari_samv1.engine import thumbnails

    panel, made = two_objects.panel, []
    make = thumbnails.thumbnails
    monkeypatch.setattr(thumbnails, "thumbnails", lambda *a, **k: made.append(1) or make(*a, **k))
    panel.app.sync()
    qtbot.wait(80)
    assert made == []
    click_row(qtbot, panel.objects, 0)
    qtbot.wait(80)
    assert made == [1]
    shown = [candidate.grab().toImage() for candidate in panel.mask_choice.candidates]
    assert shown[0] != shown[1]
    two_objects.hand.key(Qt.Key.Key_N)
    qtbot.wait(80)
    assert made == [1]
    assert panel.mask_choice.scores[0].text() == "-\n-\n-"


def test_an_object_from_long_ago_has_its_candidates_looked_at_again(two_objects, qtbot):
    panel, binding, discs = two_objects.panel, two_objects.binding, two_objects.discs
    second = panel.mask_choice.candidates[0].grab().toImage()
    binding.decoding.cache.clear()  # as after many other objects
    kept, undo, decoded = binding.shown.get(1), binding.document.undo_label, len(discs.decoded)
    click_row(qtbot, panel.objects, 0)
    qtbot.waitUntil(lambda: binding.decoding.prediction(kept) is not None)
    qtbot.wait(80)
    assert discs.decoded[decoded:] == [1]
    assert panel.mask_choice.scores[0].text().splitlines()[-1] != "-"
    assert panel.mask_choice.candidates[0].grab().toImage() != second
    assert binding.shown.get(1) is kept
    assert binding.document.undo_label == undo


def test_the_size_under_a_candidate_is_its_area(two_objects, qtbot):
    panel, binding = two_objects.panel, two_objects.binding
    for number, candidate in enumerate(panel.mask_choice.candidates):
        qtbot.mouseClick(candidate, LEFT)
        qtbot.wait(60)
        assert panel.mask_choice.scores[number].text().splitlines()[-1] == str(area(binding, 2))


def test_a_key_takes_a_candidate_and_the_panel_shows_it(two_objects, qtbot):
    panel, binding = two_objects.panel, two_objects.binding
    qtbot.keyClick(two_objects.hand.canvas, Qt.Key.Key_4, Qt.KeyboardModifier.AltModifier)
    assert binding.current.piece.chosen == 3
    assert panel.mask_choice.candidates[3].taken
    assert not panel.mask_choice.auto.isChecked()
    qtbot.keyClick(two_objects.hand.canvas, Qt.Key.Key_0, Qt.KeyboardModifier.AltModifier)
    assert panel.mask_choice.auto.isChecked()


def test_the_keys_are_listed(two_objects):
    shown = {label.text() for label in two_objects.panel.keys.findChildren(QLabel)}
    assert {"N", "Shift+N", "Q", "Shift+Backspace", "Shift+Delete", "Alt+1", "Alt+4", "Alt+0"} <= shown
    assert {"Shift+C", "Shift+B", "Shift+D", "Shift+K", "Shift+click", "Ctrl+Z", "Ctrl+Shift+Z"} <= shown
    assert "(Shift+C)" in two_objects.panel.tools.click.toolTip()
    assert "(Shift+Delete" in two_objects.panel.objects.delete.toolTip()


SHIFT = Qt.KeyboardModifier.ShiftModifier


def test_keys_take_the_tools_go_back_and_delete(two_objects, answered, qtbot):
    panel, binding, canvas = two_objects.panel, two_objects.binding, two_objects.hand.canvas
    two_objects.viewer.layers.selection.active = binding.image
    for key, tool in (("B", "box"), ("D", "brush"), ("K", "pick"), ("C", "click")):
        qtbot.keyClick(canvas, getattr(Qt.Key, f"Key_{key}"), SHIFT)
        assert panel.app.tools.tool == tool
    qtbot.keyClick(canvas, Qt.Key.Key_N, SHIFT)
    assert binding.current.number == 1
    qtbot.keyClick(canvas, Qt.Key.Key_N, SHIFT)
    assert binding.current.number == 1
    qtbot.keyClick(canvas, Qt.Key.Key_Delete, SHIFT)
    answered(panel)
    assert list(binding.shown.objects) == [2]
    assert binding.current.number == 2


# Clean-up and overlaps


def test_a_slider_s_drag_is_one_step_and_previews_live(two_objects, answered, qtbot):
    panel, binding = two_objects.panel, two_objects.binding
    qtbot.mouseClick(panel.cleanup_part.header, LEFT)
    panel.app._settings._gesture = Gesture(clock=lambda: 0.0)  # a busy machine makes pauses of its own
    before, seen = area(binding, 2), []
    for pixels in (1, 2, 3):
        panel.cleanup.grow.control.setValue(pixels)
        qtbot.wait(60)
        seen.append(area(binding, 2))
    assert before < seen[0] < seen[1] < seen[2]
    assert "grown 3" in panel.cleanup_part.header.text()
    qtbot.mouseClick(panel.objects.undo, LEFT)
    answered(panel)
    assert area(binding, 2) == before
    assert panel.cleanup.grow.value == 0


def test_settings_belong_to_an_object_and_without_one_to_the_new_ones(two_objects, answered, qtbot):
    panel, binding = two_objects.panel, two_objects.binding
    panel.cleanup.grow.control.setValue(4)
    qtbot.wait(60)
    click_row(qtbot, panel.objects, 0)
    assert panel.cleanup.grow.value == 0
    qtbot.mouseClick(panel.objects.next_object, LEFT)
    panel.cleanup.grow.control.setValue(2)
    qtbot.wait(60)
    two_objects.hand.click(60, 300)
    answered(panel)
    grown = {known.id: known.settings.cleanup for known in binding.shown.objects.values()}
    assert grown[1] is None
    assert (grown[2].grow, grown[3].grow) == (4, 2)


def test_a_slider_that_moves_while_another_object_is_picked_changes_the_first(two_objects, qtbot):
    panel, session = two_objects.panel, two_objects.binding.shown
    panel.cleanup.grow.control.setValue(3)
    panel.cleanup.grow.control.setValue(4)  # waits a moment, as the next of a drag
    click_row(qtbot, panel.objects, 0)
    qtbot.wait(80)
    assert session.get(2).settings.cleanup.grow == 4
    assert session.get(1).settings.cleanup is None


def test_an_object_may_take_the_pixels_of_others(two_objects, answered, qtbot):
    panel, binding, hand = two_objects.panel, two_objects.binding, two_objects.hand
    hand.click(COIN[0], COIN[1])
    answered(panel)
    assert binding.labels.data[COIN] == 1
    panel.rule.native.setFocus()
    qtbot.mouseClick(panel.cleanup_part.header, LEFT)
    qtbot.keyClick(panel.rule.native, Qt.Key.Key_Down)
    assert binding.current.piece.settings.rule == OVERWRITE
    assert binding.labels.data[COIN] == 2
    qtbot.mouseClick(panel.objects.undo, LEFT)
    assert binding.labels.data[COIN] == 1
    assert panel.rule.native.currentIndex() == 0


# Refining, splitting, other tools' labels


def test_one_object_per_prompt_is_decoded_in_one_batch(annotating, answered, qtbot):
    panel, binding, hand = annotating.panel, annotating.binding, annotating.hand
    for where in (COIN, OTHER_COIN, (60, 300)):
        hand.click(*where)
        answered(panel)
    qtbot.mouseClick(panel.objects.split, LEFT)
    answered(panel)
    assert set(binding.shown.objects) == {1, 2, 3}
    # the first click alone was answered before
    assert annotating.discs.decoded[-1] == 2
    assert [binding.labels.data[where] for where in (COIN, OTHER_COIN, (60, 300))] == [1, 2, 3]
    qtbot.mouseClick(panel.objects.undo, LEFT)
    answered(panel)
    assert set(binding.points.features["object"]) == {1}


def test_splitting_a_single_prompt_is_answered_with_a_sentence(two_objects, choose_from, qtbot):
    two_objects.panel.objects.split_nearest.trigger()
    assert "click once on each" in two_objects.panel.message.text()
    qtbot.mouseClick(two_objects.panel.objects.next_object, LEFT)
    assert not two_objects.panel.message.isVisible()


def test_a_label_of_another_tool_is_picked_refined_and_corrected(annotating, choose_from, answered, qtbot):
    panel, binding, hand, viewer = annotating.panel, annotating.binding, annotating.hand, annotating.viewer
    found = np.zeros((303, 384), dtype=np.uint16)
    found[100:140, 160:190] = 7
    panel.labels.layer = viewer.add_labels(found, name="found elsewhere")
    qtbot.mouseClick(panel.tools.click, LEFT)
    qtbot.mouseClick(panel.tools.pick, LEFT)
    assert "Click on a mask" in panel.guide.text()
    hand.click(5, 5)
    assert panel.tools.pick.isChecked()
    hand.click(*COIN)
    qtbot.waitUntil(lambda: panel.tools.click.isChecked())
    assert viewer.layers.selection.active is binding.points
    assert binding.current.number == 7
    assert "Refine" in panel.guide.text()
    assert panel.objects.model.index(0).data(STATE) == "existing label"
    choose_from(panel.objects.more, panel.objects.refine)
    answered(panel)
    # the discs' model fills the box of the hint
    assert area(binding, 7) == pytest.approx(40 * 30, rel=0.15)
    hand.click(150, 175)
    answered(panel)
    assert binding.labels.data[150, 175] == 7
    assert panel.objects.model.index(0).data(STATE).endswith("px")


def test_two_clicks_and_split_make_two_objects_of_a_merged_label(annotating, answered, qtbot):
    panel, binding, hand, viewer = annotating.panel, annotating.binding, annotating.hand, annotating.viewer
    found = np.zeros((303, 384), dtype=np.uint16)
    found[100:140, 100:140] = found[115:125, 140:160] = found[100:140, 160:200] = 7
    panel.labels.layer = viewer.add_labels(found, name="merged")
    panel.app.pick_object(7)
    panel.objects.refine.trigger()
    answered(panel)
    assert "Two objects? Click each, then Split." in panel.guide.text()
    qtbot.mouseClick(panel.tools.click, LEFT)
    hand.click(120, 120)
    answered(panel)
    hand.click(120, 180)
    answered(panel)
    assert panel.objects.split.isVisible()
    qtbot.mouseClick(panel.objects.split, LEFT)
    answered(panel)
    assert sorted(binding.shown.objects) == [7, 8]
    assert (binding.labels.data[120, 120], binding.labels.data[120, 180]) == (7, 8)
    assert not (binding.labels.data == 7)[:, 150:].any()
    assert not (binding.labels.data == 8)[:, :150].any()
    qtbot.mouseClick(panel.objects.undo, LEFT)
    answered(panel)
    assert list(binding.shown.objects) == [7]


def rows_of(panel) -> dict[int, str]:
    model = panel.objects.model
    rows = [model.index(row) for row in range(model.rowCount())]
    return {index.data(ID): index.data(STATE) for index in rows}


def test_existing_labels_are_listed_from_the_start_and_picked_in_the_list(annotating, answered, qtbot):
    panel, binding, viewer = annotating.panel, annotating.binding, annotating.viewer
    before = np.zeros((303, 384), dtype=np.uint16)
    before[100:140, 160:190] = 7
    before[10:20, 10:20] = 3
    panel.labels.layer = viewer.add_labels(before, name="found elsewhere")
    qtbot.waitUntil(lambda: set(rows_of(panel)) == {3, 7, 8})
    assert rows_of(panel) == {3: "existing label", 7: "existing label", 8: "new"}
    undo = binding.document.undo_label
    click_row(qtbot, panel.objects, 1)
    assert binding.current.number == 7
    assert binding.labels.selected_label == 7
    assert "7 is an existing label" in panel.guide.text()
    assert binding.document.undo_label == undo
    # deleted, its number is free; undone, it is an object that has its pixels
    qtbot.mouseClick(panel.objects.delete, LEFT)
    qtbot.waitUntil(lambda: rows_of(panel)[7] == "new")
    assert not (binding.labels.data == 7).any()
    qtbot.mouseClick(panel.objects.undo, LEFT)
    answered(panel)
    np.testing.assert_array_equal(binding.labels.data, before)
    assert rows_of(panel)[7].endswith("px")
    # another layer has other labels
    panel.labels.layer = viewer.add_labels(np.zeros_like(before), name="empty")
    qtbot.waitUntil(lambda: 3 not in rows_of(panel))


def test_every_click_is_a_new_object_where_that_is_the_mode(annotating, answered, qtbot):
    panel, binding, hand = annotating.panel, annotating.binding, annotating.hand
    assert panel.tools.one_each.isVisible()
    qtbot.mouseClick(panel.tools.one_each, LEFT, pos=QPoint(8, 8))
    assert panel.tools.one_each.isChecked()
    hand.click(*COIN)
    answered(panel)
    assert "newest object" in panel.guide.text()
    hand.click(60, 300)
    answered(panel)
    hand.click(60, 320, Qt.KeyboardModifier.ShiftModifier)
    answered(panel)
    assert {known.id: known.prompts.labels.tolist() for known in binding.shown.objects.values()} == {
        1: [1],
        2: [1, 0],
    }
    qtbot.mouseClick(panel.tools.box, LEFT)
    hand.drag((200, 100), (240, 150))
    answered(panel)
    hand.drag((200, 200), (240, 250))
    answered(panel)
    assert list(binding.shown.objects) == [1, 2, 3, 4]
    # each is one step
    qtbot.mouseClick(panel.objects.undo, LEFT)
    answered(panel)
    assert list(binding.shown.objects) == [1, 2, 3]
    qtbot.mouseClick(panel.tools.one_each, LEFT, pos=QPoint(8, 8))
    qtbot.mouseClick(panel.tools.click, LEFT)
    click_row(qtbot, panel.objects, 0)
    hand.click(COIN[0] + 5, COIN[1])
    answered(panel)
    assert binding.shown.get(1).prompts.labels.tolist() == [1, 1]


# Tools


def drag_path(hand, *corners) -> None:
    hand.move(*corners[0])
    hand.press(*corners[0])
    for start, end in pairwise(corners):
        for part in np.linspace(0.1, 1, 10):
            hand.move(*(a + (b - a) * part for a, b in zip(start, end, strict=True)), held=True)
    hand.release(*corners[-1])


def test_an_ellipse_is_chosen_from_the_menu_and_drawn(annotating, choose_from, answered, qtbot):
    panel, binding = annotating.panel, annotating.binding
    choose_from(panel.tools.kinds, panel.tools.shapes["ellipse"])
    assert panel.tools.box.text() == "Ellipse"
    assert panel.tools.box.isChecked()
    assert "Ellipse" in panel.guide.text() or "ellipse" in panel.guide.text()
    annotating.hand.drag((90, 140), (150, 210))
    answered(panel)
    assert [str(kind) for kind in binding.shapes.shape_type] == ["ellipse"]
    assert binding.current.piece.prompts.area is not None
    assert "as a hint" in panel.message.text()


def test_a_scribble_is_points_along_it_also_of_what_is_not_the_object(
    annotating, choose_from, answered, qtbot
):
    panel, binding = annotating.panel, annotating.binding
    choose_from(panel.tools.kinds, panel.tools.shapes["scribble"])
    drag_path(annotating.hand, (100, 160), (120, 175), (130, 200))
    answered(panel)
    assert len(binding.shapes.data) == 1
    assert binding.current.piece.prompts.labels.tolist() == [1] * 8
    qtbot.mouseClick(panel.tools.background, LEFT)
    drag_path(annotating.hand, (200, 160), (220, 175))
    answered(panel)
    assert binding.current.piece.prompts.labels.tolist() == [1] * 8 + [0] * 8


def test_brush_and_eraser_change_the_current_object_and_undo_takes_it_back(two_objects, answered, qtbot):
    panel, binding, hand = two_objects.panel, two_objects.binding, two_objects.hand
    before = area(binding, 2)
    qtbot.mouseClick(panel.tools.brush, LEFT)
    binding.labels.brush_size = 9
    drag_path(hand, (250, 100), (250, 130))
    qtbot.wait(60)
    painted = area(binding, 2)
    assert painted > before
    assert panel.objects.model.index(1).data(STATE).startswith(f"{painted}"[:1])
    assert "brush" in panel.objects.undo.toolTip()
    qtbot.mouseClick(panel.tools.background, LEFT)
    assert str(binding.labels.mode) == "erase"
    drag_path(hand, (250, 100), (250, 110))
    qtbot.wait(60)
    assert before < area(binding, 2) < painted
    hand.canvas.setFocus()
    qtbot.keyClick(hand.canvas, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert area(binding, 2) == painted
    assert "brush" in panel.objects.undo.toolTip()


def test_a_stroke_that_others_keep_out_is_answered_with_a_sentence(two_objects, qtbot):
    panel, binding, hand = two_objects.panel, two_objects.binding, two_objects.hand
    qtbot.mouseClick(panel.tools.brush, LEFT)
    drag_path(hand, COIN, (COIN[0], COIN[1] + 5))
    qtbot.wait(60)
    assert binding.labels.data[COIN] == 1
    assert "overwrite" in panel.message.text()


# The logits as a layer


def test_the_logits_follow_the_current_object_and_go_with_their_button(two_objects, qtbot):
    panel, viewer = two_objects.panel, two_objects.viewer
    active = viewer.layers.selection.active

    def shown() -> list:
        return [layer for layer in viewer.layers if is_picture(layer)]

    qtbot.mouseClick(panel.settings.logits, LEFT)
    [layer] = shown()
    assert viewer.layers.selection.active is active
    assert layer not in panel.image._choices(None)
    before = layer.data.copy()
    # exactly on the image: its outer edges are the image's
    edges = np.array(
        [layer.data_to_world((-0.5, -0.5)), layer.data_to_world(np.array(layer.data.shape) - 0.5)]
    )
    np.testing.assert_allclose(edges[0], (-0.5, -0.5), atol=1e-6)
    click_row(qtbot, panel.objects, 0)
    qtbot.waitUntil(lambda: not np.array_equal(layer.data, before))
    assert shown() == [layer]
    qtbot.mouseClick(panel.settings.logits, LEFT)
    assert shown() == []


def test_a_deleted_logits_layer_releases_its_button(two_objects, qtbot):
    panel, viewer = two_objects.panel, two_objects.viewer
    qtbot.mouseClick(panel.settings.logits, LEFT)
    [layer] = [layer for layer in viewer.layers if is_picture(layer)]
    viewer.layers.remove(layer)
    assert not panel.settings.logits.isChecked()
    click_row(qtbot, panel.objects, 0)
    qtbot.wait(60)
    assert not [layer for layer in viewer.layers if is_picture(layer)]


def test_closing_the_panel_takes_the_logits_along(two_objects, qtbot):
    qtbot.mouseClick(two_objects.panel.settings.logits, LEFT)
    viewer = two_objects.viewer
    viewer.window.remove_dock_widget(two_objects.panel)
    assert not [layer for layer in viewer.layers if is_picture(layer)]


@pytest.mark.parametrize("kind", ["image", "points", "labels"])
@pytest.mark.parametrize("tool", ["pick", "brush", "logits"])
def test_a_layer_may_be_deleted_with_any_tool_in_hand(two_objects, answered, qtbot, kind, tool):
    panel, binding, viewer = two_objects.panel, two_objects.binding, two_objects.viewer
    button = panel.settings.logits if tool == "logits" else getattr(panel.tools, tool)
    qtbot.mouseClick(button, LEFT)
    viewer.layers.remove(getattr(binding, kind))
    answered(panel)
    if kind != "image":
        qtbot.mouseClick(panel.tools.click, LEFT)
        two_objects.hand.click(60, 300)
        answered(panel)
        assert binding.labels is not None
        assert binding.labels.data[60, 300] > 0


def test_an_object_goes_on_to_the_next_slice_where_that_is_asked_for(open_panel, answered, qtbot, discs):
    panel = open_panel()
    viewer, binding = panel.viewer, panel.canvas
    viewer.add_image(np.zeros((3, 120, 160), dtype=np.uint8), name="stack")
    viewer.dims.set_point(0, 0)
    panel.app.take_tool("click")
    binding.points.add((0, 60, 80))
    answered(panel)
    viewer.dims.set_point(0, 1)
    assert binding.current.number == 2
    panel.objects.continued.trigger()
    binding.points.add((1, 60, 80))
    answered(panel)
    assert [piece.plane.index[0] for piece in binding.document.pieces_of(1)] == [0, 1]
