"""One prompt for each proposed object: decoded, weighed, asked again where it is not what was proposed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from napari_samv1.engine.automatic.decoding import OnDecoded
from napari_samv1.engine.automatic.found import FoundObject
from napari_samv1.engine.automatic.overlap import keep_by_masks
from napari_samv1.engine.automatic.proposals import Proposals
from napari_samv1.engine.candidate import Candidate
from napari_samv1.engine.embedding import Embedding
from napari_samv1.engine.predictor import Predictor
from napari_samv1.masks.packed import PackedCrop
from napari_samv1.masks.threshold import threshold_crop
from napari_samv1.records.automatic import AutomaticSettings
from napari_samv1.records.calibration import Calibration, Evidence
from napari_samv1.records.place import Plane, Region
from napari_samv1.records.prompts import Prompts

PUBLISHED = Calibration()
ALIKE = 0.8
"""Agreement of a click's mask with the proposed region from which on nothing else is asked."""


@dataclass(frozen=True)
class Thresholds:
    """What a mask's scores must reach with one model; 0 or less drops nothing."""

    iou: float
    stability: float

    @classmethod
    def of(cls, settings: AutomaticSettings, calibration: Calibration | None) -> Thresholds:
        """The settings', which are in the published model's terms, brought to another model's."""
        own = PUBLISHED if calibration is None else calibration
        return cls(
            settings.pred_iou_thresh * (own.iou / PUBLISHED.iou),
            settings.stability_score_thresh * (own.stability / PUBLISHED.stability),
        )

    def keep(self, one: FoundObject) -> bool:
        """An object that is there, and good enough."""
        return (
            one.area > 0
            and (self.iou <= 0 or one.iou > self.iou)
            and (self.stability <= 0 or one.stability >= self.stability)
        )


@dataclass(frozen=True, eq=False)
class Answer:
    """A mask for proposal ``index``, and what speaks for it; ``candidate`` is its place among the four."""

    index: int
    packed: PackedCrop = field(repr=False)
    area: int
    prompts: Prompts = field(repr=False)
    candidate: int
    evidence: Evidence


def decode_seeds(
    predictor: Predictor,
    embedding: Embedding,
    proposals: Proposals,
    thresholds: Thresholds,
    calibration: Calibration,
    settings: AutomaticSettings,
    on_decoded: OnDecoded,
    *,
    plane: Plane,
    into: list[FoundObject],
) -> None:
    """Decode one mask for each proposal of an encoded region and put those that pass ``into`` a list.

    A click is asked first. Where its mask is not what was proposed, the proposed region, the box around it
    and the click are asked together, and the better of both masks is kept.

    The predicted IoU of what is found is the one that ``calibration`` expects by all that speaks for it.
    """
    region = Region(plane, embedding.frame.window_yxhw)

    def keep(answer: Answer) -> None:
        found = FoundObject(
            answer.packed,
            answer.area,
            calibration.quality(answer.evidence),
            answer.evidence.stability,
            answer.prompts,
            answer.candidate,
            region,
        )
        if thresholds.keep(found):
            into.append(found)

    doubtful: dict[int, Answer] = {}
    for done, answers in clicked(predictor, embedding, proposals, settings):
        for answer in answers:
            if answer.evidence.agreement >= ALIKE or proposals.regions is None:
                keep(answer)
            else:
                doubtful[answer.index] = answer
        on_decoded(done - len(doubtful))
    done = len(proposals) - len(doubtful)
    for answers in outlined(predictor, embedding, proposals, sorted(doubtful), settings):
        for answer in answers:
            before = doubtful[answer.index]
            better = calibration.quality(answer.evidence) > calibration.quality(before.evidence)
            keep(answer if better else before)
        done += len(answers)
        on_decoded(done)


def clicked(
    predictor: Predictor, embedding: Embedding, proposals: Proposals, settings: AutomaticSettings
) -> Iterator[tuple[int, list[Answer]]]:
    """The best mask for each proposal's point: how many are decoded, and the last of them."""
    prompts = proposals.prompts()
    for done, candidates in predictor.stream(embedding, prompts, _best_mask, batch=settings.points_per_batch):
        yield done, [_weighed(one, prompts[one.index], proposals, settings) for one in candidates]


def outlined(
    predictor: Predictor,
    embedding: Embedding,
    proposals: Proposals,
    chosen: Sequence[int],
    settings: AutomaticSettings,
) -> Iterator[list[Answer]]:
    """The masks for some proposals' regions, with the box around each and the point in it."""
    for start in range(0, len(chosen), settings.points_per_batch):
        some = chosen[start : start + settings.points_per_batch]
        prompts = [region_prompts(embedding, proposals, index) for index in some]
        answers = []
        for index, one, prediction in zip(
            some, prompts, predictor.predict_each(embedding, prompts), strict=True
        ):
            mask = prediction.best()
            candidate = Candidate(
                index, mask, float(prediction.iou[mask]), prediction.logits[mask], embedding.frame
            )
            answers.append(_weighed(candidate, one, proposals, settings))
        yield answers


def region_prompts(embedding: Embedding, proposals: Proposals, index: int) -> Prompts:
    """A proposal's region, the box around it and its point, in the image's pixels."""
    assert proposals.regions is not None
    frame = embedding.frame
    own = np.where(proposals.regions[index].to_mask(frame.logits_hw), np.float32(1), np.float32(-1))
    placed = Candidate(index, 0, 0.0, own, frame)
    area = threshold_crop(own, placed.placement)
    point = [proposals.points_yx[index]]
    if area.empty:
        return Prompts(points_yx=point, labels=[1])
    rows, columns = area.region
    box = (rows.start - 0.5, columns.start - 0.5, rows.stop - 0.5, columns.stop - 0.5)
    return Prompts(points_yx=point, labels=[1], boxes_yx=[box], area=area)


def without_doubles(objects: Sequence[FoundObject], settings: AutomaticSettings) -> list[FoundObject]:
    """The objects that no better one overlaps by more than ``box_nms_thresh`` of the smaller mask."""
    return [objects[i] for i in keep_by_masks(objects, [one.iou for one in objects], settings.box_nms_thresh)]


def _weighed(
    candidate: Candidate, prompts: Prompts, proposals: Proposals, settings: AutomaticSettings
) -> Answer:
    crop, stability = candidate.crop_and_stability(offset=settings.stability_score_offset)
    evidence = Evidence(
        iou=candidate.iou,
        stability=0.0 if np.isnan(stability) else stability,
        agreement=_agreement(candidate, proposals),
        seed=float(proposals.scores[candidate.index]),
        is_click=prompts.area is None,
    )
    return Answer(candidate.index, PackedCrop.of(crop), crop.area, prompts, candidate.mask, evidence)


def _agreement(candidate: Candidate, proposals: Proposals) -> float:
    """Intersection over union of a mask and the region that was proposed; 1 where none was."""
    if proposals.regions is None:
        return 1.0
    own = proposals.regions[candidate.index]
    mask = candidate.logits > 0
    both = np.count_nonzero(mask[own.region] & own.mask)
    either = np.count_nonzero(mask) + own.area - both
    return both / either if either else 0.0


def _best_mask(prompts: Sequence[Prompts], iou_bm: NDArray[np.float32]) -> NDArray[np.bool_]:
    """The mask that a click would show."""
    chosen = np.zeros(iou_bm.shape, dtype=bool)
    single = np.array([one.is_single for one in prompts])
    best = np.where(single, 1 + np.argmax(iou_bm[:, 1:], axis=1), 0)
    chosen[np.arange(len(prompts)), best] = True
    return chosen
