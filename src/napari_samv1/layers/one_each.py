"""The mode in which every click, box or outline begins another object."""

from __future__ import annotations

from typing import Any

from napari.layers import Points, Shapes

from napari_samv1.layers.binding import AnnotationBinding
from napari_samv1.layers.prompts.features import POSITIVE

BEGINNING = {"add", "add_rectangle", "add_ellipse", "add_polygon", "add_polygon_lasso"}  # modes of layers


class OneObjectEach:
    """While ``on``, each press that adds a foreground prompt begins another object.

    The current object still takes its first foreground prompt. A press with Shift, or with a background
    prompt next, corrects the current object as usual.
    """

    def __init__(self, binding: AnnotationBinding) -> None:
        self.on = False
        self._binding = binding
        self._followed: list[Points | Shapes] = []

    def follow(self) -> None:
        """Listen to the prompt layers that are bound now, and to no others."""
        bound = [layer for layer in (self._binding.points, self._binding.shapes) if layer is not None]
        for layer in self._followed:
            if self._pressed in layer.mouse_drag_callbacks and not any(layer is other for other in bound):
                layer.mouse_drag_callbacks.remove(self._pressed)
        for layer in bound:
            if self._pressed not in layer.mouse_drag_callbacks:
                # before napari's callback, which gives the prompt the current object's number
                layer.mouse_drag_callbacks.insert(0, self._pressed)
        self._followed = bound

    def close(self) -> None:
        """Stop listening."""
        for layer in self._followed:
            if self._pressed in layer.mouse_drag_callbacks:
                layer.mouse_drag_callbacks.remove(self._pressed)
        self._followed = []

    def _pressed(self, layer: Points | Shapes, event: Any) -> None:
        binding = self._binding
        adds = self.on and str(layer.mode) in BEGINNING and not binding.prompts.is_drawing
        if (
            adds
            and event.button == 1
            and "Shift" not in event.modifiers
            and binding.current.polarity == POSITIVE
        ):
            binding.sync()
            if binding.current.piece is not None and not binding.current.piece.prompts.only_background:
                binding.current.next()
