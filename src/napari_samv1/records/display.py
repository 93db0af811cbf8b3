"""Display: how pixels become colours, as numbers only."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Channel:
    """One channel as displayed: ``low`` is black, ``high`` is full ``colour``, with ``gamma`` in between.

    ``colour`` is red, green, blue in 0..1. An image that is RGB already is one channel: its three colours
    take the same limits.
    """

    low: float
    high: float
    gamma: float = 1.0
    colour: tuple[float, float, float] = (1.0, 1.0, 1.0)

    def __post_init__(self) -> None:
        low, high, gamma = float(self.low), float(self.high), float(self.gamma)
        if not (math.isfinite(high - low) and low <= high):
            raise ValueError(f"a channel's limits must be finite, the lower one first, got ({low}, {high})")
        if not (math.isfinite(gamma) and gamma > 0):
            raise ValueError(f"gamma must be a positive number, got {self.gamma}")
        colour = tuple(float(value) for value in self.colour)
        if len(colour) != 3 or not all(0 <= value <= 1 for value in colour):
            raise ValueError(f"a channel's colour must be red, green, blue in 0..1, got {self.colour}")
        for name, value in (("low", low), ("high", high), ("gamma", gamma), ("colour", colour)):
            object.__setattr__(self, name, value)


@dataclass(frozen=True)
class Display:
    """The channels of an image as displayed together: their colours are added."""

    channels: tuple[Channel, ...]

    def __post_init__(self) -> None:
        channels = tuple(self.channels)
        if not channels:
            raise ValueError("a display needs at least one channel")
        object.__setattr__(self, "channels", channels)

    @classmethod
    def single(cls, low: float, high: float, gamma: float = 1.0) -> Display:
        """One grey channel, or an RGB image."""
        return cls((Channel(low, high, gamma),))
