"""Outlines of single objects: the depth of every pixel of a small square, from centre to rim."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Depth = NDArray[np.float32]
"""Square map around a shape's centre: 0 at the centre, 1 on the outline, above 1 outside."""


def _polar(reach: int, centre_yx: NDArray[np.float64]) -> tuple[Depth, Depth]:
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float32)
    return y - np.float32(centre_yx[0]), x - np.float32(centre_yx[1])


def ellipse(rng: np.random.Generator, radius: float, wobble: float) -> Depth:
    """An ellipse whose outline is bent by a few slow waves: nuclei, cells, pebbles."""
    stretch = np.exp(abs(rng.normal(0, 0.22)))
    long, short = radius * np.sqrt(stretch), radius / np.sqrt(stretch)
    reach = int(long * (1 + 2 * wobble)) + 2
    y, x = _polar(reach, rng.uniform(-0.5, 0.5, 2))
    angle = rng.uniform(0, np.pi)
    along = (x * np.cos(angle) + y * np.sin(angle)) / long
    across = (y * np.cos(angle) - x * np.sin(angle)) / short
    theta = np.arctan2(across, along)
    rim = np.ones_like(theta)
    for wave in range(2, 6):
        rim += wobble * rng.normal(0, 1.2) / wave * np.cos(wave * theta + rng.uniform(0, 2 * np.pi))
    return np.asarray(np.hypot(along, across) / np.maximum(rim, 0.35), np.float32)


def disc(rng: np.random.Generator, radius: float, wobble: float) -> Depth:
    """A circle, hardly bent: coins, beads, droplets."""
    reach = int(radius * 1.1) + 2
    y, x = _polar(reach, rng.uniform(-0.5, 0.5, 2))
    theta = np.arctan2(y, x)
    rim = 1 + 0.02 * np.cos(rng.integers(2, 5) * theta + rng.uniform(0, 6))
    return np.asarray(np.hypot(x, y) / (radius * rim), np.float32)


def rod(rng: np.random.Generator, radius: float, wobble: float) -> Depth:
    """A bent capsule: bacteria, fibres, elongated nuclei."""
    thick = radius * rng.uniform(0.35, 0.7)
    half = radius * rng.uniform(0.8, 1.8)
    reach = int(half + thick) + 2
    y, x = _polar(reach, rng.uniform(-0.5, 0.5, 2))
    angle = rng.uniform(0, np.pi)
    along = x * np.cos(angle) + y * np.sin(angle)
    across = y * np.cos(angle) - x * np.sin(angle)
    bend = rng.normal(0, 0.25) / half
    across = across - bend * along**2
    beyond = np.maximum(np.abs(along) - half, 0)
    return np.asarray(np.hypot(beyond, across) / thick, np.float32)


def polygon(rng: np.random.Generator, radius: float, wobble: float) -> Depth:
    """A convex polygon with slightly rounded corners: grains, crystals, tiles."""
    sides = int(rng.integers(3, 9))
    reach = int(radius * 1.7) + 2
    y, x = _polar(reach, rng.uniform(-0.5, 0.5, 2))
    angles = (np.arange(sides) + rng.uniform(-0.3, 0.3, sides)) * 2 * np.pi / sides + rng.uniform(0, 6)
    rims = radius * rng.uniform(0.7, 1.05, sides)
    faces = np.stack([(x * np.cos(a) + y * np.sin(a)) / r for a, r in zip(angles, rims, strict=True)])
    inside = np.maximum(faces, 0)
    return np.asarray((inside**12).sum(axis=0) ** (1 / 12), np.float32)


def lobed(rng: np.random.Generator, radius: float, wobble: float) -> Depth:
    """Two or three overlapping discs: dividing, bean-shaped and lobed nuclei."""
    reach = int(radius * 1.9) + 2
    y, x = _polar(reach, rng.uniform(-0.5, 0.5, 2))
    depth = np.full(y.shape, np.inf, np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    for _ in range(int(rng.integers(2, 4))):
        away = radius * rng.uniform(0.25, 0.65)
        dy, dx = away * np.sin(angle), away * np.cos(angle)
        depth = np.minimum(depth, np.hypot(y - dy, x - dx) / (radius * rng.uniform(0.55, 0.9)))
        angle += rng.uniform(1.6, 3.6)
    return np.asarray(depth, np.float32)


Outline = Callable[[np.random.Generator, float, float], Depth]
OUTLINES: dict[str, Outline] = {
    "ellipse": ellipse,
    "disc": disc,
    "rod": rod,
    "polygon": polygon,
    "lobed": lobed,
}
