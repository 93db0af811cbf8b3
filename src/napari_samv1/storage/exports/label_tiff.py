"""Label images as TIFF: one file for each image, with all of its planes."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_samv1.disk.atomic import write_file
from napari_samv1.storage.session.composite import PlaneLabels
from napari_samv1.storage.session.record import PlaneRecord

LARGEST_CLASSIC_TIFF = 2**32 - 2**25
TILED_FROM = 4096 * 4096  # pixels of a plane
TILE = 512
MOST_PIXELS = 1 << 34  # at least 32 GB in a reader


def export_label_tiff(path: str | os.PathLike[str], planes: Sequence[PlaneRecord]) -> Path:
    """Write the labels of one image's planes; those of a stack in the image's shape, with 0 elsewhere.

    The type is uint16 if that is enough, compressed with deflate. Planes above 4096 x 4096 pixels are written
    in tiles, one at a time.

    Raises
    ------
    ValueError
        If the planes lie across different axes, or at different levels, or are too large for a TIFF.
    OSError
        If the file cannot be written.
    """
    labels = {plane.source.index: PlaneLabels(plane) for plane in planes}
    axes = {tuple(place is None for place in index) for index in labels}
    shapes = {one.shape_yx for one in labels.values()}
    if len(axes) > 1 or len(shapes) > 1:
        raise ValueError(
            "The annotated planes of this image lie across different axes or at different levels, which one "
            "TIFF cannot hold: export OME-Zarr or COCO."
        )
    dtype = np.result_type(*(one.dtype for one in labels.values()))
    shape = stack_shape(planes[0])
    count = int(np.prod(shape, dtype=np.float64))
    if count > MOST_PIXELS:
        raise ValueError(
            f"A label image of {' x '.join(map(str, shape))} pixels is too large for a TIFF, which is "
            f"read as a whole: export OME-Zarr, which is read piece by piece."
        )
    tiled = shape[-2] * shape[-1] > TILED_FROM

    def write(file: BinaryIO) -> None:
        # deflate is in Python itself; other compressions need a package that readers may lack
        tifffile.imwrite(
            file,
            _tiles(labels, shape, dtype) if tiled else _pages(labels, shape, dtype),
            shape=shape,
            dtype=dtype,
            tile=(TILE, TILE) if tiled else None,
            bigtiff=count * dtype.itemsize > LARGEST_CLASSIC_TIFF,
            compression="zlib",
            photometric="minisblack",
            software=False,
        )

    target = Path(path)
    write_file(target, write)
    return target


def stack_shape(plane: PlaneRecord) -> tuple[int, ...]:
    """The image's shape with the plane's rows and columns as its last axes."""
    sizes = zip(plane.source.image_shape, plane.source.index, strict=True)
    return (*(size for size, place in sizes if place is not None), *plane.shape_yx)


Planes = dict[tuple[int | None, ...], PlaneLabels]


def _pages(planes: Planes, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Iterator[NDArray[Any]]:
    whole = slice(0, shape[-2]), slice(0, shape[-1])
    for labels in _in_order(planes, shape):
        yield np.zeros(shape[-2:], dtype) if labels is None else labels.read(whole).astype(dtype)


def _tiles(planes: Planes, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Iterator[bytes]:
    """Compressed tiles; the empty tile, which fills most of a slide, is compressed once."""
    height, width = shape[-2:]
    nothing = zlib.compress(bytes(TILE * TILE * dtype.itemsize))
    for labels in _in_order(planes, shape):
        for top, left in product(range(0, height, TILE), range(0, width, TILE)):
            region = slice(top, min(top + TILE, height)), slice(left, min(left + TILE, width))
            if labels is None or labels.is_empty(region):
                yield nothing
                continue
            tile = np.zeros((TILE, TILE), dtype)
            found = labels.read(region)
            tile[: found.shape[0], : found.shape[1]] = found
            yield zlib.compress(tile.tobytes())


def _in_order(planes: Planes, shape: tuple[int, ...]) -> Iterator[PlaneLabels | None]:
    at = {tuple(place for place in index if place is not None): one for index, one in planes.items()}
    return (at.get(place) for place in np.ndindex(shape[:-2]))
