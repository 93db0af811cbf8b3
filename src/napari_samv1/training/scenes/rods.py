"""Bacteria: rods scattered or side by side, dark in phase contrast or bright in fluorescence."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from napari_samv1.training.scenes.layout import lay, room_for
from napari_samv1.training.scenes.optics import blurred, halo, photograph
from napari_samv1.training.scenes.render import background
from napari_samv1.training.scenes.scene import OBJECT, Scene
from napari_samv1.training.scenes.textures import any_texture, smooth_noise

HW = tuple[int, int]
Rng = np.random.Generator


def rods(rng: Rng, hw: HW) -> Scene:
    """A field or a colony of rod-shaped bacteria."""
    width = float(np.exp(rng.uniform(np.log(4), np.log(20))))
    labels = _colony(rng, hw, width) if rng.random() < 0.7 else _scattered(rng, hw, width)
    inside = labels > 0
    depth = np.clip(ndimage.distance_transform_edt(inside) / (width / 2), 0, 1).astype(np.float32)
    levels = np.exp(rng.normal(0, rng.uniform(0.03, 0.3), int(labels.max()) + 1)).astype(np.float32)
    # the middle of a rod absorbs or glows most: it is thickest there
    body = inside * levels[labels] * (1 - rng.uniform(0, 0.6) * (1 - depth) ** 2)
    body = body * (1 + rng.uniform(0, 0.3) * any_texture(rng, hw, max(2.0, width * rng.uniform(0.3, 1.5))))
    if rng.random() < 0.8:
        picture = _phase_contrast(rng, inside, body, width)
    else:
        glow = blurred(inside.astype(np.float32), width * rng.uniform(0.5, 3))
        picture = body + rng.uniform(0, 0.4) * glow + rng.uniform(0, 0.3) + background(rng, hw, 0.03)
        if rng.random() < 0.4:
            picture = halo(rng, picture, width)
    # gaps between touching rods are often narrower than the microscope resolves
    picture = blurred(picture, width * rng.uniform(0, 0.2))
    picture = np.asarray(picture - min(float(picture.min()), 0.0), np.float32)
    planes = np.zeros((3, *hw), np.uint16)
    planes[OBJECT] = labels
    return Scene(photograph(rng, picture, blur=(0.3, max(0.6, width / 6))), planes, "rods")


def _phase_contrast(
    rng: Rng, inside: NDArray[np.bool_], body: NDArray[np.float32], width: float
) -> NDArray[np.float32]:
    """Dark bodies on grey, a bright halo around them and around the whole colony."""
    solid = inside.astype(np.float32)
    near = blurred(solid, width * rng.uniform(0.25, 0.6))
    far = blurred(solid, width * rng.uniform(1, 3))
    ground = rng.uniform(0.4, 0.8) + background(rng, inside.shape, rng.uniform(0, 0.05))
    bright = rng.uniform(0, 0.7) * near + rng.uniform(-0.3, 0.4) * far
    # the halo lies over the colony too: rods inside of it are lighter than those at its edge
    shade = rng.choice([0.0, 1.0]) * rng.uniform(0, 0.5) * blurred(solid, width * rng.uniform(0.8, 2))
    return np.asarray(ground + bright * ~inside + shade - rng.uniform(0.2, 0.8) * body, np.float32)


def _scattered(rng: Rng, hw: HW, width: float) -> NDArray[np.uint16]:
    radius = width * rng.uniform(0.75, 1.3)
    layout = lay(
        rng,
        hw,
        radius=radius,
        count=min(room_for(hw, radius, rng.uniform(0.05, 1.5)), 800),
        outlines=("rod",),
        style=str(rng.choice(["scattered", "clumps"])),
        spread=rng.uniform(0.05, 0.25),
        gap=rng.choice([0.0, 0.1, 0.3]),
        crossing=rng.uniform(0, 0.15),
    )
    return layout.labels


def _colony(rng: Rng, hw: HW, width: float) -> NDArray[np.uint16]:
    """Rods packed side by side along a slowly turning direction: a tessellation of stretched cells."""
    aspect = rng.uniform(1.8, 4.5)
    y, x = np.mgrid[: hw[0], : hw[1]].astype(np.float32)
    bend = width * rng.uniform(0, 5)
    y = y + bend * smooth_noise(rng, hw, width * rng.uniform(6, 14))
    x = x + bend * smooth_noise(rng, hw, width * rng.uniform(6, 14))
    angle = rng.uniform(0, np.pi)
    along = (x * np.cos(angle) + y * np.sin(angle)) / aspect
    across = y * np.cos(angle) - x * np.sin(angle)
    low = np.array([across.min(), along.min()])
    high = np.array([across.max(), along.max()])
    # rows of rods, each row shifted against the next
    rows = np.arange(low[0], high[0] + width, width)
    seeds = []
    for row in rows:
        starts = np.arange(low[1] - width * rng.random(), high[1] + width, width)
        starts = starts + rng.normal(0, 0.22 * width, len(starts))
        seeds.append(np.stack([row + rng.normal(0, 0.05 * width, len(starts)), starts], axis=1))
    near, owner = cKDTree(np.concatenate(seeds)).query(np.stack([across.ravel(), along.ravel()], axis=1), k=2)
    wall = ((near[:, 1] - near[:, 0]) / 2).reshape(hw)
    cells = owner[:, 0].reshape(hw)
    patches = smooth_noise(rng, hw, width * rng.uniform(6, 25)) > rng.uniform(-1.2, 1.6)
    counts = np.bincount(cells.ravel())
    keep = np.bincount(cells.ravel(), patches.ravel()) > 0.5 * np.maximum(counts, 1)
    keep &= rng.random(len(keep)) > rng.uniform(0, 0.25)
    inside = keep[cells] & (wall > max(0.6, width * rng.uniform(0.04, 0.14)))
    # ends are round: corners that no disc of most of the width reaches are cut off
    reach = 0.3 * width
    cores = ndimage.distance_transform_edt(inside) > reach
    inside &= ndimage.distance_transform_edt(~cores) < reach + 0.5
    if rng.random() < 0.6:
        inside &= _capsules(rng, np.where(inside, cells + 1, 0))
    kept = np.where(inside, cells + 1, 0)
    area = np.bincount(kept.ravel())
    kept = np.where(area[kept] < 0.6 * width * width, 0, kept)
    _, labels = np.unique(np.append(0, kept), return_inverse=True)
    return labels[1:].reshape(hw).astype(np.uint16)


def _capsules(rng: Rng, cells: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Pixels within a capsule in each cell: all of one width, along the cell's longer axis."""
    grid = np.indices(cells.shape, np.float64)
    area = np.maximum(np.bincount(cells.ravel()), 1)

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(cells.ravel(), values.ravel()) / area

    y, x = grid[0] - mean(grid[0])[cells], grid[1] - mean(grid[1])[cells]
    yy, xx, xy = mean(y * y), mean(x * x), mean(x * y)
    spread = np.hypot(yy - xx, 2 * xy)
    long, short = (2 * np.sqrt(np.maximum(yy + xx + sign * spread, 0) / 2) for sign in (1, -1))
    angle = (np.arctan2(2 * xy, xx - yy) / 2)[cells]
    along = np.abs(x * np.cos(angle) + y * np.sin(angle))
    across = y * np.cos(angle) - x * np.sin(angle)
    radius = float(np.median(short[1:][np.bincount(cells.ravel())[1:] > 0])) if cells.any() else 1.0
    radius *= rng.uniform(0.9, 1.25)
    return np.asarray(np.hypot(np.maximum(along - np.maximum(long[cells] - radius, 0), 0), across) < radius)
