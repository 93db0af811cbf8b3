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
    rows, columns = (size * _SAMPLES for size in frame.logits_hw)
    # sampled axis by axis, because the mapping is a scale and a shift on each
    along = np.zeros((max(rows, columns), 2))
    along[:, :] = ((np.arange(len(along)) + 0.5) / _SAMPLES - 0.5)[:, None]
    image_yx = np.floor(frame.from_logits_yx(along) + 0.5).astype(int) - area.origin_yx
    y, x = image_yx[:rows, 0], image_yx[:columns, 1]
    height, width = area.mask.shape
    in_y, in_x = (y >= 0) & (y < height), (x >= 0) & (x < width)
    sampled = np.zeros((rows, columns), dtype=np.float32)
    sampled[np.ix_(in_y, in_x)] = area.mask[np.ix_(y[in_y], x[in_x])]
    blocks = sampled.reshape(frame.logits_hw[0], _SAMPLES, frame.logits_hw[1], _SAMPLES)
    share: NDArray[np.float32] = blocks.mean(axis=(1, 3), dtype=np.float32)
    return (2 * share - 1) * np.float32(SURE)
