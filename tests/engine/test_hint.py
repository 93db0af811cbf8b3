from __future__ import annotations

import numpy as np
import pytest

from napari_samv1.engine.hint import SURE, hint_logits
from napari_samv1.masks.resize import resize_logits
from napari_samv1.records.frame import Frame
from napari_samv1.records.mask_crop import MaskCrop


def test_a_mask_of_logits_pixels_is_sure_inside_and_sure_not_outside():
    frame = Frame.plan((64, 64), side=64, patch=16, sizing="padded")
    mask = np.zeros((64, 64), dtype=bool)
    mask[8:24, 16:40] = True
    logits = hint_logits(MaskCrop.from_mask(mask), frame)
    expected = np.full((16, 16), -SURE, dtype=np.float32)
    expected[2:6, 4:10] = SURE
    np.testing.assert_allclose(logits, expected, rtol=1e-6)


def test_half_a_logits_pixel_is_undecided():
    frame = Frame.plan((64, 64), side=64, patch=16, sizing="padded")
    logits = hint_logits(MaskCrop((0, 0), np.ones((4, 2), dtype=bool)), frame)
    assert logits[0, 0] == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("sizing", ["native", "padded", "stretched"])
def test_the_hint_thresholded_on_the_image_is_the_mask(sizing):
    frame = Frame.plan((300, 200), side=256, patch=16, sizing=sizing)
    y, x = np.mgrid[:300, :200]
    mask = (y - 120) ** 2 / 4 + (x - 90) ** 2 < 40**2
    logits = hint_logits(MaskCrop.from_mask(mask), frame)
    back = resize_logits(logits, frame) > 0
    assert logits.shape == frame.logits_hw
    assert (back & mask).sum() / (back | mask).sum() > 0.97
