"""Start of napari on images with the panel docked, ready for the first click."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import napari

from napari_samv1.layers.ome_tiff import open_file
from napari_samv1.widgets.panel.panel import SegmentAnythingPanel
from napari_samv1.widgets.shared.menu import TITLE
from napari_samv1.widgets.shared.remembered import PLUGIN, recall

if TYPE_CHECKING:
    from napari.viewer import Viewer

logger = logging.getLogger(__name__)


def launch(
    files: Sequence[str | Path] = (),
    model: str | None = None,
    device: str | None = None,
    *,
    run: Callable[[], None] = napari.run,
) -> int:
    """Open a window on the files, or on the coins sample, and run it until it is closed.

    ``model`` and ``device`` replace the last choices for this start. ``run`` is the event loop, replaced in
    tests.
    """
    viewer = napari.Viewer(title=TITLE)
    if files:
        for file in files:
            open_file(viewer, file)
    else:
        # opened by its name, so that a session records the image's origin
        viewer.open_sample(PLUGIN, "coins")
    dock(viewer, model=model, device=device)
    run()
    return 0


def dock(viewer: Viewer, *, model: str | None = None, device: str | None = None) -> SegmentAnythingPanel:
    """Dock the panel and let the canvas listen to clicks, if there is an image."""
    choices = recall()
    if model is not None:
        choices = replace(choices, model=model)
    if device is not None:
        choices = replace(choices, device=device)
    panel = SegmentAnythingPanel(viewer, choices)
    viewer.window.add_dock_widget(panel, name=TITLE, area="right")
    if panel.image.layer is not None:
        panel.app.take_tool("click")
    return panel
