"""Cache of decoder images; each is six times as large as the tokens that it is made from."""

from __future__ import annotations

import weakref
from threading import Lock

import torch

from napari_samv1.engine.embedding import Embedding
from napari_samv1.model.mask_decoder import DecoderImage
from napari_samv1.model.sam import Sam

MOST = 3


class DecoderImages:
    """The prompt-free tensors of the last few embeddings, by a network's decoder. Threads may share it."""

    def __init__(self, network: Sam) -> None:
        self.network = network
        self._lock = Lock()
        # the newest last
        self._made: list[tuple[weakref.ref[Embedding], DecoderImage]] = []

    def of(self, embedding: Embedding) -> DecoderImage:
        """Decoder image of an embedding, from the cache or made now."""
        with self._lock:
            self._made = [pair for pair in self._made if pair[0]() is not None]
            for pair in self._made:
                if pair[0]() is embedding:
                    self._made.remove(pair)
                    self._made.append(pair)
                    return pair[1]
        device = self.network.mask_decoder.iou_token.device
        with torch.inference_mode():
            image = self.network.prepare_image(embedding.tokens_bchw.to(device))
        with self._lock:
            self._made = [*self._made, (weakref.ref(embedding), image)][-MOST:]
        return image
