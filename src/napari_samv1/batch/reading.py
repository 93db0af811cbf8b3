"""Image files as planes to segment, with their axes and pixel sizes; label images as arrays."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_samv1.images.files import TIFF_SUFFIXES, open_source
from napari_samv1.images.source import ArraySource, ReadError
from napari_samv1.records.place import Plane
from napari_samv1.storage.session.record import World

STACKED = "TCZ"
"""Letters for axes that a file does not name; fewer axes get the last letters."""

MICROMETRE = ("micron", "um", "µm", "\\u00B5m", "micrometer", "\u03bcm")


@dataclass(frozen=True)
class Calibrated:
    """An image's axes, a letter for each, and its pixel size, as its file describes them.

    ``size_yx`` is in ``unit``: 1 x 1 "pixel" if the file gives no size.
    """

    axes: str
    size_yx: tuple[float, float] = (1.0, 1.0)
    unit: str = "pixel"

    @property
    def world(self) -> World:
        """Return the placement of a plane's pixels in the world."""
        height, width = self.size_yx
        return World(((height, 0, 0), (0, width, 0)), (self.unit, self.unit))


@dataclass(frozen=True)
class OpenedImage:
    """An image file, and the planes chosen from it.

    ``planes`` vary along ``stack_axes``, of lengths ``stack_shape``, the last axis fastest.
    """

    source: ArraySource = field(repr=False)
    planes: tuple[Plane, ...]
    stack_axes: str
    stack_shape: tuple[int, ...]
    calibrated: Calibrated

    @property
    def plane_hw(self) -> tuple[int, int]:
        """Height and width of a plane."""
        return self.planes[0].shape_in(self.source.shapes[0])


def open_planes(path: Path, channel: int | None = None, plane: Sequence[int] | None = None) -> OpenedImage:
    """Open an image file and choose planes: by default all, of every channel; colour stays colour.

    ``channel`` is an index on the channel axis, or of one of the colours. ``plane`` holds the indices on the
    other axes before rows and columns.

    Raises
    ------
    ReadError
        If the file cannot be read, or has no such channel or plane.
    """
    source = _opened(path)
    calibrated = calibration(path, source)
    shape, axes = source.shapes[0], calibrated.axes
    fixed: dict[int, int] = {}
    if channel is not None:
        if "C" in axes[:-2]:
            fixed[axes.index("C")] = channel
            count = shape[axes.index("C")]
        elif source.rgb:
            count = source.levels[0].shape[-1]
        else:
            raise ReadError(f"{path} has no channel axis: its axes are {axes}")
        if not 0 <= channel < count:
            raise ReadError(f"{path} has no channel {channel}: there are {count}, counted from 0")
        if source.rgb:
            levels = tuple(np.asarray(level)[..., channel] for level in source.levels)
            source = ArraySource(levels, False, source.name, source.modified_ns)
    left = [axis for axis in range(len(shape) - 2) if axis not in fixed]
    if plane is not None:
        if len(plane) != len(left):
            got, there = ",".join(map(str, plane)) or "none", _named(axes, shape, left) or "none"
            raise ReadError(
                f"{path} has {len(left)} axes before rows and columns ({there}): give as many numbers to "
                f"choose a plane, got {got}"
            )
        for axis, place in zip(left, plane, strict=True):
            if not 0 <= place < shape[axis]:
                raise ReadError(
                    f"{path} has no plane {place} on axis {axes[axis]}: there are {shape[axis]}, from 0 on"
                )
            fixed[axis] = place
        left = []
    planes = []
    for places in product(*(range(shape[axis]) for axis in left)):
        index = {**fixed, **dict(zip(left, places, strict=True))}
        planes.append(Plane((*(index[axis] for axis in range(len(shape) - 2)), None, None)))
    varying = [axis for axis in left if shape[axis] > 1]
    return OpenedImage(
        source,
        tuple(planes),
        "".join(axes[axis] for axis in varying),
        tuple(shape[axis] for axis in varying),
        calibrated,
    )


def _named(axes: str, shape: Sequence[int], chosen: Sequence[int]) -> str:
    return ", ".join(f"{axes[axis]}: {shape[axis]}" for axis in chosen)


def _opened(path: Path) -> ArraySource:
    """Open by this package's readers, or else by those of bioio or napari's plugins if installed."""
    try:
        return open_source(path)
    except ReadError:
        if not path.is_file():
            raise
        levels = _by_bioio(path) or _by_plugins(path)
        if levels is None:
            raise
        array = levels[0]
        rgb = array.ndim > 2 and array.shape[-1] in (3, 4)
        return ArraySource(tuple(levels), rgb, path.name, path.stat().st_mtime_ns)


def _by_bioio(path: Path) -> list[Any] | None:
    try:
        from bioio import BioImage
    except ImportError:
        return None
    # catches all, because bioio's readers raise any error at files of other formats
    try:
        return [BioImage(path).dask_data.squeeze()]
    except Exception:
        return None


def _by_plugins(path: Path) -> list[Any] | None:
    try:
        from npe2 import io_utils
    except ImportError:
        return None
    try:
        layers = io_utils.read([str(path)], stack=False)
    except Exception:
        layers = None
    if layers is None:
        # a failed reader may hold the file open, so that Windows could neither move nor delete it
        gc.collect()
        return None
    for data, *rest in layers:
        if len(rest) < 2 or rest[1] == "image":
            return list(data) if isinstance(data, list | tuple) else [data]
    return None


def calibration(path: Path, source: ArraySource) -> Calibrated:
    """Axes and pixel sizes from a file; axes that it does not name get letters of ``STACKED``."""
    ndim = len(source.shapes[0])
    named = Calibrated("")
    if path.suffix.lower() in TIFF_SUFFIXES and path.is_file():
        named = _of_tiff(path)
    elif path.is_dir():
        named = _of_zarr(path)
    axes = named.axes.upper()
    if len(axes) != ndim or set(axes) - set("TCZYX") or len(set(axes)) != ndim:
        if ndim - 2 > len(STACKED):
            raise ReadError(f"{path} has {ndim} axes; up to {len(STACKED) + 2} can be told apart")
        axes = STACKED[len(STACKED) + 2 - ndim :] + "YX"
    return Calibrated(axes, named.size_yx, named.unit)


def _of_tiff(path: Path) -> Calibrated:
    # catches all, because metadata is optional, and damaged metadata raises any error
    try:
        with tifffile.TiffFile(path) as tiff:
            series = max(tiff.series, key=lambda one: one.size)
            axes = series.axes.upper().replace("S", "")
            if tiff.is_ome and tiff.ome_metadata:
                image = tifffile.xml2dict(tiff.ome_metadata)["OME"]["Image"]
                pixels = (image[0] if isinstance(image, list) else image)["Pixels"]
                if "PhysicalSizeY" in pixels and "PhysicalSizeX" in pixels:
                    size = float(pixels["PhysicalSizeY"]), float(pixels["PhysicalSizeX"])
                    return Calibrated(axes, size, _unit(pixels.get("PhysicalSizeYUnit", "µm")))
            if tiff.is_imagej:
                unit = _unit(str((tiff.imagej_metadata or {}).get("unit", "")))
                tags = tiff.pages.first.tags
                resolution = [tags[name].value for name in ("YResolution", "XResolution") if name in tags]
                if unit and len(resolution) == 2 and all(value[0] for value in resolution):
                    (y_count, y_per), (x_count, x_per) = resolution
                    return Calibrated(axes, (y_per / y_count, x_per / x_count), unit)
            return Calibrated(axes)
    except Exception:
        return Calibrated("")


def _unit(name: str) -> str:
    return "micrometer" if name in MICROMETRE else name


def _of_zarr(path: Path) -> Calibrated:
    import zarr

    node = zarr.open(path, mode="r")
    attributes: dict[str, Any] = dict(node.attrs)
    scales = attributes.get("ome", attributes).get("multiscales")
    if not scales:
        return Calibrated("")
    entries = [one if isinstance(one, dict) else {"name": str(one)} for one in scales[0].get("axes", ())]
    axes = "".join(str(one["name"])[:1] for one in entries)
    size, unit = (1.0, 1.0), "pixel"
    for transformation in scales[0]["datasets"][0].get("coordinateTransformations", ()):
        if transformation.get("type") == "scale" and "y" in axes and "x" in axes:
            scale = transformation["scale"]
            size = float(scale[axes.index("y")]), float(scale[axes.index("x")])
            unit = entries[axes.index("y")].get("unit", "pixel")
    colour_is_last = axes.endswith("c")
    return Calibrated(axes[:-1] if colour_is_last else axes, size, unit)


def read_labels(path: Path) -> NDArray[Any]:
    """Read a label image, or a stack of them, whole.

    Raises
    ------
    ReadError
        If the file cannot be read or holds no whole numbers.
    """
    try:
        if path.suffix.lower() == ".npy":
            labels = np.load(path, allow_pickle=False)
        elif path.suffix.lower() in TIFF_SUFFIXES and path.is_file():
            labels = tifffile.imread(path)
        else:
            labels = np.asarray(open_source(path).levels[0])
    except ReadError:
        raise
    # catches all, because damaged files raise any error
    except Exception as error:
        raise ReadError(f"{path} could not be read as labels: {error or type(error).__name__}") from error
    if labels.dtype.kind not in "uib" or labels.ndim < 2:
        raise ReadError(f"{path} is no label image: it holds {labels.dtype} of shape {labels.shape}")
    return np.asarray(labels)
