"""Stability of masks under other thresholds, other offsets, and images with less detail."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from napari_samv1.engine.prediction import Prediction
from napari_samv1.engine.predictor import Predictor
from napari_samv1.images.intensity import Intensity, to_rgb8
from napari_samv1.inspection.windows import overlap
from napari_samv1.records.prompts import Prompts

Array = NDArray[np.float32]
SCALES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


@dataclass(frozen=True, eq=False)
class DownscaledMasks:
    """The chosen mask at each scale of the image, (S, H, W), and its overlap (IoU) with that at scale 1."""

    scales: tuple[float, ...]
    masks_shw: NDArray[np.bool_] = field(repr=False)
    overlaps_s: Array


def stability_by_threshold(prediction: Prediction, thresholds: ArrayLike, offset: float = 1.0) -> Array:
    """The four masks' stability at each threshold: (4, T)."""
    scores = [prediction.stability(threshold=float(t), offset=offset) for t in np.asarray(thresholds)]
    return np.stack(scores, axis=1)


def stability_by_offset(prediction: Prediction, offsets: ArrayLike, threshold: float = 0.0) -> Array:
    """The four masks' stability for each offset: (4, O)."""
    scores = [prediction.stability(threshold=threshold, offset=float(o)) for o in np.asarray(offsets)]
    return np.stack(scores, axis=1)


def threshold_band(prediction: Prediction, index: int, low: float, high: float) -> NDArray[np.bool_]:
    """Pixels that belong to mask ``index`` at threshold ``low`` but not at ``high``: (H, W)."""
    if low > high:
        raise ValueError(f"the band's lower threshold must not be above its upper one, got {low} and {high}")
    band: NDArray[np.bool_] = prediction.mask(index, low) & ~prediction.mask(index, high)
    return band


def with_less_detail(rgb8: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
    """An (H, W, 3) image shrunk to ``scale`` and enlarged to its size again, with less detail."""
    if not 0 < scale <= 1:
        raise ValueError(f"the scale must be above 0 and at most 1, got {scale}")
    height, width = rgb8.shape[:2]
    small_hw = max(1, round(height * scale)), max(1, round(width * scale))
    if small_hw == (height, width):
        return rgb8
    small = Image.fromarray(rgb8).resize(small_hw[::-1], Image.Resampling.BILINEAR)
    return np.array(small.resize((width, height), Image.Resampling.BILINEAR))


def masks_when_downscaled(
    predictor: Predictor,
    image: ArrayLike,
    prompts: Prompts,
    scales: Sequence[float] = SCALES,
    *,
    intensity: Intensity = None,
    gamma: float = 1.0,
    on_progress: Callable[[int, int], None] | None = None,
) -> DownscaledMasks:
    """Encode the image at several levels of detail and decode the same prompts on each, as the panel does.

    ``on_progress(scales_done, scales)`` may raise to cancel.
    """
    rgb8 = to_rgb8(image, intensity, gamma)
    masks: list[NDArray[np.bool_]] = []

    def mask_at(scale: float) -> NDArray[np.bool_]:
        embedding = predictor.embed(with_less_detail(rgb8, scale))
        prediction = predictor.answer(embedding, prompts)
        return prediction.mask(prediction.best())

    for done, scale in enumerate(scales):
        if on_progress is not None:
            on_progress(done, len(scales))
        masks.append(mask_at(scale))
    whole = masks[list(scales).index(1.0)] if 1.0 in scales else mask_at(1.0)
    overlaps = np.array([overlap(mask, whole) for mask in masks], dtype=np.float32)
    return DownscaledMasks(tuple(scales), np.stack(masks), overlaps)
