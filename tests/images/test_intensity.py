"""Which values become black and which white."""

import warnings

import numpy as np
import pytest

from napari_samv1.images.intensity import to_rgb8

RAMP = np.arange(256).reshape(16, 16)


def grey(image, *args, **kwargs):
    rgb = to_rgb8(image, *args, **kwargs)
    assert rgb.dtype == np.uint8
    assert rgb.flags.c_contiguous
    assert rgb.shape == (*image.shape[:2], 3)
    assert (rgb == rgb[..., :1]).all()
    return rgb[..., 0]


def test_uint8_rgb_is_not_copied():
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    np.testing.assert_array_equal(to_rgb8(image), image)
    assert np.shares_memory(to_rgb8(image), image)


def test_uint8_grey_keeps_its_values():
    np.testing.assert_array_equal(grey(RAMP.astype(np.uint8)), RAMP)


def test_alpha_is_ignored():
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 4), dtype=np.uint8)
    np.testing.assert_array_equal(to_rgb8(image), image[..., :3])
    assert to_rgb8(image).flags.c_contiguous


@pytest.mark.parametrize(
    "dtype", ["u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8", ">u2", ">i2", ">f4"]
)
def test_limits_mean_the_same_in_every_dtype(dtype):
    values = np.array([[0, 10, 20, 30], [60, 110, 120, 127]]).astype(dtype)
    # (v - 10) / 100 * 255, rounded
    np.testing.assert_array_equal(grey(values, (10, 110)), [[0, 0, 26, 51], [128, 255, 255, 255]])


@pytest.mark.parametrize("dtype", ["i1", "i2", "i4", "i8", "f2", "f4"])
def test_negative_values_have_their_place(dtype):
    values = np.array([[-128, -100, -50, 0, 100]]).astype(dtype)
    np.testing.assert_array_equal(grey(values, (-100, 0)), [[0, 0, 128, 255, 255]])


@pytest.mark.parametrize(
    ("dtype", "values", "expected"),
    [
        ("bool", [False, True], [0, 255]),
        ("u1", [0, 7, 255], [0, 7, 255]),
        ("u2", [0, 257, 65535], [0, 1, 255]),
        ("i1", [-128, 0, 127], [0, 128, 255]),
        ("i2", [-32768, 32767], [0, 255]),
        ("f4", [-1.0, 0.0, 0.2, 1.0, 5.0], [0, 0, 51, 255, 255]),
    ],
)
def test_dtype_takes_the_whole_range_of_the_type(dtype, values, expected):
    np.testing.assert_array_equal(grey(np.array([values], dtype=dtype), "dtype"), [expected])


def test_bool_is_black_and_white_by_default_even_where_true_is_rare():
    image = np.zeros((100, 100), dtype=bool)
    image[3, 4] = True
    assert grey(image).sum() == 255


def test_minmax_takes_the_extremes():
    np.testing.assert_array_equal(grey(np.array([[1000, 2000, 3000]]), "minmax"), [[0, 128, 255]])


def test_other_dtypes_are_mapped_by_percentiles():
    values = np.random.default_rng(0).normal(1000, 100, (300, 200)).astype(np.float32)
    low, high = np.percentile(values, (0.1, 99.9))
    expected = np.rint(np.clip((values.astype(np.float64) - low) / (high - low), 0, 1) * 255)
    assert np.abs(grey(values) - expected).max() <= 1  # halves round either way
    assert (grey(values) != expected).mean() < 1e-3
    np.testing.assert_array_equal(grey(values), grey(values, ("percentile", 0.1, 99.9)))
    np.testing.assert_array_equal(grey(values), grey(values, (low, high)))


def test_percentiles_of_a_large_image_come_from_an_even_sample():
    values = np.random.default_rng(0).random((3000, 2000), dtype=np.float32)
    mapped = to_rgb8(values, ("percentile", 10, 90))[..., 0]
    assert (mapped == 0).mean() == pytest.approx(0.1, abs=0.003)
    assert (mapped == 255).mean() == pytest.approx(0.1, abs=0.003)


@pytest.mark.parametrize("shape", [(1, 3_000_000), (3_000_000, 1)])
def test_percentiles_of_a_long_line_are_found(shape):
    values = np.arange(3_000_000, dtype=np.int32).reshape(shape)
    mapped = to_rgb8(values, ("percentile", 25, 75))[..., 0]
    assert (mapped == 0).mean() == pytest.approx(0.25, abs=0.01)


@pytest.mark.parametrize("limits", [(10, 110), [10, 110], (np.float32(10), np.int64(110))])
def test_limits_may_be_any_pair_of_numbers(limits):
    np.testing.assert_array_equal(grey(np.array([[0, 60, 110]], dtype=np.uint8), limits), [[0, 128, 255]])


def test_a_few_bright_pixels_on_an_even_ground_stay_visible():
    image = np.full((200, 200), 7, dtype=np.uint16)
    image[5, 5] = 900
    mapped = grey(image)
    assert mapped[5, 5] == 255
    assert mapped.sum() == 255


@pytest.mark.parametrize("intensity", [None, "minmax", "dtype", (7, 7), ("percentile", 1, 99)])
@pytest.mark.parametrize("dtype", ["u1", "u2", "i4", "f4", "f8"])
def test_a_constant_image_divides_by_nothing(dtype, intensity):
    mapped = grey(np.full((4, 5), 7, dtype=dtype), intensity)
    assert len(np.unique(mapped)) == 1


def test_limits_on_one_value_are_a_step():
    np.testing.assert_array_equal(grey(np.array([[6, 7, 8]]), (7, 7)), [[0, 0, 255]])


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
def test_gamma_is_the_exponent_of_the_normalised_value(dtype):
    values = np.array([[0, 25, 100]]).astype(dtype)
    np.testing.assert_array_equal(grey(values, (0, 100), gamma=0.5), [[0, 128, 255]])  # sqrt(1/4) = 1/2
    np.testing.assert_array_equal(grey(values, (0, 100), gamma=2.0), [[0, 16, 255]])  # 1/16


def test_gamma_applies_to_uint8_as_well():
    np.testing.assert_array_equal(grey(np.array([[0, 51, 255]], dtype=np.uint8), gamma=2.0), [[0, 10, 255]])


def test_colour_channels_share_their_limits():
    image = np.array([[[0, 50, 100], [25, 25, 200]]], dtype=np.uint16)
    np.testing.assert_array_equal(to_rgb8(image, (0, 200))[0], [[0, 64, 128], [32, 32, 255]])


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_values_that_are_not_finite_are_mapped_and_told_once(dtype):
    image = np.array([[np.nan, -np.inf, np.inf, 0, 50, 100]], dtype=dtype)
    with pytest.warns(UserWarning, match="3 values of the image are not finite") as told:
        mapped = to_rgb8(image, "minmax")[..., 0]
    assert len(told) == 1
    assert told[0].filename == __file__
    np.testing.assert_array_equal(mapped, [[0, 0, 255, 0, 128, 255]])


@pytest.mark.parametrize("intensity", [None, "minmax", "dtype", (0, 1)])
def test_an_image_without_a_finite_value_is_black(intensity):
    with pytest.warns(UserWarning, match="4 values .* not finite") as told:
        mapped = to_rgb8(np.full((2, 2), np.nan), intensity)
    assert len(told) == 1
    assert told[0].filename == __file__
    assert not mapped.any()


def test_percentiles_look_past_a_sample_that_holds_no_finite_value():
    image = np.full((2000, 2000), np.nan)
    image[1, 1], image[1, 3] = 5, 6
    with pytest.warns(UserWarning, match="not finite"):
        mapped = to_rgb8(image)
    assert mapped[1, 3, 0] == 255
    assert mapped[1, 1, 0] == 0


@pytest.mark.parametrize("low", [2.0**40, 1e12])
def test_a_small_range_on_a_large_offset_keeps_its_steps(low):
    image = low + np.array([[0.0, 25.0, 100.0]])
    np.testing.assert_array_equal(grey(image, "minmax"), [[0, 64, 255]])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_views_and_read_only_arrays_are_welcome(dtype):
    base = np.random.default_rng(0).integers(0, 200, (20, 30, 4)).astype(dtype)
    base.flags.writeable = False
    view = base[::-2, ::3]
    np.testing.assert_array_equal(to_rgb8(view, (0, 199)), to_rgb8(view.copy(), (0, 199)))
    np.testing.assert_array_equal(to_rgb8(view[..., 1], (0, 199)), to_rgb8(view[..., 1].copy(), (0, 199)))


def test_the_input_is_left_alone():
    image = np.random.default_rng(0).random((50, 60))
    before = image.copy()
    to_rgb8(image, gamma=0.7)
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((3, 512, 512)), r"got \(3, 512, 512\); move the channel axis last"),
        (np.zeros((5, 6, 7)), r"got \(5, 6, 7\); take one plane"),
        (np.zeros((5, 6, 1)), "take one plane"),
        (np.zeros(5), "take one plane"),
        (np.zeros((2, 2, 2, 3)), "take one plane"),
        (np.zeros((0, 5)), "at least one pixel"),
        (np.zeros((5, 0, 3)), "at least one pixel"),
        (np.zeros((5, 5), dtype=complex), "real numbers, got complex128; take its absolute value"),
        (np.array([["a", "b"]]), "real numbers, got dtype <U1"),
        (np.array([[None, 1]], dtype=object), "real numbers, got dtype object"),
        (np.zeros((2, 2), dtype="M8[s]"), "real numbers"),
    ],
)
def test_what_is_no_image_is_refused(image, message):
    with pytest.raises(ValueError, match=message):
        to_rgb8(image)


@pytest.mark.parametrize(
    ("intensity", "message"),
    [
        ("auto", "intensity must be"),
        (5, "intensity must be"),
        ((1, 2, 3), "intensity must be"),
        (("a", "b"), "intensity must be"),
        ((5, 1), "lower one first"),
        ((0, np.inf), "finite"),
        ((np.nan, 1), "finite"),
        (("percentile", 50, 50), "percentiles must be"),
        (("percentile", -1, 50), "percentiles must be"),
    ],
)
def test_an_unknown_intensity_is_refused(intensity, message):
    with pytest.raises(ValueError, match=message):
        to_rgb8(np.zeros((2, 2)), intensity)


@pytest.mark.parametrize("gamma", [0, -1, np.nan, np.inf])
def test_an_impossible_gamma_is_refused(gamma):
    with pytest.raises(ValueError, match="gamma must be a positive number"):
        to_rgb8(np.zeros((2, 2)), gamma=gamma)


def test_values_too_far_apart_are_refused_with_a_remedy():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match="give intensity limits"):
            to_rgb8(np.array([[-1.7e308, 1.7e308]]), "minmax")
