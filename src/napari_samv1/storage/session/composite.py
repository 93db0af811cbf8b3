"""What the label image shows of a recorded plane."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects

from napari_samv1.annotation.pieces import Piece
from napari_samv1.masks.paint import compose
from napari_samv1.records.mask_crop import MaskCrop, Region
from napari_samv1.storage.errors import SessionError
from napari_samv1.storage.session.record import PlaneRecord

Labels = NDArray[Any]


MOST_WHOLE_PIXELS = 1 << 28
"""Pixels of a plane up to which its label image is made as one array."""


def label_image(plane: PlaneRecord) -> Labels:
    """The objects in their order over the labels beneath: (H, W), uint16 where that is enough.

    Raises
    ------
    SessionError
        If the plane is too large for one array; ``Composite`` gives parts of it.
    """
    if math.prod(plane.shape_yx) > MOST_WHOLE_PIXELS:
        raise SessionError(
            f"the label image would have {plane.shape_yx[0]} x {plane.shape_yx[1]} pixels, too many for one "
            "array: export OME-Zarr, GeoJSON, COCO or the table"
        )
    return Composite(plane).labels((slice(0, plane.shape_yx[0]), slice(0, plane.shape_yx[1])))


class Composite:
    """The label image of a plane, by parts: each costs what lies in it, however large the plane is."""

    def __init__(self, plane: PlaneRecord) -> None:
        self.plane = plane
        self.by_id = {piece.id: piece for piece in plane.pieces}
        self._stack = [
            (one, self.by_id[one].mask, self.by_id[one].settings.rule)
            for one in plane.order
            if one in self.by_id and not self.by_id[one].mask.empty
        ]
        sides = [[(side.start, side.stop) for side in mask.region] for _, mask, _ in self._stack]
        self._boxes = np.array(sides, dtype=np.int64).reshape(-1, 2, 2)

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        """uint16 where that is enough for all labels."""
        highest, lowest, beneath = max(self.by_id, default=0), 0, self.plane.beneath
        if beneath is not None and beneath.size:
            lowest, highest = min(0, int(beneath.min())), max(highest, int(beneath.max()))
        # numpy has no integer type for all of both signs: what is negative came as int64 or less
        return np.dtype(np.int64) if lowest < 0 else np.promote_types(np.min_scalar_type(highest), np.uint16)

    def meeting(self, region: Region) -> NDArray[np.intp]:
        """Places in the order of those objects whose boxes meet a region."""
        rows, columns = region
        meets = (
            (self._boxes[:, 0, 0] < rows.stop)
            & (self._boxes[:, 0, 1] > rows.start)
            & (self._boxes[:, 1, 0] < columns.stop)
            & (self._boxes[:, 1, 1] > columns.start)
        )
        return np.flatnonzero(meets)

    def labels(self, region: Region) -> Labels:
        """The labels of a region (h, w)."""
        rows, columns = region
        beneath = self.plane.beneath
        if beneath is None:
            ground = np.zeros((rows.stop - rows.start, columns.stop - columns.start), self.dtype)
        else:
            ground = beneath[region].astype(self.dtype)
        return compose(ground, (rows.start, columns.start), [self._stack[at] for at in self.meeting(region)])

    def is_empty(self, region: Region) -> bool:
        """No label can lie in a region."""
        return self.plane.beneath is None and not len(self.meeting(region))


def shown_objects(plane: PlaneRecord) -> list[tuple[Piece, MaskCrop]]:
    """The objects of which something is to be seen, in the order of their ids, with the mask that is seen."""
    composite, ordered, shown = Composite(plane), set(plane.order), []
    for number in sorted(composite.by_id):
        piece = composite.by_id[number]
        if piece.mask.empty or number not in ordered:
            continue
        mask = piece.mask.mask & (composite.labels(piece.mask.region) == number)
        if mask.any():
            shown.append((piece, MaskCrop.from_mask(mask, piece.mask.origin_yx)))
    return shown


def label_objects(labels: Labels) -> list[tuple[int, MaskCrop]]:
    """The labels of any label image (H, W), each with its mask; 0 is the background."""
    values, places = np.unique(labels, return_inverse=True)
    # labels may be anything up to 2**64, find_objects wants them small
    ranks = places.reshape(labels.shape).astype(np.int64) + 1
    found = []
    for rank, (value, region) in enumerate(zip(values, find_objects(ranks), strict=True), start=1):
        if value > 0 and region is not None:
            crop = MaskCrop.from_mask(ranks[region] == rank, (region[0].start, region[1].start))
            found.append((int(value), crop))
    return found
