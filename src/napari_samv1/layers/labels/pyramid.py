"""LivePyramid: masks of any size as the levels of a Labels layer, computed where napari reads."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from napari.layers import Labels
from numpy.typing import NDArray

from napari_samv1.masks.composite import Composite, Factors
from napari_samv1.masks.paint import Stack
from napari_samv1.masks.tiled import TiledMask
from napari_samv1.records.mask_crop import Region, overlap
from napari_samv1.records.place import Plane
from napari_samv1.records.settings import Rule

DTYPE = np.dtype(np.uint32)  # a slide may have more than 65,535 objects
TILE = 256
KEPT_TILES = 512
COARSEST_SIDE = 512
MOST_PIXELS = 1 << 28
MOST_IN_3D = 1 << 26
MANY_CHANGES = 200

Range = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Preview:
    """Unfinished stroke, and its effect on the labels of a plane."""

    plane: Plane
    pixels: TiledMask
    label: int
    erase: bool
    rule: Rule


class LivePyramid:
    """Objects of an image's planes, drawn at any level; holds masks as crops, and no label image.

    ``axes`` are the rows and columns, which get coarser by 2 from level to level; other axes do not. Drawn
    tiles are cached until an object in them changes.
    """

    def __init__(self, shape: Sequence[int], axes: tuple[int, int]) -> None:
        self.shape, self.axes = tuple(int(size) for size in shape), axes
        self.owner: object = None
        self.is_copy = False
        self.preview: Preview | None = None
        self._composites: dict[Plane, Composite] = {}
        self._tiles: OrderedDict[tuple[Plane, int, int, int], NDArray[Any]] = OrderedDict()
        self._last_read: dict[int, tuple[Range, ...]] = {}
        self._coarsest: NDArray[Any] | None = None
        self._lock = threading.RLock()  # napari may read in a thread
        # napari takes a single level for an ordinary array
        levels = [Level(self, 0), Level(self, 1)]
        while max(levels[-1].shape[axis] for axis in axes) > COARSEST_SIDE or levels[-1].size > MOST_IN_3D:
            levels.append(Level(self, len(levels)))
        self.levels = tuple(levels)

    def factors(self, level: int) -> tuple[int, ...]:
        """Pixels of the image that a pixel of the level spans, by axis."""
        return tuple(1 << level if axis in self.axes else 1 for axis in range(len(self.shape)))

    @property
    def highest(self) -> int:
        """The largest label."""
        return max((composite.highest for composite in self._composites.values()), default=0)

    def claim(self, owner: object) -> bool:
        """Show one document; True if objects of another one were removed."""
        with self._lock:
            if owner is self.owner:
                return False
            self.owner, had_any = owner, bool(self._composites)
            self._composites = {}
            self._tiles.clear()
            self._draw_coarsest()
            return had_any

    def __deepcopy__(self, memo: dict[int, Any]) -> LivePyramid:
        """Copy the objects shown now, for napari's "Duplicate layer"; the copy follows no document."""
        copied = memo[id(self)] = LivePyramid(self.shape, self.axes)
        copied._composites, copied.is_copy = dict(self._composites), True
        return copied

    def on(self, plane: Plane) -> Composite:
        """The objects of a plane."""
        return self._composites.get(plane, _NOTHING)

    def put(self, plane: Plane, stack: Stack, changed: Collection[int]) -> list[Region]:
        """Replace a plane's objects, of which some ``changed``; return the regions to redraw."""
        with self._lock:
            before = self.on(plane)
            regions = [
                one.by_label[label][1].region
                for label in changed
                for one in (before.stack, stack)
                if label in one.by_label and one.by_label[label][1].mask.size
            ]
            self._composites[plane] = Composite(stack, before)
            self._redraw(plane, regions)
            self._draw_coarsest()
        return regions

    def redraw_preview(self, preview: Preview | None) -> None:
        """Show a stroke that is being drawn, or none."""
        with self._lock:
            self.preview = preview
            self._draw_coarsest()

    def is_in_last_read(self, level: int, plane: Plane, regions: Sequence[Region]) -> bool:
        """Return True if the last read of a level meets one of a plane's regions."""
        ranges = self._last_read.get(level)
        if ranges is None:
            return True
        factors = self.factors(level)
        for axis, at in enumerate(plane.index):
            if at is not None and not ranges[axis][0] <= at // factors[axis] < ranges[axis][1]:
                return False
        rows, columns = (
            slice(ranges[axis][0] * factors[axis], ranges[axis][1] * factors[axis]) for axis in plane.axes
        )
        return any(overlap((rows, columns), region) for region in regions)

    def read(self, plane: Plane, level: int, region: Region) -> NDArray[Any]:
        """The labels in a region of a plane, in pixels of the level."""
        rows, columns = region
        values = np.zeros((rows.stop - rows.start, columns.stop - columns.start), DTYPE)
        with self._lock:
            for i in range(rows.start // TILE, -(-rows.stop // TILE)):
                for j in range(columns.start // TILE, -(-columns.stop // TILE)):
                    tile = self._tile(plane, level, i, j)
                    if tile is not None:
                        top, bottom = max(rows.start, i * TILE), min(rows.stop, (i + 1) * TILE)
                        left, right = max(columns.start, j * TILE), min(columns.stop, (j + 1) * TILE)
                        values[
                            top - rows.start : bottom - rows.start,
                            left - columns.start : right - columns.start,
                        ] = tile[top - i * TILE : bottom - i * TILE, left - j * TILE : right - j * TILE]
            preview = self.preview
        if preview is not None and preview.plane == plane:
            _show(preview, values, region, self._factors_of(plane, level))
        return values

    def draw(self, level: int, ranges: Sequence[Range]) -> NDArray[Any]:
        """The labels between two positions on each axis, in pixels of the level."""
        shape = tuple(stop - start for start, stop in ranges)
        if int(np.prod(shape, dtype=np.float64)) > MOST_PIXELS:
            raise ValueError(
                f"masks are drawn {MOST_PIXELS} pixels at a time at most, got a region of "
                f"{' x '.join(map(str, shape))} pixels: read smaller regions, or export OME-Zarr"
            )
        self._last_read[level] = tuple(ranges)
        values = np.zeros(shape, DTYPE)
        factors = self.factors(level)
        for plane in self._shown_planes():
            index: list[int | slice] = [slice(None)] * len(shape)
            for axis, position in enumerate(plane.index):
                if position is not None:
                    index[axis] = position // factors[axis] - ranges[axis][0]
            if all(isinstance(at, slice) or 0 <= at < size for at, size in zip(index, shape, strict=True)):
                rows, columns = (slice(*ranges[axis]) for axis in plane.axes)
                part, found = values[tuple(index)], self.read(plane, level, (rows, columns))
                np.copyto(part, found, where=found != 0)
        return values

    def coarsest(self) -> NDArray[Any]:
        """The coarsest level, in one array that is updated in place, because napari keeps the array."""
        with self._lock:
            level = len(self.levels) - 1
            ranges = tuple((0, size) for size in self.levels[level].shape)
            self._last_read[level] = ranges
            if self._coarsest is None:
                self._coarsest = self.draw(level, ranges)
            return self._coarsest

    def _draw_coarsest(self) -> None:
        if self._coarsest is not None:
            last_read = self._last_read.get(len(self.levels) - 1)
            self._coarsest[...] = self.draw(
                len(self.levels) - 1, tuple((0, size) for size in self._coarsest.shape)
            )
            if last_read is not None:
                self._last_read[len(self.levels) - 1] = last_read

    def _shown_planes(self) -> list[Plane]:
        planes = list(self._composites)
        if self.preview is not None and self.preview.plane not in self._composites:
            planes.append(self.preview.plane)
        return planes

    def _factors_of(self, plane: Plane, level: int) -> Factors:
        factors = self.factors(level)
        rows, columns = plane.axes
        return factors[rows], factors[columns]

    def _tile(self, plane: Plane, level: int, i: int, j: int) -> NDArray[Any] | None:
        """A whole tile, also at the plane's edge; None if no object meets it."""
        key = plane, level, i, j
        if key in self._tiles:
            self._tiles.move_to_end(key)
            return self._tiles[key]
        region = slice(i * TILE, (i + 1) * TILE), slice(j * TILE, (j + 1) * TILE)
        factors = self._factors_of(plane, level)
        composite = self.on(plane)
        fine = tuple(slice(e.start * f, e.stop * f) for e, f in zip(region, factors, strict=True))
        if not composite.meeting((fine[0], fine[1])):
            return None
        tile = self._tiles[key] = composite.read(region, DTYPE, factors)
        while len(self._tiles) > KEPT_TILES:
            self._tiles.popitem(last=False)
        return tile

    def _redraw(self, plane: Plane, regions: Sequence[Region]) -> None:
        """Draw regions of the cached tiles again; where they are many, forget the tiles."""
        for key in [key for key in self._tiles if key[0] == plane]:
            if len(regions) > MANY_CHANGES:
                del self._tiles[key]
                continue
            _, level, i, j = key
            tile, factors = self._tiles[key], self._factors_of(plane, level)
            for region in regions:
                rows, columns = (
                    slice(max(fine.start // factor, at * TILE), min(-(-fine.stop // factor), (at + 1) * TILE))
                    for fine, factor, at in zip(region, factors, (i, j), strict=True)
                )
                if rows.start < rows.stop and columns.start < columns.stop:
                    part = tile[
                        rows.start - i * TILE : rows.stop - i * TILE,
                        columns.start - j * TILE : columns.stop - j * TILE,
                    ]
                    part[...] = self.on(plane).read((rows, columns), DTYPE, factors)


class Level:
    """Level of a pyramid, or part of one, as a lazy array: slices are lazy, ``np.asarray`` draws.

    ``chunks`` let napari read whole tiles, so that a small move of the view reads nothing.
    """

    dtype = DTYPE

    def __init__(
        self,
        pyramid: LivePyramid,
        level: int,
        ranges: Sequence[Range] | None = None,
        kept: Sequence[int] | None = None,
    ) -> None:
        self.pyramid, self.level = pyramid, level
        factors = pyramid.factors(level)
        whole = [(0, -(-size // factor)) for size, factor in zip(pyramid.shape, factors, strict=True)]
        self._is_whole = ranges is None
        self._ranges = tuple(whole if ranges is None else ranges)
        self._kept = tuple(range(len(whole)) if kept is None else kept)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self._ranges[axis][1] - self._ranges[axis][0] for axis in self._kept)

    @property
    def ndim(self) -> int:
        return len(self._kept)

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=object))

    @property
    def chunks(self) -> tuple[int, ...]:
        """The size of a tile along each axis."""
        return tuple(TILE if axis in self.pyramid.axes else 1 for axis in self._kept)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> Any:
        keys = key if isinstance(key, tuple) else (key,)
        if Ellipsis in keys:
            at = keys.index(Ellipsis)
            keys = keys[:at] + (slice(None),) * (self.ndim - len(keys) + 1) + keys[at + 1 :]
        keys += (slice(None),) * (self.ndim - len(keys))
        if not all(_is_simple(one) for one in keys):
            return np.asarray(self)[key]
        ranges, kept = list(self._ranges), []
        for axis, one in zip(self._kept, keys, strict=True):
            first, size = self._ranges[axis][0], self._ranges[axis][1] - self._ranges[axis][0]
            if isinstance(one, slice):
                start, stop, _ = one.indices(size)
                ranges[axis] = first + start, first + max(start, stop)
                kept.append(axis)
                continue
            place = int(one) + (size if one < 0 else 0)
            if not 0 <= place < size:
                raise IndexError(f"index {one} lies outside of axis {axis}, which has {size} positions")
            ranges[axis] = first + place, first + place + 1
        return Level(self.pyramid, self.level, ranges, kept)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        is_coarsest = self._is_whole and self.level == len(self.pyramid.levels) - 1
        if is_coarsest and self.ndim == 2:
            values = self.pyramid.coarsest()
            return values.astype(dtype or DTYPE, copy=bool(copy))
        values = self.pyramid.draw(self.level, self._ranges).reshape(self.shape)
        return values if dtype is None else values.astype(dtype, copy=False)


_NOTHING = Composite()


def pyramid_of(layer: Labels) -> LivePyramid | None:
    """Pyramid of a Labels layer, or None; also None for a copy, which cannot be drawn on."""
    pyramid = pyramid_or_copy_of(layer)
    return None if pyramid is None or pyramid.is_copy else pyramid


def pyramid_or_copy_of(layer: Labels) -> LivePyramid | None:
    """Pyramid of a Labels layer, or None."""
    first: Any = layer.data[0] if layer.multiscale else layer.data
    return first.pyramid if isinstance(first, Level) else None


def _is_simple(key: Any) -> bool:
    if isinstance(key, slice):
        return key.step in (None, 1)
    return isinstance(key, int | np.integer)


def _show(preview: Preview, values: NDArray[Any], region: Region, factors: Factors) -> None:
    pixels = preview.pixels.within(region, factors)
    if preview.erase:
        values[pixels] = 0
        return
    if preview.rule.kind == "keep":
        pixels &= values == 0
    elif preview.rule.kind == "inside":
        pixels &= values == preview.rule.label
    values[pixels] = preview.label
