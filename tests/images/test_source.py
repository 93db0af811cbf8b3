"""Sources give the same pixels whatever holds them, and read no more than they must."""

from __future__ import annotations

import dask.array
import numpy as np
import pytest
import xarray
import zarr

from lazy import CountingArray, pyramid
from napari_samv1.images.source import ReadError, as_plane, as_source
from napari_samv1.records.place import Plane, Region
from stores import tensor_store

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 60_000, (700, 900), dtype=np.uint16)
COLOUR = RNG.integers(0, 255, (300, 400, 3), dtype=np.uint8)


def window(top: int, left: int, height: int, width: int, plane: Plane | None = None) -> Region:
    return Region(plane or Plane(), (top, left, height, width))


def memory_map(path):
    mapped = np.lib.format.open_memmap(path, mode="w+", dtype=GREY.dtype, shape=GREY.shape)
    mapped[:] = GREY
    return mapped


HOLDERS = {
    "numpy": lambda _: GREY,
    "memory map": lambda folder: memory_map(folder / "a.npy"),
    "dask": lambda _: dask.array.from_array(GREY, chunks=(128, 100)),
    "zarr 2": lambda folder: zarr.create_array(folder / "2.zarr", data=GREY, chunks=(64, 64), zarr_format=2),
    "zarr 3": lambda folder: zarr.create_array(folder / "3.zarr", data=GREY, chunks=(64, 64), zarr_format=3),
    "xarray": lambda _: xarray.DataArray(GREY, dims=("y", "x")),
    "xarray on dask": lambda _: xarray.DataArray(dask.array.from_array(GREY, chunks=100), dims=("y", "x")),
    "tensorstore": lambda folder: tensor_store(folder / "ts.zarr", GREY),
    "big-endian": lambda _: GREY.astype(">u2"),
}


@pytest.mark.parametrize("holder", HOLDERS)
def test_whatever_holds_the_image_gives_the_same_pixels_and_the_same_sample(holder, tmp_path):
    source = as_source(HOLDERS[holder](tmp_path))
    np.testing.assert_array_equal(source.read(window(10, 20, 300, 400), (300, 400)), GREY[10:310, 20:420])
    identity, plain = source.identity, as_source(GREY).identity
    assert (identity.shape, identity.dtype, identity.sample) == (plain.shape, plain.dtype, plain.sample)
    assert source.in_memory == (holder in ("numpy", "big-endian"))


def test_a_memory_map_is_known_by_its_files_name_and_time(tmp_path):
    mapped = memory_map(tmp_path / "a.npy")
    identity = as_source(mapped[:500]).identity
    assert identity.name == "a.npy"
    assert identity.modified_ns == (tmp_path / "a.npy").stat().st_mtime_ns


def test_nothing_is_read_until_it_is_needed_and_then_little():
    array = CountingArray((50_000, 40_000), lambda y, x: y + x)
    source = as_source(array)
    assert (array.reads, as_plane(source, None)) == (0, Plane())
    assert source.identity == source.identity
    assert array.pixels <= 16 * 64 * 64
    array.pixels = 0
    source.read(window(40_000, 30_000, 448, 448), (448, 448))
    assert array.pixels == 448 * 448


def test_pixels_come_from_the_level_that_is_just_fine_enough():
    levels = pyramid((1024, 1024), lambda y, x: (y // 4 + x // 4) % 256, 4)
    source = as_source(levels)
    for factor, used in ((1, 0), (2, 1), (3, 1), (4, 2), (7, 2), (8, 3), (30, 3)):
        for level in levels:
            level.reads = 0
        side = int(512 / factor)
        assert source.read(window(256, 128, 512, 512), (side, side)).shape == (side, side)
        assert [level.reads for level in levels] == [int(i == used) for i in range(4)]


def test_a_level_shows_the_same_place():
    # a ramp: the mean of what a coarse pixel covers is known
    ramp = np.add.outer(np.arange(512.0), 1000.0 * np.arange(640)).astype(np.float32)
    levels = [ramp, ramp.reshape(256, 2, 320, 2).mean((1, 3)), ramp.reshape(128, 4, 160, 4).mean((1, 3))]
    quarter = as_source(levels).read(window(101, 202, 256, 320), (64, 80))
    rows = 101 + 4 * np.arange(64) + 1.5
    columns = 202 + 4 * np.arange(80) + 1.5
    # the outermost pixels see only what lies inside of the window
    np.testing.assert_allclose(quarter[1:-1, 1:-1], np.add.outer(rows, 1000 * columns)[1:-1, 1:-1], rtol=1e-4)


def test_levels_whose_sizes_were_rounded_are_read_to_their_last_pixel():
    levels = pyramid((1001, 999), lambda y, x: y % 200 + 0 * x, 5)
    source = as_source(levels)
    for side in (1001, 500, 100, 63):
        assert source.read(window(0, 0, 1001, 999), (side, side)).shape == (side, side)
    assert source.read(window(901, 799, 100, 200), (25, 50)).shape == (25, 50)


def test_a_read_that_would_be_too_large_skips_rows_and_columns():
    array = CountingArray((50_000, 50_000), lambda y, x: (y // 10_000) + 0 * x)
    overview = as_source(array).read(window(0, 0, 50_000, 50_000), (100, 100))
    assert array.pixels <= 1 << 24
    np.testing.assert_array_equal(overview[10::20].mean(axis=1), [0, 1, 2, 3, 4])


def test_a_plane_of_a_stack_is_read_at_the_nearest_slice_of_a_coarser_level():
    stack = np.arange(8, dtype=np.uint8)[:, None, None] + np.zeros((8, 64, 64), np.uint8)
    source = as_source([stack, stack[::2, ::2, ::2]])
    plane = as_plane(source, 5)
    assert plane == Plane((5, None, None))
    assert (source.read(window(0, 0, 64, 64, plane), (64, 64)) == 5).all()
    assert (source.read(window(0, 0, 64, 64, plane), (32, 32)) == 4).all()
    across = as_plane(source, (None, 7, None))
    np.testing.assert_array_equal(source.read(window(0, 0, 8, 64, across), (8, 64))[:, 0], np.arange(8))


def test_colour_is_the_last_axis_and_alpha_is_dropped():
    source = as_source(np.concatenate([COLOUR, COLOUR[..., :1]], axis=-1))
    assert source.identity.shape == (300, 400)
    assert source.identity.rgb
    np.testing.assert_array_equal(source.read(window(5, 6, 20, 30), (20, 30)), COLOUR[5:25, 6:36])
    stack = as_source(np.stack([COLOUR] * 2))
    np.testing.assert_array_equal(stack.read(window(0, 0, 300, 400, as_plane(stack, 1)), (300, 400)), COLOUR)


def test_what_is_not_finite_does_not_spread_when_it_is_resized():
    image = np.ones((64, 64), np.float32)
    image[10, 10], image[20, 20], image[30, 30] = np.nan, np.inf, -np.inf
    small = as_source(image).read(window(0, 0, 64, 64), (32, 32))
    np.testing.assert_array_equal(small, 1)


def test_a_read_that_fails_is_a_sentence_with_the_place_and_the_reason():
    array = CountingArray((1000, 1000), lambda y, x: y + x)
    array.fails_after = 0
    with pytest.raises(
        ReadError, match=r"the image could not be read at rows 10 to 74, columns 20 to 84: the"
    ):
        as_source(array).read(window(10, 20, 64, 64), (64, 64))


def test_a_read_of_the_wrong_shape_is_a_sentence_too():
    class Short(CountingArray):
        def __getitem__(self, cut):
            return super().__getitem__(cut)[:-1]

    with pytest.raises(ReadError, match=r"expected pixels of shape \(64, 64\), got \(63, 64\)"):
        as_source(Short((1000, 1000), lambda y, x: y + x)).read(window(10, 20, 64, 64), (64, 64))


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ([GREY, GREY], "finest first, each smaller"),
        ([GREY[::2, ::2], GREY], "finest first, each smaller"),
        (np.zeros((4, 0)), "at least one pixel"),
        (np.zeros(4), "rows and columns"),
        (np.zeros((4, 4), complex), "real numbers"),
        *([(np.zeros((4, 4), np.longdouble), "64 bits")] if np.dtype(np.longdouble).itemsize > 8 else []),
    ],
)
def test_what_is_no_image_is_refused(image, message):
    with pytest.raises(ValueError, match=message):
        as_source(image)


@pytest.mark.parametrize(
    ("shape", "plane", "message"),
    [
        ((5, 40, 50), None, r"plane=\(0, None, None\), or pass the plane alone"),
        ((3, 40, 50), None, "move the channel axis last"),
        ((5, 40, 50), 5, "there is no plane"),
        ((5, 40, 50), (1, 2), "there is no plane"),
        ((40, 50), 0, "there is no plane"),
    ],
)
def test_a_plane_must_be_named_and_be_there(shape, plane, message):
    with pytest.raises(ValueError, match=message):
        as_plane(as_source(np.zeros(shape)), plane)


def test_a_list_of_numbers_is_an_array():
    assert as_source([[1, 2, 3, 4, 5]] * 4).identity.shape == (4, 5)


def test_one_changed_pixel_of_a_small_image_is_another_image():
    other = GREY.copy()
    other[350, 351] += 1
    assert as_source(other).identity != as_source(GREY).identity


def test_a_source_stays_as_it_is_and_is_not_read_for_it():
    array = CountingArray((50, 60), lambda y, x: y + x)
    source = as_source(array)
    assert as_source(source) is source
    assert array.reads == 0
