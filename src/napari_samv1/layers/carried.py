"""Layers that lie exactly on an image, and stay there when its place in the world changes."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from napari.layers import Image, Layer
from numpy.typing import NDArray

from napari_samv1.layers.prompts.features import transform_of

Placement = tuple[NDArray[np.float64], tuple[str, ...]]
"""World coordinates of a layer's origin and of one pixel along each axis, and its units."""


def placement(layer: Layer) -> Placement:
    """The place of a layer's pixels in the world."""
    points = np.vstack([np.zeros(layer.ndim), np.eye(layer.ndim)])
    return np.array([layer.data_to_world(tuple(point)) for point in points]), tuple(map(str, layer.units))


def is_same_place(one: Placement, other: Placement) -> bool:
    """True if two layers of the same dimension lie in the same place."""
    return one[1] == other[1] and one[0].shape == other[0].shape and np.allclose(one[0], other[0])


def carry(image: Image, before: Placement, layers: Iterable[Layer | None]) -> None:
    """Give the layers that lay on an image, where it was ``before``, its present place; others stay."""
    for layer in layers:
        if layer is not None and is_same_place(placement(layer), before):
            for name, value in transform_of(image).items():
                setattr(layer, name, value)
