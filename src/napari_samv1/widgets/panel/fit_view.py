"""Fit of the view after a dock has taken room from the canvas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from qtpy.QtCore import QEvent, QObject, QTimer
from qtpy.QtWidgets import QMainWindow, QWidget

from napari_samv1.layers.on_screen import camera_of

LAYOUT_MILLISECONDS = 5000
TOUCHES = (QEvent.Type.MouseButtonPress, QEvent.Type.Wheel, QEvent.Type.KeyPress)


class FitWhileLaidOut(QObject):
    """Fits the view at each resize of the canvas, until the user touches it or 5 seconds are over.

    It begins once ``dock`` is in its window, and does nothing if the view was moved before.
    """

    def __init__(self, viewer: Any, dock: QWidget) -> None:
        super().__init__(dock)
        self._watched: list[QWidget] = []
        self._fit = self._single_shot(viewer.reset_view)
        self._end = self._single_shot(self._let_go)
        self._begin = self._single_shot(self._watch)
        if is_centred(viewer):
            self._begin.start(0)

    def _single_shot(self, slot: Callable[[], object]) -> QTimer:
        timer = QTimer(self)
        timer.setSingleShot(True)
        timer.timeout.connect(slot)
        return timer

    def _watch(self) -> None:
        # fetched and not kept, so that the dock can be deleted
        dock = self.parent()
        window = dock.window() if isinstance(dock, QWidget) else None
        canvas = window.centralWidget() if isinstance(window, QMainWindow) else None
        if canvas is None:
            return
        self._watched = [canvas, *canvas.findChildren(QWidget)]
        for widget in self._watched:
            widget.installEventFilter(self)
        self._fit.start(0)
        self._end.start(LAYOUT_MILLISECONDS)

    def eventFilter(self, _widget: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt's name
        if event.type() == QEvent.Type.Resize:
            self._fit.start(0)
        elif event.type() in TOUCHES:
            self._let_go()
        return False

    def _let_go(self) -> None:
        self._fit.stop()
        for widget in self._watched:
            widget.removeEventFilter(self)
        self._watched = []


def is_centred(viewer: Any) -> bool:
    """Return True if the view is centred on all layers, as after napari's reset."""
    if not len(viewer.layers) or viewer.dims.ndisplay != 2:
        return False
    displayed = list(viewer.dims.displayed)
    middle = np.asarray(viewer.layers.extent.world)[:, displayed].mean(axis=0)
    size = np.ptp(np.asarray(viewer.layers.extent.world)[:, displayed], axis=0).max()
    return bool(np.abs(np.asarray(camera_of(viewer).center)[-2:] - middle).max() <= 1e-3 * max(size, 1e-12))
