"""Label pixels worked out a second time, from the objects alone, with a few lines of numpy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[Any]


def composite(
    beneath_hw: Labels, lowest_first: Iterable[int], objects: Mapping[int, tuple[NDArray[np.bool_], str, int]]
) -> Labels:
    """Label image (H, W): objects (mask, kind of rule, its label) over labels of another tool.

    Every pixel of an object is decided for itself: "keep" needs a pixel that is no other tool's,
    "overwrite" nothing, "inside" one that is the named label's, be it of an object or of another tool.
    """
    shown = np.array(beneath_hw)
    for number in lowest_first:
        mask, kind, within = objects[number]
        if kind == "overwrite":
            allowed = np.ones(mask.shape, dtype=bool)
        elif kind == "keep":
            allowed = beneath_hw == 0
        else:
            allowed = (beneath_hw == within) | (shown == within)
        shown = np.where(mask & allowed, number, shown)
    return shown


class Beneath:
    """Labels of another tool in a Labels layer: what it held at first, less what objects have taken over.

    A label of another tool whose number an object bears is the object's from then on.
    """

    def __init__(self, data: Labels) -> None:
        self.original = np.array(data)
        self.first = np.array(data)

    def give(self, index: tuple[Any, ...], numbers: Iterable[int]) -> None:
        """Leave all pixels of these numbers on a plane to objects."""
        plane = self.first[index]
        plane[np.isin(plane, list(numbers))] = 0
