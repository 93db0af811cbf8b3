"""Registry of open annotations, in which a layer's keys find the annotation that uses it."""

from __future__ import annotations

from typing import Protocol
from weakref import WeakSet

from napari.layers import Layer


class KeyOwner(Protocol):
    """Interface of an annotation for the keys of its layers."""

    def owns(self, layer: Layer) -> bool:
        """Return True if the annotation uses a layer as its image, for its prompts or for its labels."""

    def press(self, name: str, *, on_plane: bool = False) -> bool:
        """Carry out the action of a key; False where it needs a plane and none is shown."""


KEY_OWNERS: WeakSet[KeyOwner] = WeakSet()


def owner_of(layer: Layer) -> KeyOwner | None:
    """The open annotation that uses a layer, or None."""
    return next((one for one in KEY_OWNERS if one.owns(layer)), None)
