"""Order of a plane's pieces in the label image, lowest first; a higher one covers a lower one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from napari_samv1.annotation.pieces import Piece
from napari_samv1.records.mask_crop import EMPTY, MaskCrop


class Boxes:
    """Bounding boxes of masks by object, searched all at once."""

    def __init__(self) -> None:
        self._rows: dict[int, int] = {}
        self._ids = np.zeros(64, dtype=np.int64)
        self._boxes = np.zeros((64, 4), dtype=np.int64)  # top, left, bottom, right; zeros for none

    def put(self, object_id: int, crop: MaskCrop | None) -> None:
        """Set an object's box from its mask; None or an empty mask removes it."""
        row = self._rows.get(object_id)
        if row is None:
            if crop is None:
                return
            row = self._rows[object_id] = len(self._rows)
            if row == len(self._ids):
                self._ids = np.concatenate([self._ids, np.zeros_like(self._ids)])
                self._boxes = np.concatenate([self._boxes, np.zeros_like(self._boxes)])
            self._ids[row] = object_id
        if crop is None or not crop.mask.size:
            self._boxes[row] = 0
        else:
            (top, left), (height, width) = crop.origin_yx, crop.mask.shape
            self._boxes[row] = top, left, top + height, left + width

    def meeting(self, crop: MaskCrop) -> NDArray[np.int64]:
        """Objects whose boxes share a pixel with a mask's box."""
        if not crop.mask.size:
            return self._ids[:0]
        (top, left), (height, width) = crop.origin_yx, crop.mask.shape
        count = len(self._rows)
        boxes = self._boxes[:count]
        meets = (boxes[:, 0] < top + height) & (boxes[:, 2] > top)
        meets &= (boxes[:, 1] < left + width) & (boxes[:, 3] > left)
        return self._ids[:count][meets]


def place(order: list[int], pieces: Mapping[int, Piece], boxes: Boxes, new: Piece, old: Piece | None) -> bool:
    """Insert or move a piece in ``order``, in place; True if an existing piece moved.

    A new piece starts beneath all others ("keep"), above all ("overwrite"), or right above the object it is
    to stay inside of. An edited piece stays in place unless it grows into another mask: under "keep" it then
    goes beneath that mask, under "overwrite" above it. So no edit takes pixels against its rule, and all
    other pieces keep their order.
    """
    rule, object_id = new.settings.rule, new.id
    is_new = old is None
    if rule.kind == "inside":
        if not is_new:
            current = order.index(object_id)
            if rule.label not in pieces or rule.label == object_id or order.index(rule.label) < current:
                return False
            del order[current]
        above = order.index(rule.label) + 1 if rule.label in pieces and rule.label in order else len(order)
        order.insert(above, object_id)
        return not is_new
    if is_new:
        order.insert(0 if rule.kind == "keep" else len(order), object_id)
        return False
    # after a change of rule the whole mask counts as new growth
    before = old.mask if old is not None and old.settings.rule == rule else EMPTY
    if new.mask is before:
        return False
    invaded = [
        int(other)
        for other in boxes.meeting(new.mask)
        if other != object_id and _grows_into(new.mask, before, pieces[int(other)].mask)
    ]
    current = order.index(object_id)
    places = [order.index(other) for other in invaded]
    if rule.kind == "keep":
        lower = [at for at in places if at < current]
        if not lower:
            return False
        del order[current]
        order.insert(min(lower), object_id)
        return True
    higher = [at for at in places if at > current]
    if not higher:
        return False
    del order[current]
    order.insert(max(higher), object_id)
    return True


def _grows_into(mask: MaskCrop, before: MaskCrop, other: MaskCrop) -> bool:
    shared = mask.mask & other.within(mask.region)
    return bool(np.any(shared & ~before.within(mask.region)))


def lowest_as_shown(
    order: Sequence[int], pieces: Mapping[int, Piece], boxes: Boxes, shown: Piece, *, least: int = 0
) -> int:
    """Find the lowest place in ``order``, from ``least`` on, at which an adopted label keeps its pixels.

    An object under "keep" leaves a label's pixels alone, but takes those of an object beneath it.
    """
    meeting = {int(other) for other in boxes.meeting(shown.mask)} - {shown.id}
    for at in range(len(order) - 1, least - 1, -1):
        other = pieces[order[at]]
        if other.id not in meeting or other.settings.rule.kind != "keep":
            continue
        if np.any(shown.mask.mask & other.mask.within(shown.mask.region)):
            return at + 1
    return least


def restored(
    wanted: Iterable[int], pieces: Mapping[int, Piece], boxes: Boxes, now: Iterable[int]
) -> list[int]:
    """Restore an earlier order of the present pieces.

    Labels adopted since then lie as low as their pixels allow, in their order now.
    """
    order = [object_id for object_id in wanted if object_id in pieces]
    unknown = set(pieces).difference(order)
    least = 0
    for object_id in now:
        if object_id in unknown:
            at = lowest_as_shown(order, pieces, boxes, pieces[object_id], least=least)
            order.insert(at, object_id)
            least = at + 1
    return order


def moved_ids(before: tuple[int, ...], after: tuple[int, ...]) -> set[int]:
    """Ids whose place among the common ids changed.

    Where one move explains the difference, that id alone, so that little is redrawn.
    """
    if before == after:
        return set()
    common = set(before) & set(after)
    old, new = ([object_id for object_id in stack if object_id in common] for stack in (before, after))
    differing = [pair for pair in zip(old, new, strict=True) if pair[0] != pair[1]]
    if not differing:
        return set()
    for candidate in differing[0]:
        if [other for other in old if other != candidate] == [other for other in new if other != candidate]:
            return {candidate}
    return {object_id for pair in differing for object_id in pair}
