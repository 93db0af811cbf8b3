"""How far masks move in bfloat16, and in 8-bit integers as an experiment: the bundled model, real images."""

from __future__ import annotations

import argparse
import copy
import warnings
from collections.abc import Callable
from statistics import mean
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from skimage import data
from torch import nn

from benchmarks.measure import say, table
from napari_samv1.checkpoints.load import load_model
from napari_samv1.checkpoints.record import LoadedModel
from napari_samv1.engine.prediction import Prediction
from napari_samv1.engine.predictor import Predictor
from napari_samv1.model.layers import Linear
from napari_samv1.records.prompts import Prompts

IMAGES: dict[str, Callable[[], Any]] = {
    "coins": data.coins,
    "cell": data.cell,
    "stained tissue": data.immunohistochemistry,
    "retina": data.retina,
    "galaxies": data.hubble_deep_field,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="tiny", help="a known model's name or a file")
    parser.add_argument("--prompts", type=int, default=8, help="points along each side of an image")
    chosen = parser.parse_args()
    print(compare(chosen.model, chosen.prompts))


def compare(model: str, side: int) -> str:
    """The Markdown table."""
    exact = load_model(model, device="cpu", dtype="float32")
    others = {
        "bfloat16": load_model(model, device="cpu", dtype="bfloat16"),
        "int8 (experiment)": in_8_bits(exact),
    }
    rows = []
    for name, image in IMAGES.items():
        say(f"accuracy: {name}")
        expected = predictions(exact, image(), side)
        ious = (mean(mask_ious(expected, predictions(other, image(), side))) for other in others.values())
        rows.append([name, *(f"{value:.4f}" for value in ious)])
    means = (mean(float(row[column]) for row in rows) for column in range(1, 1 + len(others)))
    rows.append(["mean", *(f"{value:.4f}" for value in means)])
    return table((f"mask IoU with float32, {model}", *others), rows)


def predictions(model: LoadedModel, image: NDArray[np.uint8], side: int) -> list[Prediction]:
    """Of every point of a regular grid, by itself."""
    predictor = Predictor(model)
    height, width = image.shape[:2]
    steps = (np.arange(side) + 0.5) / side
    prompts = [Prompts(points_yx=[(y * height, x * width)], labels=[1]) for y in steps for x in steps]
    return predictor.predict_each(predictor.embed(image), prompts)


def mask_ious(expected: list[Prediction], found: list[Prediction]) -> list[float]:
    """Of the candidate that float32 takes, prompt by prompt; where it finds nothing is left out."""
    values = []
    for right, some in zip(expected, found, strict=True):
        index = right.best()
        truth, mask = right.mask(index), some.mask(index)
        if truth.any():
            values.append(float((mask & truth).sum() / (mask | truth).sum()))
    return values


def in_8_bits(model: LoadedModel) -> LoadedModel:
    """The same with the encoder's linear layers quantised as they run, those of queries and keys excepted."""
    network = copy.deepcopy(model.network)
    encoder = network.image_encoder
    for layer in encoder.modules():
        if type(layer) is Linear:
            object.__setattr__(layer, "__class__", nn.Linear)  # torch recognises a layer by its exact type
    names = {
        name
        for name, layer in encoder.named_modules()
        if type(layer) is nn.Linear and not name.endswith("qkv")
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.ao.quantization.quantize_dynamic(encoder, names, dtype=torch.qint8, inplace=True)
    return LoadedModel(network, model.config, model.preparation, f"{model.name}, int8", model.sha256)


if __name__ == "__main__":
    main()
