"""Masks of the same prompts with other attention windows and other input sizes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_samv1.engine.embedding import Embedding
from napari_samv1.engine.model_input import encode, model_input
from napari_samv1.engine.prediction import Prediction
from napari_samv1.engine.predictor import Predictor
from napari_samv1.images.intensity import Intensity
from napari_samv1.records.prompts import Prompts

BOTH, ONLY_BEFORE, ONLY_AFTER = 1, 2, 3


@dataclass(frozen=True, eq=False)
class TimedPrediction:
    """A prediction, its settings, and its times."""

    window_sizes: tuple[int, ...]
    side: int
    prediction: Prediction = field(repr=False)
    embedding: Embedding = field(repr=False)
    encode_seconds: float
    decode_seconds: float

    @property
    def seconds(self) -> float:
        return self.encode_seconds + self.decode_seconds


def predict_with_windows(
    predictor: Predictor,
    image: ArrayLike,
    prompts: Prompts,
    *,
    window_sizes: Sequence[int] | None = None,
    side: int | None = None,
    intensity: Intensity = None,
    gamma: float = 1.0,
    on_progress: Callable[[int, int], None] | None = None,
) -> TimedPrediction:
    """Encode with these window sizes (one per stage, in tokens) and this side, then decode as the panel does.

    Settings left out are those of the training. ``on_progress(blocks_done, blocks)`` may raise to cancel.
    """
    model = predictor.model
    trained = model.network.image_encoder.window_sizes
    prepared = model_input(model, image, side=side, intensity=intensity, gamma=gamma)
    start = time.perf_counter()
    embedding = encode(model, prepared, window_sizes=window_sizes, on_progress=on_progress)
    # reading one number waits for the device
    float(embedding.tokens_bchw[0, 0, 0, 0])
    encoded = time.perf_counter()
    prediction = predictor.answer(embedding, prompts)
    decoded = time.perf_counter()
    return TimedPrediction(
        trained if window_sizes is None else tuple(window_sizes),
        model.preparation.side if side is None else side,
        prediction,
        embedding,
        encoded - start,
        decoded - encoded,
    )


def mask_difference(before: NDArray[np.bool_], after: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """1 where both masks are, 2 where only the first is, 3 where only the second is, 0 elsewhere."""
    if before.shape != after.shape:
        raise ValueError(f"both masks must have one shape, got {before.shape} and {after.shape}")
    difference = np.zeros(before.shape, dtype=np.uint8)
    difference[before & after] = BOTH
    difference[before & ~after] = ONLY_BEFORE
    difference[~before & after] = ONLY_AFTER
    return difference


def overlap(before: NDArray[np.bool_], after: NDArray[np.bool_]) -> float:
    """Intersection over union of two masks; 1 where both are empty."""
    union = np.count_nonzero(before | after)
    return np.count_nonzero(before & after) / union if union else 1.0
