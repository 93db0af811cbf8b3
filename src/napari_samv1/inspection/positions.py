"""Position encodings that the network adds to its tokens; no image needed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_samv1.inspection.blocks import block_at
from napari_samv1.model import Sam
from napari_samv1.model.image_encoder.relative_position import offsets

Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class RelativePositions:
    """A block's learned vector for each offset between two tokens, along both axes.

    ``height_od`` and ``width_od`` hold one row per offset from ``-(n - 1)`` to ``n - 1`` (``offsets``: the
    query's position minus the key's) and one column per channel of a head.
    """

    height_od: Array
    width_od: Array

    @property
    def offsets(self) -> NDArray[np.int64]:
        return np.arange(len(self.height_od), dtype=np.int64) - len(self.height_od) // 2


@torch.inference_mode()
def position_grid(network: Sam, grid_hw: tuple[int, int]) -> Array:
    """The learned position encoding as the network interpolates it to a grid: (C, h, w)."""
    return _array(network.image_encoder.position_encoding.at(grid_hw).permute(2, 0, 1))


@torch.inference_mode()
def relative_positions(network: Sam, block: int, positions: int | None = None) -> RelativePositions:
    """A block's relative-position tables, as learned or as interpolated to an axis of ``positions``."""
    tables = block_at(network, block).attention.relative_position
    height_od, width_od = (_by_offset(table, positions) for table in (tables.height, tables.width))
    return RelativePositions(height_od, width_od)


@torch.inference_mode()
def coordinate_features(network: Sam, grid_hw: tuple[int, int]) -> Array:
    """Fourier features of every token's centre, the positions that the decoder sees: (C, h, w)."""
    return _array(network.coordinate_encoder.grid(grid_hw)[0])


def channel_norm(maps_chw: Array) -> Array:
    """Norm of the vector at each position: (C, h, w) -> (h, w)."""
    norm: Array = np.linalg.norm(maps_chw, axis=0)
    return norm


def unit_range(maps_chw: Array) -> Array:
    """Each channel stretched to 0..1 by its own minimum and maximum; a constant one becomes 0."""
    low = maps_chw.min(axis=(-2, -1), keepdims=True)
    high = maps_chw.max(axis=(-2, -1), keepdims=True)
    span = np.where(high > low, high - low, 1)
    stretched: Array = ((maps_chw - low) / span).astype(np.float32)
    return stretched


def _by_offset(table: Tensor, positions: int | None) -> Array:
    count = (len(table) + 1) // 2 if positions is None else positions
    pairs_qkd = offsets(table, count)
    steps = torch.arange(1 - count, count, device=table.device)
    return _array(pairs_qkd[steps.clamp(min=0), (-steps).clamp(min=0)])


def _array(tensor: Tensor) -> Array:
    return tensor.detach().float().cpu().contiguous().numpy()
