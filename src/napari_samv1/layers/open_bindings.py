"""The bindings that are open now: a key pressed on a layer finds the one that owns it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakSet

from napari.layers import Layer

if TYPE_CHECKING:
    from napari_samv1.layers.binding import AnnotationBinding

OPEN_BINDINGS: WeakSet[AnnotationBinding] = WeakSet()


def binding_of(layer: Layer) -> AnnotationBinding | None:
    """The open binding that uses a layer for its prompts or labels, or None."""
    return next(
        (one for one in OPEN_BINDINGS if any(layer is own for own in (one.points, one.shapes, one.labels))),
        None,
    )
