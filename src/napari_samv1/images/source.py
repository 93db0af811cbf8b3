"""Sources of an image's pixels, read only where and as finely as needed."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from inspect import getattr_static
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import xxhash
from numpy.typing import NDArray

from napari_samv1.images.hashing import plain_bytes
from napari_samv1.images.resample import resized
from napari_samv1.records.place import Plane, Region
from napari_samv1.records.requests import SourceIdentity

Array = NDArray[Any]

MOST_PIXELS = 1 << 24
"""Largest number of pixels in one read; of more only every second, third, ... row and column is read."""

OVERVIEW_PIXELS = 1_000_000
"""Largest level that is read as a whole for its hash or the range of its values."""

HASHED_BLOCKS, HASHED_SIDE = 16, 64


class ReadError(Exception):
    """An image's pixels could not be read; the message is a sentence with the place and the reason."""


class Source(Protocol):
    """An image as planes of rows and columns: an array, a file, a list of levels, a layer.

    ``in_memory`` is True if reading pixels again costs next to nothing.
    """

    @property
    def identity(self) -> SourceIdentity: ...

    @property
    def in_memory(self) -> bool: ...

    def read(self, region: Region, hw: tuple[int, int]) -> Array:
        """Pixels of a region resized to ``hw``: (h, w), or (h, w, C) with colour last.

        Raises ``ReadError`` if they cannot be read.
        """
        ...


@dataclass(frozen=True, eq=False)
class ArraySource:
    """Levels of an image, finest first, each an array or anything that is sliced like one.

    Arrays of numpy, memory maps, dask, zarr, h5py, xarray and tensorstore are sliced so. Nothing is read
    before ``identity`` or ``read``. With ``rgb`` the last axis is colour. ``name`` and ``modified_ns`` are
    those of the image's file, if there is one.

    Raises
    ------
    ValueError
        If the levels are not an image, or do not get smaller.
    """

    levels: tuple[Any, ...]
    rgb: bool
    name: str = ""
    modified_ns: int = 0

    def __post_init__(self) -> None:
        shapes = [tuple(int(size) for size in level.shape) for level in self.levels]
        if not shapes:
            raise ValueError("a list of levels needs at least one level")
        expected = "an image needs rows and columns"
        for shape in shapes:
            if len(shape) - self.rgb < 2 or min(shape) < 1:
                raise ValueError(f"{expected} with at least one pixel, got an array of shape {shape}")
        kind = self.dtype.kind
        if kind not in "buif":
            raise ValueError(f"image must hold real numbers, got dtype {self.dtype}; convert it first")
        if self.dtype.itemsize > 8:
            raise ValueError(
                f"image must hold numbers of 64 bits or fewer, got {self.dtype}; convert it first"
            )
        for finer, coarser in pairwise(shapes):
            if len(finer) != len(coarser) or finer == coarser or any(np.greater(coarser, finer)):
                raise ValueError(
                    f"a list is taken as the levels of one image, finest first, each smaller than the one "
                    f"before; got shapes {', '.join(map(str, shapes))}; stack planes with numpy.stack"
                )

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the pixels."""
        return dtype_of(self.levels[0])

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of all levels, without the colour axis."""
        return tuple(
            tuple(int(size) for size in level.shape)[: len(level.shape) - self.rgb] for level in self.levels
        )

    @property
    def in_memory(self) -> bool:
        """True if all levels are arrays in memory, none mapped from a file."""
        return all(map(at_hand, self.levels))

    @cached_property
    def identity(self) -> SourceIdentity:
        """Identity of the image, with a hash of a few pixels, read once."""
        shape, *coarser = self.shapes
        return SourceIdentity(
            shape=shape,
            dtype=self.dtype.newbyteorder("=").name,
            rgb=self.rgb,
            sample=self._hash(),
            levels=tuple(coarser),
            name=self.name,
            modified_ns=self.modified_ns,
        )

    def read(self, region: Region, hw: tuple[int, int]) -> Array:
        """Pixels of a region resized to ``hw``, from the level that is just fine enough.

        A level is fine enough if its region has at least ``hw`` pixels; otherwise the finest is read.
        """
        rows, columns = region.plane.axes
        window, level = region.window_yxhw, 0
        for index, shape in enumerate(self.shapes):
            factors = np.divide(self.shapes[0], shape)[[rows, columns]]
            # 1 % of tolerance, because the shapes of levels are rounded
            if window[2] / factors[0] >= hw[0] * 0.99 and window[3] / factors[1] >= hw[1] * 0.99:
                level = index
        shape = self.shapes[level]
        factors = np.divide(self.shapes[0], shape)
        cut: list[int | slice] = [
            slice(None) if at is None else min(int((at + 0.5) / factor), size - 1)
            for at, factor, size in zip(region.plane.index, factors, shape, strict=True)
        ]
        box = []
        for axis, start, size in ((rows, window[0], window[2]), (columns, window[1], window[3])):
            edges = start / factors[axis], (start + size) / factors[axis]
            first = min(int(edges[0] + 1e-6), shape[axis] - 1)
            beyond = max(min(math.ceil(edges[1] - 1e-6), shape[axis]), first + 1)
            cut[axis] = slice(first, beyond)
            box.append((max(edges[0] - first, 0.0), min(edges[1], beyond) - first))
        extents = [one.stop - one.start for one in cut if isinstance(one, slice)]
        step = max(1, math.ceil(math.sqrt(extents[0] * extents[1] / MOST_PIXELS)))
        if step > 1:
            cut = [slice(one.start, one.stop, step) if isinstance(one, slice) else one for one in cut]
        pixels = self._fetch(level, tuple(cut))
        (top, bottom), (left, right) = box
        height, width = pixels.shape[:2]
        fitted = (top / step, left / step, min(bottom / step, height), min(right / step, width))
        # rounded, so that whole pixels are not resampled for a rounding error
        whole = tuple(float(round(edge)) if abs(edge - round(edge)) < 1e-4 else edge for edge in fitted)
        return resized(pixels, hw, (whole[0], whole[1], whole[2], whole[3]))

    def _fetch(self, level: int, cut: tuple[int | slice, ...]) -> Array:
        array = self.levels[level]
        ranges = [range(size)[one] for size, one in zip(self.shapes[level], cut, strict=True)]
        expected = tuple(len(one) for one in ranges if isinstance(one, range))
        image = f"image {self.name!r}" if self.name else "the image"
        failed = f"{image} could not be read at {_in_words(cut)}" + (f" of level {level}" if level else "")
        try:
            pixels = np.asarray(array[cut])
        # stores raise errors of all kinds, and workers and scripts need a sentence
        except Exception as error:
            raise ReadError(f"{failed}: {error or type(error).__name__}") from error
        if pixels.shape[:2] != expected or pixels.ndim != 2 + self.rgb:
            raise ReadError(f"{failed}: expected pixels of shape {expected}, got {pixels.shape}")
        return pixels[..., :3] if self.rgb else pixels

    def _hash(self) -> str:
        """XXH3-128 of the coarsest level if it is small, otherwise of blocks spread over it."""
        level = len(self.levels) - 1
        shape = self.shapes[level]
        digest = xxhash.xxh3_128()
        if math.prod(shape) <= OVERVIEW_PIXELS:
            planes = [(*place, slice(None), slice(None)) for place in np.ndindex(shape[:-2])]
        else:
            planes = [_block(shape, place) for place in range(HASHED_BLOCKS)]
        for cut in planes:
            digest.update(plain_bytes(self._fetch(level, cut)))
        return f"xxh3-128:{digest.hexdigest()}"


def at_hand(array: Any) -> bool:
    """True if an array, or all arrays that it is made of, are in memory."""
    if isinstance(array, np.ndarray):
        return _mapped_file(array) is None
    return getattr(array, "in_memory", None) is True


def as_source(image: Any, *, ndim: int | None = None) -> Source:
    """Make a source of an image without reading it; a source is returned unchanged.

    A list or tuple of arrays is the levels of one image, finest first; a list of numbers is an array.
    ``ndim`` is the number of axes without colour; by default a last axis of 3 or 4 is colour if it leaves two
    axes or more.

    Raises
    ------
    ValueError
        If it is not an image; the message gives the expected form.
    """
    if isinstance(image, Sequence) and not isinstance(image, str) and all(map(_is_array, image)) and image:
        levels = tuple(image)
    else:
        if not _is_array(image):
            # not by hasattr, which would compute the identity and so read pixels
            if (
                not isinstance(image, str | os.PathLike)
                and getattr_static(image, "identity", None) is not None
            ):
                source: Source = image
                return source
            image = np.asarray(image)
        levels = (image,)
    shape = tuple(levels[0].shape)
    if ndim is None:
        rgb = len(shape) > 2 and shape[-1] in (3, 4)
    elif len(shape) == ndim + 1 and shape[-1] in (3, 4):
        rgb = True
    elif len(shape) == ndim:
        rgb = False
    else:
        raise ValueError(f"the plane has {ndim} axes and the image {len(shape)}: its shape is {shape}")
    file = _mapped_file(levels[0])
    name, modified = ("", 0) if file is None else (file.name, file.stat().st_mtime_ns)
    return ArraySource(levels, rgb, name, modified)


def shape_of(source: Source) -> tuple[int, ...]:
    """Shape of an image without its colour axis; that of an array is found without reading pixels."""
    return source.shapes[0] if isinstance(source, ArraySource) else source.identity.shape


def as_plane(source: Source, plane: Plane | int | Sequence[int | None] | None) -> Plane:
    """The plane of that name, or the only plane of an image.

    One or more numbers are positions on the axes before rows and columns; a tuple with two None names any
    plane.

    Raises
    ------
    ValueError
        If an image of many planes comes without a plane, or the image has no such plane.
    """
    shape = shape_of(source)
    if plane is None:
        if len(shape) != 2:
            leading = (0,) * (len(shape) - 2)
            if len(shape) == 3 and shape[0] in (3, 4):
                raise ValueError(
                    f"image must be (H, W), (H, W, 3) or (H, W, 4), got {shape}; move the channel axis last, "
                    f"or name a plane, e.g. plane=0"
                )
            if len(shape) == 3 and shape[-1] <= 2:
                raise ValueError(
                    f"image must be (H, W), (H, W, 3) or (H, W, 4), got {shape}: take one channel, e.g. "
                    f"image[..., 0]"
                )
            raise ValueError(
                f"an image of shape {shape} has several axes before rows and columns: choose a plane, e.g. "
                f"plane={(*leading, None, None)}, or pass the plane alone, e.g. image{list(leading)}"
            )
        return Plane((None, None))
    if not isinstance(plane, Plane):
        named = (plane,) if isinstance(plane, int | np.integer) else tuple(plane)
        plane = Plane(named if None in named else (*named, None, None))
    outside = len(plane.index) != len(shape) or any(
        at is not None and not 0 <= at < size for at, size in zip(plane.index, shape, strict=True)
    )
    if outside:
        raise ValueError(f"there is no plane {plane.index} in an image of shape {shape}")
    return plane


def spread(count: int, axes: int) -> NDArray[np.float64]:
    """Places (count, axes) in 0..1 that cover a box evenly, not in rows, and are the same each time."""
    # the additive recurrence of M. Roberts: the powers of the root of x ** (axes + 1) = x + 1
    root = 2.0
    for _ in range(64):
        root = (1 + root) ** (1 / (axes + 1))
    steps = root ** -np.arange(1, axes + 1)
    places: NDArray[np.float64] = (0.5 + np.arange(1, count + 1)[:, None] * steps) % 1
    return places


def aligned(place: float, size: int, side: int) -> slice:
    """``side`` pixels of an axis near a place in 0..1, from a multiple of ``side``, to read few chunks."""
    if size <= side:
        return slice(0, size)
    start = min(int(place * size) // side * side, size - side)
    return slice(start, start + side)


def _block(shape: tuple[int, ...], number: int) -> tuple[int | slice, ...]:
    places = spread(HASHED_BLOCKS, len(shape))[number]
    leading = [int(place * size) for place, size in zip(places, shape[:-2], strict=False)]
    rows, columns = (aligned(places[axis], shape[axis], HASHED_SIDE) for axis in (-2, -1))
    return (*leading, rows, columns)


def _is_array(value: Any) -> bool:
    if not all(hasattr(value, name) for name in ("shape", "dtype", "__getitem__")):
        return False
    try:
        dtype_of(value)
    except TypeError:
        return False
    return True


def dtype_of(array: Any) -> np.dtype[Any]:
    """Type of an array's values; a tensorstore's dtype is not numpy's."""
    return np.dtype(getattr(array.dtype, "numpy_dtype", array.dtype))


def _mapped_file(array: Any) -> Path | None:
    while isinstance(array, np.ndarray):
        if isinstance(array, np.memmap):
            return Path(array.filename) if array.filename is not None else None
        array = array.base
    return None


def _in_words(cut: tuple[int | slice, ...]) -> str:
    leading = [str(one) for one in cut if not isinstance(one, slice)]
    spans = [
        f"{one.start or 0} to {one.stop}" if one.stop else "all" for one in cut if isinstance(one, slice)
    ]
    place = f", plane {', '.join(leading)}" if leading else ""
    return f"rows {spans[0]}, columns {spans[1]}{place}"
