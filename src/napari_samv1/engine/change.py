"""What a step did to the masks: enough to redraw only what is touched."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

from napari_samv1.engine.history import State
from napari_samv1.engine.objects import EMPTY, joint_region
from napari_samv1.records.mask_crop import MaskCrop


@dataclass(frozen=True)
class ObjectChange:
    """One object's mask before and after; the same where only its place in the composite changed."""

    id: int
    before: MaskCrop
    after: MaskCrop


@dataclass(frozen=True)
class Change:
    """The objects whose pixels may have changed. False when there are none."""

    masks: tuple[ObjectChange, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.masks)

    @property
    def region(self) -> tuple[slice, slice] | None:
        """The smallest region (rows, columns) that holds every pixel which may have changed."""
        regions = [crop.region for mask in self.masks for crop in (mask.before, mask.after) if not crop.empty]
        return reduce(joint_region, regions) if regions else None


def difference(before: State, after: State) -> Change:
    """What changed between two states."""
    moved = moved_ids(before.stack, after.stack)
    changes = []
    for object_id in dict.fromkeys((*before.objects, *after.objects)):
        old, new = before.objects.get(object_id), after.objects.get(object_id)
        if old is new and object_id not in moved:
            continue
        old_mask, new_mask = old.mask if old else EMPTY, new.mask if new else EMPTY
        rule_changed = old is not None and new is not None and old.settings.rule != new.settings.rule
        if rule_changed or object_id in moved or (old_mask is not new_mask and old_mask != new_mask):
            changes.append(ObjectChange(object_id, old_mask, new_mask))
    return Change(tuple(changes))


def moved_ids(before: tuple[int, ...], after: tuple[int, ...]) -> set[int]:
    """Ids whose place among the common ones changed: one where one was moved, so that little is redrawn."""
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
