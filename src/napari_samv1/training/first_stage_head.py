"""Extra head of the first stage: it trains the encoder on objects before there are prompts.

It shares the decoder's upscaler and the networks that turn a mask token into a mask, so that both are
trained when the prompted stage begins; the rest is discarded after training.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_samv1.model import Sam
from napari_samv1.model.config import SamConfig
from napari_samv1.training.targets import DENSE_CHANNELS

MASKS = 4


class FirstStageHead(nn.Module):
    """Dense maps from the upscaled tokens, and a stand-in for the two-way transformer.

    The stand-in makes the four mask tokens of the tokens under the click, so that the encoder learns to
    separate objects by their tokens alone.
    """

    def __init__(self, config: SamConfig, seed: int) -> None:
        super().__init__()
        channels = config.channels
        self.maps = nn.Conv2d(channels // 8, DENSE_CHANNELS, 1)
        self.read = nn.Linear(channels + channels // 8, MASKS * channels)
        self.norm = nn.LayerNorm(channels)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for layer in (self.maps, self.read):
                layer.weight.copy_(0.05 * torch.randn(layer.weight.shape, generator=generator))
                nn.init.zeros_(cast("Tensor", layer.bias))
            cast("Tensor", self.maps.bias)[1:3] = -2.0  # rims and parts are rare

    def upscale(self, network: Sam, tokens_bchw: Tensor) -> Tensor:
        """The mask generator's features at four times the grid, B C/8 4h 4w."""
        generator = network.mask_decoder.mask_generator
        x_bchw: Tensor = generator.upscale_first(tokens_bchw)
        x_bchw = generator.norm_first(x_bchw.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return functional.gelu(generator.upscale_second(functional.gelu(x_bchw)))

    def masks(self, network: Sam, tokens_chw: Tensor, features_chw: Tensor, clicks_xy01: Tensor) -> Tensor:
        """Logits P 4 4h 4w for P clicks (P 2) on one image."""
        places = (2 * clicks_xy01 - 1)[None, None]  # 1 1 P 2
        seen = [
            functional.grid_sample(x[None].float(), places, align_corners=False)[0, :, 0]
            for x in (tokens_chw, features_chw)
        ]
        read = self.read(torch.cat(seen).T).unflatten(1, (MASKS, -1))
        mask_tokens = self.norm(read)  # P 4 C
        weigh = network.mask_decoder.mask_generator.weights
        weights = torch.stack([mlp(mask_tokens[:, i]) for i, mlp in enumerate(weigh)], dim=1)
        return (weights @ features_chw.flatten(1)).unflatten(2, features_chw.shape[1:])
