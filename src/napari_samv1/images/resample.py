"""Antialiased resizing of arrays of any real dtype, as for the model's input."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Array = NDArray[Any]
Box = tuple[float, float, float, float]


def resized(pixels: Array, hw: tuple[int, int], box_yxyx: Box | None = None) -> Array:
    """Resize (H, W) or (H, W, C), or a box of it, to ``hw``, bilinearly with antialiasing.

    ``box_yxyx`` (top, left, bottom, right) counts in pixels' edges and may cut through pixels. uint8 stays
    uint8 and other integers are rounded to their type; bool and floats become float32. NaN and -inf become
    the lowest finite value, +inf the highest. An unchanged array is not copied.
    """
    height, width = pixels.shape[:2]
    top, left, bottom, right = (0.0, 0.0, float(height), float(width)) if box_yxyx is None else box_yxyx
    if (height, width) == hw and (top, left, bottom, right) == (0.0, 0.0, float(height), float(width)):
        return pixels
    if pixels.ndim == 3:
        channels = [resized(pixels[..., i], hw, box_yxyx) for i in range(pixels.shape[2])]
        return np.stack(channels, axis=-1)
    plain = pixels if pixels.dtype == np.uint8 else _finite(pixels.astype(np.float32))
    picture = Image.fromarray(np.ascontiguousarray(plain))
    values = np.asarray(
        picture.resize((hw[1], hw[0]), Image.Resampling.BILINEAR, box=(left, top, right, bottom))
    )
    if pixels.dtype.kind in "ui" and pixels.dtype != np.uint8:
        limits = np.iinfo(pixels.dtype)
        values = np.clip(np.rint(values.astype(np.float64)), limits.min, limits.max).astype(pixels.dtype)
    return values


def _finite(values: NDArray[np.float32]) -> NDArray[np.float32]:
    finite = np.isfinite(values)
    if finite.all():
        return values
    low, high = (values[finite].min(), values[finite].max()) if finite.any() else (0.0, 0.0)
    return np.nan_to_num(values, nan=low, neginf=low, posinf=high)
