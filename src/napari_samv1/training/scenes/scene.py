"""A synthetic image and the objects in it, part in object in group."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PART, OBJECT, GROUP = 0, 1, 2
"""The three levels of the hierarchy, fine to coarse: nucleus, cell, cluster."""


@dataclass(frozen=True, eq=False)
class Scene:
    """A camera's image, and the objects in it.

    ``image`` is (H, W, 3) uint8. ``levels`` is (3, H, W) uint16: one label image per level of the hierarchy,
    0 where no object of that level is. A part lies inside one object, an object inside one group.
    """

    image: NDArray[np.uint8]
    levels: NDArray[np.uint16]
    kind: str
