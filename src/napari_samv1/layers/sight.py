"""Channels of the chosen image for the model: the layer alone, or the visible images that lie on it."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import replace
from typing import Any

import numpy as np
from napari.layers import Image, Layer

from napari_samv1.images.seen import Limits, Seen, SeenImage
from napari_samv1.layers.affine import between_layers
from napari_samv1.layers.connections import Connections
from napari_samv1.layers.image import DisplayedPlane, plane_at
from napari_samv1.layers.inspection import is_picture
from napari_samv1.layers.projection import projection_of
from napari_samv1.layers.prompts.follow import TRANSFORM_EVENTS
from napari_samv1.records.display import GREY, Paint
from napari_samv1.records.sight import Sight

LOOK_EVENTS = "contrast_limits gamma colormap blending opacity visible"
COLOURS = 256


class ImageSight:
    """Completes the planes of an image with the images that the model is to see.

    Calls ``on_change``, without arguments, when these may have changed. Reads no pixels.
    """

    def __init__(self, viewer: Any, on_change: Callable[[], None]) -> None:
        self._viewer, self._on_change = viewer, on_change
        self._sight = Sight()
        self._found: dict[Hashable, Limits] = {}
        self._revisions: dict[Hashable, int] = {}  # of images whose data was replaced
        self._layers = Connections()
        self._looks = Connections()
        self._layers.connect(viewer.layers.events, "inserted removed reordered", self._layers_changed)
        self._layers.connect(viewer.dims.events, "margin_left margin_right", self._slices_changed)
        self._follow()

    def close(self) -> None:
        """Disconnect from the layers."""
        self._layers.close()
        self._looks.close()

    @property
    def sight(self) -> Sight:
        """Channels and limits for the model."""
        return self._sight

    @sight.setter
    def sight(self, sight: Sight) -> None:
        if sight != self._sight:
            self._sight = sight
            self._on_change()

    def complete(self, plane: DisplayedPlane, image: Image) -> DisplayedPlane:
        """The plane with the images that the model is to see; reads no pixels.

        Raises
        ------
        NoPlaneError
            If napari shows nothing of a thick slice.
        """
        if self._sight.channels == "layer":
            images = [plane.as_image(projection=projection_of(self._viewer, image, plane.key.index))]
        else:
            images = self._images_on(plane, image)
        seen = Seen(
            plane.plane,
            plane.shape_yx,
            tuple(images),
            is_alone=[one.key for one in images] == [plane.key],
            sight=self._sight,
            found=self._found,
        )
        return replace(plane, selected=seen)

    def _images_on(self, plane: DisplayedPlane, image: Image) -> list[SeenImage]:
        images: list[SeenImage] = []
        for layer in self._channels(image):
            channel = plane if layer is image else plane_at(layer, plane.key.index, level=plane.level)
            projection = projection_of(self._viewer, layer, plane.key.index)
            shown = channel.as_image(paint_of(layer, is_lowest=not images), projection)
            images.append(replace(shown, revision=self._revisions.get(layer.unique_id, 0)))
        return images

    def _channels(self, image: Image) -> list[Image]:
        """Visible images on the pixels of an image, the lowest first; the image itself if none is visible."""
        candidates = [
            layer
            for layer in self._viewer.layers
            if isinstance(layer, Image)
            and (layer is image or (not is_picture(layer) and lies_on(layer, image)))
        ]
        return [layer for layer in candidates if layer.visible and layer.opacity > 0] or [image]

    def _layers_changed(self, _event: Any = None) -> None:
        self._follow()
        self._seen_changed()

    def _follow(self) -> None:
        self._looks.close()
        for layer in self._viewer.layers:
            if isinstance(layer, Image) and not is_picture(layer):
                self._looks.connect(layer.events, f"{LOOK_EVENTS} {TRANSFORM_EVENTS}", self._seen_changed)
                self._looks.connect(layer.events, "data", self._data_changed)
                self._looks.connect(layer.events, "projection_mode", self._slices_changed)

    def _data_changed(self, event: Any) -> None:
        layer: Layer = event.source
        self._revisions[layer.unique_id] = self._revisions.get(layer.unique_id, 0) + 1
        self._seen_changed()

    def _slices_changed(self, _event: Any = None) -> None:
        self._on_change()

    def _seen_changed(self, _event: Any = None) -> None:
        # contrast and data of the image itself are followed by the binding
        if self._sight.channels == "visible":
            self._on_change()


def lies_on(layer: Image, image: Image) -> bool:
    """Return True if an image has as many pixels as another one, in the same places."""
    if layer.ndim != image.ndim or _shape(layer) != _shape(image):
        return False
    corners = np.vstack([np.zeros(image.ndim), np.diag(_shape(image))])
    return bool(np.allclose(between_layers(layer, image)(corners), corners, atol=1e-3))


def paint_of(layer: Image, *, is_lowest: bool) -> Paint:
    """Colours, blending and opacity of an image layer; the lowest lies on black."""
    blending: Any = str(layer.blending).removesuffix("_no_depth")
    opacity = float(layer.opacity)
    if is_lowest and blending == "minimum":
        opacity = 1.0  # as napari draws it
    if is_lowest:
        blending = "translucent"
    if layer.rgb:
        return Paint(GREY, blending, opacity)
    table = np.asarray(layer.colormap.map(np.linspace(0, 1, COLOURS)), dtype=np.float64)
    is_linear = np.allclose(table, np.linspace(table[0], table[-1], COLOURS), atol=1e-4)
    # napari's colours have 32 bits
    colours = np.clip(np.round(table[:: COLOURS - 1] if is_linear else table, 6), 0, 1)
    return Paint(tuple((r, g, b, a) for r, g, b, a in colours.tolist()), blending, opacity)


def _shape(image: Image) -> tuple[int, ...]:
    first: Any = image.data[0] if image.multiscale else image.data
    return tuple(int(size) for size in first.shape[: image.ndim])
