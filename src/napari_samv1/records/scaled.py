"""Points, prompts and masks of one level of an image in the pixels of another."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_samv1.records.mask_crop import EMPTY, MaskCrop
from napari_samv1.records.prompts import Prompts

Factors = tuple[float, float]


def scaled_points(points_yx: ArrayLike, factors_yx: Factors) -> NDArray[np.float64]:
    """Points (N, 2) where one pixel becomes ``factors_yx`` pixels; whole numbers stay pixel centres."""
    points = np.asarray(points_yx, dtype=np.float64).reshape(-1, 2)
    scaled: NDArray[np.float64] = (points + 0.5) * factors_yx - 0.5
    return scaled


def scaled_crop(crop: MaskCrop, factors_yx: Factors, shape_yx: tuple[int, int]) -> MaskCrop:
    """A mask on a plane of ``shape_yx`` pixels: the value at each pixel's centre.

    Enlarged and reduced again it is the same, since each coarse pixel's centre lies in a fine one of its own.
    """
    if crop.empty:
        return EMPTY
    picked, first = [], []
    for origin, extent, factor, size in zip(
        crop.origin_yx, crop.mask.shape, factors_yx, shape_yx, strict=True
    ):
        begin = max(0, int(origin * factor) - 1)
        places = np.arange(begin, min(size, int(np.ceil((origin + extent) * factor)) + 1))
        own = np.floor((places + 0.5) / factor).astype(int) - origin
        inside = (own >= 0) & (own < extent)
        if not inside.any():
            return EMPTY
        picked.append(own[inside])
        first.append(int(places[inside][0]))
    return MaskCrop.from_mask(crop.mask[np.ix_(*picked)], (first[0], first[1]))


def scaled_prompts(prompts: Prompts, factors_yx: Factors, shape_yx: tuple[int, int]) -> Prompts:
    """Prompts on a plane of ``shape_yx`` pixels."""
    area = prompts.area
    return Prompts(
        scaled_points(prompts.points_yx, factors_yx),
        prompts.labels,
        scaled_points(prompts.boxes_yx.reshape(-1, 2), factors_yx).reshape(-1, 4),
        None if area is None else scaled_crop(MaskCrop(area.origin_yx, area.mask), factors_yx, shape_yx),
        prompts.candidate,
    )
