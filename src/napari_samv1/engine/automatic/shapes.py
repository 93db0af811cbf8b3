"""Size, roundness and place of found objects, and the filter that settings make of them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from napari_samv1.engine.automatic.found import FoundObject
from napari_samv1.records.automatic import AutomaticSettings
from napari_samv1.records.mask_crop import MaskCrop

BLUR_PIXELS = 0.7


def roundness(crop: MaskCrop) -> float:
    """4 pi times a mask's area over its squared perimeter: 1 for a disc, pi / 4 for a square; 0 to 1.

    The perimeter is that of the half-way contour of the slightly blurred mask, because the steps of a pixel
    outline are longer than the outline itself.
    """
    from scipy.ndimage import gaussian_filter
    from skimage.measure import find_contours

    if crop.empty:
        return 0.0
    blurred = gaussian_filter(np.pad(crop.mask, 4).astype(np.float64), BLUR_PIXELS)
    contours = find_contours(blurred, 0.5)
    around = sum(float(np.linalg.norm(np.diff(one, axis=0), axis=1).sum()) for one in contours)
    return min(1.0, 4 * math.pi * crop.area / around**2) if around > 0 else 1.0


def at_border(one: FoundObject, image_hw: tuple[int, int]) -> bool:
    """Return True if an object has a pixel in the image's first or last row or column."""
    y0, x0, y1, x1 = one.box
    return one.area > 0 and (y0 == 0 or x0 == 0 or y1 == image_hw[0] - 1 or x1 == image_hw[1] - 1)


def wanted_shapes(
    objects: Sequence[FoundObject], settings: AutomaticSettings, image_hw: tuple[int, int]
) -> list[FoundObject]:
    """The objects whose size, roundness and place the settings ask for."""
    if not settings.asks_for_shapes:
        return list(objects)
    return [one for one in objects if _is_wanted(one, settings, image_hw)]


def _is_wanted(one: FoundObject, settings: AutomaticSettings, image_hw: tuple[int, int]) -> bool:
    return (
        settings.min_area <= one.area
        and (not settings.max_area or one.area <= settings.max_area)
        and (settings.keep_border or not at_border(one, image_hw))
        and (not settings.min_roundness or roundness(one.crop) >= settings.min_roundness)
    )
