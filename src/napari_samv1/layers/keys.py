"""Keys of the annotation's layers, registered by layer class so that they act nowhere else."""

from __future__ import annotations

from collections.abc import Container

from napari.layers import Image, Labels, Layer, Points, Shapes
from napari.settings import get_settings
from napari.utils.action_manager import action_manager

from napari_samv1.app.actions import KEYS
from napari_samv1.app.app import Action
from napari_samv1.layers.key_owners import owner_of

PREFIX = "napari-samv1:"  # of action names in the preferences

# one action for each kind of layer, as napari binds keys by class
_KINDS: tuple[tuple[type[Layer], str, str], ...] = (
    (Points, "", "points"),
    (Shapes, "_on_shapes", "boxes"),
    (Labels, "_on_labels", "masks"),
    (Image, "_on_image", "image"),
)

_registered: set[str] = set()


def register_keys() -> None:
    """Register the actions, once in a process; keys from the user's preferences stay."""
    user_keys = get_settings().shortcuts.shortcuts
    for action in KEYS:
        for layer_class, suffix, noun in _KINDS:
            if layer_class is Image and not action.on_image:
                continue
            _register(action, layer_class, PREFIX + action.name + suffix, noun, user_keys)


def shown_key(action: Action) -> str:
    """Key of an action on the Points layer, from the preferences; "" if there is none."""
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

    # napari chooses the layer to pass by this annotation
    command.__annotations__["layer"] = layer_class
    title = f"Segment Anything ({noun}): {action.in_words}"
    action_manager.register_action(name, command, title, layer_class)
    if name not in user_keys:
        action_manager.bind_shortcut(name, action.key)
    _registered.add(name)
