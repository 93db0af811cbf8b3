"""Preview of found objects: a read-only Labels layer, exactly on the image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from napari.layers import Image, Labels
from napari.utils.transforms import Affine
from numpy.typing import NDArray

from napari_samv1.layers.image import DisplayedPlane
from napari_samv1.layers.inspection import MADE_HERE
from napari_samv1.layers.prompts.features import transform_of

NAME = "found (preview)"


class FoundPreview:
    """Locked layer on the displayed plane; removed by ``hide``, or by the user.

    ``on_removed`` is called when the user deletes it.
    """

    def __init__(self, viewer: Any, on_removed: Callable[[], None]) -> None:
        self._viewer = viewer
        self._on_removed = on_removed
        self._layer: Labels | None = None
        self._grid: tuple[object, ...] = ()
        viewer.layers.events.removed.connect(self._layer_removed)

    @property
    def layer(self) -> Labels | None:
        """The layer, or None."""
        return self._layer

    def show(self, labels: NDArray[Any] | None, image: Image, plane: DisplayedPlane) -> None:
        """Show labels (H, W) of a plane, None for nothing."""
        grid = id(image), plane.axes, plane.shape_yx, plane.factors_yx
        if self._layer is None or grid != self._grid:
            self.hide()
            if labels is None:
                return
            self._grid = grid
            self._add(_layer(labels, image, plane), image)
            return
        # the layer is reused, because replacing it at every step of a slider costs much more
        shown, changed = self._layer.data.reshape(plane.shape_yx), False
        wanted = np.zeros_like(shown) if labels is None else labels
        if not np.array_equal(shown, wanted):
            np.copyto(shown, wanted)
            changed = True
        translate = _transform(image, plane)["translate"]
        if not np.array_equal(self._layer.translate, translate):
            self._layer.translate = translate
        if changed:
            self._layer.refresh(extent=False, thumbnail=False, highlight=False)

    def _add(self, layer: Labels, image: Image) -> None:
        layers = self._viewer.layers
        active = layers.selection.active
        self._layer = layer
        layers.append(layer)
        layers.move(len(layers) - 1, layers.index(image) + 1)
        if active is not None:
            layers.selection.active = active

    def hide(self) -> None:
        """Remove the layer."""
        layer, self._layer, self._grid = self._layer, None, ()
        if layer is not None and layer in self._viewer.layers:
            self._viewer.layers.remove(layer)

    def close(self) -> None:
        """Stop listening, and remove the layer."""
        self._viewer.layers.events.removed.disconnect(self._layer_removed)
        self.hide()

    def _layer_removed(self, event: Any) -> None:
        if self._layer is not None and event.value is self._layer:
            self._layer, self._grid = None, ()
            self._on_removed()


def _layer(labels: NDArray[Any], image: Image, plane: DisplayedPlane) -> Labels:
    shape = np.ones(image.ndim, dtype=int)
    shape[list(plane.axes)] = plane.shape_yx
    data = np.array(labels).reshape(tuple(shape))
    layer = Labels(data, name=NAME, opacity=0.55, metadata={MADE_HERE: "found"}, **_transform(image, plane))
    layer.editable = False
    if hasattr(layer, "locked"):
        layer.locked = True
    return layer


def _transform(image: Image, plane: DisplayedPlane) -> dict[str, Any]:
    """Layer settings that place one plane of pixels exactly on an image."""
    factors = np.ones(image.ndim)
    factors[list(plane.axes)] = plane.factors_yx
    # a coarse pixel's centre lies between the fine ones that it spans
    origin = plane.position + (factors - 1) / 2
    placed = Affine(scale=image.scale, rotate=image.rotate, shear=image.shear, translate=image.translate)
    transform = transform_of(image)
    transform["scale"] = np.asarray(image.scale) * factors
    transform["translate"] = np.asarray(placed(origin))
    return transform
