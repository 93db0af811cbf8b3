"""Mouse events on layers of a viewer without a window."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
from napari.utils.interactions import (
    mouse_move_callbacks,
    mouse_press_callbacks,
    mouse_release_callbacks,
)
from wrapt import ObjectProxy


class Canvas:
    """Mouse events on a layer, as the canvas sends them."""

    def __init__(self, viewer):
        self.viewer = viewer

    def _event(self, kind, y, x, modifiers):
        position = (*self.viewer.dims.point[:-2], float(y), float(x))
        event = SimpleNamespace(
            type=kind,
            pos=np.array([x, y], dtype=float) * 10,
            position=position,
            modifiers=modifiers,
            is_dragging=kind == "mouse_move",
            dims_displayed=list(self.viewer.dims.displayed),
            dims_point=list(self.viewer.dims.point),
            view_direction=None,
            up_direction=None,
            handled=False,
            button=1,
            buttons=[1],
            source=None,
            native=None,
            camera_zoom=10.0,
        )
        # what a gesture holds on to is exchanged under it with every move
        return ObjectProxy(event)

    def click(self, layer, y, x, modifiers=()):
        mouse_press_callbacks(layer, self._event("mouse_press", y, x, modifiers))
        mouse_release_callbacks(layer, self._event("mouse_release", y, x, modifiers).__wrapped__)

    def drag(self, layer, *points, each=lambda: None):
        (y, x), *others = points
        mouse_press_callbacks(layer, self._event("mouse_press", y, x, ()))
        for y, x in others:
            mouse_move_callbacks(layer, self._event("mouse_move", y, x, ()).__wrapped__)
            each()
        mouse_release_callbacks(layer, self._event("mouse_release", y, x, ()).__wrapped__)
