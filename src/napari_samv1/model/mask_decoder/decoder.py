"""Image tokens and prompt tokens -> four masks and the predicted IoU of each."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from napari_samv1.model.config import SamConfig
from napari_samv1.model.layers import standard_normal
from napari_samv1.model.mask_decoder.iou_mlp import ThreeLayerMlp
from napari_samv1.model.mask_decoder.mask_generator import MaskGenerator
from napari_samv1.model.mask_decoder.mask_hint_encoder import MaskHintEncoder
from napari_samv1.model.mask_decoder.two_way_transformer import TwoWayTransformer

MASKS = 4
"""One mask for unambiguous prompts, then three for a whole, a part and a subpart."""


@dataclass(frozen=True, eq=False)
class DecoderImage:
    """Prompt-free tensors of one image: computed once, used by every prompt.

    ``tokens_bnc`` are the image tokens, ``encoding_bnc`` their positions; ``plain_bnc`` are the tokens for
    no mask hint, ``placed_bnc`` these plus their positions, ``remembered`` their keys and values in the
    first attention. One image serves all prompts, or each has a window of it.
    """

    grid_hw: tuple[int, int]
    tokens_bnc: Tensor
    encoding_bnc: Tensor
    plain_bnc: Tensor
    placed_bnc: Tensor
    remembered: tuple[Tensor, Tensor]

    def windows(self, first_byx: Tensor, size_hw: tuple[int, int]) -> DecoderImage:
        """Cut out B windows of one size; ``first_byx`` (B, 2) holds each one's first row and column."""
        height, width = size_hw
        rows, columns = (
            first_byx[:, axis, None] + torch.arange(size, device=first_byx.device)
            for axis, size in enumerate(size_hw)
        )
        tokens_bn = (rows[:, :, None] * self.grid_hw[1] + columns[:, None, :]).view(-1, height * width)
        keys, values = (of_heads[0][:, tokens_bn].transpose(0, 1) for of_heads in self.remembered)
        return DecoderImage(
            grid_hw=size_hw,
            tokens_bnc=self.tokens_bnc[0, tokens_bn],
            encoding_bnc=self.encoding_bnc[0, tokens_bn],
            plain_bnc=self.plain_bnc[0, tokens_bn],
            placed_bnc=self.placed_bnc[0, tokens_bn],
            remembered=(keys, values),
        )


@dataclass(frozen=True, eq=False)
class Attended:
    """Prompts and image after attending to each other: with scores, and no masks yet.

    ``image_bnc`` are the image's tokens for each prompt, ``mask_tokens_bmc`` the four masks' tokens,
    ``iou_bm`` (float32) the predicted IoU of each mask.
    """

    grid_hw: tuple[int, int]
    image_bnc: Tensor
    mask_tokens_bmc: Tensor
    iou_bm: Tensor

    def rows(self, chosen: Tensor) -> Attended:
        """Keep some of the prompts, by their indices in ascending order."""
        if len(chosen) == len(self.image_bnc):
            return self
        return Attended(
            self.grid_hw, self.image_bnc[chosen], self.mask_tokens_bmc[chosen], self.iou_bm[chosen]
        )


class MaskDecoder(nn.Module):
    """Kirillov et al. 2023, appendix A, "Lightweight mask decoder"."""

    def __init__(self, config: SamConfig) -> None:
        super().__init__()
        channels = config.channels
        self.mask_hint_encoder = MaskHintEncoder(channels, config.hint_channels)
        self.iou_token = nn.Parameter(standard_normal(channels))
        self.mask_tokens = nn.Parameter(standard_normal(MASKS, channels))
        self.transformer = TwoWayTransformer(
            channels, config.decoder_depth, config.decoder_heads, config.decoder_mlp
        )
        self.mask_generator = MaskGenerator(channels, MASKS)
        self.iou_mlp = ThreeLayerMlp(channels, 256, MASKS)

    def prepare(self, image_bchw: Tensor, grid_encoding_bchw: Tensor) -> DecoderImage:
        """Image tokens, 1 C h w, and their grid's encoding -> the tensors that all prompts share."""
        dtype = self.iou_token.dtype
        tokens, encoding = _sequence(image_bchw.to(dtype)), _sequence(grid_encoding_bchw.to(dtype))
        plain = tokens + self.mask_hint_encoder.no_mask
        placed = plain + encoding
        return DecoderImage(
            grid_hw=(image_bchw.shape[2], image_bchw.shape[3]),
            tokens_bnc=tokens,
            encoding_bnc=encoding,
            plain_bnc=plain,
            placed_bnc=placed,
            remembered=self.transformer.remember(plain, placed),
        )

    def forward(
        self, image: DecoderImage, prompts_btc: Tensor, hint_b1hw: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Prompt tokens and a hint, on a prepared image -> logits B 4 4h 4w and IoU B 4, both float32."""
        attended = self.attend(image, prompts_btc, hint_b1hw)
        return self.draw(attended), attended.iou_bm

    def attend(self, image: DecoderImage, prompts_btc: Tensor, hint_b1hw: Tensor | None) -> Attended:
        """Decode all but the masks, so that masks with a low score need not be drawn."""
        output_tokens = torch.cat([self.iou_token[None], self.mask_tokens])
        prompts_btc = prompts_btc.to(output_tokens.dtype)
        tokens = torch.cat([output_tokens.expand(len(prompts_btc), -1, -1), prompts_btc], dim=1)
        plain, placed, remembered = image.plain_bnc, image.placed_bnc, image.remembered
        if hint_b1hw is not None:
            plain = image.tokens_bnc + _sequence(self.mask_hint_encoder(hint_b1hw))
            placed = plain + image.encoding_bnc
        tokens, attended_bnc = self.transformer(
            tokens, plain, placed, image.encoding_bnc, remembered if hint_b1hw is None else None
        )
        return Attended(
            image.grid_hw, attended_bnc, tokens[:, 1 : 1 + MASKS], self.iou_mlp(tokens[:, 0]).float()
        )

    def draw(self, attended: Attended) -> Tensor:
        """Draw the masks: logits B 4 4h 4w, float32."""
        image_bhwc = attended.image_bnc.unflatten(1, attended.grid_hw)
        return self.mask_generator(image_bhwc, attended.mask_tokens_bmc).float()


def _sequence(x_bchw: Tensor) -> Tensor:
    return x_bchw.flatten(2).transpose(1, 2).contiguous()  # B N C
