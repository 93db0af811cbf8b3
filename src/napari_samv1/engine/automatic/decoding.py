"""Prompts -> the objects that pass the filters, batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from napari_samv1.engine.automatic.found import FoundObject
from napari_samv1.engine.candidate import crops_and_stabilities
from napari_samv1.engine.embedding import Embedding
from napari_samv1.engine.predictor import Choose, Predictor
from napari_samv1.masks.packed import PackedCrop
from napari_samv1.records.automatic import AutomaticSettings
from napari_samv1.records.place import Plane, Region
from napari_samv1.records.prompts import Prompts

OnDecoded = Callable[[int], None]


def decode(
    predictor: Predictor,
    embedding: Embedding,
    prompts: Sequence[Prompts],
    choose: Choose,
    settings: AutomaticSettings,
    on_decoded: OnDecoded,
    *,
    stability_thresh: float,
    plane: Plane,
    into: list[FoundObject],
) -> None:
    """Decode prompts on one embedding and append the stable masks to ``into``.

    ``on_decoded(n)`` is called after each batch and may raise; the list keeps its objects.
    """
    region = Region(plane, embedding.frame.window_yxhw)
    threshold = np.float32(stability_thresh)
    for done, candidates in predictor.stream(embedding, prompts, choose, batch=settings.points_per_batch):
        found = crops_and_stabilities(candidates, offset=settings.stability_score_offset)
        for one, (crop, stability) in zip(candidates, found, strict=True):
            # NaN, the stability of an empty mask, reaches no threshold
            if threshold > 0 and not stability >= threshold:
                continue
            into.append(
                FoundObject(
                    PackedCrop.of(crop), crop.area, one.iou, stability, prompts[one.index], one.mask, region
                )
            )
        on_decoded(done)
