"""Projections of several slices, as arrays that are computed where they are read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_samv1.images.source import ArraySource, at_hand, dtype_of
from napari_samv1.records.display import Projection, ProjectionMode

PROJECTIONS: dict[ProjectionMode, Callable[..., Any]] = {
    "mean": np.mean,
    "max": np.max,
    "min": np.min,
    "sum": np.sum,
}


def projected(source: ArraySource, projection: Projection | None) -> ArraySource:
    """The image with each slice projected with the slices around it; unchanged for None."""
    if projection is None:
        return source
    full, ndim = source.shapes[0], len(source.shapes[0])
    levels = tuple(
        ProjectedArray(level, projection, np.divide(full, shape), ndim)
        for level, shape in zip(source.levels, source.shapes, strict=True)
    )
    return ArraySource(levels, source.rgb, source.name, source.modified_ns)


class ProjectedArray:
    """An array-like whose element at a slice is the projection of the slices around it.

    Each read of a slice reads all slices around it. Only axes that are indexed by a number are projected.
    ``factors`` are the full-resolution slices and pixels that one of this level spans.
    """

    def __init__(self, array: Any, projection: Projection, factors: NDArray[np.float64], ndim: int) -> None:
        self.array, self.projection = array, projection
        self.shape: tuple[int, ...] = tuple(array.shape)
        self._factors, self._ndim = factors, ndim
        kind = dtype_of(array)
        self.dtype = np.asarray(PROJECTIONS[projection.mode](np.zeros(1, kind), 0)).dtype

    @property
    def in_memory(self) -> bool:
        """True if the slices are in memory."""
        return at_hand(self.array)

    def __getitem__(self, cut: tuple[int | slice, ...]) -> NDArray[Any]:
        slabs = {slab.axis: slab for slab in self.projection.slabs}
        axes = [axis for axis, at in enumerate(cut[: self._ndim]) if not isinstance(at, slice)]
        wide = list(cut)
        for axis in axes:
            at = int(cut[axis])  # type: ignore[arg-type]  # not a slice
            wide[axis] = slice(at, at + 1)
            if axis in slabs:
                wide[axis] = self._around(at, axis, slabs[axis].start, slabs[axis].stop)
        pixels = np.asarray(self.array[tuple(wide)])
        # as in napari: a single slice is unchanged, several are projected along all axes at once
        if all(pixels.shape[axis] == 1 for axis in axes):
            return np.asarray(pixels.reshape([n for axis, n in enumerate(pixels.shape) if axis not in axes]))
        return np.asarray(PROJECTIONS[self.projection.mode](pixels, axis=tuple(axes)))

    def _around(self, at: int, axis: int, start: int, stop: int) -> slice:
        """Slices of this level around one slice; fewer at the ends of the stack."""
        factor, size = self._factors[axis], self.shape[axis]
        middle = (at + 0.5) * factor - 0.5
        first = int(max(middle + start + 0.5, 0) // factor)
        last = int(max(middle + stop - 1 + 0.5, 0) // factor)
        first = min(first, size - 1)
        return slice(first, min(max(last, first), size - 1) + 1)
