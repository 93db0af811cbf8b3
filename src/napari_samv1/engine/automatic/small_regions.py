"""Small holes filled and small islands dropped, as the published generator does it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import label

from napari_samv1.engine.automatic.found import FoundObject
from napari_samv1.engine.automatic.overlap import keep_by_boxes
from napari_samv1.masks.packed import PackedCrop
from napari_samv1.records.automatic import AutomaticSettings
from napari_samv1.records.mask_crop import MaskCrop

_EIGHT = np.ones((3, 3), dtype=bool)


def without_small_regions(
    objects: Sequence[FoundObject], settings: AutomaticSettings, image_hw: tuple[int, int]
) -> list[FoundObject]:
    """Clean every object and drop duplicates by box again; of duplicates, unchanged ones are preferred.

    Scores are not computed again.
    """
    cleaned = [clean(one, settings.min_mask_region_area, image_hw) for one in objects]
    kept = keep_by_boxes(
        [one.box for one in cleaned],
        [float(new is old) for new, old in zip(cleaned, objects, strict=True)],
        max(settings.box_nms_thresh, settings.crop_nms_thresh),
    )
    return [cleaned[i] for i in kept]


def clean(one: FoundObject, least_area: int, image_hw: tuple[int, int]) -> FoundObject:
    """Object without holes and islands below ``least_area`` pixels; the same object if it has none."""
    if not one.area:
        return one
    crop = one.crop
    cleaned = drop_islands(fill_holes(crop, least_area, image_hw), least_area)
    if cleaned is crop:
        return one
    return replace(one, packed=PackedCrop.of(cleaned), area=cleaned.area)


def fill_holes(crop: MaskCrop, least_area: int, image_hw: tuple[int, int]) -> MaskCrop:
    """Fill pieces of background (8 neighbours) below ``least_area`` pixels, also at the image's edge."""
    height, width = image_hw
    # one pixel around the mask stands for the rest of the image, unless the rest is small
    rows = _widened(crop.region[0], height, width, least_area)
    columns = _widened(crop.region[1], width, rows.stop - rows.start, least_area)
    mask = crop.within((rows, columns))
    regions, count = label(~mask, _EIGHT)
    areas = np.bincount(regions.ravel(), minlength=count + 1)
    areas[0] = least_area
    beyond = (
        (regions[0, 0], rows.start * width),
        (regions[-1, 0], (height - rows.stop) * width),
        (regions[0, 0], columns.start * len(mask)),
        (regions[0, -1], (width - columns.stop) * len(mask)),
    )
    for region, pixels in beyond:
        if pixels:
            areas[region] += pixels
    small = areas < least_area
    if not small.any():
        return crop
    return MaskCrop.from_mask(mask | small[regions], (rows.start, columns.start))


def _widened(extent: slice, size: int, across: int, least_area: int) -> slice:
    """Widen an extent by one pixel, or to the image's edge if fewer than ``least_area`` pixels lie beyond."""
    start, stop = max(0, extent.start - 1), min(size, extent.stop + 1)
    return slice(
        0 if start * across < least_area else start,
        size if (size - stop) * across < least_area else stop,
    )


def drop_islands(crop: MaskCrop, least_area: int) -> MaskCrop:
    """Drop pieces (8 neighbours) below ``least_area`` pixels; if all are so small, the largest stays."""
    pieces, count = label(crop.mask, _EIGHT)
    areas = np.bincount(pieces.ravel(), minlength=count + 1)
    kept: NDArray[np.bool_] = areas >= least_area
    kept[0] = False
    if kept[1:].all():
        return crop
    if not kept.any():
        kept[1 + int(np.argmax(areas[1:]))] = True
    return MaskCrop.from_mask(kept[pieces], crop.origin_yx)
