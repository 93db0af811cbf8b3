"""Prompts: points, boxes and a rough area for one object, in image pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

FOREGROUND = 1
BACKGROUND = 0

Within = tuple[float, float, float, float]
"""y0, x0, y1, x1: outer edges of pixels, half a pixel from their centres, or between them."""

# points along a scribble: more tell the network little, and cost time
SCRIBBLE_POINTS = 8


class Area(Protocol):
    """Mask in part of an image, from ``origin_yx`` on, compared by value: a ``MaskCrop``."""

    @property
    def origin_yx(self) -> tuple[int, int]: ...

    @property
    def mask(self) -> NDArray[np.bool_]: ...


@dataclass(frozen=True, eq=False, init=False)
class Prompts:
    """Points and boxes for one object, in image pixels, row before column, and optionally a rough mask.

    Integer coordinates are pixel centres: pixel ``i`` covers ``[i - 0.5, i + 0.5)``.

    Parameters
    ----------
    points_yx : array-like, (N, 2)
        Points as (row, column).
    labels : array-like, (N,)
        1 (foreground) or 0 (background) for each point.
    boxes_yx : array-like, (M, 4)
        Boxes as (y0, x0, y1, x1); corners in any order are sorted.
    area : MaskCrop, optional
        Rough mask of the object, as a hint to the network.
    candidate : int, optional
        Index of the mask, 0 to 3, that all prompts but the ``first`` correct; by default the best one.
    within : (y0, x0, y1, x1), optional
        Part of the image that the decoder attends to, the bounds of its pixels: several times faster for a
        small object, with nearly the same mask, and none outside. By default the whole encoded region.

    Raises
    ------
    ValueError
        If a shape does not fit, a label is neither 0 nor 1, a coordinate is not finite, there is no such
        candidate, or ``within`` is empty.
    """

    points_yx: NDArray[np.float64]
    labels: NDArray[np.int64]
    boxes_yx: NDArray[np.float64]
    area: Area | None
    candidate: int | None
    within: Within | None

    def __init__(
        self,
        points_yx: ArrayLike = (),
        labels: ArrayLike = (),
        boxes_yx: ArrayLike = (),
        area: Area | None = None,
        candidate: int | None = None,
        within: Sequence[float] | None = None,
    ) -> None:
        points = _rows(points_yx, 2, "points_yx must be (N, 2): one (row, column) per point")
        boxes = _rows(boxes_yx, 4, "boxes_yx must be (M, 4): one (y0, x0, y1, x1) per box")
        values = np.asarray(labels)
        if values.shape != (len(points),):
            raise ValueError(
                f"labels must hold one 1 (foreground) or 0 (background) per point: "
                f"expected shape ({len(points)},), got {values.shape}"
            )
        if not ((values == BACKGROUND) | (values == FOREGROUND)).all():
            raise ValueError(f"labels must be 1 (foreground) or 0 (background), got {values.tolist()}")
        if candidate not in (None, 0, 1, 2, 3):
            raise ValueError(f"candidate must be one of the four masks, 0 to 3, or None, got {candidate!r}")
        object.__setattr__(self, "points_yx", _frozen(points))
        object.__setattr__(self, "labels", _frozen(values.astype(np.int64)))
        corners = boxes.reshape(-1, 2, 2)
        sorted_boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
        object.__setattr__(self, "boxes_yx", _frozen(sorted_boxes))
        object.__setattr__(self, "area", area)
        object.__setattr__(self, "candidate", None if candidate is None else int(candidate))
        object.__setattr__(self, "within", None if within is None else _checked_within(within))

    def __len__(self) -> int:
        """Number of points and boxes together."""
        return len(self.points_yx) + len(self.boxes_yx)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Prompts):
            return NotImplemented
        return self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def _identity(self) -> tuple[bytes, bytes, bytes, Area | None, int | None, Within | None]:
        pointed = self.points_yx.tobytes(), self.labels.tobytes(), self.boxes_yx.tobytes()
        return *pointed, self.area, self.candidate, self.within

    def is_close(self, other: Prompts, pixels: float = 1e-6) -> bool:
        """True for the same prompts up to rounding, with any ``candidate`` and ``within``.

        A layer's transform there and back moves a coordinate by some 1e-13.
        """
        return (
            np.array_equal(self.labels, other.labels)
            and self.area == other.area
            and self.boxes_yx.shape == other.boxes_yx.shape
            and bool(np.all(np.abs(self.points_yx - other.points_yx) <= pixels))
            and bool(np.all(np.abs(self.boxes_yx - other.boxes_yx) <= pixels))
        )

    @property
    def is_single(self) -> bool:
        """True for one point or one box alone: ambiguous, so the network answers with parts and wholes."""
        return len(self) == 1 and self.area is None

    @property
    def first(self) -> Prompts:
        """Prompts that the others correct: the boxes, or else the first foreground point.

        Kind and order decide, not time: a box is first whenever it was drawn. Background points alone correct
        nothing, so that all of them are first.
        """
        if len(self.boxes_yx):
            return Prompts(boxes_yx=self.boxes_yx)
        index = np.flatnonzero(self.labels == FOREGROUND)[:1]
        return Prompts(self.points_yx[index], self.labels[index]) if len(index) else self

    @property
    def clicked(self) -> Prompts:
        """The points alone, without boxes and area; all prompts if there are no points."""
        return Prompts(self.points_yx, self.labels) if len(self.points_yx) else self

    @property
    def corrects(self) -> bool:
        """True if prompts correct the answer to ``first``; with an area, all prompts are asked at once."""
        return self.area is None and len(self.first) < len(self)

    def correcting(self, candidate: int | None) -> Prompts:
        """The same prompts with a candidate to correct; without one if they correct nothing."""
        return Prompts(
            self.points_yx, self.labels, self.boxes_yx, self.area, candidate if self.corrects else None
        )

    def attending(self, within: Sequence[float] | None) -> Prompts:
        """The same prompts for another part of the image; None is the whole encoded region."""
        return Prompts(self.points_yx, self.labels, self.boxes_yx, self.area, self.candidate, within)

    @property
    def only_background(self) -> bool:
        """True for background points alone."""
        return len(self) > 0 and len(self.boxes_yx) == 0 and not self.labels.any()


def refuse_others(prompts: Sequence[object]) -> None:
    """Refuse objects' prompts that are no ``Prompts``.

    Raises
    ------
    TypeError
        If one is of another type.
    """
    for one in prompts:
        if not isinstance(one, Prompts):
            raise TypeError(
                f"an object's prompts must be Prompts, e.g. Prompts(points_yx=[(y, x)], labels=[1]), got "
                f"{type(one).__name__}"
            )


def _checked_within(values: Sequence[float]) -> Within:
    try:
        y0, x0, y1, x1 = (float(value) for value in values)
    except (TypeError, ValueError) as error:
        raise ValueError(f"within must be four numbers (y0, x0, y1, x1), got {values!r}") from error
    if not (np.isfinite([y0, x0, y1, x1]).all() and y0 < y1 and x0 < x1):
        raise ValueError(
            f"within must be finite (y0, x0, y1, x1) with y0 < y1 and x0 < x1, got {(y0, x0, y1, x1)}"
        )
    return y0, x0, y1, x1


def points_along(vertices_yx: ArrayLike) -> NDArray[np.float64]:
    """Points (N, 2) at equal distances along a drawn path (V, 2), its ends among them."""
    vertices = np.asarray(vertices_yx, dtype=np.float64).reshape(-1, 2)
    lengths = np.linalg.norm(np.diff(vertices, axis=0), axis=1)
    travelled = np.concatenate([[0.0], np.cumsum(lengths)])
    # on a short path one point for each pixel is enough
    count = int(np.clip(np.ceil(travelled[-1]) + 1, 1, SCRIBBLE_POINTS))
    places = np.linspace(0.0, travelled[-1], count)
    return np.stack([np.interp(places, travelled, vertices[:, axis]) for axis in (0, 1)], axis=1)


def _rows(values: ArrayLike, width: int, expected: str) -> NDArray[np.float64]:
    try:
        rows = np.array(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{expected}; got {values!r}") from error
    if rows.size == 0:
        rows = rows.reshape(0, width)
    if rows.ndim != 2 or rows.shape[1] != width:
        raise ValueError(f"{expected}; got an array of shape {rows.shape}")
    if not np.isfinite(rows).all():
        raise ValueError(f"{expected}; got a coordinate that is not finite")
    return rows


def _frozen(array: NDArray[Any]) -> NDArray[Any]:
    array.flags.writeable = False
    return array
