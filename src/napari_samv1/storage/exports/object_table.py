"""The objects as a table."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from scipy.ndimage import label

from napari_samv1.annotation.pieces import Piece
from napari_samv1.records.mask_crop import MaskCrop
from napari_samv1.storage.atomic import write_file
from napari_samv1.storage.session.composite import shown_objects
from napari_samv1.storage.session.record import SessionRecord, World

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
SCORES = ("predicted_iou", "stability", "candidate", "threshold")


def export_table(path: str | os.PathLike[str], record: SessionRecord) -> Path:
    """Write a table of the objects as the label image shows them; see ``objects_csv``."""
    target = Path(path)
    write_file(target, objects_csv(record).encode("utf-8"))
    return target


def write_table(path: str | os.PathLike[str], objects: Iterable[tuple[int, MaskCrop]], world: World) -> Path:
    """Write the measures of (id, mask) pairs."""
    rows: list[Sequence[object]] = [("object", *MEASURES)]
    rows += [(object_id, *measures(mask, world)) for object_id, mask in objects]
    target = Path(path)
    write_file(target, table(rows).encode("utf-8"))
    return target


def objects_csv(record: SessionRecord) -> str:
    """A row for each object that is to be seen.

    ``area`` and ``centroid_y``, ``centroid_x`` are in the world's ``unit`` (its square), the rest is in
    pixels, whole numbers at pixel centres. ``candidate`` is the one of the four masks that was used;
    ``predicted_iou`` and ``stability`` are the network's for that one.
    """
    rows: list[Sequence[object]] = [("image", "plane", "object", *MEASURES, *SCORES)]
    for plane in record.planes:
        place = " ".join("-" if one is None else str(one) for one in plane.source.index)
        for known, mask in shown_objects(plane):
            measured = measures(mask, plane.source.world)
            rows.append((plane.source.name, place, known.id, *measured, *_scores(known)))
    return table(rows)


def measures(mask: MaskCrop, world: World) -> tuple[object, ...]:
    """A mask's ``MEASURES``."""
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


def table(rows: Sequence[Sequence[object]]) -> str:
    """Rows as CSV."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _scores(known: Piece) -> tuple[object, ...]:
    threshold = _number(known.settings.threshold)
    if known.scores is None or known.chosen is None:
        return "", "", "", threshold
    iou, stability = known.scores.iou[known.chosen], known.scores.stability[known.chosen]
    return _number(iou), _number(stability), known.chosen, threshold


def _number(value: float) -> str:
    return f"{value:.7g}"
