"""Attention blocks: attend, then think, each on top of what was there."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from napari_samv1.model.image_encoder.attention import SelfAttention
from napari_samv1.model.layers import Mlp


class GlobalBlock(nn.Module):
    """A transformer block whose tokens see the whole grid.

    The tokens themselves may be more exact than the weights: what every block adds to them is rounded, their
    sum is not.
    """

    def __init__(self, width: int, heads: int, mlp_ratio: int, positions: int) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(width, eps=1e-6)
        self.attention = SelfAttention(width, heads, positions)
        self.norm_mlp = nn.LayerNorm(width, eps=1e-6)
        self.mlp = Mlp(width, width * mlp_ratio, functional.gelu)

    def forward(self, tokens_bhwc: Tensor) -> Tensor:
        return self.think(tokens_bhwc + self.attention(self.normalised(tokens_bhwc)))

    def think(self, tokens_bhwc: Tensor) -> Tensor:
        """The block's second half, which no token shares with another."""
        return tokens_bhwc + self.mlp(_normalised(self.norm_mlp, tokens_bhwc))

    def normalised(self, tokens_bhwc: Tensor) -> Tensor:
        """What the attention sees of the tokens."""
        return _normalised(self.norm_attention, tokens_bhwc)


class WindowedBlock(nn.Module):
    """A global block whose attention is confined to windows, of a size chosen at every call."""

    def __init__(self, width: int, heads: int, mlp_ratio: int, positions: int) -> None:
        super().__init__()
        self.block = GlobalBlock(width, heads, mlp_ratio, positions)

    def forward(self, tokens_bhwc: Tensor, window: int) -> Tensor:
        block = self.block
        attended = block.attention.within_windows(block.normalised(tokens_bhwc), window)
        return block.think(tokens_bhwc + attended)


def _normalised(norm: nn.LayerNorm, tokens_bhwc: Tensor) -> Tensor:
    """In the tokens' precision, then rounded to the weights': what is common to all is gone by then."""
    dtype = tokens_bhwc.dtype
    weight, bias = norm.weight.to(dtype), norm.bias.to(dtype)
    exact = functional.layer_norm(tokens_bhwc, norm.normalized_shape, weight, bias, norm.eps)
    return exact.to(norm.weight.dtype)
