"""A network ready for use, and its origin."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from napari_samv1.model.config import SamConfig
from napari_samv1.model.dense_head import DenseHead
from napari_samv1.model.sam import Sam
from napari_samv1.records.calibration import Calibration
from napari_samv1.records.computation import DecoderPrecision
from napari_samv1.records.preparation import Preparation


@dataclass(frozen=True)
class LoadedHead:
    """A dense head, and the calibration of the scores of masks that it proposes.

    ``sha256`` is that of its file, ``weights_sha256`` that of the weights whose tokens it reads.
    """

    head: DenseHead = field(repr=False)
    calibration: Calibration
    sha256: str
    weights_sha256: str


@dataclass(frozen=True)
class LoadedModel:
    """Model made by ``load_model``; ``sha256`` is that of the weight file and identifies the weights.

    ``dense`` finds objects without prompts; only some models have it. ``compiled``: torch compiles the image
    encoder for each size of image that it meets. ``halved`` is the network with its decoder in float16, where
    masks are decoded in that. ``path`` is the weight file, to be read again where a graphics card loses them.
    """

    network: Sam = field(repr=False)
    config: SamConfig
    preparation: Preparation
    name: str
    sha256: str
    dense: LoadedHead | None = None
    compiled: bool = False
    halved: Sam | None = field(default=None, repr=False)
    path: Path | None = field(default=None, repr=False, compare=False)

    @property
    def device(self) -> torch.device:
        return self.network.mask_decoder.iou_token.device

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the image encoder's stages; pixels, prompts and logits are float32 in any case."""
        return next(self.network.image_encoder.stages.parameters()).dtype

    @property
    def decoder(self) -> DecoderPrecision:
        """Precision of the mask decoder."""
        return "float32" if self.halved is None else "float16"

    def decoding_in(self, precision: DecoderPrecision) -> LoadedModel:
        """The same model with a decoder of some precision."""
        if precision == self.decoder:
            return self
        halved = self.network.decoding_in(torch.float16) if precision == "float16" else None
        return replace(self, halved=halved)
