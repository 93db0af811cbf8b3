"""Paint: the label image as a composite of objects over the labels beneath.

The composite is defined pixel by pixel. Labels from elsewhere lie beneath. The objects are stacked on them,
lowest first; a higher object covers a lower one, where its rule lets it paint:

- keep: where no label is beneath, so that labels from elsewhere stay;
- overwrite: everywhere;
- inside: where the chosen label is beneath, or shown by the stack so far.

So an object that shrinks uncovers the labels under it. The caller decides the order: under "keep" a new
object goes lowest, so that the earlier ones stay whole. ``Covered`` holds the labels from elsewhere that lie
under an object, because the image shows them no longer.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_samv1.masks.covered import Covered
from napari_samv1.records.mask_crop import MaskCrop, Region
from napari_samv1.records.settings import Rule

Labels = NDArray[Any]

Painted = tuple[int, MaskCrop, Rule]
"""An object as the label image shows it: its label, its whole mask, and its rule."""


class LabelImage(Protocol):
    """Protocol of a label image: its size, type and regions."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype[Any]: ...

    def __getitem__(self, region: Region, /) -> Labels: ...


@dataclass(frozen=True)
class Patch:
    """New labels of one region of the image: ``values`` to write at the ``changed`` pixels alone."""

    region: Region
    values: Labels
    changed: NDArray[np.bool_]


@dataclass(frozen=True)
class Painting:
    """Pixels to write into the label image, and the labels that then lie under the objects.

    The patches may overlap, and agree where they do.
    """

    patches: tuple[Patch, ...]
    covered: Covered


def compose(beneath_hw: Labels, origin_yx: tuple[int, int], stack: Iterable[Painted]) -> Labels:
    """The label image of a region: the stack, lowest first, over the labels beneath it.

    ``beneath_hw`` (H, W) starts at ``origin_yx`` of the image, and is not changed.
    """
    values = beneath_hw.copy()
    for label, part, mask, rule in _parts(stack, origin_yx, beneath_hw.shape):
        shown, beneath = values[part], beneath_hw[part]
        if rule.kind == "keep":
            mask = mask & (beneath == 0)
        elif rule.kind == "inside":
            mask = mask & ((beneath == rule.label) | (shown == rule.label))
        shown[mask] = label
    return values


def repaint(
    labels: LabelImage,
    before: Stack,
    after: Stack,
    changed: Collection[int],
    covered: Covered,
    *,
    adopted: Collection[int] = (),
) -> Painting:
    """The label image after objects were added, changed, moved in the stack, or removed.

    Parameters
    ----------
    labels : array, (H, W)
        The current image; only the affected regions are read, and nothing is written.
    before, after : Stack
        The old and the new stack.
    changed : collection of int
        The labels in which the stacks differ: in mask, rule or place.
    covered : Covered
        Labels under the objects after the last painting.
    adopted : collection of int
        Objects whose masks the image already shows (brush strokes; labels adopted as objects): their pixels
        are not labels from elsewhere.

    Raises
    ------
    ValueError
        If a label does not fit the image's type, or a mask not its size.
    """
    already_shown = Stack([after.by_label[label] for label in adopted if label in after.by_label])
    order_kept = before.order == after.order
    patches = []
    covered_after = covered
    for label in changed:
        old, new = before.by_label.get(label), after.by_label.get(label)
        crops = [painted[1] for painted in (old, new) if painted is not None]
        for crop in crops:
            _check_fits(label, crop, labels)
        place_kept = order_kept and old is not None and new is not None and old[2] == new[2]
        for box in _boxes(crops):
            touched = _touched(crops, box, place_kept and label not in adopted)
            if touched.empty:
                continue
            region, origin = touched.region, touched.origin_yx
            current = np.asarray(labels[region])
            ours = _claimed(current, origin, before.meeting(region))
            ours |= _claimed(current, origin, already_shown.meeting(region))
            beneath = np.where(ours, covered.within(region, current.dtype), current)
            neighbours = after.meeting(region)
            values = compose(beneath, origin, neighbours)
            np.copyto(values, current, where=~touched.mask)
            hidden = np.where(_claimed(values, origin, neighbours), beneath, 0).astype(current.dtype)
            covered_after = covered_after.updated(region, hidden, touched.mask)
            patches.append(Patch(region, values, values != current))
    return Painting(tuple(patches), covered_after)


class Stack:
    """Objects of a label image, lowest first, one for each label, with a fast search by region."""

    def __init__(self, painted: Iterable[Painted] = ()) -> None:
        self.by_label = {one[0]: one for one in painted}
        self.order = tuple(self.by_label)
        boxes = [_corners(crop) for _, crop, _ in self.by_label.values()]
        self._boxes = np.array(boxes, dtype=np.int64).reshape(-1, 4)

    def changed(self, order: tuple[int, ...], changes: Mapping[int, Painted]) -> Stack:
        """A copy with changed objects, in a new ``order`` of labels; labels outside of it are dropped."""
        stack = Stack()
        stack.order = order
        rows = {label: row for row, label in enumerate(self.order)}
        if order == self.order:
            stack.by_label = {**self.by_label, **changes}
            stack._boxes = self._boxes.copy()
        else:
            stack.by_label = {label: changes.get(label) or self.by_label[label] for label in order}
            stack._boxes = np.zeros((len(order), 4), dtype=np.int64)
            kept = [(row, rows[label]) for row, label in enumerate(order) if label in rows]
            if kept:
                here, before = np.array(kept).T
                stack._boxes[here] = self._boxes[before]
            rows = {label: row for row, label in enumerate(order)}
        for label, (_, crop, _) in changes.items():
            stack._boxes[rows[label]] = _corners(crop)
        return stack

    def meeting(self, region: Region) -> list[Painted]:
        """Objects whose boxes meet a region, lowest first."""
        rows, columns = region
        top, left, bottom, right = self._boxes.T
        meets = (top < rows.stop) & (bottom > rows.start) & (left < columns.stop) & (right > columns.start)
        return [self.by_label[self.order[place]] for place in np.flatnonzero(meets).tolist()]


def _corners(crop: MaskCrop) -> tuple[int, int, int, int]:
    """Box around a mask: top, left, bottom, right."""
    (top, left), (height, width) = crop.origin_yx, crop.mask.shape
    return top, left, top + height, left + width


def _check_fits(label: int, crop: MaskCrop, labels: LabelImage) -> None:
    if labels.dtype.kind not in "ui":
        raise ValueError(f"a label image must hold integers, got {labels.dtype}")
    if not 1 <= label <= np.iinfo(labels.dtype).max:
        raise ValueError(
            f"label {label} does not fit into {labels.dtype}, which ends at {np.iinfo(labels.dtype).max}; "
            f"labels start at 1, and a wider type holds more"
        )
    ends = tuple(extent.stop for extent in crop.region)
    if len(labels.shape) != 2 or ends[0] > labels.shape[0] or ends[1] > labels.shape[1]:
        raise ValueError(
            f"the mask of object {label} ends at (row, column) {ends}: outside a label image of shape "
            f"{labels.shape}"
        )


def _touched(crops: Sequence[MaskCrop], box: Region, place_kept: bool) -> MaskCrop:
    """Pixels that may change; for an object that keeps its place only those where the masks differ."""
    combine = np.logical_xor if place_kept else np.logical_or
    return MaskCrop.from_mask(
        combine.reduce([crop.within(box) for crop in crops]), (box[0].start, box[1].start)
    )


def _boxes(crops: Sequence[MaskCrop]) -> list[Region]:
    """Boxes to repaint: one around both masks, or one each where they lie far apart."""
    boxes = [crop.region for crop in crops if crop.mask.size]
    if len(boxes) < 2:
        return boxes
    rows, columns = (slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(*boxes, strict=True))
    return [(rows, columns)] if _area((rows, columns)) <= sum(map(_area, boxes)) else boxes


def _area(region: Region) -> int:
    rows, columns = region
    return int((rows.stop - rows.start) * (columns.stop - columns.start))


def _claimed(values: Labels, origin_yx: tuple[int, int], stack: Iterable[Painted]) -> NDArray[np.bool_]:
    """Pixels that show the label of an object inside its mask, and so belong to it."""
    claimed = np.zeros(values.shape, dtype=bool)
    for label, part, mask, _ in _parts(stack, origin_yx, values.shape):
        claimed[part] |= mask & (values[part] == label)
    return claimed


def _parts(
    stack: Iterable[Painted], origin_yx: tuple[int, int], region_hw: tuple[int, ...]
) -> Iterator[tuple[int, Region, NDArray[np.bool_], Rule]]:
    """Objects whose boxes meet a region: label, slices within the region, mask there, rule."""
    top, left = origin_yx
    bottom, right = top + region_hw[0], left + region_hw[1]
    for label, crop, rule in stack:
        rows, columns = crop.region
        y0, y1 = max(rows.start, top), min(rows.stop, bottom)
        x0, x1 = max(columns.start, left), min(columns.stop, right)
        if y0 < y1 and x0 < x1:
            mask = crop.mask[y0 - rows.start : y1 - rows.start, x0 - columns.start : x1 - columns.start]
            yield label, (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left)), mask, rule
