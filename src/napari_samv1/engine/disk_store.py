"""A store of embeddings on disk."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Any

import torch
from numpy.typing import ArrayLike

from napari_samv1.disk.embeddings import EmbeddingFolder, KeptEmbedding
from napari_samv1.engine.embedding import Embedding, EmbeddingKey
from napari_samv1.engine.store import EmbeddingStore, LayeredStore, MemoryStore
from napari_samv1.records.frame import Frame
from napari_samv1.records.place import Plane
from napari_samv1.records.requests import EncodingRequest


class DiskStore:
    """Embeddings in a folder; ``disk.EmbeddingFolder`` describes its files."""

    def __init__(self, folder: str | os.PathLike[str] | EmbeddingFolder) -> None:
        self.folder = folder if isinstance(folder, EmbeddingFolder) else EmbeddingFolder(folder)

    def get(self, request: EncodingRequest) -> Embedding | None:
        """Embedding of a request, or None if it is missing or damaged."""
        kept = self.folder.get(request)
        if kept is None:
            return None
        made = kept.made
        try:
            frame = Frame(**{name: _tuple(value) for name, value in made["frame"].items()})
            key = EmbeddingKey(
                pixels=made["pixels"],
                weights=request.model.weights,
                preparation=request.model.preparation,
                frame=frame,
                intensity=_tuple(made["intensity"]),
                gamma=made["gamma"],
                dtype=made["dtype"],
                device=made["device"],
                limits=None if frame.is_whole else request.limits,
                display=None if request.display.is_single else request.display,
            )
        except (KeyError, TypeError, ValueError):
            return None
        return Embedding(torch.from_numpy(kept.tokens_bchw.copy()), frame, key, request)

    def put(self, embedding: Embedding) -> None:
        """Write an embedding that has a request."""
        if embedding.request is None:
            raise ValueError("only an embedding made by a view of an image has a request to store it by")
        key = embedding.key
        made = {
            "frame": asdict(embedding.frame),
            "pixels": key.pixels,
            "intensity": key.intensity,
            "gamma": key.gamma,
            "dtype": key.dtype,
            "device": key.device,
        }
        tokens = embedding.tokens_bchw.cpu().numpy()
        self.folder.put(embedding.request, KeptEmbedding(tokens, made))

    def covering(self, plane: Plane, points_yx: ArrayLike) -> list[Embedding]:
        """Empty, because embeddings on disk are not in memory."""
        return []


def store_in(cache: str | os.PathLike[str] | EmbeddingStore | None) -> EmbeddingStore:
    """A store in a folder and in memory, in memory alone without one; a store stays as it is."""
    if cache is None:
        return MemoryStore()
    if isinstance(cache, str | os.PathLike):
        return LayeredStore(MemoryStore(), DiskStore(cache))
    return cache


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
