"""The record of a session: everything that made its masks. All of it frozen, nothing of it copied."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from napari_samv1.engine.objects import AnnotatedObject

Kind = Literal["rectangle", "ellipse", "polygon", "path", "line"]


@dataclass(frozen=True)
class Environment:
    """What computed an answer: on the same machine, the same environment gives the same bits."""

    package: str
    python: str
    numpy: str
    torch: str
    platform: str
    processor: str
    threads: int

    @classmethod
    def now(cls) -> Environment:
        """This process."""
        import torch

        return cls(*_versions(), torch.get_num_threads())


@cache
def _versions() -> tuple[str, str, str, str, str, str]:
    import torch

    return (
        version("napari-samv1"),
        platform.python_version(),
        np.__version__,
        torch.__version__,
        platform.platform(),
        torch.backends.cpu.get_cpu_capability(),
    )


@dataclass(frozen=True)
class Computation:
    """A model, and the process in which it answered.

    ``source`` is the name or the path that ``load_model`` was given; the weights are identified by the
    ``EmbeddingKey`` of the answer.
    """

    model: str
    source: str
    environment: Environment


@dataclass(frozen=True)
class World:
    """Where a plane's pixels lie in the world: ``matrix`` (2, 3) maps (row, column, 1) to it."""

    matrix: tuple[tuple[float, float, float], tuple[float, float, float]] = ((1, 0, 0), (0, 1, 0))
    units: tuple[str, str] = ("pixel", "pixel")

    def points(self, points_yx: ArrayLike) -> NDArray[np.float64]:
        """Points (N, 2) in pixels as points in the world."""
        matrix = np.asarray(self.matrix, dtype=np.float64)
        points = np.asarray(points_yx, dtype=np.float64).reshape(-1, 2)
        return np.asarray(points @ matrix[:, :2].T + matrix[:, 2])

    @property
    def pixel_area(self) -> float:
        """The area of one pixel."""
        return float(abs(np.linalg.det(np.asarray(self.matrix, dtype=np.float64)[:, :2])))

    @property
    def pixel_size_yx(self) -> tuple[float, float]:
        """The sides of one pixel."""
        height, width = np.linalg.norm(np.asarray(self.matrix, dtype=np.float64)[:, :2], axis=0)
        return float(height), float(width)


@dataclass(frozen=True)
class PlaneSource:
    """Which pixels were annotated: a plane of an image, where it came from, and what identifies it.

    ``image_shape`` is the image's without its colours; ``index`` the place on its axes, None on the two that
    are the plane's rows and columns. At a coarser ``level`` a pixel of the plane spans ``factors_yx`` pixels.
    ``pixels`` is ``hash_pixels`` of the plane, "" where it is not known yet. ``path`` is where the image was
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
class DrawnShape:
    """A prompt as it was drawn, where it is more than a point or a rectangle."""

    kind: Kind
    vertices_yx: NDArray[np.float64]
    positive: bool = True


@dataclass(frozen=True, eq=False)
class PlaneRecord:
    """The objects of one plane, lowest first in ``stack``, and what computed each one's answer.

    ``beneath`` (H, W) are the labels of the label image that are no object's, None where there are none.
    ``drawn`` holds, by object, prompts that ``Prompts`` cannot show as they were drawn.
    """

    source: PlaneSource
    shape_yx: tuple[int, int]
    objects: tuple[AnnotatedObject, ...] = ()
    stack: tuple[int, ...] = ()
    computations: Mapping[int, Computation] = field(default_factory=dict)
    beneath: NDArray[Any] | None = field(default=None, repr=False)
    drawn: Mapping[int, tuple[DrawnShape, ...]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class SessionRecord:
    """A whole session: its planes, and when it was begun (UTC, ISO 8601)."""

    planes: tuple[PlaneRecord, ...]
    created: str = ""
    saved: str = ""

    @property
    def object_count(self) -> int:
        """Objects of all planes."""
        return sum(len(plane.objects) for plane in self.planes)
