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
    """Every object cleaned, then doubles by their boxes dropped once more: unchanged ones are kept first.

    Scores stay what they were.
    """
    cleaned = [clean(one, settings.min_mask_region_area, image_hw) for one in objects]
    kept = keep_by_boxes(
        [one.box for one in cleaned],
        [float(new is old) for new, old in zip(cleaned, objects, strict=True)],
        max(settings.box_nms_thresh, settings.crop_nms_thresh),
    )
    return [cleaned[i] for i in kept]


def clean(one: FoundObject, least_area: int, image_hw: tuple[int, int]) -> FoundObject:
    """An object without holes and islands of fewer pixels; the same one where there are none."""
    if not one.area:
        return one
    crop = one.crop
    cleaned = drop_islands(fill_holes(crop, least_area, image_hw), least_area)
    if cleaned is crop:
        return one
    return replace(one, packed=PackedCrop.of(cleaned), area=cleaned.area)


def fill_holes(crop: MaskCrop, least_area: int, image_hw: tuple[int, int]) -> MaskCrop:
    """Background that is connected (8 neighbours) to fewer pixels is filled, at the image's edge too."""
    # a pixel around the mask, where the image goes on, stands for all that lies beyond
    rows, columns = (
        slice(max(0, own.start - 1), min(size, own.stop + 1))
        for own, size in zip(crop.region, image_hw, strict=True)
    )
    mask = crop.within((rows, columns))
    regions, count = label(~mask, _EIGHT)
    areas = np.bincount(regions.ravel(), minlength=count + 1)
    height, width = image_hw
    own_rows, own_columns = crop.region
    beyond = [
        (rows.start < own_rows.start, (0, 0), rows.start * width),
        (rows.stop > own_rows.stop, (-1, 0), (height - rows.stop) * width),
        (columns.start < own_columns.start, (0, 0), columns.start * len(mask)),
        (columns.stop > own_columns.stop, (0, -1), (width - columns.stop) * len(mask)),
    ]
    for there, corner, pixels in beyond:
        if there:
            areas[regions[corner]] += pixels
    small = areas < least_area
    small[0] = False
    if not small.any():
        return crop
    return MaskCrop.from_mask(mask | small[regions], (rows.start, columns.start))


def drop_islands(crop: MaskCrop, least_area: int) -> MaskCrop:
    """Pieces (8 neighbours) of fewer pixels are dropped; where all are that small the largest stays."""
    pieces, count = label(crop.mask, _EIGHT)
    areas = np.bincount(pieces.ravel(), minlength=count + 1)
    kept: NDArray[np.bool_] = areas >= least_area
    kept[0] = False
    if kept[1:].all():
        return crop
    if not kept.any():
        kept[1 + int(np.argmax(areas[1:]))] = True
    return MaskCrop.from_mask(kept[pieces], crop.origin_yx)
