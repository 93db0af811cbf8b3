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
    """Image tokens, 1 C h w, with their frame and their key.

    ``request`` is the encoded region, if a view of an image asked for it. ``pixels_bchw``, 1 3 H W, is the
    network's input, for a dense head that reads it too; no store keeps it.
    """

    tokens_bchw: Tensor = field(repr=False)
    frame: Frame
    key: EmbeddingKey
    request: EncodingRequest | None = None
    pixels_bchw: Tensor | None = field(default=None, repr=False)

    @property
    def nbytes(self) -> int:
        """Bytes of the tokens."""
        return self.tokens_bchw.nbytes
