"""Regions: the canonical windows of a plane at each detail, and the choice of one for a prompt."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import label

from napari_samv1.records.detail import Detail, checked_detail
from napari_samv1.records.prompts import Prompts

if TYPE_CHECKING:
    from napari_samv1.engine.prediction import Prediction

Window = tuple[int, int, int, int]
"""First row, first column, height, width."""

Used = float | Literal["whole"]

Box = tuple[float, float, float, float]
"""First row, first column, last row, last column; whole numbers are pixel centres."""


@dataclass(frozen=True)
class RegionGrid:
    """All regions of a plane at one detail, ``extent`` pixels a side; neighbours overlap by half.

    They start at multiples of half an extent; the last ones end with the plane. A plane no larger than a
    region is one region.
    """

    plane_hw: tuple[int, int]
    extent: int

    @classmethod
    def at(cls, plane_hw: tuple[int, int], side: int, detail: Detail) -> RegionGrid:
        """The grid for a model that sees ``side`` pixels, at a detail as in ``records.detail``.

        Raises
        ------
        ValueError
            If the detail is invalid, or so high that a region would hold fewer than two pixels.
        """
        used = checked_detail(detail)
        extent = max(plane_hw) if used == "whole" else round(side / used)
        if extent < 2 and used != "whole":
            raise ValueError(
                f"a detail of {detail} leaves no pixels for a region: take one below {side / 2:g}"
            )
        return cls(plane_hw, min(extent, max(plane_hw)))

    @property
    def is_whole(self) -> bool:
        """True if one region is the whole plane."""
        return self.extent >= max(self.plane_hw)

    @cached_property
    def starts(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """First rows and first columns of the regions."""
        step = max(1, self.extent // 2)
        rows, columns = (
            np.minimum(np.arange(0, max(size - self.extent, 0) + step, step), max(size - self.extent, 0))
            for size in self.plane_hw
        )
        return np.unique(rows), np.unique(columns)

    def __len__(self) -> int:
        rows, columns = self.starts
        return len(rows) * len(columns)

    def __iter__(self) -> Iterator[Window]:
        """The windows of all regions, row by row."""
        return (self._window(top, left) for top in self.starts[0] for left in self.starts[1])

    def nearest(self, point_yx: ArrayLike) -> Window:
        """The window whose middle is nearest to a point; of equally near ones the first."""
        corner = []
        for starts, size, place in zip(self.starts, self.plane_hw, np.asarray(point_yx, float), strict=True):
            middles = starts + (min(self.extent, size) - 1) / 2
            corner.append(int(starts[np.argmin(np.abs(middles - place))]))
        return self._window(corner[0], corner[1])

    def _window(self, top: int, left: int) -> Window:
        height, width = (min(self.extent, size) for size in self.plane_hw)
        return int(top), int(left), height, width


@dataclass(frozen=True)
class Attempt:
    """Next place to decode prompts: a window at a detail, and the windows of that detail tried before."""

    detail: Used
    window: Window
    tried: frozenset[Window] = frozenset()


@dataclass(frozen=True)
class RegionRule:
    """Rule for the region in which prompts are decoded; it depends on the prompts and their masks alone.

    The first region is the one whose middle is nearest to the prompts. If the mask touches an edge of it
    inside the plane, the region nearest to the mask is next. If the mask touches an edge there too, the
    detail is halved (quartered if it touches all four edges), up to the whole plane. Prompts that do not fit
    into one region start at the first detail at which they do.
    """

    plane_hw: tuple[int, int]
    side: int

    def first(self, prompts: Prompts, detail: Detail) -> Attempt:
        """First attempt for prompts, at the requested detail if they fit into one of its regions."""
        box = prompt_box(prompts, self.plane_hw)
        return self._at_or_coarser(checked_detail(detail), box, box)

    def next(self, prompts: Prompts, attempt: Attempt, prediction: Prediction) -> Attempt | None:
        """Return the attempt after this one; None where its prediction stands."""
        if attempt.detail == "whole":
            return None
        reach = mask_reach(prediction)
        if reach is None or not reach.edges:
            return None
        box = prompt_box(prompts, self.plane_hw)
        tried = attempt.tried | {attempt.window}
        window = self._grid(attempt.detail).nearest(_middle(reach.box))
        if window not in tried and _holds(window, box):
            return replace(attempt, window=window, tried=tried)
        return self._at_or_coarser(attempt.detail / (4 if reach.edges == 4 else 2), reach.box, box)

    def _at_or_coarser(self, detail: Used, wanted: Box, box: Box) -> Attempt:
        """Finest region, from a detail on, that holds ``box``: near ``wanted``, or else near ``box``."""
        while detail != "whole":
            grid = self._grid(detail)
            if grid.is_whole:
                break
            for middle in (_middle(wanted), _middle(box)):
                window = grid.nearest(middle)
                if _holds(window, box):
                    return Attempt(detail, window)
            detail /= 2
        return Attempt("whole", (0, 0, *self.plane_hw))

    def _grid(self, detail: Detail) -> RegionGrid:
        return RegionGrid.at(self.plane_hw, self.side, detail)


@dataclass(frozen=True)
class Reach:
    """Reach of a mask: its box, and the number of its region's edges inside the image that it touches."""

    box: Box
    edges: int


def mask_reach(prediction: Prediction) -> Reach | None:
    """Reach of the best mask's largest piece, found in the logits; None for an empty mask.

    Islands do not count, because one at an edge would lower the object's detail.
    """
    frame = prediction.frame
    rows, columns = frame.logits_valid_hw
    mask = prediction.logits[prediction.best(), :rows, :columns] > 0
    pieces, count = label(mask)
    if not count:
        return None
    areas = np.bincount(pieces.ravel())
    areas[0] = 0
    piece = pieces == areas.argmax()
    on_rows, on_columns = np.flatnonzero(piece.any(axis=1)), np.flatnonzero(piece.any(axis=0))
    top, left, height, width = frame.window_yxhw
    edges = [
        on_rows[0] == 0 and top > 0,
        on_rows[-1] == rows - 1 and top + height < frame.image_hw[0],
        on_columns[0] == 0 and left > 0,
        on_columns[-1] == columns - 1 and left + width < frame.image_hw[1],
    ]
    corners = frame.from_logits_yx([(on_rows[0], on_columns[0]), (on_rows[-1], on_columns[-1])])
    (y0, x0), (y1, x1) = corners.tolist()
    return Reach((y0, x0, y1, x1), sum(map(bool, edges)))


def prompt_box(prompts: Prompts, plane_hw: tuple[int, int]) -> Box:
    """Box around all points, boxes and the area, within the plane; the whole plane without prompts."""
    corners = [prompts.points_yx, prompts.boxes_yx.reshape(-1, 2)]
    if prompts.area is not None and prompts.area.mask.size:
        first = np.asarray(prompts.area.origin_yx, dtype=np.float64)
        corners += [first[None], first[None] + prompts.area.mask.shape - 1]
    points = np.concatenate(corners)
    last = np.asarray(plane_hw, dtype=np.float64) - 1
    if not len(points):
        return 0.0, 0.0, float(last[0]), float(last[1])
    (y0, x0), (y1, x1) = (np.clip(end, 0, last).tolist() for end in (points.min(axis=0), points.max(axis=0)))
    return y0, x0, y1, x1


def _middle(box: Box) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def _holds(window: Window, box: Box) -> bool:
    top, left, height, width = window
    return (
        box[0] >= top - 0.5
        and box[1] >= left - 0.5
        and box[2] <= top + height - 0.5
        and box[3] <= left + width - 0.5
    )
