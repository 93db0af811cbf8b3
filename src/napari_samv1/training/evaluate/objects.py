"""The objects of a labelled image, and the prompts that a careful or a sloppy user gives for them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_samv1.records.prompts import Prompts
from napari_samv1.training.prompting import deepest


@dataclass(frozen=True, eq=False)
class Target:
    """One object: its mask, its deepest interior point, its bounding box (y0, x0, y1, x1) at pixel edges."""

    mask: NDArray[np.bool_]
    centre_yx: tuple[int, int]
    box_yx: tuple[float, float, float, float]

    @property
    def click(self) -> Prompts:
        return Prompts(points_yx=[self.centre_yx], labels=[1])

    @property
    def box(self) -> Prompts:
        return Prompts(boxes_yx=[self.box_yx])

    def sloppy_box(self, rng: np.random.Generator, slack: float) -> Prompts:
        """The box with every side moved by up to ``slack`` of the box's size."""
        y0, x0, y1, x1 = self.box_yx
        off = rng.uniform(-slack, slack, 4) * (y1 - y0, x1 - x0, y1 - y0, x1 - x0)
        return Prompts(boxes_yx=[np.array(self.box_yx) + off])


def targets(labels: NDArray[np.int64], smallest: int = 20) -> list[Target]:
    """All objects of at least ``smallest`` pixels."""
    found = []
    for label, bounds in enumerate(ndimage.find_objects(labels), 1):
        if bounds is None:
            continue
        rows, columns = bounds
        inside = labels[bounds] == label
        if inside.sum() < smallest:
            continue
        mask = np.zeros(labels.shape, bool)
        mask[bounds] = inside
        box = (rows.start - 0.5, columns.start - 0.5, rows.stop - 0.5, columns.stop - 0.5)
        found.append(Target(mask, deepest(mask), box))
    return found


def iou(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    """Intersection over union; 0 where both are empty."""
    either = np.count_nonzero(first | second)
    return float(np.count_nonzero(first & second) / either) if either else 0.0
