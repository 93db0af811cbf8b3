"""Resizing of the decoder's logits to the image's resolution, of all or of any region.

The published way is two bilinear resizes: to the model's input size, then, without the padding, to the image.
Both are linear and separable, so that each row of the image is a weighted sum of at most four rows of the
logits, and a region needs only the logits below it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_samv1.records.frame import Frame

# torch is imported in functions, because sessions and panels use masks long before torch
if TYPE_CHECKING:
    import torch

_SPAN = 256  # pixels per dense block of weights: small enough to be mostly non-zero


@dataclass(frozen=True, eq=False)
class AxisBlock:
    """Weights (target, source) that turn rows ``source`` of the logits into rows ``target`` of the window."""

    target: slice
    source: slice
    weights: torch.Tensor


def resize_logits(
    logits: ArrayLike, frame: Frame, region: tuple[slice, slice] | None = None
) -> NDArray[np.float32]:
    """Logits (..., h, w) of the decoder -> (..., H, W) at the image's resolution.

    Only ``region`` (row and column slices of the image; default: all of it) is computed, with the same
    numbers as in the whole. Pixels outside of the frame's window are -inf.
    """
    logits_nhw = np.asarray(logits, dtype=np.float32)
    rows, columns = region if region is not None else (slice(0, size) for size in frame.image_hw)
    out = np.full(
        (*logits_nhw.shape[:-2], rows.stop - rows.start, columns.stop - columns.start),
        -np.inf,
        dtype=np.float32,
    )
    row_blocks, column_blocks = axis_blocks(logits_nhw.shape[-2:], frame)
    top, left = frame.window_yxhw[:2]
    for row_block in row_blocks:
        y0, y1 = _overlap(row_block.target, rows, top)
        if y0 >= y1:
            continue
        for column_block in column_blocks:
            x0, x1 = _overlap(column_block.target, columns, left)
            if x0 >= x1:
                continue
            block = resize_block(logits_nhw, row_block, column_block)
            by, bx = top + row_block.target.start, left + column_block.target.start
            out[..., y0 - rows.start : y1 - rows.start, x0 - columns.start : x1 - columns.start] = block[
                ..., y0 - by : y1 - by, x0 - bx : x1 - bx
            ]
    return out


def _overlap(target: slice, wanted: slice, offset: int) -> tuple[int, int]:
    return max(target.start + offset, wanted.start), min(target.stop + offset, wanted.stop)


def resize_block(logits_nhw: NDArray[np.float32], rows: AxisBlock, columns: AxisBlock) -> NDArray[np.float32]:
    """Pixels ``rows.target`` x ``columns.target`` of the window.

    Always whole blocks: a matrix product may round differently at another size, and a pixel must not depend
    on the requested region.
    """
    import torch

    # by torch, because numpy's threads would compete with the network's for the same cores
    below = torch.from_numpy(logits_nhw[..., rows.source, columns.source].copy())
    block: NDArray[np.float32] = (rows.weights @ (below @ columns.weights.T)).numpy()
    return block


def resized_block(logits_khw: torch.Tensor, rows: AxisBlock, columns: AxisBlock) -> torch.Tensor:
    """``resize_block`` for K masks on the weights' device."""
    below = logits_khw[:, rows.source, columns.source]
    return rows.weights @ (below @ columns.weights.T)


def axis_blocks(
    logits_hw: Sequence[int], frame: Frame, device: torch.device | None = None
) -> tuple[tuple[AxisBlock, ...], tuple[AxisBlock, ...]]:
    """Weights of both axes in blocks that cover the window, on the CPU by default."""
    height, width = (
        _axis_blocks(logits_hw[axis], frame.input_hw[axis], frame.resized_hw[axis], size, device)
        for axis, size in enumerate(frame.window_yxhw[2:])
    )
    return height, width


@lru_cache(maxsize=64)
def _axis_blocks(
    size: int, input_size: int, resized_size: int, window_size: int, device: torch.device | None
) -> tuple[AxisBlock, ...]:
    if device is not None:
        return tuple(
            AxisBlock(block.target, block.source, block.weights.to(device))
            for block in _axis_blocks(size, input_size, resized_size, window_size, None)
        )
    to_input, input_weights = _taps(size, input_size)
    to_window, window_weights = _taps(resized_size, window_size)
    sources = to_input[to_window].reshape(window_size, 4)
    weights = (window_weights[:, :, np.newaxis] * input_weights[to_window]).reshape(window_size, 4)
    import torch

    blocks = []
    for start in range(0, window_size, _SPAN):
        target = slice(start, min(start + _SPAN, window_size))
        near, first = sources[target], int(sources[target].min())
        dense = np.zeros((len(near), int(near.max()) + 1 - first), dtype=np.float32)
        for tap in range(4):
            dense[np.arange(len(near)), near[:, tap] - first] += weights[target, tap]
        blocks.append(AxisBlock(target, slice(first, first + dense.shape[1]), torch.from_numpy(dense)))
    return tuple(blocks)


def _taps(size: int, new_size: int) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Bilinear interpolation along one axis, corners not aligned: two sources and weights per new pixel.

    In float32, as torch computes them.
    """
    scale = np.float32(size) / np.float32(new_size)
    centres = np.arange(new_size, dtype=np.float32) + np.float32(0.5)
    position = np.maximum(centres * scale - np.float32(0.5), np.float32(0))
    first = np.minimum(position.astype(np.intp), size - 1)
    second = np.minimum(first + 1, size - 1)
    second_weight = np.clip(position - first.astype(np.float32), 0, 1).astype(np.float32)
    return np.stack([first, second], axis=1), np.stack([1 - second_weight, second_weight], axis=1)
