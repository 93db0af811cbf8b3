"""Specks of dust: objects much smaller than the others need a higher predicted IoU."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_samv1.engine.automatic.found import FoundObject

SMALL_SHARE = 0.5
"""Share of the median area below which an object counts as small."""

PER_HALVING, MOST = 0.4, 0.5
"""Rise of the least predicted IoU towards 1 for each further halving of the area, and at most."""

FEWEST = 5
"""Number of objects from which on their median area is a typical one."""


def least_ious(areas: ArrayLike, least: float) -> NDArray[np.float64]:
    """Least predicted IoU of each of N objects with ``areas`` (N,): ``least``, or more for small ones."""
    areas = np.maximum(np.asarray(areas, dtype=np.float64), 1.0)
    if least <= 0 or len(areas) < FEWEST:
        return np.full(len(areas), least)
    halvings = np.log2(np.maximum(SMALL_SHARE * np.median(areas) / areas, 1.0))
    return np.asarray(least + (1 - least) * np.minimum(PER_HALVING * halvings, MOST))


def are_no_specks(ious: ArrayLike, areas: ArrayLike, least: float) -> NDArray[np.bool_]:
    """Return True for each of N objects above its least predicted IoU; a ``least`` of 0 drops none."""
    above = np.asarray(ious, dtype=np.float64) > least_ious(areas, least)
    return np.asarray(above | (least <= 0))


def without_specks(objects: Sequence[FoundObject], least: float) -> list[FoundObject]:
    """The objects above their least predicted IoU; ``least`` is that of objects of typical size."""
    kept = are_no_specks([one.iou for one in objects], [one.area for one in objects], least)
    return [one for one, is_kept in zip(objects, kept, strict=True) if is_kept]
