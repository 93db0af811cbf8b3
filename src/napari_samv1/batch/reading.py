"""Image files as planes to segment, with their axes and pixel sizes; label images as arrays."""

from __future__ import annotations

import gc
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import tifffile
from numpy.typing import NDArray

from napari_samv1.images.files import TIFF_SUFFIXES, open_source
from napari_samv1.images.source import ArraySource, ReadError
from napari_samv1.records.place import Plane
from napari_samv1.storage.exports.ome_zarr import UNITS
from napari_samv1.storage.session.record import World

STACKED = "TCZ"
"""Letters for axes that a file does not name; fewer axes get the last letters."""

METRES = {
    "picometer": -12,
    "angstrom": -10,
    "nanometer": -9,
    "micrometer": -6,
    "millimeter": -3,
    "centimeter": -2,
    "decimeter": -1,
    "meter": 0,
    "kilometer": 3,
}
"""Powers of ten of a metre."""

Size = tuple[float, str]
"""Size of a pixel on one axis, and its unit."""

MICROMETRE = ("micron", "um", "µm", "\\u00B5m", "micrometer", "\u03bcm")


@dataclass(frozen=True)
class Calibrated:
    """An image's axes, a letter for each, and its pixel size, as its file describes them.

    ``size_yx`` is in ``unit``: 1 x 1 "pixel" if the file gives no size. ``size_z`` is the distance of two
    slices and its unit, None if unknown.
    """

    axes: str
    size_yx: tuple[float, float] = (1.0, 1.0)
    unit: str = "pixel"
    size_z: tuple[float, str] | None = None

    @property
    def sizes(self) -> dict[str, tuple[float, str]]:
        """Known sizes and their units, by axis."""
        height, width = self.size_yx
        depth = {} if self.size_z is None else {"Z": self.size_z}
        return {**depth, "Y": (height, self.unit), "X": (width, self.unit)}

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
    return replace(named, axes=axes)


def _of_tiff(path: Path) -> Calibrated:
    # catches all, because metadata is optional, and damaged metadata raises any error
    try:
        with tifffile.TiffFile(path) as tiff:
            series = max(tiff.series, key=lambda one: one.size)
            axes = series.axes.upper().replace("S", "")
            if tiff.is_ome and tiff.ome_metadata:
                return _of_ome(tiff.ome_metadata, tiff.series.index(series), axes)
            if tiff.is_imagej:
                return _of_imagej(tiff, axes)
            return Calibrated(axes)
    except Exception:
        return Calibrated("")


def _of_ome(metadata: str, number: int, axes: str) -> Calibrated:
    """Sizes of the image of that number in a file."""
    images = tifffile.xml2dict(metadata)["OME"]["Image"]
    pixels = (images[number] if isinstance(images, list) else images)["Pixels"]
    sizes = {
        axis: (float(pixels[f"PhysicalSize{axis}"]), _unit(pixels.get(f"PhysicalSize{axis}Unit", "µm")))
        for axis in "ZYX"
        if _is_size(pixels.get(f"PhysicalSize{axis}"))
    }
    if not {"Y", "X"} <= set(sizes):
        return Calibrated(axes)
    return _sized(axes, sizes["Y"], sizes["X"], sizes.get("Z"))


def _of_imagej(tiff: tifffile.TiffFile, axes: str) -> Calibrated:
    described = tiff.imagej_metadata or {}
    unit = _unit(str(described.get("unit", "")))
    tags = tiff.pages.first.tags
    resolution = [tags[name].value for name in ("YResolution", "XResolution") if name in tags]
    if not unit or len(resolution) != 2 or not all(value[0] for value in resolution):
        return Calibrated(axes)
    (y_count, y_per), (x_count, x_per) = resolution
    spacing: Any = described.get("spacing")
    depth = (float(spacing), unit) if _is_size(spacing) else None
    return Calibrated(axes, (y_per / y_count, x_per / x_count), unit, depth)


def _sized(axes: str, y: Size, x: Size, z: Size | None) -> Calibrated:
    """Sizes of pixels in the unit of their height; none where the units of the two cannot be converted."""
    if y[1] == x[1]:
        return Calibrated(axes, (y[0], x[0]), y[1], z)
    if not {y[1], x[1]} <= set(METRES):
        return Calibrated(axes)
    # a quotient of whole powers of ten, so that 500 nm are 0.5 µm and not 0.5000000000000001
    power = METRES[x[1]] - METRES[y[1]]
    width = x[0] * 10**power if power >= 0 else x[0] / 10**-power
    return Calibrated(axes, (y[0], width), y[1], z)


def _is_size(value: object) -> bool:
    return isinstance(value, int | float) and 0 < value < math.inf


def _unit(name: str) -> str:
    return UNITS.get(name, "micrometer" if name in MICROMETRE else name)


def _of_zarr(path: Path) -> Calibrated:
    import zarr

    node = zarr.open(path, mode="r")
    attributes: dict[str, Any] = dict(node.attrs)
    scales = attributes.get("ome", attributes).get("multiscales")
    if not scales:
        return Calibrated("")
    entries = [one if isinstance(one, dict) else {"name": str(one)} for one in scales[0].get("axes", ())]
    axes = "".join(str(one["name"])[:1] for one in entries)
    sizes = np.ones(len(axes))
    # those of the finest level, then those that all levels share
    for described in (scales[0]["datasets"][0], scales[0]):
        for transformation in described.get("coordinateTransformations", ()):
            if transformation.get("type") == "scale" and len(transformation["scale"]) == len(axes):
                sizes = sizes * np.asarray(transformation["scale"], dtype=float)
    named = dict(zip(axes, sizes.tolist(), strict=True))
    units = {axis: _unit(str(entry.get("unit", "pixel"))) for axis, entry in zip(axes, entries, strict=True)}
    shown = axes[:-1] if axes.endswith("c") else axes
    if not {"y", "x"} <= set(axes):
        return Calibrated(shown)
    y, x = ((named[axis], units[axis]) for axis in "yx")
    return _sized(shown, y, x, (named["z"], units["z"]) if "z" in axes else None)


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
            labels = _of_pages(path)
        elif path.is_dir():
            labels = np.asarray(open_source(path).levels[0])
        else:
            labels = _of_picture(path)
    except ReadError:
        raise
    # catches all, because damaged files raise any error
    except Exception as error:
        raise ReadError(f"{path} could not be read as labels: {error or type(error).__name__}") from error
    if labels.dtype.kind not in "uib" or labels.ndim < 2:
        raise ReadError(f"{path} is no label image: it holds {labels.dtype} of shape {labels.shape}")
    return np.asarray(labels)


def _of_pages(path: Path) -> NDArray[Any]:
    with tifffile.TiffFile(path) as tiff:
        if "S" in tiff.series[0].axes.upper():
            raise ReadError(f"{path} is no label image: it has colours, one number is expected")
        return np.asarray(tiff.series[0].asarray())


def _of_picture(path: Path) -> NDArray[Any]:
    """Labels of a PNG or another picture: its numbers, or the places of its colours in its palette."""
    with PIL.Image.open(path) as picture:
        labels = np.asarray(picture)
    if labels.ndim != 2:
        raise ReadError(f"{path} is no label image: it has colours ({picture.mode}), one number is expected")
    return labels
