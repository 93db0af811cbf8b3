"""Limits of a session, far above real annotations; a file beyond them is refused unread.

Saving keeps to them too, so that every saved session can be opened.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import numpy as np

from napari_samv1.annotation.pieces import Piece
from napari_samv1.masks.drawn import AREAS, is_box
from napari_samv1.records.drawn import DrawnShape
from napari_samv1.storage.errors import SessionError

MOST_TEXT_BYTES = 1 << 28
MOST_BRACKETS = 20_000_000
MOST_DEPTH = 24
MOST_IN_LIST = 20_000
"""Prompts of a piece, vertices of a shape, and entries of any other list in the file."""
MOST_IN_LONG_LIST = 2_000_000
LONG_LISTS = frozenset({"images", "planes", "objects", "pieces", "order", "stack"})
MOST_MASK_PIXELS = 1 << 30
MOST_PIXELS = 1 << 32
"""Pixels in the boxes of all masks together, and in those of all drawn shapes together."""
MOST_CROSSINGS = 100_000_000
"""Rows that the edges of all drawn shapes cross together, which bounds the time to fill the shapes."""
MOST_COUNTS = 1 << 24
"""Characters of one mask's run lengths."""
LEAST_MEMORY_BYTES = 1 << 33
"""Assumed if the system does not report its memory."""
USUAL_LABEL_BYTES = 1 << 30
MOST_COMPRESSED = 300
"""Largest compression ratio of a label image that is larger than usual."""
MOST_COORDINATE = 1e12

Json = Any


def require_text_size(text: bytes) -> None:
    """Refuse a text whose parsed content might not fit into memory.

    Raises
    ------
    SessionError
        If it is too large.
    """
    if len(text) > MOST_TEXT_BYTES or text.count(b"[") + text.count(b"{") > MOST_BRACKETS:
        raise SessionError("the file is larger than any session")


def require_sizes(content: Json) -> None:
    """Refuse JSON with lists, nesting or masks beyond the limits.

    Raises
    ------
    SessionError
        If something is too large; the message says where.
    """
    pixels = 0
    waiting: list[tuple[str, int, Json]] = [("session.json", 0, content)]
    while waiting:
        name, depth, value = waiting.pop()
        if depth > MOST_DEPTH:
            raise SessionError(f"{name}: values are nested more than {MOST_DEPTH} deep")
        if isinstance(value, list):
            most = MOST_IN_LONG_LIST if name in LONG_LISTS else MOST_IN_LIST
            if len(value) > most:
                raise SessionError(f"{name}: a list of {len(value)}; a session holds at most {most} there")
            waiting += [(name, depth + 1, inner) for inner in value if isinstance(inner, dict | list)]
        else:
            pixels += _mask_pixels(name, value)
            waiting += [(key, depth + 1, one) for key, one in value.items() if isinstance(one, dict | list)]
    if pixels > MOST_PIXELS:
        raise SessionError(f"its masks have {pixels} pixels together; a session holds at most {MOST_PIXELS}")


class Room:
    """Pixels and row crossings that are left for filling drawn shapes."""

    def __init__(self) -> None:
        self._pixels, self._crossings = MOST_PIXELS, MOST_CROSSINGS

    def take(self, shapes: Iterable[DrawnShape], shape_yx: tuple[int, int]) -> None:
        """Count shapes on a plane of this size, before they are filled.

        Raises
        ------
        ValueError
            If one is larger than any mask, or all of them take more than a session can.
        """
        for shape in shapes:
            if is_box(shape) or shape.kind not in AREAS:
                continue
            corners = np.clip(shape.bounds_yx.reshape(2, 2), 0, shape_yx)
            pixels = int(np.prod(corners[1] - corners[0]))
            if pixels > MOST_MASK_PIXELS:
                raise ValueError(f"the {shape.kind} covers more than {MOST_MASK_PIXELS} pixels")
            self._pixels -= pixels
            if self._pixels < 0:
                raise ValueError(f"the drawn shapes cover more than {MOST_PIXELS} pixels together")
            rows = np.clip(shape.vertices_yx[:, 0], 0, shape_yx[0])
            self._crossings -= int(np.abs(np.diff(rows, append=rows[0])).sum())
            if self._crossings < 0:
                raise ValueError(f"the drawn shapes' outlines cross more than {MOST_CROSSINGS} rows together")


def _mask_pixels(name: str, value: dict[str, Json]) -> int:
    """Pixels of a mask's box; 0 for any other value, which the schema checks."""
    size, counts = value.get("size_hw"), value.get("counts")
    if not (isinstance(size, list) and len(size) == 2 and all(isinstance(side, int) for side in size)):
        return 0
    pixels: int = max(0, size[0]) * max(0, size[1])
    if pixels > MOST_MASK_PIXELS:
        raise SessionError(f"{name}: a mask of {size[0]} x {size[1]} is larger than a session can hold")
    if isinstance(counts, str) and len(counts) > MOST_COUNTS:
        raise SessionError(
            f"{name}: a mask's run lengths have {len(counts)} characters; a session holds at most "
            f"{MOST_COUNTS}"
        )
    return pixels


def require_few_prompts(piece: Piece) -> None:
    """Refuse to save a piece that could not be opened again.

    Raises
    ------
    SessionError
        If a piece has too many prompts, or a drawn shape too many vertices.
    """
    most = max((len(shape.vertices_yx) for shape in piece.drawn), default=0)
    count = max(len(piece.drawn), len(piece.prompts))
    if max(most, count) > MOST_IN_LIST:
        excess = f"{count} prompts on one slice" if count > MOST_IN_LIST else f"a shape of {most} vertices"
        raise SessionError(
            f"object {piece.id} has {excess}, and a session holds at most {MOST_IN_LIST}: delete some"
        )


def require_label_size(name: str, unpacked: int, packed: int) -> None:
    """Refuse a label image that is far larger than its file.

    Raises
    ------
    SessionError
        If it is, and is larger than usual.
    """
    if not is_plausible(unpacked, packed):
        raise SessionError(
            f"{name} holds labels of {unpacked / 1e9:.1f} GB in {packed / 1e6:.1f} MB, which is more than a "
            f"session can"
        )


def is_plausible(unpacked: int, packed: int) -> bool:
    """Return True if a label image is of the usual size, or compressed as label images are."""
    return unpacked <= USUAL_LABEL_BYTES or unpacked <= MOST_COMPRESSED * packed


def require_label_sizes(unpacked: int) -> None:
    """Refuse label images that together would fill the memory.

    Raises
    ------
    SessionError
        If they have more than ``most_label_bytes``.
    """
    if unpacked > most_label_bytes():
        raise SessionError(
            f"its label images have {unpacked / 1e9:.1f} GB together, and at most "
            f"{most_label_bytes() / 1e9:.1f} GB are opened on this machine"
        )


def most_label_bytes() -> int:
    """Largest sum of unpacked label images: half of the machine's memory."""
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        memory = 0
    return max(LEAST_MEMORY_BYTES, memory) // 2
