"""The panel in a real window: real mouse events on the canvas, masks in the Labels layer."""

from __future__ import annotations

import gc
import threading
import time
import weakref

import numpy as np
import pytest
from napari.layers import Labels, Points, Shapes
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QAbstractButton, QFileDialog, QMenu

from session_steps import COIN, OTHER_COIN, wait_until_idle


def mask_area(binding, object_id: int) -> int:
    return 0 if binding.labels is None else int((binding.labels.data == object_id).sum())


def wait_for_mask(qtbot, binding, object_id: int = 1) -> None:
    qtbot.waitUntil(lambda: mask_area(binding, object_id) > 0, timeout=10_000)


def test_the_first_click_encodes_and_its_mask_follows(annotating, qtbot):
    binding = annotating.binding
    assert annotating.discs.encodings == []
    annotating.hand.click(*COIN)
    wait_for_mask(qtbot, binding)
    assert len(annotating.discs.encodings) == 1
    assert isinstance(binding.labels, Labels)
    assert binding.labels.data[COIN] == 1
    assert binding.labels.data[0, 0] == 0
    assert annotating.panel.encoding.sentence.text() == "ready"
    assert "main" not in str(annotating.discs.threads).lower()


def test_the_points_layer_goes_on_listening_after_the_first_mask(annotating, qtbot):
    annotating.hand.click(*COIN)
    wait_for_mask(qtbot, annotating.binding)
    assert annotating.viewer.layers.selection.active is annotating.binding.points
    annotating.hand.click(COIN[0] + 15, COIN[1])
    wait_until_idle(qtbot, annotating.panel)
    assert len(annotating.binding.points.data) == 2
    assert annotating.binding.labels.data[COIN[0] + 15, COIN[1]] == 1


def test_next_object_makes_a_second_label(annotating, qtbot):
    annotating.hand.click(*COIN)
    wait_for_mask(qtbot, annotating.binding)
    qtbot.mouseClick(annotating.panel.objects.next_object, Qt.MouseButton.LeftButton)
    assert annotating.panel.objects.current == 2
    annotating.hand.click(*OTHER_COIN)
    wait_for_mask(qtbot, annotating.binding, 2)
    assert annotating.binding.labels.data[COIN] == 1
    assert annotating.binding.labels.data[OTHER_COIN] == 2
    assert len(annotating.discs.encodings) == 1


def test_a_background_click_takes_away(annotating, qtbot):
    annotating.hand.click(*COIN)
    wait_for_mask(qtbot, annotating.binding)
    qtbot.mouseClick(annotating.panel.tools.background, Qt.MouseButton.LeftButton)
    annotating.hand.click(COIN[0], COIN[1] + 4)
    wait_until_idle(qtbot, annotating.panel)
    assert annotating.binding.labels.data[COIN[0], COIN[1] + 4] == 0
    assert list(annotating.binding.points.features["polarity"]) == ["positive", "negative"]


def test_a_shift_click_is_of_the_other_kind_and_the_next_one_is_not(annotating, qtbot):
    annotating.hand.click(*COIN)
    annotating.hand.click(COIN[0], COIN[1] + 8, Qt.KeyboardModifier.ShiftModifier)
    qtbot.wait(20)
    annotating.hand.click(COIN[0] - 8, COIN[1])
    wait_for_mask(qtbot, annotating.binding)
    wait_until_idle(qtbot, annotating.panel)
    assert list(annotating.binding.points.features["polarity"]) == ["positive", "negative", "positive"]
    assert annotating.panel.tools.foreground.isChecked()


def test_a_dragged_rectangle_redraws_while_it_is_dragged(annotating, qtbot):
    panel, binding, hand = annotating.panel, annotating.binding, annotating.hand
    qtbot.mouseClick(panel.tools.box, Qt.MouseButton.LeftButton)
    assert isinstance(binding.shapes, Shapes)
    panel.app.encode()
    qtbot.waitUntil(lambda: len(annotating.discs.encodings) == 1)
    hand.move(80, 100)
    hand.press(80, 100)
    for step in range(1, 11):
        hand.move(80 + 6 * step, 100 + 8 * step, held=True)
        qtbot.wait(20)
    wait_for_mask(qtbot, binding)
    mid_drag = mask_area(binding, 1)
    for step in range(11, 16):
        hand.move(80 + 6 * step, 100 + 8 * step, held=True)
        qtbot.wait(20)
    qtbot.waitUntil(lambda: mask_area(binding, 1) > mid_drag)
    hand.release(170, 220)
    wait_until_idle(qtbot, panel)
    rows, columns = np.nonzero(binding.labels.data)
    assert (rows.min(), rows.max()) == pytest.approx((80, 170), abs=2)
    assert (columns.min(), columns.max()) == pytest.approx((100, 220), abs=2)


def test_a_dragged_point_redraws_while_it_is_dragged(annotating, qtbot):
    hand, binding = annotating.hand, annotating.binding
    hand.click(*COIN)
    wait_for_mask(qtbot, binding)
    binding.points.mode = "select"
    hand.move(*COIN)
    hand.press(*COIN)
    for step in range(1, 11):
        hand.move(COIN[0] + 4 * step, COIN[1], held=True)
        qtbot.wait(20)
    qtbot.waitUntil(lambda: binding.labels.data[COIN[0] + 35, COIN[1]] == 1)
    hand.release(COIN[0] + 40, COIN[1])
    wait_until_idle(qtbot, annotating.panel)
    assert binding.labels.data[COIN[0] + 40, COIN[1]] == 1
    assert binding.labels.data[COIN[0] - 15, COIN[1]] == 0


def test_another_candidate_and_another_threshold_change_the_mask(annotating, qtbot):
    annotating.hand.click(*COIN)
    wait_for_mask(qtbot, annotating.binding)
    wait_until_idle(qtbot, annotating.panel)
    mask = annotating.panel.mask_choice
    automatic = mask_area(annotating.binding, 1)
    assert [candidate.taken for candidate in mask.candidates] == [False, True, False, False]
    assert "0.80" in mask.scores[1].text()
    qtbot.mouseClick(mask.candidates[3], Qt.MouseButton.LeftButton)
    smallest = mask_area(annotating.binding, 1)
    assert 0 < smallest < automatic / 4
    annotating.panel.threshold.control.setValue(-3.0)
    qtbot.waitUntil(lambda: mask_area(annotating.binding, 1) > smallest)
    decoded = len(annotating.discs.decoded)
    qtbot.mouseClick(mask.auto, Qt.MouseButton.LeftButton)
    annotating.panel.threshold.control.setValue(0.0)
    qtbot.waitUntil(lambda: mask_area(annotating.binding, 1) == automatic)
    assert len(annotating.discs.decoded) == decoded


def test_a_click_after_a_candidate_was_chosen_corrects_that_candidate(annotating, qtbot):
    hand, panel, session = annotating.hand, annotating.panel, annotating.binding.shown
    hand.click(*COIN)
    wait_for_mask(qtbot, annotating.binding)
    wait_until_idle(qtbot, panel)
    assert session.get(1).prompts.candidate is None
    qtbot.mouseClick(panel.mask_choice.candidates[2], Qt.MouseButton.LeftButton)
    hand.click(COIN[0] + 12, COIN[1], Qt.KeyboardModifier.ShiftModifier)
    wait_until_idle(qtbot, panel)
    known = session.get(1)
    assert known.prompts.labels.tolist() == [1, 0]
    assert known.prompts.candidate == known.answer.request.prompts.candidate == known.chosen == 2
    qtbot.mouseClick(panel.objects.undo, Qt.MouseButton.LeftButton)
    wait_until_idle(qtbot, panel)
    assert session.get(1).prompts.candidate is None
    qtbot.mouseClick(panel.objects.redo, Qt.MouseButton.LeftButton)
    wait_until_idle(qtbot, panel)
    assert session.get(1).prompts == known.prompts
    assert session.get(1).mask == known.mask


def test_remove_last_and_clear(annotating, choose_from, qtbot):
    hand, binding, objects = annotating.hand, annotating.binding, annotating.panel.objects
    hand.click(*COIN)
    wait_for_mask(qtbot, binding)
    one = mask_area(binding, 1)
    hand.click(COIN[0], COIN[1] + 40)
    wait_until_idle(qtbot, annotating.panel)
    choose_from(objects.more, objects.remove_last)
    wait_until_idle(qtbot, annotating.panel)
    assert len(binding.points.data) == 1
    assert mask_area(binding, 1) == one
    choose_from(objects.more, objects.clear)
    wait_until_idle(qtbot, annotating.panel)
    assert len(binding.points.data) == 0
    assert mask_area(binding, 1) == 0


def test_keys_on_the_canvas_flip_the_polarity_begin_an_object_and_remove(annotating, qtbot):
    hand, binding, tools = annotating.hand, annotating.binding, annotating.panel.tools
    hand.click(*COIN)
    wait_for_mask(qtbot, binding)
    hand.key(Qt.Key.Key_Q)
    assert tools.background.isChecked()
    hand.click(COIN[0], COIN[1] + 8)
    assert list(binding.points.features["polarity"]) == ["positive", "negative"]
    QTest.keyClick(hand.canvas, Qt.Key.Key_Backspace, Qt.KeyboardModifier.ShiftModifier)
    assert len(binding.points.data) == 1
    hand.key(Qt.Key.Key_N)
    assert annotating.panel.objects.current == 2
    assert tools.foreground.isChecked()
    binding.image.visible = True
    annotating.viewer.layers.selection.active = binding.image
    hand.key(Qt.Key.Key_N)
    assert annotating.panel.objects.current == 2


def test_selecting_a_point_brings_its_object_forward(annotating, qtbot):
    annotating.hand.click(*COIN)
    wait_for_mask(qtbot, annotating.binding)
    annotating.hand.key(Qt.Key.Key_N)
    annotating.hand.click(*OTHER_COIN)
    wait_for_mask(qtbot, annotating.binding, 2)
    annotating.binding.points.mode = "select"
    annotating.hand.click(*COIN)
    qtbot.waitUntil(lambda: annotating.panel.objects.current == 1)


def test_a_scaled_and_rotated_image_gets_its_mask_where_it_was_clicked(annotating, qtbot):
    panel, viewer = annotating.panel, annotating.viewer
    viewer.layers.clear()
    qtbot.wait(60)
    image = viewer.add_image(
        np.zeros((200, 300)), scale=(2, 0.5), rotate=30, translate=(5, -7), name="turned"
    )
    panel.image.layer = image
    qtbot.mouseClick(panel.tools.click, Qt.MouseButton.LeftButton)
    viewer.reset_view()
    qtbot.wait(60)
    annotating.hand.click(*image.data_to_world((60, 200)))
    wait_for_mask(qtbot, annotating.binding)
    rows, columns = np.nonzero(annotating.binding.labels.data)
    # as far as one screen pixel is
    assert (rows.mean(), columns.mean()) == pytest.approx((60, 200), abs=2)


def test_a_click_outside_the_image_is_answered_with_a_sentence(annotating, qtbot):
    annotating.hand.zoom_out()
    qtbot.wait(50)
    annotating.hand.click(-40, -40)
    qtbot.waitUntil(lambda: "outside" in annotating.panel.message.text())
    assert annotating.panel.message.isVisible()


def test_only_background_points_are_answered_with_a_sentence(annotating, qtbot):
    qtbot.mouseClick(annotating.panel.tools.background, Qt.MouseButton.LeftButton)
    annotating.hand.click(*COIN)
    qtbot.waitUntil(lambda: "background" in annotating.panel.message.text(), timeout=10_000)


def test_the_3d_view_is_answered_with_a_sentence(annotating, qtbot):
    annotating.viewer.dims.ndisplay = 3
    qtbot.wait(80)
    assert "2D" in annotating.panel.guide.text()
    annotating.viewer.dims.ndisplay = 2
    qtbot.wait(80)
    assert "Press Click" in annotating.panel.guide.text()
    qtbot.mouseClick(annotating.panel.tools.click, Qt.MouseButton.LeftButton)
    annotating.viewer.reset_view()
    annotating.hand.click(*COIN)
    wait_for_mask(qtbot, annotating.binding)


def test_another_contrast_marks_the_encoding_stale_and_encodes_nothing(annotating, qtbot):
    hand, panel = annotating.hand, annotating.panel
    hand.click(*COIN)
    wait_for_mask(qtbot, annotating.binding)
    for high in range(250, 150, -10):
        annotating.binding.image.contrast_limits = (10, high)
        qtbot.wait(5)
    qtbot.waitUntil(lambda: "contrast changed" in panel.encoding.sentence.text())
    assert len(annotating.discs.encodings) == 1
    qtbot.mouseClick(panel.objects.next_object, Qt.MouseButton.LeftButton)
    hand.click(*OTHER_COIN)
    wait_for_mask(qtbot, annotating.binding, 2)
    assert len(annotating.discs.encodings) == 1
    qtbot.mouseClick(panel.encoding.encode, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: panel.encoding.sentence.text() == "ready")
    assert annotating.discs.encodings[-1]["intensity"] == (10, 160)


def test_encoding_shows_its_progress_and_can_be_cancelled(annotating, qtbot):
    annotating.discs.block_seconds = 0.1
    panel = annotating.panel
    qtbot.mouseClick(panel.encoding.encode, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: panel.encoding.progress.isVisible() and panel.encoding.progress.value() >= 2)
    qtbot.mouseClick(panel.encoding.cancel, Qt.MouseButton.LeftButton)
    assert panel.encoding.sentence.text().startswith("not encoded")
    qtbot.waitUntil(lambda: not panel.app.encoder.busy)
    assert annotating.discs.encodings == []
    annotating.discs.block_seconds = 0
    annotating.hand.click(*COIN)
    wait_for_mask(qtbot, annotating.binding)


def test_a_burst_of_changes_is_decoded_for_the_newest_only(annotating, qtbot):
    annotating.hand.click(*COIN)
    wait_for_mask(qtbot, annotating.binding)
    wait_until_idle(qtbot, annotating.panel)
    annotating.discs.decode_seconds = 0.2
    before, start = len(annotating.discs.decoded), time.monotonic()
    for step in range(30):
        annotating.binding.points.data = np.array([[COIN[0] + step, COIN[1]]])
        qtbot.wait(10)
    wait_until_idle(qtbot, annotating.panel)
    decodings = len(annotating.discs.decoded) - before
    assert decodings <= (time.monotonic() - start) / 0.2 + 1
    assert decodings < 30
    assert annotating.binding.labels.data[COIN[0] + 45, COIN[1]] == 1


@pytest.mark.parametrize(
    "moment",
    ["before", "encoding", "after"],
)
@pytest.mark.parametrize("kind", ["image", "points", "shapes", "labels"])
def test_a_layer_may_be_deleted_at_any_moment(annotating, qtbot, kind, moment):
    panel, binding, hand = annotating.panel, annotating.binding, annotating.hand
    qtbot.mouseClick(panel.layers_part.header, Qt.MouseButton.LeftButton)
    qtbot.mouseClick(panel.shapes.new, Qt.MouseButton.LeftButton)
    qtbot.mouseClick(panel.labels.new, Qt.MouseButton.LeftButton)
    qtbot.mouseClick(panel.tools.click, Qt.MouseButton.LeftButton)
    annotating.discs.block_seconds = 0.3
    if moment != "before":
        hand.click(*COIN)
    if moment == "encoding":
        qtbot.waitUntil(lambda: panel.encoding.progress.value() >= 2)
    if moment == "after":
        wait_for_mask(qtbot, binding)
    annotating.discs.block_seconds = 0
    annotating.viewer.layers.remove(getattr(binding, kind))
    wait_until_idle(qtbot, panel)
    assert getattr(panel, kind).layer is getattr(binding, kind)
    if kind == "image":
        assert binding.image is None
        assert "image" in panel.guide.text()
        return
    qtbot.mouseClick(panel.tools.click, Qt.MouseButton.LeftButton)
    hand.click(*OTHER_COIN)
    qtbot.waitUntil(
        lambda: binding.labels is not None and binding.labels.data[OTHER_COIN] > 0, timeout=10_000
    )


def test_layers_stay_chosen_when_renamed_and_moved(annotating, qtbot):
    panel, binding, viewer = annotating.panel, annotating.binding, annotating.viewer
    image, points = binding.image, binding.points
    image.name, points.name = "my coins", "my clicks"
    viewer.layers.move(0, 2)
    assert panel.image.layer is image
    assert panel.points.layer is points
    assert panel.image._combo.native.currentText() == "my coins"
    annotating.hand.click(*COIN)
    viewer.layers.selection.active = points
    annotating.hand.click(COIN[0] + 5, COIN[1])
    wait_for_mask(qtbot, binding)


def test_layers_of_ones_own_can_be_bound(annotating, qtbot):
    panel, viewer = annotating.panel, annotating.viewer
    clicks = viewer.add_points(np.array([COIN], dtype=float), name="own clicks")
    masks = viewer.add_labels(np.zeros((303, 384), dtype=np.uint8), name="own masks")
    panel.labels.layer = masks
    panel.points.layer = clicks
    qtbot.waitUntil(lambda: bool(masks.data[COIN] == 1), timeout=10_000)
    assert isinstance(clicks, Points)


def test_a_labels_layer_that_does_not_fit_is_refused_with_a_sentence(annotating, qtbot):
    masks = annotating.viewer.add_labels(np.zeros((2, 303, 384), dtype=np.uint8), name="a stack")
    annotating.panel.labels.layer = masks
    annotating.viewer.layers.selection.active = annotating.binding.points
    annotating.hand.click(*COIN)
    qtbot.waitUntil(lambda: "a stack" in annotating.panel.message.text(), timeout=10_000)
    assert not masks.data.any()


def test_the_panel_closes_and_opens_again_on_the_same_layers(annotating, open_panel, qtbot):
    annotating.hand.click(*COIN)
    wait_for_mask(qtbot, annotating.binding)
    viewer, points, labels = annotating.viewer, annotating.binding.points, annotating.binding.labels
    viewer.window.remove_dock_widget(annotating.panel)
    qtbot.wait(50)
    assert annotating.panel.app.closed
    points.add([30.0, 30.0])
    qtbot.wait(80)
    assert labels.data[30, 30] == 0
    panel = open_panel(viewer)
    panel.points.layer = points
    panel.labels.layer = labels
    qtbot.waitUntil(lambda: labels.data[30, 30] == 1, timeout=10_000)
    assert panel.image.layer is not None


def test_the_window_may_be_closed_while_encoding(annotating, qtbot, make_napari_viewer):
    annotating.discs.block_seconds = 0.2
    annotating.hand.click(*COIN)
    qtbot.waitUntil(lambda: annotating.panel.encoding.progress.value() >= 1, timeout=60_000)
    annotating.viewer.close()
    qtbot.wait(300)
    assert annotating.discs.encodings == []


def test_the_docks_own_close_button_ends_the_panel(annotating, qtbot):
    annotating.hand.click(*COIN)
    wait_for_mask(qtbot, annotating.binding)
    dock = annotating.panel.parent()
    dock.title.close_button.click()
    assert annotating.panel.app.closed
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("napari-samv1")]


def test_nothing_keeps_a_closed_panel_alive(open_panel, discs, coins, qtbot):
    panel = open_panel()
    viewer = panel.viewer
    viewer.add_image(coins, name="coins")  # without a name napari keeps this frame's variables
    panel.app.encode()
    qtbot.waitUntil(lambda: len(discs.encodings) == 1)
    binding = weakref.ref(panel.canvas)
    encoder = weakref.ref(panel.app.encoder)
    viewer.window.remove_dock_widget(panel)
    del panel
    for _ in range(3):
        qtbot.wait(20)
        gc.collect()
    assert binding() is None
    assert encoder() is None


def test_the_menu_opens_the_panel_and_acts_on_it(make_napari_viewer, discs, coins, npe2pm, qtbot):
    from pathlib import Path

    from npe2 import PluginManifest

    import napari_samv1
    from napari_samv1.widgets.panel.panel import open_panels
    from napari_samv1.widgets.shared import menu

    npe2pm.register(PluginManifest.from_file(Path(napari_samv1.__file__).parent / "napari.yaml"))
    viewer = make_napari_viewer()
    viewer.add_image(coins)
    menu.encode(viewer)
    [panel] = open_panels()
    qtbot.waitUntil(lambda: len(discs.encodings) == 1, timeout=10_000)
    menu.next_object(viewer)
    assert open_panels() == [panel]


def test_new_masks_in_a_3d_view_are_answered_with_a_sentence(annotating, qtbot):
    panel = annotating.panel
    annotating.viewer.dims.ndisplay = 3
    qtbot.wait(80)
    layers = len(annotating.viewer.layers)
    qtbot.mouseClick(panel.labels.new, Qt.MouseButton.LeftButton)
    assert "2D view" in panel.message.text()
    assert len(annotating.viewer.layers) == layers
    annotating.viewer.dims.ndisplay = 2
    qtbot.mouseClick(panel.labels.new, Qt.MouseButton.LeftButton)
    assert annotating.binding.labels in annotating.viewer.layers


@pytest.mark.parametrize("state", ["3D", "beside the slices", "no image"])
def test_no_button_and_no_menu_entry_fails_where_no_plane_is_shown(state, annotating, qtbot, monkeypatch):
    panel, viewer = annotating.panel, annotating.viewer
    annotating.hand.click(*COIN)
    wait_for_mask(qtbot, annotating.binding)
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: ("", ""))
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: ("", ""))
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: "")
    if state == "3D":
        viewer.dims.ndisplay = 3
    elif state == "beside the slices":
        viewer.add_image(np.zeros((5, 9, 9)), translate=(50, 0, 0))
        panel.image.layer = viewer.layers[-1]
        viewer.dims.set_point(0, 0)
    else:
        panel.image.layer = None
    qtbot.wait(80)
    # pytest-qt fails the test where a slot raises
    for button in panel.findChildren(QAbstractButton):
        if button.isVisible() and button.isEnabled() and getattr(button, "menu", lambda: None)() is None:
            qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
            qtbot.wait(10)
    for menu in panel.findChildren(QMenu):
        for action in menu.actions():
            if action.isEnabled() and action.menu() is None:
                action.trigger()
                qtbot.wait(10)
    viewer.dims.ndisplay = 2
    qtbot.wait(80)
