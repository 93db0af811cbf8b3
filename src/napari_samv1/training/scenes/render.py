"""Brightness of objects, each with its level, shading and grain."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_samv1.training.scenes.layout import Layout
from napari_samv1.training.scenes.textures import Field, any_texture


def per_label(rng: np.random.Generator, layout: Layout, middle: float, spread: float) -> Field:
    """A log-normal brightness for each object, painted over the plane; 0 outside."""
    values = middle * np.exp(rng.normal(0, spread, layout.count + 1)).astype(np.float32)
    values[0] = 0
    return np.asarray(values[layout.labels], np.float32)


def shading(rng: np.random.Generator, depth: NDArray[np.float32]) -> Field:
    """Draw the brightness from centre to rim, about 1: flat, dome, hollow, or rimmed."""
    pick = rng.random()
    inner = np.clip(depth, 0, 1)
    if pick < 0.35:
        return np.ones_like(inner)
    if pick < 0.75:
        fall = rng.uniform(0.2, 0.9)
        return np.asarray(1 - fall * inner ** rng.uniform(1.5, 4), np.float32)
    if pick < 0.9:
        return np.asarray(1 - rng.uniform(0.2, 0.7) * (1 - inner**2), np.float32)
    return np.asarray(1 + rng.uniform(-0.8, 1.5) * (inner > rng.uniform(0.75, 0.92)), np.float32)


def grained(rng: np.random.Generator, layout: Layout, radius: float, strength: float) -> Field:
    """A texture about 1 inside objects, shifted from object to object."""
    hw = (layout.labels.shape[0], layout.labels.shape[1])
    texture = any_texture(rng, hw, max(radius * np.exp(rng.uniform(np.log(0.08), np.log(0.8))), 1.5))
    return np.asarray(np.clip(1 + strength * texture, 0.1, 3), np.float32)


def bodies(
    rng: np.random.Generator,
    layout: Layout,
    radius: float,
    *,
    spread: float = 0.3,
    grain: float | None = None,
) -> Field:
    """Objects of about brightness 1 on 0."""
    strength = rng.uniform(0, 0.35) if grain is None else grain
    return np.asarray(
        per_label(rng, layout, 1.0, spread)
        * shading(rng, layout.depth)
        * grained(rng, layout, radius, strength),
        np.float32,
    )


def spots(rng: np.random.Generator, layout: Layout, radius: float) -> Field:
    """Small bright or dark dots inside objects: nucleoli, vacuoles, granules; -1 to 1."""
    hw = (layout.labels.shape[0], layout.labels.shape[1])
    scale = max(radius * rng.uniform(0.15, 0.35), 1.5)
    field = any_texture(rng, hw, scale)
    return np.asarray(
        (field > rng.uniform(1.2, 2.0))
        * (layout.labels > 0)
        * (layout.depth < 0.85)
        * rng.choice([-1.0, 1.0]),
        np.float32,
    )


def background(rng: np.random.Generator, hw: tuple[int, int], strength: float) -> Field:
    """Draw the background: textures about 0."""
    field = strength * any_texture(rng, hw, np.exp(rng.uniform(np.log(2), np.log(80))))
    if rng.random() < 0.5:
        field = field + strength * any_texture(rng, hw, np.exp(rng.uniform(np.log(10), np.log(200))))
    return np.asarray(field, np.float32)


def stained(
    rng: np.random.Generator,
    amounts: list[Field],
    hues: list[NDArray[np.float64]],
    white: NDArray[np.float64],
) -> Field:
    """Dyes absorbing white light (Beer and Lambert): amounts (H, W) each, hues as absorption per channel."""
    absorbed = sum(
        np.clip(amount, 0, None)[..., None] * hue for amount, hue in zip(amounts, hues, strict=True)
    )
    return np.asarray(white * np.exp(-absorbed), np.float32)
