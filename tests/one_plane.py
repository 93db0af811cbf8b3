"""A document with one plane, its decoding, and everything that can be done to it in short words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from napari_samv1.annotation import edits
from napari_samv1.annotation.change import Change
from napari_samv1.annotation.document import Document, Undone
from napari_samv1.annotation.pieces import BrushStroke, Piece
from napari_samv1.app.decoding import Decoding
from napari_samv1.engine.answers import AnswerCache
from napari_samv1.engine.jobs import DecodeJob, DecodeResult
from napari_samv1.records.mask_crop import MaskCrop
from napari_samv1.records.place import Plane
from napari_samv1.records.prompts import Prompts
from napari_samv1.records.settings import ObjectSettings


class OnePlane:
    """Objects of one plane, as a person changes them."""

    def __init__(self, *, kept_bytes: int = 1 << 30, plane: Plane | None = None) -> None:
        self.decoding = Decoding(AnswerCache(kept_bytes))
        self.document = Document(self.decoding.cache.lookup)
        self.document.defaults = ObjectSettings()
        self.plane = Plane() if plane is None else plane
        self.view = self.document.on(self.plane)

    @property
    def objects(self) -> Mapping[int, Piece]:
        return self.view.objects

    @property
    def stack(self) -> tuple[int, ...]:
        return self.view.stack

    @property
    def pending(self) -> tuple[int, ...]:
        return self.view.pending

    def changed_since(self, revision: int) -> list[int]:
        return self.view.changed_since(revision)

    @property
    def undo_label(self) -> str:
        return self.document.undo_label

    @property
    def redo_label(self) -> str:
        return self.document.redo_label

    def get(self, object_id: int) -> Piece | None:
        return self.view.get(object_id)

    def point(
        self,
        prompts: Mapping[int, Prompts],
        *,
        gesture: object = None,
        undoable: bool = True,
        found: Mapping[int, MaskCrop] | None = None,
    ) -> Change:
        """All prompts of the plane: an object that is not named has none."""
        for object_id, pixels in (found or {}).items():
            self.adopt(object_id, pixels)
        named = {object_id: Prompts() for object_id in self.objects} | dict(prompts)
        pointed = {object_id: (own, ()) for object_id, own in named.items()}
        step = edits.point(self.document, self.plane, pointed, gesture=gesture, given_up=found or ())
        return self.document.apply(step, undoable=undoable)

    def adopt(self, object_id: int, pixels: MaskCrop) -> Change:
        if pixels.empty:
            return Change()
        return self.document.adopt(edits.adopted(self.document, self.plane, object_id, pixels))

    def jobs(self, embedding: Any) -> list[DecodeJob]:
        return self.decoding.jobs(self.document, self.plane, embedding)

    def accept(self, result: DecodeResult) -> Change:
        change = Change()
        for _, own in self.decoding.accept([result]):
            change |= own
        return change

    def set(self, object_id: int, *, gesture: object = None, **settings: Any) -> Change:
        return self.document.apply(edits.set_settings(self.document, object_id, gesture=gesture, **settings))

    def paint(self, object_id: int, stroke: MaskCrop, *, erase: bool = False) -> Change:
        return self.document.apply(
            edits.paint(self.document, [BrushStroke(self.plane, object_id, stroke, erase)])
        )

    def refine(self, object_id: int) -> Change:
        return self.document.apply(edits.refine(self.document, self.plane, object_id))

    def clear(self, object_id: int) -> Change:
        return self.document.apply(edits.clear(self.document, self.plane, object_id))

    def delete(self, *object_ids: int) -> Change:
        return self.document.apply(edits.delete(self.document, object_ids))

    def undo(self) -> Undone | None:
        return self.document.undo()

    def redo(self) -> Undone | None:
        return self.document.redo()
