"""Several aligned images as the channels of one source, and one plane of an image as a source."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_samv1.images.source import Source
from napari_samv1.records.place import Plane, Region
from napari_samv1.records.requests import SourceIdentity


@dataclass(frozen=True, eq=False)
class StackedSource:
    """Channels, each read from the level that is just fine enough; an RGB image is three channels."""

    sources: tuple[Source, ...]

    @property
    def in_memory(self) -> bool:
        """True if all channels are in memory."""
        return all(source.in_memory for source in self.sources)

    @cached_property
    def identity(self) -> SourceIdentity:
        """Identity of the images in their order."""
        first, *others = (source.identity for source in self.sources)
        for other in others:
            if other.shape != first.shape:
                raise ValueError(f"channels must have one shape, got {first.shape} and {other.shape}")
        every = (first, *others)
        return SourceIdentity(
            shape=first.shape,
            dtype=np.result_type(*(np.dtype(one.dtype) for one in every)).name,
            rgb=False,
            sample="+".join(one.sample for one in every),
            levels=first.levels,
            name="+".join(one.name for one in every if one.name),
            modified_ns=max(one.modified_ns for one in every),
        )

    def read(self, region: Region, hw: tuple[int, int]) -> NDArray[Any]:
        """Pixels of a region in all channels, resized to ``hw``: (h, w, C)."""
        planes = (source.read(region, hw) for source in self.sources)
        return np.concatenate([one if one.ndim == 3 else one[..., np.newaxis] for one in planes], axis=2)


@dataclass(frozen=True, eq=False)
class OnePlaneSource:
    """One plane of an image as an image of two axes."""

    source: Source
    plane: Plane

    @property
    def in_memory(self) -> bool:
        return self.source.in_memory

    @cached_property
    def identity(self) -> SourceIdentity:
        identity = self.source.identity
        levels = tuple(self.plane.shape_in(shape) for shape in identity.levels)
        return replace(identity, shape=self.plane.shape_in(identity.shape), levels=levels)

    def read(self, region: Region, hw: tuple[int, int]) -> NDArray[Any]:
        """Pixels of a region, resized to ``hw``."""
        return self.source.read(Region(self.plane, region.window_yxhw), hw)
