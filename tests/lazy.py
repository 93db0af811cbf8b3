"""Lazy images that are made where they are read, and count what is read."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import dask.array
import numpy as np
from numpy.typing import NDArray


class CountingArray:
    """An array-like that computes its pixels: ``function(rows, columns)`` of pixel indices (R, 1), (1, C).

    Never has all of them; counts the reads and their pixels, and fails from a read on if told to.
    """

    def __init__(self, shape: tuple[int, ...], function: Callable[..., Any], dtype: Any = np.uint8) -> None:
        self.shape, self.dtype, self.function = shape, np.dtype(dtype), function
        self.ndim, self.size = len(shape), math.prod(shape)
        self.reads = 0
        self.pixels = 0
        self.fails_after: int | None = None

    def __getitem__(self, cut: tuple[Any, ...]) -> NDArray[Any]:
        *leading, rows, columns = cut
        y, x = (np.arange(size)[one] for one, size in zip((rows, columns), self.shape[-2:], strict=True))
        self.reads += 1
        self.pixels += len(y) * len(x)
        if self.fails_after is not None and self.reads > self.fails_after:
            raise OSError("the store hung up")
        return np.asarray(self.function(*leading, y[:, None], x[None, :])).astype(self.dtype)


def pyramid(
    shape: tuple[int, int], function: Callable[..., Any], levels: int, dtype: Any = np.uint8
) -> list[CountingArray]:
    """Levels of a lazy image, each half of the one before, made by looking up every second pixel."""

    def level(factor: int) -> CountingArray:
        size = (-(-shape[0] // factor), -(-shape[1] // factor))
        return CountingArray(size, lambda y, x: function(y * factor, x * factor), dtype)

    return [level(2**index) for index in range(levels)]


def lazy_slices(count: int, hw: tuple[int, int], read: list[int]) -> dask.array.Array:
    """A stack (Z, H, W) that holds the number of each slice, and adds it to ``read`` when it is computed."""

    def block(block_id: tuple[int, ...]) -> NDArray[np.int_]:
        read.append(block_id[0])
        return np.full((1, *hw), block_id[0])

    chunks = ((1,) * count, *((size,) for size in hw))
    return dask.array.map_blocks(block, chunks=chunks, dtype=int, meta=np.empty((0, 0, 0), int))
