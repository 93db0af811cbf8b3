"""The label images as TIFF: one file for each image, with all of its planes."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_samv1.disk.atomic import write_file
from napari_samv1.storage.session.composite import label_image
from napari_samv1.storage.session.record import PlaneRecord

LARGEST_CLASSIC_TIFF = 2**32 - 2**25


def export_label_tiff(path: str | os.PathLike[str], planes: Sequence[PlaneRecord]) -> Path:
    """Write the labels of an image's planes; those of a stack in the image's own shape, 0 elsewhere.

    A stack of which every annotated plane has the same rows and columns is written whole. uint16 where that
    is enough, compressed with deflate. ``planes`` are of one image.

    Raises
    ------
    ValueError
        If the planes lie across different axes, or at different levels.
    OSError
        If the file cannot be written.
    """
    labels = {plane.source.index: label_image(plane) for plane in planes}
    axes = {tuple(place is None for place in index) for index in labels}
    shapes = {one.shape for one in labels.values()}
    if len(axes) > 1 or len(shapes) > 1:
        raise ValueError(
            "The annotated planes of this image lie across different axes or at different levels, which one "
            "TIFF cannot hold: export OME-Zarr or COCO."
        )
    dtype = np.result_type(*(one.dtype for one in labels.values()))
    shape = stack_shape(planes[0])
    buffer = io.BytesIO()
    # deflate is in Python itself; other compressions need a package that readers may lack
    tifffile.imwrite(
        buffer,
        _pages(labels, shape, dtype),
        shape=shape,
        dtype=dtype,
        bigtiff=int(np.prod(shape, dtype=np.int64)) * dtype.itemsize > LARGEST_CLASSIC_TIFF,
        compression="zlib",
        photometric="minisblack",
        software=False,
    )
    target = Path(path)
    write_file(target, buffer.getvalue())
    return target


def stack_shape(plane: PlaneRecord) -> tuple[int, ...]:
    """The image's shape with the plane's rows and columns as its last axes."""
    sizes = zip(plane.source.image_shape, plane.source.index, strict=True)
    return (*(size for size, place in sizes if place is not None), *plane.shape_yx)


def _pages(
    labels: dict[tuple[int | None, ...], NDArray[Any]], shape: tuple[int, ...], dtype: np.dtype[Any]
) -> Iterator[NDArray[Any]]:
    at = {tuple(place for place in index if place is not None): one for index, one in labels.items()}
    empty = np.zeros(shape[-2:], dtype)
    for place in np.ndindex(shape[:-2]):
        yield at[place].astype(dtype) if place in at else empty
