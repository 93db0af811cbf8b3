"""Duplicates: of several masks of one object, the best one is kept."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from napari_samv1.engine.automatic.found import FoundObject


def keep_by_boxes(boxes_yx: ArrayLike, scores: ArrayLike, threshold: float) -> list[int]:
    """Indices of the boxes (N, 4) that no better one overlaps by an IoU above ``threshold``, the best first.

    As in the published generator, sides are last minus first, in single precision, and of equal scores the
    earlier is better.
    """
    boxes = np.asarray(boxes_yx, dtype=np.float32).reshape(-1, 4)
    order = np.argsort(-np.asarray(scores, dtype=np.float32), kind="stable")
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    open_ = np.ones(len(boxes), dtype=bool)
    kept = []
    for place, index in enumerate(order):
        if not open_[index]:
            continue
        kept.append(int(index))
        rest = order[place + 1 :]
        rest = rest[open_[rest]]
        first = np.maximum(boxes[index, :2], boxes[rest, :2])
        last = np.minimum(boxes[index, 2:], boxes[rest, 2:])
        shared = np.clip(last - first, 0, None).prod(axis=1)
        with np.errstate(invalid="ignore"):
            iou = shared / (areas[index] + areas[rest] - shared)
        # in double precision: 0.7 in single precision is less than 0.7
        open_[rest[iou.astype(np.float64) > threshold]] = False
    return kept


def keep_by_masks(objects: Sequence[FoundObject], scores: ArrayLike, threshold: float) -> list[int]:
    """Indices of the objects that no better one overlaps by more than ``threshold`` of the smaller mask.

    The best come first; ties are broken by the objects' places, so that the order of input does not matter.
    """
    values = np.asarray(scores, dtype=np.float64)
    order = sorted(range(len(objects)), key=lambda i: (-values[i], objects[i].box, objects[i].point_yx))
    boxes = np.array([one.box for one in objects], dtype=np.int64).reshape(-1, 4)
    kept: list[int] = []
    kept_boxes = np.zeros((len(objects), 4), dtype=np.int64)
    for index in order:
        y0, x0, y1, x1 = boxes[index]
        better = kept_boxes[: len(kept)]
        near = (better[:, 0] <= y1) & (better[:, 2] >= y0) & (better[:, 1] <= x1) & (better[:, 3] >= x0)
        if any(_share(objects[index], objects[kept[i]]) > threshold for i in np.flatnonzero(near)):
            continue
        kept_boxes[len(kept)] = boxes[index]
        kept.append(index)
    return kept


def _share(one: FoundObject, other: FoundObject) -> float:
    """Share of the smaller mask that lies in both."""
    smaller, larger = sorted((one, other), key=lambda x: x.area)
    if not smaller.area:
        return 0.0
    crop = smaller.crop
    return np.count_nonzero(crop.mask & larger.crop.within(crop.region)) / smaller.area
