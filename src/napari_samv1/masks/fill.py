"""Fill a polygon in time that grows with its outline and its area, not with their product."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from napari_samv1.records.mask_crop import MaskCrop

SAME_PLACE = 1e-12
PIXELS_AT_A_TIME, ROWS_AT_A_TIME, CROSSINGS_AT_A_TIME = 1 << 24, 1 << 16, 1 << 18

Floats = NDArray[np.float64]


def fill(outline_yx: Floats, shape_yx: tuple[int, int]) -> MaskCrop:
    """Pixels of a plane whose centres lie in a polygon, on its edges or at its vertices.

    Where edges cross, parity decides. The pixels are those of ``skimage.draw.polygon``, which compares each
    pixel with each edge.
    """
    first_yx = np.maximum(np.ceil(outline_yx.min(axis=0) - SAME_PLACE), 0)
    last_yx = np.minimum(np.floor(outline_yx.max(axis=0) + SAME_PLACE), np.asarray(shape_yx) - 1)
    top, left = (int(place) for place in first_yx)
    height, width = (int(size) for size in np.maximum(last_yx - first_yx + 1, 0))
    mask = np.zeros((height, width), dtype=bool)
    if not mask.size:
        return MaskCrop.from_mask(mask)
    # an edge from one vertex to the next, each (row, column): E 2 2
    edges = np.stack([np.roll(outline_yx, 1, axis=0), outline_yx], axis=1)
    rows = max(1, min(ROWS_AT_A_TIME, PIXELS_AT_A_TIME // width))
    for start in range(0, height, rows):
        band = mask[start : start + rows]
        band[...] = _inside(edges, top + start, left, band.shape)
    _mark_vertices(mask, outline_yx, (top, left))
    return MaskCrop.from_mask(mask, (top, left))


def _inside(edges: Floats, top: int, left: int, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Pixels of a band of rows with an odd number of edges to the right, or another parity to the left."""
    height, width = shape
    # 1 where the parity of the number of edges differs between a pixel and the one before it
    to_right, to_left = np.zeros((2, height, width + 1), dtype=np.uint8)
    for row, (y0, x0), (y1, x1) in _crossings(edges, top, height):
        up, down = (y0 > 0) != (y1 > 0), (y0 < 0) != (y1 < 0)
        for changes, crosses, side in ((to_right, up, 1), (to_left, down, -1)):
            ends = (y0[crosses], x0[crosses], y1[crosses], x1[crosses])
            np.bitwise_xor.at(changes, (row[crosses], _change(*ends, left, width, side)), 1)
    # an edge is to the right of all pixels before its place, and to the left of all from its place on
    right = np.bitwise_xor.accumulate(to_right[:, :0:-1], axis=1)[:, ::-1]
    left_of = np.bitwise_xor.accumulate(to_left, axis=1)[:, :-1]
    return (right | (right ^ left_of)).astype(bool)


def _crossings(
    edges: Floats, top: int, height: int
) -> Iterator[tuple[NDArray[np.int64], tuple[Floats, Floats], tuple[Floats, Floats]]]:
    """Rows of the band and the edges that reach them, in parts.

    The two ends of an edge are (row, column), with rows counted from the row that it reaches.
    """
    first = np.clip(np.ceil(edges[:, :, 0].min(axis=1)) - top, 0, height).astype(np.int64)
    stop = np.clip(np.floor(edges[:, :, 0].max(axis=1)) - top + 1, 0, height).astype(np.int64)
    counts = np.maximum(stop - first, 0)
    parts = np.cumsum(counts) // CROSSINGS_AT_A_TIME
    for part in np.split(np.arange(len(edges)), np.flatnonzero(np.diff(parts)) + 1):
        rows = counts[part]
        edge = np.repeat(part, rows)
        row = first[edge] + np.arange(len(edge)) - np.repeat(np.cumsum(rows) - rows, rows)
        (y1, x1), (y0, x0) = edges[edge].transpose(1, 2, 0)
        yield row, (y0 - (top + row), x0), (y1 - (top + row), x1)


def _change(
    y0: Floats, x0: Floats, y1: Floats, x1: Floats, left: int, width: int, side: int
) -> NDArray[np.int64]:
    """First column with an edge no longer to its right (side 1), or with the edge to its left (side -1)."""
    with np.errstate(over="ignore", invalid="ignore"):
        place = np.clip((x0 * y1 - x1 * y0) / (y1 - y0), left - 2, left + width + 2)
    # rounding may put the place one column off, so the columns around it are tested exactly
    guess = np.floor(place).astype(np.int64) - 1
    first = guess.copy()
    for column in (guess, guess + 1, guess + 2, guess + 3):
        seen = ((x0 - column) * y1 - (x1 - column) * y0) / (y1 - y0)
        first += seen > 0 if side > 0 else ~(seen < 0)
    return np.clip(first - left, 0, width)


def _mark_vertices(mask: NDArray[np.bool_], outline_yx: Floats, origin_yx: tuple[int, int]) -> None:
    nearest = np.round(outline_yx)
    is_centre = (np.abs(outline_yx - nearest) < SAME_PLACE).all(axis=1)
    at = nearest[is_centre].astype(np.int64) - np.asarray(origin_yx)
    at = at[((at >= 0) & (at < mask.shape)).all(axis=1)]
    mask[at[:, 0], at[:, 1]] = True
