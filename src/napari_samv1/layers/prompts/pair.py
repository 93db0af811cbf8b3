"""PromptPair: the Points and the Shapes layer together, with the next prompt's object and polarity."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from napari.layers import Image, Layer, Points, Shapes
from numpy.typing import NDArray

from napari_samv1.layers.image import DisplayedPlane
from napari_samv1.layers.prompts.features import (
    POSITIVE,
    Polarity,
    PromptLayer,
    copy_to,
    flip,
    give_to,
    is_negative,
    object_ids,
    other,
    remove_rows,
)
from napari_samv1.layers.prompts.follow import PromptBinding
from napari_samv1.layers.prompts.read import centre_on_plane, rows_on_plane
from napari_samv1.layers.prompts.snapshot import PromptSnapshot, put_back, remember


class PromptPair:
    """Follows at most one Points and one Shapes layer, which share the current object and polarity.

    ``on_prompts`` and ``on_current`` are cheap notices. ``gesture`` names the drag, click or removal that
    the changes since the last ``end_gesture`` belong to.
    """

    def __init__(self, on_prompts: Callable[[], None], on_current: Callable[[], None]) -> None:
        self.object_id = 1
        self.polarity: Polarity = POSITIVE
        self.gesture = 0
        self._gesture_over = False
        self._on_prompts, self._on_current = on_prompts, on_current
        self._followed: dict[type[Layer], PromptBinding] = {}
        self._newest_in: type[Layer] = Points

    @property
    def points(self) -> Points | None:
        """The layer of point prompts."""
        followed = self._followed.get(Points)
        return followed.layer if followed is not None and isinstance(followed.layer, Points) else None

    @property
    def shapes(self) -> Shapes | None:
        """The layer of box prompts."""
        followed = self._followed.get(Shapes)
        return followed.layer if followed is not None and isinstance(followed.layer, Shapes) else None

    @property
    def layers(self) -> list[PromptLayer]:
        """The layers that are followed."""
        return [followed.layer for followed in self._followed.values()]

    def follow(self, kind: type[Points] | type[Shapes], layer: PromptLayer | None) -> None:
        """Follow another layer of one kind, or none."""
        old = self._followed.pop(kind, None)
        if old is not None:
            old.close()
        if layer is not None:
            self._followed[kind] = PromptBinding(
                layer,
                self.object_id,
                self.polarity,
                lambda ends_gesture: self._changed(ends_gesture, kind),
                lambda object_id: self.set_next(object_id, self.polarity),
                lambda polarity: self.set_next(self.object_id, polarity),
            )
        self.gesture += 1

    def close(self) -> None:
        """Let go of both layers."""
        for kind in (Points, Shapes):
            self.follow(kind, None)

    def set_next(self, object_id: int, polarity: Polarity) -> None:
        """What the next prompt will be, in whichever layer."""
        changed = (object_id, polarity) != (self.object_id, self.polarity)
        self.object_id, self.polarity = object_id, polarity
        for followed in self._followed.values():
            followed.set_next(object_id, polarity)
        if changed:
            self._on_current()

    def flip_polarity(self) -> None:
        """Turn the points that are selected in select mode, otherwise the next prompt.

        Outside of that mode napari leaves the newest point selected, which nobody chose.
        """
        points = self.points
        if points is not None and str(points.mode) == "select" and points.selected_data:
            flip(points, sorted(points.selected_data))
        else:
            self.set_next(self.object_id, other(self.polarity))

    @property
    def is_drawing(self) -> bool:
        """A shape is half drawn; removing a prompt now would break napari's drawing."""
        return any(followed.is_drawing for followed in self._followed.values())

    def object_ids(self) -> set[int]:
        """The objects that have prompts, on whatever slice."""
        return {int(object_id) for layer in self.layers for object_id in object_ids(layer)}

    def remove(self, plane: DisplayedPlane, image: Image, object_id: int | None) -> None:
        """Remove the prompts of an object (None: of all) on a plane."""
        for layer, rows in self._rows(plane, image, object_id):
            remove_rows(layer, rows)

    def remove_newest(self, plane: DisplayedPlane, image: Image, object_id: int) -> bool:
        """Remove an object's newest prompt on a plane; False when it has none there."""
        rows = self._rows(plane, image, object_id)
        rows.sort(key=lambda pair: isinstance(pair[0], self._newest_in), reverse=True)
        for layer, own in rows:
            if len(own):
                remove_rows(layer, own[-1:])
                return True
        return False

    def split(
        self, plane: DisplayedPlane, image: Image, object_id: int, first_free: int, *, share_background: bool
    ) -> list[int]:
        """Give each prompt of an object on a plane an object of its own; the numbers of all of them.

        The first prompt, of points before shapes, keeps the number. Background points go to every object, as
        copies, or each to the object whose foreground point or box is nearest.
        """
        kept: list[tuple[PromptLayer, int]] = []
        background: list[int] = []
        for layer, rows in self._rows(plane, image, object_id):
            negative = is_negative(layer)
            if isinstance(layer, Points):
                background = [int(row) for row in rows if negative[row]]
            kept += [(layer, int(row)) for row in rows if not negative[row]]
        kept.sort(key=lambda pair: not isinstance(pair[0], Points))
        if len(kept) < 2:
            return [object_id] if kept else []
        ids = [object_id, *range(first_free, first_free + len(kept) - 1)]
        for layer in self.layers:
            rows_of = {
                row: new
                for (own, row), new in zip(kept, ids, strict=True)
                if own is layer and new != object_id
            }
            give_to(layer, rows_of)
        points = self.points
        if points is not None and background:
            if share_background:
                copy_to(points, background, ids[1:])
            else:
                centres = np.array([centre_on_plane(plane, image, layer, row) for layer, row in kept])
                nearest = {}
                for row in background:
                    distances = np.linalg.norm(centres - centre_on_plane(plane, image, points, row), axis=1)
                    nearest[row] = ids[int(distances.argmin())]
                give_to(points, nearest)
        return ids

    def end_gesture(self) -> None:
        """What comes after a finished click or drag belongs to the next gesture."""
        if self._gesture_over:
            self.gesture += 1
            self._gesture_over = False

    def remember(self) -> PromptSnapshot:
        """What the layers hold now."""
        return remember(self.points, self.shapes)

    def put_back(self, snapshot: PromptSnapshot) -> None:
        """Let the layers hold what they held."""
        put_back(snapshot, self.points, self.shapes)

    def _rows(
        self, plane: DisplayedPlane, image: Image, object_id: int | None
    ) -> list[tuple[PromptLayer, NDArray[Any]]]:
        rows = []
        for layer in self.layers:
            wanted = rows_on_plane(plane, image, layer)
            if object_id is not None:
                wanted = wanted & (object_ids(layer) == object_id)
            rows.append((layer, np.flatnonzero(wanted)))
        return rows

    def _changed(self, ends_gesture: bool, kind: type[Layer]) -> None:
        if ends_gesture:
            self._gesture_over = True
            self._newest_in = kind
        self._on_prompts()
