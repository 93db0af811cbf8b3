"""Mask hints: a rough mask as logits for the decoder."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_samv1.records.frame import Frame
from napari_samv1.records.prompts import Area

# logit of a probability of 0.999, as in the network's logits well inside a mask
SURE = 6.9
_SAMPLES = 4


def hint_logits(area: Area, frame: Frame) -> NDArray[np.float32]:
    """A mask of the image as logits at the decoder's size (h, w): +6.9 inside, -6.9 outside.

    In between, a logit is proportional to the share of its pixel that the mask covers; padding is outside.
    """
    height, width = area.mask.shape
    y = _sampled(frame, 0) - area.origin_yx[0]
    x = _sampled(frame, 1) - area.origin_yx[1]
    hint = np.full(frame.logits_hw, -SURE, dtype=np.float32)
    rows, columns = _reached(y, height), _reached(x, width)
    y, x = (along.reshape(-1, _SAMPLES)[reached].ravel() for along, reached in ((y, rows), (x, columns)))
    in_y, in_x = (y >= 0) & (y < height), (x >= 0) & (x < width)
    sampled = np.zeros((len(y), len(x)), dtype=np.float32)
    sampled[np.ix_(in_y, in_x)] = area.mask[np.ix_(y[in_y], x[in_x])]
    blocks = sampled.reshape(len(y) // _SAMPLES, _SAMPLES, len(x) // _SAMPLES, _SAMPLES)
    share: NDArray[np.float32] = blocks.mean(axis=(1, 3), dtype=np.float32)
    hint[rows, columns] = (2 * share - 1) * np.float32(SURE)
    return hint


def _sampled(frame: Frame, axis: int) -> NDArray[np.intp]:
    """Image rows (axis 0) or columns (1) of the samples in each of the logits."""
    count = frame.logits_hw[axis] * _SAMPLES
    # axis by axis, because the mapping is a scale and a shift on each
    along = np.repeat(((np.arange(count) + 0.5) / _SAMPLES - 0.5)[:, None], 2, axis=1)
    places: NDArray[np.intp] = np.floor(frame.from_logits_yx(along)[:, axis] + 0.5).astype(np.intp)
    return places


def _reached(along: NDArray[np.intp], length: int) -> slice:
    """Logits with a sample in 0 to ``length``."""
    inside = np.flatnonzero((along >= 0) & (along < length))
    return slice(inside[0] // _SAMPLES, inside[-1] // _SAMPLES + 1) if len(inside) else slice(0)
