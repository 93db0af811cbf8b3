"""A small picture of a plane's objects, by which a person recognises a session."""

from __future__ import annotations

import colorsys
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from napari_samv1.records.mask_crop import MaskCrop
from napari_samv1.storage.session.composite import label_image
from napari_samv1.storage.session.record import PlaneRecord

Places = NDArray[np.intp]

GROUND = (40, 44, 52)
EXISTING = (120, 124, 132)
GOLDEN = 0.618034  # of a turn: neighbouring numbers get colours far apart


def picture_of(plane: PlaneRecord, side: int) -> NDArray[np.uint8]:
    """Objects in colours and existing labels in grey, whole and centred: (side, side, 3)."""
    step = max(plane.shape_yx) / side
    rows, columns = (
        np.minimum((np.arange(round(max(1, size / step))) + 0.5) * step, size - 1).astype(np.intp)[:side]
        for size in plane.shape_yx
    )
    seen = label_image(_sampled(plane, rows, columns))
    objects = {piece.id for piece in plane.pieces}
    small = np.full((*seen.shape, 3), GROUND, dtype=np.uint8)
    for number in np.unique(seen[seen != 0]):
        colour = _colour(int(number)) if int(number) in objects else EXISTING
        small[seen == number] = colour
    picture = np.full((side, side, 3), GROUND, dtype=np.uint8)
    top, left = (side - small.shape[0]) // 2, (side - small.shape[1]) // 2
    picture[top : top + small.shape[0], left : left + small.shape[1]] = small
    return picture


def _sampled(plane: PlaneRecord, rows: Places, columns: Places) -> PlaneRecord:
    """The plane with these rows and columns alone, because a whole one may be larger than memory."""
    return replace(
        plane,
        shape_yx=(len(rows), len(columns)),
        pieces=tuple(replace(one, mask=_sampled_mask(one.mask, rows, columns)) for one in plane.pieces),
        beneath=None if plane.beneath is None else plane.beneath[np.ix_(rows, columns)],
    )


def _sampled_mask(crop: MaskCrop, rows: Places, columns: Places) -> MaskCrop:
    (top, left), (height, width) = crop.origin_yx, crop.mask.shape
    (first_row, last_row), (first, last) = (
        np.searchsorted(places, (start, start + size))
        for places, start, size in ((rows, top, height), (columns, left, width))
    )
    seen = crop.mask[np.ix_(rows[first_row:last_row] - top, columns[first:last] - left)]
    return MaskCrop.from_mask(seen, (int(first_row), int(first)))


def _colour(number: int) -> tuple[int, int, int]:
    red, green, blue = colorsys.hsv_to_rgb((number * GOLDEN) % 1, 0.65, 0.95)
    return round(255 * red), round(255 * green), round(255 * blue)
