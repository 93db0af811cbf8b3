"""Later: delayed calls by Qt's event loop, as long as their owner lives."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QObject, Qt, QTimer, Signal


class Later(QObject):
    """Makes a call after some milliseconds; after 0 before the window is drawn again."""

    _soon = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._soon.connect(self._make, Qt.ConnectionType.QueuedConnection)

    def __call__(self, milliseconds: int, call: Callable[[], None]) -> None:
        if milliseconds <= 0:
            self._soon.emit(call)  # Qt delivers signals before it paints, and timers after
            return
        timer = QTimer(self)
        timer.setSingleShot(True)
        timer.timeout.connect(call)
        timer.timeout.connect(timer.deleteLater)
        timer.start(milliseconds)

    def _make(self, call: Callable[[], None]) -> None:
        call()
