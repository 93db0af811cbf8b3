"""An encoded image: what every prompt on it is decoded against."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from napari_samv1.images.intensity import Intensity
from napari_samv1.model.mask_decoder import DecoderImage
from napari_samv1.records.frame import Frame
from napari_samv1.records.preparation import Preparation


@dataclass(frozen=True)
class EmbeddingKey:
    """Everything that an embedding depends on: equal keys mean equal tokens on the same machine.

    ``pixels`` is the XXH3-128 of the prepared input, ``weights`` the sha256 of the checkpoint, ``dtype`` and
    ``device`` what the encoder ran in and on.
    """

    pixels: str
    weights: str
    preparation: Preparation
    frame: Frame
    intensity: Intensity
    gamma: float
    dtype: str
    device: str


@dataclass(frozen=True, eq=False)
class Embedding:
    """Image tokens, 1 C h w on the model's device, with the frame they cover and the key they go by.

    ``decoder_image`` is what the decoder makes of the tokens before it sees any prompt.
    """

    tokens_bchw: Tensor = field(repr=False)
    decoder_image: DecoderImage = field(repr=False)
    frame: Frame
    key: EmbeddingKey
