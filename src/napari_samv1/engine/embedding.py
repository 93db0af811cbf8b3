"""An encoded image, on which prompts are decoded."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from napari_samv1.records.embedding_key import EmbeddingKey
from napari_samv1.records.frame import Frame
from napari_samv1.records.requests import EncodingRequest

__all__ = ["Embedding", "EmbeddingKey"]


@dataclass(frozen=True, eq=False)
class Embedding:
    """Image tokens, 1 C h w, with the frame they cover and their key.

    ``request`` is the request that they answer, if a view of an image made them.
    """

    tokens_bchw: Tensor = field(repr=False)
    frame: Frame
    key: EmbeddingKey
    request: EncodingRequest | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of the tokens."""
        return self.tokens_bchw.nbytes
