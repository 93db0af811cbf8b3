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


def without_specks(objects: Sequence[FoundObject], least: float) -> list[FoundObject]:
    """The objects above their least predicted IoU; ``least`` is that of objects of typical size."""
    wanted = least_ious([one.area for one in objects], least)
    return [one for one, lowest in zip(objects, wanted, strict=True) if least <= 0 or one.iou > lowest]
