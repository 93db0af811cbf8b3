"""Self-attention among image tokens, with relative positions."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_samv1.model.image_encoder.relative_position import RelativePosition
from napari_samv1.model.image_encoder.windows import join_windows, split_windows

BIAS_ELEMENTS = 2**23
"""How many elements of the additive term exist at a time: 32 MB in float32."""


class SelfAttention(nn.Module):
    """Every token looks at every other one: of the whole grid, or of its own window.

    ``positions`` is the number of positions along an axis for which relative positions were learned.
    """

    def __init__(self, width: int, heads: int, positions: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.relative_position = RelativePosition(positions, width // heads)
        self.projection = nn.Linear(width, width)

    def forward(self, tokens_bhwc: Tensor) -> Tensor:
        return self.projection(self.mix(self.qkv(tokens_bhwc)))

    def within_windows(self, tokens_bhwc: Tensor, window: int) -> Tensor:
        """As ``forward``, each token seeing its own window of ``window`` x ``window`` tokens.

        The published network normalises, pads with zeros, then projects, so that the queries, keys and
        values of a padded token are the projection's bias alone. Projecting the real tokens and padding
        with that bias is equal, and spares the arithmetic.
        """
        qkv_bhwc = self.qkv(tokens_bhwc)
        windows = split_windows(qkv_bhwc, window, self.qkv.bias.to(qkv_bhwc.dtype))
        grid_hw = (tokens_bhwc.shape[1], tokens_bhwc.shape[2])
        return self.projection(join_windows(self.mix(windows), grid_hw))

    def mix(self, qkv_bhwc: Tensor) -> Tensor:
        """Queries, keys and values side by side, B H W 3C -> attended values, B H W C."""
        batch, height, width, _ = qkv_bhwc.shape
        qkv = qkv_bhwc.reshape(batch, height * width, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        queries, keys, values = qkv.unbind(0)  # each B heads H*W D
        by_row, by_column = self.relative_position(queries.unflatten(2, (height, width)))
        mixed = attend(queries, keys, values, by_row.flatten(2, 3), by_column.flatten(2, 3))
        return mixed.transpose(1, 2).reshape(batch, height, width, -1)


def attend(queries: Tensor, keys: Tensor, values: Tensor, by_row: Tensor, by_column: Tensor) -> Tensor:
    """softmax(q k / sqrt(d) + relative term) v, exactly, a chunk of query rows at a time.

    Queries, keys and values are B heads N D; the relative terms B heads N h and B heads N w with
    N = h * w keys in reading order. The term for all pairs at once would be the largest tensor of the
    whole network.
    """
    batch, heads, count, _ = queries.shape
    rows = max(1, BIAS_ELEMENTS // (batch * heads * count))
    chunks = []
    for start in range(0, count, rows):
        chunk = slice(start, start + rows)
        bias = by_row[:, :, chunk, :, None] + by_column[:, :, chunk, None, :]
        chunks.append(
            functional.scaled_dot_product_attention(
                queries[:, :, chunk], keys, values, attn_mask=bias.flatten(-2)
            )
        )
    return torch.cat(chunks, dim=2) if len(chunks) > 1 else chunks[0]
