"""Self-attention among image tokens, with relative positions."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_samv1.model.image_encoder.relative_position import OffsetVectors, RelativePosition
from napari_samv1.model.image_encoder.windows import join_windows, split_windows
from napari_samv1.model.layers import Linear, at_once, at_once_on, linear

LOGITS_AT_ONCE = 2**20
"""Largest number of attention logits at a time on a CPU, 4 MB: the allocator returns the pages of larger
buffers every time."""

ROWS_AT_ONCE = 256
"""Fewest queries that share a matrix product: for fewer, packing the keys takes longer than the product."""

MANY_KEYS = 1024
"""Number of keys from which on a mask, a number per pair, is more traffic than wider queries and keys."""

WIDEST_FLASH = 256
"""Largest width of the queries and keys of flash attention."""

FLASH_STEP = 8
"""Divisor of the width that flash attention requires."""

PROJECTED_AT_ONCE = 2**22
"""Largest number of query, key and value elements of windows at a time on a CPU, 16 MB in float32."""


@dataclass(frozen=True, eq=False)
class AttentionTables:
    """Tables of attention on one grid, prepared once.

    ``places_nc`` marks every key's row and column by a one each, for relative terms in queries and keys.
    """

    vectors: OffsetVectors
    places_nc: Tensor | None = None


class SelfAttention(nn.Module):
    """Self-attention among the tokens of the whole grid, or of each window.

    ``positions`` is the number of positions along an axis for which relative positions were learned.
    """

    def __init__(self, width: int, heads: int, positions: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = Linear(width, 3 * width)
        self.relative_position = RelativePosition(positions, width // heads)
        self.projection = Linear(width, width)

    def tables(self, grid_hw: tuple[int, int]) -> AttentionTables:
        """The tables of a grid of tokens or of a window, for the weights' precision and device."""
        weight = self.qkv.weight
        places = None
        if weight.device.type != "cpu" and terms_as_columns(grid_hw, weight.shape[1] // self.heads):
            places = places_on(grid_hw, weight)
        return AttentionTables(self.relative_position.at(grid_hw, weight.dtype), places)

    def forward(self, tokens_bhwc: Tensor, tables: AttentionTables | None = None) -> Tensor:
        return self.projection(self.mix(self.qkv(tokens_bhwc), tables))

    def within_windows(
        self, tokens_bhwc: Tensor, window: int, tables: AttentionTables | None = None
    ) -> Tensor:
        """Attend as ``forward`` does, but within windows of ``window`` x ``window`` tokens.

        The published network normalises, pads with zeros, then projects, so that the queries, keys and
        values of a padded token are the projection's bias alone. Projecting the real tokens and padding
        with that bias is equal, and saves arithmetic. Rows of windows are processed in chunks, so that
        their projections stay small beside the tokens.
        """
        batch, _, width, channels = tokens_bhwc.shape
        row_of_windows = 3 * batch * window * width * channels
        rows = window * max(1, at_once_on(tokens_bhwc.device, PROJECTED_AT_ONCE) // row_of_windows)
        if rows >= tokens_bhwc.shape[1]:
            return self._within_windows(tokens_bhwc, window, tables)
        return torch.cat(
            [self._within_windows(rows_bhwc, window, tables) for rows_bhwc in tokens_bhwc.split(rows, dim=1)],
            dim=1,
        )

    def _within_windows(self, tokens_bhwc: Tensor, window: int, tables: AttentionTables | None) -> Tensor:
        grid_hw = (tokens_bhwc.shape[1], tokens_bhwc.shape[2])
        mixed = self.mix(split_windows(self.qkv(tokens_bhwc), window, self.qkv.bias), tables)
        return self.projection(join_windows(mixed, grid_hw))

    def mix(self, qkv: Tensor, tables: AttentionTables | None = None) -> Tensor:
        """Queries, keys and values side by side, ... H W 3C -> attended values, ... H W C.

        Tokens attend to those of their H x W grid.
        """
        *grids, height, width, _ = qkv.shape
        split = qkv.unflatten(-1, (3, self.heads, -1)).movedim((-3, -2), (0, -4))  # 3 ... heads H W D
        # with one grid, the groups are its heads, and these are views
        queries, keys, values = (part.reshape(-1, height * width, part.shape[-1]) for part in split)  # G N D
        del qkv, split  # with several grids, the parts are copies by now
        vectors, places = (None, None) if tables is None else (tables.vectors, tables.places_nc)
        by_row, by_column = self.relative_position(queries.unflatten(1, (height, width)), vectors)
        mixed = attend(queries, keys, values, by_row.flatten(1, 2), by_column.flatten(1, 2), places)
        return mixed.view(*grids, self.heads, height, width, -1).movedim(-4, -2).flatten(-2)


def attend(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    by_row: Tensor,
    by_column: Tensor,
    places_nc: Tensor | None = None,
) -> Tensor:
    """softmax(q k / sqrt(d) + relative term) v, exactly, some groups or some query rows at a time.

    Queries, keys and values are G N D for G heads of all grids; the relative terms G N h and G N w with
    N = h * w keys in reading order. The logits of all pairs at once would be the largest tensor of the
    whole network. On a CPU, logits and softmax are float32 even for bfloat16 queries: rounding large logits
    to bfloat16 changes attention by percents and saves little time. (Autocast, as in training, rounds the
    products nevertheless.)

    On other devices, one kernel stores no logits. It gets the terms as ``terms_as_columns`` says, all at once
    where free memory allows; ``places_nc`` is computed by default.
    """
    groups, count, head_width = queries.shape
    device = queries.device
    if device.type != "cpu" and terms_as_columns((by_row.shape[2], by_column.shape[2]), head_width):
        return _attend_by_columns(queries, keys * head_width**-0.5, values, by_row, by_column, places_nc)
    on_cpu = device.type == "cpu"
    exact = on_cpu and not torch.is_autocast_enabled("cpu")
    dtype = torch.float32 if exact else queries.dtype
    attend_chunk = _attend_by_products if on_cpu else _attend_masked
    logits = at_once_on(device, LOGITS_AT_ONCE)
    groups_at_once = max(1, logits // count**2)
    rows_at_once = max(at_once(ROWS_AT_ONCE), logits // (min(groups, groups_at_once) * count))
    mixed = []
    # split, not sliced, because the gradient of a slice is as large as the whole
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


def terms_as_columns(grid_hw: tuple[int, int], head_width: int) -> bool:
    """Return True if, off the CPU, the relative terms are columns of queries and keys instead of a mask.

    Columns suit many keys, as in global blocks, if the kernel is wide enough: no tensor then holds a number
    for each pair. A mask suits few keys, as in windows, where the columns would be most of the product.
    """
    height, width = grid_hw
    return height * width >= MANY_KEYS and head_width + height + width <= WIDEST_FLASH


def _attend_by_products(
    queries: Tensor, keys: Tensor, values: Tensor, by_row: Tensor, by_column: Tensor
) -> Tensor:
    """Attend by two matrix products around a softmax: on a CPU faster than a fused kernel with a mask."""
    height, width = by_row.shape[2], by_column.shape[2]
    if queries.requires_grad:
        # in training the product adds the terms, because autograd would copy the logits for each addition
        placed = torch.cat([keys, places_on((height, width), keys).expand(len(keys), -1, -1)], dim=2)
        logits = torch.cat([queries, by_row.to(queries), by_column.to(queries)], dim=2) @ placed.mT
        return logits.softmax(-1) @ values
    logits = _times_transposed(queries, keys).unflatten(2, (height, width))
    for term in (by_row[..., :, None], by_column[..., None, :]):
        logits.add_(term)
    return _times_transposed(logits.flatten(2).softmax(-1), values.mT)


def places_on(grid_hw: tuple[int, int], like: Tensor) -> Tensor:
    """Ones at every key's row and column: N h+w, in the dtype and on the device of ``like``."""
    height, width = grid_hw
    rows = torch.eye(height, dtype=like.dtype, device=like.device).repeat_interleave(width, dim=0)
    columns = torch.eye(width, dtype=like.dtype, device=like.device).repeat(height, 1)
    return torch.cat([rows, columns], dim=1)


def _times_transposed(left: Tensor, right: Tensor) -> Tensor:
    """G N D times the transposed G M D -> G N M."""
    return linear(left[0], right[0])[None] if len(left) == 1 else torch.bmm(left, right.mT)


def _attend_masked(
    queries: Tensor, keys: Tensor, values: Tensor, by_row: Tensor, by_column: Tensor
) -> Tensor:
    """Attend by one kernel, with the terms as its mask."""
    term = (by_row[..., :, None] + by_column[..., None, :]).flatten(2)
    # a batch of one, because the kernels expect B heads N D
    mixed = functional.scaled_dot_product_attention(
        queries[None], keys[None], values[None], attn_mask=term[None], scale=1.0
    )
    return mixed[0]


def _attend_by_columns(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    by_row: Tensor,
    by_column: Tensor,
    places_nc: Tensor | None,
) -> Tensor:
    """Attend by one kernel, with the terms as columns of the queries beside ones in the keys."""
    height, width, head_width = by_row.shape[2], by_column.shape[2], values.shape[2]
    places = places_on((height, width), keys) if places_nc is None else places_nc
    asked = torch.cat([queries, by_row, by_column], dim=2)
    placed = torch.cat([keys, places.expand(len(keys), -1, -1)], dim=2)
    if missing := -asked.shape[2] % FLASH_STEP:
        asked, placed = functional.pad(asked, (0, missing)), functional.pad(placed, (0, missing))
    if values.dtype != torch.float32 or values.device.type != "cuda":
        # flash attention needs values as wide as the keys; CUDA's kernel for float32 does not
        values = functional.pad(values, (0, asked.shape[2] - head_width))
    mixed = functional.scaled_dot_product_attention(asked[None], placed[None], values[None], scale=1.0)
    return mixed[0, ..., :head_width]
