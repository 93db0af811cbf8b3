"""The order in which objects are laid into the label image."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from napari_samv1.engine.objects import AnnotatedObject, overlap
from napari_samv1.masks.crop import MaskCrop


def restack(
    stack: tuple[int, ...], objects: Mapping[int, AnnotatedObject], edited: AnnotatedObject, before: MaskCrop
) -> tuple[int, ...]:
    """The order after an edit of one object; first laid first (see ``masks.paint``).

    A new object comes last. An edited one keeps its place unless its rule needs another: one that grows
    into pixels which a later object would lose to it ("keep"), or which a later one would lay over it
    ("overwrite"), goes behind that object; one that is to stay inside another comes after that one.
    So no edit takes pixels against its rule, and an order that nobody disputes stays.
    """
    if edited.id not in stack:
        return (*stack, edited.id)
    later = stack[stack.index(edited.id) + 1 :]
    rule = edited.settings.rule
    if rule == "inside":
        behind = [other for other in later if other == edited.settings.inside]
    else:
        behind = [
            other
            for other in later
            if (objects[other].settings.rule == "overwrite") == (rule == "overwrite")
            and _grows_into(edited.mask, before, objects[other].mask)
        ]
    if not behind:
        return stack
    others = tuple(other for other in stack if other != edited.id)
    place = others.index(behind[-1]) + 1
    return (*others[:place], edited.id, *others[place:])


def _grows_into(mask: MaskCrop, before: MaskCrop, other: MaskCrop) -> bool:
    if not overlap(mask.region, other.region):
        return False
    shared = mask.mask & other.within(mask.region)
    return bool(np.any(shared & ~before.within(mask.region)))
