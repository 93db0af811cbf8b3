"""Mailbox: calls from background threads, made on the main thread by Qt."""

from __future__ import annotations

import logging
from collections.abc import Callable

from qtpy.QtCore import QObject, Signal

logger = logging.getLogger(__name__)


class Mailbox(QObject):
    """Makes calls on the thread that made the mailbox, in order; ``deliver`` of a ``Worker``."""

    _posted = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._posted.connect(self._open)

    def __call__(self, call: Callable[[], None]) -> None:
        """Have ``call`` made by the event loop; on any thread."""
        try:
            self._posted.emit(call)
        except RuntimeError:
            logger.debug("the window is gone, a call from a thread was dropped")

    def _open(self, call: Callable[[], None]) -> None:
        call()
