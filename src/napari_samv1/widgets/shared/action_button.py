"""Buttons and menu entries made from the rows of the table of actions."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtGui import QAction
from qtpy.QtWidgets import QMenu, QPushButton

from napari_samv1.app.app import Action
from napari_samv1.layers.plain_text import plain

Do = Callable[[Action], object]


def button(action: Action, do: Do) -> QPushButton:
    """A button that carries an action out."""
    made = QPushButton(action.title)
    made.setToolTip(plain(action.tip))
    # the signal's argument, the checked state, is ignored
    made.clicked.connect(lambda *_checked: do(action))
    return made


def toggle(action: Action, do: Do) -> QPushButton:
    """A button that carries an action out, and shows a checked state set by its view."""
    made = button(action, do)
    made.setCheckable(True)
    return made


def entry(menu: QMenu, action: Action, do: Do) -> QAction:
    """An entry of a menu that carries an action out."""
    made = menu.addAction(action.title)
    made.setToolTip(plain(action.tip))
    made.triggered.connect(lambda *_checked: do(action))
    return made
