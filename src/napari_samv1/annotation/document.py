"""Document: the objects of one image on all its planes, changed by undoable steps."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Set
from dataclasses import dataclass, field, replace
from itertools import takewhile
from types import MappingProxyType

from napari_samv1.annotation.change import Change
from napari_samv1.annotation.history import Entry, History, Step
from napari_samv1.annotation.order import Boxes, lowest_as_shown, place, restored
from napari_samv1.annotation.pieces import Answer, Object, Piece, PieceKey, Request
from napari_samv1.records.drawn import all_close
from napari_samv1.records.mask_crop import EMPTY, MaskCrop, minus
from napari_samv1.records.place import Plane
from napari_samv1.records.settings import FOR_NEW_OBJECTS, ObjectSettings

Lookup = Callable[[Request, ObjectSettings], Answer | None]
"""Derives an answer from a prediction that is still cached, or gives None."""


def _nothing_cached(_request: Request, _settings: ObjectSettings) -> Answer | None:
    return None


@dataclass(frozen=True)
class Undone:
    """Outcome of an undo or redo: its label, the pixels that may differ, and pieces before and after."""

    label: str
    change: Change
    pieces: Mapping[PieceKey, tuple[Piece | None, Piece | None]]


@dataclass
class _Sheet:
    pieces: dict[int, Piece] = field(default_factory=dict)
    order: list[int] = field(default_factory=list)
    boxes: Boxes = field(default_factory=Boxes)
    waiting: dict[int, None] = field(default_factory=dict)  # pending pieces, newest last
    touched: dict[int, int] = field(default_factory=dict)  # revision of each piece's last change, newest last

    def touch(self, object_id: int, revision: int) -> None:
        """Record that a piece was added, changed or removed."""
        self.touched.pop(object_id, None)
        self.touched[object_id] = revision

    def leave_order(self, object_ids: Set[int]) -> None:
        """Take pieces out of the order, which is read once."""
        if object_ids:
            self.order[:] = [one for one in self.order if one not in object_ids]

    def empty(self, revision: int) -> None:
        for object_id in list(self.pieces):
            self.touch(object_id, revision)
        self.pieces.clear()
        self.order.clear()
        self.waiting.clear()
        self.boxes = Boxes()


class PlaneView:
    """Live view of one plane of a document."""

    def __init__(self, document: Document, plane: Plane, sheet: _Sheet) -> None:
        self.document, self.plane, self._sheet = document, plane, sheet

    @property
    def objects(self) -> Mapping[int, Piece]:
        """The plane's pieces by their object's number."""
        return MappingProxyType(self._sheet.pieces)

    @property
    def stack(self) -> tuple[int, ...]:
        """Order in the label image, lowest first."""
        return tuple(self._sheet.order)

    def get(self, object_id: int) -> Piece | None:
        """One object's piece, or None."""
        return self._sheet.pieces.get(object_id)

    def changed_since(self, revision: int) -> list[int]:
        """Objects whose pieces were added, changed or removed since a revision, newest first."""
        last_first = reversed(self._sheet.touched.items())
        return [one for one, _ in takewhile(lambda touched: touched[1] > revision, last_first)]

    @property
    def pending(self) -> tuple[int, ...]:
        """Objects that wait for an answer, newest first."""
        return tuple(reversed(self._sheet.waiting))


class Document:
    """Objects of one image, their pieces by plane, and one history.

    Everything runs on one thread and is quick. ``lookup`` finds cached answers.
    """

    def __init__(self, lookup: Lookup = _nothing_cached) -> None:
        self.objects: dict[int, Object] = {}
        self.defaults = FOR_NEW_OBJECTS
        self.revision = 0  # grows with every change of pieces or objects
        self.encodings: dict[Plane, Hashable] = {}  # key of each plane's last encoding
        self.views: dict[Plane, Hashable] = {}  # key of each plane's last view, for answers by region
        self._lookup = lookup
        self._sheets: dict[Plane, _Sheet] = {}
        self._history = History()

    # Looking

    def on(self, plane: Plane) -> PlaneView:
        """The pieces of one plane."""
        return PlaneView(self, plane, self._sheet(plane))

    def piece(self, plane: Plane, object_id: int) -> Piece | None:
        """An object's piece on a plane, or None."""
        sheet = self._sheets.get(plane)
        return None if sheet is None else sheet.pieces.get(object_id)

    def pieces_of(self, object_id: int) -> list[Piece]:
        """An object's pieces on all planes, in the order of slices."""
        found = (sheet.pieces[object_id] for sheet in self._sheets.values() if object_id in sheet.pieces)
        return sorted(found, key=lambda piece: piece.plane.sort_key)

    @property
    def planes(self) -> list[Plane]:
        """Planes with pieces, in the order of slices."""
        return sorted((plane for plane, sheet in self._sheets.items() if sheet.pieces), key=_sort_key)

    @property
    def in_use(self) -> bool:
        """True if there are pieces, or steps that could bring some back."""
        return bool(self.planes or self.undo_label or self.redo_label)

    @property
    def undo_label(self) -> str:
        """Label of the step that undo reverts, or ""."""
        return self._history.undo_label

    @property
    def redo_label(self) -> str:
        """Label of the step that redo repeats, or ""."""
        return self._history.redo_label

    # Changing

    def apply(self, step: Step, *, undoable: bool = True) -> Change:
        """Apply a step; ``undoable`` is False for steps that no user made."""
        if not step:
            return Change()
        before = {plane: tuple(self._sheet(plane).order) for plane in step.planes}
        self._put_objects((number, after) for number, (_, after) in step.objects.items())
        changed = self._put((key, after) for key, (_, after) in step.pieces.items())
        if undoable:
            self._history.record(Entry(step, before))
        return changed

    def complete(self, pieces: Iterable[tuple[Piece, Piece]]) -> Change:
        """Replace pieces by their answered versions; not a step, as answers belong to their prompts' step."""
        current = ((old, new) for old, new in pieces if self.piece(*old.key) is old)
        return self._put((new.key, new) for _, new in current)

    def adopt(self, piece: Piece, covered: MaskCrop = EMPTY) -> Change:
        """Add an existing label as an object, or to one that is blank; not undoable, and no pixel changes.

        ``covered`` holds the label's pixels beneath other objects: they show once those objects go.
        """
        sheet = self._sheet(piece.plane)
        if piece.id in sheet.pieces:
            if not sheet.pieces[piece.id].is_blank:
                return Change()
            self._put([(piece.key, None)])
        if piece.id not in self.objects:
            self._put_objects([(piece.id, Object(piece.id, piece.settings))])
        whole = piece.with_stroke(covered, erase=False)
        at = lowest_as_shown(sheet.order, sheet.pieces, sheet.boxes, whole)
        for lower in sheet.order[:at] if not covered.empty else ():
            # above this object, the label would show on pixels that it covers
            if sheet.pieces[lower].settings.rule.kind != "keep":
                covered = minus(covered, sheet.pieces[lower].mask)
        changed = self._put([(piece.key, piece.with_stroke(covered, erase=False))])
        sheet.order.remove(piece.id)
        sheet.order.insert(at, piece.id)
        # a redo would put another piece in place of the adopted label
        if any(piece.key in entry.step.pieces for entry in self._history.future):
            self._history.future.clear()
        return changed

    def ask_again(self, keys: Iterable[PieceKey]) -> None:
        """Mark pieces to be decoded again, for example on a new encoding; their masks stay until then."""
        for plane, object_id in list(keys):
            piece = self.piece(plane, object_id)
            if piece is not None and piece.decodable:
                self._put([((plane, object_id), replace(piece, ask_again=True))])

    def restore(
        self,
        objects: Iterable[Object],
        pieces: Iterable[Piece],
        orders: Mapping[Plane, Iterable[int]],
    ) -> None:
        """Replace the content by a saved document's; the history starts empty."""
        self.objects, self._history = {one.id: one for one in objects}, History()
        self.revision += 1
        for sheet in self._sheets.values():
            sheet.empty(self.revision)  # in place, so that views of it stay valid
        self._put((piece.key, piece) for piece in pieces)
        for plane, order in orders.items():
            sheet = self._sheet(plane)
            sheet.order[:] = restored(order, sheet.pieces, sheet.boxes, sheet.order)

    # Undo

    def undo(self) -> Undone | None:
        """Revert the last step; None where there is none."""
        if not self._history.past:
            return None
        entry = self._history.past.pop()
        pieces = {
            key: (before, _newer(after, self.piece(*key)))
            for key, (before, after) in entry.step.pieces.items()
        }
        objects = {n: (before, self.objects.get(n)) for n, (before, _) in entry.step.objects.items()}
        step = replace(entry.step, pieces=pieces, objects=objects)
        orders = {plane: tuple(self._sheet(plane).order) for plane in step.planes}
        self._history.future.append(Entry(step, entry.before, orders))
        return self._travel(step, 0, entry.before)

    def redo(self) -> Undone | None:
        """Repeat the last undone step; None where there is none."""
        if not self._history.future:
            return None
        entry = self._history.future.pop()
        pieces = {
            key: (_newer(before, self.piece(*key)), after)
            for key, (before, after) in entry.step.pieces.items()
        }
        objects = {n: (self.objects.get(n), after) for n, (_, after) in entry.step.objects.items()}
        step = replace(entry.step, pieces=pieces, objects=objects)
        orders = {plane: tuple(self._sheet(plane).order) for plane in step.planes}
        self._history.past.append(Entry(step, orders, entry.after))
        return self._travel(step, 1, entry.after)

    def _travel(self, step: Step, side: int, orders: Mapping[Plane, tuple[int, ...]]) -> Undone:
        self._put_objects((number, pair[side]) for number, pair in step.objects.items())
        wanted = {key: self._answered(pair[side]) for key, pair in step.pieces.items()}
        changed = self._put(wanted.items())
        moved: set[PieceKey] = set()
        for plane, order in orders.items():
            sheet = self._sheet(plane)
            ordered = restored(order, sheet.pieces, sheet.boxes, sheet.order)
            if ordered != sheet.order:
                moved |= {(plane, one) for one in ordered}
                sheet.order[:] = ordered
        pieces = {key: (step.pieces[key][1 - side], piece) for key, piece in wanted.items()}
        return Undone(step.label, changed | Change.of(moved), pieces)

    # Internals

    def _sheet(self, plane: Plane) -> _Sheet:
        sheet = self._sheets.get(plane)
        if sheet is None:
            sheet = self._sheets[plane] = _Sheet()
        return sheet

    def _put_objects(self, objects: Iterable[tuple[int, Object | None]]) -> None:
        for number, new in objects:
            self.revision += 1
            if new is None:
                self.objects.pop(number, None)
            else:
                self.objects[number] = new

    def _put(self, pieces: Iterable[tuple[PieceKey, Piece | None]]) -> Change:
        touched: set[PieceKey] = set()
        gone: dict[Plane, set[int]] = {}
        for (plane, object_id), new in pieces:
            sheet = self._sheet(plane)
            old = sheet.pieces.get(object_id)
            if new is old:
                continue
            self.revision += 1
            touched.add((plane, object_id))
            sheet.touch(object_id, self.revision)
            sheet.waiting.pop(object_id, None)
            if new is None:
                del sheet.pieces[object_id]
                sheet.boxes.put(object_id, None)
                # from the order together, in a time that grows with their number and not with its square
                gone.setdefault(plane, set()).add(object_id)
                continue
            sheet.leave_order(gone.pop(plane, set()))
            sheet.pieces[object_id] = new
            place(sheet.order, sheet.pieces, sheet.boxes, new, old)
            if old is None or new.mask is not old.mask:
                sheet.boxes.put(object_id, new.mask)
            if new.pending:
                sheet.waiting[object_id] = None
        for plane, object_ids in gone.items():
            self._sheet(plane).leave_order(object_ids)
        return Change.of(touched)

    def _answered(self, piece: Piece | None) -> Piece | None:
        """The piece with its cached answer; unchanged if it is not pending or none is cached."""
        if piece is None or not piece.pending:
            return piece
        answer = self.lookup(piece)
        return piece if answer is None else piece.answered(answer)

    def lookup(self, piece: Piece) -> Answer | None:
        """The cached answer to a piece's prompts on its plane's last encoding or view, or None."""
        by_region = piece.settings.by_region
        key = (self.views if by_region else self.encodings).get(piece.plane)
        if key is None or not piece.decodable or piece.ask_again:
            return None
        detail = piece.settings.detail if by_region else "whole"
        return self._lookup(Request(piece.prompts, key, detail), piece.settings)


def _newer(recorded: Piece | None, now: Piece | None) -> Piece | None:
    """The current piece, with its newer answer; the recorded one where prompts changed without a step."""
    if recorded is None or now is None:
        return recorded
    return now if all_close(now.drawn, recorded.drawn) else recorded


def _sort_key(plane: Plane) -> tuple[int, ...]:
    return plane.sort_key
