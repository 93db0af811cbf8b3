"""Snapshot of a prompt layer's rows, to tell a person's edit from a slice that changed."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from napari.layers import Image, Points

from napari_samv1.layers.affine import between_layers
from napari_samv1.layers.image import DisplayedPlane
from napari_samv1.layers.prompts.features import PromptLayer, is_negative, object_ids
from napari_samv1.records.place import Plane

POINTS = ("point",)
Row = tuple[bytes, str, int, bool]
"""Vertices, kind, object, True if negative."""


@dataclass(frozen=True)
class Snapshot:
    """All rows of a layer as bytes, which are quick to compare even for thousands of rows."""

    vertices: bytes
    lengths: tuple[int, ...]  # bytes of each row; for points, one number for all
    kinds: tuple[str, ...]
    numbers: bytes
    negative: bytes

    @property
    def rows(self) -> list[Row]:
        """The rows one by one."""
        numbers = np.frombuffer(self.numbers, dtype=np.int64).tolist()
        negative = np.frombuffer(self.negative, dtype=bool).tolist()
        is_points = self.kinds == POINTS
        lengths = (
            self.lengths * (len(self.vertices) // max(self.lengths[0], 1)) if is_points else self.lengths
        )
        kinds = self.kinds * len(lengths) if is_points else self.kinds
        ends = itertools.accumulate(lengths)
        vertices = [self.vertices[end - length : end] for end, length in zip(ends, lengths, strict=True)]
        return list(zip(vertices, kinds, numbers, negative, strict=False))


def snapshot(layer: PromptLayer) -> Snapshot:
    """The rows of a layer as they are now."""
    numbers, negative = object_ids(layer).tobytes(), is_negative(layer).tobytes()
    if isinstance(layer, Points):
        data = np.asarray(layer.data, dtype=np.float64)
        return Snapshot(data.tobytes(), (data.itemsize * layer.ndim,), POINTS, numbers, negative)
    vertices = [np.asarray(shape, dtype=np.float64).tobytes() for shape in layer.data]
    kinds = tuple(str(kind) for kind in layer.shape_type)
    return Snapshot(b"".join(vertices), tuple(map(len, vertices)), kinds, numbers, negative)


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
        Plane(tuple(None if i is None else int(at) for i, at in zip(like.key.index, place, strict=True)))
        for place in places
    }
