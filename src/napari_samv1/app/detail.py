"""Detail and regions that suit the part of a plane on the screen."""

from __future__ import annotations

import math
from collections.abc import Container
from typing import TYPE_CHECKING

import numpy as np

from napari_samv1.records.detail import NATIVE, Detail

if TYPE_CHECKING:
    from napari_samv1.engine.regions import RegionGrid, Window

Part = tuple[float, float, float, float]
"""Part of a plane on the screen: first row, first column, last row, last column, in the plane's pixels."""

NEARLY_ALL = 0.8

MOST_AHEAD = 9
"""Regions around the middle of the screen that are encoded before a prompt needs them."""


def detail_for(part: Part, plane_hw: tuple[int, int], side: int) -> Detail:
    """Detail at which a region of ``side`` model pixels is about as large as the part on the screen.

    Native or a power of two coarser; "whole" if most of the plane is shown, or a region would hold all of it.
    """
    extent = max(part[2] - part[0], part[3] - part[1]) + 1
    if extent >= NEARLY_ALL * max(plane_hw):
        return "whole"
    detail = min(NATIVE, 2.0 ** round(math.log2(side / extent)))
    return "whole" if side / detail >= max(plane_hw) else detail


def middle_of(part: Part) -> tuple[float, float]:
    """Middle of a part, row and column."""
    return (part[0] + part[2]) / 2, (part[1] + part[3]) / 2


def next_ahead(grid: RegionGrid, part: Part, encoded: Container[Window]) -> Window | None:
    """The window to encode next: the nearest missing of the ``MOST_AHEAD`` nearest on the screen."""
    middle, axes = middle_of(part), []
    for starts, size, first, last, place in zip(
        grid.starts, grid.plane_hw, part[:2], part[2:], middle, strict=True
    ):
        extent = min(grid.extent, size)
        seen = starts[(starts <= last) & (starts + extent > first)]
        nearest = np.argsort(np.abs(seen + (extent - 1) / 2 - place), kind="stable")[:MOST_AHEAD]
        axes.append((seen[nearest], extent))
    (rows, height), (columns, width) = axes
    windows = [(int(top), int(left), height, width) for top in rows for left in columns]
    windows.sort(key=lambda window: math.dist((window[0] + height / 2, window[1] + width / 2), middle))
    return next((one for one in windows[:MOST_AHEAD] if one not in encoded), None)
