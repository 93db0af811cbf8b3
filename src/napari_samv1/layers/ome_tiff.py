"""OME-TIFF files as Image layers: a layer for each channel, in the file's physical units."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tifffile
from napari.layers import Image
from napari.utils import Colormap

logger = logging.getLogger(__name__)

ENDINGS = (".ome.tif", ".ome.tiff", ".tif", ".tiff", ".ome.btf", ".ome.tf8")
CHANNEL = "napari-samv1 channel"
PATH = "napari-samv1 path"  # key in a layer's metadata, because plugins cannot set ``layer.source``
MOST_BYTES_READ = 4 << 30  # of a file that cannot be mapped into memory
PIXEL = "pixel"
# OME's abbreviations, and the names that napari reads
UNITS = {
    "nm": "nanometer",
    "µm": "micrometer",
    "mm": "millimeter",
    "cm": "centimeter",
    "m": "meter",
    "Å": "angstrom",
    "ms": "millisecond",
    "s": "second",
    "min": "minute",
    "h": "hour",
}


@dataclass(frozen=True, eq=False)
class OmeImage:
    """One image of an OME-TIFF: its levels, finest first, and its metadata.

    ``axes`` are tifffile's letters, such as "TCZYX" or "YXS" for RGB; the keys of ``scale`` and ``units`` are
    such letters.
    """

    levels: Sequence[Any]
    axes: str
    name: str
    channels: Sequence[str]
    colours: Sequence[Colormap | None]
    scale: Mapping[str, float]
    units: Mapping[str, str]


def open_file(viewer: Any, path: str | os.PathLike[str]) -> list[Any]:
    """Open a file in a viewer, an OME-TIFF with its channels and units, and return the new layers."""
    file = Path(path)
    image = read_ome_tiff(file) if str(path).lower().endswith(ENDINGS) and file.is_file() else None
    if image is None:
        return list(viewer.open([str(path)], plugin=None))
    layers = add_image(viewer, image)
    for layer in layers:
        layer.metadata[PATH] = str(file.absolute())
    return layers


def path_of(layer: Image) -> str:
    """The file that a layer was opened from; "" if unknown."""
    path = layer.source.path
    return str(layer.metadata.get(PATH, "")) if path is None else str(path)


def channel_of(layer: Image) -> int | None:
    """Index of a layer on its file's channel axis; None without such an axis, or if unknown."""
    number = layer.metadata.get(CHANNEL)
    return number if type(number) is int else None


def add_image(viewer: Any, image: OmeImage) -> list[Image]:
    """Add the channels of an image to a viewer, the first at the bottom."""
    rgb = image.axes.endswith("S")
    spatial = [letter for letter in image.axes if letter not in "CS"]
    options: dict[str, Any] = {
        "scale": [image.scale.get(letter, 1.0) for letter in spatial],
        "units": [image.units.get(letter, PIXEL) for letter in spatial],
        "axis_labels": [letter.lower() for letter in spatial],
        "multiscale": len(image.levels) > 1,
    }
    data = list(image.levels) if len(image.levels) > 1 else image.levels[0]
    if "C" not in image.axes:
        return [viewer.add_image(data, name=image.name, rgb=rgb, **options)]
    count = image.levels[0].shape[image.axes.index("C")]
    names = [
        f"{image.name} {image.channels[number]}" if number < len(image.channels) else f"{image.name} {number}"
        for number in range(count)
    ]
    colours = list(image.colours) if len(image.colours) == count and all(image.colours) else None
    if colours is not None:
        options["colormap"] = colours
    layers = list(viewer.add_image(data, channel_axis=image.axes.index("C"), name=names, **options))
    for number, layer in enumerate(layers):
        layer.metadata[CHANNEL] = number
    return layers


def read_ome_tiff(path: Path) -> OmeImage | None:
    """The largest image of an OME-TIFF, memory-mapped if possible; None for any other file.

    Also None if it cannot be mapped and is larger than 4 GiB, or if its metadata are damaged: napari's own
    reader is tried then.
    """
    try:
        with tifffile.TiffFile(path) as tiff:
            if not tiff.is_ome or tiff.ome_metadata is None:
                return None
            number, series = max(enumerate(tiff.series), key=lambda one: one[1].size)
            axes = series.axes.upper().replace("Q", "T").replace("I", "T")
            if len(set(axes)) != len(axes) or not {"Y", "X"} <= set(axes):
                return None
            levels = _levels(path, number, series)
            metadata = _pixels_of(tifffile.xml2dict(tiff.ome_metadata), number)
    # damaged or incomplete files raise all kinds of errors
    except Exception as error:
        logger.info("%s is opened by napari's own reader: %s", path, error)
        return None
    if levels is None or not (axes.endswith("YX") or axes.endswith("YXS")):
        return None
    return OmeImage(levels, axes, _stem(path), *_described(metadata))


def _levels(path: Path, number: int, series: tifffile.TiffPageSeries) -> list[Any] | None:
    if len(series.levels) == 1 and series.dataoffset is not None and series.keyframe.is_contiguous:
        return [tifffile.memmap(path, mode="r", series=number)]
    if sum(level.nbytes for level in series.levels) > MOST_BYTES_READ:
        return None
    return [level.asarray() for level in series.levels]


def _pixels_of(xml: Mapping[str, Any], number: int) -> Mapping[str, Any]:
    images = xml["OME"]["Image"]
    image = images[number] if isinstance(images, list) else images
    pixels: Mapping[str, Any] = image["Pixels"]
    return pixels


def _described(
    pixels: Mapping[str, Any],
) -> tuple[list[str], list[Colormap | None], dict[str, float], dict[str, str]]:
    """Names and colours of the channels, and the pixel's size and units by axis letters."""
    channels = pixels.get("Channel", [])
    channels = channels if isinstance(channels, list) else [channels]
    names = [str(one.get("Name", number)) for number, one in enumerate(channels)]
    colours = [_colour(one.get("Color")) for one in channels]
    sizes = {
        letter: (pixels.get(f"PhysicalSize{letter}"), pixels.get(f"PhysicalSize{letter}Unit", "µm"))
        for letter in "ZYX"
    }
    sizes["T"] = pixels.get("TimeIncrement"), pixels.get("TimeIncrementUnit", "s")
    scale: dict[str, float] = {}
    units: dict[str, str] = {}
    for letter, (size, unit) in sizes.items():
        if isinstance(size, int | float) and 0 < size < float("inf"):
            scale[letter], units[letter] = float(size), UNITS.get(str(unit), PIXEL)
    return names, colours, scale, units


def _colour(value: object) -> Colormap | None:
    """Colormap from black to a colour, which OME writes as 32 bits: red, green, blue, alpha."""
    if not isinstance(value, int):
        return None
    red, green, blue = ((value >> shift & 255) / 255 for shift in (24, 16, 8))
    name = f"#{value >> 8 & 0xFFFFFF:06x}"
    return Colormap([(0, 0, 0), (red, green, blue)], name=name)


def _stem(path: Path) -> str:
    """A file's name without its ending."""
    lowered = path.name.lower()
    ending = next((one for one in ENDINGS if lowered.endswith(one)), path.suffix)
    return path.name[: len(path.name) - len(ending)]
