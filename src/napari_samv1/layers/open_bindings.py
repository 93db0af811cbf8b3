"""The bindings that are open now, and their panels' commands: what a key pressed on a layer finds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary, WeakSet

from napari.layers import Layer

if TYPE_CHECKING:
    from napari_samv1.layers.binding import AnnotationBinding

OPEN_BINDINGS: WeakSet[AnnotationBinding] = WeakSet()

# what a panel does for the keys of its binding's layers, by names
COMMANDS: WeakKeyDictionary[AnnotationBinding, Mapping[str, Callable[[], object]]] = WeakKeyDictionary()


def run_command(binding: AnnotationBinding, name: str) -> None:
    """Run a command of the binding's panel, if it has one."""
    command = COMMANDS.get(binding, {}).get(name)
    if command is not None:
        command()


def forget_commands(binding: AnnotationBinding) -> None:
    """The binding's panel is gone; again does nothing."""
    COMMANDS.pop(binding, None)


def binding_of(layer: Layer) -> AnnotationBinding | None:
    """The open binding that uses a layer as its image, for its prompts or for its labels, or None."""
    return next((one for one in OPEN_BINDINGS if any(layer is own for own in _layers(one))), None)


def _layers(binding: AnnotationBinding) -> tuple[Layer | None, ...]:
    return binding.image, binding.points, binding.shapes, binding.labels
