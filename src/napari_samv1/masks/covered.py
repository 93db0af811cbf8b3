"""Covered: labels from elsewhere that lie under our objects, kept so that they can come back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_samv1.records.mask_crop import MaskCrop

_TILE = 256

Labels = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Covered:
    """A sparse label image, with tiles only where labels are covered.

    Immutable: ``updated`` returns a copy that shares unchanged tiles, so that an undo history can hold many.
    """

    tiles: Mapping[tuple[int, int], Labels] = field(default_factory=lambda: MappingProxyType({}))

    def within(self, region: tuple[slice, slice], dtype: np.dtype[Any]) -> Labels:
        """Covered labels in a region of the image; 0 for none."""
        values = np.zeros(tuple(extent.stop - extent.start for extent in region), dtype=dtype)
        if self.tiles:
            for key, in_region, in_tile in _tiles(region):
                if key in self.tiles:
                    values[in_region] = self.tiles[key][in_tile]
        return values

    def pixels_of(self, label: int) -> list[MaskCrop]:
        """Covered pixels of a label, a tile at a time."""
        found = {key: tile == label for key, tile in self.tiles.items()}
        return [
            MaskCrop.from_mask(mask, (i * _TILE, j * _TILE)) for (i, j), mask in found.items() if mask.any()
        ]

    def without(self, labels: Iterable[int]) -> Covered:
        """A copy without some labels, which are no longer covered."""
        given_up = list(labels)
        tiles = dict(self.tiles)
        for key, tile in self.tiles.items():
            is_given_up = np.isin(tile, given_up)
            if is_given_up.any():
                left = np.where(is_given_up, 0, tile).astype(tile.dtype)
                left.flags.writeable = False
                tiles[key] = left
        return Covered(MappingProxyType({key: tile for key, tile in tiles.items() if tile.any()}))

    def updated(self, region: tuple[slice, slice], values: Labels, where: NDArray[np.bool_]) -> Covered:
        """A copy with new values in a region, at the pixels ``where``."""
        tiles = dict(self.tiles)
        for key, in_region, in_tile in _tiles(region):
            chosen, new = where[in_region], values[in_region]
            if not chosen.any() or (key not in tiles and not new[chosen].any()):
                continue
            tile = tiles[key].copy() if key in tiles else np.zeros((_TILE, _TILE), dtype=values.dtype)
            tile[in_tile][chosen] = new[chosen]
            tile.flags.writeable = False
            if tile.any():
                tiles[key] = tile
            else:
                del tiles[key]
        return Covered(MappingProxyType(tiles))


def _tiles(
    region: tuple[slice, slice],
) -> Iterator[tuple[tuple[int, int], tuple[slice, slice], tuple[slice, slice]]]:
    """Tiles that a region touches: key, slices within the region, and slices within the tile."""
    rows, columns = region
    for i in range(rows.start // _TILE, -(-rows.stop // _TILE)):
        region_rows, tile_rows = _shared(rows, i)
        for j in range(columns.start // _TILE, -(-columns.stop // _TILE)):
            region_columns, tile_columns = _shared(columns, j)
            yield (i, j), (region_rows, region_columns), (tile_rows, tile_columns)


def _shared(extent: slice, index: int) -> tuple[slice, slice]:
    start, stop = max(extent.start, index * _TILE), min(extent.stop, (index + 1) * _TILE)
    return (
        slice(start - extent.start, stop - extent.start),
        slice(start - index * _TILE, stop - index * _TILE),
    )


def beneath_objects(
    labels_hw: NDArray[Any], objects: Iterable[tuple[int, MaskCrop]], covered: Covered
) -> NDArray[Any] | None:
    """Labels of a label image that belong to no object, also the covered ones; None without any.

    ``objects`` are (id, mask) as painted, ``covered`` the labels under them.
    """
    beneath = np.array(labels_hw)
    for object_id, mask in objects:
        part = beneath[mask.region]
        painted = mask.mask & (part == object_id)
        part[painted] = covered.within(mask.region, part.dtype)[painted]
    if not beneath.any():
        return None
    beneath.flags.writeable = False
    return beneath
