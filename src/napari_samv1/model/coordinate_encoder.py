"""Coordinates -> Fourier features."""

from __future__ import annotations

from collections.abc import Callable
from math import pi
from typing import Self

import torch
from torch import Tensor, nn

from napari_samv1.model.layers import standard_normal


class CoordinateEncoder(nn.Module):
    """Random Fourier features of a position (Tancik et al. 2020; Kirillov et al. 2023, appendix A).

    The frequencies are drawn once, in training, and stored with the weights. They stay in float32 even in a
    bfloat16 network, because in bfloat16 neighbouring pixels would share a position.
    """

    frequencies: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("frequencies", standard_normal(2, channels // 2))

    def forward(self, xy01: Tensor) -> Tensor:
        """Encode (..., 2) positions, x before y, each 0..1 across the model input, as (..., channels)."""
        centred = 2 * xy01.to(torch.float32) - 1
        # a broadcast product, since autocast would turn a matrix product into bfloat16
        angles = 2 * pi * (centred.unsqueeze(-1) * self.frequencies).sum(-2)
        return torch.cat([angles.sin(), angles.cos()], dim=-1)

    def grid(self, grid_hw: tuple[int, int]) -> Tensor:
        """The encoding of every token's centre: (h, w) -> 1 C h w."""
        height, width = grid_hw
        device = self.frequencies.device
        y = (torch.arange(height, device=device, dtype=torch.float32) + 0.5) / height
        x = (torch.arange(width, device=device, dtype=torch.float32) + 0.5) / width
        xy01 = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)  # h w 2
        return self(xy01).permute(2, 0, 1).unsqueeze(0)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        exact = self.frequencies
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        if not exact.is_meta:
            self.frequencies = exact.to(self.frequencies.device)
        return self
