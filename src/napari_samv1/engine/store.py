"""Stores of embeddings: in memory, bounded by bytes, and a fast one before a slow one."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from threading import RLock
from typing import Protocol

from numpy.typing import ArrayLike

from napari_samv1.disk.megabytes import bytes_asked_for
from napari_samv1.engine.embedding import Embedding
from napari_samv1.records.place import Plane
from napari_samv1.records.requests import EncodingRequest

VARIABLE = "NAPARI_SAMV1_EMBEDDINGS_MB"
MOST_BYTES = 1 << 30
FREE_SHARE = 4
"""Divisor that gives the share of free memory for more embeddings."""


class EmbeddingStore(Protocol):
    """Keeps embeddings by their requests; threads may share it."""

    def get(self, request: EncodingRequest) -> Embedding | None:
        """Embedding of a request, or None."""
        ...

    def put(self, embedding: Embedding) -> None:
        """Keep an embedding that has a request."""
        ...

    def covering(self, plane: Plane, points_yx: ArrayLike) -> list[Embedding]:
        """Embeddings in memory whose regions hold all of these points of a plane, the finest first."""
        ...


class MemoryStore:
    """Embeddings in memory; the least recently used ones go first.

    ``most_bytes`` bounds their size, by default to ``NAPARI_SAMV1_EMBEDDINGS_MB`` or else 1 GiB. They never
    grow by more than a quarter of the free memory. The newest one always stays.
    """

    def __init__(self, most_bytes: int | None = None) -> None:
        self.most_bytes = bytes_asked_for(VARIABLE, MOST_BYTES) if most_bytes is None else most_bytes
        self._lock = RLock()
        self._held: OrderedDict[EncodingRequest, Embedding] = OrderedDict()

    def get(self, request: EncodingRequest) -> Embedding | None:
        """Embedding of a request, or None."""
        with self._lock:
            if request in self._held:
                self._held.move_to_end(request)
            return self._held.get(request)

    def put(self, embedding: Embedding) -> None:
        """Keep an embedding, and drop others to make room for it."""
        if embedding.request is None:
            raise ValueError("only an embedding made by a view of an image has a request to store it by")
        with self._lock:
            self._held.pop(embedding.request, None)
            self._held[embedding.request] = embedding
            held = self.nbytes
            most = most_bytes(held, self.most_bytes)
            while held > most and len(self._held) > 1:
                _, oldest = self._held.popitem(last=False)
                held -= oldest.nbytes

    def covering(self, plane: Plane, points_yx: ArrayLike) -> list[Embedding]:
        """Embeddings whose regions hold all of these points of a plane, the finest first."""
        with self._lock:
            held = list(self._held.items())
        holding = [
            one
            for request, one in held
            if request.region.plane == plane and one.frame.contains(points_yx).all()
        ]
        return sorted(holding, key=lambda one: one.frame.downsampling)

    def clear(self) -> None:
        """Drop all embeddings."""
        with self._lock:
            self._held.clear()

    @property
    def nbytes(self) -> int:
        """Bytes of all tokens."""
        with self._lock:
            return sum(one.nbytes for one in self._held.values())

    def __len__(self) -> int:
        return len(self._held)


class LayeredStore:
    """A fast store before a slow one; embeddings found in the slow one are put into the fast one."""

    def __init__(self, fast: EmbeddingStore, slow: EmbeddingStore) -> None:
        self.fast = fast
        self.slow = slow

    def get(self, request: EncodingRequest) -> Embedding | None:
        """The embedding of a request from either."""
        found = self.fast.get(request)
        if found is None:
            found = self.slow.get(request)
            if found is not None:
                self.fast.put(found)
        return found

    def put(self, embedding: Embedding) -> None:
        """Keep an embedding in both."""
        self.fast.put(embedding)
        self.slow.put(embedding)

    def covering(self, plane: Plane, points_yx: ArrayLike) -> list[Embedding]:
        """Embeddings of the fast store."""
        return self.fast.covering(plane, points_yx)


def free_memory() -> int | None:
    """Bytes that programs may still take without swapping; None if unknown."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        import psutil
    except ImportError:
        return None
    return int(psutil.virtual_memory().available)


def most_bytes(held: int, bound: int | None = None) -> int:
    """Largest size in bytes of embeddings that take ``held`` now; ``bound`` is the setting by default."""
    bound = bytes_asked_for(VARIABLE, MOST_BYTES) if bound is None else bound
    free = free_memory()
    return bound if free is None else min(bound, held + free // FREE_SHARE)
