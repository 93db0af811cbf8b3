"""Images with labelled objects, unseen in training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage import data, filters, io, segmentation

from napari_samv1.training.scenes.kinds import draw_scene

HELD_OUT_SEED = 2**31 - 1
"""Scenes for evaluation come from a seed that no recipe uses."""


@dataclass(frozen=True, eq=False)
class TestImage:
    """``labels`` (H, W) are the objects, 0 is background; ``levels`` is the whole hierarchy, if any."""

    __test__ = False  # keeps pytest from collecting it as a test class

    name: str
    image: NDArray[Any]
    labels: NDArray[np.int64]
    levels: NDArray[np.uint16] | None = None


def coins() -> TestImage:
    """scikit-image's Greek coins with the outlines of all 24, checked by eye.

    A watershed on the gradient from certain background (below 30) and certain coin (above 150), holes
    filled, specks dropped, outlines smoothed over two pixels.
    """
    image = data.coins()
    sure = np.zeros(image.shape, np.int32)
    sure[image < 30] = 1
    sure[image > 150] = 2
    found = segmentation.watershed(filters.sobel(image.astype(float)), sure) == 2
    found = ndimage.binary_fill_holes(found)
    found = ndimage.binary_opening(found, iterations=3) & found
    labels, _ = ndimage.label(found)
    area = np.bincount(labels.ravel())
    labels = np.where(area[labels] >= 300, labels, 0)
    labels, _, _ = segmentation.relabel_sequential(labels)
    return TestImage("coins", image, labels.astype(np.int64))


def held_out(kind: str, count: int, side: int = 256) -> list[TestImage]:
    """Synthetic scenes that no pool holds; objects of fewer than 30 pixels are left out."""
    images = []
    for number in range(count):
        scene = draw_scene(np.random.default_rng([HELD_OUT_SEED, number]), (side, side), kind)
        labels = scene.levels[1].astype(np.int64)
        area = np.bincount(labels.ravel())
        labels = np.where(area[labels] >= 30, labels, 0)
        if labels.any():
            images.append(TestImage(f"{kind} {number}", scene.image, labels, scene.levels))
    return images


def from_folder(folder: Path) -> list[TestImage]:
    """Pairs of NAME.* and NAME_labels.*, as scikit-image reads them."""
    images = []
    for labels_path in sorted(folder.glob("*_labels.*")):
        name = labels_path.stem.removesuffix("_labels")
        image_paths = [path for path in folder.glob(f"{name}.*") if path != labels_path]
        if len(image_paths) != 1:
            raise ValueError(f"expected one image {name}.* beside {labels_path.name}, got {len(image_paths)}")
        images.append(TestImage(name, io.imread(image_paths[0]), io.imread(labels_path).astype(np.int64)))
    return images
