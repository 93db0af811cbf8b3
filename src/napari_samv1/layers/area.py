"""Shapes layer for the area that an automatic run searches; no prompt is read from it."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.layers import Image, Shapes

from napari_samv1.layers.image import DisplayedPlane
from napari_samv1.layers.inspection import MADE_HERE
from napari_samv1.layers.prompts.features import transform_of
from napari_samv1.layers.prompts.read import read_shapes
from napari_samv1.masks.drawn import AREAS, interior
from napari_samv1.records.mask_crop import EMPTY, MaskCrop, union

COLOUR = "#f0e442"
MOST_PIXELS = 1 << 28
TOO_LARGE = (
    "The box around the drawn area has more than 268 million pixels: draw smaller areas, one after another, "
    "or look in the image."
)


class DrawnArea:
    """Layer of the drawn area, made on first use; it stays until the user deletes it."""

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer
        self._layer: Shapes | None = None

    @property
    def layer(self) -> Shapes | None:
        """The layer, or None if the viewer does not hold it."""
        layer = self._layer
        return layer if layer is not None and layer in self._viewer.layers else None

    @property
    def is_drawn(self) -> bool:
        """True if the layer holds a shape."""
        layer = self.layer
        return layer is not None and len(layer.data) > 0

    def draw(self, image: Image) -> Shapes:
        """Start drawing polygons of the area on an image."""
        layer = self.layer
        if layer is None or layer.ndim != image.ndim:
            layer = self._layer = Shapes(
                None,
                ndim=image.ndim,
                name="area to look in",
                edge_color=COLOUR,
                face_color="#00000000",
                edge_width=max(1.0, max(image.data.shape[: image.ndim][-2:]) / 250)
                if not image.multiscale
                else max(1.0, max(image.data[0].shape[: image.ndim][-2:]) / 250),
                metadata={MADE_HERE: "area"},
                **transform_of(image),
            )
            self._viewer.add_layer(layer)
        self._viewer.layers.selection.active = layer
        layer.mode = "add_polygon"
        return layer

    def on(self, image: Image, plane: DisplayedPlane) -> MaskCrop:
        """The inside of all shapes on a plane of an image; empty where nothing is drawn.

        Raises
        ------
        ValueError
            If the box around them has more than 268 million pixels; the message is a sentence.
        """
        layer, area = self.layer, EMPTY
        if layer is None:
            return area
        shapes = [
            shape
            for row in read_shapes(plane, image, layer).rows.values()
            for shape in row
            if shape.kind in AREAS
        ]
        if not shapes:
            return area
        corners = np.concatenate([shape.vertices_yx for shape in shapes])
        if np.ptp(np.clip(corners, 0, plane.shape_yx), axis=0).prod() > MOST_PIXELS:
            raise ValueError(TOO_LARGE)
        for shape in shapes:
            area = union(area, interior(plane.shape_yx, shape.kind, shape.vertices_yx))
        return area
