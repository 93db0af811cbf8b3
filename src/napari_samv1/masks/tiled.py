"""TiledMask: a mask that grows while a person draws, stored only where it has pixels."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from napari_samv1.masks.composite import Factors, reduced
from napari_samv1.records.mask_crop import EMPTY, MaskCrop, Region, joint_region, overlap

SIDE = 256


class TiledMask:
    """Mask on a plane of ``shape_yx``, in square tiles that exist only where pixels were added."""

    def __init__(self, shape_yx: tuple[int, int]) -> None:
        self._shape = shape_yx
        self._tiles: dict[tuple[int, int], NDArray[np.bool_]] = {}
        self.box: Region | None = None  # around everything that was added

    def add(self, crop: MaskCrop) -> None:
        """Add the pixels of a crop that lie on the plane."""
        rows, columns = (
            slice(extent.start, min(extent.stop, size))
            for extent, size in zip(crop.region, self._shape, strict=True)
        )
        if rows.start >= rows.stop or columns.start >= columns.stop:
            return
        region = rows, columns
        self.box = region if self.box is None else joint_region(self.box, region)
        for i in range(rows.start // SIDE, -(-rows.stop // SIDE)):
            for j in range(columns.start // SIDE, -(-columns.stop // SIDE)):
                tile = self._tiles.setdefault((i, j), np.zeros((SIDE, SIDE), dtype=bool))
                tile |= crop.within(_region_of(i, j))

    def crops(self) -> Iterator[MaskCrop]:
        """Pixels of the mask, a tile at a time."""
        for (i, j), tile in sorted(self._tiles.items()):
            crop = MaskCrop.from_mask(tile, (i * SIDE, j * SIDE))
            if not crop.empty:
                yield crop

    def within(self, region: Region, factors: Factors = (1, 1)) -> NDArray[np.bool_]:
        """The mask in a region of a level, in the region's size and the level's pixels."""
        rows, columns = region
        found = np.zeros((rows.stop - rows.start, columns.stop - columns.start), dtype=bool)
        fine = tuple(slice(e.start * f, e.stop * f) for e, f in zip(region, factors, strict=True))
        for (i, j), tile in self._tiles.items():
            if overlap(_region_of(i, j), (fine[0], fine[1])):
                found |= reduced(MaskCrop((i * SIDE, j * SIDE), tile), factors).within(region)
        return found

    def crop(self) -> MaskCrop:
        """The whole mask as one crop."""
        return EMPTY if self.box is None else joined(self.crops())


def joined(crops: Iterator[MaskCrop] | list[MaskCrop]) -> MaskCrop:
    """Union of many crops, made at once."""
    parts = [crop for crop in crops if crop.mask.size]
    if not parts:
        return EMPTY
    region = parts[0].region
    for part in parts[1:]:
        region = joint_region(region, part.region)
    top, left = region[0].start, region[1].start
    mask = np.zeros((region[0].stop - top, region[1].stop - left), dtype=bool)
    for part in parts:
        rows, columns = part.region
        mask[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] |= part.mask
    return MaskCrop.from_mask(mask, (top, left))


def _region_of(i: int, j: int) -> Region:
    return slice(i * SIDE, (i + 1) * SIDE), slice(j * SIDE, (j + 1) * SIDE)
