"""A network ready for use, and where it came from."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from napari_samv1.model.config import SamConfig
from napari_samv1.model.sam import Sam
from napari_samv1.records.preparation import Preparation


@dataclass(frozen=True)
class LoadedModel:
    """What ``load_model`` returns; ``sha256`` is that of the weight file and identifies the weights."""

    network: Sam = field(repr=False)
    config: SamConfig
    preparation: Preparation
    name: str
    sha256: str

    @property
    def device(self) -> torch.device:
        return self.network.mask_decoder.iou_token.device

    @property
    def dtype(self) -> torch.dtype:
        """What the image encoder's stages compute in; pixels, prompts and masks are float32 in any case."""
        return next(self.network.image_encoder.stages.parameters()).dtype
