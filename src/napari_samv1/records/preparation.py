"""Preparation of pixels for a model: part of a checkpoint as much as its weights are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Sizing = Literal["native", "padded", "stretched"]
Resampling = Literal["bilinear", "bicubic"]


@dataclass(frozen=True)
class Preparation:
    """The size, arrangement and value range in which a network was trained to see images.

    ``side`` is the longer side in pixels. ``mean`` and ``std`` are per RGB channel in 0..255 and apply
    unless ``minmax`` is set: then the resized image is stretched to 0..1 instead, between the two
    ``percentiles`` of its values, and clipped.
    ``box_only`` marks a network trained on boxes alone, whose answer is always mask 0.

    Raises
    ------
    ValueError
        If the percentiles are not two in 0..100, the lower one first.
    """

    side: int = 1024
    sizing: Sizing = "native"
    mean: tuple[float, float, float] = (123.675, 116.28, 103.53)
    std: tuple[float, float, float] = (58.395, 57.12, 57.375)
    resampling: Resampling = "bilinear"
    minmax: bool = False
    percentiles: tuple[float, float] = (0.0, 100.0)
    box_only: bool = False

    def __post_init__(self) -> None:
        low, high = self.percentiles
        if not 0 <= low < high <= 100:
            raise ValueError(
                f"percentiles must be two numbers in 0..100, the lower one first, got {self.percentiles}"
            )


PUBLISHED = Preparation()
"""Kirillov et al. 2023: antialiased bilinear, ImageNet mean and standard deviation."""

MEDSAM = Preparation(sizing="stretched", resampling="bicubic", minmax=True, box_only=True)
"""Ma et al. 2024 (MedSAM): stretched to a square, values to 0..1, boxes only."""

BUNDLED = Preparation(side=448, minmax=True, percentiles=(0.1, 99.9))
"""Preparation of the bundled model: percentiles stretch dim images like bright ones, despite hot pixels."""

PREPARATIONS = {"published": PUBLISHED, "medsam": MEDSAM, "bundled": BUNDLED}
"""Preparations that a user can choose for their own checkpoint."""
