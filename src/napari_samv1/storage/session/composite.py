"""What the label image shows of a recorded plane."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects

from napari_samv1.annotation.pieces import Piece
from napari_samv1.masks.paint import compose
from napari_samv1.records.mask_crop import MaskCrop
from napari_samv1.storage.session.record import PlaneRecord

Labels = NDArray[Any]


def label_image(plane: PlaneRecord) -> Labels:
    """The objects in their order over the labels beneath: (H, W), uint16 where that is enough."""
    highest = max((piece.id for piece in plane.pieces), default=0)
    beneath = plane.beneath
    lowest = 0
    if beneath is not None:
        lowest, highest = min(0, int(beneath.min())), max(highest, int(beneath.max()))
    # numpy has no integer type for all of both signs: what is negative came as int64 or less
    dtype = np.dtype(np.int64) if lowest < 0 else np.promote_types(np.min_scalar_type(highest), np.uint16)
    ground = np.zeros(plane.shape_yx, dtype) if beneath is None else beneath.astype(dtype)
    by_id = {piece.id: piece for piece in plane.pieces}
    stack = [(one, by_id[one].mask, by_id[one].settings.rule) for one in plane.order if one in by_id]
    return compose(ground, (0, 0), stack)


def shown_objects(plane: PlaneRecord) -> list[tuple[Piece, MaskCrop]]:
    """The objects of which something is to be seen, in the order of their ids, with the mask that is seen."""
    by_id = {piece.id: piece for piece in plane.pieces}
    ranks = {one: rank for rank, one in enumerate(plane.order) if one in by_id and not by_id[one].mask.empty}
    stack = [(one, by_id[one].mask, by_id[one].settings.rule) for one in ranks]
    boxes = np.array(
        [[(side.start, side.stop) for side in mask.region] for _, mask, _ in stack], dtype=np.int64
    ).reshape(-1, 2, 2)
    shown = []
    for one in sorted(ranks):
        rows, columns = region = by_id[one].mask.region
        meets = (
            (boxes[:, 0, 0] < rows.stop)
            & (boxes[:, 0, 1] > rows.start)
            & (boxes[:, 1, 0] < columns.stop)
            & (boxes[:, 1, 1] > columns.start)
        )
        origin = rows.start, columns.start
        ground = np.zeros(by_id[one].mask.mask.shape, np.int64)
        if plane.beneath is not None:
            ground = plane.beneath[region].astype(_wide(plane.beneath.dtype))
        labels = compose(ground, origin, [stack[place] for place in np.flatnonzero(meets)])
        mask = by_id[one].mask.mask & (labels == one)
        if mask.any():
            shown.append((by_id[one], MaskCrop.from_mask(mask, origin)))
    return shown


def _wide(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return dtype if dtype == np.uint64 else np.dtype(np.int64)


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
