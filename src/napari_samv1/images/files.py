"""Image files as sources, opened without reading pixels where the format allows."""

from __future__ import annotations

import json
import os
import weakref
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image, UnidentifiedImageError

from napari_samv1.images.source import ArraySource, ReadError, as_source

TIFF_SUFFIXES = {".tif", ".tiff", ".btf", ".svs", ".ndpi", ".lsm", ".stk"}
NO_ZARR = "reading it piece by piece needs the package zarr: run `pip install 'napari-samv1[zarr]'`"
SPACE_AND_TIME = ("t", "z", "y", "x")


def open_source(path: str | os.PathLike[str]) -> ArraySource:
    """Open a TIFF (pages, OME, ImageJ, pyramids), npy, OME-Zarr, PNG, JPEG or any other format of Pillow.

    Axes are those of the file, colour last. TIFF and OME-Zarr are read piece by piece, npy is mapped; the
    others can only be read whole.

    Raises
    ------
    ReadError
        If there is no such file, or it holds no readable image; the message is a sentence.
    """
    file = Path(path).expanduser()
    if not file.exists():
        raise ReadError(f"there is no file {file}")
    try:
        levels, rgb = _levels(file)
        return ArraySource(tuple(levels), rgb, file.name, file.stat().st_mtime_ns)
    except ReadError:
        raise
    # readers raise errors of all kinds
    except Exception as error:
        raise ReadError(f"{file} could not be opened as an image: {error or type(error).__name__}") from error


def _levels(file: Path) -> tuple[list[Any], bool]:
    if file.is_dir():
        return _zarr(file)
    if file.suffix.lower() == ".npy":
        array = np.load(file, mmap_mode="r", allow_pickle=False)
        source = as_source(array)
        return [array], isinstance(source, ArraySource) and source.rgb
    if file.suffix.lower() in TIFF_SUFFIXES:
        return _tiff(file)
    return _picture(file)


def _picture(file: Path) -> tuple[list[Any], bool]:
    try:
        with Image.open(file) as picture:
            plain = {"LA": "L", "P": "RGB", "PA": "RGB", "CMYK": "RGB", "YCbCr": "RGB", "HSV": "RGB"}
            mode = plain.get(picture.mode)
            array = np.asarray(picture if mode is None else picture.convert(mode))
    except UnidentifiedImageError as error:
        raise ReadError(f"{file} is not an image of a supported format") from error
    return [array], array.ndim == 3


def _tiff(file: Path) -> tuple[list[Any], bool]:
    with tifffile.TiffFile(file) as tiff:
        series = max(tiff.series, key=lambda one: one.size)
        shapes = [level.shape for level in series.levels]
        axes = series.axes.upper()
        # three or four samples are colour; a channel axis is not
        rgb = axes.endswith("S") and shapes[0][-1] in (3, 4)
        if "S" in axes and not rgb:
            return [_colour_last(series.asarray(), axes)], True
        if len(shapes) == 1 and series.dataoffset is not None and series.keyframe.is_contiguous:
            return [tifffile.memmap(file, mode="r", series=tiff.series.index(series))], rgb
        if (lazy := _tiff_by_pieces(file, tiff.series.index(series), len(shapes))) is not None:
            return lazy, rgb
        return [level.asarray() for level in series.levels], rgb


def _colour_last(array: Any, axes: str) -> Any:
    if array.shape[axes.index("S")] not in (3, 4):
        raise ReadError(f"a TIFF with {array.shape[axes.index('S')]} samples for each pixel is not an image")
    return np.moveaxis(array, axes.index("S"), -1)


def _tiff_by_pieces(file: Path, series: int, levels: int) -> list[Any] | None:
    """Levels that are read by tiles; None if zarr is not installed."""
    if find_spec("zarr") is None:
        return None
    return [_TiledTiff(file, series, level) for level in range(levels)]


class _TiledTiff:
    """One level of a TIFF, sliced tile by tile; the file is closed with the last reference."""

    def __init__(self, file: Path, series: int, level: int) -> None:
        import zarr

        store = tifffile.imread(file, aszarr=True, series=series, level=level)
        weakref.finalize(self, store.close)
        self._array = zarr.open_array(store, mode="r")
        self.shape = tuple(self._array.shape)
        self.dtype = self._array.dtype

    def __getitem__(self, cut: Any) -> Any:
        return self._array[cut]


def _zarr(folder: Path) -> tuple[list[Any], bool]:
    try:
        import zarr
    except ImportError as error:
        raise ReadError(f"{folder} is a folder: {NO_ZARR}") from error
    node = zarr.open(folder, mode="r")
    if isinstance(node, zarr.Array):
        source = as_source(node)
        return [node], isinstance(source, ArraySource) and source.rgb
    attributes = json.loads(json.dumps(dict(node.attrs)))
    scales = attributes.get("ome", attributes).get("multiscales")
    if not scales:
        raise ReadError(f"{folder} is a zarr group without an OME-Zarr image; name one of its arrays")
    levels: list[Any] = [node[entry["path"]] for entry in scales[0]["datasets"]]
    names = [
        axis["name"] if isinstance(axis, dict) else str(axis) for axis in scales[0].get("axes", ())
    ] or list(SPACE_AND_TIME)
    rgb = len(names) == levels[0].ndim and names[-1] == "c" and levels[0].shape[-1] in (3, 4)
    return levels, rgb
