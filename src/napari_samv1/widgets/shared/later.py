"""Later: delayed calls by Qt's event loop, as long as their owner lives."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QObject, QTimer


class Later(QObject):
    """Makes a call after some milliseconds."""

    def __call__(self, milliseconds: int, call: Callable[[], None]) -> None:
        timer = QTimer(self)
        timer.setSingleShot(True)
        timer.timeout.connect(call)
        timer.timeout.connect(timer.deleteLater)
        timer.start(milliseconds)
