"""Affine maps between layers: from the pixels of one to the pixels of another, units included."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from napari.layers import Layer
from numpy.typing import ArrayLike, NDArray

Coordinates = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class AffineMap:
    """``x -> matrix @ x + offset`` for rows of coordinates."""

    matrix: Coordinates
    offset: Coordinates

    def __call__(self, points: ArrayLike) -> Coordinates:
        """Map (N, source axes) to (N, target axes)."""
        mapped: Coordinates = np.asarray(points, dtype=np.float64) @ self.matrix.T + self.offset
        return mapped


def between_layers(source: Layer, target: Layer, missing: ArrayLike | None = None) -> AffineMap:
    """Map from one layer's data coordinates to another's, through world coordinates.

    Layers of different dimension share their last axes, as in the viewer; ``missing`` holds the target's
    world coordinates for axes that the source lacks (0 by default). Physical units are converted, which
    napari does not do; "pixel" counts as the other layer's unit.
    """
    factors = _unit_factors(source.units, target.units)
    stand_in = np.zeros(target.ndim) if missing is None else np.asarray(missing, dtype=np.float64)
    shared = min(source.ndim, target.ndim)

    def through_world(point: Coordinates) -> Coordinates:
        world = stand_in.copy()
        source_world = np.asarray(source.data_to_world(tuple(point)), dtype=np.float64)
        world[-shared:] = source_world[-shared:] * factors
        return np.asarray(target.world_to_data(tuple(world)), dtype=np.float64)

    offset = through_world(np.zeros(source.ndim))
    columns = [through_world(step) - offset for step in np.eye(source.ndim)]
    return AffineMap(np.stack(columns, axis=1), offset)


def from_viewer_world(viewer: Any, layer: Layer, world: ArrayLike | None = None) -> Coordinates:
    """Map a point of the viewer's world, by default the current one, to a layer's data coordinates."""
    point = np.array(viewer.dims.point if world is None else world, dtype=np.float64)[-layer.ndim :]
    units = getattr(viewer.layers.extent, "units", None)
    if units is not None:
        shared = min(len(units), layer.ndim)
        point[-shared:] *= _unit_factors(units, layer.units)[-shared:]
    return np.asarray(layer.world_to_data(tuple(point)), dtype=np.float64)


def _unit_factors(source: Sequence[Any], target: Sequence[Any]) -> Coordinates:
    """Return the factor from the source's units for each of the last common axes."""
    shared = min(len(source), len(target))
    pairs = zip(source[-shared:], target[-shared:], strict=True)
    return np.array([_unit_factor(unit, other) for unit, other in pairs], dtype=np.float64)


def _unit_factor(source: Any, target: Any) -> float:
    if source == target:
        return 1.0
    quantity = 1.0 * source
    # "pixel" is no length: numbers then stay as they are, as in napari
    if not quantity.is_compatible_with(target):
        return 1.0
    return float(quantity.to(target).magnitude)
