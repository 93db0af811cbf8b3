"""A network ready for use, and its origin."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from napari_samv1.model.config import SamConfig
from napari_samv1.model.dense_head import DenseHead
from napari_samv1.model.sam import Sam
from napari_samv1.records.calibration import Calibration
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
    encoder for each size of image that it meets.
    """

    network: Sam = field(repr=False)
    config: SamConfig
    preparation: Preparation
    name: str
    sha256: str
    dense: LoadedHead | None = None
    compiled: bool = False

    @property
    def device(self) -> torch.device:
        return self.network.mask_decoder.iou_token.device

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the image encoder's stages; pixels, prompts and masks are float32 in any case."""
        return next(self.network.image_encoder.stages.parameters()).dtype
