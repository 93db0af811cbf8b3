"""A session of the real window with the bundled model: replayed without napari, mask for mask the same."""

from __future__ import annotations

import threading

import torch
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog

from napari_samv1.cli import main
from napari_samv1.storage.session.folder import open_session
from session_steps import COIN, annotate_a_coin, click, wait_for_worker, wait_until_idle


def test_what_was_annotated_in_the_window_is_replayed_bit_for_bit(
    open_panel, hand_on, qtbot, tmp_path, monkeypatch, capsys
):
    panel = open_panel()
    viewer, binding = panel.viewer, panel.canvas
    viewer.open_sample("napari-samv1", "coins")
    hand = hand_on(panel)
    annotate_a_coin(qtbot, panel, hand)
    hand.key(Qt.Key.Key_N)
    click(qtbot, panel.tools.box)
    hand.drag((167, 186), (221, 240))
    wait_until_idle(qtbot, panel)
    panel.app.move_setting("threshold", 0.5)
    wait_until_idle(qtbot, panel)
    assert [known.mask.empty for known in binding.shown.objects.values()] == [False, False]

    folder = tmp_path / "coins session"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(folder), ""))
    click(qtbot, panel.session.save_as)
    wait_for_worker(qtbot, panel)
    [plane] = open_session(folder).planes
    assert plane.source.sample == "napari-samv1:coins"
    assert plane.source.pixels.startswith("xxh3-128:")
    assert {piece.answer.made_by.model for piece in plane.pieces} == {"tiny"}

    assert main(["replay", str(folder)]) == 0
    said = capsys.readouterr().out
    assert said.count("identical") >= 2
    assert "differ" not in said


def test_the_number_of_threads_on_record_is_that_of_the_thread_that_computes(annotating, qtbot, monkeypatch):
    """Other plugins change that of the window's thread, and sums of other threads round otherwise."""
    at = annotating
    monkeypatch.setattr(torch, "get_num_threads", lambda: 7 if is_main() else 3)
    at.panel.app.choose_model(at.panel.app.encoder.choices, is_ready=True)
    at.hand.click(*COIN)
    qtbot.waitUntil(lambda: at.binding.labels is not None, timeout=60_000)
    wait_until_idle(qtbot, at.panel)
    [piece] = at.binding.shown.objects.values()
    assert piece.answer.made_by.environment.threads == 3


def is_main() -> bool:
    return threading.current_thread() is threading.main_thread()
