"""From an 8-bit RGB image to the tensor that the network sees."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn import functional

from napari_samv1.images.intensity import percentile_limits
from napari_samv1.records.frame import Frame
from napari_samv1.records.preparation import Preparation, Resampling

_PILLOW_FILTERS: dict[Resampling, Image.Resampling] = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}


def prepare(rgb8: NDArray[np.uint8], frame: Frame, preparation: Preparation) -> torch.Tensor:
    """Resize the frame's window, bring it into the model's value range, pad: H W 3 -> 1 3 H W float32.

    Pillow resizes with antialiasing and rounds to 8 bits, as the published predictor does. Padding comes
    after normalisation, so that it is zero in the network's own range.

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
    resized_h, resized_w = frame.resized_hw
    window = Image.fromarray(np.ascontiguousarray(rgb8[frame.window_slices]))
    resized = np.asarray(window.resize((resized_w, resized_h), _PILLOW_FILTERS[preparation.resampling]))
    pad_h, pad_w = frame.input_hw[0] - resized_h, frame.input_hw[1] - resized_w
    padded_chw = functional.pad(normalised(resized, preparation), (0, pad_w, 0, pad_h))
    return padded_chw.unsqueeze(0).contiguous()


def normalised(rgb8: NDArray[np.uint8], preparation: Preparation) -> torch.Tensor:
    """Into the model's value range: (H, W, 3) uint8 of the model's size -> 3 H W float32."""
    pixels_chw = torch.from_numpy(rgb8.astype(np.float32)).permute(2, 0, 1)
    if preparation.minmax:
        low, high = percentile_limits(rgb8, preparation.percentiles)
        return ((pixels_chw - low) / max(high - low, 1e-8)).clamp_(0, 1)
    mean = torch.tensor(preparation.mean).view(3, 1, 1)
    std = torch.tensor(preparation.std).view(3, 1, 1)
    return (pixels_chw - mean) / std
