"""Stability: how little a mask changes as its threshold moves."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from napari_samv1.masks.resize import Placement
from napari_samv1.masks.threshold import areas_above


def stability_score(logits_hw: ArrayLike, threshold: float = 0.0, offset: float = 1.0) -> float:
    """area(logits > threshold + offset) / area(logits > threshold - offset), of logits as they are.

    0 for a mask that is empty at both (Kirillov et al. 2023, appendix B).
    """
    logits = np.asarray(logits_hw)
    smaller, larger = (np.count_nonzero(logits > threshold + sign * offset) for sign in (1, -1))
    return smaller / larger if larger else 0.0


def stability_on_image(
    logits_hw: ArrayLike, placement: Placement, threshold: float = 0.0, offset: float = 1.0
) -> float:
    """The stability of the decoder's logits (h, w) counted at the image's resolution, without padding.

    The published definition exactly, and only blocks that an outline crosses are computed for it.
    """
    smaller, larger = areas_above(logits_hw, placement, (threshold + offset, threshold - offset))
    return smaller / larger if larger else 0.0
