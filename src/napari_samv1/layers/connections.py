"""Event connections with an owner that ends them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Connections:
    """Connects callbacks to napari's emitters, and disconnects them all at once."""

    def __init__(self) -> None:
        self._made: list[tuple[Any, Callable[..., None]]] = []

    def connect(self, events: Any, names: str, callback: Callable[..., None]) -> None:
        """Connect a callback to events of a group, by their names; names without an event are skipped."""
        for name in names.split():
            emitter = getattr(events, name, None)
            if emitter is not None:
                emitter.connect(callback)
                self._made.append((emitter, callback))

    def close(self) -> None:
        """Disconnect everything; a second call does nothing."""
        while self._made:
            emitter, callback = self._made.pop()
            emitter.disconnect(callback)
