"""Pillow's antialiased resizing of 8-bit images, bit for bit, on any device.

Pillow works in integers: the filter's weights have 22 binary digits, and each axis is rounded to 8 bits. Sums
of integers are the same on any device.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from functools import lru_cache
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from napari_samv1.records.preparation import Resampling

PILLOW_FILTERS: dict[Resampling, Image.Resampling] = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}

DIGITS = 32 - 8 - 2
"""Binary digits of a weight: the rest of a 32-bit sum, beside 8 bits of pixels and two of overshoot."""

Order = Literal["columns first", "rows first"]
ORDERS: tuple[Order, ...] = ("columns first", "rows first")

MOST = 64
"""Largest number of sizes whose order is cached."""

_ORDERS: dict[Hashable, Order | None] = {}


def resize_8bit(
    pixels_hwc: NDArray[np.uint8], hw: tuple[int, int], how: Resampling, device: torch.device
) -> NDArray[np.uint8]:
    """Resize (H, W, C) to (h, w, C) with the result of ``PIL.Image.resize``, on a device if possible.

    The order of the axes in Pillow depends on the sizes and on its version, and changes the last digit. So
    Pillow resizes the first image of each size, and the device the next ones, in the order that gave the same
    result; if neither order did, Pillow resizes all of them.
    """
    key = (pixels_hwc.shape, hw, how)
    order = _ORDERS.get(key)
    if order is not None:
        return resize_on(device, pixels_hwc, hw, how, order)
    expected = np.asarray(
        Image.fromarray(np.ascontiguousarray(pixels_hwc)).resize(hw[::-1], PILLOW_FILTERS[how])
    )
    if key not in _ORDERS:
        equal = [
            order
            for order in ORDERS
            if np.array_equal(resize_on(device, pixels_hwc, hw, how, order), expected)
        ]
        # a plain image, which both orders resize equally, decides nothing
        if len(equal) < 2:
            if len(_ORDERS) >= MOST:
                _ORDERS.clear()
            _ORDERS[key] = equal[0] if equal else None
    return expected


def resize_on(
    device: torch.device, pixels_hwc: NDArray[np.uint8], hw: tuple[int, int], how: Resampling, order: Order
) -> NDArray[np.uint8]:
    """Resize (H, W, C) to (h, w, C) on a device, one axis after the other, each rounded to 8 bits."""
    pixels = torch.from_numpy(np.ascontiguousarray(pixels_hwc)).to(device)
    axes = (1, 0) if order == "columns first" else (0, 1)
    for axis in axes:
        if hw[axis] != pixels.shape[axis]:
            turned = pixels.transpose(axis, 1)
            pixels = _along_columns(turned, hw[axis], how).transpose(axis, 1)
    resized: NDArray[np.uint8] = pixels.contiguous().cpu().numpy()
    return resized


def _along_columns(pixels_hwc: Tensor, width: int, how: Resampling) -> Tensor:
    first, weights = _taps(pixels_hwc.shape[1], width, how)
    # taps beyond the last pixel have weight 0
    last = pixels_hwc.shape[1] - 1
    total = torch.full(
        (pixels_hwc.shape[0], width, pixels_hwc.shape[2]),
        1 << (DIGITS - 1),
        dtype=torch.int32,
        device=pixels_hwc.device,
    )
    places = np.minimum(first + np.arange(weights.shape[1])[:, None], last)
    places_tw = torch.from_numpy(places).to(pixels_hwc.device)
    weights_tw = torch.from_numpy(np.ascontiguousarray(weights.T)).to(pixels_hwc.device)
    for near, weight in zip(places_tw, weights_tw, strict=True):
        total += pixels_hwc[:, near].to(torch.int32) * weight[:, None]
    return (total >> DIGITS).clamp_(0, 255).to(torch.uint8)


@lru_cache(maxsize=16)
def _taps(size: int, new_size: int, how: Resampling) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """First source pixel of each new pixel, and the weights from there on (new_size, taps)."""
    support, weigh = _FILTERS[how]
    scale = size / new_size
    stretch = max(scale, 1.0)
    reach = support * stretch
    taps = math.ceil(reach) * 2 + 1
    first = np.zeros(new_size, dtype=np.int64)
    weights = np.zeros((new_size, taps), dtype=np.int32)
    for i in range(new_size):
        centre = (i + 0.5) * scale
        start = max(int(centre - reach + 0.5), 0)
        stop = min(int(centre + reach + 0.5), size)
        values = [weigh((start + k - centre + 0.5) * (1.0 / stretch)) for k in range(stop - start)]
        total = 0.0
        for value in values:  # not sum(), which compensates rounding in newer Pythons
            total += value
        first[i] = start
        for k, value in enumerate(values):
            exact = (value / total if total else value) * (1 << DIGITS)
            weights[i, k] = int(exact - 0.5) if exact < 0 else int(exact + 0.5)
    return first, weights


def _triangle(x: float) -> float:
    return max(0.0, 1.0 - abs(x))


def _cubic(x: float) -> float:
    """Keys' kernel with a = -0.5."""
    a, x = -0.5, abs(x)
    if x < 1:
        return ((a + 2.0) * x - (a + 3.0)) * x * x + 1
    if x < 2:
        return (((x - 5) * x + 8) * x - 4) * a
    return 0.0


_FILTERS: dict[Resampling, tuple[float, Callable[[float], float]]] = {
    "bilinear": (1.0, _triangle),
    "bicubic": (2.0, _cubic),
}
