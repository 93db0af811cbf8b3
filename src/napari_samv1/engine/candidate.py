"""One mask of the decoder that was worth drawing."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from napari_samv1.masks.resize import Placement
from napari_samv1.masks.threshold import cut_and_areas
from napari_samv1.records.frame import Frame
from napari_samv1.records.mask_crop import MaskCrop


@dataclass(frozen=True, eq=False)
class Candidate:
    """A mask that ``Predictor.stream`` drew: of prompt ``index``, the one of its four masks at ``mask``.

    ``iou`` is its predicted quality, ``logits`` float32 (h, w).
    """

    index: int
    mask: int
    iou: float
    logits: NDArray[np.float32] = field(repr=False)
    frame: Frame

    @property
    def placement(self) -> Placement:
        """Where the logits lie on the image."""
        frame = self.frame
        return Placement(frame.image_hw, frame.window_yxhw, frame.resized_hw, frame.input_hw)

    def crop_and_stability(self, threshold: float = 0.0, offset: float = 1.0) -> tuple[MaskCrop, float]:
        """The mask, and how little it changes as the threshold moves by ``offset`` either way.

        Both in the image's pixels (Kirillov et al. 2023, appendix B). The stability is NaN where nothing
        lies above either threshold.
        """
        crop, (smaller, larger) = cut_and_areas(
            self.logits, self.placement, threshold, (threshold + offset, threshold - offset)
        )
        # single precision, as the published generator divides
        return crop, float(np.float32(smaller) / np.float32(larger)) if larger else float("nan")
