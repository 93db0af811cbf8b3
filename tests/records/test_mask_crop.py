"""A mask as its bounding box."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_samv1.records.mask_crop import MaskCrop

masks = hnp.arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.booleans())


@given(masks)
def test_a_mask_survives_cropping(mask):
    crop = MaskCrop.from_mask(mask)
    np.testing.assert_array_equal(crop.to_mask(mask.shape), mask)
    assert crop.area == mask.sum()
    assert crop.empty == (not mask.any())
    np.testing.assert_array_equal(crop.mask, mask[crop.region])


@given(masks)
def test_the_box_is_tight(mask):
    crop = MaskCrop.from_mask(mask)
    if not crop.empty:
        assert crop.mask[0].any()
        assert crop.mask[-1].any()
        assert crop.mask[:, 0].any()
        assert crop.mask[:, -1].any()


@given(masks, st.data())
def test_any_region_shows_its_part_of_the_mask(mask, data):
    y0, x0 = data.draw(st.integers(0, mask.shape[0])), data.draw(st.integers(0, mask.shape[1]))
    region = (
        slice(y0, data.draw(st.integers(y0, mask.shape[0]))),
        slice(x0, data.draw(st.integers(x0, mask.shape[1]))),
    )
    np.testing.assert_array_equal(MaskCrop.from_mask(mask).within(region), mask[region])


def test_a_crop_knows_where_in_the_image_it_lies():
    crop = MaskCrop.from_mask([[0, 0, 0], [0, 1, 1]], origin_yx=(10, 20))
    assert crop.origin_yx == (11, 21)
    assert crop.region == (slice(11, 12), slice(21, 23))


def test_equal_masks_are_equal_crops_and_nothing_changes_them():
    mask = np.eye(4, dtype=bool)
    a, b = MaskCrop.from_mask(mask), MaskCrop.from_mask(mask)
    mask[0, 3] = True
    assert a == b
    assert hash(a) == hash(b)
    assert a != MaskCrop.from_mask(mask)
    assert a != MaskCrop.from_mask(np.eye(4, dtype=bool), (0, 1))
    with pytest.raises(ValueError, match="read-only"):
        a.mask[0, 0] = False


def test_a_crop_that_leaves_the_image_is_refused():
    crop = MaskCrop.from_mask([[True]], origin_yx=(5, 3))
    with pytest.raises(ValueError, match=r"row 6 and column 4: outside an image of \(5, 9\)"):
        crop.to_mask((5, 9))
    with pytest.raises(ValueError, match="start inside the image"):
        MaskCrop((-1, 0), np.ones((2, 2), dtype=bool))
    with pytest.raises(ValueError, match="bool, got float64"):
        MaskCrop((0, 0), np.ones((2, 2)))


def test_a_mask_is_the_same_whatever_the_bytes_of_true_are():
    mask = np.array([[True, False], [True, True]])
    other = (mask.astype(np.uint8) * 255).view(bool)
    assert MaskCrop((1, 2), mask) == MaskCrop((1, 2), other)
    assert hash(MaskCrop((1, 2), mask)) == hash(MaskCrop((1, 2), other))
