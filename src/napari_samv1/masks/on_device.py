"""Crops and areas of many masks from logits on any device; only crops and counts leave the device.

On a GPU all masks are computed together, block by block of the image. On a CPU one mask after the other goes
through ``masks.threshold``, which computes only the blocks that the mask's outline crosses: torch's
operations on small pieces would take twice as long there. The CPU also takes over where a GPU's memory runs
out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_samv1.masks.resize import AxisBlock, axis_blocks, resized_block
from napari_samv1.masks.threshold import areas_above, cut_and_areas
from napari_samv1.records.frame import Frame
from napari_samv1.records.mask_crop import MaskCrop

# torch is imported in functions, because sessions and panels use masks long before torch
if TYPE_CHECKING:
    from torch import Tensor

Found = TypeVar("Found")

PIXELS_AT_ONCE = 1 << 26
"""Pixels of all masks that are computed at a time: 64 masks of a megapixel."""


def cut_each(
    logits_khw: Tensor | NDArray[np.float32],
    frame: Frame,
    threshold: float,
    thresholds: Sequence[float] = (),
) -> list[tuple[MaskCrop, list[int]]]:
    """``cut_and_areas`` of K masks from float32 logits on one device."""
    found = _on_gpu(logits_khw, lambda there: cut_together(there, frame, threshold, thresholds))
    if found is not None:
        return found
    return [cut_and_areas(one, frame, threshold, thresholds) for one in _on_cpu(logits_khw)]


def areas_of_each(
    logits_khw: Tensor | NDArray[np.float32], frame: Frame, thresholds: Sequence[float]
) -> list[list[int]]:
    """``areas_above`` of K masks from float32 logits on one device."""
    found = _on_gpu(logits_khw, lambda there: areas_together(there, frame, thresholds))
    if found is not None:
        return found
    return [areas_above(one, frame, thresholds) for one in _on_cpu(logits_khw)]


def cut_together(
    logits_khw: Tensor, frame: Frame, threshold: float, thresholds: Sequence[float] = ()
) -> list[tuple[MaskCrop, list[int]]]:
    """``cut_each`` by torch, on any device."""
    return [
        found
        for some in logits_khw.split(_at_once(frame))
        for found in _Blocks(some, frame).cut(threshold, thresholds)
    ]


def areas_together(logits_khw: Tensor, frame: Frame, thresholds: Sequence[float]) -> list[list[int]]:
    """``areas_of_each`` by torch, on any device."""
    return [
        areas
        for some in logits_khw.split(_at_once(frame))
        for areas in _Blocks(some, frame).areas(thresholds)
    ]


def _on_cpu(logits_khw: Tensor | NDArray[np.float32]) -> NDArray[np.float32]:
    return logits_khw if isinstance(logits_khw, np.ndarray) else np.asarray(logits_khw.cpu())


def _on_gpu(
    logits_khw: Tensor | NDArray[np.float32], work: Callable[[Tensor], list[Found]]
) -> list[Found] | None:
    """Do some work on a GPU's logits; None if they lie elsewhere, or memory runs out."""
    if isinstance(logits_khw, np.ndarray) or logits_khw.device.type == "cpu":
        return None
    from napari_samv1.model.memory import if_there_is_memory

    return if_there_is_memory(lambda: work(logits_khw))


def _at_once(frame: Frame) -> int:
    height, width = frame.window_yxhw[2:]
    return max(1, PIXELS_AT_ONCE // (height * width))


class _Blocks:
    """Blocks of the window for K masks, with bounds of their values before they are computed.

    ``lowest`` and ``highest`` are (K, rows, columns).
    """

    def __init__(self, logits_khw: Tensor, frame: Frame) -> None:
        self.logits_khw = logits_khw
        self.frame = frame
        self.rows, self.columns = axis_blocks(logits_khw.shape[1:], frame, logits_khw.device)
        self.lowest, self.highest = _bounds(logits_khw, self.rows, self.columns)
        heights, widths = (
            [block.target.stop - block.target.start for block in axis] for axis in (self.rows, self.columns)
        )
        self.pixels = np.outer(heights, widths)

    def areas(self, thresholds: Sequence[float]) -> list[list[int]]:
        """Each mask's area above each threshold."""
        counted = _Areas(self, thresholds)
        for i, j in np.argwhere(counted.undecided.any(axis=(0, 1))):
            counted.add(int(i), int(j), self.values(int(i), int(j)))
        return counted.totals()

    def cut(self, threshold: float, thresholds: Sequence[float]) -> list[tuple[MaskCrop, list[int]]]:
        """Each mask above one threshold, with its areas above others."""
        import torch

        counted = _Areas(self, thresholds)
        above, sure = self.highest > threshold, self.lowest > threshold
        near = np.asarray(above.any(axis=0))
        top = left = bottom = right = 0
        if near.any():
            near_rows, near_columns = np.flatnonzero(near.any(axis=1)), np.flatnonzero(near.any(axis=0))
            top, bottom = self.rows[near_rows[0]].target.start, self.rows[near_rows[-1]].target.stop
            left, right = (
                self.columns[near_columns[0]].target.start,
                self.columns[near_columns[-1]].target.stop,
            )
        masks = torch.zeros(
            (len(self.logits_khw), bottom - top, right - left),
            dtype=torch.bool,
            device=self.logits_khw.device,
        )
        undecided = np.asarray(counted.undecided.any(axis=(0, 1)))
        # blocks that lie inside of all masks
        full = np.asarray(sure.all(axis=0))
        for i, j in np.argwhere(near | undecided):
            rows, columns = self.rows[i].target, self.columns[j].target
            part = (
                slice(None),
                slice(rows.start - top, rows.stop - top),
                slice(columns.start - left, columns.stop - left),
            )
            if full[i, j]:
                masks[part] = True
                if not undecided[i, j]:
                    continue
            values = self.values(int(i), int(j))
            counted.add(int(i), int(j), values)
            if near[i, j] and not full[i, j]:
                torch.gt(values, threshold, out=masks[part])
        window_top, window_left = self.frame.window_yxhw[:2]
        crops = _crops(masks, (window_top + top, window_left + left))
        return list(zip(crops, counted.totals(), strict=True))

    def values(self, row: int, column: int) -> Tensor:
        """A block's values, K h w."""
        return resized_block(self.logits_khw, self.rows[row], self.columns[column])


class _Areas:
    """Counts pixels above thresholds: whole blocks where the bounds decide, others by their values.

    ``undecided`` is (T, K, rows, columns).
    """

    def __init__(self, blocks: _Blocks, thresholds: Sequence[float]) -> None:
        shape = (len(thresholds), *blocks.lowest.shape)
        self._thresholds = [float(t) for t in thresholds]
        self._decided = np.zeros(shape[:2], dtype=np.int64)
        self.undecided = np.zeros(shape, dtype=bool)
        for k, t in enumerate(self._thresholds):
            inside = blocks.lowest > t
            self.undecided[k] = ~inside & (blocks.highest > t)
            # a block that one mask needs computed is counted by its values for all masks
            decided = inside & ~self.undecided[k].any(axis=0)
            self._decided[k] = (blocks.pixels * decided).sum(axis=(1, 2))
        self._counted: list[tuple[int, Tensor]] = []

    def add(self, row: int, column: int, values_khw: Tensor) -> None:
        """Count a block's values at the thresholds that the bounds leave undecided."""
        for k, t in enumerate(self._thresholds):
            if self.undecided[k, :, row, column].any():
                self._counted.append((k, (values_khw > t).sum((1, 2))))

    def totals(self) -> list[list[int]]:
        """Area of each mask above each threshold."""
        totals = self._decided
        if self._counted:
            import torch

            # all counts leave the device together
            counts = torch.stack([count for _, count in self._counted]).cpu().numpy()
            np.add.at(totals, [k for k, _ in self._counted], counts)
        return [[int(area) for area in areas] for areas in totals.T]


def _crops(masks_khw: Tensor, origin_yx: tuple[int, int]) -> list[MaskCrop]:
    """Tight crops of masks whose first pixel lies at an origin, copied from the device at once."""
    import torch

    if not masks_khw.numel():
        return [MaskCrop.from_mask(np.zeros((0, 0), dtype=bool)) for _ in masks_khw]
    height = masks_khw.shape[1]
    along = torch.cat([masks_khw.any(2), masks_khw.any(1)], dim=1).cpu().numpy()
    boxes = []
    for rows, columns in ((np.flatnonzero(one[:height]), np.flatnonzero(one[height:])) for one in along):
        found = (rows[0], rows[-1] + 1, columns[0], columns[-1] + 1) if len(rows) else (0, 0, 0, 0)
        boxes.append(tuple(int(edge) for edge in found))
    parts = [mask[y0:y1, x0:x1].flatten() for mask, (y0, y1, x0, x1) in zip(masks_khw, boxes, strict=True)]
    pixels = torch.cat(parts).cpu().numpy()
    crops, start = [], 0
    for y0, y1, x0, x1 in boxes:
        size = (y1 - y0) * (x1 - x0)
        crop = pixels[start : start + size].reshape(y1 - y0, x1 - x0)
        crops.append(MaskCrop.from_mask(crop, (origin_yx[0] + y0, origin_yx[1] + x0)))
        start += size
    return crops


def _bounds(
    logits_khw: Tensor, rows: Sequence[AxisBlock], columns: Sequence[AxisBlock]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Smallest and largest logit around each block, widened by the rounding of a weighted sum."""
    import torch

    by_row = [torch.aminmax(logits_khw[:, row.source], dim=1) for row in rows]
    low, high = (torch.stack(ends, dim=1) for ends in zip(*by_row, strict=True))  # K rows w
    low = torch.stack([low[:, :, column.source].amin(2) for column in columns], dim=2)
    high = torch.stack([high[:, :, column.source].amax(2) for column in columns], dim=2)
    low_np, high_np = torch.stack([low, high]).cpu().numpy()
    slack = np.float32(1e-6) * np.maximum(np.abs(low_np), np.abs(high_np))
    return low_np - slack, high_np + slack
