"""From an 8-bit RGB image to the network's input tensor."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn import functional

from napari_samv1.images.intensity import percentile_limits
from napari_samv1.images.pillow_resize import PILLOW_FILTERS, resize_8bit
from napari_samv1.records.frame import Frame
from napari_samv1.records.preparation import Preparation

Limits = tuple[float, float]
"""Two 8-bit values."""

LARGE = 1 << 21
"""Pixels above which a GPU resizes faster than Pillow, transfers included."""

CPU = torch.device("cpu")


def prepare(
    rgb8: NDArray[np.uint8],
    frame: Frame,
    preparation: Preparation,
    limits: Limits | None = None,
    device: torch.device = CPU,
) -> torch.Tensor:
    """Resize the frame's window, normalise and pad it: H W 3 -> 1 3 H W float32.

    Pillow resizes with antialiasing and rounds to 8 bits, as the published predictor does; a CUDA ``device``
    does the same to large windows. The result is on the CPU. Padding comes after normalisation, so that it is
    zero in the network's own range.

    Raises
    ------
    ValueError
        If the image is not 8-bit RGB of the frame's size.
    """
    if rgb8.shape != (*frame.image_hw, 3) or rgb8.dtype != np.uint8:
        raise ValueError(
            f"expected a uint8 image of shape {(*frame.image_hw, 3)} to fit the frame, "
            f"got {rgb8.dtype} {rgb8.shape}; to_rgb8 makes one"
        )
    window = resized_window(rgb8[frame.window_slices], frame, preparation, device)
    return arranged(window, frame, preparation, limits)


def resized_window(
    rgb8: NDArray[np.uint8], frame: Frame, preparation: Preparation, device: torch.device = CPU
) -> NDArray[np.uint8]:
    """The window's pixels (H, W, 3) at the model's size; CUDA resizes large ones, with equal bits."""
    height, width = frame.resized_hw
    if device.type == "cuda" and rgb8.shape[0] * rgb8.shape[1] >= LARGE and rgb8.shape[:2] != (height, width):
        return resize_8bit(rgb8, (height, width), preparation.resampling, device)
    window = Image.fromarray(np.ascontiguousarray(rgb8))
    return np.asarray(window.resize((width, height), PILLOW_FILTERS[preparation.resampling]))


def arranged(
    resized: NDArray[np.uint8], frame: Frame, preparation: Preparation, limits: Limits | None = None
) -> torch.Tensor:
    """Normalise and pad pixels of the model's size: h w 3 -> 1 3 H W float32."""
    pad_h, pad_w = (room - size for room, size in zip(frame.input_hw, frame.resized_hw, strict=True))
    padded_chw = functional.pad(normalised(resized, preparation, limits), (0, pad_w, 0, pad_h))
    return padded_chw.unsqueeze(0).contiguous()


def stretch_limits(rgb8: NDArray[np.uint8], preparation: Preparation) -> Limits | None:
    """8-bit values that a preparation stretches to 0 and 1 in these pixels; None if it does not stretch."""
    return percentile_limits(rgb8, preparation.percentiles) if preparation.minmax else None


def normalised(
    rgb8: NDArray[np.uint8], preparation: Preparation, limits: Limits | None = None
) -> torch.Tensor:
    """Normalise to the model's value range: H W 3 uint8 of the model's size -> 3 H W float32.

    ``limits`` default to ``stretch_limits`` of these pixels.
    """
    pixels_chw = torch.from_numpy(rgb8.astype(np.float32)).permute(2, 0, 1)
    limits = stretch_limits(rgb8, preparation) if limits is None else limits
    if limits is not None:
        low, high = limits
        return ((pixels_chw - low) / max(high - low, 1e-8)).clamp_(0, 1)
    mean = torch.tensor(preparation.mean).view(3, 1, 1)
    std = torch.tensor(preparation.std).view(3, 1, 1)
    return (pixels_chw - mean) / std
