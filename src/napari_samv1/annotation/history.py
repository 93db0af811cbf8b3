"""History of steps, for undo and redo."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field

from napari_samv1.annotation.pieces import Object, Piece, PieceKey
from napari_samv1.records.place import Plane

KEPT_STEPS = 200


@dataclass(frozen=True)
class Step:
    """A change of a document: pieces and objects before and after, None where there is none.

    Steps of one ``gesture`` (a drag, a slider) are one step to undo.
    """

    label: str
    pieces: Mapping[PieceKey, tuple[Piece | None, Piece | None]] = field(default_factory=dict)
    objects: Mapping[int, tuple[Object | None, Object | None]] = field(default_factory=dict)
    gesture: Hashable = None

    def __bool__(self) -> bool:
        return bool(self.pieces or self.objects)

    @property
    def planes(self) -> set[Plane]:
        """Planes that the step touches."""
        return {plane for plane, _ in self.pieces}


@dataclass
class Entry:
    """A step in the history, with the order of each of its planes before and after."""

    step: Step
    before: dict[Plane, tuple[int, ...]]
    after: dict[Plane, tuple[int, ...]] = field(default_factory=dict)


class History:
    """Past and future entries, newest last; at most ``KEPT_STEPS`` are kept."""

    def __init__(self) -> None:
        self.past: list[Entry] = []
        self.future: list[Entry] = []

    @property
    def undo_label(self) -> str:
        """Label of the step that undo reverts, or ""."""
        return self.past[-1].step.label if self.past else ""

    @property
    def redo_label(self) -> str:
        """Label of the step that redo repeats, or ""."""
        return self.future[-1].step.label if self.future else ""

    def record(self, entry: Entry) -> None:
        """Add an entry, or join it to the newest of the same gesture; undone entries are dropped."""
        last = self.past[-1] if self.past and not self.future else None
        self.future.clear()
        if last is not None and last.step.gesture is not None and last.step.gesture == entry.step.gesture:
            self.past[-1] = _joined(last, entry)
            return
        self.past.append(entry)
        del self.past[:-KEPT_STEPS]


def _joined(first: Entry, then: Entry) -> Entry:
    pieces = dict(first.step.pieces)
    for key, (before, after) in then.step.pieces.items():
        pieces[key] = (pieces[key][0] if key in pieces else before), after
    objects = dict(first.step.objects)
    for object_id, (old, new) in then.step.objects.items():
        objects[object_id] = (objects[object_id][0] if object_id in objects else old), new
    step = Step(first.step.label, pieces, objects, first.step.gesture)
    return Entry(step, {**then.before, **first.before})
