"""Microcolonies: straight rods that grew, divided and pushed one another apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from napari_samv1.training.scenes.textures import smooth_noise

HW = tuple[int, int]
Rng = np.random.Generator
Numbers = NDArray[np.float64]

PLACES = np.linspace(-0.5, 0.5, 9)
"""Points of a rod's axis that touch others, as parts of its length."""
GROWTH = 0.09
"""Mean growth of a rod's length from one step to the next."""
PUSHES = 5
"""Times that rods push one another apart after each step."""


@dataclass(eq=False)
class Rods:
    """Axes of N rods of one width: centres (N, 2), directions (N, 2), lengths without the round ends (N,)."""

    centres: Numbers
    directions: Numbers
    lengths: Numbers

    def __len__(self) -> int:
        return len(self.lengths)

    def axes(self) -> Numbers:
        """Points of the axes, (N, 9, 2)."""
        along = (PLACES * self.lengths[:, None])[..., None]
        return self.centres[:, None] + along * self.directions[:, None]


def microcolonies(rng: Rng, hw: HW, width: float) -> NDArray[np.uint16]:
    """Labels of one or several colonies, 4 to 60 rods each, in an image that is mostly empty."""
    labels = np.zeros(hw, np.uint16)
    longest = width * rng.uniform(3.5, 9)
    gap = rng.uniform(-0.05, 0.25)
    most = float(np.prod(hw)) * rng.uniform(0.05, 0.7) / (0.7 * longest * width)
    bend = width * rng.uniform(0, 1.5) * rng.choice([0.0, 1.0])
    warp_yx = bend * np.stack([smooth_noise(rng, hw, longest * rng.uniform(1, 3)) for _ in range(2)])
    while most >= 4:
        count = int(np.exp(rng.uniform(np.log(4), np.log(min(60.0, max(most, 5.0))))))
        rods = grown(rng, count, 1 + gap, longest / width)
        place = rng.uniform(-0.05, 1.05, 2) * hw
        _draw(rng, labels, rods, place, width, warp_yx, longest / width)
        most -= count * rng.uniform(1, 3)
    return labels


def grown(rng: Rng, count: int, reach: float, longest: float) -> Rods:
    """A colony of at least ``count`` rods of width 1, from one rod.

    Axes closer than ``reach`` push each other apart; a rod of about ``longest`` divides.
    """
    angle = rng.uniform(0, 2 * np.pi)
    rods = Rods(np.zeros((1, 2)), np.array([[np.cos(angle), np.sin(angle)]]), np.array([longest / 2]))
    limit = longest * np.exp(rng.normal(0, 0.12, 1))
    while len(rods) < count:
        rods.lengths = rods.lengths * (1 + GROWTH * np.exp(rng.normal(0, 0.4, len(rods))))
        rods, limit = _divided(rng, rods, limit, longest)
        for _ in range(PUSHES):
            _push(rods, reach)
    for _ in range(4 * PUSHES):
        _push(rods, reach)
    return rods


def _divided(rng: Rng, rods: Rods, limit: Numbers, longest: float) -> tuple[Rods, Numbers]:
    """Replace every rod over its limit by two, nearly in line, with limits of their own."""
    ready = rods.lengths + 1 > limit
    if not ready.any():
        return rods, limit
    lengths = np.maximum((rods.lengths[ready] - 1) / 2, 0.2)
    shift = (lengths + 1)[:, None] / 2 * rods.directions[ready]
    count = int(ready.sum())
    turn = rng.normal(0, 0.08, 2 * count)
    y, x = np.concatenate([rods.directions[ready]] * 2).T
    turned = np.stack([y * np.cos(turn) + x * np.sin(turn), x * np.cos(turn) - y * np.sin(turn)], axis=1)
    centres = rods.centres[ready]
    return (
        Rods(
            np.concatenate([rods.centres[~ready], centres - shift, centres + shift]),
            np.concatenate([rods.directions[~ready], turned]),
            np.concatenate([rods.lengths[~ready], lengths, lengths]),
        ),
        np.concatenate([limit[~ready], longest * np.exp(rng.normal(0, 0.12, 2 * count))]),
    )


def _push(rods: Rods, reach: float) -> None:
    """Move and turn rods a little where their axes are closer than ``reach``."""
    points = rods.axes()
    owner = np.repeat(np.arange(len(rods)), len(PLACES))
    flat = points.reshape(-1, 2)
    pairs = cKDTree(flat).query_pairs(reach, output_type="ndarray")
    pairs = pairs[owner[pairs[:, 0]] != owner[pairs[:, 1]]]
    if not len(pairs):
        return
    apart = flat[pairs[:, 0]] - flat[pairs[:, 1]]
    distance = np.maximum(np.hypot(*apart.T), 1e-3)
    force = apart / distance[:, None] * (reach - distance)[:, None] / 2
    first, second = owner[pairs[:, 0]], owner[pairs[:, 1]]
    move, turn, touched = np.zeros((len(rods), 2)), np.zeros(len(rods)), np.zeros(len(rods))
    for side, which, sign in ((first, pairs[:, 0], 1), (second, pairs[:, 1], -1)):
        arm = flat[which] - rods.centres[side]
        np.add.at(move, side, sign * force)
        np.add.at(turn, side, sign * (arm[:, 0] * force[:, 1] - arm[:, 1] * force[:, 0]))
        np.add.at(touched, side, 1)
    touched = np.maximum(touched, 1)
    rods.centres += 1.5 * move / touched[:, None]
    angle = 1.5 * turn / touched / ((rods.lengths + 1) ** 2 / 6)
    y, x = rods.directions.T
    turned = np.stack([y * np.cos(angle) - x * np.sin(angle), y * np.sin(angle) + x * np.cos(angle)], axis=1)
    rods.directions = turned / np.hypot(*turned.T)[:, None]


def _draw(
    rng: Rng,
    labels: NDArray[np.uint16],
    rods: Rods,
    place: Numbers,
    width: float,
    warp_yx: NDArray[np.float32],
    longest: float,
) -> None:
    """Add rods to ``labels`` around a place, slightly bent, long ones with a waist; earlier ones stay."""
    waist = rng.uniform(0, 0.3)
    margin = int(np.abs(warp_yx).max() + width) + 2
    for centre, direction, length in zip(
        rods.centres * width + place, rods.directions, rods.lengths * width, strict=True
    ):
        ends = centre + np.array([[-0.5], [0.5]]) * length * direction
        low = np.maximum(np.floor(ends.min(0)).astype(int) - margin, 0)
        high = np.minimum(np.ceil(ends.max(0)).astype(int) + margin + 1, labels.shape)
        if (low >= high).any():
            continue
        region = np.s_[low[0] : high[0], low[1] : high[1]]
        away = np.indices(labels[region].shape, np.float64) + (low - centre)[:, None, None]
        y, x = away + warp_yx[(slice(None), *region)]
        along = y * direction[0] + x * direction[1]
        across = np.hypot(np.maximum(np.abs(along) - length / 2, 0), y * direction[1] - x * direction[0])
        radius = width / 2 * np.exp(rng.normal(0, 0.03))
        if length > 0.75 * longest * width:
            radius = radius * (1 - waist * np.exp(-((along / (0.4 * width)) ** 2)))
        inside = (across < radius) & (labels[region] == 0)
        if np.count_nonzero(inside) >= 0.5 * width * width:
            labels[region][inside] = labels.max() + 1
