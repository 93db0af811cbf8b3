"""Masks, crops and areas from logits, computed only where the image's pixels can differ.

Interpolated values lie between the smallest and the largest logit around them, so that blocks whose
surroundings are all above or all below the threshold need not be computed. The time for an 8192 x 8192
image thus grows with its objects' outlines.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_samv1.masks.resize import AxisBlock, axis_blocks, resize_block
from napari_samv1.records.frame import Frame
from napari_samv1.records.mask_crop import MaskCrop


def threshold_mask(logits_hw: ArrayLike, frame: Frame, threshold: float = 0.0) -> NDArray[np.bool_]:
    """Logits (h, w) -> the mask (H, W) of the image's pixels above the threshold."""
    mask = np.zeros(frame.image_hw, dtype=bool)
    _fill(mask[frame.window_slices], np.asarray(logits_hw, dtype=np.float32), frame, threshold)
    return mask


def threshold_crop(logits_hw: ArrayLike, frame: Frame, threshold: float = 0.0) -> MaskCrop:
    """The mask as its bounding box, without an array of the image's size."""
    logits = np.asarray(logits_hw, dtype=np.float32)
    rows, columns = axis_blocks(logits.shape, frame)
    _, highest = _bounds(logits, rows, columns)
    above = highest > threshold
    if not above.any():
        return MaskCrop.from_mask(np.zeros((0, 0), dtype=bool))
    near_rows, near_columns = np.flatnonzero(above.any(axis=1)), np.flatnonzero(above.any(axis=0))
    top, bottom = rows[near_rows[0]].target.start, rows[near_rows[-1]].target.stop
    left, right = columns[near_columns[0]].target.start, columns[near_columns[-1]].target.stop
    near = np.zeros((bottom - top, right - left), dtype=bool)
    _fill(near, logits, frame, threshold, (top, left))
    window_top, window_left = frame.window_yxhw[:2]
    return MaskCrop.from_mask(near, (window_top + top, window_left + left))


def areas_above(logits_hw: ArrayLike, frame: Frame, thresholds: Sequence[float]) -> list[int]:
    """Count the image's pixels above each threshold; padding does not count."""
    logits = np.asarray(logits_hw, dtype=np.float32)
    rows, columns = axis_blocks(logits.shape, frame)
    lowest, highest = _bounds(logits, rows, columns)
    heights, widths = ([block.target.stop - block.target.start for block in axis] for axis in (rows, columns))
    pixels = np.outer(heights, widths)
    areas = [int(pixels[lowest > t].sum()) for t in thresholds]
    undecided = [(lowest <= t) & (highest > t) for t in thresholds]
    for i, j in np.argwhere(np.any(undecided, axis=0)):
        values = resize_block(logits, rows[i], columns[j])
        for k, t in enumerate(thresholds):
            if undecided[k][i, j]:
                areas[k] += int(np.count_nonzero(values > t))
    return areas


def cut_and_areas(
    logits_hw: ArrayLike, frame: Frame, threshold: float, thresholds: Sequence[float]
) -> tuple[MaskCrop, list[int]]:
    """``threshold_crop`` at one threshold and ``areas_above`` others, each block computed once for both."""
    logits = np.asarray(logits_hw, dtype=np.float32)
    rows, columns = axis_blocks(logits.shape, frame)
    lowest, highest = _bounds(logits, rows, columns)
    heights, widths = ([block.target.stop - block.target.start for block in axis] for axis in (rows, columns))
    pixels = np.outer(heights, widths)
    areas = [int(pixels[lowest > t].sum()) for t in thresholds]
    undecided = [(lowest <= t) & (highest > t) for t in thresholds]
    above = highest > threshold
    near = np.zeros((0, 0), dtype=bool)
    top = left = 0
    if above.any():
        near_rows, near_columns = np.flatnonzero(above.any(axis=1)), np.flatnonzero(above.any(axis=0))
        top, left = rows[near_rows[0]].target.start, columns[near_columns[0]].target.start
        bottom, right = rows[near_rows[-1]].target.stop, columns[near_columns[-1]].target.stop
        near = np.zeros((bottom - top, right - left), dtype=bool)
    for i, j in np.argwhere(above | np.any(undecided, axis=0)):
        target = tuple(
            slice(block.target.start - start, block.target.stop - start)
            for block, start in ((rows[i], top), (columns[j], left))
        )
        if lowest[i, j] > threshold:
            near[target] = True
            if not any(mask[i, j] for mask in undecided):
                continue
        values = resize_block(logits, rows[i], columns[j])
        for k, t in enumerate(thresholds):
            if undecided[k][i, j]:
                areas[k] += int(np.count_nonzero(values > t))
        if above[i, j] and lowest[i, j] <= threshold:
            np.greater(values, threshold, out=near[target])
    window_top, window_left = frame.window_yxhw[:2]
    return MaskCrop.from_mask(near, (window_top + top, window_left + left)), areas


def _fill(
    out: NDArray[np.bool_],
    logits: NDArray[np.float32],
    frame: Frame,
    threshold: float,
    origin_yx: tuple[int, int] = (0, 0),
) -> None:
    """Set the window's mask in ``out``, whose first pixel is the window's ``origin_yx``."""
    rows, columns = axis_blocks(logits.shape, frame)
    lowest, highest = _bounds(logits, rows, columns)
    for i, j in np.argwhere(highest > threshold):
        row_block, column_block = rows[i], columns[j]
        target = tuple(
            slice(block.target.start - start, block.target.stop - start)
            for block, start in zip((row_block, column_block), origin_yx, strict=True)
        )
        if lowest[i, j] > threshold:
            out[target] = True
        else:
            np.greater(resize_block(logits, row_block, column_block), threshold, out=out[target])


def _bounds(
    logits: NDArray[np.float32], rows: Sequence[AxisBlock], columns: Sequence[AxisBlock]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Smallest and largest logit around each block, widened by the rounding of a weighted sum."""
    low = np.stack([logits[row.source].min(axis=0) for row in rows])
    high = np.stack([logits[row.source].max(axis=0) for row in rows])
    low = np.stack([low[:, column.source].min(axis=1) for column in columns], axis=1)
    high = np.stack([high[:, column.source].max(axis=1) for column in columns], axis=1)
    slack = np.float32(1e-6) * np.maximum(np.abs(low), np.abs(high))
    return low - slack, high + slack
