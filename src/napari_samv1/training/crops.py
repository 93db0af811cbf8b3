"""Training examples: crops of scenes, each at some scale and on some token grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

ZOOM = (0.7, 2.4)


class Source(Protocol):
    """Images with labels, such as a `Pool`."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
        """Image (H, W, 3) uint8 and label levels (3, H, W) uint16 (part, object, group; 0 is none)."""
        ...


@dataclass(frozen=True, eq=False)
class Crop:
    """One example: ``image`` (H, W, 3) uint8, and ``levels`` (3, H, W) at the same resolution."""

    image: NDArray[np.uint8]
    levels: NDArray[np.uint16]


def cut(
    rng: np.random.Generator,
    image: NDArray[np.uint8],
    levels: NDArray[np.uint16],
    hw: tuple[int, int],
    zoom: tuple[float, float] = ZOOM,
) -> Crop:
    """A window of an image, resized to ``hw`` by a random zoom, turned and mirrored."""
    height, width = image.shape[:2]
    factor = float(np.exp(rng.uniform(np.log(zoom[0]), np.log(zoom[1]))))
    squash = float(np.exp(rng.normal(0, 0.06)))
    tall = min(height, int(hw[0] / factor * squash))
    wide = min(width, int(hw[1] / factor / squash))
    top = int(rng.integers(0, height - tall + 1))
    left = int(rng.integers(0, width - wide + 1))
    window = np.ascontiguousarray(image[top : top + tall, left : left + wide])
    box_filter = Image.Resampling.BILINEAR if rng.random() < 0.8 else Image.Resampling.BICUBIC
    resized = np.asarray(Image.fromarray(window).resize((hw[1], hw[0]), box_filter))
    rows = top + ((np.arange(hw[0]) + 0.5) * tall / hw[0]).astype(int)
    columns = left + ((np.arange(hw[1]) + 0.5) * wide / hw[1]).astype(int)
    chosen = levels[:, rows[:, None], columns[None, :]]
    flips = tuple(axis for axis in (0, 1) if rng.random() < 0.5)
    if flips:
        resized = np.flip(resized, flips)
        chosen = np.flip(chosen, tuple(axis + 1 for axis in flips))
    if hw[0] == hw[1] and rng.random() < 0.5:
        resized = resized.transpose(1, 0, 2)
        chosen = chosen.transpose(0, 2, 1)
    return Crop(_recoloured(rng, resized), np.ascontiguousarray(chosen))


def _recoloured(rng: np.random.Generator, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Negative, gamma, other channel order, grey, a little noise: each sometimes."""
    if rng.random() < 0.04:
        image = 255 - image
    if rng.random() < 0.2:
        image = image[..., rng.permutation(3)]
    if rng.random() < 0.1:
        image = np.repeat(image.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)
    if rng.random() < 0.5:
        curve = 255 * (np.arange(256) / 255) ** np.exp(rng.normal(0, 0.35))
        image = curve.astype(np.uint8)[image]
    if rng.random() < 0.2:
        grain = rng.normal(0, rng.uniform(1, 9), image.shape[:2])[..., None]
        image = np.clip(image + grain, 0, 255).astype(np.uint8)
    return np.ascontiguousarray(image)


def draw_crops(
    rng: np.random.Generator, source: Source, tokens: int, patch: int, grid_hw: tuple[int, int]
) -> list[Crop]:
    """A batch on one token grid with about ``tokens`` tokens in all; crops without an object are redrawn."""
    hw = (grid_hw[0] * patch, grid_hw[1] * patch)
    crops: list[Crop] = []
    wanted = max(1, round(tokens / (grid_hw[0] * grid_hw[1])))
    for _ in range(20 * wanted):
        crop = cut(rng, *source[int(rng.integers(len(source)))], hw)
        if (crop.levels[1] > 0).sum() > 30:
            crops.append(crop)
        if len(crops) == wanted:
            break
    return crops
