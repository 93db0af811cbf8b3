"""One mask that the decoder drew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_samv1.masks.on_device import cut_each
from napari_samv1.records.frame import Frame
from napari_samv1.records.mask_crop import MaskCrop

Drawn = Tensor | NDArray[np.float32]
"""Maps of the decoder: a tensor on its device, or an array."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """Mask that ``Predictor.stream`` drew: number ``mask`` of the four for prompt ``index``.

    ``iou`` is its predicted quality, ``drawn_hw`` the decoder's logits, float32 on the decoder's device.
    """

    index: int
    mask: int
    iou: float
    drawn_hw: Drawn = field(repr=False)
    frame: Frame

    @cached_property
    def logits(self) -> NDArray[np.float32]:
        """The logits, float32 (h, w), brought to the CPU."""
        return on_cpu(self.drawn_hw)

    def crop_and_stability(self, threshold: float = 0.0, offset: float = 1.0) -> tuple[MaskCrop, float]:
        """The mask, and its stability as the threshold moves by ``offset`` either way.

        Both in the image's pixels (Kirillov et al. 2023, appendix B). The stability is NaN where nothing
        lies above either threshold.
        """
        [found] = crops_and_stabilities([self], threshold, offset)
        return found


def crops_and_stabilities(
    candidates: Sequence[Candidate], threshold: float = 0.0, offset: float = 1.0
) -> list[tuple[MaskCrop, float]]:
    """``crop_and_stability`` of candidates of one embedding, all together where a GPU drew them."""
    if not candidates:
        return []
    found = cut_each(
        stacked(candidates), candidates[0].frame, threshold, (threshold + offset, threshold - offset)
    )
    return [
        # single precision, as the published generator divides
        (crop, float(np.float32(smaller) / np.float32(larger)) if larger else float("nan"))
        for crop, (smaller, larger) in found
    ]


def stacked(candidates: Sequence[Candidate]) -> Tensor:
    """The logits of candidates, K h w, on the decoder's device."""
    return torch.stack([torch.as_tensor(one.drawn_hw) for one in candidates])


def on_cpu(drawn: Drawn) -> NDArray[np.float32]:
    """The decoder's maps as an array; those on the CPU are not copied."""
    if isinstance(drawn, np.ndarray):
        return drawn
    maps: NDArray[np.float32] = drawn.cpu().numpy()
    return maps
