"""What the scripts that take pictures do with the application's window."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable

from qtpy.QtWidgets import QApplication

from napari_samv1.widgets.panel.panel import SegmentAnythingPanel

PATIENCE_SECONDS = 180
# nobody is to be offered a picture's annotation back, nor a picture to show somebody's work
os.environ["NAPARI_SAMV1_STATE"] = tempfile.mkdtemp(prefix="napari-samv1-pictures-")


def is_answered(panel: SegmentAnythingPanel) -> bool:
    """Whether the current object's mask is in the Labels layer and answers its prompts."""
    piece = panel.canvas.current.piece
    return (
        piece is not None and not piece.pending and not piece.mask.empty and panel.canvas.labels is not None
    )


def wait_for(condition: Callable[[], bool]) -> None:
    """Let the window work until something is so."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("nothing came; run napari from a terminal to see why")
        settle(0.02)


def settle(seconds: float = 0.5) -> None:
    """Let the window draw."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        QApplication.processEvents()
        time.sleep(0.005)
