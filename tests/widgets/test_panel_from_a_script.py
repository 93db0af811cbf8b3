"""The panel's values set by a script, in a real window: what the mouse does, undoably."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from magicgui.widgets import Container
from magicgui.widgets.bases import BaseValueWidget
from napari.utils._proxies import PublicOnlyProxy
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication

from napari_samv1.masks.clean import CleanUp
from napari_samv1.records.settings import OVERWRITE
from session_steps import COIN, OTHER_COIN, wait_until_idle

LEFT = Qt.MouseButton.LeftButton
NAMES = ("mask", "threshold", "cleanup", "rule", "inside", "detail", "model")
AS_NEW = {
    "mask": "auto",
    "threshold": 0.0,
    "cleanup": CleanUp(),
    "rule": "keep",
    "inside": 1,
    "detail": "auto",
    "model": "tiny",
}


@pytest.fixture
def docked(new_viewer, discs, coins, hand_on, qtbot):
    """The panel as a script gets it, with one object that was clicked with the mouse."""
    viewer = new_viewer()
    viewer.add_image(coins, name="coins")
    _, panel = viewer.window.add_plugin_dock_widget("napari-samv1", "Segment Anything")
    qtbot.mouseClick(panel.tools.click, LEFT)
    viewer.reset_view()
    qtbot.wait(60)
    hand = hand_on(panel)
    hand.click(*COIN)
    wait_until_idle(qtbot, panel)
    return SimpleNamespace(viewer=viewer, panel=panel, hand=hand, binding=panel.canvas)


def area(at) -> int:
    return int((at.binding.labels.data == at.binding.current.number).sum())


def press_undo(qtbot, at) -> None:
    qtbot.mouseClick(at.panel.objects.undo, LEFT)
    wait_until_idle(qtbot, at.panel)


def test_the_panel_has_a_magicgui_container_of_value_widgets(docked):
    panel = docked.panel
    assert isinstance(panel.settings, Container)
    assert tuple(widget.name for widget in panel.settings) == NAMES
    for name in NAMES:
        widget = getattr(panel, name)
        assert widget is panel.settings[name]
        assert isinstance(widget, BaseValueWidget)
    # its first prompt has decided
    assert panel.asdict() == panel.settings.asdict() == {**AS_NEW, "detail": "whole"}


def test_a_script_s_threshold_changes_the_current_mask_at_once_and_undoably(docked, qtbot):
    panel, before = docked.panel, area(docked)
    panel.threshold.value = -3.0
    assert docked.binding.current.piece.settings.threshold == -3
    wider = area(docked)
    assert wider > before
    assert panel.objects.undo.toolTip().startswith("Undo: threshold")
    press_undo(qtbot, docked)
    assert area(docked) == before
    assert panel.threshold.value == 0
    qtbot.mouseClick(panel.objects.redo, LEFT)
    wait_until_idle(qtbot, panel)
    assert area(docked) == wider
    assert panel.threshold.value == -3


def test_a_script_s_mask_is_the_one_that_a_click_on_its_picture_takes(docked, qtbot):
    panel, before = docked.panel, area(docked)
    qtbot.mouseClick(panel.mask_choice.candidates[3], LEFT)
    clicked = area(docked)
    assert panel.mask.value == 3
    press_undo(qtbot, docked)
    assert (area(docked), panel.mask.value) == (before, "auto")
    panel.mask.value = 3
    assert area(docked) == clicked
    assert panel.mask_choice.candidates[3].taken
    press_undo(qtbot, docked)
    assert (area(docked), panel.mask.value) == (before, "auto")


def test_several_values_in_a_row_all_count_and_are_told(docked):
    panel = docked.panel
    panel.threshold.value = 0.5
    panel.threshold.value = 1.5
    panel.mask.value = 2
    panel.cleanup.grow.value = 3
    panel.cleanup.fill_holes.value = True
    panel.rule.value = "overwrite"
    cleanup = CleanUp(fill_holes=True, grow=3)
    assert panel.asdict() == {
        **AS_NEW,
        "detail": "whole",
        "threshold": 1.5,
        "mask": 2,
        "cleanup": cleanup,
        "rule": "overwrite",
    }
    settings = docked.binding.current.piece.settings
    assert (settings.threshold, settings.choice, settings.rule) == (1.5, 2, OVERWRITE)
    QApplication.processEvents()
    assert panel.cleanup.value == cleanup


def test_what_the_mouse_does_is_an_event(docked, qtbot):
    panel, told = docked.panel, []
    panel.mask.changed.connect(told.append)
    panel.threshold.changed.connect(told.append)
    panel.settings.changed.connect(lambda container: told.append(container.asdict()["mask"]))
    qtbot.mouseClick(panel.mask_choice.candidates[1], LEFT)
    assert told == [1, 1]
    press_undo(qtbot, docked)
    assert told[2:] == ["auto", "auto"]


def test_showing_another_object_is_no_edit(docked, qtbot):
    panel, binding, hand = docked.panel, docked.binding, docked.hand
    panel.threshold.value = -2.0
    panel.mask.value = 0
    hand.key(Qt.Key.Key_N)
    assert panel.asdict() == AS_NEW
    hand.click(*OTHER_COIN)
    wait_until_idle(qtbot, panel)
    undo, objects = binding.document.undo_label, dict(binding.shown.objects)
    told = []
    panel.threshold.changed.connect(told.append)
    binding.current.number = 1
    assert (panel.threshold.value, panel.mask.value) == (-2, 0)
    binding.current.number = 2
    assert told == [-2, 0]
    assert binding.document.undo_label == undo
    assert dict(binding.shown.objects) == objects


def test_without_a_current_object_values_are_for_new_ones(docked, qtbot):
    panel, binding, hand = docked.panel, docked.binding, docked.hand
    hand.key(Qt.Key.Key_N)
    panel.mask.value = 1
    panel.threshold.value = 1.0
    panel.cleanup.value = {"fill_holes": True}
    hand.click(*OTHER_COIN)
    wait_until_idle(qtbot, panel)
    made = binding.shown.get(2).settings
    assert (made.choice, made.threshold, made.cleanup) == (1, 1, CleanUp(fill_holes=True))
    assert binding.shown.get(1).settings.choice == "auto"


def test_values_set_before_there_is_an_image_are_for_its_new_objects(
    new_viewer, discs, coins, hand_on, qtbot
):
    viewer = new_viewer()
    _, panel = viewer.window.add_plugin_dock_widget("napari-samv1", "Segment Anything")
    panel.threshold.value = 1.0
    panel.mask.value = 3
    panel.rule.value = "overwrite"
    expected = {**AS_NEW, "threshold": 1.0, "mask": 3, "rule": "overwrite"}
    assert panel.asdict() == expected
    viewer.add_image(coins, name="coins")
    qtbot.mouseClick(panel.tools.click, LEFT)
    viewer.reset_view()
    qtbot.wait(60)
    assert panel.asdict() == expected
    hand_on(panel).click(*COIN)
    wait_until_idle(qtbot, panel)
    made = panel.canvas.current.piece.settings
    assert (made.threshold, made.choice, made.rule) == (1, 3, OVERWRITE)


def test_a_wrong_value_is_refused_with_a_sentence_and_changes_nothing(docked):
    panel, kept = docked.panel, docked.binding.current.piece
    for name, wrong in (("mask", 7), ("threshold", 99), ("rule", "under"), ("model", "vit_x"), ("inside", 0)):
        with pytest.raises(ValueError, match="must be"):
            getattr(panel, name).value = wrong
    assert docked.binding.current.piece is kept
    assert panel.asdict() == {**AS_NEW, "detail": "whole"}


def test_a_container_s_update_sets_several(docked):
    docked.panel.settings.update({"mask": 1, "threshold": -1.0})
    settings = docked.binding.current.piece.settings
    assert (settings.choice, settings.threshold) == (1, -1)


def test_napari_s_console_sets_values_too(docked):
    # the console's viewer is a proxy that hides what is private
    viewer = PublicOnlyProxy(docked.viewer)
    _, panel = viewer.window.add_plugin_dock_widget("napari-samv1", "Segment Anything")
    panel.threshold.value = 1.5
    panel.cleanup.value = {"grow": 2}
    expected = {"threshold": 1.5, "cleanup": CleanUp(grow=2), "detail": "whole"}
    assert panel.asdict() == {**AS_NEW, **expected}
    assert docked.binding.current.piece.settings.threshold == 1.5
