"""The magic wand: selection by colour, to compare with the network's."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from napari_samv1.images.intensity import Intensity, to_rgb8


def magic_wand(
    image: ArrayLike,
    seed_yx: tuple[float, float],
    tolerance: float,
    *,
    intensity: Intensity = None,
    gamma: float = 1.0,
) -> NDArray[np.bool_]:
    """Pixels connected to the seed whose colour differs by at most ``tolerance`` of 255: (H, W).

    The colour is that of 8 bits after ``intensity`` and ``gamma``; a pixel's difference is that of its most
    different channel, and pixels are connected through their sides.

    Raises
    ------
    ValueError
        If the seed lies outside of the image or the tolerance is negative.
    """
    rgb8 = to_rgb8(image, intensity, gamma)
    row, column = (int(np.floor(at + 0.5)) for at in seed_yx)
    height, width = rgb8.shape[:2]
    if not (0 <= row < height and 0 <= column < width):
        raise ValueError(f"the seed must lie on the image of {height} x {width} pixels, got {seed_yx}")
    if tolerance < 0:
        raise ValueError(f"the tolerance must not be negative, got {tolerance}")
    difference = np.abs(rgb8.astype(np.int16) - rgb8[row, column].astype(np.int16)).max(axis=2)
    pieces, _ = ndimage.label(difference <= tolerance)
    touched: NDArray[np.bool_] = pieces == pieces[row, column]
    return touched
