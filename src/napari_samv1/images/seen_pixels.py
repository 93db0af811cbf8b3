"""SeenPixels: the pixels of a plane, read, and how a model is to see them."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from napari_samv1.images.intensity import Intensity
from napari_samv1.records.display import Display


@dataclass(frozen=True, eq=False)
class SeenPixels:
    """Pixels, intensity and gamma as ``Predictor.embed`` takes them.

    Of channels that were composed, ``pixels`` are the 8-bit RGB that ``display`` made. ``hashes`` are those
    of the planes that were read, by their keys.
    """

    pixels: NDArray[Any] = field(repr=False)
    intensity: Intensity
    gamma: float
    display: Display | None = None
    hashes: Mapping[Hashable, str] = field(default_factory=dict)
