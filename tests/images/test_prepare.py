"""From 8-bit RGB to what the network sees."""

import numpy as np
import pytest
import torch
from PIL import Image

from napari_samv1.images.prepare import prepare
from napari_samv1.records.frame import Frame
from napari_samv1.records.preparation import BUNDLED, MEDSAM, PUBLISHED, Preparation


def picture(height, width, seed=0):
    generator = np.random.default_rng(seed)
    coarse = Image.fromarray(generator.integers(0, 256, (9, 11, 3), dtype=np.uint8))
    return np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC))


@pytest.fixture(scope="module")
def published_processor():
    """The image processor of transformers, on Pillow as the published predictor is."""
    from transformers.models import sam as models_sam

    if hasattr(models_sam, "image_processing_pil_sam"):
        return models_sam.image_processing_pil_sam.SamImageProcessorPil()
    return models_sam.SamImageProcessor()


@pytest.mark.parametrize("image_hw", [(480, 640), (640, 427), (1365, 2048), (1024, 1024), (33, 500)])
def test_the_padded_arrangement_equals_the_published_one(image_hw, published_processor):
    image = picture(*image_hw)
    frame = Frame.plan(image_hw, side=1024, patch=16, sizing="padded")
    expected = published_processor(image, return_tensors="pt")
    assert tuple(expected["reshaped_input_sizes"][0].tolist()) == frame.resized_hw
    got = prepare(image, frame, PUBLISHED)
    # 1e-3 of a grey level: the processor rescales to 0..1 before it normalises
    torch.testing.assert_close(got, expected["pixel_values"].to(torch.float32), atol=2e-5, rtol=0)


def test_padding_is_zero_after_normalisation():
    frame = Frame.plan((32, 64), side=64, patch=16, sizing="padded")
    tensor = prepare(np.zeros((32, 64, 3), dtype=np.uint8), frame, PUBLISHED)
    assert tensor.shape == (1, 3, 64, 64)
    assert tensor.dtype == torch.float32
    assert tensor.is_contiguous()
    assert not tensor[:, :, 32:].any()
    black = -np.array(PUBLISHED.mean) / np.array(PUBLISHED.std)
    np.testing.assert_allclose(tensor[0, :, :32].amax((1, 2)), black, rtol=1e-5)
    np.testing.assert_allclose(tensor[0, :, :32].amin((1, 2)), black, rtol=1e-5)


def test_native_sizing_shows_the_whole_image_without_padding():
    image = picture(60, 100)
    frame = Frame.plan((60, 100), side=64, patch=16)
    plain = Preparation(mean=(0, 0, 0), std=(1, 1, 1))
    tensor = prepare(image, frame, plain)
    assert tensor.shape == (1, 3, 32, 64)
    expected = np.asarray(Image.fromarray(image).resize((64, 32), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(tensor[0].permute(1, 2, 0).numpy(), expected)


def test_at_scale_one_pixels_stay_what_they_are():
    image = picture(64, 64)
    tensor = prepare(
        image, Frame.plan((64, 64), side=64, patch=8), Preparation(mean=(1, 2, 3), std=(2, 2, 2))
    )
    np.testing.assert_array_equal(tensor[0].permute(1, 2, 0).numpy() * 2 + [1, 2, 3], image)


def test_a_window_is_prepared_as_its_cut_out_would_be():
    image = picture(90, 120)
    window = Frame.plan((90, 120), side=64, patch=8, window_yxhw=(10, 20, 50, 60))
    cut_out = image[10:60, 20:80]
    alone = Frame.plan((50, 60), side=64, patch=8)
    torch.testing.assert_close(prepare(image, window, PUBLISHED), prepare(cut_out, alone, PUBLISHED))


def test_medsam_stretches_to_a_square_and_to_values_from_zero_to_one():
    image = (picture(60, 100) // 2 + 40).astype(np.uint8)
    frame = Frame.plan((60, 100), side=128, patch=16, sizing=MEDSAM.sizing)
    tensor = prepare(image, frame, MEDSAM)
    resized = np.asarray(Image.fromarray(image).resize((128, 128), Image.Resampling.BICUBIC)).astype(
        np.float32
    )
    expected = (resized - resized.min()) / (resized.max() - resized.min())
    np.testing.assert_array_equal(tensor[0].permute(1, 2, 0), expected)
    assert tensor.min() == 0
    assert tensor.max() == 1


@pytest.mark.parametrize("preparation", [MEDSAM, BUNDLED])
def test_a_constant_image_survives_stretching(preparation):
    frame = Frame.plan((20, 30), side=32, patch=16, sizing="stretched")
    assert not prepare(np.full((20, 30, 3), 9, dtype=np.uint8), frame, preparation).any()


def test_for_the_bundled_model_a_hot_pixel_dims_nothing_and_a_dead_one_lifts_nothing():
    ramp = np.repeat(np.linspace(50, 90, 100).round().astype(np.uint8)[None], 100, axis=0)
    marred = ramp.copy()
    marred[3, 4], marred[80, 20] = 255, 0
    frame = Frame.plan((100, 100), side=100, patch=4)
    clean, spotted = (prepare(np.stack([grey] * 3, axis=-1), frame, BUNDLED) for grey in (ramp, marred))
    assert (clean.min(), clean.max()) == (0, 1)
    torch.testing.assert_close(clean[0, 0], (torch.from_numpy(ramp).float() - 50) / 40)
    assert (spotted[0, :, 3, 4] == 1).all()
    assert (spotted[0, :, 80, 20] == 0).all()
    assert ((clean != spotted)[0, 0]).sum() == 2


@pytest.mark.parametrize("shares", [(0.1, 99.9), (0, 100), (2.5, 50), (33.3, 99.99)])
@pytest.mark.parametrize("values", [(0, 256), (7, 9), (40, 200)])
def test_values_are_stretched_between_numpys_percentiles(shares, values):
    image = np.random.default_rng(5).integers(*values, (31, 47, 3)).astype(np.uint8)
    frame = Frame.plan((31, 47), side=47, patch=1)
    own = Preparation(side=47, minmax=True, percentiles=shares)
    low, high = np.percentile(image, shares)
    if low == high:
        low, high = values[0], values[1] - 1
    expected = ((image - low) / (high - low)).clip(0, 1)
    np.testing.assert_allclose(prepare(image, frame, own)[0].permute(1, 2, 0), expected, atol=1e-6)


@pytest.mark.parametrize("percentiles", [(99.9, 0.1), (5, 5), (-1, 50), (0, 101), (float("nan"), 5)])
def test_percentiles_that_stretch_nothing_are_refused(percentiles):
    with pytest.raises(ValueError, match=r"two numbers in 0\.\.100, the lower one first, got"):
        Preparation(minmax=True, percentiles=percentiles)


def test_a_few_bright_pixels_on_an_even_ground_are_still_seen():
    image = np.full((100, 100, 3), 7, np.uint8)
    image[50, 50] = 200
    tensor = prepare(image, Frame.plan((100, 100), side=100, patch=4), BUNDLED)
    assert tensor[0, 0, 50, 50] == 1
    assert tensor.sum() == 3


@pytest.mark.parametrize("image_hw", [(1, 1), (1, 1000), (1000, 1), (3, 2)])
@pytest.mark.parametrize("sizing", ["native", "padded", "stretched"])
def test_extreme_shapes_are_prepared(image_hw, sizing):
    frame = Frame.plan(image_hw, side=128, patch=16, sizing=sizing)
    tensor = prepare(picture(*image_hw), frame, PUBLISHED)
    assert tensor.shape[2:] == frame.input_hw
    assert tensor.isfinite().all()


def test_read_only_images_are_welcome():
    image = picture(32, 32).copy()
    image.flags.writeable = False
    prepare(image, Frame.plan((32, 32), side=32, patch=8), PUBLISHED)


@pytest.mark.parametrize(
    "image",
    [np.zeros((20, 31, 3), np.uint8), np.zeros((20, 30), np.uint8), np.zeros((20, 30, 3), np.float32)],
)
def test_an_image_that_does_not_fit_the_frame_is_refused(image):
    with pytest.raises(ValueError, match=r"expected a uint8 image of shape \(20, 30, 3\)"):
        prepare(image, Frame.plan((20, 30), side=32, patch=8), PUBLISHED)
