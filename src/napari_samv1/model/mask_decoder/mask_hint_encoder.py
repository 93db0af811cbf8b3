"""A mask hint -> a term that is added to the image tokens."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from napari_samv1.model.layers import Conv2d, LayerNorm2d, standard_normal


class MaskHintEncoder(nn.Module):
    """Brings the logits of an earlier mask down to the token grid.

    Without one, the learned vector ``no_mask`` is added to every image token instead.
    """

    def __init__(self, channels: int, hint_channels: int) -> None:
        super().__init__()
        first = hint_channels // 4
        self.halve = Conv2d(1, first, kernel_size=2, stride=2)
        self.norm_halve = LayerNorm2d(first)
        self.quarter = Conv2d(first, hint_channels, kernel_size=2, stride=2)
        self.norm_quarter = LayerNorm2d(hint_channels)
        self.widen = Conv2d(hint_channels, channels, kernel_size=1)
        self.no_mask = nn.Parameter(standard_normal(channels))

    def forward(self, hint_b1hw: Tensor) -> Tensor:
        """Logits B 1 4h 4w -> B C h w."""
        x = functional.gelu(self.norm_halve(self.halve(hint_b1hw.to(self.no_mask.dtype))))
        x = functional.gelu(self.norm_quarter(self.quarter(x)))
        return self.widen(x)
