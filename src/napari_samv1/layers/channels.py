"""Channels of an annotated plane: those of its image, and other images on the same pixels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from napari.layers import Image, Layer
from numpy.typing import NDArray

from napari_samv1.app.canvas import NoPlaneError
from napari_samv1.layers.image import DisplayedPlane, plane_at
from napari_samv1.layers.inspection import is_picture
from napari_samv1.layers.recording import world_of
from napari_samv1.storage.exports.object_table import Channel
from napari_samv1.storage.session.record import PlaneSource

RGB = ("red", "green", "blue")


def channel_planes(layers: Iterable[Layer], source: PlaneSource) -> list[DisplayedPlane]:
    """Planes of Image layers on the pixels of the annotated one, which comes first; reads no pixels."""
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


def channels_of(planes: Iterable[DisplayedPlane]) -> list[Channel]:
    """Names and pixels (H, W) of planes, three for RGB. Slicing reads pixels; do it in a worker."""
    found: list[Channel] = []
    for plane in planes:
        if plane.rgb:
            found += [(f"{plane.name} {colour}", PlaneChannel(plane, i)) for i, colour in enumerate(RGB)]
        else:
            found.append((plane.name, PlaneChannel(plane)))
    return found


@dataclass(frozen=True)
class PlaneChannel:
    """Pixels (H, W) of a plane, or of one of its colours, read when sliced."""

    plane: DisplayedPlane
    colour: int | None = None

    def __getitem__(self, region: tuple[slice, slice]) -> NDArray[np.generic]:
        pixels = self.plane.read_part(region)
        return pixels if self.colour is None else pixels[..., self.colour]
