"""What was annotated survives a closed window, and comes back as it was."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Points

from napari_samv1.storage.session.recovery import recoverable
from session_steps import (
    OTHER_COIN,
    annotate,
    assert_same_picture,
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
    assert "Work on “coins” (2 objects, today " in panel.session.card.sentence.text()
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
    assert len(left.record.planes[0].objects[1].prompts) == 2


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
    assert len(plane.objects[1].prompts) == 2


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
