"""Masks of proposed objects: by a point, by the proposed region if the two differ, or the region itself."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_samv1.engine.automatic.decoding import OnDecoded
from napari_samv1.engine.automatic.found import FoundObject
from napari_samv1.engine.automatic.overlap import keep_by_masks
from napari_samv1.engine.automatic.proposals import Proposals
from napari_samv1.engine.automatic.specks import without_specks
from napari_samv1.engine.candidate import Candidate, crops_and_stabilities, stacked
from napari_samv1.engine.decoder_windows import reaches_edge, window_size
from napari_samv1.engine.embedding import Embedding
from napari_samv1.engine.predictor import Predictor
from napari_samv1.masks.packed import PackedCrop
from napari_samv1.masks.threshold import threshold_crop
from napari_samv1.records.automatic import AutomaticSettings
from napari_samv1.records.calibration import Calibration, Evidence
from napari_samv1.records.frame import LOGITS_PER_TOKEN, Frame
from napari_samv1.records.mask_crop import MaskCrop, box_around
from napari_samv1.records.place import Plane, Region
from napari_samv1.records.prompts import Prompts, Within

PUBLISHED = Calibration()
AGREEMENT = 0.8
"""IoU of a point's mask and the proposed region from which on the region is not decoded."""


FOLLOWED = 0.9
"""IoU of a region's mask and the region from which on the network's mask is taken."""

LONG = 2.2
"""Ratio of a region's axes from which on it may itself be the mask: the network joins rods side by side."""

REGION_LEAD = 0.03
"""Lead in expected IoU over the network's masks from which on a region is itself the mask."""

SETTLED = 0.7
"""Mean quality of the masks in a proposed region from which on the proposal is skipped."""

DIAMETERS, LENGTHS = 5.0, 2.0
"""Side of the window that is attended to for a region: in diameters of a disc of its area, and, at least, in
lengths of the region."""

STEP = 4
"""Sides of windows are multiples of so many tokens, so that many share a batch."""

LARGEST_SHARE = 0.5
"""Share of the token grid up to which a window is worth cutting out."""


@dataclass(frozen=True)
class Thresholds:
    """Least scores of a mask with one model; 0 or less drops nothing."""

    iou: float
    stability: float

    @classmethod
    def of(cls, settings: AutomaticSettings, calibration: Calibration | None) -> Thresholds:
        """Thresholds of the settings, converted from the published model's scale to another model's."""
        scale = PUBLISHED if calibration is None else calibration
        return cls(
            _converted(settings.pred_iou_thresh, PUBLISHED.iou, scale.iou),
            _converted(settings.stability_score_thresh, PUBLISHED.stability, scale.stability),
        )

    def keep(self, one: FoundObject) -> bool:
        """True if an object is not empty and reaches the thresholds."""
        return (
            one.area > 0
            and (self.iou <= 0 or one.iou > self.iou)
            and (self.stability <= 0 or one.stability >= self.stability)
        )


def _converted(threshold: float, published: float, own: float) -> float:
    """Threshold on a model's scale: 0 stays 0, ``published`` becomes ``own``, and 1 stays 1."""
    if threshold <= published or own == published:
        return threshold * (own / published)
    return own + (threshold - published) / (1 - published) * (1 - own)


@dataclass(frozen=True, eq=False)
class Answer:
    """Mask for proposal ``index``, with its evidence; ``candidate`` is its index among the four.

    ``packed`` is in the image's pixels, ``shape`` the same on the grid of the decoder's logits.
    """

    index: int
    packed: PackedCrop = field(repr=False)
    area: int
    prompts: Prompts = field(repr=False)
    candidate: int
    evidence: Evidence
    shape: MaskCrop = field(repr=False)

    def quality(self, calibration: Calibration) -> float:
        """Expected IoU of the mask."""
        return calibration.quality(self.evidence, by_region=self.prompts.area is not None)


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
    """Decode one mask for each proposal of an encoded region and append those that pass to ``into``.

    The point is decoded first. If its mask differs from the proposed region, the region, its box and the
    point are decoded together, and the better mask is kept. If the network does not follow a long region, as
    where it joins rods side by side, a region of higher quality is itself the mask.

    An object's predicted IoU is the IoU that ``calibration`` expects from the mask's evidence.
    """
    region = Region(plane, embedding.frame.window_yxhw)
    settled = np.zeros(embedding.frame.logits_hw, np.float32)
    done = 0

    def keep(answer: Answer) -> None:
        quality = answer.quality(calibration)
        found = FoundObject(
            answer.packed,
            answer.area,
            quality,
            answer.evidence.stability,
            answer.prompts,
            answer.candidate,
            region,
        )
        # also below the thresholds, so that the same proposals are decoded at all thresholds
        here = settled[answer.shape.region]
        here[answer.shape.mask] = np.maximum(here[answer.shape.mask], quality)
        if thresholds.keep(found):
            into.append(found)

    sure = len(proposals) if proposals.sure is None else proposals.sure
    for chosen in (range(sure), range(sure, len(proposals))):
        open_ = [i for i in chosen if not _is_settled(proposals, i, settled)]
        done += len(chosen) - len(open_)
        doubtful: dict[int, Answer] = {}
        for answers in clicked(predictor, embedding, proposals, open_, settings):
            for answer in answers:
                if answer.evidence.agreement >= AGREEMENT:
                    keep(answer)
                    done += 1
                else:
                    doubtful[answer.index] = answer
            on_decoded(done)
        for answers in outlined(predictor, embedding, proposals, sorted(doubtful), settings):
            for answer in answers:
                best = max(doubtful[answer.index], answer, key=lambda one: one.quality(calibration))
                if answer.evidence.agreement < FOLLOWED and _is_long(proposals, answer.index):
                    itself = _region_itself(answer, proposals)
                    lead = itself.quality(calibration) - best.quality(calibration)
                    best = itself if lead > REGION_LEAD else best
                keep(best)
            done += len(answers)
            on_decoded(done)


def _is_settled(proposals: Proposals, index: int, settled: NDArray[np.float32]) -> bool:
    """Return True if good masks already cover the proposed region."""
    if proposals.regions is None:
        return False
    region = proposals.regions[index]
    return bool(settled[region.region][region.mask].mean() >= SETTLED) if region.area else False


def clicked(
    predictor: Predictor,
    embedding: Embedding,
    proposals: Proposals,
    chosen: Sequence[int],
    settings: AutomaticSettings,
) -> Iterator[list[Answer]]:
    """Decode the best masks for the points of some proposals."""
    every = proposals.prompts()
    asked = [every[index].attending(_within(proposals, index, embedding.frame)) for index in chosen]
    return _answered(predictor, embedding, proposals, chosen, asked, settings)


def outlined(
    predictor: Predictor,
    embedding: Embedding,
    proposals: Proposals,
    chosen: Sequence[int],
    settings: AutomaticSettings,
) -> Iterator[list[Answer]]:
    """Decode masks for some proposals, each by its region, the box around it and its point."""
    asked = [region_prompts(embedding, proposals, index) for index in chosen]
    return _answered(predictor, embedding, proposals, chosen, asked, settings)


def _answered(
    predictor: Predictor,
    embedding: Embedding,
    proposals: Proposals,
    chosen: Sequence[int],
    asked: Sequence[Prompts],
    settings: AutomaticSettings,
) -> Iterator[list[Answer]]:
    """Decode each of the prompts that are asked for some proposals, in batches of windows of one size.

    A mask that meets an edge of its window is decoded again on all image tokens.
    """
    frame = embedding.frame
    # a stable order: windows of one size side by side
    order = sorted(range(len(chosen)), key=lambda place: window_size(asked[place], frame))
    cut_off: list[int] = []

    def answers(places: Sequence[int], prompts: Sequence[Prompts]) -> Iterator[list[Answer]]:
        streamed = predictor.stream(embedding, prompts, _best_mask, batch=settings.points_per_batch)
        for _, candidates in streamed:
            whole = []
            for one in candidates:
                if reaches_edge(prompts[one.index], frame, one.drawn_hw):
                    cut_off.append(places[one.index])
                else:
                    whole.append(one)
            placed = [replace(one, index=chosen[places[one.index]]) for one in whole]
            yield _weighed(placed, [prompts[one.index] for one in whole], proposals, settings)

    yield from answers(order, [asked[place] for place in order])
    again = sorted(cut_off)
    yield from answers(again, [asked[place].attending(None) for place in again])


def _within(proposals: Proposals, index: int, frame: Frame) -> Within | None:
    """Part of the image that is attended to for a proposal; None without a region, or if it is too large."""
    if proposals.regions is None or proposals.regions[index].empty:
        return None
    region = proposals.regions[index]
    diameter = math.sqrt(region.area * 4 / math.pi)
    length = max(DIAMETERS * diameter, LENGTHS * max(region.mask.shape)) / LOGITS_PER_TOKEN
    side = math.ceil(length / STEP) * STEP
    height, width = (min(side, size) for size in frame.grid_hw)
    if height * width > LARGEST_SHARE * frame.grid_hw[0] * frame.grid_hw[1]:
        return None
    window = []
    for start, length, size, tokens in zip(
        region.origin_yx, region.mask.shape, (height, width), frame.grid_hw, strict=True
    ):
        middle = (start + length / 2) / LOGITS_PER_TOKEN
        window.append(min(max(round(middle - size / 2), 0), tokens - size))
    return frame.bounds_of((window[0], window[1], height, width))


def region_prompts(embedding: Embedding, proposals: Proposals, index: int) -> Prompts:
    """A proposal's region, the box around it and its point, in the image's pixels."""
    assert proposals.regions is not None
    frame = embedding.frame
    signs = np.where(proposals.regions[index].to_mask(frame.logits_hw), np.float32(1), np.float32(-1))
    area = threshold_crop(signs, frame)
    point = [proposals.points_yx[index]]
    within = _within(proposals, index, frame)
    if area.empty:
        return Prompts(points_yx=point, labels=[1], within=within)
    # the region as an area, so that corrections start from this answer
    return Prompts(points_yx=point, labels=[1], boxes_yx=[box_around(area)], area=area, within=within)


def _is_long(proposals: Proposals, index: int) -> bool:
    """Return True if a proposed region is a rod: by the axes of the ellipse with its moments."""
    from skimage.measure import regionprops

    if proposals.regions is None or proposals.regions[index].empty:
        return False
    [region] = regionprops(proposals.regions[index].mask.astype(np.uint8))
    return bool(region.axis_major_length >= LONG * max(region.axis_minor_length, 1.0))


def _region_itself(answer: Answer, proposals: Proposals) -> Answer:
    """The proposed region as the mask, with the network's scores for its mask of that region."""
    area = answer.prompts.area
    if area is None or proposals.regions is None:
        return answer
    shape = proposals.regions[answer.index]
    outline, crossing, filled = _by_chances(shape, proposals)
    evidence = replace(answer.evidence, agreement=1.0, outline=outline, crossing=crossing, filled=filled)
    crop = MaskCrop(area.origin_yx, area.mask)
    return replace(answer, packed=PackedCrop.of(crop), area=crop.area, evidence=evidence, shape=shape)


def distinct(
    objects: Sequence[FoundObject], settings: AutomaticSettings, calibration: Calibration
) -> list[FoundObject]:
    """Objects that are no specks and that no better one overlaps too much.

    ``box_nms_thresh`` is the largest share of the smaller mask.
    """
    kept = keep_by_masks(objects, [one.iou for one in objects], settings.box_nms_thresh)
    return without_specks([objects[i] for i in kept], Thresholds.of(settings, calibration).iou)


def _weighed(
    candidates: Sequence[Candidate],
    prompts: Sequence[Prompts],
    proposals: Proposals,
    settings: AutomaticSettings,
) -> list[Answer]:
    if not candidates:
        return []
    # on the decoder's grid, as the proposals
    masks = (stacked(candidates) > 0).cpu().numpy()
    answers = []
    for one, mask, asked, (crop, stability) in zip(
        candidates,
        masks,
        prompts,
        crops_and_stabilities(candidates, offset=settings.stability_score_offset),
        strict=True,
    ):
        shape = MaskCrop.from_mask(mask)
        evidence = Evidence(
            one.iou,
            0.0 if np.isnan(stability) else stability,
            _agreement(mask, one.index, proposals),
            float(proposals.scores[one.index]),
            *_by_chances(shape, proposals),
        )
        answers.append(Answer(one.index, PackedCrop.of(crop), crop.area, asked, one.mask, evidence, shape))
    return answers


def _agreement(mask: NDArray[np.bool_], index: int, proposals: Proposals) -> float:
    """Intersection over union of a mask and the proposed region; 1 if no regions are proposed."""
    if proposals.regions is None:
        return 1.0
    proposed = proposals.regions[index]
    both = np.count_nonzero(mask[proposed.region] & proposed.mask)
    either = np.count_nonzero(mask) + proposed.area - both
    return both / either if either else 0.0


def _by_chances(mask: MaskCrop, proposals: Proposals) -> tuple[float, float, float]:
    """Return the shares of rim on a mask's outline, of rim across its inside, and of filled pixels."""
    if proposals.chances is None:
        return 1.0, 0.0, 1.0
    if mask.empty:
        return 0.0, 0.0, 0.0
    inside, rim = proposals.chances[(slice(None), *mask.region)]
    # the grid's edge is no outline
    within = ndimage.binary_erosion(mask.mask, border_value=0)
    edge = mask.mask & ~within
    for axis, (bounds, size) in enumerate(zip(mask.region, proposals.chances.shape[1:], strict=True)):
        ends = ([0] if bounds.start == 0 else []) + ([-1] if bounds.stop == size else [])
        edge[(slice(None),) * axis + (ends,)] = False
    length = max(1, int(np.count_nonzero(edge)))
    nearby = ndimage.maximum_filter(rim, 3)
    core = ndimage.binary_erosion(within)
    return (
        float(nearby[edge].mean()) if edge.any() else 1.0,
        min(1.0, float(rim[core].sum()) / length),
        float(inside[mask.mask].mean()),
    )


def _best_mask(prompts: Sequence[Prompts], iou_bm: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Choose for each object the mask that the panel would show for a click."""
    chosen = np.zeros(iou_bm.shape, dtype=bool)
    single = np.array([one.is_single for one in prompts])
    best = np.where(single, 1 + np.argmax(iou_bm[:, 1:], axis=1), 0)
    chosen[np.arange(len(prompts)), best] = True
    return chosen
