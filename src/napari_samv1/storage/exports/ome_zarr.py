"""Export of the label image as OME-Zarr (OME-NGFF 0.5, Zarr 3)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_samv1.disk.atomic import PREFIX, SUFFIX, replace
from napari_samv1.records.mask_crop import Region
from napari_samv1.storage.errors import SessionError
from napari_samv1.storage.session.composite import Composite
from napari_samv1.storage.session.record import PlaneRecord, World

NGFF = "0.5"
CHUNK = 1024
NO_ZARR = "OME-Zarr needs the package zarr: run `pip install 'napari-samv1[zarr]'`"

# the standard takes UDUNITS-2 names; whatever else a layer says is left out
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


def export_ome_zarr(path: str | os.PathLike[str], plane: PlaneRecord) -> Path:
    """Write a plane's label image as a new OME-Zarr folder, with a pyramid where it is large.

    It is made chunk by chunk, so that no array of the plane's size is needed.

    Raises
    ------
    SessionError
        If zarr is not installed, or the folder exists already.
    """
    composite = Composite(plane)

    def read(region: Region) -> NDArray[Any] | None:
        return None if composite.is_empty(region) else composite.labels(region)

    source = plane.source
    return _write(path, plane.shape_yx, composite.dtype, read, source.world, source.name)


def write_ome_zarr(
    path: str | os.PathLike[str], labels: NDArray[Any], world: World, name: str = "labels"
) -> Path:
    """Write a label image (H, W), anything that is sliced like an array; errors as ``export_ome_zarr``."""

    def read(region: Region) -> NDArray[Any] | None:
        return np.asarray(labels[region])

    height, width = labels.shape
    return _write(path, (height, width), labels.dtype, read, world, name)


def _write(
    path: str | os.PathLike[str],
    shape: tuple[int, int],
    dtype: np.dtype[Any],
    read: Callable[[Region], NDArray[Any] | None],
    world: World,
    name: str,
) -> Path:
    """The folder takes its name once it is complete. ``read`` gives None where all is background."""
    try:
        import zarr
    except ImportError as error:
        raise SessionError(NO_ZARR) from error
    target = Path(path).absolute()
    if target.exists():
        raise SessionError(f"{target} exists already: choose another name")
    shapes = [shape]
    while max(shapes[-1]) > CHUNK:
        shapes.append((-(-shapes[-1][0] // 2), -(-shapes[-1][1] // 2)))
    part = target.parent / f"{PREFIX}{os.urandom(8).hex()}{SUFFIX}"
    try:
        attributes: dict[str, Any] = {"ome": _metadata(world, name, len(shapes))}
        group = zarr.open_group(part, mode="w-", zarr_format=3, attributes=attributes)
        finer: Any = None
        for level, own in enumerate(shapes):
            chunks = min(CHUNK, own[0]), min(CHUNK, own[1])
            array = group.create_array(
                str(level), shape=own, dtype=dtype, chunks=chunks, dimension_names=["y", "x"], fill_value=0
            )
            for region in _chunks(own, chunks):
                labels = read(region) if finer is None else _every_second(finer, region)
                if labels is not None and labels.any():
                    array[region] = labels
            finer = array
        replace(part, target)
    except OSError as error:
        raise SessionError(f"{target} could not be written: {error}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return target


def _chunks(shape: tuple[int, int], chunks: tuple[int, int]) -> Iterator[Region]:
    for top in range(0, shape[0], chunks[0]):
        for left in range(0, shape[1], chunks[1]):
            yield slice(top, min(top + chunks[0], shape[0])), slice(left, min(left + chunks[1], shape[1]))


def _every_second(finer: Any, region: Region) -> NDArray[Any]:
    """Labels are no numbers to average: of four pixels, the first stands for all."""
    rows, columns = (
        slice(2 * side.start, min(2 * side.stop, size))
        for side, size in zip(region, finer.shape, strict=True)
    )
    return np.asarray(finer[rows, columns])[::2, ::2]


def _metadata(world: World, name: str, levels: int) -> dict[str, Any]:
    axes = []
    for axis, unit in zip("yx", world.units, strict=True):
        known = {"unit": UNITS[unit]} if unit in UNITS else {}
        axes.append({"name": axis, "type": "space", **known})
    matrix, datasets = np.asarray(world.matrix), []
    for level in range(levels):
        size = [side * 2**level for side in world.pixel_size_yx]
        transformations: list[dict[str, Any]] = [{"type": "scale", "scale": size}]
        # the first pixel stands for its neighbours, and so lies where it did
        if matrix[:, 2].any():
            transformations.append({"type": "translation", "translation": matrix[:, 2].tolist()})
        datasets.append({"path": str(level), "coordinateTransformations": transformations})
    return {
        "version": NGFF,
        "multiscales": [{"name": name, "axes": axes, "datasets": datasets}],
        "image-label": {},
    }
