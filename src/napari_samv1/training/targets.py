"""Targets of the dense stage for every pixel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

DENSE_CHANNELS = 6
"""Number of channels: inside an object, on a rim, inside a part, offset to the centre (row, column), and log
of the radius."""


def dense_targets(levels: NDArray[np.uint16], stride: int) -> NDArray[np.float32]:
    """Label levels (3, H, W) -> (6, H/stride, W/stride); see ``DENSE_CHANNELS``.

    Offsets are in units of the object's radius, about -1 to 1; the log of the radius is of input pixels,
    centred for a radius of 12. Both are 0 outside objects.
    """
    parts, objects = levels[0, ::stride, ::stride], levels[1, ::stride, ::stride]
    inside = objects > 0
    rim = np.zeros(objects.shape, bool)
    for axis in (0, 1):
        ahead = np.roll(objects, -1, axis) != objects
        ahead[(slice(None),) * axis + (-1,)] = False
        rim |= ahead | np.roll(ahead, 1, axis)
    _, flat = np.unique(objects, return_inverse=True)
    flat = flat.ravel()
    area = np.bincount(flat)
    radius = np.sqrt(area / np.pi)
    grid_yx = np.indices(objects.shape, np.float32)
    offsets = np.stack(
        [
            ((np.bincount(flat, axis.ravel()) / area)[flat].reshape(objects.shape) - axis)
            / radius[flat].reshape(objects.shape)
            for axis in grid_yx
        ]
    )
    log_radius = np.log(radius * stride / 12)[flat].reshape(objects.shape)
    return np.concatenate(
        [
            np.stack([inside, rim, parts > 0]).astype(np.float32),
            (np.clip(offsets, -3, 3) * inside).astype(np.float32),
            (log_radius * inside)[None].astype(np.float32),
        ]
    )
