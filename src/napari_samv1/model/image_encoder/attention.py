"""Self-attention among image tokens, with relative positions."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_samv1.model.image_encoder.relative_position import RelativePosition
from napari_samv1.model.image_encoder.windows import join_windows, split_windows

LOGITS_AT_ONCE = 2**22
"""How many attention logits exist at a time, 16 MB in float32: few enough to stay in a processor's cache."""


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
        queries, keys, values = qkv.reshape(3, batch * self.heads, height * width, -1)  # each G N D
        by_row, by_column = self.relative_position(queries.unflatten(1, (height, width)))
        mixed_gnd = attend(queries, keys, values, by_row.flatten(1, 2), by_column.flatten(1, 2))
        return mixed_gnd.unflatten(0, (batch, -1)).transpose(1, 2).reshape(batch, height, width, -1)


def attend(queries: Tensor, keys: Tensor, values: Tensor, by_row: Tensor, by_column: Tensor) -> Tensor:
    """softmax(q k / sqrt(d) + relative term) v, exactly, a chunk of query rows at a time.

    Queries, keys and values are G N D for G heads of all images; the relative terms G N h and G N w with
    N = h * w keys in reading order. The logits of all pairs at once would be the largest tensor of the
    whole network.
    """
    groups, count, head_width = queries.shape
    rows = max(1, LOGITS_AT_ONCE // (groups * count))
    on_cpu = queries.device.type == "cpu"
    attend_chunk = _attend_by_products if on_cpu else _attend_fused
    keys_gdn = (keys * head_width**-0.5).mT
    chunks = []
    for start in range(0, count, rows):
        chunk = slice(start, start + rows)
        chunks.append(
            attend_chunk(queries[:, chunk], keys_gdn, values, by_row[:, chunk], by_column[:, chunk])
        )
    return torch.cat(chunks, dim=1) if len(chunks) > 1 else chunks[0]


def _attend_by_products(
    queries: Tensor, keys_gdn: Tensor, values: Tensor, by_row: Tensor, by_column: Tensor
) -> Tensor:
    """On a CPU two matrix products around a softmax are faster than fused attention with a mask."""
    logits = torch.bmm(queries, keys_gdn).unflatten(2, (by_row.shape[2], by_column.shape[2]))
    logits += by_row[..., :, None]
    logits += by_column[..., None, :]
    return torch.bmm(logits.flatten(2).softmax(-1), values)


def _attend_fused(
    queries: Tensor, keys_gdn: Tensor, values: Tensor, by_row: Tensor, by_column: Tensor
) -> Tensor:
    """On CUDA and MPS one kernel reads the term as its mask and keeps no logits."""
    term = (by_row[..., :, None] + by_column[..., None, :]).flatten(2)
    # a batch of one: the kernels want B heads N D
    mixed = functional.scaled_dot_product_attention(
        queries[None], keys_gdn.mT[None], values[None], attn_mask=term[None], scale=1.0
    )
    return mixed[0]
