"""An encoded image: what every prompt on it is decoded against."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from napari_samv1.images.intensity import Intensity
from napari_samv1.records.frame import Frame
from napari_samv1.records.preparation import Preparation
from napari_samv1.records.requests import EncodingRequest


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
    """Image tokens, 1 C h w, with the frame they cover and the key they go by.

    ``request`` is the region that they answer, where one was asked for by a view of an image of any size.
    """

    tokens_bchw: Tensor = field(repr=False)
    frame: Frame
    key: EmbeddingKey
    request: EncodingRequest | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of the tokens."""
        return self.tokens_bchw.nbytes
