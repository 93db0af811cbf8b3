"""The layer list's events that napari connects a docked widget to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def leave_layer_list(viewer: Any, reset_choices: Callable[..., None]) -> None:
    """Disconnect a widget's ``reset_choices`` from the events that napari connected it to when it was docked.

    napari never disconnects it, and keeps a dead callback for each event as long as the window lives.
    """
    for name in ("inserted", "removed", "reordered", "renamed"):
        getattr(viewer.layers.events, name).disconnect(reset_choices)
