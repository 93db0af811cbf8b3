"""Object and Piece: an object of the image, and its part on one plane."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from napari_samv1.records.computation import Computation
from napari_samv1.records.detail import Detail
from napari_samv1.records.drawn import DrawnShape
from napari_samv1.records.mask_crop import EMPTY, MaskCrop, box_around, minus, union
from napari_samv1.records.place import Plane
from napari_samv1.records.prompts import Prompts
from napari_samv1.records.settings import ObjectSettings

Origin = Literal["pointed", "adopted", "automatic", "carried", "learned"]
ORIGINS: tuple[Origin, ...] = ("pointed", "adopted", "automatic", "carried", "learned")

NO_PROMPTS = "This object has no prompts on this plane, so its mask is empty: point at it, or undo."
ONLY_BACKGROUND = (
    "This object has background points only, so its mask is empty: add a foreground point or a box."
)
ADDS_NOTHING = (
    "This object has background points only, which change nothing by themselves: add a foreground point or a "
    "box."
)
NOTHING_FOUND = "The model found nothing above the threshold here: lower it, or add a point."


@dataclass(frozen=True)
class Object:
    """An object of the image: its number, the settings of its next piece, the object it came from."""

    id: int
    settings: ObjectSettings = field(default_factory=ObjectSettings)
    parent: int | None = None


@dataclass(frozen=True)
class CandidateScores:
    """Predicted IoU and stability of the four masks."""

    iou: tuple[float, ...]
    stability: tuple[float, ...]


@dataclass(frozen=True)
class Request:
    """A request to the network: prompts on an encoding, or on a view of a plane at a detail.

    Predictions are cached by request. The request of an answer names the encoding that the answer came from.
    """

    prompts: Prompts
    embedding_key: Hashable
    detail: Detail = "whole"


@dataclass(frozen=True)
class Answer:
    """The network's answer to a request, and the mask that ``settings`` derived from it.

    ``chosen`` and ``scores`` are None where decoding failed. ``batch`` is the object's place in the decoder
    batch and the batch's size, ``made_by`` the model and process that computed it.
    """

    request: Request
    settings: ObjectSettings
    mask: MaskCrop = EMPTY
    chosen: int | None = None
    scores: CandidateScores | None = None
    batch: tuple[int, int] = (0, 1)
    made_by: Computation | None = None


@dataclass(frozen=True)
class BrushStroke:
    """Pixels that a person brushed into an object's mask on a plane, or erased from it."""

    plane: Plane
    object_id: int
    pixels: MaskCrop
    erase: bool = False


@dataclass(frozen=True, eq=False)
class Piece:
    """One object on one plane.

    ``pointed`` are the prompts in the layers, ``drawn`` the same as they were drawn, points before shapes.
    ``prompts`` go to the network: ``pointed``, with the pixels of ``refined`` as a hint, and the candidate to
    correct. ``mask`` is ``derived`` with the strokes ``painted_in`` and ``painted_out`` applied.
    ``ask_again`` marks an answer that a new one shall replace. ``reason`` says why the mask is empty or could
    not be made, otherwise it is "".
    """

    id: int
    plane: Plane = field(default_factory=Plane)
    pointed: Prompts = field(default_factory=Prompts)
    prompts: Prompts = field(default_factory=Prompts)
    drawn: tuple[DrawnShape, ...] = ()
    settings: ObjectSettings = field(default_factory=ObjectSettings)
    derived: MaskCrop = EMPTY
    answer: Answer | None = None
    ask_again: bool = False
    painted_in: MaskCrop = EMPTY
    painted_out: MaskCrop = EMPTY
    refined: MaskCrop = EMPTY
    mask: MaskCrop = EMPTY
    origin: Origin = "pointed"
    reason: str = NO_PROMPTS

    @property
    def key(self) -> tuple[Plane, int]:
        """The piece's place in the document."""
        return self.plane, self.id

    @property
    def is_blank(self) -> bool:
        """True if the piece has no prompts, no strokes and no mask: the object was cleared here."""
        return self.mask.empty and self.painted_in.empty and not self.drawn and not len(self.prompts)

    @property
    def chosen(self) -> int | None:
        """Index of the candidate that the mask comes from."""
        return None if self.answer is None else self.answer.chosen

    @property
    def scores(self) -> CandidateScores | None:
        """Scores of the four candidates."""
        return None if self.answer is None else self.answer.scores

    @property
    def decodable(self) -> bool:
        """True if there are prompts that the network can answer."""
        return len(self.prompts) > 0 and not self.prompts.only_background

    @property
    def pending(self) -> bool:
        """True if the answer to these prompts and settings is missing."""
        if not self.decodable:
            return False
        answer = self.answer
        return (
            answer is None
            or self.ask_again
            or answer.request.prompts != self.prompts
            or not answer.settings.derives_like(self.settings)
        )

    @property
    def blank(self) -> bool:
        """True if the piece has no prompts, no pixels and no hint."""
        pixels = (self.mask, self.derived, self.painted_out, self.refined)
        return not self.drawn and not len(self.pointed) and all(crop.empty for crop in pixels)

    def answered(self, answer: Answer) -> Piece:
        """The piece with an answer of the network; strokes stay."""
        return replace(
            self,
            derived=answer.mask,
            answer=answer,
            ask_again=False,
            mask=paint_over(answer.mask, self.painted_in, self.painted_out),
            reason=NOTHING_FOUND if answer.mask.empty else "",
        )

    def failed(self, answer: Answer, reason: str) -> Piece:
        """The piece after decoding failed; it is not asked again until its prompts change."""
        return replace(self, answer=answer, ask_again=False, reason=reason)

    def with_prompts(self, pointed: Prompts, drawn: tuple[DrawnShape, ...] = ()) -> Piece:
        """The piece with other prompts; its mask stays until the answer, or goes if there can be none."""
        prompts = hinted(pointed, self.refined)
        asked = prompts.correcting(self._corrected_candidate(prompts))
        changed = replace(self, pointed=pointed, prompts=asked, drawn=drawn)
        if changed.decodable:
            return replace(changed, reason="")
        painted = replace(
            changed,
            derived=EMPTY,
            mask=paint_over(EMPTY, self.painted_in, self.painted_out),
            answer=None,
            ask_again=False,
        )
        return replace(painted, reason=painted._reason_unasked())

    def _corrected_candidate(self, prompts: Prompts) -> int | None:
        """Index of the candidate the user picked for the first prompt, or None.

        Picks made after a correction, or after switching between point and box, do not count.
        """
        before = self.prompts
        if not self.decodable or bool(len(before.boxes_yx)) != bool(len(prompts.boxes_yx)):
            return None
        if before.corrects:
            return before.candidate
        return None if self.settings.choice == "auto" else self.settings.choice

    def refining(self) -> Piece:
        """The piece with its mask as a hint for the network.

        The network's answer replaces a mask that was painted or came from elsewhere; strokes on an earlier
        answer stay.
        """
        base = self.given_up() if self.derived.empty else self
        return replace(base, refined=self.mask).with_prompts(self.pointed, self.drawn)

    def with_part(self, part: MaskCrop) -> Piece:
        """The piece with part of a mask as its mask, and as the hint for the network's next answer."""
        return replace(
            self, derived=part, mask=part, refined=part, painted_in=EMPTY, painted_out=EMPTY, answer=None
        )

    def given_up(self) -> Piece:
        """The piece with its strokes merged into the mask, which the network's next answer replaces."""
        return replace(self, derived=self.mask, painted_in=EMPTY, painted_out=EMPTY)

    def with_stroke(self, stroke: MaskCrop, *, erase: bool) -> Piece:
        """The piece with a brush stroke; the newest stroke wins over older ones."""
        painted_in = minus(self.painted_in, stroke) if erase else union(self.painted_in, stroke)
        painted_out = union(self.painted_out, stroke) if erase else minus(self.painted_out, stroke)
        mask = paint_over(self.derived, painted_in, painted_out)
        painted = replace(self, painted_in=painted_in, painted_out=painted_out, mask=mask)
        return painted if painted.decodable else replace(painted, reason=painted._reason_unasked())

    def _reason_unasked(self) -> str:
        """Reason for a piece without an answer, whose mask is made of strokes alone."""
        if self.mask.empty:
            return ONLY_BACKGROUND if len(self.prompts) else NO_PROMPTS
        return ADDS_NOTHING if len(self.prompts) else ""


PieceKey = tuple[Plane, int]


def hinted(prompts: Prompts, refined: MaskCrop) -> Prompts:
    """Prompts with a mask to refine: its pixels as a hint and, without another box, the box around them."""
    if refined.empty:
        return prompts
    boxes = prompts.boxes_yx if len(prompts.boxes_yx) else np.array([box_around(refined)])
    area = refined
    if prompts.area is not None:
        area = union(MaskCrop(prompts.area.origin_yx, prompts.area.mask), refined)
    return Prompts(prompts.points_yx, prompts.labels, boxes, area)


def unhinted(prompts: Prompts, refined: MaskCrop) -> Prompts:
    """Prompts without the box and the area of a mask to refine; a drawn area is dropped with them."""
    if refined.empty:
        return Prompts(prompts.points_yx, prompts.labels, prompts.boxes_yx, prompts.area)
    added = np.array(box_around(refined))
    boxes = [box for box in prompts.boxes_yx if not np.array_equal(box, added)]
    return Prompts(prompts.points_yx, prompts.labels, boxes)


def paint_over(derived: MaskCrop, painted_in: MaskCrop, painted_out: MaskCrop) -> MaskCrop:
    """A mask with strokes added and erased."""
    return minus(union(derived, painted_in), painted_out)
