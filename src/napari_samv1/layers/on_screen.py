"""The part of a plane that lies on the canvas."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from napari.layers import Image

from napari_samv1.app.detail import Part
from napari_samv1.layers.affine import from_viewer_world
from napari_samv1.layers.image import DisplayedPlane


def camera_of(viewer: Any) -> Any:
    """The viewer's camera, which napari 0.9 moved into the scene."""
    return viewer.scene.camera if hasattr(viewer, "scene") else viewer.camera


def canvas_hw(viewer: Any) -> Any:
    """Height and width of the viewer's canvas, or None."""
    if hasattr(viewer, "canvas"):
        return viewer.canvas.size
    return getattr(viewer, "_canvas_size", None)  # no public name before napari 0.9


def part_on_screen(viewer: Any, layer: Image, plane: DisplayedPlane) -> Part:
    """The part of a plane that the viewer shows; all of it where the canvas has no size yet."""
    height, width = plane.shape_yx
    canvas = canvas_hw(viewer)
    camera = camera_of(viewer)
    zoom = float(camera.zoom)
    if canvas is None or min(canvas) <= 0 or zoom <= 0:
        return 0.0, 0.0, height - 1.0, width - 1.0
    displayed = list(viewer.dims.displayed)[-2:]
    middle = np.asarray(camera.center, dtype=np.float64)[-2:]
    corners = []
    for signs in product((-0.5, 0.5), repeat=2):
        corner = np.array(viewer.dims.point, dtype=np.float64)
        corner[displayed] = middle + np.multiply(signs, canvas) / zoom
        corners.append(from_viewer_world(viewer, layer, corner))
    on_plane = plane.from_layer(corners)
    last = height - 1, width - 1
    low, high = np.clip(on_plane.min(axis=0), 0, last), np.clip(on_plane.max(axis=0), 0, last)
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])
