"""Proposals: one prompt for each object that a dense head, or anything else, takes to be there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from napari_samv1.engine.embedding import Embedding
from napari_samv1.records.prompts import Prompts


@dataclass(frozen=True, eq=False)
class Proposals:
    """N objects to ask for, in image pixels.

    ``points_yx`` (N, 2) lies in each object; ``boxes_yx`` (N, 4) y0 x0 y1 x1, or None, is asked with it.
    ``scores`` (N,) says how sure it is that there is one, ``radii`` (N,) how large it is, NaN where unknown.
    """

    points_yx: NDArray[np.float64]
    scores: NDArray[np.float32]
    radii: NDArray[np.float32]
    boxes_yx: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        count = len(self.points_yx)
        shapes = {"points_yx": (count, 2), "scores": (count,), "radii": (count,)}
        if self.boxes_yx is not None:
            shapes["boxes_yx"] = (count, 4)
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise ValueError(
                    f"{name} of {count} proposals must be {shape}, got {getattr(self, name).shape}"
                )

    def __len__(self) -> int:
        return len(self.points_yx)

    def prompts(self) -> list[Prompts]:
        """What the decoder is asked: a point each, and its box where there is one."""
        boxes = [()] * len(self) if self.boxes_yx is None else [[box] for box in self.boxes_yx]
        return [
            Prompts(points_yx=[point], labels=[1], boxes_yx=box)
            for point, box in zip(self.points_yx, boxes, strict=True)
        ]

    def where(self, chosen: NDArray[np.bool_]) -> Proposals:
        """Some of them."""
        boxes = None if self.boxes_yx is None else self.boxes_yx[chosen]
        return Proposals(self.points_yx[chosen], self.scores[chosen], self.radii[chosen], boxes)


@dataclass(frozen=True)
class Calibration:
    """The scores of one model that are worth as much as the published thresholds are to the published one.

    A model that trusts its masks less than the published one does loses all of them at 0.88.
    """

    iou: float = 0.88
    stability: float = 0.95


class Proposer(Protocol):
    """Finds what to ask for in an encoded image, most certain first; in the image's pixels."""

    @property
    def calibration(self) -> Calibration: ...

    def __call__(self, embedding: Embedding) -> Proposals: ...
