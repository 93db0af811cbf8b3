"""A model whose masks are squares that can be counted by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import pytest

from napari_samv1.records.mask_crop import MaskCrop
from napari_samv1.records.prompts import Prompts

HALF_SIDES = (3, 1, 2, 4)
IOU = (0.9, 0.5, 0.7, 0.6)


@dataclass(frozen=True, eq=False)
class SquarePrediction:
    """Squares around foreground points, less those around background points; boxes are filled.

    Candidate i reaches ``HALF_SIDES[i]`` pixels around a point, less the threshold.
    """

    prompts: Prompts
    image_hw: tuple[int, int]
    iou: tuple[float, ...] = IOU
    batch: tuple[int, int] = (0, 1)
    decoder: Literal["float32", "float16"] = "float32"

    @property
    def frame(self) -> Any:
        return SimpleNamespace(image_hw=self.image_hw)

    def best(self) -> int:
        return 1 + int(np.argmax(self.iou[1:])) if self.prompts.is_single else 0

    def stability(self, threshold: float = 0.0) -> tuple[float, ...]:
        return (0.9, 0.8, 0.7, 0.6)

    def on_cpu(self) -> SquarePrediction:
        return self

    def crop(self, index: int, threshold: float = 0.0) -> MaskCrop:
        mask = np.zeros(self.image_hw, dtype=bool)
        reach = HALF_SIDES[index] - int(threshold)
        for y0, x0, y1, x1 in self.prompts.boxes_yx.round().astype(int):
            mask[max(y0, 0) : y1 + 1, max(x0, 0) : x1 + 1] = True
        for sign in (1, 0):
            for y, x in self.prompts.points_yx[self.prompts.labels == sign].round().astype(int):
                mask[max(y - reach, 0) : y + reach + 1, max(x - reach, 0) : x + reach + 1] = bool(sign)
        return MaskCrop.from_mask(mask)


class SquarePredictor:
    """Counts what it decodes; fails on demand."""

    def __init__(self) -> None:
        self.decoded: list[Prompts] = []
        self.fails_with: Exception | None = None

    def answer_each(self, embedding: Any, prompts: Sequence[Prompts]) -> list[Any]:
        if self.fails_with is not None:
            raise self.fails_with
        self.decoded.extend(prompts)
        return [SquarePrediction(one, embedding.image_hw) for one in prompts]


class LocalPrediction(SquarePrediction):
    """As large as the square around a single point, and not as the image."""

    def crop(self, index: int, threshold: float = 0.0) -> MaskCrop:
        reach = HALF_SIDES[index] - int(threshold)
        y, x = (round(value) for value in self.prompts.points_yx[0])
        return MaskCrop((y - reach, x - reach), np.ones((2 * reach + 1, 2 * reach + 1), dtype=bool))


class LocalSquares(SquarePredictor):
    """As the squares' model, for images so large that a mask of their size takes time."""

    def answer_each(self, embedding: Any, prompts: Sequence[Prompts]) -> list[Any]:
        self.decoded.extend(prompts)
        return [LocalPrediction(one, embedding.image_hw) for one in prompts]


@pytest.fixture
def squares() -> SquarePredictor:
    return SquarePredictor()


@pytest.fixture
def embedding() -> Any:
    return SimpleNamespace(key="first", image_hw=(40, 60))
