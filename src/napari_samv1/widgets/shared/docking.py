"""Docks of our widgets as tabs in one place."""

from __future__ import annotations

import weakref

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QDockWidget, QMainWindow, QWidget

_NAME = "napari-samv1"


def come_as_tab(widget: QWidget) -> None:
    """Tab a widget's dock with the dock of another of our widgets, once the window has placed it.

    Nothing is done if there is none in the same area, or if one of the two floats.
    """
    widget.setObjectName(_NAME)
    # the timer ends with the widget; its callback must not keep the widget alive
    timer, kept = QTimer(widget), weakref.ref(widget)
    timer.setSingleShot(True)
    timer.timeout.connect(lambda: _lay_onto(kept()))
    timer.start(0)


def _lay_onto(widget: QWidget | None) -> None:
    dock = None if widget is None else _dock_of(widget)
    window = None if dock is None else dock.parentWidget()
    if dock is None or dock.isFloating() or not isinstance(window, QMainWindow):
        return
    for other in window.findChildren(QDockWidget):
        is_beside = not other.isFloating() and window.dockWidgetArea(other) == window.dockWidgetArea(dock)
        if other is not dock and is_beside and other.isVisible() and other.findChild(QWidget, _NAME):
            window.tabifyDockWidget(other, dock)
            dock.show()
            dock.raise_()
            return


def _dock_of(widget: QWidget) -> QDockWidget | None:
    parent = widget.parentWidget()
    while parent is not None and not isinstance(parent, QDockWidget):
        parent = parent.parentWidget()
    return parent
