"""End of one hand movement and beginning of the next."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable

PAUSE_SECONDS = 1.0


class Gesture:
    """Names changes that follow each other closely alike, so that a slider's drag is one step to undo."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: tuple[Hashable, ...] = ()
        self._last_time = 0.0
        self._count = 0

    def of(self, *what: Hashable) -> Hashable:
        """The name of the gesture that a change of this belongs to: a new one after a pause."""
        now = self._clock()
        if what != self._last or now - self._last_time > PAUSE_SECONDS:
            self._count += 1
        self._last, self._last_time = what, now
        return self._count
