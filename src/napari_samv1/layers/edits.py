"""Edits: each edit of the open image's objects, shown in all of its layers."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari_samv1.annotation import edits
from napari_samv1.annotation.document import Document
from napari_samv1.annotation.history import Step
from napari_samv1.app.canvas import Read
from napari_samv1.app.decoding import Decoding
from napari_samv1.layers.annotated_images import NOTHING_CHOSEN, AnnotatedImages
from napari_samv1.layers.current_object import CurrentObject
from napari_samv1.layers.labels.bound import BoundLabels
from napari_samv1.layers.prompts.pair import PromptPair
from napari_samv1.layers.prompts.show import show_pieces
from napari_samv1.layers.screen import Screen
from napari_samv1.records.place import Plane

if TYPE_CHECKING:
    from napari_samv1.engine.embedding import Embedding
    from napari_samv1.engine.jobs import DecodeJob, DecodeResult

DRAWING = "Finish the shape or stroke first: it is still being drawn."


class Edits:
    """Changes the document of the open image; methods that return a ``str`` return "" or a sentence.

    Every edit of a person first calls ``sync``, which reads all prompts into the document.
    """

    def __init__(
        self,
        images: AnnotatedImages,
        screen: Screen,
        prompts: PromptPair,
        masks: BoundLabels,
        current: CurrentObject,
        decoding: Decoding,
        sync: Callable[[], Read],
    ) -> None:
        self._images, self._screen, self._prompts = images, screen, prompts
        self._masks, self._current = masks, current
        self._decoding, self._sync = decoding, sync

    def do(self, step: Step) -> str:
        """Apply a step, and show it in all layers."""
        opened = self._images.opened
        if opened is None:
            return NOTHING_CHOSEN
        pieces = dict(step.pieces)
        change = opened.document.apply(step)
        show_pieces(self._prompts, opened, pieces)
        return self._masks.write(change.planes) if change else ""

    # Answers of the network

    def jobs(self, embedding: Embedding) -> list[DecodeJob]:
        """Jobs for the displayed plane's pending pieces."""
        plane, opened = self._screen.place, self._images.opened
        if plane is None or opened is None:
            return []
        return self._decoding.jobs(opened.document, plane, embedding)

    def accept(self, results: Sequence[DecodeResult]) -> str:
        """Store decoded masks on their planes, and write them at once.

        A missing Labels layer is made; after the user deleted one, only with the next prompt. Masks of
        another image go into the layer that shows them.
        """
        sentences = []
        for document, change in self._decoding.accept(results):
            annotated = self._images.with_document(document)
            if not change or annotated is None:
                continue
            if annotated is self._images.opened:
                sentences.append(self._masks.write(change.planes))
            elif annotated.layers.labels is not None:
                sentences.append(annotated.write(annotated.layers.labels, change.planes))
        sentences += [result.error for result in results]
        return next((sentence for sentence in sentences if sentence), "")

    # The current object

    def set_settings(self, object_id: int, *, gesture: Hashable = None, **changes: Any) -> str:
        """Change an object's settings, or those for new objects if it does not exist."""
        opened = self._images.opened
        if opened is None:
            return ""
        document = opened.document
        if object_id not in document.objects:
            document.defaults = replace(document.defaults, **changes)
            return ""
        return self.do(edits.set_settings(document, object_id, gesture=gesture, **changes))

    def flip_polarity(self) -> None:
        """Flip the polarity of the selected points, or of the next prompt if none is selected."""
        self._prompts.flip_polarity()

    def refine(self) -> str:
        """Give the current object's pixels to the network as a hint.

        The object's bounding box is added if no box is drawn. A label of another tool becomes an object,
        which clicks can then correct.
        """
        return self._change(edits.refine, nothing="Object {number} has no pixels on this plane to refine.")

    def split(self, *, share_background: bool = True) -> str:
        """Make one object of each prompt of the current object on this plane.

        The first keeps the number, the others get new ones; ``jobs`` then decodes them in one batch.
        Background points are copied to all of them, or without ``share_background`` each goes to the nearest.
        One undo step.
        """
        return self._change(
            lambda document, plane, number: edits.split(
                document,
                plane,
                number,
                self._current.first_free(),
                shape_yx=self._screen.plane().shape_yx,
                share_background=share_background,
            ),
            nothing="To split object {number}, click once on each of the objects in it, then Split again.",
        )

    # Removing

    def remove_last(self) -> str:
        """Remove the newest prompt of the current object on this plane."""
        document, _, problem = self._ready()
        if document is None:
            return problem
        number = self._current.number
        if not self._prompts.remove_newest(self._screen.plane(), self._images.chosen.image, number):
            return f"Object {number} has no prompts on this plane."
        return self._sync().problem

    def clear(self) -> str:
        """Empty the current object on this plane: prompts, strokes and hint go, number and settings stay."""
        return self._change(edits.clear)

    def delete(self, object_id: int) -> str:
        """Remove an object on all planes: its prompts, its settings, its pixels.

        A label of another tool is removed too.
        """
        return self._change(
            lambda document, _plane, number: edits.delete(document, [number]), object_id=object_id
        )

    def _change(
        self,
        step_of: Callable[[Document, Plane, int], Step],
        *,
        object_id: int | None = None,
        nothing: str = "",
    ) -> str:
        """Apply a step to an object or a label of another tool; by default to the current object.

        ``nothing`` is the sentence for a step without a change; its ``{number}`` is the object's.
        """
        document, plane, problem = self._ready()
        if document is None or plane is None:
            return problem
        number = self._current.number if object_id is None else object_id
        if refusal := self._masks.adopt(plane, number):
            return refusal
        step = step_of(document, plane, number)
        if nothing and not step:
            return nothing.format(number=number)
        return self.do(step)

    # Undo

    def undo(self) -> str:
        """Revert the last step, in prompts, settings and pixels."""
        return self._travel(back=True)

    def redo(self) -> str:
        """Repeat the last undone step."""
        return self._travel(back=False)

    def _travel(self, *, back: bool) -> str:
        document, plane, problem = self._ready()
        opened = self._images.opened
        if document is None or opened is None:
            return problem
        undone = document.undo() if back else document.redo()
        if undone is None:
            return ""
        show_pieces(self._prompts, opened, undone.pieces)
        problem = self._masks.write(undone.change.planes)
        planes = sorted({place for place, _ in undone.pieces}, key=lambda place: place.sort_key)
        if planes and plane not in planes:
            # an undo on a hidden slice would go unnoticed
            self._screen.go_to(planes[0])
        return problem

    def _ready(self) -> tuple[Document | None, Plane | None, str]:
        """Read all prompts and begin a gesture; return document and displayed plane, or a sentence."""
        if self._prompts.is_drawing or self._masks.is_drawing:
            return None, None, DRAWING
        problem = self._sync().problem
        self._prompts.new_gesture()
        plane, opened = self._screen.place, self._images.opened
        if plane is None or opened is None:
            return None, None, problem
        return opened.document, plane, problem
