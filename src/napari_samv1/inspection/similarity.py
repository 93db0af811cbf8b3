"""Similarity of every part of the image to a chosen part, in the network's features."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_samv1.inspection.cells import Cells
from napari_samv1.records.frame import Frame

Array = NDArray[np.float32]


def cosine_similarity(maps_chw: Array, weights_hw: Array) -> Array:
    """Cosine of the angle between every token and the mean direction of the weighted ones: (h, w), -1..1.

    Raises
    ------
    ValueError
        If the weights have another shape or are all zero.
    """
    if weights_hw.shape != maps_chw.shape[1:]:
        raise ValueError(f"expected weights of shape {maps_chw.shape[1:]}, got {weights_hw.shape}")
    if not weights_hw.any():
        raise ValueError("at least one token must have a weight, got none: point at the image first")
    lengths = np.linalg.norm(maps_chw, axis=0)
    directions_chw = maps_chw / np.where(lengths > 0, lengths, 1)
    mean_c = (directions_chw * weights_hw).sum(axis=(1, 2))
    length = float(np.linalg.norm(mean_c))
    similarity: Array = np.einsum("chw,c->hw", directions_chw, mean_c / (length or 1.0))
    return np.clip(similarity, -1, 1).astype(np.float32)


def token_under(frame: Frame, point_yx: tuple[float, float]) -> Array:
    """1 for the token that an image point lies on, 0 for all others: (h, w), padding included."""
    weights = np.zeros(frame.grid_hw, dtype=np.float32)
    weights[Cells.of_tokens(frame).containing(point_yx)] = 1
    return weights


def tokens_under(frame: Frame, mask: NDArray[np.bool_]) -> Array:
    """The share of each token's pixels that a mask (H, W) of the image covers: (h, w), padding included."""
    if mask.shape != frame.image_hw:
        raise ValueError(f"the mask must have the image's shape {frame.image_hw}, got {mask.shape}")
    inside = mask[frame.window_slices]
    weights = np.zeros(frame.grid_hw, dtype=np.float32)
    sampled: list[Array] = []
    for axis, size in enumerate(inside.shape):
        # every pixel and every cell gets at least one sample, whichever is finer
        cells = frame.resized_hw[axis] / frame.patch
        count = size * max(1, int(np.ceil(cells / size)))
        samples = (np.arange(count) + 0.5) / count
        share = np.zeros((frame.grid_hw[axis], size), dtype=np.float32)
        np.add.at(share, ((samples * cells).astype(int), (samples * size).astype(int)), 1)
        sampled.append(share / np.maximum(share.sum(axis=1, keepdims=True), 1))
    weights[:] = sampled[0] @ inside.astype(np.float32) @ sampled[1].T
    return weights
