"""Self-attention among image tokens, with relative positions."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_samv1.model.image_encoder.relative_position import RelativePosition
from napari_samv1.model.image_encoder.windows import join_windows, split_windows
from napari_samv1.model.layers import Linear, at_once, is_short_of_memory, linear

LOGITS_AT_ONCE = 2**20
"""How many attention logits exist at a time, 4 MB: of more, the allocator returns the pages every time."""

ROWS_AT_ONCE = 256
"""How many queries share a matrix product at least: packing the keys for fewer outweighs multiplying them."""

PROJECTED_AT_ONCE = 2**22
"""How many queries', keys' and values' numbers of windows exist at a time, 16 MB in float32."""


class SelfAttention(nn.Module):
    """Every token looks at every other one: of the whole grid, or of its own window.

    ``positions`` is the number of positions along an axis for which relative positions were learned.
    """

    def __init__(self, width: int, heads: int, positions: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = Linear(width, 3 * width)
        self.relative_position = RelativePosition(positions, width // heads)
        self.projection = Linear(width, width)

    def forward(self, tokens_bhwc: Tensor) -> Tensor:
        return self.projection(self.mix(self.qkv(tokens_bhwc)))

    def within_windows(self, tokens_bhwc: Tensor, window: int) -> Tensor:
        """As ``forward``, each token seeing its own window of ``window`` x ``window`` tokens.

        The published network normalises, pads with zeros, then projects, so that the queries, keys and
        values of a padded token are the projection's bias alone. Projecting the real tokens and padding
        with that bias is equal, and spares the arithmetic. So many rows of windows are seen to at a time
        that their projections stay small beside the tokens.
        """
        batch, _, width, channels = tokens_bhwc.shape
        row_of_windows = 3 * batch * window * width * channels
        rows = window * max(1, at_once(PROJECTED_AT_ONCE) // row_of_windows)
        return torch.cat(
            [self._within_windows(rows_bhwc, window) for rows_bhwc in tokens_bhwc.split(rows, dim=1)],
            dim=1,
        )

    def _within_windows(self, tokens_bhwc: Tensor, window: int) -> Tensor:
        grid_hw = (tokens_bhwc.shape[1], tokens_bhwc.shape[2])
        mixed = self.mix(split_windows(self.qkv(tokens_bhwc), window, self.qkv.bias))
        return self.projection(join_windows(mixed, grid_hw))

    def mix(self, qkv: Tensor) -> Tensor:
        """Queries, keys and values side by side, ... H W 3C -> attended values, ... H W C.

        Tokens attend to those of their own H x W grid.
        """
        *grids, height, width, _ = qkv.shape
        split = qkv.unflatten(-1, (3, self.heads, -1)).movedim((-3, -2), (0, -4))  # 3 ... heads H W D
        # of one grid, the groups are its heads, and these are views
        queries, keys, values = (part.reshape(-1, height * width, part.shape[-1]) for part in split)  # G N D
        del qkv, split  # of many, they are copied by now
        by_row, by_column = self.relative_position(queries.unflatten(1, (height, width)))
        mixed = attend(queries, keys, values, by_row.flatten(1, 2), by_column.flatten(1, 2))
        return mixed.view(*grids, self.heads, height, width, -1).movedim(-4, -2).flatten(-2)


def attend(queries: Tensor, keys: Tensor, values: Tensor, by_row: Tensor, by_column: Tensor) -> Tensor:
    """softmax(q k / sqrt(d) + relative term) v, exactly, some groups or some query rows at a time.

    Queries, keys and values are G N D for G heads of all grids; the relative terms G N h and G N w with
    N = h * w keys in reading order. The logits of all pairs at once would be the largest tensor of the
    whole network. On a CPU they and their softmax are float32 whatever the queries are: rounded to bfloat16,
    large logits turn into attention that is off by percents, and the matrix products are not what takes the
    time. (Autocast, that is training, rounds the products all the same.)
    """
    groups, count, head_width = queries.shape
    on_cpu = queries.device.type == "cpu"
    exact = on_cpu and not torch.is_autocast_enabled("cpu")
    dtype = torch.float32 if exact else queries.dtype
    attend_chunk = _attend_by_products if on_cpu else _attend_fused
    logits = at_once(LOGITS_AT_ONCE)
    groups_at_once = max(1, logits // count**2) if on_cpu or is_short_of_memory() else groups
    rows_at_once = max(at_once(ROWS_AT_ONCE), logits // (groups_at_once * count))
    mixed = []
    # split, not sliced: what flows back through a slice is as large as the whole
    for some in zip(
        *(x.split(groups_at_once) for x in (queries, by_row, by_column, keys, values)), strict=True
    ):
        *rows, k, v = some
        k, v = k.to(dtype) * head_width**-0.5, v.to(dtype).contiguous()
        chunks = [
            attend_chunk(q.to(dtype), k, v, by_row_q, by_column_q).to(queries.dtype)
            for q, by_row_q, by_column_q in zip(*(x.split(rows_at_once, 1) for x in rows), strict=True)
        ]
        mixed.append(torch.cat(chunks, dim=1) if len(chunks) > 1 else chunks[0])
    return torch.cat(mixed) if len(mixed) > 1 else mixed[0]


def _attend_by_products(
    queries: Tensor, keys: Tensor, values: Tensor, by_row: Tensor, by_column: Tensor
) -> Tensor:
    """On a CPU two matrix products around a softmax are faster than fused attention with a mask."""
    height, width = by_row.shape[2], by_column.shape[2]
    if queries.requires_grad:
        # each addition would be copied for the way back, in short rows: the product adds them as well
        placed = torch.cat([keys, _places(height, width, keys)], dim=2)
        logits = torch.cat([queries, by_row.to(queries), by_column.to(queries)], dim=2) @ placed.mT
        return logits.softmax(-1) @ values
    logits = _times_transposed(queries, keys).unflatten(2, (height, width))
    for term in (by_row[..., :, None], by_column[..., None, :]):
        logits.add_(term)
    return _times_transposed(logits.flatten(2).softmax(-1), values.mT)


def _places(height: int, width: int, keys: Tensor) -> Tensor:
    """A one at every key's row and a one at its column, for G heads of height * width keys."""
    rows = torch.eye(height, dtype=keys.dtype, device=keys.device).repeat_interleave(width, dim=0)
    columns = torch.eye(width, dtype=keys.dtype, device=keys.device).repeat(height, 1)
    return torch.cat([rows, columns], dim=1).expand(len(keys), -1, -1)


def _times_transposed(left: Tensor, right: Tensor) -> Tensor:
    """G N D times the transposed G M D -> G N M."""
    return linear(left[0], right[0])[None] if len(left) == 1 else torch.bmm(left, right.mT)


def _attend_fused(queries: Tensor, keys: Tensor, values: Tensor, by_row: Tensor, by_column: Tensor) -> Tensor:
    """On CUDA and MPS one kernel reads the term as its mask and keeps no logits."""
    term = (by_row[..., :, None] + by_column[..., None, :]).flatten(2)
    # a batch of one: the kernels want B heads N D
    mixed = functional.scaled_dot_product_attention(
        queries[None], keys[None], values[None], attn_mask=term[None], scale=1.0
    )
    return mixed[0]
