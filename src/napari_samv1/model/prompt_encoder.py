"""Points and boxes -> prompt tokens."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from napari_samv1.model.coordinate_encoder import CoordinateEncoder
from napari_samv1.model.layers import standard_normal


class PromptEncoder(nn.Module):
    """Five learned vectors, one for each meaning of a position (Kirillov et al. 2023, appendix A)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.background = nn.Parameter(standard_normal(channels))
        self.foreground = nn.Parameter(standard_normal(channels))
        self.box_start = nn.Parameter(standard_normal(channels))
        self.box_end = nn.Parameter(standard_normal(channels))
        self.not_a_point = nn.Parameter(standard_normal(channels))

    def forward(
        self, encode: CoordinateEncoder, points_xy01: Tensor, labels: Tensor, boxes_xy01: Tensor
    ) -> Tensor:
        """Prompts of B objects -> tokens, B T C: points, padding, then both corners of every box.

        ``points_xy01`` is B N 2 with ``labels`` B N (1 foreground, 0 background); ``boxes_xy01`` is B M 2 2,
        first the corner nearer the origin. Positions are 0..1 across the model input.
        """
        parts = []
        if points_xy01.shape[1]:
            meaning = torch.where(labels.unsqueeze(-1) == 1, self.foreground, self.background)
            parts.append(encode(points_xy01) + meaning)
            if not boxes_xy01.shape[1]:
                # the published network was trained with this padding wherever points come without a box
                parts.append(self.not_a_point.expand(len(points_xy01), 1, -1))
        corners = encode(boxes_xy01) + torch.stack([self.box_start, self.box_end])  # B M 2 C
        parts.append(corners.flatten(1, 2))
        return torch.cat(parts, dim=1).to(self.foreground.dtype)
