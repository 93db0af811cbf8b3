"""Paint: the label image as the composite of objects over what was there before.

The composite is defined pixel by pixel. Below are the labels that came from elsewhere. The objects are laid
on them one after the other, in the order in which they are listed, each by its own rule:

- ``"keep"``: where no label is yet, so that an earlier object and a label from elsewhere stay;
- ``"overwrite"``: everywhere;
- ``"inside"``: where the label so far is the chosen one.

So an object that shrinks gives back what it covered, or what it had kept another from. Labels from elsewhere
that lie under an object are remembered in ``Covered``, as the image shows them no more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_samv1.masks.covered import Covered
from napari_samv1.masks.crop import MaskCrop

Rule = Literal["keep", "overwrite", "inside"]
Labels = NDArray[Any]
Region = tuple[slice, slice]


class LabelImage(Protocol):
    """What is read of a label image: its size, type and regions."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype[Any]: ...

    def __getitem__(self, region: Region, /) -> Labels: ...


@dataclass(frozen=True)
class PaintedObject:
    """An object as the label image shows it: its label, its whole mask, and its rule.

    ``inside`` is the chosen label of the rule ``"inside"``, and of no other.
    """

    label: int
    crop: MaskCrop
    rule: Rule = "keep"
    inside: int | None = None

    def __post_init__(self) -> None:
        if self.label < 1:
            raise ValueError(f"an object's label must be 1 or more, got {self.label}")
        if self.rule not in ("keep", "overwrite", "inside"):
            raise ValueError(f'rule must be "keep", "overwrite" or "inside", got {self.rule!r}')
        if (self.rule == "inside") != (self.inside is not None):
            raise ValueError('the rule "inside", and only that, needs the label to stay inside of')


@dataclass(frozen=True)
class Patch:
    """New labels of one region of the image: write ``values`` where ``changed``, and nothing else."""

    region: Region
    values: Labels
    changed: NDArray[np.bool_]


@dataclass(frozen=True)
class Painting:
    """What to write into the label image, and what lies under the objects then.

    The patches may overlap, and agree where they do.
    """

    patches: tuple[Patch, ...]
    covered: Covered


def repaint(
    labels: LabelImage,
    before: Sequence[PaintedObject],
    after: Sequence[PaintedObject],
    label: int,
    covered: Covered,
    *,
    adopt: bool = False,
) -> Painting:
    """The label image after one object was added, changed, moved in the order, or removed.

    Parameters
    ----------
    labels : array, (H, W)
        The image as it is now; only the regions in question are read, and nothing is written.
    before, after : sequence of PaintedObject
        All objects of the image in their order, one for each label. They differ in the object ``label``
        alone: its mask, rule or place.
    covered : Covered
        What lies under the objects, as the last painting left it.
    adopt : bool
        Pixels that already show ``label`` where its mask is now (brush strokes; an object that came with
        the image) are the object's own, and not something from elsewhere to give back.

    Raises
    ------
    ValueError
        If the label does not fit the image's type, or the mask not its size.
    """
    old, new = _find(before, label), _find(after, label)
    for painted in (old, new):
        if painted is not None:
            _check_fits(painted, labels)
    moved = old is None or new is None or (old.rule, old.inside) != (new.rule, new.inside)
    moved = moved or [o.label for o in before] != [o.label for o in after]
    patches = []
    covered_after = covered
    for box in _regions(old, new):
        old_mask, new_mask = (_within(painted, box) for painted in (old, new))
        # where the object stays and keeps its place, nothing can change
        touched = MaskCrop.from_mask(
            old_mask | new_mask if moved or adopt else old_mask ^ new_mask,
            (box[0].start, box[1].start),
        )
        if touched.empty:
            continue
        region = touched.region
        current = np.asarray(labels[region])
        ours = _claimed(current, before, region)
        if adopt:
            ours |= _within(new, region) & (current == label)
        elsewhere = np.where(ours, covered.within(region, current.dtype), current)
        values = _composite(elsewhere, after, region)
        np.copyto(values, current, where=~touched.mask)
        hidden = np.where(_claimed(values, after, region), elsewhere, 0).astype(current.dtype)
        covered_after = covered_after.updated(region, hidden, touched.mask)
        patches.append(Patch(region, values, values != current))
    return Painting(tuple(patches), covered_after)


def _find(objects: Sequence[PaintedObject], label: int) -> PaintedObject | None:
    return next((painted for painted in objects if painted.label == label), None)


def _check_fits(painted: PaintedObject, labels: LabelImage) -> None:
    if labels.dtype.kind not in "ui":
        raise ValueError(f"a label image must hold integers, got {labels.dtype}")
    if painted.label > np.iinfo(labels.dtype).max:
        raise ValueError(
            f"label {painted.label} does not fit into {labels.dtype}, which ends at "
            f"{np.iinfo(labels.dtype).max}; convert the labels to a wider type"
        )
    ends = tuple(extent.stop for extent in painted.crop.region)
    if len(labels.shape) != 2 or ends[0] > labels.shape[0] or ends[1] > labels.shape[1]:
        raise ValueError(
            f"the mask of object {painted.label} ends at (row, column) {ends}: outside a label image of "
            f"shape {labels.shape}"
        )


def _regions(old: PaintedObject | None, new: PaintedObject | None) -> list[Region]:
    """The boxes to look at: one around both masks, or each for itself where they lie far apart."""
    boxes = [painted.crop.region for painted in (old, new) if painted is not None and painted.crop.mask.size]
    if len(boxes) < 2:
        return boxes
    around = tuple(slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(*boxes, strict=True))
    union = (around[0], around[1])
    return [union] if _area(union) <= sum(map(_area, boxes)) else boxes


def _within(painted: PaintedObject | None, region: Region) -> NDArray[np.bool_]:
    if painted is None:
        return np.zeros(_size(region), dtype=bool)
    return painted.crop.within(region)


def _size(region: Region) -> tuple[int, int]:
    return region[0].stop - region[0].start, region[1].stop - region[1].start


def _area(region: Region) -> int:
    height, width = _size(region)
    return height * width


def _claimed(values: Labels, objects: Sequence[PaintedObject], region: Region) -> NDArray[np.bool_]:
    """Where an object lies whose label is shown: the label is taken to be the object's."""
    claimed = np.zeros(values.shape, dtype=bool)
    for painted, part, mask in _parts(objects, region):
        claimed[part] |= mask & (values[part] == painted.label)
    return claimed


def _composite(elsewhere: Labels, objects: Sequence[PaintedObject], region: Region) -> Labels:
    values = elsewhere.copy()
    for painted, part, mask in _parts(objects, region):
        so_far = values[part]
        if painted.rule == "overwrite":
            allowed = mask
        else:
            allowed = mask & (so_far == (painted.inside if painted.rule == "inside" else 0))
        so_far[allowed] = painted.label
    return values


def _parts(
    objects: Sequence[PaintedObject], region: Region
) -> list[tuple[PaintedObject, Region, NDArray[np.bool_]]]:
    """The objects whose boxes meet a region: where in the region, and their mask there."""
    (top, bottom), (left, right) = ((extent.start, extent.stop) for extent in region)
    parts = []
    for painted in objects:
        rows, columns = painted.crop.region
        y0, y1 = max(rows.start, top), min(rows.stop, bottom)
        x0, x1 = max(columns.start, left), min(columns.stop, right)
        if y0 < y1 and x0 < x1:
            mask = painted.crop.mask[
                y0 - rows.start : y1 - rows.start, x0 - columns.start : x1 - columns.start
            ]
            parts.append((painted, (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left)), mask))
    return parts
