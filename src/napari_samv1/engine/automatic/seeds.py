"""One prompt for each proposed object: decoded, filtered, and the lesser of two that overlap dropped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_samv1.engine.automatic.decoding import OnDecoded, decode
from napari_samv1.engine.automatic.found import FoundObject
from napari_samv1.engine.automatic.overlap import keep_by_masks
from napari_samv1.engine.automatic.proposals import Calibration, Proposals
from napari_samv1.engine.embedding import Embedding
from napari_samv1.engine.predictor import Choose, Predictor
from napari_samv1.masks.choose import best_index
from napari_samv1.records.automatic import AutomaticSettings
from napari_samv1.records.place import Plane
from napari_samv1.records.prompts import Prompts

PUBLISHED = Calibration()


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


def decode_seeds(
    predictor: Predictor,
    embedding: Embedding,
    proposals: Proposals,
    thresholds: Thresholds,
    settings: AutomaticSettings,
    on_decoded: OnDecoded,
    *,
    plane: Plane,
    into: list[FoundObject],
) -> None:
    """Decode one mask for each proposal of an encoded region and put those that pass ``into`` a list."""
    decode(
        predictor,
        embedding,
        proposals.prompts(),
        _best_above(thresholds.iou),
        settings,
        on_decoded,
        stability_thresh=thresholds.stability,
        plane=plane,
        into=into,
    )


def without_doubles(objects: Sequence[FoundObject], settings: AutomaticSettings) -> list[FoundObject]:
    """The objects that no better one overlaps by more than ``box_nms_thresh`` of the smaller mask."""
    return [objects[i] for i in keep_by_masks(objects, [one.iou for one in objects], settings.box_nms_thresh)]


def _best_above(threshold: float) -> Choose:
    """The mask that a click would show, where its predicted IoU is above the threshold."""

    def choose(prompts: Sequence[Prompts], iou_bm: NDArray[np.float32]) -> NDArray[np.bool_]:
        chosen = np.zeros(iou_bm.shape, dtype=bool)
        for row, (one, iou) in enumerate(zip(prompts, iou_bm, strict=True)):
            best = best_index(iou, ambiguous=one.is_single)
            chosen[row, best] = threshold <= 0 or iou[best] > threshold
        return chosen

    return choose
