"""Display: the numbers by which pixels become colours."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

Colour = tuple[float, float, float, float]
"""Red, green, blue and opacity, each in 0..1."""

Blending = Literal["opaque", "translucent", "additive", "minimum", "multiplicative"]

ProjectionMode = Literal["mean", "max", "min", "sum"]

GREY: tuple[Colour, ...] = ((0.0, 0.0, 0.0, 1.0), (1.0, 1.0, 1.0, 1.0))


@dataclass(frozen=True)
class Paint:
    """Colours of a channel, and their blending with the channels beneath.

    ``colours`` are evenly spaced from the channel's lower limit to its upper one, and mixed in between.
    ``blending`` and ``opacity`` are those of napari; the lowest channel lies on black.
    """

    colours: tuple[Colour, ...] = GREY
    blending: Blending = "translucent"
    opacity: float = 1.0

    def __post_init__(self) -> None:
        try:
            colours = tuple(tuple(float(value) for value in colour) for colour in self.colours)
        except TypeError:
            colours = ()
        if len(colours) < 2 or not all(
            len(colour) == 4 and all(0 <= value <= 1 for value in colour) for colour in colours
        ):
            raise ValueError(
                f"a channel needs two or more colours (red, green, blue, opacity in 0..1), got {self.colours}"
            )
        if self.blending not in get_args(Blending):
            raise ValueError(f"blending must be one of {get_args(Blending)}, got {self.blending!r}")
        if not 0 <= self.opacity <= 1:
            raise ValueError(f"opacity must be in 0..1, got {self.opacity}")
        object.__setattr__(self, "colours", colours)
        object.__setattr__(self, "opacity", float(self.opacity))


PLAIN = Paint()
"""Black to white, over the channels beneath."""


@dataclass(frozen=True)
class Slab:
    """Slices along an axis of the image, ``start`` to before ``stop``, counted from the annotated one."""

    axis: int
    start: int
    stop: int

    def __post_init__(self) -> None:
        if self.axis < 0 or not self.start < self.stop:
            raise ValueError(
                f"a slab needs an axis of 0 or more, and its first slice before its stop, got {self}"
            )


@dataclass(frozen=True)
class Projection:
    """Slices that are shown as one: by their mean, maximum, minimum or sum."""

    mode: ProjectionMode
    slabs: tuple[Slab, ...]

    def __post_init__(self) -> None:
        slabs = tuple(self.slabs)
        if self.mode not in get_args(ProjectionMode):
            raise ValueError(f"mode must be one of {get_args(ProjectionMode)}, got {self.mode!r}")
        if not slabs or len({slab.axis for slab in slabs}) < len(slabs):
            raise ValueError(f"a projection needs one slab or more, each along its own axis, got {slabs}")
        object.__setattr__(self, "slabs", slabs)

    def __str__(self) -> str:
        counts = " x ".join(str(slab.stop - slab.start) for slab in self.slabs)
        return f"{self.mode} of {counts} slices"


@dataclass(frozen=True)
class Channel:
    """One channel as displayed: its colours go from ``low`` to ``high``, by ``gamma`` in between.

    An ``rgb`` image is one channel: its three colours share the limits, and only blending and opacity of the
    paint count. ``pixels`` is the hash of the channel's plane, "" for the annotated plane alone. In a thick
    slice, ``projection`` names the slices.
    """

    low: float
    high: float
    gamma: float = 1.0
    paint: Paint = PLAIN
    rgb: bool = False
    pixels: str = ""
    projection: Projection | None = None

    def __post_init__(self) -> None:
        low, high, gamma = float(self.low), float(self.high), float(self.gamma)
        if not (math.isfinite(high - low) and low <= high):
            raise ValueError(f"a channel's limits must be finite, the lower one first, got ({low}, {high})")
        if not (math.isfinite(gamma) and gamma > 0):
            raise ValueError(f"gamma must be a positive number, got {self.gamma}")
        for name, value in (("low", low), ("high", high), ("gamma", gamma)):
            object.__setattr__(self, name, value)


@dataclass(frozen=True)
class Display:
    """The channels of an image as displayed together, the lowest first."""

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

    @property
    def is_single(self) -> bool:
        """True for one channel of the annotated image that limits and gamma describe completely."""
        first, *others = self.channels
        return not others and (first.paint, first.pixels, first.projection) == (PLAIN, "", None)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; a single channel keeps its first form, by which cached embeddings are found."""
        if not self.is_single:
            return asdict(self)
        (channel,) = self.channels
        numbers = {"low": channel.low, "high": channel.high, "gamma": channel.gamma}
        return {"channels": [{**numbers, "colour": (1.0, 1.0, 1.0)}]}
