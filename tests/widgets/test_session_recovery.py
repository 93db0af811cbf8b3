"""What was annotated survives a closed window, and comes back as it was."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from napari.layers import Points
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog

from napari_samv1.layers.ome_tiff import open_file
from napari_samv1.storage.session.autosave import autosave_root
from napari_samv1.storage.session.folder import FolderWriter, save_session
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
    binding = panel.canvas
    qtbot.waitUntil(lambda: binding.shown is not None and len(binding.shown.objects) == 2, timeout=60_000)
    wait_until_idle(qtbot, panel)
    assert_same_picture(picture(binding), before)
    assert len(discs.decoded) == decoded
    # alive: a click more changes that object alone
    binding.current.number = 2
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
    annotating.panel.app.sync()
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
        panel.canvas.current.number = number
        panel.canvas.points.add(point)
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
    binding = panel.canvas
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


@pytest.fixture
def full_disk(monkeypatch):
    """A switch: while it is on, autosave cannot write."""
    switch = {"on": True}
    original = FolderWriter.write

    def write(self, *arguments):
        if switch["on"] and self.folder.parent == autosave_root():
            raise OSError(28, "No space left on device")
        return original(self, *arguments)

    monkeypatch.setattr(FolderWriter, "write", write)
    return switch


def test_autosave_failed_goes_when_it_works_again(annotating, full_disk, qtbot):
    notice = annotating.panel.message
    annotating.hand.click(*COIN)
    qtbot.waitUntil(lambda: notice.text().startswith("Autosave failed"), timeout=60_000)
    assert "No space left on device" in notice.text()
    full_disk["on"] = False
    annotating.hand.click(COIN[0], COIN[1] + 8)
    qtbot.waitUntil(lambda: not notice.text(), timeout=60_000)
    wait_until_autosaved(qtbot, annotating.panel)
    assert annotating.panel.session.status.text() == "Autosaved, not saved yet."


def test_autosave_failed_goes_when_the_session_is_saved(annotating, full_disk, qtbot, tmp_path):
    panel = annotating.panel
    annotating.hand.click(*COIN)
    qtbot.waitUntil(lambda: panel.message.text().startswith("Autosave failed"), timeout=60_000)
    wait_until_idle(qtbot, panel)
    panel.session._save_in(tmp_path / "s")
    qtbot.waitUntil(lambda: "All is saved." in panel.session.status.text(), timeout=60_000)
    assert panel.message.text() == ""


def test_another_warning_stays_when_autosave_works_again(annotating, full_disk, qtbot, tmp_path):
    panel = annotating.panel
    annotating.hand.click(*COIN)
    qtbot.waitUntil(lambda: panel.message.text().startswith("Autosave failed"), timeout=60_000)
    full_disk["on"] = False
    (tmp_path / "thesis.docx").write_text("precious")
    panel.session._save_in(tmp_path)
    qtbot.waitUntil(lambda: "holds other files" in panel.message.text(), timeout=60_000)
    annotating.hand.click(COIN[0], COIN[1] + 8)
    wait_until_idle(qtbot, panel)
    wait_until_autosaved(qtbot, panel)
    assert "holds other files" in panel.message.text()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_an_image_whose_name_is_no_utf8_is_autosaved_and_restored(open_panel, discs, coins, qtbot, tmp_path):
    path = tmp_path / "caf\udce9.tif"
    tifffile.imwrite(path, coins)
    panel = open_panel()
    [image] = open_file(panel.viewer, path)
    assert "\udce9" in str(image.source.path)
    qtbot.mouseClick(panel.tools.click, Qt.MouseButton.LeftButton)
    panel.viewer.reset_view()
    qtbot.wait(60)
    panel.canvas.points.add(COIN)
    wait_until_idle(qtbot, panel)
    wait_until_autosaved(qtbot, panel)
    assert panel.message.text() == ""
    panel.viewer.close()

    panel = open_panel()
    qtbot.waitUntil(lambda: "Restore" in panel.session.card.buttons, timeout=60_000)
    press(qtbot, panel, "Restore")
    binding = panel.canvas
    qtbot.waitUntil(lambda: binding.shown is not None and len(binding.shown.objects) == 1, timeout=60_000)


def test_a_session_without_a_picture_hides_no_other(annotating, open_panel, qtbot, monkeypatch):
    annotate(qtbot, annotating)
    annotating.viewer.close()

    def fails(*_):
        raise MemoryError

    monkeypatch.setattr("napari_samv1.storage.session.picture.picture_of", fails)
    panel = open_panel()
    qtbot.waitUntil(lambda: "Restore" in panel.session.card.buttons, timeout=60_000)
    assert panel.session.lost.list.item(0).text().startswith("“coins”\n2 objects")


def test_a_sample_of_another_plugin_is_not_opened(annotating, open_panel, qtbot, monkeypatch, tmp_path):
    annotate(qtbot, annotating)
    record = annotating.panel.session.keeper.current()
    [image] = record.images
    [plane] = image.planes
    foreign = replace(plane, source=replace(plane.source, sample="other-plugin:key", path=""))
    save_session(tmp_path / "s", replace(record, images=(replace(image, planes=(foreign,)),)))
    annotating.viewer.close()

    panel = open_panel()
    monkeypatch.setattr(type(panel.viewer), "open_sample", lambda *_: pytest.fail("opened"))
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path / "s"))
    click(qtbot, panel.session.open)
    card = panel.session.card
    qtbot.waitUntil(lambda: "Try again" in card.buttons, timeout=60_000)
    assert "The sample other-plugin:key is of another plugin: open it yourself." in card.sentence.text()
