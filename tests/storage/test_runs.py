from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from pycocotools import mask as coco

from napari_samv1.records.mask_crop import MaskCrop
from napari_samv1.storage.session.runs import from_run_lengths, from_text, run_lengths, to_text

# pycocotools has not caught up with numpy 2
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

masks = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=12))


def test_runs_go_down_the_columns_and_begin_with_background():
    mask = np.array([[0, 1, 1], [0, 1, 0]], dtype=bool)
    # down the columns: 0 0 | 1 1 | 1 0
    assert run_lengths(MaskCrop((0, 0), mask)).tolist() == [2, 3, 1]


def test_in_an_image_the_box_stands_at_its_place():
    crop = MaskCrop.from_mask(np.ones((2, 1), dtype=bool), (1, 1))
    # 4 rows and 3 columns: 4 pixels of the first column, 1 of the second, 2 inside, 1 + 4
    assert run_lengths(crop, (4, 3)).tolist() == [5, 2, 5]


@given(masks)
@settings(deadline=None, max_examples=200)
def test_a_whole_mask_is_written_as_pycocotools_writes_it(mask):
    expected = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    counts = run_lengths(MaskCrop.from_mask(mask), mask.shape)
    assert to_text(counts) == expected["counts"].decode()


@given(masks, st.integers(0, 9), st.integers(0, 9))
@settings(deadline=None)
def test_pycocotools_reads_a_crop_in_its_image(mask, top, left):
    size = mask.shape[0] + top + 3, mask.shape[1] + left
    crop = MaskCrop.from_mask(mask, (top, left))
    text = to_text(run_lengths(crop, size))
    decoded = coco.decode({"size": list(size), "counts": text})
    np.testing.assert_array_equal(decoded.astype(bool), crop.to_mask(size))


@given(masks, st.integers(0, 9), st.integers(0, 9))
@settings(deadline=None)
def test_a_mask_comes_back_as_it_was(mask, top, left):
    crop = MaskCrop.from_mask(mask, (top, left))
    counts = from_text(to_text(run_lengths(crop)))
    assert from_run_lengths(counts, crop.mask.shape, crop.origin_yx) == crop


@given(st.lists(st.integers(0, 2**40), max_size=12))
def test_any_run_lengths_come_back_from_text(counts):
    assert from_text(to_text(np.array(counts, dtype=np.int64))).tolist() == counts


@pytest.mark.parametrize("text", ["é", "\x00", "o", "1o", "~~", "ooooooooooooooooo0"])
def test_text_that_is_no_run_lengths_is_refused(text):
    with pytest.raises(ValueError, match="run length"):
        from_text(text)


@pytest.mark.parametrize("counts", [[], [5], [-1, 7], [2, 3], [2**62, 2**62, 2**62, 2**62 + 6], [7]], ids=str)
def test_run_lengths_that_do_not_fill_the_box_are_refused(counts):
    with pytest.raises(ValueError, match="fill 2 x 3"):
        from_run_lengths(np.array(counts, dtype=np.int64), (2, 3), (0, 0))
