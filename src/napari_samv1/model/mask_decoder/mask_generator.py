"""Image tokens and mask tokens -> mask logits."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_samv1.model.layers import LayerNorm2d
from napari_samv1.model.mask_decoder.iou_mlp import ThreeLayerMlp


class MaskGenerator(nn.Module):
    """Upscales the image tokens fourfold; each mask token weighs their channels into one mask."""

    def __init__(self, channels: int, masks: int) -> None:
        super().__init__()
        self.upscale_first = nn.ConvTranspose2d(channels, channels // 4, kernel_size=2, stride=2)
        self.norm_first = LayerNorm2d(channels // 4)
        self.upscale_second = nn.ConvTranspose2d(channels // 4, channels // 8, kernel_size=2, stride=2)
        self.weights = nn.ModuleList(ThreeLayerMlp(channels, channels, channels // 8) for _ in range(masks))

    def forward(self, image_bchw: Tensor, mask_tokens_bmc: Tensor) -> Tensor:
        """B C h w and B M C -> logits B M 4h 4w."""
        x = self.upscale(image_bchw)
        weights = [mlp(token) for mlp, token in zip(self.weights, mask_tokens_bmc.unbind(1), strict=True)]
        return (torch.stack(weights, dim=1) @ x.flatten(2)).unflatten(2, x.shape[2:])

    def upscale(self, image_bchw: Tensor) -> Tensor:
        """The features that every mask is made of: B C h w -> B C/8 4h 4w."""
        x = functional.gelu(self.norm_first(self.upscale_first(image_bchw)))
        return functional.gelu(self.upscale_second(x))
