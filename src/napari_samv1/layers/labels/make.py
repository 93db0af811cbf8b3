"""Labels layers for masks: making one that fits an image, and saying why another cannot take them."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.layers import Image, Labels
from napari.utils.transforms import Affine

from napari_samv1.layers.image import DisplayedPlane
from napari_samv1.layers.labels.pyramid import LivePyramid, pyramid_of
from napari_samv1.layers.prompts.features import transform_of

LABEL_DTYPE = np.dtype(np.uint16)  # napari's own default, uint8, ends at 255 objects
WHOLE_STACK_BYTES = 1 << 30
LARGEST_PLANE = 4096 * 4096
SLAB_PIXELS = 1 << 24


class LabelsError(ValueError):
    """A Labels layer cannot take the masks; the message is a sentence that says why."""


def make_labels(
    image: Image, plane: DisplayedPlane, *, name: str | None = None, as_array: bool = False
) -> Labels:
    """An empty Labels layer on the pixels of the displayed plane and all others, placed as the image is.

    Masks of planes of up to 4096 x 4096 pixels, and of stacks of up to 1 GiB, are an array (uint16); larger
    ones a live pyramid. ``as_array`` makes an array of any plane, of a large stack for the displayed one
    alone: where it has to hold labels of other tools.
    """
    shape = np.array(image.data[0].shape if image.multiscale else image.data.shape)[: image.ndim]
    factors = np.ones(image.ndim)
    shape[list(plane.axes)] = plane.shape_yx
    factors[list(plane.axes)] = plane.factors_yx
    origin = np.zeros(image.ndim)
    is_large = shape.astype(np.float64).prod() * LABEL_DTYPE.itemsize > WHOLE_STACK_BYTES
    live = not as_array and (is_large or plane.shape_yx[0] * plane.shape_yx[1] > LARGEST_PLANE)
    if is_large and not live:
        origin = plane.position
        shape = np.where([index is None for index in plane.key.index], shape, 1)
    # a coarse pixel's centre lies between the fine ones that it spans
    origin = origin + (factors - 1) / 2
    placed = Affine(scale=image.scale, rotate=image.rotate, shear=image.shear, translate=image.translate)
    transform = transform_of(image)
    transform["scale"] = np.asarray(image.scale) * factors
    transform["translate"] = np.asarray(placed(origin))
    name = name or f"{image.name} objects"
    if live:
        pyramid = LivePyramid(shape.tolist(), plane.axes)
        return Labels(list(pyramid.levels), multiscale=True, name=name, **transform)
    return Labels(np.zeros(shape, dtype=LABEL_DTYPE), name=name, **transform)


def refusal(layer: Labels) -> str:
    """Why a Labels layer cannot be written to at all, or ""."""
    data: Any = layer.data
    if layer.multiscale:
        return f"Labels layer “{layer.name}” has several levels, which cannot be written to: choose another."
    if type(data).__module__.partition(".")[0] == "dask":
        return f"Labels layer “{layer.name}” is lazy (dask) and cannot be written to: choose another."
    flags = getattr(data, "flags", None)
    read_only = getattr(data, "read_only", False) is True or getattr(flags, "writeable", True) is False
    if read_only or not hasattr(data, "__setitem__"):
        return f"Labels layer “{layer.name}” is read-only: choose another, or duplicate it."
    if np.dtype(data.dtype).kind not in "ui":
        return f"Labels layer “{layer.name}” holds {data.dtype}, not integers: choose another."
    if not layer.editable:
        return f"Labels layer “{layer.name}” is locked: unlock it, or choose another."
    return ""


def highest_label(layer: Labels) -> int:
    """The largest label of a layer, 0 where there is none; reads all of it, a slab at a time."""
    if (pyramid := pyramid_of(layer)) is not None:
        return pyramid.highest
    data: Any = layer.data[0] if layer.multiscale else layer.data
    if np.dtype(data.dtype).kind not in "ui" or not all(data.shape):
        return 0
    if isinstance(data, np.ndarray):
        return max(0, int(data.max()))
    rows = max(1, SLAB_PIXELS // int(np.prod(data.shape[1:], dtype=np.int64)))
    slabs = (np.asarray(data[start : start + rows]) for start in range(0, data.shape[0], rows))
    return max(0, *(int(slab.max()) for slab in slabs))
