"""Stability: how little a mask changes as its threshold moves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_samv1.masks.on_device import areas_of_each
from napari_samv1.records.frame import Frame

if TYPE_CHECKING:
    from torch import Tensor


def stability_score(logits_hw: ArrayLike, threshold: float = 0.0, offset: float = 1.0) -> float:
    """area(logits > threshold + offset) / area(logits > threshold - offset), without resizing.

    0 for a mask that is empty at both (Kirillov et al. 2023, appendix B).
    """
    logits = np.asarray(logits_hw)
    smaller, larger = (np.count_nonzero(logits > threshold + sign * offset) for sign in (1, -1))
    return smaller / larger if larger else 0.0


def stability_of_each(
    logits_khw: Tensor | NDArray[np.float32],
    frame: Frame,
    threshold: float = 0.0,
    offset: float = 1.0,
) -> list[float]:
    """Stability of K logit maps on any device, counted in the image without padding.

    Exactly the published definition, computed only in blocks that an outline crosses.
    """
    areas = areas_of_each(logits_khw, frame, (threshold + offset, threshold - offset))
    return [smaller / larger if larger else 0.0 for smaller, larger in areas]
