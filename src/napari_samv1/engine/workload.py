"""Operations of an encoding and speed of a device, from which the time is estimated."""

from __future__ import annotations

import math
import time

import torch

from napari_samv1.model.config import SamConfig

CALIBRATION_SIDE = 768
CALIBRATION_SECONDS = 0.1
# attention, normalisation and memory traffic make an encoding slower than a bare matrix product
ENCODING_SHARE = 0.55


def encode_operations(config: SamConfig, grid_hw: tuple[int, int]) -> float:
    """Multiplications and additions of one encoding on a token grid (h, w), up to small terms."""
    height, width = grid_hw
    tokens, channels = height * width, config.width
    padded = math.ceil(height / config.window) * math.ceil(width / config.window) * config.window**2
    dense = 2 * tokens * channels**2 * (4 + 2 * config.mlp_ratio)
    windowed = 4 * padded * config.window**2 * channels
    whole = 4 * tokens**2 * channels
    blocks = config.depth * dense + (config.depth - config.stages) * windowed + config.stages * whole
    patches = 2 * tokens * 3 * config.patch**2 * channels
    projection = 2 * tokens * config.channels * (channels + 9 * config.channels)
    return float(blocks + patches + projection)


def measure_rate(device: str | torch.device, dtype: torch.dtype = torch.float32) -> float:
    """Operations per second to expect of an encoding, measured by a matrix product for 0.1 s."""
    matrix = torch.ones(CALIBRATION_SIDE, CALIBRATION_SIDE, device=device, dtype=dtype)
    with torch.inference_mode():
        float((matrix @ matrix)[0, 0])  # starts the threads or the device
        start = time.perf_counter()
        products = 0
        while time.perf_counter() - start < CALIBRATION_SECONDS:
            float((matrix @ matrix)[0, 0])  # reading one number waits for the device
            products += 1
        seconds = time.perf_counter() - start
    return ENCODING_SHARE * products * 2 * CALIBRATION_SIDE**3 / seconds
