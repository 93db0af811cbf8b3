"""Outputs of an image in each format, written whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_samv1.batch.reading import OpenedImage
from napari_samv1.batch.settings import SUFFIXES, Format
from napari_samv1.disk.atomic import write_file
from napari_samv1.engine.automatic.found import Found
from napari_samv1.records.mask_crop import Region
from napari_samv1.storage.errors import SessionError
from napari_samv1.storage.exports.coco import CocoImage, write_coco
from napari_samv1.storage.exports.csv_text import csv_text
from napari_samv1.storage.exports.geojson import write_geojson
from napari_samv1.storage.exports.object_table import MEASURES, measures
from napari_samv1.storage.exports.ome_zarr import Grid, write_pyramid
from napari_samv1.storage.utf8 import utf8

OME_UNITS = {
    "angstrom": "Å",
    "nanometer": "nm",
    "micrometer": "µm",
    "millimeter": "mm",
    "centimeter": "cm",
    "meter": "m",
}

TILE = 512
TILED = 1 << 24
"""Number of pixels of a plane from which on a TIFF has tiles."""


@dataclass(frozen=True)
class Results:
    """Objects on each plane of an image."""

    image: OpenedImage
    name: str
    planes: tuple[Found, ...]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the label image, large enough for every plane."""
        return np.result_type(*(plane.dtype for plane in self.planes))

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the label image: the stack's, then rows and columns."""
        return (*self.image.stack_shape, *self.image.plane_hw)

    @property
    def axes(self) -> str:
        return f"{self.image.stack_axes}YX"

    @property
    def count(self) -> int:
        return sum(len(plane.objects) for plane in self.planes)


def write_outputs(folder: Path, stem: str, formats: Sequence[Format], results: Results) -> list[Path]:
    """Write an image's results in each format; returns the paths.

    Raises
    ------
    SessionError
        If a format needs a package that is not installed, or a file cannot be written.
    """
    try:
        (folder / stem).parent.mkdir(parents=True, exist_ok=True)
        return [path for one in formats for path in _WRITERS[one](folder, stem + SUFFIXES[one], results)]
    except OSError as error:
        raise SessionError(f"{folder / stem} could not be written: {error}") from error


def _write_tif(folder: Path, name: str, results: Results) -> list[Path]:
    path = folder / name
    write_file(path, partial(_tif, results=results))
    return [path]


def _tif(file: BinaryIO, results: Results) -> None:
    height, width = results.image.plane_hw
    tiled = height * width >= TILED
    calibrated = results.image.calibrated
    metadata: dict[str, Any] = {"axes": results.axes}
    for axis, (size, unit) in calibrated.sizes.items():
        if axis in results.axes and unit != "pixel":
            metadata[f"PhysicalSize{axis}"] = size
            metadata[f"PhysicalSize{axis}Unit"] = OME_UNITS.get(unit, unit)
    tifffile.imwrite(
        file,
        _tiles(results) if tiled else _pages(results),
        shape=results.shape,
        dtype=results.dtype,
        # deflate is in Python itself; other compressions need a package that readers may lack
        compression="zlib",
        photometric="minisblack",
        tile=(TILE, TILE) if tiled else None,
        ome=True,
        metadata=metadata,
        bigtiff=tiled,
        software=False,
    )


def _pages(results: Results) -> Iterator[NDArray[Any]]:
    return (plane.labels().astype(results.dtype) for plane in results.planes)


def _tiles(results: Results) -> Iterator[NDArray[Any]]:
    for plane in results.planes:
        for window in _windows(plane.image_hw, TILE):
            tile = np.zeros((TILE, TILE), results.dtype)
            tile[: window[2], : window[3]] = plane.labels(window)
            yield tile


def _windows(image_hw: tuple[int, int], side: int) -> Iterator[tuple[int, int, int, int]]:
    height, width = image_hw
    for top, left in product(range(0, height, side), range(0, width, side)):
        yield top, left, min(side, height - top), min(side, width - left)


def _write_zarr(folder: Path, name: str, results: Results) -> list[Path]:
    calibrated = results.image.calibrated
    grid = Grid(
        results.shape,
        results.dtype,
        calibrated.size_yx,
        units_yx=(calibrated.unit, calibrated.unit),
        axes=results.axes.lower(),
        depth=calibrated.size_z or (1.0, ""),
    )
    planes = dict(zip(np.ndindex(results.image.stack_shape), results.planes, strict=True))

    def read(place: tuple[int, ...], region: Region) -> NDArray[Any]:
        rows, columns = region
        window = rows.start, columns.start, rows.stop - rows.start, columns.stop - columns.start
        return planes[place].labels(window)

    return [write_pyramid(folder / name, grid, read, Path(name).name, replacing=True)]


def _write_coco(folder: Path, name: str, results: Results) -> list[Path]:
    images = []
    for place, plane in zip(np.ndindex(results.image.stack_shape), results.planes, strict=True):
        objects = [
            (number, one.crop, one.iou)
            for number, one in zip(plane.ids, plane.objects, strict=True)
            if one.area
        ]
        images.append(CocoImage(results.name + _suffix(place), plane.image_hw, objects))
    return [write_coco(folder / name, images)]


def _write_geojson(folder: Path, name: str, results: Results) -> list[Path]:
    paths = []
    for place, plane in zip(np.ndindex(results.image.stack_shape), results.planes, strict=True):
        objects = [
            (
                number,
                one.crop,
                {"Area px": float(one.area)}
                | {
                    score: value
                    for score, value in (("Predicted IoU", one.iou), ("Stability", one.stability))
                    if np.isfinite(value)
                },
            )
            for number, one in zip(plane.ids, plane.objects, strict=True)
            if one.area
        ]
        suffix = SUFFIXES["geojson"]
        paths.append(write_geojson(folder / (name.removesuffix(suffix) + _suffix(place) + suffix), objects))
    return paths


def _suffix(place: tuple[int, ...]) -> str:
    """Suffix for the place of a plane in a stack, for a file's name."""
    return "".join(f".{number:04d}" for number in place)


def _write_csv(folder: Path, name: str, results: Results) -> list[Path]:
    head = ("plane", "object", *MEASURES, "predicted_iou", "stability", "point_row", "point_column")
    rows: list[Sequence[object]] = [head]
    for place, plane in zip(np.ndindex(results.image.stack_shape), results.planes, strict=True):
        index = " ".join(map(str, place)) or "-"
        for number, one in zip(plane.ids, plane.objects, strict=True):
            if one.area:
                scores = (f"{value:.7g}" for value in (one.iou, one.stability, *one.point_yx))
                rows.append((index, number, *measures(one.crop, results.image.calibrated.world), *scores))
    write_file(folder / name, utf8(csv_text(rows)))
    return [folder / name]


_WRITERS = {
    "tif": _write_tif,
    "ome-zarr": _write_zarr,
    "coco": _write_coco,
    "geojson": _write_geojson,
    "csv": _write_csv,
}


def path_of(folder: Path, stem: str, form: Format) -> Path:
    """Path of an image's output in a format; GeoJSON of a stack has one for each plane beside it."""
    return folder / (stem + SUFFIXES[form])
