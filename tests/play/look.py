"""All that can be seen of an annotation at one moment, to be compared with another moment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_samv1.records.mask_crop import MaskCrop

Index = tuple[int | None, ...]  # of a plane: None on rows and columns
Row = tuple[Any, ...]  # of a prompt layer: kind, object, polarity, coordinates


@dataclass(frozen=True)
class ObjectLook:
    """One object on one plane, as the document has it."""

    points: tuple[tuple[float, float, int], ...]
    boxes: tuple[tuple[float, ...], ...]
    settings: Any
    mask: MaskCrop
    painted_in: MaskCrop
    painted_out: MaskCrop
    hint: MaskCrop
    pending: bool


@dataclass(frozen=True)
class PlaneLook:
    """One plane: objects, their order (lowest first), rows of the prompt layers, and label pixels.

    ``ndim`` is the image's. ``pixels`` is None where no Labels layer is bound that reaches this plane.
    ``labels`` and ``prompt_layers`` tell the bound layers apart.
    """

    ndim: int = 2
    objects: Mapping[int, ObjectLook] = field(default_factory=dict)
    order: tuple[int, ...] = ()
    rows: tuple[Row, ...] = ()
    pixels: NDArray[Any] | None = None
    labels: str = ""
    prompt_layers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Look:
    """All planes of all images, and layers that are nobody's but the person's own."""

    planes: Mapping[tuple[str, Index], PlaneLook]
    own_layers: Mapping[str, Any]

    @property
    def pending(self) -> bool:
        """Some object still waits for its mask."""
        return any(one.pending for plane in self.planes.values() for one in plane.objects.values())


def differences(before: PlaneLook, after: PlaneLook, *, pixels: bool = True) -> Iterator[str]:
    """Sentences on how two looks at a plane differ; rows and pixels of two layers are not compared."""
    for number in sorted({*before.objects, *after.objects}):
        old, new = before.objects.get(number), after.objects.get(number)
        if old is None or new is None:
            yield f"object {number} {'appeared' if old is None else 'vanished'}"
            continue
        for name in ("points", "boxes", "settings", "mask", "painted_in", "painted_out", "hint"):
            if getattr(old, name) != getattr(new, name):
                yield f"{name} of object {number}: {_short(old, name)} -> {_short(new, name)}"
    if before.order != after.order:
        yield f"order {before.order} -> {after.order}"
    if before.rows != after.rows and before.prompt_layers == after.prompt_layers:
        gone, come = set(before.rows) - set(after.rows), set(after.rows) - set(before.rows)
        yield f"rows of prompt layers: gone {sorted(gone)}, come {sorted(come)}"
    if pixels and before.labels == after.labels:
        yield from pixel_differences(before.pixels, after.pixels)


def pixel_differences(before: NDArray[Any] | None, after: NDArray[Any] | None) -> Iterator[str]:
    """A sentence where label pixels differ; a missing layer shows nothing."""
    if before is None and after is None:
        return
    old = np.zeros_like(after) if before is None else before
    new = np.zeros_like(before) if after is None else after
    if old.shape != new.shape:
        yield f"label pixels of {old.shape} -> {new.shape}"
    elif (old != new).any():
        at = tuple(map(int, np.argwhere(old != new)[0]))
        yield f"{int((old != new).sum())} label pixels, first at {at}: {old[at]} -> {new[at]}"


def _short(known: ObjectLook, name: str) -> str:
    value = getattr(known, name)
    if isinstance(value, MaskCrop):
        return f"{value.area} pixels at {value.origin_yx}"
    return repr(value)
