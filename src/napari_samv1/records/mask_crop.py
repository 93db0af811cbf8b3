"""MaskCrop: a whole mask, stored as its bounding box."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

Region = tuple[slice, slice]


@dataclass(frozen=True, eq=False)
class MaskCrop:
    """A mask in an image, stored as the box that begins at ``origin_yx``; the rest is background.

    ``from_mask`` makes the box tight. The array is read-only, so that a crop can be shared and compared.
    """

    origin_yx: tuple[int, int]
    mask: NDArray[np.bool_]

    def __post_init__(self) -> None:
        top, left = (int(value) for value in self.origin_yx)
        mask = np.array(self.mask)
        if mask.dtype != np.bool_ or mask.ndim != 2:
            raise ValueError(f"a crop's mask must be (height, width) bool, got {mask.dtype} {mask.shape}")
        if min(top, left) < 0:
            raise ValueError(f"a crop must start inside the image, got origin_yx {(top, left)}")
        mask.flags.writeable = False
        object.__setattr__(self, "origin_yx", (top, left))
        object.__setattr__(self, "mask", mask)

    @classmethod
    def from_mask(cls, mask: ArrayLike, origin_yx: tuple[int, int] = (0, 0)) -> MaskCrop:
        """The tight crop of a mask (H, W), whose first pixel lies at ``origin_yx`` of the image."""
        array = np.asarray(mask, dtype=bool)
        rows, columns = np.flatnonzero(array.any(axis=1)), np.flatnonzero(array.any(axis=0))
        if rows.size == 0:
            return cls((0, 0), np.zeros((0, 0), dtype=bool))
        top, left = int(rows[0]), int(columns[0])
        tight = array[top : rows[-1] + 1, left : columns[-1] + 1]
        return cls((origin_yx[0] + top, origin_yx[1] + left), tight)

    @property
    def area(self) -> int:
        """Pixels of the mask."""
        return int(np.count_nonzero(self.mask))

    @cached_property
    def empty(self) -> bool:
        """True if the mask has no pixel; cached, as each edit asks every mask of a plane."""
        return not self.mask.any()

    @property
    def region(self) -> tuple[slice, slice]:
        """Slices that cut the stored box out of the image."""
        (top, left), (height, width) = self.origin_yx, self.mask.shape
        return slice(top, top + height), slice(left, left + width)

    def to_mask(self, image_hw: tuple[int, int]) -> NDArray[np.bool_]:
        """The whole mask (H, W).

        Raises
        ------
        ValueError
            If the crop does not fit into the image.
        """
        rows, columns = self.region
        if rows.stop > image_hw[0] or columns.stop > image_hw[1]:
            raise ValueError(
                f"the crop reaches row {rows.stop} and column {columns.stop}: outside an image of {image_hw}"
            )
        return self.within((slice(0, image_hw[0]), slice(0, image_hw[1])))

    def within(self, region: tuple[slice, slice]) -> NDArray[np.bool_]:
        """The part of the mask that a region of the image shows, in the region's size."""
        rows, columns = region
        shown = np.zeros((rows.stop - rows.start, columns.stop - columns.start), dtype=bool)
        box_rows, box_columns = self.region
        top, bottom = max(rows.start, box_rows.start), min(rows.stop, box_rows.stop)
        left, right = max(columns.start, box_columns.start), min(columns.stop, box_columns.stop)
        if top < bottom and left < right:
            shown[top - rows.start : bottom - rows.start, left - columns.start : right - columns.start] = (
                self.mask[
                    top - box_rows.start : bottom - box_rows.start,
                    left - box_columns.start : right - box_columns.start,
                ]
            )
        return shown

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, MaskCrop):
            return NotImplemented
        return self.origin_yx == other.origin_yx and np.array_equal(self.mask, other.mask)

    def __hash__(self) -> int:
        # packed, because any byte but 0 is true
        return hash((self.origin_yx, self.mask.shape, np.packbits(self.mask).tobytes()))


EMPTY = MaskCrop((0, 0), np.zeros((0, 0), dtype=bool))


def union(first: MaskCrop, second: MaskCrop) -> MaskCrop:
    """Pixels of either crop."""
    if second.empty:
        return first
    if first.empty:
        return second
    region = joint_region(first.region, second.region)
    origin = region[0].start, region[1].start
    return MaskCrop.from_mask(first.within(region) | second.within(region), origin)


def minus(first: MaskCrop, second: MaskCrop) -> MaskCrop:
    """Pixels of the first crop that the second does not hold."""
    if first.empty or second.empty:
        return first
    return MaskCrop.from_mask(first.mask & ~second.within(first.region), first.origin_yx)


def joint_region(first: Region, second: Region) -> Region:
    """The smallest region that holds both."""
    rows, columns = (
        slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(first, second, strict=True)
    )
    return rows, columns


def overlap(first: Region, second: Region) -> bool:
    """Return True if two regions share a pixel."""
    return all(a.start < b.stop and b.start < a.stop for a, b in zip(first, second, strict=True))


def box_around(crop: MaskCrop) -> tuple[float, float, float, float]:
    """The box of a mask as a prompt, through the centres of its outermost pixels."""
    rows, columns = crop.region
    return float(rows.start), float(columns.start), rows.stop - 1.0, columns.stop - 1.0
