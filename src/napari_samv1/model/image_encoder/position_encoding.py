"""The learned position of every token."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class PositionEncoding(nn.Module):
    """A learned grid of vectors, resized like an image to any other grid."""

    def __init__(self, grid: int, width: int) -> None:
        super().__init__()
        self.table_hwc = nn.Parameter(torch.zeros(grid, grid, width))

    def forward(self, tokens_bhwc: Tensor) -> Tensor:
        _, height, width, _ = tokens_bhwc.shape
        return tokens_bhwc + self.at((height, width)).to(tokens_bhwc.dtype)

    def at(self, grid_hw: tuple[int, int]) -> Tensor:
        """The encoding at any grid, h w C; at the learned grid it is the table itself."""
        if grid_hw == self.table_hwc.shape[:2]:
            return self.table_hwc
        table_bchw = self.table_hwc.to(torch.float32).permute(2, 0, 1).unsqueeze(0)
        resized = functional.interpolate(table_bchw, grid_hw, mode="bilinear", antialias=True)
        return resized[0].permute(1, 2, 0)
