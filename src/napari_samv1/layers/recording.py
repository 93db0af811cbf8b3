"""What a session's record says of napari's layers: which plane it was, where from, and where in the world."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.layers import Image, Layer

from napari_samv1.layers.affine import Coordinates
from napari_samv1.layers.image import DisplayedPlane
from napari_samv1.storage.record import PlaneSource, World


def plane_source(image: Image, plane: DisplayedPlane, pixels: str = "") -> PlaneSource:
    """The record of a displayed plane; reads no pixels.

    ``pixels`` is ``hash_pixels(plane.read())``, made in the worker that reads them for encoding.
    """
    first: Any = image.data[0] if image.multiscale else image.data
    origin = image.source
    return PlaneSource(
        name=image.name,
        image_shape=tuple(int(size) for size in first.shape[: image.ndim]),
        dtype=str(np.dtype(first.dtype).newbyteorder("=")),
        rgb=bool(image.rgb),
        index=plane.key.index,
        level=plane.level,
        factors_yx=plane.factors_yx,
        pixels=pixels,
        path="" if origin.path is None else str(origin.path),
        sample="" if origin.sample is None else ":".join(origin.sample),
        world=world_of(image, plane.to_layer([(0, 0), (1, 0), (0, 1)]), plane.axes),
    )


def world_of(layer: Layer, corners: Coordinates, axes: tuple[int, int]) -> World:
    """Where a plane lies whose pixels (0, 0), (1, 0) and (0, 1) are at ``corners`` (3, ndim) of the layer."""
    origin, down, right = (
        np.asarray(layer.data_to_world(tuple(corner)), dtype=np.float64)[list(axes)] for corner in corners
    )
    rows = [
        (float(a), float(b), float(c)) for a, b, c in zip(down - origin, right - origin, origin, strict=True)
    ]
    return World((rows[0], rows[1]), (str(layer.units[axes[0]]), str(layer.units[axes[1]])))
