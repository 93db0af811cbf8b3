"""The tool that the canvas listens to: clicks, shapes, the brush, or one click that picks an object."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from napari.layers import Labels, Points, Shapes

from napari_samv1.app.app import Later
from napari_samv1.app.canvas import Tool

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from napari_samv1.layers.binding import AnnotationBinding

SHAPE_MODES: dict[Tool, str] = {
    "box": "add_rectangle",
    "polygon": "add_polygon",
    "ellipse": "add_ellipse",
    "scribble": "add_path",
}
LABEL_MODES: dict[Tool, str] = {"brush": "paint", "eraser": "erase", "pick": "pick"}
_OF_SHAPES: dict[str, Tool] = {mode: tool for tool, mode in SHAPE_MODES.items()} | {
    "add_polygon_lasso": "polygon",
    "add_polyline": "scribble",
    "add_line": "scribble",
}
_OF_LABELS = {mode: tool for tool, mode in LABEL_MODES.items()}


def _ignore() -> None:
    return None


class CanvasTools:
    """Puts a bound layer into the mode of a tool, and reads the active tool from the layers.

    Picking lasts for one click on a mask; then the tool before it is active again.
    """

    def __init__(self, viewer: Viewer, binding: AnnotationBinding, later: Later) -> None:
        self._viewer = viewer
        self._binding = binding
        self._later = later
        self._on_change: Callable[[], None] = _ignore
        self._followed: list[Any] = []
        self._before_picking: Tool | None = None
        self._picking_in: Labels | None = None
        viewer.layers.selection.events.active.connect(self._changed)
        viewer.dims.events.ndisplay.connect(self._changed)

    def listen(self, on_change: Callable[[], None]) -> None:
        """Call ``on_change`` when the active tool may have changed."""
        self._on_change = on_change

    @property
    def tool(self) -> Tool | None:
        """The active tool; None if the active layer is not bound, or in another mode."""
        active = self._viewer.layers.selection.active
        if active is None or self._viewer.dims.ndisplay == 3:
            return None
        binding = self._binding
        mode = str(getattr(active, "mode", ""))
        if active is binding.points:
            return "click" if mode == "add" else None
        if active is binding.shapes:
            return _OF_SHAPES.get(mode)
        if active is binding.labels:
            return _OF_LABELS.get(mode)
        return None

    def take(self, tool: Tool) -> None:
        """Activate a tool; its layer is made if there is none. Needs an image.

        Raises
        ------
        NoPlaneError
            If a Labels layer has to be made and no plane is displayed.
        """
        self._end_picking()
        if tool == "pick":
            self._before_picking = self.tool
        layer = self._layer_for(tool)
        if not isinstance(layer, Labels):
            self._binding.masks.prepare()
        self._viewer.layers.selection.active = layer
        if isinstance(layer, Points):
            layer.mode = "add"
        elif isinstance(layer, Shapes):
            layer.mode = SHAPE_MODES[tool]
        else:
            layer.mode = LABEL_MODES[tool]
            if tool == "pick":
                self._picking_in = layer
                layer.mouse_drag_callbacks.append(self._picked)
            else:
                self._select_current(layer)
        self._on_change()

    def follow(self) -> None:
        """Listen to the modes of the bound layers, and to no others."""
        binding = self._binding
        if self._picking_in is not binding.labels:
            self._end_picking()
        wanted = [layer for layer in (binding.points, binding.shapes, binding.labels) if layer is not None]
        for layer in self._followed:
            if not any(layer is other for other in wanted):
                layer.events.mode.disconnect(self._changed)
        for layer in wanted:
            if not any(layer is other for other in self._followed):
                layer.events.mode.connect(self._changed)
        self._followed = wanted

    def close(self) -> None:
        """Stop listening."""
        self._end_picking()
        self._viewer.layers.selection.events.active.disconnect(self._changed)
        self._viewer.dims.events.ndisplay.disconnect(self._changed)
        for layer in self._followed:
            layer.events.mode.disconnect(self._changed)
        self._followed = []

    def _layer_for(self, tool: Tool) -> Points | Shapes | Labels:
        binding = self._binding
        if tool == "click":
            return binding.points if binding.points is not None else binding.new_points()
        if tool in SHAPE_MODES:
            return binding.shapes if binding.shapes is not None else binding.new_shapes()
        return binding.labels if binding.labels is not None else binding.new_labels()

    def _select_current(self, layer: Labels) -> None:
        # a pick on the background left 0, with which a brush would erase
        if layer.selected_label == 0:
            layer.selected_label = self._binding.current.number

    def _picked(self, layer: Labels, _event: Any) -> None:
        """End picking after a click on a mask; a click on the background allows another try."""
        if layer.selected_label == 0:
            return
        # later, because the layer must not change its mode while it handles a press
        self._later(0, self._back_from_picking)

    def _back_from_picking(self) -> None:
        if self._picking_in is None:
            return
        before = self._before_picking
        self._end_picking()
        if self._binding.image is not None:
            self.take("click" if before in (None, "pick") else before)

    def _end_picking(self) -> None:
        layer, self._picking_in = self._picking_in, None
        if layer is not None and self._picked in layer.mouse_drag_callbacks:
            layer.mouse_drag_callbacks.remove(self._picked)

    def _changed(self, _event: object = None) -> None:
        if self._picking_in is not None and self.tool != "pick":
            self._end_picking()
        self._on_change()
