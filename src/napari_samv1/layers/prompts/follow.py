"""Events of one prompt layer: changes of its prompts, and of its next prompt's settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from napari.layers import Points

from napari_samv1.layers.connections import Connections
from napari_samv1.layers.prompts.features import (
    Polarity,
    PromptLayer,
    adopt,
    flip,
    next_object_id,
    next_polarity,
    set_next,
    show_all,
    show_object,
    show_polarity,
)
from napari_samv1.layers.undo_keys import UndoKeys

TRANSFORM_EVENTS = "scale translate rotate shear affine units"


class PromptBinding:
    """Listens to a Points or Shapes layer, and calls back; reads no prompts.

    ``on_prompts(ends_gesture)`` may come often (22 times in one drag); ``ends_gesture`` is True if a prompt
    was finished, moved or removed. ``on_object(object_id)`` reports another object for the layer's next
    prompt, as after the selection of a point, and ``on_polarity(polarity)`` another polarity, set in the
    layer itself.
    """

    def __init__(
        self,
        layer: PromptLayer,
        object_id: int,
        polarity: Polarity,
        on_prompts: Callable[[bool], None],
        on_object: Callable[[int], None],
        on_polarity: Callable[[Polarity], None],
    ) -> None:
        adopt(layer, object_id)
        set_next(layer, object_id=object_id, polarity=polarity)
        self.layer = layer
        self.is_drawing = False
        self.placed = 0  # number of changes of the layer's place in the world
        self._polarity = polarity
        self._object_id = object_id
        self._on_prompts, self._on_object, self._on_polarity = on_prompts, on_object, on_polarity
        self._shift_click = False
        self._rows = len(layer.data)
        self._setting = False
        self._undo_keys = UndoKeys(layer)
        self._connections = Connections()
        self._connections.connect(layer.events, "data", self._data)
        self._connections.connect(layer.events, "set_data", self._moved)
        self._connections.connect(layer.events, TRANSFORM_EVENTS, self._placed)
        self._connections.connect(layer.events, "features", self._features)
        self._connections.connect(layer.events, "feature_defaults", self._defaults)
        self._connections.connect(layer.events, "mode", self._mode)
        if isinstance(layer, Points):
            layer.mouse_drag_callbacks.append(self._pressed)
        show_object(layer, object_id)

    def close(self) -> None:
        """Stop listening, and show all prompts undimmed; otherwise the layer stays as it is."""
        self._connections.close()
        self._undo_keys.close()
        show_all(self.layer)
        if self._pressed in self.layer.mouse_drag_callbacks:
            self.layer.mouse_drag_callbacks.remove(self._pressed)

    def set_next(self, object_id: int, polarity: Polarity) -> None:
        """Set the object and polarity of the layer's next prompt."""
        self._object_id, self._polarity = object_id, polarity
        self._setting = True
        try:
            set_next(self.layer, object_id=object_id, polarity=polarity)
        finally:
            self._setting = False
        self._bring_forward()

    def _bring_forward(self) -> None:
        """Dim the prompts of all objects but the current one."""
        # napari keeps a reference to a shape while it is drawn
        if not self.is_drawing and len(self.layer.features) == len(self.layer.data):
            show_object(self.layer, self._object_id)

    def _data(self, event: Any) -> None:
        # "adding" and "changing" come before the data change
        action = str(getattr(event.action, "value", event.action))
        if action == "adding":
            self.is_drawing = not isinstance(self.layer, Points)
            return
        if action in ("added", "removed", "changed"):
            added = range(self._rows, len(self.layer.data))
            self._rows = len(self.layer.data)
            self.is_drawing = False
            if action == "added" and self._shift_click:
                self._shift_click = False
                flip(self.layer, added)
            show_polarity(self.layer)
            self._bring_forward()
            self._on_prompts(True)

    def _moved(self, _event: Any = None) -> None:
        self._on_prompts(False)

    def _placed(self, _event: Any = None) -> None:
        self.placed += 1
        self._on_prompts(False)

    def _features(self, _event: Any = None) -> None:
        if len(self.layer.features) == len(self.layer.data):
            # assigning features resets the next prompt's, without an event
            self.set_next(self._object_id, self._polarity)
            show_polarity(self.layer)
            self._bring_forward()
        self._on_prompts(False)

    def _mode(self, _event: Any = None) -> None:
        self.is_drawing = False

    def _defaults(self, _event: Any = None) -> None:
        """Make a selected prompt's object the current one, but keep the next prompt's polarity."""
        if self._setting:
            return
        object_id, polarity = next_object_id(self.layer), next_polarity(self.layer)
        if not self.layer.selected_data and polarity != self._polarity:
            self._polarity = polarity
            self._on_polarity(polarity)
        if object_id is not None and object_id != self._object_id:
            self._object_id = object_id
            self._on_object(object_id)
        self.set_next(self._object_id, self._polarity)

    def _pressed(self, layer: Points, event: Any) -> None:
        """Note a Shift+click while adding, which makes a point of the other polarity."""
        self._shift_click = str(layer.mode) == "add" and "Shift" in event.modifiers
