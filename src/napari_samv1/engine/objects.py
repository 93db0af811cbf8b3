"""What the session knows of one annotated object, as records that never change."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from napari_samv1.masks.paint import KEEP, Rule
from napari_samv1.records.mask_crop import MaskCrop
from napari_samv1.records.prompts import Prompts

if TYPE_CHECKING:
    from napari_samv1.engine.prediction import Prediction
    from napari_samv1.masks.clean import CleanUp

Choice = Literal["auto", 0, 1, 2, 3]
CHOICES: tuple[Choice, ...] = ("auto", 0, 1, 2, 3)

EMPTY = MaskCrop((0, 0), np.zeros((0, 0), dtype=bool))
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
class ObjectSettings:
    """How an object's mask is made from the network's answer, and where it may be painted.

    ``threshold`` is in logits; ``rule`` says what happens to pixels that others own.
    """

    choice: Choice = "auto"
    threshold: float = 0.0
    cleanup: CleanUp | None = None
    rule: Rule = KEEP

    def __post_init__(self) -> None:
        if self.choice not in CHOICES:
            raise ValueError(f'choice must be "auto", 0, 1, 2 or 3, got {self.choice!r}')


@dataclass(frozen=True)
class CandidateScores:
    """Predicted IoU and stability of the four masks."""

    iou: tuple[float, ...]
    stability: tuple[float, ...]


@dataclass(frozen=True)
class Request:
    """What was asked of the network; what a prediction is kept under."""

    prompts: Prompts
    embedding_key: Hashable


@dataclass(frozen=True)
class Derived:
    """An object's mask as the network and the object's settings make it."""

    mask: MaskCrop
    chosen: int
    scores: CandidateScores
    batch: tuple[int, int] = (0, 1)


@dataclass(frozen=True)
class BrushStroke:
    """Pixels that a person brushed into an object's mask, or erased from it."""

    object_id: int
    pixels: MaskCrop
    erase: bool = False


@dataclass(frozen=True)
class AnnotatedObject:
    """One object of the plane.

    ``mask`` is what the object covers: ``derived`` with the brushed strokes ``painted_in`` and
    ``painted_out`` applied. ``answered`` is the request that ``derived`` comes from, and ``batch`` its place
    in the decoder batch and the batch's size. ``refined`` is an earlier mask that the network gets as a hint,
    already in ``prompts``. ``reason`` is a sentence where the mask is empty or could not
    be made, otherwise "".
    """

    id: int
    prompts: Prompts = field(default_factory=Prompts)
    settings: ObjectSettings = field(default_factory=ObjectSettings)
    derived: MaskCrop = EMPTY
    painted_in: MaskCrop = EMPTY
    painted_out: MaskCrop = EMPTY
    mask: MaskCrop = EMPTY
    refined: MaskCrop = EMPTY
    chosen: int | None = None
    scores: CandidateScores | None = None
    answered: Request | None = None
    batch: tuple[int, int] = (0, 1)
    reason: str = NO_PROMPTS

    @property
    def decodable(self) -> bool:
        """Something is pointed at, so the network can answer."""
        return len(self.prompts) > 0 and not self.prompts.only_background

    @property
    def pending(self) -> bool:
        """The mask does not answer the prompts yet."""
        return self.decodable and (self.answered is None or self.answered.prompts != self.prompts)

    def with_derived(self, derived: Derived, answered: Request) -> AnnotatedObject:
        """The object with a new answer of the network; what was painted stays."""
        return replace(
            self,
            derived=derived.mask,
            mask=paint_over(derived.mask, self.painted_in, self.painted_out),
            chosen=derived.chosen,
            scores=derived.scores,
            answered=answered,
            batch=derived.batch,
            reason=NOTHING_FOUND if derived.mask.empty else "",
        )

    def with_prompts(self, prompts: Prompts) -> AnnotatedObject:
        """The object with other prompts: its mask stays until the answer comes, unless there can be none.

        Which candidate they correct is known here, whatever ``prompts`` say of it.
        """
        changed = replace(self, prompts=prompts.correcting(self._meant_by(prompts)))
        if changed.decodable:
            return replace(changed, reason="")
        painted = replace(
            changed,
            derived=EMPTY,
            mask=paint_over(EMPTY, self.painted_in, self.painted_out),
            chosen=None,
            scores=None,
            answered=None,
        )
        return replace(painted, reason=painted._reason_unasked())

    def _meant_by(self, prompts: Prompts) -> int | None:
        """The candidate, of the answer to the first prompt, that was chosen by hand before it was corrected.

        What is chosen later is chosen among other masks, and a box is another question than a point.
        """
        before = self.prompts
        if not self.decodable or bool(len(before.boxes_yx)) != bool(len(prompts.boxes_yx)):
            return None
        if before.corrects:
            return before.candidate
        return None if self.settings.choice == "auto" else self.settings.choice

    def refining(self, pointed: Prompts) -> AnnotatedObject:
        """The object with its mask as a hint for the network, beside what is ``pointed`` at.

        A mask that was only painted, or came from elsewhere, is given up to the network's answer; strokes on
        an answer stay.
        """
        known = self.given_up() if self.derived.empty else self
        return replace(known, refined=self.mask).with_prompts(hinted(pointed, self.mask))

    def given_up(self) -> AnnotatedObject:
        """The object with its mask as it is, to be replaced by the network's next answer."""
        return replace(self, derived=self.mask, painted_in=EMPTY, painted_out=EMPTY)

    def with_stroke(self, stroke: MaskCrop, *, erase: bool) -> AnnotatedObject:
        """The object with a brush stroke; the newest stroke wins over older ones."""
        painted_in = minus(self.painted_in, stroke) if erase else union(self.painted_in, stroke)
        painted_out = union(self.painted_out, stroke) if erase else minus(self.painted_out, stroke)
        painted = replace(
            self,
            painted_in=painted_in,
            painted_out=painted_out,
            mask=paint_over(self.derived, painted_in, painted_out),
        )
        return painted if painted.decodable else replace(painted, reason=painted._reason_unasked())

    def _reason_unasked(self) -> str:
        """What is to be said where the network is not asked, so that there is only what was painted."""
        if self.mask.empty:
            return ONLY_BACKGROUND if len(self.prompts) else NO_PROMPTS
        return ADDS_NOTHING if len(self.prompts) else ""


def hinted(prompts: Prompts, refined: MaskCrop) -> Prompts:
    """Prompts with a mask to refine: its pixels as a hint and, without another box, the box around them."""
    if refined.empty:
        return prompts
    boxes = prompts.boxes_yx if len(prompts.boxes_yx) else np.array([box_around(refined)])
    area = refined
    if prompts.area is not None:
        area = union(MaskCrop(prompts.area.origin_yx, prompts.area.mask), refined)
    return Prompts(prompts.points_yx, prompts.labels, boxes, area)


def box_around(crop: MaskCrop) -> tuple[float, float, float, float]:
    """The box of a mask as a prompt, through the centres of its outermost pixels."""
    rows, columns = crop.region
    return float(rows.start), float(columns.start), rows.stop - 1.0, columns.stop - 1.0


def derive(prediction: Prediction, settings: ObjectSettings) -> Derived:
    """Choose one of the four masks, threshold it, and clean it."""
    chosen = prediction.best() if settings.choice == "auto" else settings.choice
    mask = prediction.crop(chosen, threshold=settings.threshold)
    if settings.cleanup is not None:
        mask = settings.cleanup.apply(mask, prediction.frame.image_hw)
    iou = tuple(float(value) for value in prediction.iou)
    stability = tuple(float(value) for value in prediction.stability(threshold=settings.threshold))
    return Derived(mask, chosen, CandidateScores(iou, stability), prediction.batch)


def paint_over(derived: MaskCrop, painted_in: MaskCrop, painted_out: MaskCrop) -> MaskCrop:
    """A mask with strokes added and erased."""
    return minus(union(derived, painted_in), painted_out)


def union(first: MaskCrop, second: MaskCrop) -> MaskCrop:
    """Pixels of either crop."""
    if second.empty:
        return first
    if first.empty:
        return second
    region = joint_region(first.region, second.region)
    origin = region[0].start, region[1].start
    return MaskCrop.from_mask(first.within(region) | second.within(region), origin)


def minus(first: MaskCrop, second: MaskCrop) -> MaskCrop:
    """Pixels of the first crop that the second does not hold."""
    if first.empty or second.empty:
        return first
    return MaskCrop.from_mask(first.mask & ~second.within(first.region), first.origin_yx)


def joint_region(first: tuple[slice, slice], second: tuple[slice, slice]) -> tuple[slice, slice]:
    """The smallest region that holds both."""
    rows, columns = (
        slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(first, second, strict=True)
    )
    return rows, columns


def overlap(first: tuple[slice, slice], second: tuple[slice, slice]) -> bool:
    """Whether two regions share a pixel."""
    return all(a.start < b.stop and b.start < a.stop for a, b in zip(first, second, strict=True))
