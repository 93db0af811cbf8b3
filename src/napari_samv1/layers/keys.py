"""Keys on the prompt layers: registered with the layer classes, so that they take over nothing else."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass

from napari.layers import Layer, Points, Shapes
from napari.settings import get_settings
from napari.utils.action_manager import action_manager

from napari_samv1.layers.binding import AnnotationBinding
from napari_samv1.layers.open_bindings import binding_of

FLIP_POLARITY = "napari-samv1:flip_polarity"
NEXT_OBJECT = "napari-samv1:next_object"
REMOVE_LAST = "napari-samv1:remove_last"
_ON_SHAPES = "_on_shapes"


@dataclass(frozen=True)
class KeyAction:
    """Something to do with a key on a prompt layer; a click on the layer's own tools stays napari's."""

    name: str
    title: str
    default: str
    do: Callable[[AnnotationBinding], object]


KEY_ACTIONS = (
    KeyAction(
        FLIP_POLARITY, "switch between foreground and background", "Q", AnnotationBinding.flip_polarity
    ),
    KeyAction(NEXT_OBJECT, "next object", "N", AnnotationBinding.next_object),
    KeyAction(REMOVE_LAST, "remove the last prompt of this object", "U", AnnotationBinding.remove_last),
)


_registered: set[str] = set()


def register_keys() -> None:
    """Register the actions, once for the process; what the user bound them to in the preferences stays."""
    user_keys = get_settings().shortcuts.shortcuts
    for action in KEY_ACTIONS:
        _register(action, Points, action.name, "points", user_keys)
        _register(action, Shapes, action.name + _ON_SHAPES, "boxes", user_keys)


def shown_key(name: str) -> str:
    """The key of an action on the Points layer as it stands in the preferences now; "" if there is none."""
    user_keys = get_settings().shortcuts.shortcuts
    if name in user_keys:
        return " or ".join(str(key) for key in user_keys[name])
    return next((action.default for action in KEY_ACTIONS if action.name == name), "")


def _register(
    action: KeyAction, layer_class: type[Layer], name: str, noun: str, user_keys: Container[str]
) -> None:
    if name in _registered:
        return

    def command(layer: Layer) -> None:
        binding = binding_of(layer)
        if binding is not None:
            action.do(binding)

    # napari finds the layer to hand over by the annotation
    command.__annotations__["layer"] = layer_class
    title = f"Segment Anything ({noun}): {action.title}"
    action_manager.register_action(name, command, title, layer_class)
    if name not in user_keys:
        action_manager.bind_shortcut(name, action.default)
    _registered.add(name)
