"""Drawn shapes -> prompts: points, boxes and areas."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from napari_samv1.masks.fill import fill
from napari_samv1.records.drawn import DrawnShape
from napari_samv1.records.mask_crop import EMPTY, MaskCrop, union
from napari_samv1.records.prompts import BACKGROUND, FOREGROUND, Prompts, points_along

AREAS = ("rectangle", "polygon", "ellipse")
PATHS = ("path", "line")


def prompts_of(rows: Iterable[DrawnShape], shape_yx: tuple[int, int]) -> Prompts:
    """Prompts for the network from the drawn prompts of one object, on a plane of this size.

    - point: the point;
    - rectangle, or polygon of four corners (a rectangle whose corner was dragged): its bounding box;
    - any other polygon, ellipse: its bounding box, with its inside as a mask hint;
    - path, line: points along it, of the shape's polarity.
    """
    points_yx: list[NDArray[np.float64]] = []
    labels: list[int] = []
    boxes_yx: list[NDArray[np.float64]] = []
    area = EMPTY
    edge = np.asarray(shape_yx) - 0.5
    for shape in rows:
        if shape.kind == "point" or shape.kind in PATHS:
            points = shape.vertices_yx if shape.kind == "point" else points_along(shape.vertices_yx)
            inside = ((points >= -0.5) & (points < edge)).all(axis=1)
            points_yx.extend(points[inside])
            labels.extend([FOREGROUND if shape.positive else BACKGROUND] * int(inside.sum()))
            continue
        corners = np.clip(shape.bounds_yx.reshape(2, 2), -0.5, edge)
        boxes_yx.append(corners.ravel())
        if not is_box(shape):
            area = union(area, interior(shape_yx, shape.kind, shape.vertices_yx))
    return Prompts(points_yx, labels, boxes_yx, None if area.empty else area)


def is_box(shape: DrawnShape) -> bool:
    """True for a shape that means a box alone."""
    return shape.kind == "rectangle" or (shape.kind == "polygon" and len(shape.vertices_yx) == 4)


def interior(shape_yx: tuple[int, int], kind: str, vertices_yx: NDArray[np.float64]) -> MaskCrop:
    """Pixels of a plane whose centres lie inside of a drawn shape."""
    outline = vertices_yx
    if kind == "ellipse":
        # napari keeps the corners of the ellipse's box, in order
        centre = vertices_yx.mean(axis=0)
        first, second = (vertices_yx[1] - vertices_yx[0]) / 2, (vertices_yx[3] - vertices_yx[0]) / 2
        angles = np.linspace(0, 2 * np.pi, 90, endpoint=False)[:, None]
        outline = centre + np.cos(angles) * first + np.sin(angles) * second
    return fill(outline, shape_yx)
