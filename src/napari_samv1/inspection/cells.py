"""Placement of an array's cells (tokens, logits, pixels) on the image."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

from napari_samv1.records.frame import Frame


@dataclass(frozen=True)
class Cells:
    """A regular grid of cells in image pixels: the first centre, the steps, and the number of cells.

    Only cells that hold some of the image are counted, not those of padding alone.
    """

    origin_yx: tuple[float, float]
    step_yx: tuple[float, float]
    shape_yx: tuple[int, int]

    @classmethod
    def of_tokens(cls, frame: Frame) -> Self:
        """The token grid of an encoding."""
        rows, columns = (math.ceil(size / frame.patch) for size in frame.resized_hw)
        step_yx = frame.patch / frame.scale_yx[0], frame.patch / frame.scale_yx[1]
        return cls(_first_centre(step_yx, frame), step_yx, (rows, columns))

    @classmethod
    def of_logits(cls, frame: Frame) -> Self:
        """The decoder's logits: four by four in each token."""
        per_logit = frame.input_hw[0] / frame.logits_hw[0]
        step_yx = per_logit / frame.scale_yx[0], per_logit / frame.scale_yx[1]
        return cls(_first_centre(step_yx, frame), step_yx, frame.logits_valid_hw)

    @classmethod
    def of_pixels(cls, image_hw: tuple[int, int]) -> Self:
        """Pixels of the image."""
        return cls((0.0, 0.0), (1.0, 1.0), image_hw)

    @classmethod
    def spanning(cls, image_hw: tuple[int, int], grid_hw: tuple[int, int]) -> Self:
        """A grid stretched over a whole image of any aspect."""
        step_yx = image_hw[0] / grid_hw[0], image_hw[1] / grid_hw[1]
        return cls((step_yx[0] / 2 - 0.5, step_yx[1] / 2 - 0.5), step_yx, grid_hw)

    def containing(self, point_yx: tuple[float, float]) -> tuple[int, int]:
        """The cell under an image point; beyond the grid, the nearest."""
        row, column = (
            min(max(math.floor((at - origin) / step + 0.5), 0), size - 1)
            for at, origin, step, size in zip(
                point_yx, self.origin_yx, self.step_yx, self.shape_yx, strict=True
            )
        )
        return row, column


def _first_centre(step_yx: tuple[float, float], frame: Frame) -> tuple[float, float]:
    # the first cell begins at the first pixel's edge, half a pixel before its centre
    top, left = frame.window_yxhw[:2]
    return top - 0.5 + step_yx[0] / 2, left - 0.5 + step_yx[1] / 2
