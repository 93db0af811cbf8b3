"""Plane of an image and region of a plane, in full-resolution pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class Plane:
    """One plane of an image: the position on each of its axes, None on the plane's rows and columns.

    The only owner of the map between a plane's pixels and an image's coordinates, both in full-resolution
    pixels with whole numbers at pixel centres. Colour is not an axis.
    """

    index: tuple[int | None, ...] = (None, None)

    def __post_init__(self) -> None:
        index = tuple(None if at is None else int(at) for at in self.index)
        if index.count(None) != 2:
            raise ValueError(f"a plane has None on two axes, its rows and columns, got {self.index}")
        object.__setattr__(self, "index", index)

    @property
    def ndim(self) -> int:
        """Dimensions of the image."""
        return len(self.index)

    @property
    def axes(self) -> tuple[int, int]:
        """The image's axes that are the plane's rows and columns."""
        rows, columns = (axis for axis, at in enumerate(self.index) if at is None)
        return rows, columns

    @property
    def position(self) -> NDArray[np.float64]:
        """The plane's first pixel in the image: (ndim,), 0 on rows and columns."""
        return np.array([0 if at is None else at for at in self.index], dtype=np.float64)

    @property
    def sort_key(self) -> tuple[int, ...]:
        """Key that sorts planes by their slices' order in a stack."""
        return tuple(-1 if at is None else at for at in self.index)

    def shape_in(self, image_shape: tuple[int, ...]) -> tuple[int, int]:
        """Height and width of the plane in an image of this shape."""
        rows, columns = self.axes
        return image_shape[rows], image_shape[columns]

    def slices(self, window_yxhw: tuple[int, int, int, int] | None = None) -> tuple[int | slice, ...]:
        """Index that cuts the plane, or a window of it, out of an array with the image's axes."""
        rows, columns = self.axes
        cut: list[int | slice] = [slice(None) if at is None else at for at in self.index]
        if window_yxhw is not None:
            top, left, height, width = window_yxhw
            cut[rows], cut[columns] = slice(top, top + height), slice(left, left + width)
        return tuple(cut)

    def to_image(self, points_yx: ArrayLike) -> NDArray[np.float64]:
        """Pixels of the plane (N, 2) as coordinates of the image (N, ndim)."""
        points = np.asarray(points_yx, dtype=np.float64).reshape(-1, 2)
        coordinates = np.tile(self.position, (len(points), 1))
        coordinates[:, list(self.axes)] = points
        return coordinates

    def from_image(self, coordinates: ArrayLike) -> NDArray[np.float64]:
        """Coordinates of the image (N, ndim) as pixels of the plane (N, 2)."""
        points: NDArray[np.float64] = np.asarray(coordinates, dtype=np.float64)[:, list(self.axes)]
        return points

    def shows(self, coordinates: ArrayLike) -> NDArray[np.bool_]:
        """Return True for each of the image's coordinates (N, ndim) on this slice: (N,)."""
        points = np.asarray(coordinates, dtype=np.float64)
        on_slice = np.ones(len(points), dtype=bool)
        for axis, at in enumerate(self.index):
            if at is not None:
                on_slice &= (points[:, axis] >= at - 0.5) & (points[:, axis] < at + 0.5)
        return on_slice


@dataclass(frozen=True)
class Region:
    """A window of a plane: (first row, first column, height, width) in full-resolution pixels."""

    plane: Plane
    window_yxhw: tuple[int, int, int, int]

    def __post_init__(self) -> None:
        window = tuple(int(value) for value in self.window_yxhw)
        if len(window) != 4 or min(window[:2]) < 0 or min(window[2:]) < 1:
            raise ValueError(
                f"a region's window is (row, column, height, width) from 0 on and at least one pixel, got "
                f"{self.window_yxhw}"
            )
        object.__setattr__(self, "window_yxhw", window)

    @property
    def slices(self) -> tuple[int | slice, ...]:
        """Index that cuts the region out of an array with the image's axes."""
        return self.plane.slices(self.window_yxhw)

    @property
    def middle_yx(self) -> tuple[float, float]:
        """The middle of the window, in the plane's pixels."""
        top, left, height, width = self.window_yxhw
        return top + (height - 1) / 2, left + (width - 1) / 2
