"""Sources: where an image's pixels come from, read only where and as finely as they are needed."""

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
"""Largest number of pixels in one read: of more, every second, third, ... row and column is read."""

OVERVIEW_PIXELS = 1_000_000
"""Up to how many pixels a level is looked at as a whole, for its hash or for the range of its values."""

HASHED_BLOCKS, HASHED_SIDE = 16, 64


class ReadError(Exception):
    """An image's pixels could not be read; the message is a sentence that says which, and why."""


class Source(Protocol):
    """An image as rows and columns of planes: an array, a file, a list of levels, a layer.

    ``in_memory`` says that pixels are at hand, so that reading them again costs next to nothing.
    """

    @property
    def identity(self) -> SourceIdentity: ...

    @property
    def in_memory(self) -> bool: ...

    def read(self, region: Region, hw: tuple[int, int]) -> Array:
        """The region's pixels resized to ``hw``: (h, w), or (h, w, C) with colour last.

        Raises ``ReadError`` where they cannot be read.
        """
        ...


@dataclass(frozen=True, eq=False)
class ArraySource:
    """Levels of an image, finest first, each an array or anything that is sliced like one.

    numpy, memory maps, dask, zarr, h5py, xarray and tensorstore are. Nothing is read until ``identity`` or
    ``read`` is asked for. ``rgb`` says that the last axis is colour. ``name`` and ``modified_ns`` are of the
    file that holds it, if one does.

    Raises
    ------
    ValueError
        If the levels are no image, or do not get smaller.
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
        for finer, coarser in pairwise(shapes):
            if len(finer) != len(coarser) or finer == coarser or any(np.greater(coarser, finer)):
                raise ValueError(
                    f"a list is taken as the levels of one image, finest first, each smaller than the one "
                    f"before; got shapes {', '.join(map(str, shapes))}; stack planes with numpy.stack"
                )

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the pixels."""
        return _dtype(self.levels[0])

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shapes of all levels, without the colour axis."""
        return tuple(
            tuple(int(size) for size in level.shape)[: len(level.shape) - self.rgb] for level in self.levels
        )

    @property
    def in_memory(self) -> bool:
        """All levels are arrays in memory, none mapped from a file."""
        return all(map(at_hand, self.levels))

    @cached_property
    def identity(self) -> SourceIdentity:
        """Identity of the image, from a few of its pixels, read once."""
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
        """The region's pixels resized to ``hw``, from the level that is just fine enough.

        A level is fine enough that has at least as many pixels as are asked for; the finest is taken where
        none is.
        """
        rows, columns = region.plane.axes
        window, level = region.window_yxhw, 0
        for index, shape in enumerate(self.shapes):
            factors = np.divide(self.shapes[0], shape)[[rows, columns]]
            # shapes are rounded: a level of 391 for 400.64 is the quarter that was asked for
            if window[2] / factors[0] >= hw[0] * 0.99 and window[3] / factors[1] >= hw[1] * 0.99:
                level = index
        shape = self.shapes[level]
        factors = np.divide(self.shapes[0], shape)
        cut: list[int | slice] = [
            slice(None) if own is None else min(int((own + 0.5) / factor), size - 1)
            for own, factor, size in zip(region.plane.index, factors, shape, strict=True)
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
        # what rounding leaves of whole pixels is no reason to resample
        whole = tuple(float(round(edge)) if abs(edge - round(edge)) < 1e-4 else edge for edge in fitted)
        return resized(pixels, hw, (whole[0], whole[1], whole[2], whole[3]))

    def _fetch(self, level: int, cut: tuple[int | slice, ...]) -> Array:
        array = self.levels[level]
        ranges = [range(size)[one] for size, one in zip(self.shapes[level], cut, strict=True)]
        expected = tuple(len(one) for one in ranges if isinstance(one, range))
        what = f"image {self.name!r}" if self.name else "the image"
        where = f"{what} could not be read at {_in_words(cut)}" + (f" of level {level}" if level else "")
        try:
            pixels = np.asarray(array[cut])
        # a store may raise whatever it likes: a worker and a script both need a sentence
        except Exception as error:
            raise ReadError(f"{where}: {error or type(error).__name__}") from error
        if pixels.shape[:2] != expected or pixels.ndim != 2 + self.rgb:
            raise ReadError(f"{where}: expected pixels of shape {expected}, got {pixels.shape}")
        return pixels[..., :3] if self.rgb else pixels

    def _hash(self) -> str:
        """XXH3-128 of the coarsest level where it is small, or else of blocks spread over it."""
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
    """Return True if an array, or the arrays that it is made of, are in memory."""
    if isinstance(array, np.ndarray):
        return _mapped_file(array) is None
    return getattr(array, "in_memory", None) is True


def as_source(image: Any, *, ndim: int | None = None) -> Source:
    """Anything that holds an image as a source; a source stays as it is. Reads nothing.

    A list or tuple of arrays is the levels of one image, finest first; a list of numbers is an array.
    ``ndim`` is how many axes the image has without colour; by default a last axis of 3 or 4 is colour where
    two axes are left beside it.

    Raises
    ------
    ValueError
        If it is no image; the message says what would be.
    """
    if isinstance(image, Sequence) and not isinstance(image, str) and all(map(_is_array, image)) and image:
        levels = tuple(image)
    else:
        if not _is_array(image):
            # hasattr would find the identity by reading pixels
            if (
                not isinstance(image, str | os.PathLike)
                and getattr_static(image, "identity", None) is not None
            ):
                own: Source = image
                return own
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
    """The shape of an image without its colour axis; of an array it is known without a read."""
    return source.shapes[0] if isinstance(source, ArraySource) else source.identity.shape


def as_plane(source: Source, plane: Plane | int | Sequence[int | None] | None) -> Plane:
    """The plane that was named, or the only one there is.

    A number or several are the positions on the axes before rows and columns; a tuple with two None names
    any plane.

    Raises
    ------
    ValueError
        If an image with more axes comes without a plane, or with one that it does not have.
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
            raise ValueError(
                f"an image of shape {shape} has many planes: name one, e.g. plane={(*leading, None, None)}"
            )
        return Plane((None, None))
    if not isinstance(plane, Plane):
        named = (plane,) if isinstance(plane, int | np.integer) else tuple(plane)
        plane = Plane(named if None in named else (*named, None, None))
    outside = len(plane.index) != len(shape) or any(
        own is not None and not 0 <= own < size for own, size in zip(plane.index, shape, strict=True)
    )
    if outside:
        raise ValueError(f"there is no plane {plane.index} in an image of shape {shape}")
    return plane


def spread(count: int, axes: int) -> NDArray[np.float64]:
    """Places (count, axes) in 0..1 that cover a box evenly without lying in rows; always the same ones."""
    # the additive recurrence of M. Roberts: the powers of the root of x ** (axes + 1) = x + 1
    root = 2.0
    for _ in range(64):
        root = (1 + root) ** (1 / (axes + 1))
    steps = root ** -np.arange(1, axes + 1)
    places: NDArray[np.float64] = (0.5 + np.arange(1, count + 1)[:, None] * steps) % 1
    return places


def aligned(place: float, size: int, side: int) -> slice:
    """``side`` pixels of an axis at a place in 0..1, from a multiple of ``side`` on: seldom in two chunks."""
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
        _dtype(value)
    except TypeError:
        return False
    return True


def _dtype(array: Any) -> np.dtype[Any]:
    # tensorstore has dtypes of its own
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
