"""PromptPair: the Points and the Shapes layer together, with the next prompt's object and polarity."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from napari.layers import Image, Layer, Points, Shapes

from napari_samv1.annotation.document import PlaneView
from napari_samv1.annotation.pieces import Piece
from napari_samv1.layers.image import DisplayedPlane
from napari_samv1.layers.prompts.features import POSITIVE, Polarity, PromptLayer, flip, object_ids, other
from napari_samv1.layers.prompts.follow import PromptBinding
from napari_samv1.layers.prompts.read import ReadPrompts, read_points, read_shapes, rows_on_plane
from napari_samv1.layers.prompts.snapshot import Snapshot, changed_planes, snapshot
from napari_samv1.layers.prompts.write import RowChange, remove_rows, write_rows
from napari_samv1.records.drawn import DrawnShape
from napari_samv1.records.place import Plane


@dataclass(frozen=True)
class PairRead:
    """Prompts of one plane as drawn, by object; () for an object whose prompts are all gone.

    ``rows`` holds only objects whose prompts may differ from the document's. Prompts on ``other_planes``
    changed as well.
    """

    rows: Mapping[int, tuple[DrawnShape, ...]]
    notes: tuple[str, ...] = ()
    other_planes: tuple[Plane, ...] = ()


class PromptPair:
    """Follows at most one Points and one Shapes layer, which share the current object and polarity.

    ``on_prompts`` and ``on_current`` are cheap callbacks. ``gesture`` numbers the drags, clicks and removals:
    changes with one number are one undo step.
    """

    def __init__(self, on_prompts: Callable[[], None], on_current: Callable[[], None]) -> None:
        self.object_id = 1
        self.polarity: Polarity = POSITIVE
        self.gesture = 0
        self._gesture_over = False
        self._on_prompts, self._on_current = on_prompts, on_current
        self._followed: dict[type[Layer], PromptBinding] = {}
        self._newest_in: type[Layer] = Points
        # objects that each layer showed on a plane at the last read, with those prompts of the document
        # that were never in the layer
        self._shown: dict[tuple[type[Layer], Plane], dict[int, tuple[DrawnShape, ...]]] = {}
        self._read: dict[tuple[type[Layer], Plane], ReadPrompts] = {}
        self._compared: dict[Plane, int] = {}  # the document's revision at each plane's last comparison
        self._doubtful: dict[Plane, set[int]] = {}  # objects to compare again at any revision
        self._snapshots: dict[type[Layer], Snapshot] = {}
        self._moved = False
        self._placed: dict[type[Layer], int] = {}
        self._last_read: object = None

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
        self._placed.pop(kind, None)
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
            self._snapshots[kind] = snapshot(layer)
        else:
            self._snapshots.pop(kind, None)
        self._shown = {key: shown for key, shown in self._shown.items() if key[0] is not kind}
        self._read = {key: read for key, read in self._read.items() if key[0] is not kind}
        self._compared.clear()
        self._last_read = None
        self.new_gesture()

    def close(self) -> None:
        """Release both layers."""
        for kind in (Points, Shapes):
            self.follow(kind, None)

    def set_next(self, object_id: int, polarity: Polarity) -> None:
        """Set the object and polarity of the next prompt, in either layer."""
        changed = (object_id, polarity) != (self.object_id, self.polarity)
        self.object_id, self.polarity = object_id, polarity
        for followed in self._followed.values():
            followed.set_next(object_id, polarity)
        if changed:
            self._on_current()

    def flip_polarity(self) -> None:
        """Flip the points selected in select mode, or else the next prompt.

        In other modes napari keeps the newest point selected, which the user did not select.
        """
        points = self.points
        if points is not None and str(points.mode) == "select" and points.selected_data:
            flip(points, sorted(points.selected_data))
            self._gesture_over = True
        else:
            self.set_next(self.object_id, other(self.polarity))

    @property
    def is_drawing(self) -> bool:
        """True while a shape is drawn: removing a prompt would break napari's drawing."""
        return any(followed.is_drawing for followed in self._followed.values())

    def object_ids(self) -> set[int]:
        """The objects that have prompts, on any slice."""
        return {int(object_id) for layer in self.layers for object_id in object_ids(layer)}

    def remove_newest(self, plane: DisplayedPlane, image: Image, object_id: int) -> bool:
        """Remove an object's newest prompt on a plane; False when it has none there."""
        rows = [
            (layer, np.flatnonzero(rows_on_plane(plane, image, layer) & (object_ids(layer) == object_id)))
            for layer in self.layers
        ]
        rows.sort(key=lambda pair: isinstance(pair[0], self._newest_in), reverse=True)
        for layer, found in rows:
            if len(found):
                remove_rows(layer, found[-1:])
                self.set_next(self.object_id, self.polarity)
                return True
        return False

    def new_gesture(self) -> None:
        """Begin a gesture: changes from now on are another undo step."""
        self.gesture += 1
        self._gesture_over = False

    def end_gesture(self) -> None:
        """End a gesture: later changes belong to the next one."""
        if self._gesture_over:
            self.gesture += 1
            self._gesture_over = False

    def is_read(self, plane: Plane, revision: int) -> bool:
        """Return True if a plane of a document was read since the layers and the document last changed."""
        places = tuple(followed.placed for followed in self._followed.values())
        now = plane, revision, places, tuple(snapshot(layer) for layer in self.layers)
        before, self._last_read = self._last_read, now
        return now == before

    def read(self, plane: DisplayedPlane, image: Image, view: PlaneView) -> tuple[PairRead, bool]:
        """Read the prompts of a plane; also True if a layer's rows changed since the last read.

        Prompts of the document that a layer never showed are added, so that choosing another layer loses no
        prompts.
        """
        touched, others = self._touched(image, plane)
        place, kinds = plane.plane, (Points, Shapes)
        notes: list[str] = []
        asked = self._doubtful.pop(place, set())
        for kind, layer in zip(kinds, (self.points, self.shapes), strict=True):
            before = self._read.get((kind, place))
            if isinstance(layer, Points):
                result = read_points(plane, image, layer, before)
            elif layer is not None:
                result = read_shapes(plane, image, layer, before)
            else:
                result = ReadPrompts()
            self._read[kind, place] = result
            notes += result.notes
            shown = self._shown.setdefault((kind, place), {})
            for object_id in result.changed & result.rows.keys():
                if object_id not in shown:
                    shown[object_id] = _missing(result.rows[object_id], _of_kind(kind, view.get(object_id)))
            asked |= result.changed
        if place in self._compared:
            asked |= set(view.changed_since(self._compared[place]))
        else:
            asked |= {object_id for kind in kinds for object_id in self._shown[kind, place]}
        self._compared[place] = view.document.revision
        rows: dict[int, tuple[DrawnShape, ...]] = {}
        for object_id in sorted(asked):
            if any(object_id in self._shown[kind, place] for kind in kinds):
                parts = (self._prompts_of(kind, place, object_id, view) for kind in kinds)
                rows[object_id] = tuple(shape for part in parts for shape in part)
        return PairRead(rows, tuple(dict.fromkeys(notes)), tuple(others)), touched

    def _prompts_of(
        self, kind: type[Layer], place: Plane, object_id: int, view: PlaneView
    ) -> tuple[DrawnShape, ...]:
        """An object's prompts in a layer of one kind, or those of the document that it never showed."""
        shown = self._shown[kind, place]
        if object_id in shown:
            return shown[object_id] + self._read[kind, place].rows.get(object_id, ())
        return _of_kind(kind, view.get(object_id))

    def write(self, image: Image, changes: Sequence[RowChange]) -> None:
        """Change both layers from prompts before to prompts after; not a gesture of the user."""
        self._write(self._followed, image, changes)

    def fill(self, image: Image, changes: Sequence[RowChange]) -> None:
        """Give the prompts of a document to layers that do not show them yet."""
        empty = [kind for kind, followed in self._followed.items() if not len(followed.layer.data)]
        self._write(empty, image, changes)

    def forget_rows(self) -> None:
        """Forget the rows that were read, because another image is open."""
        self._shown.clear()
        self._read.clear()
        self._compared.clear()
        self._doubtful.clear()
        self._last_read = None
        self._snapshots = {kind: snapshot(followed.layer) for kind, followed in self._followed.items()}

    def read_again(self) -> None:
        """Have prompts read again, because a transform changed."""
        self._last_read = None

    def image_moved(self) -> None:
        """Have prompts read as after a change of their rows, because they lie elsewhere on the image."""
        self._last_read = None
        self._moved = True

    def _write(self, kinds: Iterable[type[Layer]], image: Image, changes: Sequence[RowChange]) -> None:
        for kind in kinds:
            for change in write_rows(self._followed[kind].layer, image, changes):
                place = change.plane.plane
                self._shown.setdefault((kind, place), {})[change.object_id] = ()
                self._doubtful.setdefault(place, set()).add(change.object_id)
        self._snapshots = {kind: snapshot(followed.layer) for kind, followed in self._followed.items()}
        self.set_next(self.object_id, self.polarity)
        self.new_gesture()

    def _touched(self, image: Image, plane: DisplayedPlane) -> tuple[bool, list[Plane]]:
        """Compare with the last read: True if rows or places changed, and the other planes that changed."""
        touched, self._moved = self._moved, False
        others: set[Plane] = set()
        for kind, followed in self._followed.items():
            touched |= followed.placed != self._placed.get(kind, 0)
            self._placed[kind] = followed.placed
            now = snapshot(followed.layer)
            before, self._snapshots[kind] = self._snapshots[kind], now
            if now == before:
                continue
            touched = True
            others |= changed_planes(followed.layer, image, plane, before, now)
        shown = {place for _, place in self._shown}
        return touched, sorted((others & shown) - {plane.plane}, key=lambda place: place.sort_key)

    def _changed(self, ends_gesture: bool, kind: type[Layer]) -> None:
        if ends_gesture:
            self._gesture_over = True
            self._newest_in = kind
        self._on_prompts()


def _of_kind(kind: type[Layer], piece: Piece | None) -> tuple[DrawnShape, ...]:
    """The prompts of a piece that a layer of one kind shows."""
    drawn = () if piece is None else piece.drawn
    return tuple(one for one in drawn if (one.kind == "point") == (kind is Points))


def _missing(shown: Sequence[DrawnShape], wanted: Sequence[DrawnShape]) -> tuple[DrawnShape, ...]:
    """Wanted prompts without a match among the shown ones, each of which matches one prompt."""
    left = list(shown)
    missing = []
    for one in wanted:
        match = next((index for index, other in enumerate(left) if other.is_close(one)), None)
        if match is None:
            missing.append(one)
        else:
            del left[match]
    return tuple(missing)
