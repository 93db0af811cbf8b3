"""Proposals: one prompt for each object that a dense head, or anything else, takes to be there."""

from __future__ import annotations

from dataclasses import dataclass, field
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
    ``regions`` (h, w), on the grid of the decoder's logits, holds i + 1 where object i is taken to be.
    """

    points_yx: NDArray[np.float64]
    scores: NDArray[np.float32]
    radii: NDArray[np.float32]
    boxes_yx: NDArray[np.float64] | None = None
    regions: NDArray[np.int32] | None = field(default=None, repr=False)

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
        regions = self.regions
        if regions is not None:
            regions = np.append(0, np.cumsum(chosen) * chosen).astype(np.int32)[regions]
        return Proposals(self.points_yx[chosen], self.scores[chosen], self.radii[chosen], boxes, regions)


@dataclass(frozen=True)
class Evidence:
    """What speaks for a mask, each 0 to 1.

    ``iou`` is what the decoder predicts, ``agreement`` the mask's IoU with the proposed region, ``seed`` the
    proposal's score. ``is_click`` says that a point alone was asked.
    """

    iou: float
    stability: float
    agreement: float
    seed: float
    is_click: bool


@dataclass(frozen=True)
class Calibration:
    """What one model's scores are worth.

    ``iou`` and ``stability`` are as much as the published thresholds are to the published model: one that
    trusts its masks less loses all of them at 0.88. ``click`` and ``region`` make the IoU to be expected of
    a mask's evidence: a constant, then a factor each for predicted IoU, stability, agreement and seed.
    """

    iou: float = 0.88
    stability: float = 0.95
    click: tuple[float, float, float, float, float] = (0.0, 1.0, 0.0, 0.0, 0.0)
    region: tuple[float, float, float, float, float] = (0.0, 1.0, 0.0, 0.0, 0.0)

    def quality(self, evidence: Evidence) -> float:
        """The IoU to be expected, 0 to 1."""
        constant, *factors = self.click if evidence.is_click else self.region
        scores = (evidence.iou, evidence.stability, evidence.agreement, evidence.seed)
        expected = constant + sum(f * s for f, s in zip(factors, scores, strict=True))
        return min(1.0, max(0.0, expected))


class Proposer(Protocol):
    """Finds what to ask for in an encoded image, most certain first; in the image's pixels."""

    @property
    def calibration(self) -> Calibration: ...

    def __call__(self, embedding: Embedding) -> Proposals: ...
