from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_samv1.masks.packed import PackedCrop
from napari_samv1.records.mask_crop import MaskCrop


@given(arrays(bool, st.tuples(st.integers(0, 40), st.integers(0, 40))), st.integers(0, 100000))
def test_a_packed_crop_comes_out_as_it_went_in(mask, top):
    crop = MaskCrop((top, 3), mask)
    assert PackedCrop.of(crop).crop() == crop


def test_a_disc_of_a_megapixel_takes_few_bytes():
    y, x = np.ogrid[-500:500, -500:500]
    disc = MaskCrop((0, 0), y * y + x * x < 490**2)
    assert len(PackedCrop.of(disc).data) < 20_000
