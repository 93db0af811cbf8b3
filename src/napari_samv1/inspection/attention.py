"""Attention of the image encoder's tokens, recomputed from queries, keys and positions.

The network itself never stores its attention; queries, keys and values are captured during one encoding,
which ends after the block in question.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_samv1.checkpoints.record import LoadedModel
from napari_samv1.engine.model_input import ModelInput
from napari_samv1.inspection.blocks import Block, block_at, blocks_of
from napari_samv1.inspection.hooks import listening

Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class TokenAttention:
    """Attention of one token: ``maps_hyx`` (heads, h, w) over the whole grid, 0 outside of its window.

    ``window_yxhw`` is the part of the grid that it can see (first row, first column, height, width).
    ``padding_h`` is each head's share on the zeros that fill incomplete windows: with it a head sums to 1.
    """

    token_yx: tuple[int, int]
    maps_hyx: Array
    window_yxhw: tuple[int, int, int, int]
    padding_h: Array


@dataclass(frozen=True, eq=False)
class BlockAttention:
    """Queries, keys and values of one block, h w 3C, from which any token's attention follows."""

    block: Block
    qkv_hwc: Tensor = field(repr=False)

    @property
    def grid_hw(self) -> tuple[int, int]:
        return self.qkv_hwc.shape[0], self.qkv_hwc.shape[1]

    def of_token(self, token_yx: tuple[int, int]) -> TokenAttention:
        """Return the attention of the token at (row, column) of the grid.

        Raises
        ------
        ValueError
            If the grid has no such token.
        """
        height, width = self.grid_hw
        row, column = token_yx
        if not (0 <= row < height and 0 <= column < width):
            raise ValueError(f"the grid has {height} x {width} tokens, got {token_yx}")
        if self.block.is_global:
            maps = self._looks(self.qkv_hwc, token_yx)
            return TokenAttention(token_yx, maps, (0, 0, height, width), np.zeros(len(maps), np.float32))
        window = self.block.window
        top, left = row - row % window, column - column % window
        real_hwc = self.qkv_hwc[top : top + window, left : left + window]
        rows, columns = real_hwc.shape[:2]
        # a padded token is zero before it is projected, so that it becomes the projection's bias
        seen_hwc = self.block.attention.qkv.bias.to(real_hwc.dtype).repeat(window, window, 1)
        seen_hwc[:rows, :columns] = real_hwc
        within = self._looks(seen_hwc, (row - top, column - left))
        maps = np.zeros((len(within), height, width), dtype=np.float32)
        maps[:, top : top + rows, left : left + columns] = within[:, :rows, :columns]
        padding_h = within[:, rows:].sum(axis=(1, 2)) + within[:, :rows, columns:].sum(axis=(1, 2))
        return TokenAttention(token_yx, maps, (top, left, rows, columns), padding_h)

    @torch.inference_mode()
    def _looks(self, qkv_hwc: Tensor, token_yx: tuple[int, int]) -> Array:
        """softmax(q k / sqrt(d) + relative term) of one token over these tokens: (heads, h, w)."""
        attention, (row, column) = self.block.attention, token_yx
        height, width, _ = qkv_hwc.shape
        queries, keys, _ = qkv_hwc.float().unflatten(2, (3, attention.heads, -1)).permute(2, 3, 0, 1, 4)
        by_row, by_column = attention.relative_position(queries)  # heads h w h, heads h w w
        logits = torch.einsum("gd,gijd->gij", queries[:, row, column], keys) * keys.shape[-1] ** -0.5
        logits = logits + by_row[:, row, column, :, None] + by_column[:, row, column, None, :]
        return logits.flatten(1).softmax(-1).unflatten(1, (height, width)).cpu().numpy()


class _Enough(Exception):  # noqa: N818 - not an error
    """Raised to end an encoding after the last block that is needed."""


def block_attention(
    model: LoadedModel,
    given: ModelInput,
    block: int,
    *,
    window_sizes: Sequence[int] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> BlockAttention:
    """Encode up to one block and keep its queries, keys and values.

    ``on_progress(blocks_done, blocks)`` may raise to cancel.

    Raises
    ------
    ValueError
        If the network has no such block.
    """
    network = model.network
    block_at(network, block)
    chosen = blocks_of(network, window_sizes)[block]
    heard: list[Tensor] = []

    def on_block(index: int, _: Tensor) -> None:
        if on_progress is not None:
            on_progress(index + 1, block + 1)
        if index == block:
            raise _Enough

    with (
        suppress(_Enough),
        torch.inference_mode(),
        listening({block: chosen.attention.qkv}, lambda _, output: heard.append(output)),
    ):
        network.encode(given.pixels_bchw, window_sizes=window_sizes, on_block=on_block)
    return BlockAttention(chosen, heard[0][0])
