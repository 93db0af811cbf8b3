"""The machine plays in a real window: a few short games, or longer ones with ``make play``."""

from __future__ import annotations

import os
from typing import Any

import pytest
from qtpy.QtWidgets import QFileDialog

from napari_samv1.app import models
from napari_samv1.app.models import ReadyModel
from play.games import SHORT, play
from play.window import PatientDiscs, PlayingInAWindow, Window


@pytest.fixture
def window(qtbot, open_panel, hand_on, choose_from, monkeypatch, tmp_path) -> Any:
    discs: Any = PatientDiscs()
    dialogs: list[str] = []
    monkeypatch.setattr(models, "load", lambda choices, ticket: ReadyModel(choices, discs, rate=1e12))
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (dialogs.pop(), ""))
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: dialogs.pop())

    def forget_work() -> None:
        monkeypatch.setenv("NAPARI_SAMV1_STATE", str(tmp_path / os.urandom(8).hex()))

    with qtbot.captureExceptions() as exceptions:
        yield Window(qtbot, discs, open_panel, hand_on, choose_from, forget_work, dialogs, exceptions)


def test_whatever_people_do_in_a_window_the_document_the_layers_and_the_files_agree(window, monkeypatch):
    monkeypatch.setattr(PlayingInAWindow, "window", window, raising=False)
    play(PlayingInAWindow, SHORT)
