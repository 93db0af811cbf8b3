"""napari's projection of several slices of an Image layer: a thick slice."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from napari.layers import Image

from napari_samv1.app.canvas import NoPlaneError
from napari_samv1.layers.affine import from_viewer_world
from napari_samv1.records.display import Projection, Slab

NOT_SHOWN = 'napari does not show image "{name}".'


def projection_of(viewer: Any, layer: Image, index: tuple[int | None, ...]) -> Projection | None:
    """Return napari's projection of the slices around a plane of an Image layer; None for a single slice.

    Raises
    ------
    NoPlaneError
        If napari shows none of them, as along a mirrored axis, or has fewer axes than the layer, as after
        the layer was removed.
    """
    mode: Any = str(layer.projection_mode)
    if mode == "none":
        return None
    if viewer.dims.ndim < layer.ndim:
        raise NoPlaneError(NOT_SHOWN.format(name=layer.name))
    slabs = []
    for axis, at in enumerate(index):
        slider = viewer.dims.ndim - layer.ndim + axis
        margins = float(viewer.dims.margin_left[slider]), float(viewer.dims.margin_right[slider])
        if at is None or not any(margins):
            continue
        start, stop = _slices(viewer, layer, axis, slider, margins)
        if stop - start > 1:
            slabs.append(Slab(axis, start, stop))
    return Projection(mode, tuple(slabs)) if slabs else None


def thicken(viewer: Any, layer: Image, index: tuple[int | None, ...], slabs: Iterable[Slab]) -> None:
    """Set the slice thickness of the sliders, which stand at a plane, to show these slices around it."""
    around = {slab.axis: slab for slab in slabs}
    margins = list(viewer.dims.margin_left), list(viewer.dims.margin_right)
    for axis, at in enumerate(index):
        slider = viewer.dims.ndim - layer.ndim + axis
        per_slice = _at(viewer, layer, axis, slider, 1.0) - _at(viewer, layer, axis, slider, 0.0)
        if at is None or not per_slice:
            continue
        slab = around.get(axis, Slab(axis, 0, 1))
        margins[0][slider] = -slab.start / abs(per_slice)
        margins[1][slider] = (slab.stop - 1) / abs(per_slice)
    viewer.dims.margin_left, viewer.dims.margin_right = margins


def _slices(
    viewer: Any, layer: Image, axis: int, slider: int, margins: tuple[float, float]
) -> tuple[int, int]:
    """The first slice and the one beyond the last, counted from the slice in the middle."""
    middle, low, high = (
        _at(viewer, layer, axis, slider, offset) for offset in (0.0, -margins[0], margins[1])
    )
    if low > high:
        raise NoPlaneError(
            f'napari shows nothing of a thick slice of image "{layer.name}", which is mirrored along this '
            "axis: set the slider's slice thickness to 0 (right-click on it)."
        )
    # as napari rounds them
    first, beyond = int(np.round(low)), int(np.round(high))
    if np.isclose(beyond, high) or beyond == first:
        beyond += 1
    at = int(np.floor(middle + 0.5))
    return first - at, beyond - at


def _at(viewer: Any, layer: Image, axis: int, slider: int, offset: float) -> float:
    """Return the layer's position on an axis, at an offset from the slider."""
    world = np.array(viewer.dims.point, dtype=np.float64)
    world[slider] += offset
    return float(from_viewer_world(viewer, layer, world)[axis])
