"""Export of the label image as OME-Zarr (OME-NGFF 0.5, Zarr 3)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_samv1.disk.atomic import part_of, replace
from napari_samv1.records.mask_crop import Region
from napari_samv1.storage.errors import SessionError
from napari_samv1.storage.session.composite import PlaneLabels
from napari_samv1.storage.session.record import PlaneRecord, World

NGFF = "0.5"
CHUNK = 1024
NO_ZARR = "OME-Zarr needs the package zarr: run `pip install 'napari-samv1[zarr]'`"

# the standard takes UDUNITS-2 names; other units of a layer are left out
UNITS = {
    "angstrom": "angstrom",
    "nanometer": "nanometer",
    "nm": "nanometer",
    "micrometer": "micrometer",
    "micron": "micrometer",
    "um": "micrometer",
    "µm": "micrometer",
    "millimeter": "millimeter",
    "mm": "millimeter",
    "centimeter": "centimeter",
    "meter": "meter",
}

AXIS_TYPES = {"t": "time", "c": "channel", "z": "space", "y": "space", "x": "space"}

ReadLabels = Callable[[tuple[int, ...], Region], "NDArray[Any] | None"]
"""Labels of a region of the plane at a place in a stack; None where there are none."""


@dataclass(frozen=True)
class Grid:
    """Layout of the output: size, type, axes (slowest first) and place of the label image.

    ``units_yx`` are UDUNITS-2 names or the units of a layer. ``depth`` is the distance of slices along z,
    with its unit.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    scale_yx: tuple[float, float] = (1.0, 1.0)
    origin_yx: tuple[float, float] = (0.0, 0.0)
    units_yx: tuple[str, str] = ("", "")
    axes: str = "yx"
    depth: tuple[float, str] = (1.0, "")


def export_ome_zarr(path: str | os.PathLike[str], plane: PlaneRecord) -> Path:
    """Write a plane's label image as a new OME-Zarr folder with a pyramid, a chunk at a time.

    Raises
    ------
    SessionError
        If zarr is not installed, or the folder exists already.
    """
    labels = PlaneLabels(plane)

    def read(_place: tuple[int, ...], region: Region) -> NDArray[Any] | None:
        return None if labels.is_empty(region) else labels.read(region)

    return write_pyramid(
        path, _grid(plane.shape_yx, labels.dtype, plane.source.world), read, plane.source.name
    )


def write_ome_zarr(
    path: str | os.PathLike[str], labels: NDArray[Any], world: World, name: str = "labels"
) -> Path:
    """Write a label image (H, W); the folder takes its name once it is complete."""
    shape = int(labels.shape[0]), int(labels.shape[1])
    grid = _grid(shape, np.dtype(labels.dtype), world)
    return write_pyramid(path, grid, lambda _place, region: np.asarray(labels[region]), name)


def _grid(shape_yx: tuple[int, int], dtype: np.dtype[Any], world: World) -> Grid:
    origin_y, origin_x = np.asarray(world.matrix)[:, 2].tolist()
    return Grid(shape_yx, dtype, world.pixel_size_yx, (origin_y, origin_x), world.units)


def write_pyramid(
    path: str | os.PathLike[str], grid: Grid, read: ReadLabels, name: str, *, replacing: bool = False
) -> Path:
    """Write a label image of any size, a chunk at a time, with levels that get coarser by 2 down to a chunk.

    A coarser pixel shows the first label of its four pixels, so that small objects stay visible. The folder
    takes its name once it is complete, with ``replacing`` in place of an existing one.

    Raises
    ------
    SessionError
        If zarr is not installed, the folder exists already, or it cannot be written.
    """
    try:
        import zarr
    except ImportError as error:
        raise SessionError(NO_ZARR) from error
    target = Path(path).absolute()
    if target.exists() and not replacing:
        raise SessionError(f"{target} exists already: choose another name")
    part, aside = (part_of(target.parent, os.urandom(8).hex()) for _ in range(2))
    shapes = level_shapes(grid.shape)
    try:
        attributes: dict[str, Any] = {"ome": _metadata(grid, len(shapes), name)}
        group = zarr.open_group(part, mode="w-", zarr_format=3, attributes=attributes)
        written: list[Place] = []
        array: Any = None
        for level, shape in enumerate(shapes):
            finer = array
            array = group.create_array(
                str(level),
                shape=shape,
                dtype=grid.dtype,
                chunks=(*(1,) * (len(shape) - 2), *(min(CHUNK, size) for size in shape[-2:])),
                dimension_names=list(grid.axes),
            )
            written = _write_finest(array, read) if level == 0 else _write_coarser(array, finer, written)
        if target.exists():
            # renamed, because deleting would stop halfway where Windows holds a file open
            replace(target, aside)
        replace(part, target)
    except OSError as error:
        raise SessionError(f"{target} could not be written: {error}") from error
    finally:
        for leftover in (part, aside):
            shutil.rmtree(leftover, ignore_errors=True)
    return target


def level_shapes(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Shapes of all levels, finest first."""
    shapes = [shape]
    while max(shapes[-1][-2:]) > CHUNK:
        shapes.append((*shape[:-2], *(-(-size // 2) for size in shapes[-1][-2:])))
    return shapes


Place = tuple[tuple[int, ...], int, int]


def _write_finest(array: Any, read: ReadLabels) -> list[Place]:
    """Write the labels of ``read``; returns the chunks with labels."""
    written = []
    height, width = array.shape[-2:]
    for place in np.ndindex(array.shape[:-2]):
        for i, j in product(range(-(-height // CHUNK)), range(-(-width // CHUNK))):
            region = _chunk(i, j, height, width)
            labels = read(place, region)
            if labels is not None and labels.any():
                array[(*place, *region)] = labels.astype(array.dtype, copy=False)
                written.append((place, i, j))
    return written


def _write_coarser(array: Any, finer: Any, written: Sequence[Place]) -> list[Place]:
    """Write a level from the finer one; returns the chunks with labels."""
    chunks = list(dict.fromkeys((place, i // 2, j // 2) for place, i, j in written))
    height, width = array.shape[-2:]
    for place, i, j in chunks:
        rows, columns = _chunk(i, j, height, width)
        fine = finer[
            (*place, slice(2 * rows.start, 2 * rows.stop), slice(2 * columns.start, 2 * columns.stop))
        ]
        array[(*place, rows, columns)] = halved(np.asarray(fine))
    return chunks


def halved(labels: NDArray[Any]) -> NDArray[Any]:
    """Half as many rows and columns, with the first label of each 2 x 2 pixels."""
    padded = np.pad(labels, [(0, size % 2) for size in labels.shape])
    found = padded[::2, ::2].copy()
    for part in (padded[::2, 1::2], padded[1::2, ::2], padded[1::2, 1::2]):
        np.copyto(found, part, where=found == 0)
    return found


def _chunk(i: int, j: int, height: int, width: int) -> Region:
    return (
        slice(i * CHUNK, min((i + 1) * CHUNK, height)),
        slice(j * CHUNK, min((j + 1) * CHUNK, width)),
    )


def _metadata(grid: Grid, levels: int, name: str) -> dict[str, Any]:
    units = dict(zip("zyx", (grid.depth[1], *grid.units_yx), strict=True))
    axes: list[dict[str, Any]] = []
    for axis in grid.axes:
        unit = UNITS.get(units.get(axis, ""))
        kind = {"type": AXIS_TYPES[axis]} if axis in AXIS_TYPES else {}
        axes.append({"name": axis} | kind | ({"unit": unit} if unit else {}))
    stack = [grid.depth[0] if axis == "z" else 1.0 for axis in grid.axes[:-2]]
    datasets = []
    for level in range(levels):
        factor = 2**level
        scale = [factor * size for size in grid.scale_yx]
        # a coarser pixel's centre lies between those that it spans
        origin = [
            start + (factor - 1) / 2 * size for start, size in zip(grid.origin_yx, grid.scale_yx, strict=True)
        ]
        transformations: list[dict[str, Any]] = [{"type": "scale", "scale": stack + scale}]
        if any(origin):
            transformations.append({"type": "translation", "translation": [0.0] * len(stack) + origin})
        datasets.append({"path": str(level), "coordinateTransformations": transformations})
    return {
        "version": NGFF,
        "multiscales": [{"name": name, "axes": axes, "datasets": datasets}],
        "image-label": {},
    }
