"""Image tokens and mask tokens -> mask logits."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_samv1.model.mask_decoder.iou_mlp import ThreeLayerMlp


class MaskGenerator(nn.Module):
    """Upscales the image tokens fourfold; each mask token weighs their channels into one mask.

    A transposed convolution whose stride is its size makes 2 x 2 pixels of every token, apart from all
    others: a linear layer. The pixels stay nested in their tokens until four numbers are left of each, and
    only these are brought into reading order.
    """

    def __init__(self, channels: int, masks: int) -> None:
        super().__init__()
        self.upscale_first = nn.ConvTranspose2d(channels, channels // 4, kernel_size=2, stride=2)
        self.norm_first = nn.LayerNorm(channels // 4, eps=1e-6)
        self.upscale_second = nn.ConvTranspose2d(channels // 4, channels // 8, kernel_size=2, stride=2)
        self.weights = nn.ModuleList(ThreeLayerMlp(channels, channels, channels // 8) for _ in range(masks))

    def forward(self, image_bhwc: Tensor, mask_tokens_bmc: Tensor) -> Tensor:
        """B h w C and B M C -> logits B M 4h 4w."""
        x = functional.gelu(self.norm_first(_make_four(image_bhwc, self.upscale_first)))
        x = functional.gelu(_make_four(x, self.upscale_second))  # B h w 2 2 2 2 C/8
        weights = [mlp(token) for mlp, token in zip(self.weights, mask_tokens_bmc.unbind(1), strict=True)]
        batch, height, width = image_bhwc.shape[:3]
        pixels = x.reshape(batch, height * width * 16, -1)
        logits = (torch.stack(weights, dim=1) @ pixels.mT).reshape(batch, -1, height, width, 2, 2, 2, 2)
        # B M h w (row column) (row column) -> rows together, columns together
        return logits.permute(0, 1, 2, 4, 6, 3, 5, 7).reshape(batch, -1, 4 * height, 4 * width)


def _make_four(x: Tensor, convolution: nn.ConvTranspose2d) -> Tensor:
    """... C -> ... 2 2 C', the 2 x 2 pixels of every token."""
    # the weight is C C' 2 2
    weight = convolution.weight.permute(2, 3, 1, 0).flatten(0, 2)
    assert convolution.bias is not None
    return functional.linear(x, weight, convolution.bias.repeat(4)).unflatten(
        -1, (2, 2, convolution.out_channels)
    )
