"""Objects of the displayed plane as rows, of which only changed ones are updated."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QAbstractListModel, QModelIndex, QPersistentModelIndex, Qt
from qtpy.QtGui import QColor

from napari_samv1.layers.plain_text import plain

if TYPE_CHECKING:
    from napari_samv1.annotation.pieces import Piece

Index = QModelIndex | QPersistentModelIndex

ID = Qt.ItemDataRole.UserRole
PROMPTS = Qt.ItemDataRole.UserRole + 1
STATE = Qt.ItemDataRole.UserRole + 2

# for more, one reset is faster than single rows
MOST_SINGLE_ROWS = 16

NO_PROMPTS_YET = "It has no prompts yet: point at it in the image."
EXISTING = "existing label"
TO_CORRECT = "To correct it: choose it, then More > Refine this object, and click."
ASKED = "Its mask is being computed."


class ObjectModel(QAbstractListModel):
    """One row for each object, each existing label, and the current number before its first prompt.

    ``colour_of`` returns the colour of a label, or None without a Labels layer; called for visible rows only.
    """

    def __init__(self, colour_of: Callable[[int], QColor | None]) -> None:
        super().__init__()
        self._colour_of = colour_of
        self._ids: list[int] = []
        self._pieces: list[Piece | None] = []
        self._existing: frozenset[int] = frozenset()

    def show(self, objects: Mapping[int, Piece], current: int, *, existing: Collection[int] = ()) -> None:
        """Show the objects of the plane; unchanged records are not updated.

        ``existing`` are labels of the plane; those that are no objects get rows of their own.
        """
        wanted = sorted({*objects, current, *existing})
        if wanted != self._ids:
            self._take(wanted, objects)
        before, self._existing = self._existing, frozenset(existing)
        for row, object_id in enumerate(self._ids):
            piece = objects.get(object_id)
            # "existing label" shows only in rows without an object
            turned = piece is None and (object_id in before) != (object_id in self._existing)
            if piece is not self._pieces[row] or turned:
                self._pieces[row] = piece
                index = self.index(row)
                self.dataChanged.emit(index, index)

    def recolour(self) -> None:
        """Draw the labels' colours again."""
        if self._ids:
            last = self.index(len(self._ids) - 1)
            self.dataChanged.emit(self.index(0), last, [Qt.ItemDataRole.DecorationRole])

    def row_of(self, object_id: int) -> int:
        """The row of an object; -1 without one."""
        row = bisect_left(self._ids, object_id)
        return row if row < len(self._ids) and self._ids[row] == object_id else -1

    def id_at(self, index: Index) -> int:
        """The number of the object in a row."""
        return self._ids[index.row()]

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: N802, B008 - Qt's name and default
        return 0 if parent.isValid() else len(self._ids)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid() or index.row() >= len(self._ids):
            return None
        object_id, piece = self._ids[index.row()], self._pieces[index.row()]
        if role == ID:
            return object_id
        if role == Qt.ItemDataRole.DecorationRole:
            return self._colour_of(object_id)
        is_existing = piece is None and object_id in self._existing
        if role == PROMPTS:
            return "" if is_existing else _prompts(piece)
        state = EXISTING if is_existing else _state(piece)
        if role == STATE:
            return state
        if role == Qt.ItemDataRole.ToolTipRole:
            if is_existing:
                return f"Label {object_id}. {TO_CORRECT}"
            return plain(f"Object {object_id}. {_reason(piece)}".strip())
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return f"{object_id}: {_prompts(piece)}, {state}"
        return None

    def _take(self, wanted: list[int], objects: Mapping[int, Piece]) -> None:
        gone, new = set(self._ids).difference(wanted), set(wanted).difference(self._ids)
        if len(gone) + len(new) > MOST_SINGLE_ROWS:
            self.beginResetModel()
            self._ids = wanted
            self._pieces = [objects.get(object_id) for object_id in wanted]
            self.endResetModel()
            return
        for object_id in gone:
            row = self.row_of(object_id)
            self.beginRemoveRows(QModelIndex(), row, row)
            del self._ids[row], self._pieces[row]
            self.endRemoveRows()
        for object_id in sorted(new):
            row = bisect_left(self._ids, object_id)
            self.beginInsertRows(QModelIndex(), row, row)
            self._ids.insert(row, object_id)
            self._pieces.insert(row, objects.get(object_id))
            self.endInsertRows()


def _prompts(piece: Piece | None) -> str:
    count = 0 if piece is None else len(piece.prompts)
    return "no prompts" if count == 0 else "1 prompt" if count == 1 else f"{count} prompts"


def _state(piece: Piece | None) -> str:
    if piece is None:
        return "new"
    if piece.pending and piece.mask.empty:
        return "…"
    return (
        "no mask" if piece.mask.empty else f"{piece.mask.area:,} px".replace(",", "\N{NARROW NO-BREAK SPACE}")
    )


def _reason(piece: Piece | None) -> str:
    if piece is None:
        return NO_PROMPTS_YET
    return piece.reason or (ASKED if piece.pending else "")
