"""Writers for File > Save Selected Layers: a Labels layer as COCO JSON, GeoJSON, a table, or OME-Zarr."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from napari.layers import Points
from numpy.typing import NDArray

from napari_samv1.layers.plain_text import plain
from napari_samv1.layers.recording import world_of
from napari_samv1.storage.exports.coco import CocoImage, write_coco
from napari_samv1.storage.exports.geojson import write_geojson
from napari_samv1.storage.exports.object_table import write_table
from napari_samv1.storage.exports.ome_zarr import write_ome_zarr
from napari_samv1.storage.session.composite import label_objects
from napari_samv1.storage.session.record import World

Meta = dict[str, Any]

TRANSFORM = ("scale", "translate", "rotate", "shear", "affine", "units")


def write_labels_coco(path: str, data: Any, meta: Meta) -> list[str]:
    """Write each label as an object, with its holes and separate parts."""
    labels, _ = _plane(data, meta)
    objects = [(label, mask, None) for label, mask in label_objects(labels)]
    size = int(labels.shape[0]), int(labels.shape[1])
    image = CocoImage(str(meta.get("name", "image")), size, objects)
    return [str(write_coco(path, [image]))]


def write_labels_geojson(path: str, data: Any, meta: Meta) -> list[str]:
    """Write polygons in pixels, as QuPath reads them."""
    labels, _ = _plane(data, meta)
    objects = [(label, mask, {"Area px": mask.area}) for label, mask in label_objects(labels)]
    return [str(write_geojson(path, objects))]


def write_labels_table(path: str, data: Any, meta: Meta) -> list[str]:
    """Write a row of measurements for each label."""
    labels, world = _plane(data, meta)
    return [str(write_table(path, label_objects(labels), world))]


def write_labels_ome_zarr(path: str, data: Any, meta: Meta) -> list[str]:
    """Write the label image as OME-Zarr."""
    labels, world = _plane(data, meta)
    return [str(write_ome_zarr(Path(path), labels, world, str(meta.get("name", "labels"))))]


def _plane(data: Any, meta: Meta) -> tuple[NDArray[Any], World]:
    """The single plane of a Labels layer, and its place in the world.

    Raises
    ------
    ValueError
        If the layer is a stack, or has several levels; napari shows the sentence.
    """
    name = plain(str(meta.get("name", "labels")))
    if isinstance(data, (list, tuple)) or meta.get("multiscale"):
        raise ValueError(
            f"Labels layer “{name}” has several levels: these formats hold one image. The panel's “Export…” "
            f"writes the masks of large images."
        )
    shape = tuple(int(size) for size in data.shape)
    if len(shape) < 2 or any(size != 1 for size in shape[:-2]):
        raise ValueError(
            f"Labels layer “{name}” is a stack of shape {shape}: these formats hold one plane. Save it as "
            f"TIFF, or slice it first."
        )
    placed = {key: meta[key] for key in TRANSFORM if meta.get(key) is not None}
    # an empty layer has the same transform, and is quick to make
    layer = Points(np.empty((0, len(shape))), ndim=len(shape), **placed)
    corners = np.zeros((3, len(shape)))
    corners[1, -2] = corners[2, -1] = 1
    world = world_of(layer, corners, (len(shape) - 2, len(shape) - 1))
    return np.asarray(data).reshape(shape[-2:]), world
