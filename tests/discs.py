"""A model whose masks are discs, and which takes as long as it is told to."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from napari_samv1.engine.embedding import Embedding, EmbeddingKey
from napari_samv1.engine.prediction import Prediction
from napari_samv1.model.config import SamConfig
from napari_samv1.records.frame import Frame
from napari_samv1.records.preparation import Preparation
from napari_samv1.records.prompts import Prompts

RADII = (10, 20, 14, 7)  # of the four candidates, in image pixels


class UnreadView:
    """A view of a large image, in which nothing is encoded."""

    encoded = ()

    def request(self, _window: Any) -> None:
        """Find no limits."""


class DiscPredictor:
    """Answers discs around foreground points and the insides of boxes, minus discs at background points.

    ``block_seconds`` makes each of the eight blocks of an encoding slow; all that was done is written down.
    """

    proposer = None  # no dense head

    def __init__(self, block_seconds: float = 0.0, decode_seconds: float = 0.0) -> None:
        self.block_seconds = block_seconds
        self.decode_seconds = decode_seconds
        self.encodings: list[dict[str, Any]] = []
        self.decoded: list[int] = []
        self.threads: set[str] = set()
        self.proposer = None  # no head that proposes objects
        self.model = SimpleNamespace(
            name="discs",
            sha256="0" * 64,
            device=torch.device("cpu"),
            dtype=torch.float32,
            decoder="float32",
            config=SamConfig(width=64, depth=8, heads=2, patch=8, grid=32, window=8),
            preparation=Preparation(side=1024),
        )

    def embed(
        self,
        image: Any,
        *,
        intensity: Any = None,
        gamma: float = 1.0,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> Embedding:
        self.threads.add(threading.current_thread().name)
        depth = self.model.config.depth
        for block in range(depth):
            time.sleep(self.block_seconds)
            if on_progress is not None:
                on_progress(block + 1, depth)
        self.encodings.append({"shape": image.shape, "intensity": intensity, "gamma": gamma})
        frame = Frame.plan(image.shape[:2], side=256, patch=8)
        seen = np.ascontiguousarray(image).tobytes() + repr((intensity, gamma)).encode()
        key = EmbeddingKey(
            hashlib.sha256(seen).hexdigest(),
            self.model.sha256,
            self.model.preparation,
            frame,
            None,
            gamma,
            "float32",
            "cpu",
        )
        return Embedding(torch.zeros(1, 1, *frame.grid_hw), frame, key)

    def on_image(self, _image: Any, **_how: Any) -> Any:
        return UnreadView()

    def answer_each(self, embedding: Embedding, prompts: Sequence[Prompts]) -> list[Prediction]:
        self.threads.add(threading.current_thread().name)
        time.sleep(self.decode_seconds)
        self.decoded.append(len(prompts))
        return [self._predict(embedding.frame, one) for one in prompts]

    def _predict(self, frame: Frame, prompts: Prompts) -> Prediction:
        height, width = frame.logits_hw
        rows = (np.arange(height)[:, None] + 0.5) * frame.image_hw[0] / height - 0.5
        columns = (np.arange(width)[None] + 0.5) * frame.image_hw[1] / width - 0.5
        logits = []
        for radius in RADII:
            inside = np.full((height, width), -20.0)
            for y0, x0, y1, x1 in prompts.boxes_yx:
                depths = (rows - y0, y1 - rows, columns - x0, x1 - columns)
                inside = np.maximum(inside, np.minimum(np.minimum(*depths[:2]), np.minimum(*depths[2:])))
            for sign in (1, 0):
                for y, x in prompts.points_yx[prompts.labels == sign]:
                    disc = radius - np.hypot(rows - y, columns - x)
                    inside = np.maximum(inside, disc) if sign else np.minimum(inside, -disc)
            logits.append(inside)
        iou = np.array([0.9, 0.8, 0.7, 0.6], dtype=np.float32)
        return Prediction(np.stack(logits).astype(np.float32), iou, frame, prompts.is_single)
