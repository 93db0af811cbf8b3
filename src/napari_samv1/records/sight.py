"""Sight: the channels and limits by which the model sees an image."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

SeenChannels = Literal["layer", "visible"]
LimitRule = Literal["displayed", "plane", "stack", "fixed"]

DEFAULT_PERCENTILES = (0.1, 99.9)


@dataclass(frozen=True)
class Sight:
    """Channels of an image for the model, and their limits.

    ``channels`` is the annotated layer alone, in grey, or all visible images at its place, in their colours.
    ``limits`` are the displayed limits, the ``percentiles`` of the plane or of the whole stack, or the
    ``fixed`` numbers; all channels share the fixed ones, otherwise each has its own.
    """

    channels: SeenChannels = "layer"
    limits: LimitRule = "displayed"
    percentiles: tuple[float, float] = DEFAULT_PERCENTILES
    fixed: tuple[float, float] = (0.0, 255.0)

    def __post_init__(self) -> None:
        if self.channels not in get_args(SeenChannels):
            raise ValueError(f"channels must be one of {get_args(SeenChannels)}, got {self.channels!r}")
        if self.limits not in get_args(LimitRule):
            raise ValueError(f"limits must be one of {get_args(LimitRule)}, got {self.limits!r}")
        percentiles, fixed = _pair(self.percentiles), _pair(self.fixed)
        if not 0 <= percentiles[0] < percentiles[1] <= 100:
            raise ValueError(f"percentiles must be in 0..100, the lower one first, got {self.percentiles}")
        if not (math.isfinite(fixed[1] - fixed[0]) and fixed[0] < fixed[1]):
            raise ValueError(f"fixed limits must be finite, the lower one first, got {self.fixed}")
        object.__setattr__(self, "percentiles", percentiles)
        object.__setattr__(self, "fixed", fixed)


def _pair(values: tuple[float, float]) -> tuple[float, float]:
    low, high = values
    return float(low), float(high)


AS_DISPLAYED = Sight()
"""The annotated layer alone, between its contrast limits."""
