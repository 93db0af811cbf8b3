"""Pixels as 8-bit RGB by the numbers of a display."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_samv1.images.intensity import to_rgb8
from napari_samv1.records.display import Blending, Channel, Display, Paint

BLOCK_PIXELS = 1 << 18  # a large image never has a wide copy

Floats = NDArray[np.float32]


def displayed(pixels: NDArray[Any], display: Display) -> NDArray[np.uint8]:
    """Map (H, W), RGB (H, W, 3), or the planes of the display's channels (H, W, C) to (H, W, 3).

    An RGB channel takes three of the C planes, any other channel one.

    Raises
    ------
    ValueError
        If the number of planes does not fit the channels.
    """
    if display.is_single:
        (channel,) = display.channels
        return to_rgb8(pixels, (channel.low, channel.high), channel.gamma)
    planes = pixels[..., np.newaxis] if pixels.ndim == 2 else pixels
    count = sum(3 if channel.rgb else 1 for channel in display.channels)
    if planes.ndim != 3 or planes.shape[2] != count:
        raise ValueError(
            f"a display of {len(display.channels)} channels needs pixels (H, W, {count}), got {pixels.shape}"
        )
    shown = np.empty((*planes.shape[:2], 3), dtype=np.uint8)
    rows = max(1, BLOCK_PIXELS // planes.shape[1])
    for top in range(0, len(planes), rows):
        shown[top : top + rows] = _composed(planes[top : top + rows], display)
    return shown


def colour_table(paint: Paint) -> Floats:
    """Colours of a paint at 256 values from the lower limit to the upper one: (256, 4)."""
    stops = np.asarray(paint.colours, dtype=np.float32)
    at = np.linspace(0, len(stops) - 1, 256)
    table = np.stack([np.interp(at, np.arange(len(stops)), column) for column in stops.T], axis=1)
    return table.astype(np.float32)


def _composed(planes: NDArray[Any], display: Display) -> NDArray[np.uint8]:
    shown: Floats = np.zeros((*planes.shape[:2], 3), dtype=np.float32)
    first = 0
    for number, channel in enumerate(display.channels):
        width = 3 if channel.rgb else 1
        colours, opacity = _coloured(planes[..., first : first + width], channel)
        shown = _blended(shown, colours, opacity, channel.paint.blending, is_lowest=number == 0)
        first += width
    return (np.clip(shown, 0, 1) * 255 + 0.5).astype(np.uint8)


def _coloured(planes: NDArray[Any], channel: Channel) -> tuple[Floats, Floats]:
    """Colours (H, W, 3) and opacity (H, W, 1) of a channel's pixels."""
    limits = channel.low, channel.high
    if channel.rgb:
        rgb: Floats = to_rgb8(planes, limits, channel.gamma).astype(np.float32) / np.float32(255)
        return rgb, np.full((*rgb.shape[:2], 1), channel.paint.opacity, dtype=np.float32)
    grey = to_rgb8(planes[..., 0], limits, channel.gamma)[..., 0]
    table = colour_table(channel.paint)
    table[:, 3] *= channel.paint.opacity
    colours: Floats = table[grey]
    return colours[..., :3], colours[..., 3:]


def _blended(
    beneath: Floats, colours: Floats, opacity: Floats, blending: Blending, *, is_lowest: bool
) -> Floats:
    """Blend a layer with the layers beneath as napari does; the lowest one lies on black."""
    if is_lowest:
        return colours if blending == "minimum" else colours * opacity
    if blending == "opaque":
        return colours
    if blending == "additive":
        return np.minimum(beneath + colours * opacity, 1)
    if blending == "minimum":
        return np.minimum(beneath, colours)
    if blending == "multiplicative":
        return beneath * colours
    return colours * opacity + beneath * (1 - opacity)
