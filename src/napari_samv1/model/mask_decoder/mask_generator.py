"""Image tokens and mask tokens -> mask logits."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_samv1.model.layers import at_once_on, linear
from napari_samv1.model.mask_decoder.iou_mlp import ThreeLayerMlp

TOKENS_AT_ONCE = 1024
"""Number of tokens that a CPU upscales at a time: their pixels, 2 MB in float32, stay in its cache."""


class MaskGenerator(nn.Module):
    """Upscales the image tokens fourfold; each mask token weighs their channels into one mask.

    A transposed convolution whose stride is its size makes 2 x 2 pixels of every token by itself: a linear
    layer. The pixels stay nested in their tokens until only the masks' logits are left, and these alone are
    brought into reading order.
    """

    def __init__(self, channels: int, masks: int) -> None:
        super().__init__()
        self.upscale_first = nn.ConvTranspose2d(channels, channels // 4, kernel_size=2, stride=2)
        self.norm_first = nn.LayerNorm(channels // 4, eps=1e-6)
        self.upscale_second = nn.ConvTranspose2d(channels // 4, channels // 8, kernel_size=2, stride=2)
        self.weights = nn.ModuleList(ThreeLayerMlp(channels, channels, channels // 8) for _ in range(masks))

    def forward(self, image_bhwc: Tensor, mask_tokens_bmc: Tensor) -> Tensor:
        """B h w C and B M C -> logits B M 4h 4w."""
        weights = [mlp(token) for mlp, token in zip(self.weights, mask_tokens_bmc.unbind(1), strict=True)]
        weights_bmc = torch.stack(weights, dim=1)
        tokens_bnc = image_bhwc.flatten(1, 2)
        numbers = 2 * tokens_bnc.shape[2]  # of one token, upscaled
        tokens = at_once_on(tokens_bnc.device, TOKENS_AT_ONCE * numbers) // numbers
        parts = tokens_bnc.split(max(1, tokens // len(tokens_bnc)), 1)
        weighed = [self._weigh(some, weights_bmc) for some in parts]
        logits = torch.cat(weighed, dim=2) if len(weighed) > 1 else weighed[0]
        batch, height, width, _ = image_bhwc.shape
        # B M h w (row column) (row column) -> rows together, columns together
        nested = logits.view(batch, -1, height, width, 2, 2, 2, 2).permute(0, 1, 2, 4, 6, 3, 5, 7)
        return nested.reshape(batch, -1, 4 * height, 4 * width)

    def _weigh(self, tokens_bnc: Tensor, weights_bmc: Tensor) -> Tensor:
        """B N C -> B M 16N: every token's 2 x 2 x 2 x 2 pixels, for every mask."""
        x = functional.gelu(self.norm_first(_make_four(tokens_bnc, self.upscale_first)))
        x = functional.gelu(_make_four(x, self.upscale_second))  # B N 2 2 2 2 C/8
        return weights_bmc @ x.flatten(1, -2).mT


def _make_four(x: Tensor, convolution: nn.ConvTranspose2d) -> Tensor:
    """... C -> ... 2 2 C', the 2 x 2 pixels of every token."""
    # the weight is C C' 2 2
    weight = convolution.weight.permute(2, 3, 1, 0).flatten(0, 2)
    assert convolution.bias is not None
    return linear(x, weight, convolution.bias.repeat(4)).unflatten(-1, (2, 2, convolution.out_channels))
