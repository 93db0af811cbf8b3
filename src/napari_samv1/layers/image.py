"""What an Image layer shows, as one plane of pixels that the model can see."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from napari.layers import Image
from numpy.typing import ArrayLike, NDArray

from napari_samv1.app.canvas import NoPlaneError
from napari_samv1.images.displayed import displayed
from napari_samv1.images.hashing import SAMPLE, hash_pixels
from napari_samv1.images.intensity import limits_of
from napari_samv1.images.projected import projected
from napari_samv1.images.seen_pixels import SeenPixels
from napari_samv1.images.source import ArraySource, Source
from napari_samv1.images.stacked import StackedSource
from napari_samv1.layers.affine import Coordinates, from_viewer_world
from napari_samv1.layers.projection import projection_of
from napari_samv1.records.display import Channel, Display, Paint, Projection
from napari_samv1.records.place import Plane, Region
from napari_samv1.records.sight import AS_DISPLAYED, Sight

if TYPE_CHECKING:
    from napari_samv1.engine.predictor import Predictor
    from napari_samv1.engine.store import EmbeddingStore
    from napari_samv1.engine.view import ImageView

OVERVIEW_PIXELS = 4096 * 4096

Limits = tuple[float, float]


@dataclass(frozen=True)
class PlaneKey:
    """Which plane: ``index`` is the position on the layer's axes, None on the displayed ones."""

    layer_id: Hashable
    index: tuple[int | None, ...]
    level: int = 0


@dataclass(frozen=True, eq=False)
class DisplayedPlane:
    """One plane of an Image layer, in the layer's own axis order and at full resolution.

    A transposed display does not turn the plane, just as a rotated camera does not: what was annotated stays
    valid. ``axes`` are the layer's axes that are the plane's rows and columns. ``factors_yx`` is how many of
    the layer's pixels one pixel of the plane spans: more than 1 for an overview at a coarser level, which is
    only looked at and never annotated.

    ``sight`` is what the model is to see of it, ``channels`` the planes that are composed for that, the
    lowest first, each with its ``paint``: none where it is this plane alone, in grey. With a ``projection``
    it sees slices around this one, which is the one that is annotated. ``found`` are limits that were found
    in pixels so far.
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
    sight: Sight = AS_DISPLAYED
    channels: tuple[DisplayedPlane, ...] = ()
    paint: Paint = field(default=Paint(), repr=False)
    projection: Projection | None = None
    found: dict[Hashable, Limits] = field(default_factory=dict, repr=False)

    @property
    def level(self) -> int:
        """The level of a multiscale layer that the pixels are of, 0 for full resolution."""
        return self.key.level

    @property
    def plane(self) -> Plane:
        """The plane of the image."""
        return Plane(self.key.index)

    @property
    def display_key(self) -> Hashable:
        """The plane, its data and how the model is to see it: an encoding made under another one is stale."""
        if self._is_as_displayed:
            return self.key, self.data_revision, self.intensity, self.gamma
        looks = tuple(
            (one.key, one.data_revision, one._limits_key(self.sight), one.gamma, one.paint, one.projection)
            for one in self._seen
        )
        return self.key, self.data_revision, looks

    @property
    def channels_key(self) -> tuple[Hashable, ...]:
        """The keys of all planes that the model is to see."""
        return tuple(one.key for one in self._seen)

    @property
    def made_of(self) -> dict[str, Hashable]:
        """What an encoding is made of beside its contrast, in words for a person."""
        return {"channels": self.channels_key, "slices": tuple(one.projection for one in self._seen)}

    @property
    def _is_as_displayed(self) -> bool:
        return not self.channels and self.sight.limits == "displayed" and self.projection is None

    @property
    def _seen(self) -> tuple[DisplayedPlane, ...]:
        return self.channels or (self,)

    @property
    def source(self) -> ArraySource:
        """The layer's pixels, of which regions are read as finely as they are needed."""
        return ArraySource(self.levels, self.rgb)

    def read(self) -> NDArray[Any]:
        """All of the plane's pixels: (H, W) or (H, W, 3). Lazy data is computed here; call it in a worker."""
        pixels = np.asarray(self.levels[self.level][self._slices])
        return pixels[..., :3] if pixels.ndim == 3 else pixels

    def read_part(self, region: tuple[slice, slice]) -> NDArray[Any]:
        """Some rows and columns of the pixels. Lazy data is computed here; call it in a worker."""
        extents = iter(region)
        cut = tuple(next(extents) if isinstance(own, slice) else own for own in self._slices)
        pixels = np.asarray(self.levels[self.level][cut])
        return pixels[..., :3] if self.rgb else pixels

    @property
    def is_read_wholly(self) -> bool:
        """All pixels are in memory, or not too many to be read at once."""
        return self.source.in_memory or math.prod(self.shape_yx) <= OVERVIEW_PIXELS

    def view(self, predictor: Predictor, cache: EmbeddingStore | None = None) -> ImageView:
        """The plane for a model, as it is to be seen now; reads nothing yet."""
        if self._is_as_displayed:
            return predictor.on_image(
                self.source, intensity=self.intensity, gamma=self.gamma, plane=self.plane, cache=cache
            )
        from napari_samv1.engine.plane_pixels import PlanePixels
        from napari_samv1.engine.store import MemoryStore
        from napari_samv1.engine.view import ImageView

        pixels = PlanePixels(
            predictor.model, self._seen_source, self.plane, self.shape_yx, display=self.display
        )
        return ImageView(predictor, pixels, MemoryStore() if cache is None else cache)

    def seen_pixels(self) -> SeenPixels:
        """The plane's pixels as the model is to see them. Reads; call it in a worker."""
        if self._is_as_displayed:
            pixels = self.read()
            return SeenPixels(pixels, self.intensity, self.gamma, hashes={self.key: hash_pixels(pixels)})
        display = self.display()
        whole = Region(self.plane, (0, 0, *self.shape_yx))
        pixels = self._seen_source.read(whole, self.shape_yx)
        if display.is_single:
            (channel,) = display.channels
            return SeenPixels(pixels, (channel.low, channel.high), channel.gamma, hashes=self.hashes())
        return SeenPixels(displayed(pixels, display), None, 1.0, display, self.hashes())

    def display(self) -> Display:
        """The numbers by which the model is to see the plane; finds limits in pixels: call it in a worker."""
        limits = [one._limits(self.sight) for one in self._seen]
        return self._display(limits, {} if self._is_itself else self.hashes())

    @property
    def limits(self) -> tuple[tuple[str, Limits | None], ...]:
        """The names of what the model is to see and their limits, None where those are not found yet."""
        return tuple((one._title, one._known_limits(self.sight)) for one in self._seen)

    def hashes(self) -> dict[Hashable, str]:
        """``pixels_hash`` of this plane and all its channels, by their keys. Reads; call it in a worker."""
        return {one.key: one.pixels_hash() for one in (self, *self.channels)}

    @property
    def _is_itself(self) -> bool:
        return not self.channels or self.channels_key == (self.key,)

    @property
    def _title(self) -> str:
        return self.name if self.projection is None else f"{self.name} ({self.projection})"

    @property
    def _projected(self) -> ArraySource:
        """The pixels that are seen of this plane: those of ``source``, or projected."""
        return projected(self.source, self.projection)

    @property
    def _seen_source(self) -> Source:
        if self._is_itself:
            return self._projected
        return StackedSource(tuple(one._projected for one in self.channels))

    def _display(self, limits: Sequence[Limits], hashes: Mapping[Hashable, str]) -> Display:
        return Display(
            tuple(
                Channel(
                    *own,
                    gamma=one.gamma,
                    paint=one.paint,
                    rgb=one.rgb,
                    pixels="" if self._is_itself else hashes[one.key],
                    projection=one.projection,
                )
                for one, own in zip(self._seen, limits, strict=True)
            )
        )

    def _limits_key(self, sight: Sight) -> Hashable:
        """What the plane's limits depend on, beside its data."""
        if sight.limits == "displayed":
            return self.intensity
        if sight.limits == "fixed":
            return sight.fixed
        return sight.limits, sight.percentiles

    def _known_limits(self, sight: Sight) -> Limits | None:
        if sight.limits == "displayed":
            return limits_of(np.zeros((1, 1), self.source.dtype), self.intensity)
        return sight.fixed if sight.limits == "fixed" else self.found.get(self._found_key(sight))

    def _found_key(self, sight: Sight) -> Hashable:
        place = self.key if sight.limits == "plane" else (self.key.layer_id, self.axes)
        return place, self.data_revision, self.projection, self._limits_key(sight)

    def _limits(self, sight: Sight) -> Limits:
        known = self._known_limits(sight)
        if sight.limits in ("displayed", "fixed") or (known is not None and not self.source.in_memory):
            return known or sight.fixed
        # brings torch, which a window that opens does not wait for
        from napari_samv1.images.limits import percentiles_of_plane, percentiles_of_stack

        # what is at hand may have been changed in place, of which napari says nothing
        find = percentiles_of_plane if sight.limits == "plane" else percentiles_of_stack
        known = self.found[self._found_key(sight)] = find(self._projected, self.plane, sight.percentiles)
        return known

    def pixels_hash(self) -> str:
        """Hash of the plane's pixels, of a sample of them where they are many and not in memory.

        Reads; call it in a worker.
        """
        if self.is_read_wholly:
            return hash_pixels(self.read())
        return f"{SAMPLE}{self.source.identity.sample}"

    def has_pixels(self, recorded: str) -> bool:
        """True where a recorded ``pixels_hash`` is of these pixels. Reads; call it in a worker."""
        if recorded.startswith(SAMPLE):
            return recorded == f"{SAMPLE}{self.source.identity.sample}"
        return recorded == hash_pixels(self.read())

    def glimpse(self, rows: ArrayLike, columns: ArrayLike) -> NDArray[Any] | None:
        """Some rows and columns as the model sees them, 8-bit RGB (R, C, 3); None where that means a read."""
        limits = [known for _, known in self.limits if known is not None]
        if len(limits) < len(self._seen) or not all(one.source.in_memory for one in self._seen):
            return None
        places = [np.asarray(own) for own in (rows, columns)]
        (top, left), (bottom, right) = ([int(edge(own)) for own in places] for edge in (np.min, np.max))
        hw = bottom - top + 1, right - left + 1
        cut = np.ix_(places[0] - top, places[1] - left)
        region = Region(self.plane, (top, left, *hw))
        planes = [one._projected.read(region, hw)[cut] for one in self._seen]
        stacked = np.concatenate([one if one.ndim == 3 else one[..., np.newaxis] for one in planes], axis=2)
        if stacked.dtype.kind == "f":
            stacked = np.nan_to_num(stacked)
        single = stacked[..., 0] if stacked.shape[2] == 1 else stacked
        return displayed(single, self._display(limits, {one.key: "" for one in self._seen}))

    def contains(self, points_yx: ArrayLike) -> NDArray[np.bool_]:
        """Which points lie on a pixel of the plane: (N, 2) to (N,)."""
        points = np.asarray(points_yx, dtype=np.float64).reshape(-1, 2)
        inside = (points >= -0.5) & (points < np.asarray(self.shape_yx) - 0.5)
        return np.asarray(inside.all(axis=1), dtype=bool)

    def from_layer(self, coordinates: ArrayLike) -> Coordinates:
        """The layer's data coordinates (N, ndim) as the plane's pixels (N, 2)."""
        own = np.asarray(coordinates, dtype=np.float64)[:, list(self.axes)]
        # pixel centres are whole numbers, so a coarse pixel i begins at i * factor - 0.5
        plane: Coordinates = (own + 0.5) / np.asarray(self.factors_yx) - 0.5
        return plane

    def to_layer(self, points_yx: ArrayLike) -> Coordinates:
        """The plane's pixels (N, 2) as the layer's data coordinates (N, ndim)."""
        points = np.asarray(points_yx, dtype=np.float64).reshape(-1, 2)
        coordinates = np.tile(self.position, (len(points), 1))
        coordinates[:, list(self.axes)] = (points + 0.5) * np.asarray(self.factors_yx) - 0.5
        return coordinates

    @property
    def position(self) -> Coordinates:
        """The plane's first pixel of the layer: 0 on the displayed axes."""
        return np.array([0 if index is None else index for index in self.key.index], dtype=np.float64)

    def shows(self, coordinates: ArrayLike) -> NDArray[np.bool_]:
        """Which of the layer's data coordinates (N, ndim) lie on this slice: (N,)."""
        points = np.asarray(coordinates, dtype=np.float64)
        on_slice = np.ones(len(points), dtype=bool)
        for axis, index in enumerate(self.key.index):
            if index is not None:
                on_slice &= (points[:, axis] >= index - 0.5) & (points[:, axis] < index + 0.5)
        return on_slice


def displayed_plane(viewer: Any, layer: Image, *, data_revision: int = 0) -> DisplayedPlane:
    """The plane of an Image layer that the viewer shows, at full resolution; reads no pixels.

    Single-channel images are seen through the layer's contrast limits and gamma, RGB as it is.
    ``data_revision`` tells apart the arrays that the layer held one after another. Of a thick slice, the one
    in the middle is annotated, and the projection that napari shows is seen.

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
    projection = projection_of(viewer, layer, tuple(index))
    return replace(plane_at(layer, tuple(index), data_revision=data_revision), projection=projection)


def plane_at(
    layer: Image, index: tuple[int | None, ...], *, level: int = 0, data_revision: int = 0
) -> DisplayedPlane:
    """A plane of an Image layer by its place, whatever the viewer shows; reads no pixels.

    ``index`` is the position on the layer's axes, None on the two that are the plane's rows and columns.

    Raises
    ------
    NoPlaneError
        If the image is empty, or has no such level.
    """
    shapes = _level_shapes(layer)
    if level >= len(shapes):
        raise NoPlaneError(f'Image "{layer.name}" has no level {level}.')
    rows, columns = (axis for axis, own in enumerate(index) if own is None)
    factors = np.asarray(shapes[0]) / np.asarray(shapes[level])
    slices = tuple(
        slice(None) if own is None else int((own + 0.5) / factor)
        for own, factor in zip(index, factors, strict=True)
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
    rows, columns = (axis for axis, own in enumerate(index) if own is None)
    level = _level(shapes, (rows, columns))
    return plane_at(layer, index, level=level, data_revision=data_revision)


def show_plane(viewer: Any, layer: Image, plane: Plane) -> None:
    """Move the viewer's sliders to a plane of an image."""
    position = layer.data_to_world(tuple(plane.position))
    first_axis = viewer.dims.ndim - layer.ndim
    for axis, own in enumerate(plane.index):
        if own is not None and first_axis + axis not in viewer.dims.displayed:
            viewer.dims.set_point(first_axis + axis, position[axis])


def planes_beside(layer: Image, plane: Plane) -> list[Plane]:
    """All planes of an image that are parallel to one of it, in the order of slices."""
    shape = _level_shapes(layer)[0]
    places = [range(1) if own is None else range(size) for own, size in zip(plane.index, shape, strict=True)]
    return [
        Plane(tuple(None if own is None else at for own, at in zip(plane.index, place, strict=True)))
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
