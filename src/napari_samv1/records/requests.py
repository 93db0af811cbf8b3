"""Requests for embeddings: everything that one depends on, known without reading the image's pixels."""

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
    """An image by its outside and a sample of its content.

    ``shape`` is that of the finest level, without the colour axis; ``levels`` holds the shapes of the coarser
    ones. ``name`` and ``modified_ns`` are the file's name without its folder, and the time it was last
    written, where there is a file. ``sample`` is a hash of a few of its pixels, the same ones whatever
    holds them.
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
    """The weights by their sha256, how they want their pixels, and the precision that they compute in."""

    weights: str
    preparation: Preparation
    dtype: str


@dataclass(frozen=True)
class EncodingRequest:
    """A region of an image for a model: equal requests have equal embeddings.

    ``limits`` are the 8-bit values that the model's preparation stretches to 0 and 1; None where it does not
    stretch. ``rounding`` is what the tokens are rounded to before anything is decoded from them, so that an
    embedding from a disk answers as a fresh one does. The device is not part of it: an embedding says itself
    where it was made.
    """

    source: SourceIdentity
    region: Region
    display: Display
    limits: tuple[float, float] | None
    model: ModelIdentity
    rounding: Rounding = "float32"

    @property
    def digest(self) -> str:
        """The first 32 hexadecimal digits of the sha256 of its canonical JSON: a name for a file."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()[:32]

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON; tuples are lists there."""
        plain: dict[str, Any] = json.loads(json.dumps({**asdict(self), "display": self.display.to_json()}))
        return plain
