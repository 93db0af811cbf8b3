"""Request for an embedding: everything that it depends on, without the image's pixels."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any, Literal

from napari_samv1.records.display import Display
from napari_samv1.records.place import Region
from napari_samv1.records.preparation import Preparation

Rounding = Literal["float32", "float16"]


@dataclass(frozen=True)
class SourceIdentity:
    """Identity of an image: its properties, and a hash of some of its pixels.

    ``shape`` is that of the finest level, without the colour axis; ``levels`` holds the shapes of the coarser
    levels. ``name`` and ``modified_ns`` are the file's name without its folder, and the time it was last
    written, if there is a file. ``sample`` is a hash of a few pixels, the same for every container of them.
    """

    shape: tuple[int, ...]
    dtype: str
    rgb: bool
    sample: str
    levels: tuple[tuple[int, ...], ...] = ()
    name: str = ""
    modified_ns: int = 0


@dataclass(frozen=True)
class ModelIdentity:
    """Identity of a model: the sha256 of its weights, its preparation, and its precision."""

    weights: str
    preparation: Preparation
    dtype: str


@dataclass(frozen=True)
class EncodingRequest:
    """A region of an image for a model: equal requests have equal embeddings.

    ``limits`` are the 8-bit values that the model's preparation stretches to 0 and 1; None where it does not
    stretch. Tokens are rounded to ``rounding`` before anything is decoded from them, so that an embedding
    from disk answers as a fresh one does. The device is not part of a request: the embedding names it.
    """

    source: SourceIdentity
    region: Region
    display: Display
    limits: tuple[float, float] | None
    model: ModelIdentity
    rounding: Rounding = "float32"

    @property
    def digest(self) -> str:
        """First 32 hexadecimal digits of the sha256 of the canonical JSON: a file name."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()[:32]

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON; tuples are lists there."""
        plain: dict[str, Any] = json.loads(json.dumps({**asdict(self), "display": self.display.to_json()}))
        return plain
