"""A stand-in for the network, for what is measured beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from napari_samv1.engine.prediction import Prediction
from napari_samv1.records.frame import Frame
from napari_samv1.records.prompts import Prompts


class Disc:
    """Answers every prompt with a disc of ``radius`` image pixels around its first point, at once."""

    def __init__(self, side: int, radius: int) -> None:
        self.radius = radius
        self.frame = Frame.plan((side, side), side=1024, patch=16)

    def answer_each(self, _embedding: Any, prompts: Sequence[Prompts]) -> list[Prediction]:
        return [self._disc(one) for one in prompts]

    def _disc(self, prompts: Prompts) -> Prediction:
        step = self.frame.image_hw[0] / self.frame.logits_hw[0]
        centres = (np.arange(self.frame.logits_hw[0], dtype=np.float32) + 0.5) * step - 0.5
        y, x = prompts.points_yx[0]
        distance = np.hypot((centres - y)[:, None], centres - x)
        logits = np.repeat(((self.radius - distance) / step)[None].astype(np.float32), 4, axis=0)
        return Prediction(logits, np.full(4, 0.9, np.float32), self.frame, True, batch=(0, 1))
