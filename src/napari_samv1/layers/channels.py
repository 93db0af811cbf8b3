"""The channels of an annotated plane: the image's own, and images that lie on it pixel by pixel."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from napari.layers import Image, Layer
from numpy.typing import NDArray

from napari_samv1.app.canvas import NoPlaneError
from napari_samv1.layers.image import DisplayedPlane, plane_at
from napari_samv1.layers.inspection import is_picture
from napari_samv1.layers.recording import world_of
from napari_samv1.storage.session.record import PlaneSource

Named = tuple[str, NDArray[np.generic]]
RGB = ("red", "green", "blue")


def channel_planes(layers: Iterable[Layer], source: PlaneSource) -> list[DisplayedPlane]:
    """The planes of Image layers that have the annotated plane's pixels, itself first; reads no pixels."""
    planes = []
    for layer in layers:
        if not isinstance(layer, Image) or is_picture(layer) or layer.ndim != len(source.index):
            continue
        shape = (layer.data[0] if layer.multiscale else layer.data).shape[: layer.ndim]
        if tuple(shape) != source.image_shape:
            continue
        try:
            plane = plane_at(layer, source.index, level=source.level)
        except NoPlaneError:
            continue
        world = world_of(layer, plane.to_layer([(0, 0), (1, 0), (0, 1)]), plane.axes)
        if np.allclose(world.matrix, source.world.matrix):
            planes.append(plane)
    return sorted(planes, key=lambda plane: plane.name != source.name)


def read_channels(planes: Iterable[DisplayedPlane]) -> list[Named]:
    """Names and pixels (H, W) of planes; an RGB image has three. Reads; call it in a worker."""
    found: list[Named] = []
    for plane in planes:
        pixels = plane.read()
        if pixels.ndim == 2:
            found.append((plane.name, pixels))
        else:
            found += [(f"{plane.name} {colour}", pixels[..., own]) for own, colour in enumerate(RGB)]
    return found
