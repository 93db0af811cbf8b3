"""Layouts of objects: scattered, clumped, in rows; free, touching or overlapping."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_samv1.training.scenes.shapes import OUTLINES


@dataclass(frozen=True, eq=False)
class Layout:
    """Objects drawn into one plane.

    ``labels`` is (H, W) uint16; ``depth`` is 0 at an object's centre, 1 at its rim; ``clump`` gives for each
    label (index 0 unused) the clump it was laid in, 0 for none.
    """

    labels: NDArray[np.uint16]
    depth: NDArray[np.float32]
    clump: NDArray[np.uint16]

    @property
    def count(self) -> int:
        """Number of labels."""
        return len(self.clump) - 1


def centres(
    rng: np.random.Generator, hw: tuple[int, int], count: int, radius: float, style: str
) -> tuple[NDArray[np.float64], NDArray[np.uint16]]:
    """Positions (N, 2) in row, column, and the clump of each."""
    height, width = hw
    if style == "rows":
        pitch = radius * rng.uniform(2.1, 3.0)
        y, x = np.mgrid[0.3 * pitch : height : pitch, 0.3 * pitch : width : pitch]
        x[::2] += rng.choice([0.0, 0.5]) * pitch
        points = np.stack([y.ravel(), x.ravel()], axis=1)
        points += rng.normal(0, 0.12 * pitch, points.shape)
        rng.shuffle(points)
        return points[:count], np.zeros(min(count, len(points)), np.uint16)
    if style == "clumps":
        clumps = max(1, int(count / rng.uniform(3, 9)))
        middles = rng.uniform(0, 1, (clumps, 2)) * hw
        chosen = rng.integers(0, clumps, count)
        spread = radius * rng.uniform(1.2, 2.2)
        points = middles[chosen] + rng.normal(0, spread, (count, 2))
        return points, (chosen + 1).astype(np.uint16)
    return rng.uniform(0, 1, (count, 2)) * hw, np.zeros(count, np.uint16)


def lay(
    rng: np.random.Generator,
    hw: tuple[int, int],
    *,
    radius: float,
    count: int,
    outlines: tuple[str, ...] = ("ellipse",),
    style: str = "scattered",
    spread: float = 0.2,
    wobble: float = 0.08,
    gap: float = 0.0,
    crossing: float = 0.25,
    on_top: bool = False,
) -> Layout:
    """Draw up to ``count`` objects of about ``radius`` pixels.

    An object that would lose more than ``crossing`` of itself to earlier ones is left out (with ``on_top`` it
    covers them instead). ``gap`` keeps a rim free around each object, as a fraction of its radius.
    """
    height, width = hw
    labels = np.zeros(hw, np.uint16)
    taken = np.zeros(hw, bool)
    depth_map = np.ones(hw, np.float32)
    clump_of = [0]
    points, clumps = centres(rng, hw, count, radius, style)
    for (y, x), clump in zip(points, clumps, strict=True):
        size = radius * np.exp(rng.normal(0, spread))
        depth = OUTLINES[outlines[int(rng.integers(len(outlines)))]](rng, size, wobble)
        reach = depth.shape[0] // 2
        top, left = int(y) - reach, int(x) - reach
        y0, x0 = max(top, 0), max(left, 0)
        y1, x1 = min(top + 2 * reach + 1, height), min(left + 2 * reach + 1, width)
        if y0 >= y1 or x0 >= x1:
            continue
        depth = depth[y0 - top : y1 - top, x0 - left : x1 - left]
        region = np.s_[y0:y1, x0:x1]
        inside = depth < 1
        area = int(inside.sum())
        if area < 12:
            continue
        free = inside if on_top else inside & ~taken[region]
        if free.sum() < (1 - crossing) * area:
            continue
        label = len(clump_of)
        clump_of.append(int(clump))
        labels[region][free] = label
        depth_map[region][free] = depth[free]
        taken[region] |= depth < 1 + gap
    return Layout(labels, depth_map, np.array(clump_of, np.uint16))


def room_for(hw: tuple[int, int], radius: float, cover: float) -> int:
    """Return the number of discs of a radius that cover a fraction of the plane."""
    return max(1, int(cover * hw[0] * hw[1] / (np.pi * radius**2)))
