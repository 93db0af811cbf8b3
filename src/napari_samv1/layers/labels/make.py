"""Labels layers for masks: make one for an image, and check if another can be written to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

import numpy as np
from napari.layers import Image, Labels
from napari.utils.transforms import Affine

from napari_samv1.images.source import dtype_of
from napari_samv1.layers.image import DisplayedPlane
from napari_samv1.layers.labels.pyramid import LivePyramid, pyramid_or_copy_of
from napari_samv1.layers.prompts.features import transform_of
from napari_samv1.records.mask_crop import Region

LABEL_DTYPE = np.dtype(np.uint16)  # napari's own default, uint8, ends at 255 objects
WHOLE_STACK_BYTES = 1 << 30
LARGEST_PLANE = 4096 * 4096
COUNTED_EACH_TIME = 1 << 24
BLOCK_SIDE = 2048


class LabelsError(ValueError):
    """Error for a Labels layer that cannot take the masks; the message is a sentence with the reason."""


def make_labels(
    image: Image, plane: DisplayedPlane, *, name: str | None = None, as_array: bool = False
) -> Labels:
    """Make an empty Labels layer on the pixels of all planes of an image.

    Its data are an array (uint16) for planes of up to 4096 x 4096 pixels in stacks of up to 1 GiB, otherwise
    a live pyramid. ``as_array`` makes an array in any case, which can hold labels of other tools: of the
    displayed plane alone if the stack is large.
    """
    shape = np.array(image.data[0].shape if image.multiscale else image.data.shape)[: image.ndim]
    origin = np.zeros(image.ndim)
    is_large = shape.astype(np.float64).prod() * LABEL_DTYPE.itemsize > WHOLE_STACK_BYTES
    live = not as_array and (is_large or plane.shape_yx[0] * plane.shape_yx[1] > LARGEST_PLANE)
    if is_large and not live:
        origin = plane.position
        shape = np.where([index is None for index in plane.key.index], shape, 1)
    placed = Affine(scale=image.scale, rotate=image.rotate, shear=image.shear, translate=image.translate)
    transform = transform_of(image)
    transform["translate"] = np.asarray(placed(origin))
    name = name or f"{image.name} objects"
    if live:
        pyramid = LivePyramid(shape.tolist(), plane.axes)
        return Labels(list(pyramid.levels), multiscale=True, name=name, **transform)
    layer = Labels(np.zeros(shape, dtype=LABEL_DTYPE), name=name, **transform)
    _MADE_HERE.add(layer)
    return layer


def lacks_room(layer: Labels, number: int) -> bool:
    """Return True if a layer that was made here needs a wider type for an object's number."""
    return layer in _MADE_HERE and number > np.iinfo(layer.data.dtype).max


def widen(layer: Labels, number: int) -> None:
    """Give a layer a type that holds a number; its labels stay."""
    layer.data = layer.data.astype(np.promote_types(layer.data.dtype, np.min_scalar_type(number)))


def refusal(layer: Labels) -> str:
    """Reason why a Labels layer cannot be written to, or ""."""
    data: Any = layer.data
    if layer.multiscale:
        return (
            f"Labels layer “{layer.name}” has several levels, which cannot be written to: choose another, or "
            f"make one with “New”."
        )
    if type(data).__module__.partition(".")[0] == "dask":
        return (
            f"Labels layer “{layer.name}” is computed when it is read (dask) and cannot be written to: "
            f"save it as zarr and open that, or choose another."
        )
    flags = getattr(data, "flags", None)
    read_only = getattr(data, "read_only", False) is True or getattr(flags, "writeable", True) is False
    # HDF5 arrays are read-only if their file was opened so
    read_only |= getattr(getattr(data, "file", None), "mode", "") == "r"
    if read_only or not hasattr(data, "__setitem__"):
        return f"Labels layer “{layer.name}” is read-only: choose another, or duplicate it."
    if dtype_of(data).kind not in "ui":
        return f"Labels layer “{layer.name}” holds {data.dtype}, not integers: choose another."
    if not layer.editable:
        return f"Labels layer “{layer.name}” is locked: unlock it, or choose another."
    return ""


def highest_label(layer: Labels) -> int:
    """The largest label of a layer, 0 where there is none.

    The result for a large layer is cached: all of the layer is read, a block at a time, unless its store is
    still empty. Labels painted later become objects, and need no second read.
    """
    if (pyramid := pyramid_or_copy_of(layer)) is not None:
        return pyramid.highest
    data: Any = layer.data[0] if layer.multiscale else layer.data
    if dtype_of(data).kind not in "ui" or not all(data.shape):
        return 0
    if not is_large(data):
        return max(0, int(np.asarray(data).max()))
    cached = _HIGHEST.get(layer)
    if cached is None or cached[0] is not data:
        cached = _HIGHEST[layer] = data, _highest(data)
    return cached[1]


def is_large(data: Any) -> bool:
    """Return True if labels have too many pixels to be read each time."""
    return bool(np.prod(data.shape, dtype=np.float64) > COUNTED_EACH_TIME)


def _highest(data: Any) -> int:
    if isinstance(data, np.ndarray):
        return max(0, int(data.max()))
    if getattr(data, "nchunks_initialized", None) == 0:
        return max(0, int(getattr(data, "fill_value", 0) or 0))
    highest = 0
    for place in np.ndindex(tuple(data.shape[:-2])):
        for region in blocks(tuple(data.shape[-2:]), data):
            highest = max(highest, int(np.asarray(data[(*place, *region)]).max()))
    return highest


def blocks(shape_yx: tuple[int, int], data: Any) -> Iterator[Region]:
    """Regions that cover a plane, in whole chunks if there are chunks; one region if it is small."""
    chunks = getattr(data, "chunks", None)
    sizes = [BLOCK_SIDE, BLOCK_SIDE]
    if not is_large(data):
        sizes = list(shape_yx)
    elif isinstance(chunks, tuple) and all(isinstance(chunk, int) for chunk in chunks):
        sizes = [chunk * max(1, BLOCK_SIDE // chunk) for chunk in chunks[-2:]]
    height, width = shape_yx
    for top in range(0, height, sizes[0]):
        for left in range(0, width, sizes[1]):
            yield slice(top, min(top + sizes[0], height)), slice(left, min(left + sizes[1], width))


# layers made here, so that their arrays may be replaced
_MADE_HERE: WeakSet[Labels] = WeakSet()
_HIGHEST: WeakKeyDictionary[Labels, tuple[Any, int]] = WeakKeyDictionary()
