"""Keys on the annotation's layers: registered with the layer classes, so that they take over nothing else."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass
from functools import partial

from napari.layers import Image, Labels, Layer, Points, Shapes
from napari.settings import get_settings
from napari.utils.action_manager import action_manager

from napari_samv1.layers.binding import AnnotationBinding
from napari_samv1.layers.open_bindings import binding_of, run_command

FLIP_POLARITY = "napari-samv1:flip_polarity"
NEXT_OBJECT = "napari-samv1:next_object"
PREVIOUS_OBJECT = "napari-samv1:previous_object"
DELETE_OBJECT = "napari-samv1:delete_object"
REMOVE_LAST = "napari-samv1:remove_last"
REVIEW = {what: f"napari-samv1:review_{what}" for what in ("keep", "correct", "delete")}
MASK_AUTO = "napari-samv1:mask_auto"
TOOLS = {tool: f"napari-samv1:tool_{tool}" for tool in ("click", "box", "brush", "pick")}
MASKS = tuple(f"napari-samv1:mask_{number}" for number in (1, 2, 3, 4))


@dataclass(frozen=True)
class KeyAction:
    """Something to do with a key on the annotation's layers; one ``on_image`` also works on the image."""

    name: str
    title: str
    default: str
    do: Callable[[AnnotationBinding], object]
    on_image: bool = False


def _flip(binding: AnnotationBinding) -> None:
    labels = binding.labels
    mode = "" if labels is None else str(labels.mode)
    if labels is not None and binding.viewer.layers.selection.active is labels and mode in ("paint", "erase"):
        labels.mode = "erase" if mode == "paint" else "paint"
    else:
        binding.flip_polarity()


def _choose(index: int, binding: AnnotationBinding) -> None:
    binding.choose(index)


def _run(name: str) -> Callable[[AnnotationBinding], object]:
    return lambda binding: run_command(binding, name)


# none that deletes is a single letter, but for the review's, which does nothing while none is under way
KEY_ACTIONS = (
    KeyAction(TOOLS["click"], "Click", "Shift-C", _run("click"), on_image=True),
    KeyAction(TOOLS["box"], "Box, or the shape that was used last", "Shift-B", _run("box"), on_image=True),
    KeyAction(TOOLS["brush"], "Brush", "Shift-D", _run("brush"), on_image=True),
    KeyAction(TOOLS["pick"], "Pick", "Shift-K", _run("pick"), on_image=True),
    KeyAction(FLIP_POLARITY, "switch between object and not object, also for the brush", "Q", _flip),
    KeyAction(NEXT_OBJECT, "next object", "N", AnnotationBinding.next_object),
    KeyAction(PREVIOUS_OBJECT, "previous object", "Shift-N", _run("previous")),
    KeyAction(
        REMOVE_LAST,
        "remove the last prompt of this object",
        "Shift-Backspace",
        AnnotationBinding.remove_last,
    ),
    KeyAction(DELETE_OBJECT, "delete this object", "Shift-Delete", _run("delete")),
    *(
        KeyAction(name, f"take mask {number}", f"Alt-{number}", partial(_choose, number - 1))
        for number, name in enumerate(MASKS, start=1)
    ),
    KeyAction(REVIEW["keep"], "in a review: keep this object", "K", _run("review_keep"), on_image=True),
    KeyAction(
        REVIEW["correct"], "in a review: correct this object", "J", _run("review_correct"), on_image=True
    ),
    KeyAction(REVIEW["delete"], "in a review: delete this object", "W", _run("review_delete"), on_image=True),
    KeyAction(MASK_AUTO, "let the model choose the mask", "Alt-0", lambda binding: binding.choose("auto")),
)

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
    for action in KEY_ACTIONS:
        for layer_class, suffix, noun in _KINDS:
            if layer_class is Image and not action.on_image:
                continue
            _register(action, layer_class, action.name + suffix, noun, user_keys)


def shown_key(name: str) -> str:
    """The key of an action on the Points layer as it stands in the preferences now; "" if there is none."""
    user_keys = get_settings().shortcuts.shortcuts
    if name in user_keys:
        return " or ".join(str(key) for key in user_keys[name])
    default = next((action.default for action in KEY_ACTIONS if action.name == name), "")
    return shown(default)


def shown(key: str) -> str:
    """A key as menus write it: ``Ctrl+Shift+Z``."""
    return key.replace("Control", "Ctrl").replace("-", "+")


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
