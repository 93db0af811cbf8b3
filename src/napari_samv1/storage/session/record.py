"""Record of a session: everything that made its masks, frozen and shared without copies."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_samv1.annotation.pieces import Object, Piece
from napari_samv1.records.sight import AS_DISPLAYED, Sight


@dataclass(frozen=True)
class World:
    """Placement of a plane's pixels in the world: ``matrix`` (2, 3) maps (row, column, 1) to the world."""

    matrix: tuple[tuple[float, float, float], tuple[float, float, float]] = ((1, 0, 0), (0, 1, 0))
    units: tuple[str, str] = ("pixel", "pixel")

    def points(self, points_yx: ArrayLike) -> NDArray[np.float64]:
        """Points (N, 2) in pixels as points in the world."""
        matrix = np.asarray(self.matrix, dtype=np.float64)
        points = np.asarray(points_yx, dtype=np.float64).reshape(-1, 2)
        return np.asarray(points @ matrix[:, :2].T + matrix[:, 2])

    @property
    def pixel_area(self) -> float:
        """Area of one pixel."""
        return float(abs(np.linalg.det(np.asarray(self.matrix, dtype=np.float64)[:, :2])))

    @property
    def pixel_size_yx(self) -> tuple[float, float]:
        """Sides of one pixel."""
        height, width = np.linalg.norm(np.asarray(self.matrix, dtype=np.float64)[:, :2], axis=0)
        return float(height), float(width)


@dataclass(frozen=True)
class PlaneSource:
    """Source of the annotated pixels: a plane of an image, its origin, and its hash.

    ``image_shape`` is without the colour axis; ``index`` is the plane's place on each axis of the image, None
    on its rows and columns. At a coarser ``level`` a pixel of the plane spans ``factors_yx`` pixels.
    ``pixels`` is ``hash_pixels`` of the plane, "" before it is computed. ``path`` is where the image was
    opened from, ``sample`` the ``plugin:key`` of an image of File > Open Sample.
    """

    name: str
    image_shape: tuple[int, ...]
    dtype: str
    rgb: bool = False
    index: tuple[int | None, ...] = (None, None)
    level: int = 0
    factors_yx: tuple[float, float] = (1.0, 1.0)
    pixels: str = ""
    path: str = ""
    sample: str = ""
    world: World = field(default_factory=World)

    def to_image(self, points_yx: ArrayLike) -> NDArray[np.float64]:
        """The plane's pixels (N, 2) as coordinates (N, ndim) of the image."""
        points = np.asarray(points_yx, dtype=np.float64).reshape(-1, 2)
        position = np.array([0 if place is None else place for place in self.index], dtype=np.float64)
        coordinates = np.tile(position, (len(points), 1))
        axes = [axis for axis, place in enumerate(self.index) if place is None]
        factors = np.asarray(self.factors_yx)
        # (p + 0.5) * f - 0.5, exact where f is 1
        coordinates[:, axes] = points * factors + (factors - 1) / 2
        return coordinates


@dataclass(frozen=True, eq=False)
class PlaneRecord:
    """Pieces of objects on one plane, lowest first in ``order``.

    ``beneath`` (H, W) are the labels that belong to no object, or None. ``channels`` are planes of other
    images that the model saw with this one, identified by their ``pixels``.
    """

    source: PlaneSource
    shape_yx: tuple[int, int]
    pieces: tuple[Piece, ...] = ()
    order: tuple[int, ...] = ()
    beneath: NDArray[Any] | None = field(default=None, repr=False)
    channels: tuple[PlaneSource, ...] = ()


@dataclass(frozen=True, eq=False)
class ImageRecord:
    """An annotated image: its objects, and its planes in the order of slices."""

    objects: tuple[Object, ...]
    planes: tuple[PlaneRecord, ...]


@dataclass(frozen=True, eq=False)
class SessionRecord:
    """A whole session: its images, the times of its start and last save (UTC, ISO 8601), and its sight."""

    images: tuple[ImageRecord, ...]
    created: str = ""
    saved: str = ""
    sight: Sight = AS_DISPLAYED

    @property
    def planes(self) -> tuple[PlaneRecord, ...]:
        """The planes of all images."""
        return tuple(plane for image in self.images for plane in image.planes)

    @property
    def object_count(self) -> int:
        """Objects of all images."""
        return sum(len(image.objects) for image in self.images)


def now() -> str:
    """Current time in the form of a session file."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
