"""Attention blocks: attention, then an MLP, each added to the tokens."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_samv1.model.image_encoder.attention import AttentionTables, SelfAttention
from napari_samv1.model.layers import Mlp

NormWeights = tuple[Tensor, Tensor]
"""Weight and bias of a normalisation, in the tokens' precision."""


@dataclass(frozen=True, eq=False)
class BlockTables:
    """Tables of a block from its weights alone, on one grid, prepared once for any number of images."""

    attention: AttentionTables
    norm_attention: NormWeights
    norm_mlp: NormWeights


class GlobalBlock(nn.Module):
    """A transformer block whose tokens see the whole grid.

    Tokens may be in a higher precision than the weights: each block's addition is rounded, the sum is not.
    """

    def __init__(self, width: int, heads: int, mlp_ratio: int, positions: int) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(width, eps=1e-6)
        self.attention = SelfAttention(width, heads, positions)
        self.norm_mlp = nn.LayerNorm(width, eps=1e-6)
        self.mlp = Mlp(width, width * mlp_ratio, functional.gelu)

    def tables(self, grid_hw: tuple[int, int], dtype: torch.dtype) -> BlockTables:
        """The tables of a grid, for tokens of a precision."""
        return BlockTables(
            self.attention.tables(grid_hw), _cast(self.norm_attention, dtype), _cast(self.norm_mlp, dtype)
        )

    def forward(self, tokens_bhwc: Tensor, tables: BlockTables | None = None) -> Tensor:
        attended = self.attention(
            self.normalised(tokens_bhwc, tables), None if tables is None else tables.attention
        )
        return self.think(tokens_bhwc + attended, tables)

    def think(self, tokens_bhwc: Tensor, tables: BlockTables | None = None) -> Tensor:
        """Add the MLP, the half of the block that sees each token alone."""
        weights = None if tables is None else tables.norm_mlp
        return tokens_bhwc + self.mlp(_normalised(self.norm_mlp, tokens_bhwc, weights))

    def normalised(self, tokens_bhwc: Tensor, tables: BlockTables | None = None) -> Tensor:
        """Normalise the tokens for the attention."""
        weights = None if tables is None else tables.norm_attention
        return _normalised(self.norm_attention, tokens_bhwc, weights)


class WindowedBlock(nn.Module):
    """A global block whose attention is confined to windows, of a size chosen at every call."""

    def __init__(self, width: int, heads: int, mlp_ratio: int, positions: int) -> None:
        super().__init__()
        self.block = GlobalBlock(width, heads, mlp_ratio, positions)

    def tables(self, window: int, dtype: torch.dtype) -> BlockTables:
        """The tables of windows of a size, for tokens of a precision."""
        return self.block.tables((window, window), dtype)

    def forward(self, tokens_bhwc: Tensor, window: int, tables: BlockTables | None = None) -> Tensor:
        block = self.block
        attended = block.attention.within_windows(
            block.normalised(tokens_bhwc, tables), window, None if tables is None else tables.attention
        )
        return block.think(tokens_bhwc + attended, tables)


def _normalised(norm: nn.LayerNorm, tokens_bhwc: Tensor, weights: NormWeights | None) -> Tensor:
    """Normalise in the tokens' precision, then round to the weights': the common mean is gone by then."""
    weight, bias = _cast(norm, tokens_bhwc.dtype) if weights is None else weights
    exact = functional.layer_norm(tokens_bhwc, norm.normalized_shape, weight, bias, norm.eps)
    return exact.to(norm.weight.dtype)


def _cast(norm: nn.LayerNorm, dtype: torch.dtype) -> NormWeights:
    return norm.weight.to(dtype), norm.bias.to(dtype)
