"""DrawnShape: a prompt as it was drawn, point or shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Kind = Literal["point", "rectangle", "ellipse", "polygon", "path", "line"]


@dataclass(frozen=True, eq=False)
class DrawnShape:
    """A prompt as it was drawn: vertices (N, 2) in the plane's pixels, one for a point.

    An ellipse has the four corners of the box around it, as in napari.
    """

    kind: Kind
    vertices_yx: NDArray[np.float64]
    positive: bool = True

    def is_close(self, other: DrawnShape) -> bool:
        """True for the same prompt up to rounding by a layer's transform, and for shapes by float32."""
        first, second = self.vertices_yx, other.vertices_yx
        if self.kind != other.kind or self.positive != other.positive or first.shape != second.shape:
            return False
        pixels = 1e-6 if self.kind == "point" else 1e-3
        # compare bytes first: quick, and nearly all of thousands of prompts are unchanged
        return first.tobytes() == second.tobytes() or bool(np.all(np.abs(first - second) <= pixels))

    @property
    def bounds_yx(self) -> NDArray[np.float64]:
        """Bounding box: (4,) as y0, x0, y1, x1."""
        return np.concatenate([self.vertices_yx.min(axis=0), self.vertices_yx.max(axis=0)])


def all_close(first: tuple[DrawnShape, ...], second: tuple[DrawnShape, ...]) -> bool:
    """True for the same prompts in the same order, up to rounding."""
    return first is second or (
        len(first) == len(second)
        and all(one.is_close(other) for one, other in zip(first, second, strict=True))
    )


def drawn_point(point_yx: ArrayLike, positive: bool = True) -> DrawnShape:
    """A click."""
    return DrawnShape("point", np.asarray(point_yx, dtype=np.float64).reshape(1, 2), positive)


def drawn_box(box_yx: ArrayLike) -> DrawnShape:
    """A rectangle from y0, x0, y1, x1."""
    y0, x0, y1, x1 = np.asarray(box_yx, dtype=np.float64)
    return DrawnShape("rectangle", np.array([(y0, x0), (y0, x1), (y1, x1), (y1, x0)]))
