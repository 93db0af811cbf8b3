"""Export of the label image as OME-Zarr (OME-NGFF 0.5, Zarr 3)."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_samv1.disk.atomic import PREFIX, SUFFIX, replace
from napari_samv1.storage.errors import SessionError
from napari_samv1.storage.session.composite import label_image
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
    """Write a plane's label image as a new OME-Zarr folder, one resolution.

    Raises
    ------
    SessionError
        If zarr is not installed, or the folder exists already.
    """
    return write_ome_zarr(path, label_image(plane), plane.source.world, plane.source.name)


def write_ome_zarr(
    path: str | os.PathLike[str], labels: NDArray[Any], world: World, name: str = "labels"
) -> Path:
    """Write a label image (H, W); the folder takes its name once it is complete."""
    try:
        import zarr
    except ImportError as error:
        raise SessionError(NO_ZARR) from error
    target = Path(path).absolute()
    if target.exists():
        raise SessionError(f"{target} exists already: choose another name")
    part = target.parent / f"{PREFIX}{os.urandom(8).hex()}{SUFFIX}"
    try:
        attributes: dict[str, Any] = {"ome": _metadata(world, name)}
        group = zarr.open_group(part, mode="w-", zarr_format=3, attributes=attributes)
        chunks = tuple(min(CHUNK, size) for size in labels.shape)
        array = group.create_array(
            "0", shape=labels.shape, dtype=labels.dtype, chunks=chunks, dimension_names=["y", "x"]
        )
        array[...] = np.ascontiguousarray(labels)
        replace(part, target)
    except OSError as error:
        raise SessionError(f"{target} could not be written: {error}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return target


def _metadata(world: World, name: str) -> dict[str, Any]:
    axes = []
    for axis, unit in zip("yx", world.units, strict=True):
        known = {"unit": UNITS[unit]} if unit in UNITS else {}
        axes.append({"name": axis, "type": "space", **known})
    matrix = np.asarray(world.matrix)
    transformations: list[dict[str, Any]] = [{"type": "scale", "scale": list(world.pixel_size_yx)}]
    if matrix[:, 2].any():
        transformations.append({"type": "translation", "translation": matrix[:, 2].tolist()})
    return {
        "version": NGFF,
        "multiscales": [
            {
                "name": name,
                "axes": axes,
                "datasets": [{"path": "0", "coordinateTransformations": transformations}],
            }
        ],
        "image-label": {},
    }
