"""Decomposed relative positions: terms for a token's offset from another one, by height and by width."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

OffsetVectors = tuple[Tensor, Tensor]
"""For each pair of positions, along the height and along the width, the vector of their offset."""


class RelativePosition(nn.Module):
    """Decomposed relative positions (Li et al. 2022, MViTv2): one learned vector per offset and axis.

    The tables hold ``2 * n - 1`` rows for the ``n`` positions of an axis in training and are resized
    linearly for any other ``n``.
    """

    def __init__(self, positions: int, head_width: int) -> None:
        super().__init__()
        self.height = nn.Parameter(torch.zeros(2 * positions - 1, head_width))
        self.width = nn.Parameter(torch.zeros(2 * positions - 1, head_width))

    def at(self, grid_hw: tuple[int, int], dtype: torch.dtype) -> OffsetVectors:
        """The vectors of all pairs of positions on a grid: h h D and w w D."""
        height, width = grid_hw
        return offsets(self.height, height).to(dtype), offsets(self.width, width).to(dtype)

    def forward(self, queries_ghwd: Tensor, vectors: OffsetVectors | None = None) -> tuple[Tensor, Tensor]:
        """Queries (unscaled, G h w D for G heads) -> their terms per key row and per key column.

        The term of a key at row i, column j is ``by_row[..., i] + by_column[..., j]``. ``vectors`` are those
        of ``at``, computed by default.
        """
        _, height, width, _ = queries_ghwd.shape
        rows_hid, columns_wjd = self.at((height, width), queries_ghwd.dtype) if vectors is None else vectors
        by_row = torch.einsum("ghwd,hid->ghwi", queries_ghwd, rows_hid)
        by_column = torch.einsum("ghwd,wjd->ghwj", queries_ghwd, columns_wjd)
        return by_row, by_column


def offsets(table: Tensor, positions: int) -> Tensor:
    """The table's vector for every (query, key) pair along one axis: positions x positions x D."""
    rows = 2 * positions - 1
    if len(table) != rows:
        curve = table.to(torch.float32).T.unsqueeze(0)  # 1 D rows
        table = functional.interpolate(curve, rows, mode="linear")[0].T
    steps = torch.arange(positions, device=table.device)
    return table[steps[:, None] - steps[None, :] + positions - 1]
