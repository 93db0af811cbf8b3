"""Divide a mask between places in it, along its necks."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter
from skimage.measure import label
from skimage.segmentation import watershed

from napari_samv1.records.mask_crop import EMPTY, MaskCrop

REACH = 2  # pixels searched on each side for a higher one


def divide(mask: MaskCrop, places_yx: Iterable[ArrayLike]) -> list[MaskCrop]:
    """Divide all pixels of a mask between the places inside of it: one part for each place.

    A watershed of the distance to the background, so that parts meet where the mask is narrow; parts of
    places on one hill of the distance meet halfway. A place outside of the mask gets an empty part.
    """
    places_yx = list(places_yx)
    # padded, so that the crop's edge is background as well
    depth = gaussian_filter(distance_transform_edt(np.pad(mask.mask, 1)), 1.0)[1:-1, 1:-1]
    seeds, peaks = np.zeros(mask.mask.shape, dtype=np.int32), []
    for number, place in enumerate(places_yx, start=1):
        pixel = _pixel_in(mask, place)
        if pixel is not None and not seeds[pixel]:
            seeds[pixel] = number
            peaks.append((_peak(depth, pixel), number))
    if not peaks:
        return [EMPTY for _ in places_yx]
    surface = np.zeros_like(depth)
    if len({peak for peak, _ in peaks}) == len(peaks):
        # each hill holds one place, and belongs to it however far from the top the place lies
        surface = -depth
        for peak, number in peaks:
            seeds[peak] = seeds[peak] or number
    parts = watershed(surface, seeds, mask=mask.mask)
    _give_islands_to_the_nearest(parts, mask.mask)
    return [MaskCrop.from_mask(parts == number, mask.origin_yx) for number in range(1, len(places_yx) + 1)]


def share_a_piece(mask: MaskCrop, places_yx: Iterable[ArrayLike]) -> bool:
    """Return True if one piece of a mask holds two of the places."""
    pieces = label(mask.mask, connectivity=2)
    pixels = [pixel for place in places_yx if (pixel := _pixel_in(mask, place)) is not None]
    return len({int(pieces[pixel]) for pixel in pixels}) < len(pixels)


def _pixel_in(mask: MaskCrop, place_yx: ArrayLike) -> tuple[int, int] | None:
    """Pixel of a mask's crop at a place; None outside of the mask."""
    y, x = (int(at) for at in np.floor(np.asarray(place_yx) + 0.5) - mask.origin_yx)
    inside = 0 <= y < mask.mask.shape[0] and 0 <= x < mask.mask.shape[1]
    return (y, x) if inside and mask.mask[y, x] else None


def _peak(depth: NDArray[np.float64], pixel: tuple[int, int]) -> tuple[int, int]:
    """Top of the hill that a pixel lies on, past ripples of a pixel or two."""
    while True:
        top, left = max(pixel[0] - REACH, 0), max(pixel[1] - REACH, 0)
        around = depth[top : pixel[0] + REACH + 1, left : pixel[1] + REACH + 1]
        row, column = divmod(int(around.argmax()), around.shape[1])
        if around[row, column] <= depth[pixel]:
            return pixel
        pixel = top + row, left + column


def _give_islands_to_the_nearest(parts: NDArray[np.int32], mask: NDArray[np.bool_]) -> None:
    islands = label(mask & (parts == 0), connectivity=2)
    if not islands.any():
        return
    distance, nearest = distance_transform_edt(parts == 0, return_indices=True)
    for number in range(1, int(islands.max()) + 1):
        rows, columns = np.nonzero(islands == number)
        closest = int(distance[rows, columns].argmin())
        row, column = nearest[:, rows[closest], columns[closest]]
        parts[rows, columns] = parts[row, column]
