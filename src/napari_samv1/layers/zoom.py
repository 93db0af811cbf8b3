"""The part of a plane that the viewer shows, and the detail that suits it."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import numpy as np
from napari.layers import Image

from napari_samv1.layers.affine import from_viewer_world
from napari_samv1.layers.image import DisplayedPlane
from napari_samv1.records.detail import NATIVE, Detail

Shown = tuple[float, float, float, float]
"""First row, first column, last row, last column, in pixels of the plane."""


def shown_part(viewer: Any, layer: Image, plane: DisplayedPlane) -> Shown:
    """The part of a plane that lies on the canvas; all of it where the canvas has no size yet."""
    height, width = plane.shape_yx
    # not in naparis before 0.9
    canvas = getattr(getattr(viewer, "canvas", None), "size", None)
    zoom = float(viewer.camera.zoom)
    if canvas is None or min(canvas) <= 0 or zoom <= 0:
        return 0.0, 0.0, height - 1.0, width - 1.0
    displayed = list(viewer.dims.displayed)[-2:]
    point = np.asarray(viewer.dims.point, dtype=np.float64)
    middle = np.asarray(viewer.camera.center, dtype=np.float64)[-2:]
    corners = []
    for signs in product((-0.5, 0.5), repeat=2):
        corner = point.copy()
        corner[displayed] = middle + np.multiply(signs, canvas) / zoom
        corners.append(from_viewer_world(viewer, layer, corner))
    on_plane = plane.from_layer(corners)
    low = np.clip(on_plane.min(axis=0), 0, (height - 1, width - 1))
    high = np.clip(on_plane.max(axis=0), 0, (height - 1, width - 1))
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def detail_for(shown: Shown, plane_hw: tuple[int, int], side: int) -> Detail:
    """The detail at which a region of a model with ``side`` pixels is about what is shown.

    Native or a power of two coarser; "whole" where a region of it would hold all of the plane.
    """
    extent = max(shown[2] - shown[0], shown[3] - shown[1]) + 1
    detail = min(NATIVE, 2.0 ** round(math.log2(side / extent)))
    return "whole" if side / detail >= max(plane_hw) else detail


def middle_of(shown: Shown) -> tuple[float, float]:
    """The middle of what is shown, row and column."""
    return (shown[0] + shown[2]) / 2, (shown[1] + shown[3]) / 2
