"""Proposals: one prompt for each object that a dense head, or another proposer, expects in an image."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from napari_samv1.engine.embedding import Embedding
from napari_samv1.records.calibration import Calibration
from napari_samv1.records.mask_crop import MaskCrop
from napari_samv1.records.prompts import Prompts


@dataclass(frozen=True, eq=False)
class Proposals:
    """N expected objects, in image pixels.

    ``points_yx`` (N, 2) holds a point in each object, ``boxes_yx`` its box (N, 4) y0 x0 y1 x1, or None.
    ``scores`` (N,) rates the evidence for each object; ``radii`` (N,) is its radius, NaN if unknown.
    ``regions`` are the expected masks, on the grid of the decoder's logits; they may overlap. The first
    ``sure`` proposals (by default all) are decoded first, the others only where these gave no good mask.
    ``chances`` (2, h, w), on the same grid, holds each pixel's probability of being inside an object, and
    on a rim.
    """

    points_yx: NDArray[np.float64]
    scores: NDArray[np.float32]
    radii: NDArray[np.float32]
    boxes_yx: NDArray[np.float64] | None = None
    regions: tuple[MaskCrop, ...] | None = field(default=None, repr=False)
    chances: NDArray[np.float32] | None = field(default=None, repr=False)
    sure: int | None = None

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
        """Return prompts for the decoder: a point each, and its box where there is one."""
        boxes = [()] * len(self) if self.boxes_yx is None else [[box] for box in self.boxes_yx]
        return [
            Prompts(points_yx=[point], labels=[1], boxes_yx=box)
            for point, box in zip(self.points_yx, boxes, strict=True)
        ]

    def where(self, chosen: NDArray[np.bool_]) -> Proposals:
        """Proposals where ``chosen`` (N,) is True."""
        boxes = None if self.boxes_yx is None else self.boxes_yx[chosen]
        regions = None
        if self.regions is not None:
            regions = tuple(one for one, wanted in zip(self.regions, chosen, strict=True) if wanted)
        sure = None if self.sure is None else int(np.count_nonzero(chosen[: self.sure]))
        return Proposals(
            self.points_yx[chosen],
            self.scores[chosen],
            self.radii[chosen],
            boxes,
            regions,
            self.chances,
            sure,
        )


class Proposer(Protocol):
    """Proposes the objects of an encoded image, most certain first; in the image's pixels.

    A proposer with a true attribute ``sees_pixels`` gets embeddings with their pixels.
    """

    @property
    def calibration(self) -> Calibration: ...

    def __call__(self, embedding: Embedding) -> Proposals: ...
