"""Pixels -> token grid."""

from __future__ import annotations

from torch import Tensor, nn

from napari_samv1.model.layers import Conv2d


class PatchEmbedding(nn.Module):
    """A strided convolution: every patch of pixels becomes one token."""

    def __init__(self, patch: int, width: int) -> None:
        super().__init__()
        self.projection = Conv2d(3, width, kernel_size=patch, stride=patch)

    def forward(self, image_bchw: Tensor) -> Tensor:
        return self.projection(image_bchw.to(self.projection.weight.dtype)).permute(0, 2, 3, 1)  # B h w C
