"""The published generator: points on a grid, in the whole image and in crops of it.

Kirillov et al. 2023, section 4 and appendix B, and the published code where the paper is silent.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from napari_samv1.engine.automatic.found import FoundObject
from napari_samv1.engine.automatic.overlap import keep_by_boxes
from napari_samv1.engine.predictor import Choose
from napari_samv1.records.automatic import AutomaticSettings
from napari_samv1.records.frame import Frame
from napari_samv1.records.prompts import Prompts

Window = tuple[int, int, int, int]
"""First row, first column, height, width."""

EDGE_PIXELS = 20
"""Distance of a mask's box from a crop's edge up to which the mask counts as cut off."""


def crop_windows(image_hw: tuple[int, int], settings: AutomaticSettings) -> list[tuple[Window, int]]:
    """Windows of the image and their layer: the whole image, then (2**k)**2 overlapping crops for layer k.

    Raises
    ------
    ValueError
        If the deepest crops would be less than a pixel apart.
    """
    height, width = image_hw
    if settings.crop_n_layers and 2**settings.crop_n_layers > min(height, width):
        raise ValueError(
            f"crop_n_layers must be at most {int(math.log2(min(height, width)))} in an image of {height} x "
            f"{width}, so that a crop has a pixel, got {settings.crop_n_layers}"
        )
    windows = [((0, 0, height, width), 0)]
    for layer in range(1, settings.crop_n_layers + 1):
        count = 2**layer
        overlap = int(settings.crop_overlap_ratio * min(height, width) * (2 / count))
        rows, columns = (_crops(size, count, overlap) for size in (height, width))
        windows += [((y, x, h, w), layer) for x, w in columns for y, h in rows]
    return windows


def _crops(size: int, count: int, overlap: int) -> list[tuple[int, int]]:
    """First pixel and length of ``count`` crops along one side."""
    length = math.ceil((overlap * (count - 1) + size) / count)
    starts = [int((length - overlap) * i) for i in range(count)]
    return [(start, min(start + length, size) - start) for start in starts]


def points_in(layer: int, settings: AutomaticSettings) -> int:
    """Return the number of points along each side of a crop of a layer."""
    return int(settings.points_per_side / settings.crop_n_points_downscale_factor**layer)


def grid_prompts(frame: Frame, per_side: int) -> list[Prompts]:
    """Points at (i + 0.5) / n of the frame's window along each side, row by row."""
    if per_side < 1:
        return []
    along = np.linspace(1 / (2 * per_side), 1 - 1 / (2 * per_side), per_side)
    top, left, height, width = frame.window_yxhw
    y, x = np.meshgrid(along * height, along * width, indexing="ij")
    scale = np.array(frame.scale_yx)
    # the published code adds half a pixel after scaling, ours before
    published_yx = np.stack([y.ravel(), x.ravel()], axis=1)
    points_yx = (published_yx * scale + 0.5) / scale - 0.5 + (top, left)
    return [Prompts(points_yx=[point], labels=[1]) for point in points_yx]


def three_above(threshold: float) -> Choose:
    """Masks 1 to 3 whose predicted IoU is above the threshold; 0 or less takes all."""

    def choose(prompts: Sequence[Prompts], iou_bm: NDArray[np.float32]) -> NDArray[np.bool_]:
        # compared in single precision, as the published generator does
        chosen = iou_bm > np.float32(threshold) if threshold > 0 else np.ones(iou_bm.shape, dtype=bool)
        chosen[:, 0] = False
        return chosen

    return choose


def is_cut_off(one: FoundObject, window: Window, image_hw: tuple[int, int]) -> bool:
    """True if a side of the object's box lies within 20 pixels of the crop's side and not of the image's."""
    top, left, height, width = window
    sides = zip(one.box, (top, left, top + height, left + width), (0, 0, *image_hw), strict=True)
    return any(
        abs(side - crop) <= EDGE_PIXELS and abs(side - image) > EDGE_PIXELS for side, crop, image in sides
    )


def best_in_crop(objects: Sequence[FoundObject], settings: AutomaticSettings) -> list[FoundObject]:
    """Objects of a crop without duplicates, the highest predicted IoU first."""
    kept = keep_by_boxes([one.box for one in objects], [one.iou for one in objects], settings.box_nms_thresh)
    return [objects[i] for i in kept]


def best_across_crops(objects: Sequence[FoundObject], settings: AutomaticSettings) -> list[FoundObject]:
    """Objects without duplicates between crops, of which that of the smallest crop is kept."""
    areas = [np.float32(one.region.window_yxhw[2] * one.region.window_yxhw[3]) for one in objects]
    kept = keep_by_boxes([one.box for one in objects], [1 / area for area in areas], settings.crop_nms_thresh)
    return [objects[i] for i in kept]
