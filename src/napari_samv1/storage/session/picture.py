"""A small picture of a plane's objects, by which a person knows a session again."""

from __future__ import annotations

import colorsys

import numpy as np
from numpy.typing import NDArray

from napari_samv1.storage.session.composite import label_image
from napari_samv1.storage.session.record import PlaneRecord

GROUND = (40, 44, 52)
EXISTING = (120, 124, 132)
GOLDEN = 0.618034  # of a turn: neighbouring numbers get colours far apart


def picture_of(plane: PlaneRecord, side: int) -> NDArray[np.uint8]:
    """Objects in colours and existing labels in grey, whole and centred: (side, side, 3)."""
    labels = label_image(plane)
    height, width = labels.shape
    step = max(height, width) / side
    rows, columns = (
        np.minimum((np.arange(round(max(1, size / step))) + 0.5) * step, size - 1).astype(np.intp)
        for size in (height, width)
    )
    seen = labels[np.ix_(rows[:side], columns[:side])]
    objects = {piece.id for piece in plane.pieces}
    small = np.full((*seen.shape, 3), GROUND, dtype=np.uint8)
    for number in np.unique(seen[seen != 0]):
        colour = _colour(int(number)) if int(number) in objects else EXISTING
        small[seen == number] = colour
    picture = np.full((side, side, 3), GROUND, dtype=np.uint8)
    top, left = (side - small.shape[0]) // 2, (side - small.shape[1]) // 2
    picture[top : top + small.shape[0], left : left + small.shape[1]] = small
    return picture


def _colour(number: int) -> tuple[int, int, int]:
    red, green, blue = colorsys.hsv_to_rgb((number * GOLDEN) % 1, 0.65, 0.95)
    return round(255 * red), round(255 * green), round(255 * blue)
