"""A model of random weights that encodes in milliseconds, and a picture for it."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image

from napari_samv1.checkpoints.record import LoadedModel
from napari_samv1.model import Sam, SamConfig
from napari_samv1.records.preparation import PUBLISHED, Preparation

CONFIG = SamConfig(width=16, depth=4, heads=2, patch=8, grid=8, window=3, channels=32, decoder_mlp=32)


def random_model(preparation: Preparation = PUBLISHED, seed: int = 0) -> LoadedModel:
    torch.manual_seed(seed)
    network = Sam(CONFIG).eval().requires_grad_(False)
    for name, parameter in network.named_parameters():
        if "position" in name:
            parameter.normal_(0, 0.3)
    return LoadedModel(network, CONFIG, preparation, "random", f"weights-{seed}")


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (height // 6 + 2, width // 6 + 2, 3), dtype=np.uint8)
    return np.array(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))
