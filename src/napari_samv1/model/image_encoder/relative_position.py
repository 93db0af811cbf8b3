"""How much a token cares about another one's offset, by height and by width."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class RelativePosition(nn.Module):
    """Decomposed relative positions (Li et al. 2022, MViTv2): one learned vector per offset and axis.

    The tables hold ``2 * n - 1`` rows for the ``n`` positions of an axis in training and are resized
    linearly for any other ``n``.
    """

    def __init__(self, positions: int, head_width: int) -> None:
        super().__init__()
        self.height = nn.Parameter(torch.zeros(2 * positions - 1, head_width))
        self.width = nn.Parameter(torch.zeros(2 * positions - 1, head_width))

    def forward(self, queries_ghwd: Tensor) -> tuple[Tensor, Tensor]:
        """Queries (unscaled, G h w D for G heads) -> their terms per key row and per key column.

        The term of a key at row i, column j is ``by_row[..., i] + by_column[..., j]``.
        """
        _, height, width, _ = queries_ghwd.shape
        rows_hid = offsets(self.height, height).to(queries_ghwd.dtype)
        columns_wjd = offsets(self.width, width).to(queries_ghwd.dtype)
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
