"""Logits to the image's pixels: the published two resizes, whole or in part."""

from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from torch.nn import functional

from napari_samv1.masks.resize import resize_logits
from napari_samv1.masks.stability import stability_of_each, stability_score
from napari_samv1.masks.threshold import areas_above, threshold_crop, threshold_mask
from napari_samv1.records.frame import Frame

FRAMES = {
    "padded, enlarged": Frame((700, 900), (0, 0, 700, 900), (199, 256), (256, 256), patch=1),
    "padded, reduced": Frame((60, 41), (0, 0, 60, 41), (256, 175), (256, 256), patch=1),
    "native": Frame((301, 450), (0, 0, 301, 450), (168, 256), (168, 256), patch=1),
    "stretched": Frame((90, 700), (0, 0, 90, 700), (256, 256), (256, 256), patch=1),
    "one row": Frame((1, 1000), (0, 0, 1, 1000), (8, 256), (8, 256), patch=1),
    "a window": Frame((500, 600), (100, 50, 300, 290), (256, 247), (256, 256), patch=1),
}


def smooth_logits(frame, count=4, seed=0):
    size = (count, *(side // 2 for side in frame.input_hw))
    noise = gaussian_filter(np.random.default_rng(seed).normal(size=size), (0, 5, 5), mode="wrap")
    return (noise / noise.std() * 4).astype(np.float32)


def published(logits_nhw, frame):
    """Up to the model's input, padding cut off, to the image (to the window of it, here)."""
    (resized_h, resized_w), window_hw = frame.resized_hw, frame.window_yxhw[2:]
    at_input = functional.interpolate(
        torch.from_numpy(logits_nhw[None]), frame.input_hw, mode="bilinear", align_corners=False
    )[..., :resized_h, :resized_w]
    return functional.interpolate(at_input, window_hw, mode="bilinear", align_corners=False)[0].numpy()


@pytest.fixture(params=list(FRAMES.values()), ids=list(FRAMES))
def frame(request):
    return request.param


@cache
def resized(name):
    """Four logit maps of a frame, and each at the image's size."""
    logits = smooth_logits(FRAMES[name])
    # one by one: four together may round otherwise
    whole = np.stack([resize_logits(one, FRAMES[name]) for one in logits])
    logits.flags.writeable = whole.flags.writeable = False
    return logits, whole


def test_resizing_equals_the_published_pipeline(frame):
    logits = smooth_logits(frame)
    ours = resize_logits(logits, frame)
    assert ours.dtype == np.float32
    assert ours.shape == (4, *frame.image_hw)
    np.testing.assert_allclose(ours[:, *frame.window_slices], published(logits, frame), atol=2e-5)


def test_resizing_equals_the_image_processor_of_transformers():
    from transformers.models import sam as models_sam

    if hasattr(models_sam, "image_processing_pil_sam"):
        processor = models_sam.image_processing_pil_sam.SamImageProcessorPil()
    else:
        processor = models_sam.SamImageProcessor()
    frame = Frame((480, 640), (0, 0, 480, 640), (768, 1024), (1024, 1024), patch=1)
    logits = smooth_logits(frame)
    expected = processor.post_process_masks(
        torch.from_numpy(logits)[None, None], [(480, 640)], [(768, 1024)], binarize=False
    )
    assert logits.shape == (4, 512, 512)
    np.testing.assert_allclose(resize_logits(logits, frame), expected[0][0], atol=2e-5)


def test_values_computed_by_hand():
    # one row, 2 logits -> 4 model pixels: 0, 1/4, 3/4, 1 of the way; the image has the same 4 pixels
    frame = Frame((1, 4), (0, 0, 1, 4), (1, 4), (1, 4), patch=1)
    np.testing.assert_allclose(resize_logits([[-2.0, 6.0]], frame), [[-2, 0, 4, 6]])
    # with the last model pixel being padding, image pixels 0..2 are model pixels 0..2
    padded = Frame((1, 3), (0, 0, 1, 3), (1, 3), (1, 4), patch=1)
    np.testing.assert_allclose(resize_logits([[-2.0, 6.0]], padded), [[-2, 0, 4]])


def test_outside_the_window_nothing_is_above_any_threshold():
    frame = FRAMES["a window"]
    whole = resize_logits(np.full((128, 128), 5.0), frame)
    assert np.isneginf(whole).sum() == 500 * 600 - 300 * 290
    np.testing.assert_allclose(whole[frame.window_slices], 5, rtol=1e-6)
    assert threshold_mask(np.full((128, 128), 5.0), frame, -100).sum() == 300 * 290


@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_a_region_has_the_numbers_of_the_whole(data):
    name = data.draw(st.sampled_from(list(FRAMES)))
    frame, (logits, whole) = FRAMES[name], resized(name)
    height, width = frame.image_hw
    y0, x0 = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    region = (
        slice(y0, data.draw(st.integers(y0, height))),
        slice(x0, data.draw(st.integers(x0, width))),
    )
    np.testing.assert_array_equal(resize_logits(logits[0], frame, region), whole[0][region])


@pytest.mark.parametrize("threshold", [-30.0, -5.0, 0.0, 2.5, 9.0, 30.0])
@pytest.mark.parametrize("name", FRAMES)
def test_mask_crop_and_area_agree_with_the_resized_logits(name, threshold):
    frame = FRAMES[name]
    for logits, whole in zip(*resized(name), strict=True):
        expected = whole > threshold
        np.testing.assert_array_equal(threshold_mask(logits, frame, threshold), expected)
        crop = threshold_crop(logits, frame, threshold)
        np.testing.assert_array_equal(crop.to_mask(frame.image_hw), expected)
        assert areas_above(logits, frame, [threshold, 0.0, 100.0]) == [
            expected.sum(),
            (whole > 0).sum(),
            0,
        ]
        if expected.any():
            rows, columns = np.nonzero(expected.any(1))[0], np.nonzero(expected.any(0))[0]
            assert crop.region == (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
        else:
            assert crop.empty


def test_a_single_high_logit_is_found_in_a_large_image():
    frame = Frame((3000, 4000), (0, 0, 3000, 4000), (768, 1024), (768, 1024), patch=1)
    logits = np.full((192, 256), -8.0, dtype=np.float32)
    logits[100, 30] = 8
    crop = threshold_crop(logits, frame)
    np.testing.assert_array_equal(crop.to_mask((3000, 4000)), resize_logits(logits, frame) > 0)
    # the logit's centre, in image pixels: (100.5 / 192 * 3000, 30.5 / 256 * 4000)
    centre = [(extent.start + extent.stop) / 2 for extent in crop.region]
    np.testing.assert_allclose(centre, [1570.3, 476.6], atol=1)


def test_constant_logits_on_the_threshold_are_background():
    frame = FRAMES["native"]
    assert threshold_crop(np.zeros((84, 128)), frame).empty
    assert threshold_crop(np.full((84, 128), 1e-3), frame).area == 301 * 450


def test_read_only_logits_are_welcome(frame):
    logits = smooth_logits(frame, count=1)[0]
    logits.flags.writeable = False
    threshold_crop(logits, frame)
    resize_logits(logits, frame)


def test_stability_is_counted_at_the_image_without_padding(frame):
    for logits in smooth_logits(frame):
        at_image = published(logits[None], frame)
        for threshold, offset in ((0.0, 1.0), (1.5, 0.5)):
            expected = (at_image > threshold + offset).sum() / (at_image > threshold - offset).sum()
            got = stability_of_each(logits[None], frame, threshold, offset)[0]
            assert got == pytest.approx(expected, abs=1e-4)


def test_stability_is_the_ratio_of_two_areas():
    logits = np.array([[-2.0, -0.5, 0.5, 1.5, 3.0]])
    assert stability_score(logits) == 2 / 4
    assert stability_score(logits, threshold=1.0) == 1 / 3
    assert stability_score(logits, offset=0.1) == 1.0


def test_the_stability_of_nothing_is_zero():
    assert stability_score(np.full((3, 3), -9.0)) == 0.0
    assert stability_of_each(np.full((1, 84, 128), -9.0), FRAMES["native"]) == [0.0]
