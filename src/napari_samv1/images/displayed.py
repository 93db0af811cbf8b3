"""Pixels as 8-bit RGB by the numbers of a display."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_samv1.images.intensity import to_rgb8
from napari_samv1.records.display import Display


def displayed(pixels: NDArray[Any], display: Display) -> NDArray[np.uint8]:
    """Map (H, W), RGB (H, W, 3), or one plane for each of the display's channels (H, W, C) to (H, W, 3).

    Raises
    ------
    ValueError
        If there are not as many planes as channels.
    """
    if len(display.channels) == 1:
        (channel,) = display.channels
        grey = to_rgb8(pixels, (channel.low, channel.high), channel.gamma)
        return grey if channel.colour == (1.0, 1.0, 1.0) else _coloured(grey, channel.colour)
    if pixels.ndim != 3 or pixels.shape[2] != len(display.channels):
        raise ValueError(
            f"a display of {len(display.channels)} channels needs pixels (H, W, {len(display.channels)}), "
            f"got {pixels.shape}"
        )
    total = np.zeros((*pixels.shape[:2], 3), dtype=np.uint16)
    for index, channel in enumerate(display.channels):
        grey = to_rgb8(pixels[..., index], (channel.low, channel.high), channel.gamma)
        total += _coloured(grey, channel.colour)
    return np.minimum(total, 255).astype(np.uint8)


def _coloured(grey: NDArray[np.uint8], colour: tuple[float, float, float]) -> NDArray[np.uint8]:
    coloured: NDArray[np.uint8] = (grey * np.asarray(colour, dtype=np.float32) + 0.5).astype(np.uint8)
    return coloured
