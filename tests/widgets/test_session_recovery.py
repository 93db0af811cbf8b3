"""What was annotated survives a closed window, and comes back as it was."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Points
from qtpy.QtCore import Qt

from napari_samv1.storage.session.autosave import autosave_root
from napari_samv1.storage.session.recovery import recoverable
from session_steps import (
    COIN,
    OTHER_COIN,
    annotate,
    assert_same_picture,
    click,
    picture,
    press,
    wait_for_worker,
    wait_until_autosaved,
    wait_until_idle,
)


def test_a_window_closed_in_the_usual_way_loses_nothing(annotating, open_panel, discs, coins, qtbot):
    annotate(qtbot, annotating)
    before = picture(annotating.binding)
    decoded = len(discs.decoded)
    annotating.viewer.close()

    panel = open_panel()
    panel.viewer.add_image(coins, name="coins")
    qtbot.waitUntil(lambda: "Restore" in panel.session.card.buttons, timeout=60_000)
    assert panel.session.card.isVisible()
    assert panel.session.card.sentence.text() == "This work was not saved:"
    assert panel.session.lost.list.item(0).text().startswith("“coins”\n2 objects, today ")
    assert not panel.session.lost.list.item(0).icon().isNull()
    press(qtbot, panel, "Restore")
    binding = panel.controller.binding
    qtbot.waitUntil(lambda: binding.shown is not None and len(binding.shown.objects) == 2, timeout=60_000)
    wait_until_idle(qtbot, panel)
    assert_same_picture(picture(binding), before)
    assert len(discs.decoded) == decoded
    # alive: a click more changes that object alone
    binding.current_object = 2
    assert isinstance(binding.points, Points)
    binding.points.add((OTHER_COIN[0] + 25, OTHER_COIN[1]))
    qtbot.waitUntil(lambda: binding.labels.data[OTHER_COIN[0] + 25, OTHER_COIN[1]] == 2, timeout=60_000)
    wait_until_idle(qtbot, panel)
    np.testing.assert_array_equal(binding.labels.data == 1, before[1] == 1)
    # the new autosave has it, and the old one is gone
    wait_until_autosaved(qtbot, panel)
    wait_for_worker(qtbot, panel)
    assert recoverable() == []
    panel.viewer.close()
    [left] = recoverable()
    assert left.record is not None
    assert len(left.record.planes[0].pieces[1].prompts) == 2


@pytest.mark.parametrize("closing", ["panel", "window"])
def test_a_click_just_before_the_end_counts(closing, annotating, qtbot):
    annotate(qtbot, annotating)
    wait_until_autosaved(qtbot, annotating.panel)
    annotating.hand.click(30, 30)
    annotating.panel.controller.sync()
    if closing == "window":
        annotating.viewer.close()
    else:
        annotating.viewer.window.remove_dock_widget(annotating.panel)
    [left] = recoverable()
    assert left.record is not None
    [plane] = left.record.planes
    assert len(plane.pieces[1].prompts) == 2


def test_without_an_edit_nothing_is_left_behind(annotating, qtbot):
    qtbot.wait(300)
    annotating.viewer.close()
    assert recoverable() == []


def test_what_is_discarded_is_asked_about_and_then_gone(annotating, open_panel, qtbot):
    annotate(qtbot, annotating)
    annotating.viewer.close()
    panel = open_panel()
    press(qtbot, panel, "Discard")
    press(qtbot, panel, "Keep")
    press(qtbot, panel, "Later")
    assert not panel.session.card.isVisible()
    panel.viewer.close()
    assert len(recoverable()) == 1

    panel = open_panel()
    press(qtbot, panel, "Discard")
    press(qtbot, panel, "Discard for good")
    wait_for_worker(qtbot, panel)
    assert recoverable() == []


def leave(qtbot, open_panel, coins, name: str, *points) -> None:
    """Annotate an image in a window of its own, and close it without saving."""
    panel = open_panel()
    panel.viewer.add_image(coins, name=name)
    click(qtbot, panel.tools.click)
    for number, point in enumerate(points, start=1):
        panel.controller.binding.current_object = number
        panel.controller.binding.points.add(point)
        wait_until_idle(qtbot, panel)
    wait_until_autosaved(qtbot, panel)
    panel.viewer.close()


def test_several_lost_sessions_are_a_list_of_which_one_is_restored(open_panel, discs, coins, qtbot):
    leave(qtbot, open_panel, coins, "older", COIN)
    leave(qtbot, open_panel, coins, "newer", COIN, OTHER_COIN)
    panel = open_panel()
    panel.viewer.add_image(coins, name="again")
    qtbot.waitUntil(lambda: "Restore" in panel.session.card.buttons, timeout=60_000)
    session = panel.session
    assert session.card.sentence.text() == "Work of 2 sessions was not saved:"
    texts = [session.lost.list.item(row).text() for row in range(2)]
    assert texts[0].startswith("“newer”\n2 objects, today ")
    assert texts[1].startswith("“older”\n1 object, today ")
    item = session.lost.list.visualItemRect(session.lost.list.item(1)).center()
    qtbot.mouseClick(session.lost.list.viewport(), Qt.MouseButton.LeftButton, pos=item)
    press(qtbot, panel, "Restore")
    binding = panel.controller.binding
    qtbot.waitUntil(lambda: binding.shown is not None and len(binding.shown.objects) == 1, timeout=60_000)
    wait_until_autosaved(qtbot, panel)
    # what is left is still offered
    qtbot.waitUntil(lambda: "Restore" in session.card.buttons, timeout=60_000)
    assert session.lost.list.count() == 1
    assert session.lost.list.item(0).text().startswith("“newer”")


def test_all_lost_sessions_are_discarded_at_once(open_panel, discs, coins, qtbot):
    leave(qtbot, open_panel, coins, "one", COIN)
    leave(qtbot, open_panel, coins, "two", COIN)
    panel = open_panel()
    press(qtbot, panel, "Discard all")
    assert panel.session.card.sentence.text() == "Really discard all 2 sessions? This cannot be undone."
    assert len(recoverable()) == 2
    press(qtbot, panel, "Discard for good")
    wait_for_worker(qtbot, panel)
    assert recoverable() == []
    assert not panel.session.card.isVisible()


def test_a_lost_session_that_cannot_be_read_is_listed_and_cannot_be_restored(open_panel, discs, qtbot):
    folder = autosave_root() / "damaged"
    folder.mkdir(parents=True)
    (folder / "session.json").write_text("{}")
    panel = open_panel()
    qtbot.waitUntil(lambda: "Restore" in panel.session.card.buttons, timeout=60_000)
    assert panel.session.lost.list.item(0).text().startswith("cannot be read:")
    assert not panel.session.card.buttons["Restore"].isEnabled()
