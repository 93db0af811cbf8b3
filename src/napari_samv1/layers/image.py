"""What an Image layer shows, as one plane of pixels that the model can see."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
from napari.layers import Image
from numpy.typing import ArrayLike, NDArray

from napari_samv1.app.canvas import NoPlaneError
from napari_samv1.images.source import ArraySource, Source
from napari_samv1.layers.affine import Coordinates, from_viewer_world
from napari_samv1.records.place import Plane

MAX_PLANE_PIXELS = 4096 * 4096


@dataclass(frozen=True)
class PlaneKey:
    """Which plane: ``index`` is the position on the layer's axes, None on the displayed ones."""

    layer_id: Hashable
    index: tuple[int | None, ...]


@dataclass(frozen=True, eq=False)
class DisplayedPlane:
    """One plane of an Image layer, in the layer's own axis order.

    A transposed display does not turn the plane, just as a rotated camera does not: what was annotated stays
    valid. ``axes`` are the layer's axes that are the plane's rows and columns. Its pixels are those of the
    finest level. ``overview_level`` is the finest level at which it has at most 4096 x 4096 pixels, each of
    which spans ``overview_factors_yx`` pixels of the plane.
    """

    key: PlaneKey
    data_revision: int
    name: str
    shape_yx: tuple[int, int]
    axes: tuple[int, int]
    overview_level: int
    overview_factors_yx: tuple[float, float]
    intensity: tuple[float, float] | Literal["dtype"] | None
    gamma: float
    rgb: bool
    _levels: tuple[Any, ...] = field(repr=False)
    _overview_slices: tuple[int | slice, ...] = field(repr=False)

    @cached_property
    def source(self) -> Source:
        """The whole image, read where and as finely as it is needed.

        Raises
        ------
        ValueError
            If it is no image that can be read so.
        """
        return ArraySource(self._levels, self.rgb)

    @property
    def plane(self) -> Plane:
        """The plane of the image."""
        return Plane(self.key.index)

    @property
    def display_key(self) -> Hashable:
        """The plane, its data and how it is displayed: an encoding made under another one is stale."""
        return self.key, self.data_revision, self.intensity, self.gamma

    @property
    def overview_shape_yx(self) -> tuple[int, int]:
        """Height and width at the overview level."""
        shape = self._levels[self.overview_level].shape
        return int(shape[self.axes[0]]), int(shape[self.axes[1]])

    def overview(self) -> NDArray[Any]:
        """All pixels at the overview level: (H, W) or (H, W, 3). Lazy data is computed here."""
        pixels = np.asarray(self._levels[self.overview_level][self._overview_slices])
        return pixels[..., :3] if pixels.ndim == 3 else pixels

    def read(self, rows: slice, columns: slice) -> NDArray[Any]:
        """Part of the plane at full resolution: (h, w) or (h, w, 3). Lazy data is computed here."""
        cut: list[int | slice] = [0 if own is None else own for own in self.key.index]
        cut[self.axes[0]], cut[self.axes[1]] = rows, columns
        pixels = np.asarray(self._levels[0][tuple(cut)])
        return pixels[..., :3] if pixels.ndim == 3 else pixels

    def glimpse(self, rows: ArrayLike, columns: ArrayLike) -> NDArray[Any] | None:
        """Some rows and columns of the pixels, (R, C) or (R, C, 3); None where they are not in memory."""
        finest = self._levels[0]
        if not isinstance(finest, np.ndarray):
            return None
        plane = finest[self.plane.slices()]
        pixels = plane[np.ix_(np.asarray(rows), np.asarray(columns))]
        return np.asarray(pixels[..., :3] if pixels.ndim == 3 else pixels)

    def contains(self, points_yx: ArrayLike) -> NDArray[np.bool_]:
        """Which points lie on a pixel of the plane: (N, 2) to (N,)."""
        points = np.asarray(points_yx, dtype=np.float64).reshape(-1, 2)
        inside = (points >= -0.5) & (points < np.asarray(self.shape_yx) - 0.5)
        return np.asarray(inside.all(axis=1), dtype=bool)

    def from_layer(self, coordinates: ArrayLike) -> Coordinates:
        """The layer's data coordinates (N, ndim) as the plane's pixels (N, 2)."""
        return self.plane.from_image(coordinates)

    def to_layer(self, points_yx: ArrayLike) -> Coordinates:
        """The plane's pixels (N, 2) as the layer's data coordinates (N, ndim)."""
        return self.plane.to_image(points_yx)

    @property
    def position(self) -> Coordinates:
        """The plane's first pixel of the layer: 0 on the displayed axes."""
        return self.plane.position

    def shows(self, coordinates: ArrayLike) -> NDArray[np.bool_]:
        """Which of the layer's data coordinates (N, ndim) lie on this slice: (N,)."""
        return self.plane.shows(coordinates)


def displayed_plane(viewer: Any, layer: Image, *, data_revision: int = 0) -> DisplayedPlane:
    """The plane of an Image layer that the viewer shows; reads no pixels.

    Single-channel images are seen through the layer's contrast limits and gamma, RGB as it is.
    ``data_revision`` tells apart the arrays that the layer held one after another.

    Raises
    ------
    NoPlaneError
        If the viewer shows 3D, or nothing of this layer.
    """
    if viewer.dims.ndisplay != 2:
        raise NoPlaneError("Segmenting works on a 2D view: switch napari back from 3D with the cube button.")
    first_axis = viewer.dims.ndim - layer.ndim
    displayed = sorted(axis - first_axis for axis in viewer.dims.displayed)
    if displayed[0] < 0:
        raise NoPlaneError(f'The view shows an axis that image "{layer.name}" does not have.')
    point = from_viewer_world(viewer, layer)
    index: list[int | None] = []
    for axis, size in enumerate(_level_shapes(layer)[0]):
        if axis in displayed:
            index.append(None)
        elif not -0.5 <= point[axis] < size - 0.5:
            raise NoPlaneError(f'The slider is outside of image "{layer.name}": move it back.')
        else:
            index.append(int(np.floor(point[axis] + 0.5)))
    return plane_at(layer, tuple(index), data_revision=data_revision)


def plane_at(layer: Image, index: tuple[int | None, ...], *, data_revision: int = 0) -> DisplayedPlane:
    """A plane of an Image layer by its place, whatever the viewer shows; reads no pixels.

    ``index`` is the position on the layer's axes, None on the two that are the plane's rows and columns.

    Raises
    ------
    NoPlaneError
        If the image is empty.
    """
    shapes = _level_shapes(layer)
    rows, columns = (axis for axis, own in enumerate(index) if own is None)
    height, width = shapes[0][rows], shapes[0][columns]
    if min(height, width) < 1:
        raise NoPlaneError(f'Image "{layer.name}" is empty.')
    levels = tuple(layer.data) if layer.multiscale else (layer.data,)
    level = _overview_level(shapes, (rows, columns))
    factors = np.asarray(shapes[0]) / np.asarray(shapes[level])
    slices = tuple(
        slice(None) if own is None else int((own + 0.5) / factor)
        for own, factor in zip(index, factors, strict=True)
    )
    intensity: tuple[float, float] | Literal["dtype"] | None
    if layer.rgb:
        intensity = None if levels[0].dtype == np.uint8 else "dtype"
    else:
        low, high = layer.contrast_limits
        intensity = (float(low), float(high))
    return DisplayedPlane(
        key=PlaneKey(layer.unique_id, tuple(index)),
        data_revision=data_revision,
        name=layer.name,
        shape_yx=(height, width),
        axes=(rows, columns),
        overview_level=level,
        overview_factors_yx=(float(factors[rows]), float(factors[columns])),
        intensity=intensity,
        gamma=1.0 if layer.rgb else float(layer.gamma),
        rgb=bool(layer.rgb),
        _levels=levels,
        _overview_slices=slices,
    )


def _level_shapes(layer: Image) -> list[tuple[int, ...]]:
    """Shapes of all levels, finest first, without the colour axis."""
    arrays = layer.data if layer.multiscale else [layer.data]
    return [tuple(int(size) for size in array.shape[: layer.ndim]) for array in arrays]


def _overview_level(shapes: list[tuple[int, ...]], axes: tuple[int, int]) -> int:
    for level, shape in enumerate(shapes):
        if shape[axes[0]] * shape[axes[1]] <= MAX_PLANE_PIXELS:
            return level
    return len(shapes) - 1
