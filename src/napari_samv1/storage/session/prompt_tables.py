"""Prompts as the rows of napari's own Points and Shapes layers, and as the CSV files that napari opens."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_samv1.engine.objects import AnnotatedObject, box_around
from napari_samv1.records.prompts import Prompts, points_along
from napari_samv1.storage.session.record import DrawnShape, PlaneRecord

POSITIVE, NEGATIVE = "positive", "negative"
PATHS = ("path", "line")


@dataclass(frozen=True, eq=False)
class PointRows:
    """Point prompts in the image's coordinates (N, ndim), with their object and polarity."""

    coordinates: NDArray[np.float64]
    objects: tuple[int, ...]
    polarities: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class ShapeRow:
    """One drawn prompt: its kind, as a Shapes layer calls it, and its vertices (N, ndim)."""

    kind: str
    vertices: NDArray[np.float64]
    object: int
    polarity: str


def point_rows(planes: Sequence[PlaneRecord]) -> PointRows:
    """All point prompts of planes of one image, without those that a drawn path stands for."""
    coordinates, objects, polarities = [np.zeros((0, _axes(planes)))], [], []
    for plane in planes:
        for known in plane.objects:
            own = _clicked(known.prompts, plane.drawn.get(known.id, ()))
            coordinates.append(plane.source.to_image(known.prompts.points_yx[own]))
            objects += [known.id] * int(own.sum())
            polarities += [POSITIVE if label else NEGATIVE for label in known.prompts.labels[own]]
    return PointRows(np.concatenate(coordinates), tuple(objects), tuple(polarities))


def shape_rows(planes: Sequence[PlaneRecord]) -> list[ShapeRow]:
    """All drawn prompts of planes of one image; boxes that were drawn as nothing else are rectangles.

    An object's boxes keep their order, so that its prompts read back are the same.
    """
    rows = []
    for plane in planes:
        for known in plane.objects:
            for kind, vertices_yx, positive in _drawn_prompts(plane, known):
                polarity = POSITIVE if positive else NEGATIVE
                rows.append(ShapeRow(kind, plane.source.to_image(vertices_yx), known.id, polarity))
    return rows


def _drawn_prompts(
    plane: PlaneRecord, known: AnnotatedObject
) -> Iterator[tuple[str, NDArray[np.float64], bool]]:
    """An object's drawn prompts: kind, vertices (N, 2) and polarity."""
    outlines = []
    for shape in plane.drawn.get(known.id, ()):
        if shape.kind in PATHS:
            yield shape.kind, shape.vertices_yx, shape.positive
        else:
            outlines.append(shape)
    for box in known.prompts.boxes_yx:
        outline = next((one for one in outlines if np.array_equal(_bounds(one, plane.shape_yx), box)), None)
        if outline is not None:
            outlines.remove(outline)
            yield outline.kind, outline.vertices_yx, outline.positive
        # the box of a mask to refine came with the mask, and comes with it again
        elif known.refined.empty or not np.array_equal(box_around(known.refined), box):
            y0, x0, y1, x1 = box
            yield "rectangle", np.array([(y0, x0), (y0, x1), (y1, x1), (y1, x0)]), True
    for outline in outlines:
        yield outline.kind, outline.vertices_yx, outline.positive


def _clicked(prompts: Prompts, drawn: Sequence[DrawnShape]) -> NDArray[np.bool_]:
    """Which points are points themselves, and not samples of a path."""
    sampled = [points_along(shape.vertices_yx) for shape in drawn if shape.kind in PATHS]
    own = np.ones(len(prompts.points_yx), dtype=bool)
    if sampled and len(own):
        distances = np.abs(prompts.points_yx[:, None] - np.concatenate(sampled)[None]).max(axis=2)
        own = distances.min(axis=1) > 1e-6
    return own


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


def by_image(planes: Iterable[PlaneRecord]) -> list[list[PlaneRecord]]:
    """Planes of the same image together, in the order in which the images come."""
    images: dict[tuple[object, ...], list[PlaneRecord]] = {}
    for plane in planes:
        source = plane.source
        images.setdefault((source.path, source.sample, source.name, source.image_shape), []).append(plane)
    return list(images.values())


def _axes(planes: Sequence[PlaneRecord]) -> int:
    return len(planes[0].source.index) if planes else 2


def _bounds(shape: DrawnShape, shape_yx: tuple[int, int]) -> NDArray[np.float64]:
    """The box prompt that a drawn area became: its bounds, cut at the plane's edge."""
    corners = np.stack([shape.vertices_yx.min(axis=0), shape.vertices_yx.max(axis=0)])
    return np.clip(corners, -0.5, np.asarray(shape_yx) - 0.5).reshape(-1)


def _table(header: list[str], lines: Sequence[Sequence[object]]) -> str:
    if not lines:
        return ""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(lines)
    return text.getvalue()
