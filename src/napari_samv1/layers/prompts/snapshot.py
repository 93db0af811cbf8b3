"""Snapshot of a prompt layer's rows, to tell a person's edit from a slice that changed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from napari.layers import Image, Points

from napari_samv1.layers.affine import between_layers
from napari_samv1.layers.image import DisplayedPlane
from napari_samv1.layers.prompts.features import PromptLayer, is_negative, object_ids
from napari_samv1.records.place import Plane

Row = tuple[bytes, str, int, bool]
"""Vertices, kind, object, whether negative."""


@dataclass(frozen=True)
class Snapshot:
    """All rows of a layer, comparable."""

    rows: tuple[Row, ...]


def snapshot(layer: PromptLayer) -> Snapshot:
    """The rows of a layer as they are now."""
    numbers, negative = object_ids(layer), is_negative(layer)
    if isinstance(layer, Points):
        data = np.ascontiguousarray(layer.data, dtype=np.float64)
        width, text = data.itemsize * data.shape[1], data.tobytes()
        vertices = [text[start : start + width] for start in range(0, len(text), width)]
        kinds = ["point"] * len(vertices)
    else:
        vertices = [np.asarray(shape, dtype=np.float64).tobytes() for shape in layer.data]
        kinds = [str(kind) for kind in layer.shape_type]
    rows = zip(vertices, kinds, numbers.tolist(), negative.tolist(), strict=False)
    return Snapshot(tuple(rows))


def changed_planes(
    layer: PromptLayer, image: Image, like: DisplayedPlane, before: Snapshot, now: Snapshot
) -> set[Plane]:
    """Planes, parallel to a displayed one, on which rows came, went or changed."""
    changed = set(before.rows) ^ set(now.rows)
    if not changed or image.ndim == 2:
        return set()
    missing = image.data_to_world(tuple(like.position))
    to_image = between_layers(layer, image, missing)
    first = [np.frombuffer(vertices, dtype=np.float64)[: layer.ndim] for vertices, *_ in changed]
    places = np.floor(to_image(np.stack(first)) + 0.5).astype(int)
    return {
        Plane(tuple(None if own is None else int(at) for own, at in zip(like.key.index, place, strict=True)))
        for place in places
    }
