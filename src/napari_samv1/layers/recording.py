"""What a session's record says of napari's layers: which plane it was, where from, and where in the world."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import Any

import numpy as np
from napari.layers import Image, Layer

from napari_samv1.layers.affine import Coordinates
from napari_samv1.layers.image import DisplayedPlane
from napari_samv1.layers.ome_tiff import path_of
from napari_samv1.layers.sheets import Sheet
from napari_samv1.storage.session.record import PlaneSource, World
from napari_samv1.storage.session.recorder import Annotated

_Placed = tuple[Hashable, ...]


class SheetReader:
    """Reads every annotated plane for the record; what has not changed is not worked out again."""

    def __init__(self) -> None:
        self._sources: dict[Hashable, tuple[_Placed, PlaneSource]] = {}

    def read(
        self, sheets: Iterable[Sheet], layers: Iterable[Layer], pixels: Mapping[Hashable, str]
    ) -> list[Annotated]:
        """The planes whose images are among the ``layers``, in the order of images and slices.

        ``pixels`` are hashes of planes by their keys.
        """
        images = {layer.unique_id: layer for layer in layers if isinstance(layer, Image)}
        placed = {own_id: _placed(image) for own_id, image in images.items()}
        order = {own_id: rank for rank, own_id in enumerate(images)}
        found = []
        sources: dict[Hashable, tuple[_Placed, PlaneSource]] = {}
        for sheet in sheets:
            key = sheet.plane.key
            image = images.get(key.layer_id)
            if image is None:
                continue
            sheet.pixels = pixels.get(key, sheet.pixels)
            now = *placed[key.layer_id], sheet.pixels
            kept = self._sources.get(key)
            if kept is None or kept[0] != now:
                kept = now, plane_source(image, sheet.plane, sheet.pixels)
            sources[key] = kept
            place = tuple(-1 if own is None else own for own in key.index)
            annotated = Annotated(kept[1], sheet.session, sheet.labels_beneath(), sheet.drawn)
            found.append((order[key.layer_id], place, annotated))
        self._sources = sources
        return [annotated for _, _, annotated in sorted(found, key=lambda one: one[:2])]


def _placed(image: Image) -> _Placed:
    """What a plane's source says beside the plane itself: name, origin, and place in the world."""
    axes = np.vstack([np.zeros(image.ndim), np.eye(image.ndim)])
    corners = tuple(float(value) for corner in axes for value in image.data_to_world(tuple(corner)))
    return image.name, path_of(image), str(image.source.sample), corners, str(image.units)


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
        path=path_of(image),
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
