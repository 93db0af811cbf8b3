"""Displayed plane of an Image layer, as pixels for the model."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from napari.layers import Image
from numpy.typing import ArrayLike, NDArray

from napari_samv1.app.canvas import NoPlaneError
from napari_samv1.images.hashing import SAMPLE, hash_pixels
from napari_samv1.images.seen import Limits, Seen, SeenImage, SeenPixels
from napari_samv1.images.source import ArraySource
from napari_samv1.layers.affine import Coordinates, from_viewer_world
from napari_samv1.layers.projection import NOT_SHOWN, projection_of
from napari_samv1.records.display import PLAIN, Paint, Projection
from napari_samv1.records.place import Plane

if TYPE_CHECKING:
    from napari_samv1.engine.predictor import Predictor
    from napari_samv1.engine.store import EmbeddingStore
    from napari_samv1.engine.view import ImageView

OVERVIEW_PIXELS = 4096 * 4096


@dataclass(frozen=True)
class PlaneKey:
    """Key of a plane: ``index`` is the position on the layer's axes, None on the displayed ones."""

    layer_id: Hashable
    index: tuple[int | None, ...]
    level: int = 0


@dataclass(frozen=True, eq=False)
class DisplayedPlane:
    """One plane of an Image layer, in the layer's own axis order and at full resolution.

    A transposed display does not transpose the plane, so that annotations stay valid. ``axes`` are the
    layer's axes of the plane's rows and columns. ``factors_yx`` is the number of the layer's pixels that a
    pixel of the plane spans: more than 1 for an overview at a coarser level, which is never annotated.

    ``seen`` holds the images for the model: by default the layer as displayed, in grey.
    """

    key: PlaneKey
    data_revision: int
    name: str
    shape_yx: tuple[int, int]
    axes: tuple[int, int]
    factors_yx: tuple[float, float]
    intensity: Limits | Literal["dtype"] | None
    gamma: float
    rgb: bool
    levels: tuple[Any, ...] = field(repr=False)
    _slices: tuple[int | slice, ...] = field(repr=False)
    selected: Seen | None = field(default=None, repr=False)

    @property
    def level(self) -> int:
        """The pixels' level in a multiscale layer, 0 for full resolution."""
        return self.key.level

    @property
    def plane(self) -> Plane:
        """The plane of the image."""
        return Plane(self.key.index)

    @cached_property
    def seen(self) -> Seen:
        """Images for the model: ``selected``, or else this layer alone as displayed."""
        if self.selected is not None:
            return self.selected
        return Seen(self.plane, self.shape_yx, (self.as_image(),))

    def as_image(self, paint: Paint = PLAIN, projection: Projection | None = None) -> SeenImage:
        """The plane as one of the images that the model is to see."""
        return SeenImage(
            key=self.key,
            image=self.key.layer_id,
            revision=self.data_revision,
            name=self.name,
            pixels_hash=self.pixels_hash,
            source=self.source,
            intensity=self.intensity,
            gamma=self.gamma,
            paint=paint,
            projection=projection,
        )

    @property
    def display_key(self) -> Hashable:
        """Key of the plane, its data and its display: an encoding with another key is stale."""
        return self.key, self.data_revision, self.seen.key

    @property
    def source(self) -> ArraySource:
        """The layer's pixels, read by region, at the level of detail needed."""
        return ArraySource(self.levels, self.rgb)

    def read(self) -> NDArray[Any]:
        """All of the plane's pixels: (H, W) or (H, W, 3). Lazy data is computed here; call it in a worker."""
        pixels = np.asarray(self.levels[self.level][self._slices])
        return pixels[..., :3] if pixels.ndim == 3 else pixels

    def read_part(self, region: tuple[slice, slice]) -> NDArray[Any]:
        """Some rows and columns of the pixels. Lazy data is computed here; call it in a worker."""
        extents = iter(region)
        cut = tuple(next(extents) if isinstance(at, slice) else at for at in self._slices)
        pixels = np.asarray(self.levels[self.level][cut])
        return pixels[..., :3] if self.rgb else pixels

    @property
    def is_read_wholly(self) -> bool:
        """True if all pixels are in memory, or few enough to be read at once."""
        return self.source.in_memory or math.prod(self.shape_yx) <= OVERVIEW_PIXELS

    def view(self, predictor: Predictor, cache: EmbeddingStore | None = None) -> ImageView:
        """View of the plane for a predictor, as the model is to see it now; reads nothing yet."""
        if self.seen.is_as_displayed:
            return predictor.on_image(
                self.source, intensity=self.intensity, gamma=self.gamma, plane=self.plane, cache=cache
            )
        from napari_samv1.engine.plane_pixels import PlanePixels
        from napari_samv1.engine.store import MemoryStore
        from napari_samv1.engine.view import ImageView

        seen = self.seen
        pixels = PlanePixels(predictor.model, seen.source, self.plane, self.shape_yx, display=seen.display)
        return ImageView(predictor, pixels, MemoryStore() if cache is None else cache)

    def seen_pixels(self) -> SeenPixels:
        """The pixels as the model is to see them. Reads; call it in a worker."""
        if self.seen.is_as_displayed:
            pixels = self.read()
            return SeenPixels(pixels, self.intensity, self.gamma, hashes={self.key: hash_pixels(pixels)})
        seen = self.seen.pixels()
        return replace(seen, hashes=self._with_pixels_hash(seen.hashes))

    def hashes(self) -> dict[Hashable, str]:
        """``pixels_hash`` of this plane and of all images in ``seen``, by key. Reads; call it in a worker."""
        return self._with_pixels_hash(self.seen.hashes())

    def _with_pixels_hash(self, hashes: Mapping[Hashable, str]) -> dict[Hashable, str]:
        return dict(hashes) if self.key in hashes else {self.key: self.pixels_hash(), **hashes}

    def pixels_hash(self) -> str:
        """Hash of the plane's pixels, or of a sample if they are many and not in memory.

        Reads; call it in a worker.
        """
        if self.is_read_wholly:
            return hash_pixels(self.read())
        return f"{SAMPLE}{self.source.identity.sample}"

    def has_pixels(self, recorded: str) -> bool:
        """Return True if a recorded ``pixels_hash`` matches these pixels. Reads; call it in a worker."""
        if recorded.startswith(SAMPLE):
            return recorded == f"{SAMPLE}{self.source.identity.sample}"
        return recorded == hash_pixels(self.read())

    def contains(self, points_yx: ArrayLike) -> NDArray[np.bool_]:
        """Return True for each point on a pixel of the plane: (N, 2) to (N,)."""
        points = np.asarray(points_yx, dtype=np.float64).reshape(-1, 2)
        inside = (points >= -0.5) & (points < np.asarray(self.shape_yx) - 0.5)
        return np.asarray(inside.all(axis=1), dtype=bool)

    def from_layer(self, coordinates: ArrayLike) -> Coordinates:
        """The layer's data coordinates (N, ndim) as the plane's pixels (N, 2)."""
        on_layer = np.asarray(coordinates, dtype=np.float64)[:, list(self.axes)]
        # pixel centres are whole numbers, so a coarse pixel i begins at i * factor - 0.5
        plane: Coordinates = (on_layer + 0.5) / np.asarray(self.factors_yx) - 0.5
        return plane

    def to_layer(self, points_yx: ArrayLike) -> Coordinates:
        """The plane's pixels (N, 2) as the layer's data coordinates (N, ndim)."""
        points = np.asarray(points_yx, dtype=np.float64).reshape(-1, 2)
        coordinates = np.tile(self.position, (len(points), 1))
        coordinates[:, list(self.axes)] = (points + 0.5) * np.asarray(self.factors_yx) - 0.5
        return coordinates

    @property
    def position(self) -> Coordinates:
        """The layer's coordinates of the plane's first pixel: 0 on the displayed axes."""
        return np.array([0 if index is None else index for index in self.key.index], dtype=np.float64)

    def shows(self, coordinates: ArrayLike) -> NDArray[np.bool_]:
        """Return True for each of the layer's data coordinates (N, ndim) on this slice: (N,)."""
        points = np.asarray(coordinates, dtype=np.float64)
        on_slice = np.ones(len(points), dtype=bool)
        for axis, index in enumerate(self.key.index):
            if index is not None:
                on_slice &= (points[:, axis] >= index - 0.5) & (points[:, axis] < index + 0.5)
        return on_slice


def displayed_plane(viewer: Any, layer: Image, *, data_revision: int = 0) -> DisplayedPlane:
    """The plane of an Image layer that the viewer shows, at full resolution; reads no pixels.

    The model sees a single-channel image through the layer's contrast limits and gamma, RGB unchanged.
    ``data_revision`` counts the arrays that the layer has held. In a thick slice, the middle plane is
    annotated, and the model sees napari's projection.

    Raises
    ------
    NoPlaneError
        If the viewer shows 3D, or nothing of this layer.
    """
    if viewer.dims.ndisplay != 2:
        raise NoPlaneError("Segmenting works on a 2D view: switch napari back from 3D with the cube button.")
    first_axis = viewer.dims.ndim - layer.ndim
    if first_axis < 0:
        raise NoPlaneError(NOT_SHOWN.format(name=layer.name))
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
    plane = plane_at(layer, tuple(index), data_revision=data_revision)
    projection = projection_of(viewer, layer, tuple(index))
    seen = Seen(plane.plane, plane.shape_yx, (plane.as_image(projection=projection),))
    return replace(plane, selected=seen)


def plane_at(
    layer: Image, index: tuple[int | None, ...], *, level: int = 0, data_revision: int = 0
) -> DisplayedPlane:
    """Plane of an Image layer by its index, independent of the viewer; reads no pixels.

    ``index`` is the position on the layer's axes, None on the two that are the plane's rows and columns.

    Raises
    ------
    NoPlaneError
        If the image is empty, or has no such level.
    """
    shapes = _level_shapes(layer)
    if level >= len(shapes):
        raise NoPlaneError(f'Image "{layer.name}" has no level {level}.')
    rows, columns = (axis for axis, at in enumerate(index) if at is None)
    factors = np.asarray(shapes[0]) / np.asarray(shapes[level])
    slices = tuple(
        slice(None) if at is None else int((at + 0.5) / factor)
        for at, factor in zip(index, factors, strict=True)
    )
    height, width = shapes[level][rows], shapes[level][columns]
    if min(height, width) < 1:
        raise NoPlaneError(f'Image "{layer.name}" is empty.')
    levels = tuple(layer.data) if layer.multiscale else (layer.data,)
    intensity: tuple[float, float] | Literal["dtype"] | None
    if layer.rgb:
        intensity = None if levels[0].dtype == np.uint8 else "dtype"
    else:
        low, high = layer.contrast_limits
        intensity = (float(low), float(high))
    return DisplayedPlane(
        key=PlaneKey(layer.unique_id, tuple(index), level),
        data_revision=data_revision,
        name=layer.name,
        shape_yx=(height, width),
        axes=(rows, columns),
        factors_yx=(float(factors[rows]), float(factors[columns])),
        intensity=intensity,
        gamma=1.0 if layer.rgb else float(layer.gamma),
        rgb=bool(layer.rgb),
        levels=levels,
        _slices=slices,
    )


def overview_at(layer: Image, index: tuple[int | None, ...], *, data_revision: int = 0) -> DisplayedPlane:
    """The same plane at the finest level with at most 4096 x 4096 pixels, or the coarsest.

    Raises
    ------
    NoPlaneError
        If the image is empty.
    """
    shapes = _level_shapes(layer)
    rows, columns = (axis for axis, at in enumerate(index) if at is None)
    level = _level(shapes, (rows, columns))
    return plane_at(layer, index, level=level, data_revision=data_revision)


def show_plane(viewer: Any, layer: Image, plane: Plane) -> None:
    """Move the viewer's sliders to a plane of an image, and display its axes if others are."""
    position = layer.data_to_world(tuple(plane.position))
    first_axis = viewer.dims.ndim - layer.ndim
    axes = [first_axis + axis for axis in plane.axes]
    if viewer.dims.ndisplay == 2 and set(axes) != set(viewer.dims.displayed):
        viewer.dims.order = (*(axis for axis in viewer.dims.order if axis not in axes), *axes)
    for axis, at in enumerate(plane.index):
        if at is not None and first_axis + axis not in viewer.dims.displayed:
            viewer.dims.set_point(first_axis + axis, position[axis])


def planes_beside(layer: Image, plane: Plane) -> list[Plane]:
    """All planes of an image that are parallel to a plane, in slice order."""
    shape = _level_shapes(layer)[0]
    places = [range(1) if at is None else range(size) for at, size in zip(plane.index, shape, strict=True)]
    return [
        Plane(tuple(None if entry is None else at for entry, at in zip(plane.index, place, strict=True)))
        for place in product(*places)
    ]


def _level_shapes(layer: Image) -> list[tuple[int, ...]]:
    """Shapes of all levels, finest first, without the colour axis."""
    arrays = layer.data if layer.multiscale else [layer.data]
    return [tuple(int(size) for size in array.shape[: layer.ndim]) for array in arrays]


def _level(shapes: list[tuple[int, ...]], axes: tuple[int, int]) -> int:
    for level, shape in enumerate(shapes):
        if shape[axes[0]] * shape[axes[1]] <= OVERVIEW_PIXELS:
            return level
    return len(shapes) - 1
