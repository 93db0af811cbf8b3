"""Choice among the four masks."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

Choice = Literal["auto", "iou", "stability"]


def best_index(
    iou: ArrayLike, stability: ArrayLike | None = None, ambiguous: bool = False, by: Choice = "auto"
) -> int:
    """Index 0..3 of the mask to show.

    ``"auto"`` follows the network's training: mask 0 for several prompts; for an ambiguous one (a single
    point or box) the highest predicted IoU of masks 1 to 3. ``"iou"`` and ``"stability"`` take the highest
    of all four; only the latter reads ``stability``.

    Raises
    ------
    ValueError
        If the scores are not four, or ``by`` is unknown.
    """
    if by == "auto":
        return 1 + int(np.argmax(_four(iou, "iou")[1:])) if ambiguous else 0
    if by == "iou":
        return int(np.argmax(_four(iou, "iou")))
    if by == "stability":
        return int(np.argmax(_four(stability, "stability")))
    raise ValueError(f'by must be "auto", "iou" or "stability", got {by!r}')


def _four(scores: ArrayLike | None, name: str) -> np.ndarray:
    array = np.asarray(scores)
    if array.shape != (4,):
        raise ValueError(f"{name} must hold one score for each of four masks, got {scores!r}")
    return array
