"""Composite: a label image of stacked objects, computed where it is read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_samv1.masks.paint import Painted, Stack, compose
from napari_samv1.records.mask_crop import MaskCrop, Region

Factors = tuple[int, int]
"""Rows and columns of the plane that one pixel of a level spans."""


class Composite:
    """A stack of objects, lowest first; a read composes only the objects whose boxes meet the region.

    A pixel of a coarser level shows an object if it holds any pixel of it, so that small objects stay
    visible. Immutable; reduced masks that are still valid are taken from ``earlier``.
    """

    def __init__(self, painted: Iterable[Painted] | Stack = (), earlier: Composite | None = None) -> None:
        self.stack = painted if isinstance(painted, Stack) else Stack(painted)
        self._reduced: dict[int, tuple[MaskCrop, dict[Factors, MaskCrop]]] = {}
        if earlier is not None and len(earlier._reduced) <= 2 * len(self.stack.order) + 64:
            self._reduced = earlier._reduced

    @property
    def highest(self) -> int:
        """The largest label, 0 without any."""
        return max(self.stack.order, default=0)

    def meeting(self, region: Region) -> list[Painted]:
        """Objects whose boxes share a pixel with a region, lowest first."""
        return self.stack.meeting(region)

    def read(
        self, region: Region, dtype: np.dtype[Any], factors: Factors = (1, 1), beneath: Any = None
    ) -> NDArray[Any]:
        """The labels of a region (in the level's pixels), over labels ``beneath`` it of the same size."""
        shape = tuple(extent.stop - extent.start for extent in region)
        ground = np.zeros(shape, dtype) if beneath is None else np.asarray(beneath).astype(dtype)
        rows, columns = (
            slice(extent.start * factor, extent.stop * factor)
            for extent, factor in zip(region, factors, strict=True)
        )
        met = self.meeting((rows, columns))
        if not met:
            return ground
        if factors != (1, 1):
            met = [(label, self._at_level(label, crop, factors), rule) for label, crop, rule in met]
        return compose(ground, (region[0].start, region[1].start), met)

    def _at_level(self, label: int, crop: MaskCrop, factors: Factors) -> MaskCrop:
        cached = self._reduced.get(label)
        if cached is None or cached[0] is not crop:
            cached = self._reduced[label] = crop, {}
        if factors not in cached[1]:
            cached[1][factors] = reduced(crop, factors)
        return cached[1][factors]


def reduced(crop: MaskCrop, factors: Factors) -> MaskCrop:
    """A mask at a coarser level, with each pixel that holds any pixel of the mask."""
    if not crop.mask.size:
        return crop
    (top, left), mask = crop.origin_yx, crop.mask
    for axis, (start, factor) in enumerate(zip((top, left), factors, strict=True)):
        if factor == 1:
            continue
        stop = start + mask.shape[axis]
        edges = np.arange(start // factor * factor, stop, factor)
        mask = np.logical_or.reduceat(mask, np.maximum(edges - start, 0), axis=axis)
    return MaskCrop((top // factors[0], left // factors[1]), mask)
