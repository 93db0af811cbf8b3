"""The napari panel: Qt and magicgui widgets that show results and send actions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_samv1.widgets.inspect.dock import InspectModel
    from napari_samv1.widgets.panel.panel import SegmentAnythingPanel

__all__ = ["InspectModel", "SegmentAnythingPanel"]


def __getattr__(name: str) -> Any:
    # imported on first use, because the command line needs only launch
    if name == "SegmentAnythingPanel":
        from napari_samv1.widgets.panel.panel import SegmentAnythingPanel

        return SegmentAnythingPanel
    if name == "InspectModel":
        from napari_samv1.widgets.inspect.dock import InspectModel

        return InspectModel
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
