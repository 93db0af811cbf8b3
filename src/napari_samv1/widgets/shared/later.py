"""Later: calls that Qt's event loop makes in a moment, as long as their owner lives."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QObject, QTimer


class Later(QObject):
    """Makes a call in so many milliseconds."""

    def __call__(self, milliseconds: int, call: Callable[[], None]) -> None:
        timer = QTimer(self)
        timer.setSingleShot(True)
        timer.timeout.connect(call)
        timer.timeout.connect(timer.deleteLater)
        timer.start(milliseconds)
