"""Where pixels of an image lie in the model's input and its logits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_samv1.records.frame import Frame


@pytest.mark.parametrize(
    ("image_hw", "side", "patch", "input_hw"),
    [
        ((1024, 1024), 1024, 16, (1024, 1024)),
        ((800, 1200), 1024, 16, (688, 1024)),  # 682.67 is 42.67 patches
        ((303, 384), 1024, 16, (816, 1024)),  # 808 is exactly half way between 50 and 51 patches
        ((1, 1), 256, 8, (256, 256)),
        ((1, 1000), 1024, 16, (16, 1024)),
        ((1000, 1), 1024, 16, (1024, 16)),
        ((7, 5000), 256, 8, (8, 256)),
        ((100, 100), 1000, 16, (1008, 1008)),  # 62.5 patches
        ((30, 20), 16, 16, (16, 16)),
    ],
)
def test_native_sizing_rounds_each_side_to_patches_and_pads_nothing(image_hw, side, patch, input_hw):
    frame = Frame.plan(image_hw, side=side, patch=patch)
    assert frame.input_hw == frame.resized_hw == input_hw
    assert frame.window_yxhw == (0, 0, *image_hw)
    assert frame.grid_hw == (input_hw[0] // patch, input_hw[1] // patch)


@pytest.mark.parametrize(
    ("image_hw", "resized_hw"),
    [
        ((800, 1200), (683, 1024)),
        ((1365, 1000), (1024, 750)),
        ((1, 5000), (1, 1024)),
        ((64, 64), (1024, 1024)),
    ],
)
def test_padded_sizing_is_the_published_arrangement(image_hw, resized_hw):
    frame = Frame.plan(image_hw, side=1024, patch=16, sizing="padded")
    assert frame.resized_hw == resized_hw
    assert frame.input_hw == (1024, 1024)
    assert frame.logits_hw == (256, 256)


def test_stretched_sizing_fills_the_square_with_a_scale_for_each_axis():
    frame = Frame.plan((512, 2048), side=1024, patch=16, sizing="stretched")
    assert frame.resized_hw == frame.input_hw == (1024, 1024)
    assert frame.scale_yx == (2.0, 0.5)
    assert frame.downsampling == 2.0


def test_the_published_coordinate_of_a_pixel_is_its_centre():
    frame = Frame.plan((1024, 1024), side=1024, patch=16, sizing="padded")
    np.testing.assert_allclose(frame.to_model_xy01([[0, 1023]]), [[1023.5 / 1024, 0.5 / 1024]], rtol=1e-6)


def test_each_axis_has_its_own_scale():
    frame = Frame.plan((800, 1200), side=1024, patch=16, sizing="padded")  # resized to 683 x 1024
    expected_yx = np.array([(100 + 0.5) * 683 / 800, (300 + 0.5) * 1024 / 1200])
    np.testing.assert_allclose(frame.to_model_xy01([[100, 300]])[0], expected_yx[::-1] / 1024, rtol=1e-6)


def test_points_are_float32_x_before_y():
    xy01 = Frame.plan((100, 200), side=256, patch=8).to_model_xy01([[-0.5, 199.5], [99.5, -0.5]])
    assert xy01.dtype == np.float32
    np.testing.assert_array_equal(xy01, [[1, 0], [0, 1]])


def test_a_box_becomes_its_two_corners():
    frame = Frame.plan((100, 200), side=256, patch=8)
    corners = frame.boxes_to_model_xy01([[9.5, 19.5, 49.5, 99.5], [-0.5, -0.5, 99.5, 199.5]])
    np.testing.assert_allclose(corners, [[[0.1, 0.1], [0.5, 0.5]], [[0, 0], [1, 1]]], rtol=1e-6)


def test_nothing_prompted_keeps_its_shape():
    frame = Frame.plan((100, 200), side=256, patch=8)
    assert frame.to_model_xy01(np.zeros((0, 2))).shape == (0, 2)
    assert frame.boxes_to_model_xy01(np.zeros((0, 4))).shape == (0, 2, 2)
    assert frame.contains(np.zeros((0, 2))).shape == (0,)


def test_a_window_has_coordinates_of_the_whole_image():
    frame = Frame.plan((1000, 1000), side=256, patch=8, window_yxhw=(200, 300, 100, 200))
    assert frame.input_hw == (128, 256)
    np.testing.assert_allclose(frame.to_model_xy01([[249.5, 399.5]]), [[0.5, 0.5]], rtol=1e-6)
    np.testing.assert_array_equal(
        frame.contains([[199.5, 299.5], [199.4, 300], [299.4, 499.4], [299.5, 400], [250, 499.5]]),
        [True, False, True, False, False],
    )
    assert np.zeros((1000, 1000, 3))[frame.window_slices].shape == (100, 200, 3)


def test_a_logit_covers_a_quarter_of_a_patch():
    frame = Frame.plan((1024, 512), side=1024, patch=16)
    assert frame.logits_hw == (256, 128)
    np.testing.assert_allclose(frame.from_logits_yx([[0, 0], [10, 20]]), [[1.5, 1.5], [41.5, 81.5]])
    np.testing.assert_allclose(frame.to_logits_yx([[1.5, 81.5]]), [[0, 20]])


def test_the_valid_part_of_the_logits_holds_every_row_with_some_image():
    frame = Frame.plan((801, 1200), side=1024, patch=16, sizing="padded")
    assert frame.resized_hw == (684, 1024)
    assert frame.logits_valid_hw == (171, 256)
    assert Frame.plan((1, 5000), side=1024, patch=16, sizing="padded").logits_valid_hw == (1, 256)


@given(
    height=st.integers(1, 3000),
    width=st.integers(1, 3000),
    sizing=st.sampled_from(["native", "padded", "stretched"]),
    y=st.floats(0, 1),
    x=st.floats(0, 1),
)
def test_maps_to_the_model_and_back_are_inverse(height, width, sizing, y, x):
    frame = Frame.plan(
        (height + 5, width + 7), side=256, patch=8, sizing=sizing, window_yxhw=(2, 3, height, width)
    )
    point_yx = np.array([[2 + y * (height - 1), 3 + x * (width - 1)]])
    assert frame.contains(point_yx).all()
    xy01 = frame.to_model_xy01(point_yx)
    assert ((xy01 > 0) & (xy01 < 1)).all()
    np.testing.assert_allclose(frame.from_model_xy01(xy01), point_yx, atol=1e-3)
    np.testing.assert_allclose(frame.from_logits_yx(frame.to_logits_yx(point_yx)), point_yx, atol=1e-6)


def test_tokens_have_the_bounds_of_their_pixels():
    # 100 x 200 pixels from (10, 20) on, each half a model pixel: 5 x 10 tokens of 20 image pixels
    frame = Frame((300, 300), (10, 20, 100, 200), (50, 100), (50, 100), 10)
    assert frame.bounds_of((1, 2, 3, 4)) == (29.5, 59.5, 89.5, 139.5)
    assert frame.tokens_within((29.5, 59.5, 89.5, 139.5)) == (1, 2, 3, 4)
    # rounded, and cut off at the grid's edge
    assert frame.tokens_within((21, 51, 82, 400)) == (1, 2, 3, 8)
    assert frame.tokens_within((9.5, 19.5, 109.5, 219.5)) is None, "the whole grid is no window"
    assert frame.tokens_within((200, 20, 260, 90)) is None, "it lies below"


def test_a_frame_of_numpy_numbers_equals_one_of_python_numbers():
    a = Frame.plan(tuple(np.array([30, 40])), side=64, patch=8)
    assert a == Frame.plan((30, 40), side=64, patch=8)
    assert hash(a) == hash(Frame.plan((30, 40), side=64, patch=8))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"side": 8}, "at least one patch of 16 pixels, got 8"),
        ({"side": 1000, "sizing": "padded"}, "multiple of the patch size 16 .* got 1000; take 992"),
        ({"side": 1000, "sizing": "stretched"}, "multiple of the patch size 16"),
        ({"sizing": "square"}, "sizing must be"),
        ({"image_hw": (0, 5)}, "at least one row"),
        ({"window_yxhw": (0, 0, 101, 10)}, "inside the image"),
        ({"window_yxhw": (-1, 0, 10, 10)}, "inside the image"),
        ({"window_yxhw": (0, 0, 0, 10)}, "at least one row"),
    ],
)
def test_an_impossible_arrangement_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        Frame.plan(**{"image_hw": (100, 100), "side": 1024, "patch": 16} | wrong)
