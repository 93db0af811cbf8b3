"""Which object lies above which in the label image."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from napari_samv1.engine.objects import AnnotatedObject, overlap
from napari_samv1.records.mask_crop import MaskCrop

Stack = tuple[int, ...]


def restack(
    stack: Stack, objects: Mapping[int, AnnotatedObject], edited: AnnotatedObject, before: MaskCrop
) -> Stack:
    """The order after an edit of one object, lowest first; a higher object covers a lower one.

    A new object starts beneath all others ("keep"), above all ("overwrite"), or right above the object it
    is to stay inside of. An edited one stays where it is, unless it grows into another's mask: under "keep"
    it then goes beneath that other, under "overwrite" above it. So no edit takes pixels against its rule,
    and an order that nobody disputes stays.
    """
    rule = edited.settings.rule
    others = tuple(other for other in stack if other != edited.id)
    if rule.kind == "inside":
        container = others.index(rule.label) + 1 if rule.label in others else len(others)
        if edited.id in stack and (rule.label not in others or stack.index(edited.id) >= container):
            return stack
        return _insert(others, edited.id, container)
    if edited.id not in stack:
        return _insert(others, edited.id, 0 if rule.kind == "keep" else len(others))
    own = stack.index(edited.id)
    rivals = stack[:own] if rule.kind == "keep" else stack[own + 1 :]
    invaded = [other for other in rivals if _grows_into(edited.mask, before, objects[other].mask)]
    if not invaded:
        return stack
    place = others.index(invaded[0]) if rule.kind == "keep" else others.index(invaded[-1]) + 1
    return _insert(others, edited.id, place)


def _insert(others: Stack, object_id: int, place: int) -> Stack:
    return (*others[:place], object_id, *others[place:])


def _grows_into(mask: MaskCrop, before: MaskCrop, other: MaskCrop) -> bool:
    if not overlap(mask.region, other.region):
        return False
    shared = mask.mask & other.within(mask.region)
    return bool(np.any(shared & ~before.within(mask.region)))
