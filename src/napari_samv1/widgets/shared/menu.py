"""Menu entries under Layers > Segment, which act on the window's panel and open it if needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_samv1.app.actions import NEXT_OBJECT
from napari_samv1.widgets.panel.panel import SegmentAnythingPanel, open_panels
from napari_samv1.widgets.shared.remembered import PLUGIN

if TYPE_CHECKING:
    import napari

TITLE = "Segment Anything"


def panel_of(viewer: napari.Viewer) -> SegmentAnythingPanel:
    """The window's panel; it is docked first if there is none."""
    viewer = getattr(viewer, "__wrapped__", viewer)
    for panel in open_panels():
        if panel.viewer is viewer:
            return panel
    _, panel = viewer.window.add_plugin_dock_widget(PLUGIN, TITLE)
    return panel


def encode(viewer: napari.Viewer) -> None:
    """Encode the chosen image now."""
    panel_of(viewer).app.encode()


def next_object(viewer: napari.Viewer) -> None:
    """Begin a new object with the next click."""
    panel_of(viewer).app.do(NEXT_OBJECT)
