"""Random fields: smooth noise at any scale, gratings, and light falling on a relief."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

Field = NDArray[np.float32]


def smooth_noise(rng: np.random.Generator, hw: tuple[int, int], scale: float) -> Field:
    """Noise of unit variance whose features are about ``scale`` pixels wide."""
    height, width = hw
    step = max(scale / 2, 1.0)
    coarse = rng.standard_normal((int(height / step) + 4, int(width / step) + 4), dtype=np.float32)
    coarse = ndimage.gaussian_filter(coarse, 1.0)
    if step == 1.0:
        field = coarse[:height, :width]
    else:
        shown = Image.fromarray(coarse).resize(
            (int(coarse.shape[1] * step), int(coarse.shape[0] * step)), Image.Resampling.BICUBIC
        )
        field = np.asarray(shown, np.float32)[:height, :width]
    return np.asarray((field - field.mean()) / (field.std() + 1e-6), np.float32)


def rough_noise(rng: np.random.Generator, hw: tuple[int, int], scale: float) -> Field:
    """Smooth noise with finer noise on it, as in cloud, tissue and stone."""
    fine = rng.uniform(0.2, 0.8)
    field = smooth_noise(rng, hw, scale) + fine * smooth_noise(rng, hw, max(scale / 3, 1.0))
    return np.asarray(field / np.sqrt(1 + fine**2), np.float32)


def grating(rng: np.random.Generator, hw: tuple[int, int], period: float) -> Field:
    """Stripes of unit variance, slightly bent."""
    angle = rng.uniform(0, np.pi)
    y, x = np.mgrid[: hw[0], : hw[1]].astype(np.float32)
    phase = 2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / period
    bent = phase + rng.uniform(0, 2) * smooth_noise(rng, hw, period * 4)
    return np.asarray(np.sqrt(2) * np.sin(bent), np.float32)


def relief(rng: np.random.Generator, hw: tuple[int, int], scale: float) -> Field:
    """Light from one side on an embossed surface: unit variance, sharp ridges."""
    height = np.abs(smooth_noise(rng, hw, scale)) + 0.5 * (smooth_noise(rng, hw, scale / 2) > 0.5)
    angle = rng.uniform(0, 2 * np.pi)
    slope_y, slope_x = np.gradient(ndimage.gaussian_filter(height.astype(np.float32), 0.7))
    lit = np.cos(angle) * slope_x + np.sin(angle) * slope_y
    return np.asarray((lit - lit.mean()) / (lit.std() + 1e-6), np.float32)


def any_texture(rng: np.random.Generator, hw: tuple[int, int], scale: float) -> Field:
    """A texture of any of the kinds above."""
    pick = rng.random()
    if pick < 0.45:
        return smooth_noise(rng, hw, scale)
    if pick < 0.8:
        return rough_noise(rng, hw, scale)
    if pick < 0.9:
        return relief(rng, hw, max(scale, 3.0))
    return grating(rng, hw, max(2 * scale, 4.0))


def slope(rng: np.random.Generator, hw: tuple[int, int]) -> Field:
    """A plane, or a wide bowl, from about -1 to 1."""
    y, x = np.meshgrid(np.linspace(-1, 1, hw[0]), np.linspace(-1, 1, hw[1]), indexing="ij")
    if rng.random() < 0.5:
        angle = rng.uniform(0, 2 * np.pi)
        return np.asarray((np.cos(angle) * x + np.sin(angle) * y) / 1.4, np.float32)
    centre_y, centre_x = rng.uniform(-0.6, 0.6, 2)
    return np.asarray(1 - (x - centre_x) ** 2 - (y - centre_y) ** 2, np.float32)
