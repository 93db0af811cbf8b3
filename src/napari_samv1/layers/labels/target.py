"""The objects that a layer is to show, and those in which it differs, from what changed since a revision."""

from __future__ import annotations

from collections.abc import Callable

from napari_samv1.annotation.document import PlaneView
from napari_samv1.annotation.order import moved_ids
from napari_samv1.annotation.pieces import Piece
from napari_samv1.masks.paint import Painted, Stack


def target_of(
    view: PlaneView, shown: Stack, revision: int, as_painted: Callable[[Piece], Painted]
) -> tuple[Stack, list[int]]:
    """The stack to show, and the labels that differ from what is ``shown``: by mask, rule or place.

    Reads only pieces that changed since ``revision``, at which the layer was up to date.
    """
    painted, objects = shown.by_label, view.objects
    changes: dict[int, Painted] = {}
    gone = set()
    for object_id in view.changed_since(revision):
        piece, old = objects.get(object_id), painted.get(object_id)
        if piece is None:
            gone |= {object_id} & painted.keys()
        # an object without a mask yet must not wipe pixels that bear its number
        elif old is not None or not piece.mask.empty:
            new = as_painted(piece)
            if old is None or not is_same(old, new):
                changes[object_id] = new
    count = len(painted.keys() | changes.keys()) - len(gone)
    order = view.stack
    if count < len(order):
        order = tuple(one for one in order if one in painted or one in changes)
    moved = moved_ids(shown.order, order)
    if not changes and not gone and not moved:
        return shown, []
    return shown.changed(order, changes), sorted({*changes, *gone, *moved})


def is_same(old: Painted, new: Painted) -> bool:
    """Compare two states of an object, by mask and rule."""
    return old[2] == new[2] and (old[1] is new[1] or old[1] == new[1])
