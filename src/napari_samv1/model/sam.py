"""Segment Anything, whole (Kirillov et al. 2023)."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from napari_samv1.model.config import SamConfig
from napari_samv1.model.coordinate_encoder import CoordinateEncoder
from napari_samv1.model.image_encoder import ImageEncoder
from napari_samv1.model.mask_decoder import Attended, DecoderImage, MaskDecoder
from napari_samv1.model.prompt_encoder import PromptEncoder


class Sam(nn.Module):
    """Encode an image once, then decode any number of prompts against it.

    Positions are 0..1 across the model input, x before y. Works on the device of its weights and in their
    precision, which may be lower for the encoder's stages and for the decoder; logits and scores come back in
    float32.
    """

    def __init__(self, config: SamConfig) -> None:
        super().__init__()
        self.config = config
        self.image_encoder = ImageEncoder(config)
        self.coordinate_encoder = CoordinateEncoder(config.channels)
        self.prompt_encoder = PromptEncoder(config.channels)
        self.mask_decoder = MaskDecoder(config)

    def decoding_in(self, dtype: torch.dtype) -> Sam:
        """The same network with a separate decoder in another precision; all else is shared."""
        other = copy.copy(self)
        other._modules = {**self._modules, "mask_decoder": copy.deepcopy(self.mask_decoder).to(dtype)}
        return other

    def encode(
        self,
        image_bchw: Tensor,
        *,
        window_sizes: Sequence[int] | None = None,
        on_block: Callable[[int, Tensor], None] | None = None,
    ) -> Tensor:
        """Prepared pixels, B 3 H W -> image tokens, B C h w; see ``ImageEncoder``."""
        return self.image_encoder(image_bchw, window_sizes=window_sizes, on_block=on_block)

    def encode_prompts(self, points_xy01: Tensor, labels: Tensor, boxes_xy01: Tensor) -> Tensor:
        """Points B N 2 with labels B N, boxes B M 2 2 -> prompt tokens, B T C; N and M may be 0."""
        return self.prompt_encoder(self.coordinate_encoder, points_xy01, labels, boxes_xy01)

    def prepare_image(self, image_tokens_bchw: Tensor) -> DecoderImage:
        """Image tokens, 1 C h w -> the tensors that all prompts on that image share, computed once."""
        grid = self.coordinate_encoder.grid((image_tokens_bchw.shape[2], image_tokens_bchw.shape[3]))
        return self.mask_decoder.prepare(image_tokens_bchw, grid)

    def decode(
        self, image: Tensor | DecoderImage, prompt_tokens_btc: Tensor, hint_b1hw: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """An image (tokens B C h w, or prepared) and prompt tokens -> logits B 4 4h 4w, IoU B 4.

        One image serves all prompts. ``hint_b1hw`` holds the logits of an earlier mask at four times the
        token grid.
        """
        attended = self.attend(image, prompt_tokens_btc, hint_b1hw)
        return self.draw(attended), attended.iou_bm

    def attend(
        self, image: Tensor | DecoderImage, prompt_tokens_btc: Tensor, hint_b1hw: Tensor | None = None
    ) -> Attended:
        """First part of ``decode``: scores, and no masks yet."""
        prepared = image if isinstance(image, DecoderImage) else self.prepare_image(image)
        height, width = prepared.grid_hw
        if hint_b1hw is not None and hint_b1hw.shape[-2:] != (4 * height, 4 * width):
            raise ValueError(
                f"a mask hint must be {4 * height} x {4 * width}, four times the token grid, "
                f"got {tuple(hint_b1hw.shape[-2:])}"
            )
        return self.mask_decoder.attend(prepared, prompt_tokens_btc, hint_b1hw)

    def draw(self, attended: Attended) -> Tensor:
        """Second part of ``decode``: logits B 4 4h 4w."""
        return self.mask_decoder.draw(attended)
