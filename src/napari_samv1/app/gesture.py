"""Gesture: changes that follow each other closely."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable

PAUSE_SECONDS = 1.0


class Gesture:
    """Gives changes that follow each other closely one name, so that a slider's drag is one undo step."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: tuple[Hashable, ...] = ()
        self._last_time = 0.0
        self._count = 0

    def of(self, *target: Hashable) -> Hashable:
        """Name of the gesture for a change of a target; a new name after a pause."""
        now = self._clock()
        if target != self._last or now - self._last_time > PAUSE_SECONDS:
            self._count += 1
        self._last, self._last_time = target, now
        return self._count
