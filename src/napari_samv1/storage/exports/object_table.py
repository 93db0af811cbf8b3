"""The objects as a table."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import label
from skimage.measure import regionprops_table

from napari_samv1.annotation.pieces import Piece
from napari_samv1.disk.atomic import write_file
from napari_samv1.records.mask_crop import MaskCrop
from napari_samv1.storage.exports.csv_text import csv_text
from napari_samv1.storage.session.composite import shown_objects
from napari_samv1.storage.session.record import PlaneRecord, SessionRecord, World
from napari_samv1.storage.utf8 import utf8

MEASURES = (
    "area_px",
    "area",
    "first_row",
    "first_column",
    "last_row",
    "last_column",
    "centroid_row",
    "centroid_column",
    "centroid_y",
    "centroid_x",
    "unit",
    "pieces",
)
SHAPE = (
    "perimeter",
    "eccentricity",
    "solidity",
    "axis_major_length",
    "axis_minor_length",
    "orientation",
    "equivalent_diameter_area",
    "feret_diameter_max",
)
INTENSITY = ("intensity_mean", "intensity_sum", "intensity_min", "intensity_max")
SCORES = ("predicted_iou", "stability", "candidate", "threshold")


class ChannelPixels(Protocol):
    """A plane's pixels in a channel, (H, W): an array, or anything that is sliced like one."""

    def __getitem__(self, region: tuple[slice, slice], /) -> NDArray[Any]: ...


Channel = tuple[str, ChannelPixels]
"""Name of a channel, and the plane's pixels in it."""

ChannelsOf = Callable[[PlaneRecord], Sequence[Channel]]


def export_table(
    path: str | os.PathLike[str], record: SessionRecord, channels_of: ChannelsOf | None = None
) -> Path:
    """Write a table of the objects as the label image shows them; see ``objects_csv``."""
    target = Path(path)
    write_file(target, utf8(objects_csv(record, channels_of)))
    return target


def write_table(path: str | os.PathLike[str], objects: Iterable[tuple[int, MaskCrop]], world: World) -> Path:
    """Write the measures of (id, mask) pairs."""
    rows: list[Sequence[object]] = [("object", *MEASURES, *SHAPE)]
    rows += [(object_id, *measures(mask, world), *shape_measures(mask, world)) for object_id, mask in objects]
    target = Path(path)
    write_file(target, utf8(csv_text(rows)))
    return target


def objects_csv(record: SessionRecord, channels_of: ChannelsOf | None = None) -> str:
    """Table as CSV, with a row for each visible object.

    ``area`` and ``centroid_y``, ``centroid_x`` are in the world's ``unit`` (its square); the other measures
    of place are in pixels, whole numbers at pixel centres. The columns of ``SHAPE`` are those of
    ``skimage.measure.regionprops_table``, lengths in the world's unit; the perimeter is left out where pixels
    are not square. The columns of ``INTENSITY`` exist once for each channel of ``channels_of``; with several
    channels their names end in the channel's. ``candidate`` is the index of the mask in use among the four,
    ``predicted_iou`` and ``stability`` are its scores.
    """
    rows: list[dict[str, object]] = []
    for plane in record.planes:
        place = " ".join("-" if one is None else str(one) for one in plane.source.index)
        channels = () if channels_of is None else channels_of(plane)
        world = plane.source.world
        for piece, mask in shown_objects(plane):
            row: dict[str, object] = {"image": plane.source.name, "plane": place, "object": piece.id}
            row |= zip(MEASURES, measures(mask, world), strict=True)
            row |= zip(SHAPE, shape_measures(mask, world), strict=True)
            row |= intensity_measures(mask, channels)
            row |= zip(SCORES, _scores(piece), strict=True)
            rows.append(row)
    first = ("image", "plane", "object", *MEASURES, *SHAPE)
    intensities = dict.fromkeys(name for row in rows for name in row if name.startswith("intensity_"))
    header = (*first, *intensities, *SCORES)
    return csv_text([header, *([row.get(name, "") for name in header] for row in rows)])


def measures(mask: MaskCrop, world: World) -> tuple[object, ...]:
    """Values of ``MEASURES`` for a mask."""
    rows, columns = np.nonzero(mask.mask)
    centroid = rows.mean() + mask.origin_yx[0], columns.mean() + mask.origin_yx[1]
    (top, left), (height, width) = mask.origin_yx, mask.mask.shape
    world_yx = world.points([centroid])[0]
    unit = world.units[0] if len(set(world.units)) == 1 else " ".join(world.units)
    return (
        mask.area,
        _number(mask.area * world.pixel_area),
        top,
        left,
        top + height - 1,
        left + width - 1,
        *map(_number, (*centroid, *world_yx)),
        unit,
        label(mask.mask, np.ones((3, 3)))[1],
    )


def shape_measures(mask: MaskCrop, world: World) -> tuple[object, ...]:
    """Values of ``SHAPE`` for a mask."""
    height, width = world.pixel_size_yx
    is_square = math.isclose(height, width, rel_tol=1e-6)
    found = regionprops_table(
        mask.mask.astype(np.uint8),
        properties=[name for name in SHAPE if is_square or name != "perimeter"],
        spacing=(height, height) if is_square else (height, width),
    )
    return tuple(_number(float(found[name][0])) if name in found else "" for name in SHAPE)


def intensity_measures(mask: MaskCrop, channels: Sequence[Channel]) -> dict[str, object]:
    """Values of ``INTENSITY`` for a mask in each channel; of several, the names end in the channel's."""
    found: dict[str, object] = {}
    for name, pixels_hw in channels:
        values = np.asarray(pixels_hw[mask.region])[mask.mask].astype(np.float64)
        end = f"-{name}" if len(channels) > 1 else ""
        measured = values.mean(), values.sum(), values.min(), values.max()
        found |= {
            f"{column}{end}": _number(float(value)) for column, value in zip(INTENSITY, measured, strict=True)
        }
    return found


def _scores(piece: Piece) -> tuple[object, ...]:
    threshold = _number(piece.settings.threshold)
    if piece.scores is None or piece.chosen is None:
        return "", "", "", threshold
    iou, stability = piece.scores.iou[piece.chosen], piece.scores.stability[piece.chosen]
    return _number(iou), _number(stability), piece.chosen, threshold


def _number(value: float) -> str:
    return f"{value:.7g}"
