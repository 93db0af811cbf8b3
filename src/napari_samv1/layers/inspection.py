"""Arrays from inside the model as layers that lie exactly on the image."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from napari.layers import Image, Labels, Layer
from napari.utils.colormaps import DirectLabelColormap
from napari.utils.transforms import Affine
from numpy.typing import NDArray

if TYPE_CHECKING:
    from napari_samv1.inspection.cells import Cells
    from napari_samv1.layers.image import DisplayedPlane


MADE_HERE = "napari-samv1 inspection"


def is_picture(layer: Layer) -> bool:
    """Return True if a layer shows the inside of a model and is no image to segment."""
    return MADE_HERE in layer.metadata


@dataclass(frozen=True, eq=False)
class Picture:
    """Array to show, (..., h, w) or with ``rgb`` (..., h, w, 3), and the place of its cells.

    ``axes`` names the axes before the rows; each gets a slider. ``captions`` describes each step of the first
    slider, and ``start`` is its first position. ``colours`` makes it a Labels layer.
    """

    name: str
    data: NDArray[Any] = field(repr=False)
    cells: Cells
    axes: tuple[str, ...] = ()
    captions: tuple[str, ...] = ()
    rgb: bool = False
    colours: Mapping[int | None, str] | None = None
    contrast: tuple[float, float] | None = None
    colormap: str = "viridis"
    opacity: float = 0.75
    visible: bool = True
    start: int = 0

    @property
    def kind(self) -> Literal["image", "labels"]:
        return "image" if self.colours is None else "labels"


def placement(picture: Picture, image: Image | None, plane: DisplayedPlane | None) -> dict[str, Any]:
    """Return layer settings that place a picture on an image's plane, or without one on its own pixels.

    The picture's own axes come first, then all of the image's.
    """
    cells = picture.cells
    if image is None or plane is None:
        count = len(picture.axes)
        return {
            "scale": (*(1.0,) * count, *cells.step_yx),
            "translate": (*(0.0,) * count, *cells.origin_yx),
            "axis_labels": (*picture.axes, "row", "column"),
        }
    factors, first = np.ones(image.ndim), plane.position
    plane_factors, axes = np.asarray(plane.factors_yx), list(plane.axes)
    factors[axes] = np.asarray(cells.step_yx) * plane_factors
    # pixel centres are whole numbers, so a coarse pixel i begins at i * factor - 0.5
    first[axes] = (np.asarray(cells.origin_yx) + 0.5) * plane_factors - 0.5
    # in world coordinates the image is first sheared and scaled, then turned, then moved
    on_image = Affine(scale=image.scale, rotate=image.rotate, shear=image.shear, translate=image.translate)
    leading = list(range(len(picture.axes)))
    turned = Affine(scale=np.asarray(image.scale) * factors, rotate=image.rotate, shear=image.shear)
    expanded = turned.expand_dims(leading)
    return {
        "scale": expanded.scale,
        "rotate": expanded.rotate,
        "shear": _shear_of(expanded),
        "translate": np.concatenate([np.zeros(len(leading)), np.asarray(on_image(first))]),
        "affine": image.affine.expand_dims(leading),
        "units": (*("pixel",) * len(leading), *image.units),
        "axis_labels": (*picture.axes, *image.axis_labels),
    }


def _shear_of(transform: Affine) -> NDArray[np.float64]:
    count = transform.ndim * (transform.ndim - 1) // 2
    shear = np.asarray(transform.shear, dtype=np.float64)
    # for a transform without shear napari returns one zero per axis, and then refuses that length
    return shear if shear.any() else np.zeros(count)


def shaped(picture: Picture, image: Image | None, plane: DisplayedPlane | None) -> NDArray[Any]:
    """The picture's array without padding, with the image's axes: one step on hidden ones."""
    rows, columns = picture.cells.shape_yx
    data = picture.data[..., :rows, :columns, :] if picture.rgb else picture.data[..., :rows, :columns]
    if image is None or plane is None:
        return data
    shape = np.ones(image.ndim, dtype=int)
    shape[list(plane.axes)] = data.shape[len(picture.axes) : len(picture.axes) + 2]
    return data.reshape(*data.shape[: len(picture.axes)], *shape, *((3,) if picture.rgb else ()))


def make_layer(picture: Picture, image: Image | None, plane: DisplayedPlane | None) -> Layer:
    """Make a layer of a picture, shown without interpolation."""
    data, placed = shaped(picture, image, plane), placement(picture, image, plane)
    common = {
        "metadata": {MADE_HERE: True},
        "name": picture.name,
        "opacity": picture.opacity,
        "visible": picture.visible,
        **placed,
    }
    if picture.colours is not None:
        colours: dict[int | None, str] = {None: "transparent", 0: "transparent", **picture.colours}
        return Labels(data, colormap=DirectLabelColormap(color_dict=colours), **common)
    if picture.rgb:
        return Image(data, rgb=True, interpolation2d="nearest", **common)
    return Image(
        data,
        colormap=picture.colormap,
        contrast_limits=contrast_of(picture),
        interpolation2d="nearest",
        **common,
    )


def contrast_of(picture: Picture) -> tuple[float, float]:
    """Contrast limits of a picture, by default the range of its array."""
    if picture.contrast is not None:
        return picture.contrast
    low, high = float(np.min(picture.data)), float(np.max(picture.data))
    return (low, high) if high > low else (low, low + 1)


class ShownPictures:
    """Layers of the pictures shown now; the next pictures replace them.

    A picture with the same key reuses its layer, so that the user's changes (name, colormap, opacity, order)
    stay. Other layers made here are removed, because their sliders would mix with the new ones. Layers are
    held by reference, never by name; duplicates belong to the user.
    """

    def __init__(self, viewer: Any) -> None:
        self.viewer = viewer
        self._layers: dict[Hashable, Layer] = {}
        self._names: dict[Hashable, str] = {}

    def layer(self, key: Hashable) -> Layer | None:
        """The layer that shows this key's picture now."""
        layer = self._layers.get(key)
        return layer if layer is not None and layer in self.viewer.layers else None

    def show(
        self, pictures: Mapping[Hashable, Picture], image: Image | None, plane: DisplayedPlane | None
    ) -> None:
        """Show these pictures above the image, in the place of the last ones."""
        active = self.viewer.layers.selection.active
        new: list[tuple[Layer, Picture]] = []
        for key, picture in pictures.items():
            old = self.layer(key)
            if old is not None and _update(old, picture, image, plane):
                self._rename(key, old, picture)
                continue
            self._forget(key)
            layer = self._layers[key] = self._add(make_layer(picture, image, plane), image)
            self._names[key] = layer.name
            new.append((layer, picture))
        for key in [key for key in self._layers if key not in pictures]:
            self._forget(key)
        for layer, picture in new:
            if picture.axes:
                self.viewer.dims.set_point(self.viewer.dims.ndim - layer.ndim, picture.start)
        if active is not None and active in self.viewer.layers:
            self.viewer.layers.selection.active = active

    def _forget(self, key: Hashable) -> None:
        layer = self.layer(key)
        if layer is not None:
            self.viewer.layers.remove(layer)
        self._layers.pop(key, None)

    def _rename(self, key: Hashable, layer: Layer, picture: Picture) -> None:
        if layer.name == self._names[key]:  # otherwise the user renamed it
            layer.name = picture.name
            self._names[key] = layer.name

    def _add(self, layer: Layer, image: Image | None) -> Layer:
        layers = self.viewer.layers
        ours = [one for one in self._layers.values() if one in layers]
        added: Layer = self.viewer.add_layer(layer)
        if image is not None and image in layers:
            above = max(layers.index(one) for one in (image, *ours))
            layers.move(layers.index(added), above + 1)
        return added


def _update(layer: Layer, picture: Picture, image: Image | None, plane: DisplayedPlane | None) -> bool:
    """Show another picture in a layer; False if the layer is of another kind."""
    data, placed = shaped(picture, image, plane), placement(picture, image, plane)
    is_labels = isinstance(layer, Labels)
    same_kind = is_labels == (picture.kind == "labels") and getattr(layer, "rgb", False) == picture.rgb
    if not same_kind or layer.ndim != len(placed["scale"]):
        return False
    layer.data = data
    for name, value in placed.items():
        setattr(layer, name, value)
    if not is_labels and not picture.rgb:
        limits = contrast_of(picture)
        layer.contrast_limits_range = limits
        layer.contrast_limits = limits
    return True
