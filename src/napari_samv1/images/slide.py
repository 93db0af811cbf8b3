"""Sample slide of 32,768 x 32,768 pixels with cells, computed where it is read, without a file."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

SIDE = 32_768
LEVELS = 6
SPACING = 48
"""Side of a square in pixels; each square holds at most one cell."""


class SlideLevel:
    """Level of the slide whose pixels span ``factor`` finest pixels, sliced like an array."""

    ndim = 2
    dtype = np.dtype(np.uint8)

    def __init__(self, factor: int) -> None:
        self.factor = factor
        self.shape = SIDE // factor, SIDE // factor
        self.size = self.shape[0] * self.shape[1]

    def __getitem__(self, cut: tuple[slice, slice]) -> NDArray[Any]:
        rows, columns = (
            np.arange(size)[one] * self.factor + (self.factor - 1) // 2
            for one, size in zip(cut, self.shape, strict=True)
        )
        return slide_pixels(rows, columns)


def slide_levels() -> list[SlideLevel]:
    """All levels, finest first."""
    return [SlideLevel(1 << level) for level in range(LEVELS)]


def slide_pixels(rows: NDArray[np.int_], columns: NDArray[np.int_]) -> NDArray[np.uint8]:
    """Grey values (R, C) of some rows and columns: bright cells of 16 to 36 pixels, in islands of tissue."""
    y, x = rows[:, None], columns[None, :]
    noise = _random(y, x, 0)
    tissue = np.sin(y / 2900.0 + 1) + np.sin(x / 2300.0) + np.sin((y + 2 * x) / 5100.0) > -0.6
    square = y // SPACING, x // SPACING
    height, width = (8 + 10 * _random(*square, number) for number in (1, 2))
    room = SPACING - 2 * np.maximum(height, width)
    centre_y, centre_x = (
        SPACING * at + (SPACING - room) / 2 + room * _random(*square, number)
        for at, number in zip(square, (3, 4), strict=True)
    )
    inside = ((y - centre_y) / height) ** 2 + ((x - centre_x) / width) ** 2
    is_cell = (inside < 1) & (_random(*square, 5) < 0.8) & tissue
    bright = 110 + 90 * _random(*square, 6) - 35 * np.minimum(inside, 1)
    values = np.where(is_cell, bright, 22 + 26 * tissue) + 18 * noise
    return np.asarray(values, dtype=np.uint8)


def _random(rows: NDArray[np.int_], columns: NDArray[np.int_], number: int) -> NDArray[np.float32]:
    """Pseudo-random numbers from 0 to 1 that depend on the place alone."""
    mixed = rows.astype(np.uint32) * np.uint32(0x9E3779B1) + columns.astype(np.uint32) * np.uint32(0x85EBCA77)
    mixed = mixed + np.uint32((number * 0xC2B2AE3D) % (1 << 32))
    for shift, factor in ((15, 0x2C1B3C6D), (12, 0x297A2D39)):
        mixed = (mixed ^ (mixed >> np.uint32(shift))) * np.uint32(factor)
    mixed ^= mixed >> np.uint32(15)
    return np.asarray(mixed / np.float32(1 << 32), dtype=np.float32)
