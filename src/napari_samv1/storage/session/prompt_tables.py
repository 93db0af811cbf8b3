"""Prompts as rows of napari's Points and Shapes layers, and as CSV files for napari."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_samv1.annotation.pieces import Piece
from napari_samv1.records.drawn import DrawnShape
from napari_samv1.storage.exports.csv_text import csv_text
from napari_samv1.storage.session.record import PlaneRecord

POSITIVE, NEGATIVE = "positive", "negative"


@dataclass(frozen=True, eq=False)
class PointRows:
    """Point prompts in the image's coordinates (N, ndim), with their object and polarity."""

    coordinates: NDArray[np.float64]
    objects: tuple[int, ...]
    polarities: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class ShapeRow:
    """One drawn prompt: its shape type in a Shapes layer, and its vertices (N, ndim)."""

    kind: str
    vertices: NDArray[np.float64]
    object: int
    polarity: str


def point_rows(planes: Sequence[PlaneRecord]) -> PointRows:
    """All clicks on planes of one image."""
    coordinates, objects, polarities = [np.zeros((0, _axes(planes)))], [], []
    for plane, piece, shape in _drawn(planes):
        if shape.kind == "point":
            coordinates.append(plane.source.to_image(shape.vertices_yx))
            objects.append(piece.id)
            polarities.append(POSITIVE if shape.positive else NEGATIVE)
    return PointRows(np.concatenate(coordinates), tuple(objects), tuple(polarities))


def shape_rows(planes: Sequence[PlaneRecord]) -> list[ShapeRow]:
    """All drawn shapes on planes of one image."""
    return [
        ShapeRow(
            shape.kind,
            plane.source.to_image(shape.vertices_yx),
            piece.id,
            POSITIVE if shape.positive else NEGATIVE,
        )
        for plane, piece, shape in _drawn(planes)
        if shape.kind != "point"
    ]


def _drawn(planes: Sequence[PlaneRecord]) -> Iterator[tuple[PlaneRecord, Piece, DrawnShape]]:
    for plane in planes:
        for piece in plane.pieces:
            for shape in piece.drawn:
                yield plane, piece, shape


def points_csv(planes: Sequence[PlaneRecord]) -> str:
    """Point prompts as the CSV of a Points layer; "" without any, which napari could not open."""
    rows = point_rows(planes)
    axes = [f"axis-{axis}" for axis in range(_axes(planes))]
    lines = [
        [index, *map(repr, map(float, point)), object_id, polarity]
        for index, (point, object_id, polarity) in enumerate(
            zip(rows.coordinates, rows.objects, rows.polarities, strict=True)
        )
    ]
    return _table(["index", *axes, "object", "polarity"], lines)


def shapes_csv(planes: Sequence[PlaneRecord]) -> str:
    """Drawn prompts as the CSV of a Shapes layer; "" without any."""
    axes = [f"axis-{axis}" for axis in range(_axes(planes))]
    lines = [
        [index, row.kind, vertex, *map(repr, map(float, point)), row.object, row.polarity]
        for index, row in enumerate(shape_rows(planes))
        for vertex, point in enumerate(row.vertices)
    ]
    return _table(["index", "shape-type", "vertex-index", *axes, "object", "polarity"], lines)


def _axes(planes: Sequence[PlaneRecord]) -> int:
    return len(planes[0].source.index) if planes else 2


def _table(header: list[str], lines: Sequence[Sequence[object]]) -> str:
    if not lines:
        return ""
    return csv_text([header, *lines])
