"""EmbeddingKey: everything that an embedding depends on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from napari_samv1.records.display import Display
from napari_samv1.records.frame import Frame
from napari_samv1.records.preparation import Preparation


@dataclass(frozen=True)
class EmbeddingKey:
    """Everything that an embedding depends on: equal keys mean equal tokens on the same machine.

    ``pixels`` is the XXH3-128 of the prepared input, ``weights`` the sha256 of the checkpoint, ``dtype`` and
    ``device`` what the encoder ran in and on. ``limits`` are the 8-bit values that a region's pixels are
    stretched between; None where they were found in the pixels themselves, or nothing is stretched.
    ``display`` is how several channels, or one in colours, were composed: its numbers take the place of
    ``intensity`` and ``gamma``, which are None and 1.
    """

    pixels: str
    weights: str
    preparation: Preparation
    frame: Frame
    intensity: Any  # an images.intensity.Intensity
    gamma: float
    dtype: str
    device: str
    limits: tuple[float, float] | None = None
    display: Display | None = None
