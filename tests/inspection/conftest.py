"""A small random model and a picture."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from napari_samv1.checkpoints.record import LoadedModel
from napari_samv1.engine.predictor import Predictor
from napari_samv1.model import Sam, SamConfig
from napari_samv1.records.preparation import Preparation
from napari_samv1.records.prompts import Prompts

CONFIG = SamConfig(
    width=24,
    depth=4,
    heads=2,
    stages=2,
    patch=8,
    grid=8,
    window=3,
    channels=32,
    decoder_mlp=32,
    decoder_heads=2,
)


@pytest.fixture(scope="session")
def model() -> LoadedModel:
    torch.manual_seed(0)
    network = Sam(CONFIG).eval().requires_grad_(False)
    for name, parameter in network.named_parameters():
        if "position" in name:
            parameter.normal_(0, 0.3)
    return LoadedModel(network, CONFIG, Preparation(side=64), "random", "weights-0")


@pytest.fixture(scope="session")
def predictor(model: LoadedModel) -> Predictor:
    return Predictor(model)


@pytest.fixture(scope="session")
def picture() -> np.ndarray:
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (8, 12, 3), dtype=np.uint8)
    return np.array(Image.fromarray(coarse).resize((88, 61), Image.Resampling.BICUBIC))


@pytest.fixture
def click() -> Prompts:
    return Prompts(points_yx=[(30, 40)], labels=[1])
