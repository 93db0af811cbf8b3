"""Image tokens and prompt tokens -> four masks and how good each is."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from napari_samv1.model.config import SamConfig
from napari_samv1.model.mask_decoder.iou_mlp import ThreeLayerMlp
from napari_samv1.model.mask_decoder.mask_generator import MaskGenerator
from napari_samv1.model.mask_decoder.mask_hint_encoder import MaskHintEncoder
from napari_samv1.model.mask_decoder.two_way_transformer import TwoWayTransformer

MASKS = 4
"""One mask for unambiguous prompts, then three for a whole, a part and a subpart."""


class MaskDecoder(nn.Module):
    """Kirillov et al. 2023, appendix A, "Lightweight mask decoder"."""

    def __init__(self, config: SamConfig) -> None:
        super().__init__()
        channels = config.channels
        self.mask_hint_encoder = MaskHintEncoder(channels, config.hint_channels)
        self.iou_token = nn.Parameter(torch.randn(channels))
        self.mask_tokens = nn.Parameter(torch.randn(MASKS, channels))
        self.transformer = TwoWayTransformer(
            channels, config.decoder_depth, config.decoder_heads, config.decoder_mlp
        )
        self.mask_generator = MaskGenerator(channels, MASKS)
        self.iou_mlp = ThreeLayerMlp(channels, 256, MASKS)

    def forward(
        self, image_bchw: Tensor, grid_encoding_bchw: Tensor, prompts_btc: Tensor, hint_b1hw: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Image tokens (batch 1 serves every prompt), the grid's encoding, prompt tokens and a hint.

        Returns logits B 4 4h 4w and predicted IoU B 4, both float32.
        """
        image = image_bchw + self.mask_hint_encoder(hint_b1hw)
        output_tokens = torch.cat([self.iou_token[None], self.mask_tokens])
        tokens = torch.cat([output_tokens.expand(len(prompts_btc), -1, -1), prompts_btc], dim=1)
        encoding = grid_encoding_bchw.to(image.dtype)
        tokens, image_bnc = self.transformer(tokens, _sequence(image), _sequence(encoding))
        attended_bchw = image_bnc.transpose(1, 2).unflatten(2, image.shape[2:])
        logits = self.mask_generator(attended_bchw, tokens[:, 1 : 1 + MASKS])
        return logits.float(), self.iou_mlp(tokens[:, 0]).float()


def _sequence(x_bchw: Tensor) -> Tensor:
    return x_bchw.flatten(2).transpose(1, 2)  # B N C
