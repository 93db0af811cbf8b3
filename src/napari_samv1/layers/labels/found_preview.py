"""Preview of found objects: a read-only Labels layer, exactly on the image."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from napari.layers import Image, Labels
from napari.utils.transforms import Affine

from napari_samv1.layers.connections import Connections
from napari_samv1.layers.image import DisplayedPlane
from napari_samv1.layers.inspection import MADE_HERE
from napari_samv1.layers.labels.make import LARGEST_PLANE
from napari_samv1.layers.labels.pyramid import LivePyramid
from napari_samv1.layers.prompts.features import transform_of
from napari_samv1.layers.prompts.follow import TRANSFORM_EVENTS
from napari_samv1.masks.packed import PackedCrop
from napari_samv1.records.place import Plane
from napari_samv1.records.settings import OVERWRITE

NAME = "found (preview)"


class ArrayMasks:
    """Masks in an array of one plane; numbers above 65,535 begin again, as this is a preview only."""

    def __init__(self, shape: tuple[int, ...], axes: tuple[int, int]) -> None:
        self.data = np.zeros(shape, np.uint16)
        self._shown = self.data.reshape([shape[axis] for axis in axes])

    def draw(self, masks: Mapping[int, PackedCrop], _level: int) -> bool:
        """Show masks, the lowest first; False if nothing changed."""
        wanted = np.zeros_like(self._shown)
        for number, packed in masks.items():
            crop = packed.crop()
            wanted[crop.region][crop.mask] = (number - 1) % np.iinfo(wanted.dtype).max + 1
        if np.array_equal(self._shown, wanted):
            return False
        np.copyto(self._shown, wanted)
        return True


class PyramidMasks:
    """Masks of a plane of any size, drawn where napari reads."""

    def __init__(self, shape: tuple[int, ...], axes: tuple[int, int]) -> None:
        self._pyramid = LivePyramid(shape, axes)
        self._plane = Plane(tuple(None if axis in axes else 0 for axis in range(len(shape))))
        self._masks: dict[int, PackedCrop] = {}
        self.data = list(self._pyramid.levels)

    def draw(self, masks: Mapping[int, PackedCrop], level: int) -> bool:
        """Show masks, the lowest first; False if nothing changed in the last read of a level."""
        before, self._masks = self._masks, dict(masks)
        same = {number for number, packed in masks.items() if before.get(number) is packed}
        changed = (before.keys() | masks.keys()) - same
        if not changed:
            return False
        new = {number: (number, masks[number].crop(), OVERWRITE) for number in changed & masks.keys()}
        stack = self._pyramid.on(self._plane).stack.changed(tuple(masks), new)
        regions = self._pyramid.put(self._plane, stack, changed)
        return self._pyramid.is_in_last_read(level, self._plane, regions)


class FoundPreview:
    """Locked layer on the displayed plane; removed by ``hide``, or by the user.

    ``on_removed`` is called when the user deletes it.
    """

    def __init__(self, viewer: Any, on_removed: Callable[[], None]) -> None:
        self._viewer = viewer
        self._on_removed = on_removed
        self._layer: Labels | None = None
        self._masks: ArrayMasks | PyramidMasks | None = None
        self._grid: tuple[object, ...] = ()
        self._on: tuple[Image, DisplayedPlane] | None = None
        self._image_connections = Connections()
        viewer.layers.events.removed.connect(self._layer_removed)

    @property
    def layer(self) -> Labels | None:
        """The layer, or None."""
        return self._layer

    def show(self, masks: Mapping[int, PackedCrop], image: Image, plane: DisplayedPlane) -> None:
        """Show numbered masks of a plane, the lowest first."""
        self._on = image, plane
        grid = id(image), plane.axes, plane.shape_yx, plane.factors_yx
        if self._layer is None or self._masks is None or grid != self._grid:
            self.hide()
            if masks:
                self._grid = grid
                self._masks = _masks_for(image, plane)
                self._masks.draw(masks, 0)
                self._add(_layer(self._masks, image, plane))
                self._on = image, plane
                self._image_connections.connect(image.events, TRANSFORM_EVENTS, self._place)
            return
        # the layer is reused, because replacing it at every step of a slider costs much more
        changed = self._masks.draw(masks, self._layer.data_level)
        self._place()
        if changed:
            self._layer.refresh(extent=False, thumbnail=False, highlight=False)

    def _place(self, _event: Any = None) -> None:
        """Lay the layer on the image, where it is now."""
        if self._layer is None or self._on is None:
            return
        for name, value in _transform(*self._on).items():
            if not _is_equal(getattr(self._layer, name), value):
                setattr(self._layer, name, value)

    def _add(self, layer: Labels) -> None:
        layers = self._viewer.layers
        active = layers.selection.active
        self._layer = layer
        layers.append(layer)
        # above all images, which may hide it
        highest = max(place for place, one in enumerate(layers) if isinstance(one, Image))
        layers.move(len(layers) - 1, highest + 1)
        if active is not None:
            layers.selection.active = active

    def hide(self) -> None:
        """Remove the layer."""
        layer = self._layer
        self._forget()
        if layer is not None and layer in self._viewer.layers:
            self._viewer.layers.remove(layer)

    def close(self) -> None:
        """Stop listening, and remove the layer."""
        self._viewer.layers.events.removed.disconnect(self._layer_removed)
        self.hide()

    def _layer_removed(self, event: Any) -> None:
        if self._layer is not None and event.value is self._layer:
            self._forget()
            self._on_removed()

    def _forget(self) -> None:
        self._image_connections.close()
        self._layer, self._masks, self._grid, self._on = None, None, (), None


def _is_equal(one: Any, other: Any) -> bool:
    matrices = (getattr(value, "affine_matrix", value) for value in (one, other))
    return np.array_equal(*matrices)


def _masks_for(image: Image, plane: DisplayedPlane) -> ArrayMasks | PyramidMasks:
    shape = [1] * image.ndim
    for axis, size in zip(plane.axes, plane.shape_yx, strict=True):
        shape[axis] = size
    kind = ArrayMasks if math.prod(shape) <= LARGEST_PLANE else PyramidMasks
    return kind(tuple(shape), plane.axes)


def _layer(masks: ArrayMasks | PyramidMasks, image: Image, plane: DisplayedPlane) -> Labels:
    layer = Labels(
        masks.data,
        multiscale=isinstance(masks, PyramidMasks),
        name=NAME,
        opacity=0.55,
        metadata={MADE_HERE: "found"},
        **_transform(image, plane),
    )
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
