"""Outlines of the encoded regions, in a layer that is part of no annotation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from napari.layers import Image, Shapes

from napari_samv1.layers.image import DisplayedPlane
from napari_samv1.layers.inspection import MADE_HERE
from napari_samv1.layers.prompts.features import transform_of

NAME = "encoded regions"
EDGES_IN_A_REGION = 300
"""Outline widths in a region's side; regions are about as large as the screen."""


class RegionOutlines:
    """Shapes layer of the windows last passed to ``show``; removed by ``hide``, or by the user."""

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer
        self._layer: Shapes | None = None
        self._image: Image | None = None
        self._shown: tuple[object, ...] = ()

    def show(self, image: Image, plane: DisplayedPlane, windows: Sequence[tuple[int, int, int, int]]) -> None:
        """Outline windows (first row, first column, height, width) of a plane of an image."""
        shown = image.unique_id, plane.key, tuple(windows)
        if shown == self._shown:
            return
        self._shown = shown
        corners = [
            plane.to_layer(np.add([(y, x), (y, x + w), (y + h, x + w), (y + h, x)], -0.5))
            for y, x, h, w in windows
        ]
        widths = [max(1.0, max(h, w) / EDGES_IN_A_REGION) for _, _, h, w in windows]
        if self._layer is not None and self._layer in self._viewer.layers and self._image is image:
            self._layer.data = (corners, ["polygon"] * len(corners)) if corners else []
            if corners:
                # napari draws edges of new shapes one pixel wide
                self._layer.edge_width = widths
            self._layer.editable = False
            return
        self.hide()
        self._shown, self._image = shown, image
        active = self._viewer.layers.selection.active
        self._layer = Shapes(
            corners or None,
            ndim=image.ndim,
            shape_type="polygon",
            face_color="#00000000",
            edge_color="#3a8ee6",
            edge_width=widths or 1.0,
            name=NAME,
            metadata={MADE_HERE: True},
            **transform_of(image),
        )
        self._layer.editable = False
        self._viewer.add_layer(self._layer)
        if active is not None:
            self._viewer.layers.selection.active = active

    def hide(self) -> None:
        """Remove the layer."""
        layer, self._layer, self._image, self._shown = self._layer, None, None, ()
        if layer is not None and layer in self._viewer.layers:
            self._viewer.layers.remove(layer)
