"""Keys on the annotation's layers: registered with the layer classes, so that they take over nothing else."""

from __future__ import annotations

from collections.abc import Container

from napari.layers import Image, Labels, Layer, Points, Shapes
from napari.settings import get_settings
from napari.utils.action_manager import action_manager

from napari_samv1.app.actions import KEYS
from napari_samv1.app.app import Action
from napari_samv1.layers.key_owners import owner_of

PREFIX = "napari-samv1:"  # of the names by which the preferences know them

# one action for each kind of layer, as napari binds keys by class
_KINDS: tuple[tuple[type[Layer], str, str], ...] = (
    (Points, "", "points"),
    (Shapes, "_on_shapes", "boxes"),
    (Labels, "_on_labels", "masks"),
    (Image, "_on_image", "image"),
)

_registered: set[str] = set()


def register_keys() -> None:
    """Register the actions, once for the process; what the user bound them to in the preferences stays."""
    user_keys = get_settings().shortcuts.shortcuts
    for action in KEYS:
        for layer_class, suffix, noun in _KINDS:
            if layer_class is Image and not action.on_image:
                continue
            _register(action, layer_class, PREFIX + action.name + suffix, noun, user_keys)


def shown_key(action: Action) -> str:
    """The key of an action on the Points layer as it stands in the preferences now; "" if there is none."""
    user_keys = get_settings().shortcuts.shortcuts
    name = PREFIX + action.name
    if name in user_keys:
        return " or ".join(str(key) for key in user_keys[name])
    return shown(action.key)


def shown(key: str) -> str:
    """A key as menus write it: ``Ctrl+Shift+Z``."""
    return key.replace("Control", "Ctrl").replace("-", "+")


def _register(
    action: Action, layer_class: type[Layer], name: str, noun: str, user_keys: Container[str]
) -> None:
    if name in _registered:
        return

    def command(layer: Layer) -> None:
        owner = owner_of(layer)
        if owner is not None:
            owner.press(action.name)

    # napari finds the layer to hand over by the annotation
    command.__annotations__["layer"] = layer_class
    title = f"Segment Anything ({noun}): {action.in_words}"
    action_manager.register_action(name, command, title, layer_class)
    if name not in user_keys:
        action_manager.bind_shortcut(name, action.key)
    _registered.add(name)
