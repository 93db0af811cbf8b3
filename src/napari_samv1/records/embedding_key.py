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
    ``device`` those of the encoder. A region's pixels are stretched between ``limits``, in 8-bit values;
    None if the limits were found in the pixels themselves, or nothing is stretched. ``display`` describes the
    composition of several channels, or of one in colours, in place of ``intensity`` and ``gamma``, which are
    then None and 1.
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
