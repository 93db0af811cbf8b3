"""Label image of a recorded plane."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects

from napari_samv1.annotation.pieces import Piece
from napari_samv1.masks.composite import Composite
from napari_samv1.records.mask_crop import MaskCrop, Region
from napari_samv1.storage.session.record import PlaneRecord

Labels = NDArray[Any]


class PlaneLabels:
    """Label image of a recorded plane, computed by regions: objects in order over labels beneath.

    Its type is uint16 if that is enough.
    """

    def __init__(self, plane: PlaneRecord) -> None:
        self.shape_yx, self._beneath = plane.shape_yx, plane.beneath
        by_id = {piece.id: piece for piece in plane.pieces}
        stack = [(one, by_id[one].mask, by_id[one].settings.rule) for one in plane.order if one in by_id]
        self._composite = Composite(stack)
        lowest, highest = 0, max(by_id, default=0)
        if plane.beneath is not None:
            lowest, highest = min(0, int(plane.beneath.min())), max(highest, int(plane.beneath.max()))
        # int64 holds all labels where some are negative, as those came in a signed type
        self.dtype: np.dtype[Any] = (
            np.dtype(np.int64) if lowest < 0 else np.promote_types(np.min_scalar_type(highest), np.uint16)
        )

    def is_empty(self, region: Region) -> bool:
        """True if a region has no labels beneath and meets no object's box."""
        beneath = self._beneath is not None and bool(self._beneath[region].any())
        return not beneath and not self._composite.meeting(region)

    def read(self, region: Region) -> Labels:
        """Labels of a region."""
        beneath = None if self._beneath is None else self._beneath[region]
        return self._composite.read(region, self.dtype, beneath=beneath)


def label_image(plane: PlaneRecord) -> Labels:
    """The whole label image of a plane: (H, W)."""
    height, width = plane.shape_yx
    return PlaneLabels(plane).read((slice(0, height), slice(0, width)))


def shown_objects(plane: PlaneRecord) -> list[tuple[Piece, MaskCrop]]:
    """Visible objects in the order of their ids, with the visible pixels of their masks."""
    labels = PlaneLabels(plane)
    shown = []
    for piece in sorted(plane.pieces, key=lambda one: one.id):
        if not piece.mask.mask.size:
            continue
        mask = piece.mask.mask & (labels.read(piece.mask.region) == piece.id)
        if mask.any():
            shown.append((piece, MaskCrop.from_mask(mask, piece.mask.origin_yx)))
    return shown


def label_objects(labels: Labels) -> list[tuple[int, MaskCrop]]:
    """The labels of any label image (H, W), each with its mask; 0 is the background."""
    values, places = np.unique(labels, return_inverse=True)
    # by rank, because find_objects needs small numbers and labels go up to 2**64
    ranks = places.reshape(labels.shape).astype(np.int64) + 1
    found = []
    for rank, (value, region) in enumerate(zip(values, find_objects(ranks), strict=True), start=1):
        if value > 0 and region is not None:
            crop = MaskCrop.from_mask(ranks[region] == rank, (region[0].start, region[1].start))
            found.append((int(value), crop))
    return found
