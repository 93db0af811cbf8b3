"""Masks as polygons along the edges of their pixels: exact, with holes, any number of pieces."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import label

from napari_samv1.records.mask_crop import MaskCrop

Corner = tuple[int, int]
Edge = tuple[Corner, int]
"""A step along a pixel's edge: from a corner (x, y) in one of the four directions."""

Ring = tuple[Corner, ...]
"""Corners (x, y) where the direction changes, closed: the last is the first."""

# right, down, left, up; y goes downwards, and the object is on the right hand
_STEPS = {0: (1, 0), 1: (0, 1), 2: (-1, 0), 3: (0, -1)}


@dataclass(frozen=True)
class Polygon:
    """One piece of a mask. Pixel (row y, column x) is the square from (x, y) to (x + 1, y + 1)."""

    outer: Ring
    holes: tuple[Ring, ...]


def polygons(crop: MaskCrop) -> list[Polygon]:
    """The pieces of a mask, each connected along edges; pieces that touch at a corner only are two."""
    pieces, count = label(crop.mask)
    outers: list[Ring | None] = [None] * count
    holes: list[list[Ring]] = [[] for _ in range(count)]
    for ring, piece in _rings(pieces, crop.origin_yx):
        # clockwise on the screen is around an object, the other way is around a hole in it
        if _doubled_area(ring) > 0:
            outers[piece - 1] = ring
        else:
            holes[piece - 1].append(ring)
    both = zip(outers, holes, strict=True)
    return [Polygon(outer, tuple(inner)) for outer, inner in both if outer is not None]


def _rings(pieces: NDArray[np.int32], origin_yx: tuple[int, int]) -> Iterator[tuple[Ring, int]]:
    """All closed outlines, each with its piece; none touches itself."""
    edges = _edges(pieces)
    unused = dict(edges)
    while unused:
        edge = next(iter(unused))
        piece = unused[edge]
        loop = []
        while edge in unused:
            del unused[edge]
            loop.append(edge)
            edge = _next(edge, edges)
        for ring in _split(loop):
            yield _simplified(ring, origin_yx), piece


def _next(edge: Edge, edges: Mapping[Edge, int]) -> Edge:
    """Next edge of an outline: turned towards the object if possible, to stay with the piece."""
    (x, y), direction = edge
    corner = x + _STEPS[direction][0], y + _STEPS[direction][1]
    turned = ((corner, (direction + turn) % 4) for turn in (1, 0, 3))
    return next(following for following in turned if following in edges)


def _split(loop: list[Edge]) -> list[list[Edge]]:
    """Split a loop that meets itself at corners into rings that do not."""
    rings: list[list[Edge]] = []
    rest: list[Edge] = []
    place: dict[Corner, int] = {}
    for edge in loop:
        if edge[0] in place:
            begin = place[edge[0]]
            rings.append(rest[begin:])
            for corner, _ in rest[begin:]:
                del place[corner]
            del rest[begin:]
        place[edge[0]] = len(rest)
        rest.append(edge)
    return [*rings, rest]


def _edges(pieces: NDArray[np.int32]) -> dict[Edge, int]:
    """Pixel edges between pieces and background, each with the piece on its right."""
    padded = np.pad(pieces, 1)
    inner = padded[1:-1, 1:-1]
    neighbours = {
        0: (padded[:-2, 1:-1], (0, 0)),  # above: along the top edge to the right
        1: (padded[1:-1, 2:], (1, 0)),  # on the right: down
        2: (padded[2:, 1:-1], (1, 1)),  # below: to the left
        3: (padded[1:-1, :-2], (0, 1)),  # on the left: up
    }
    edges: dict[Edge, int] = {}
    for direction, (neighbour, (dx, dy)) in neighbours.items():
        rows, columns = np.nonzero((inner != 0) & (neighbour == 0))
        corners = zip((columns + dx).tolist(), (rows + dy).tolist(), strict=True)
        keys = ((corner, direction) for corner in corners)
        edges.update(zip(keys, inner[rows, columns].tolist(), strict=True))
    return edges


def _simplified(ring: list[Edge], origin_yx: tuple[int, int]) -> Ring:
    """Corners where the direction changes, in the image's coordinates, closed."""
    top, left = origin_yx
    turns = [
        (x + left, y + top)
        for ((x, y), direction), (_, before) in zip(ring, [ring[-1], *ring[:-1]], strict=True)
        if before != direction
    ]
    return (*turns, turns[0])


def _doubled_area(ring: Ring) -> int:
    """Twice the area, positive where the ring goes clockwise on a screen (y downwards)."""
    return sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in pairwise(ring))
