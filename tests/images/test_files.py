"""Image files open as sources, lazily where the format allows."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

from napari_samv1.images.files import open_source
from napari_samv1.images.hashing import hash_pixels
from napari_samv1.images.intensity import to_rgb8
from napari_samv1.images.source import ReadError, as_source
from napari_samv1.records.place import Plane, Region

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 60_000, (300, 400), dtype=np.uint16)
STACK = RNG.integers(0, 60_000, (5, 300, 400), dtype=np.uint16)
COLOUR = RNG.integers(0, 255, (300, 400, 3), dtype=np.uint8)


def whole(source, plane=None):
    return source.read(Region(plane or Plane(), (0, 0, 300, 400)), (300, 400))


@pytest.mark.parametrize(
    "options", [{}, {"tile": (64, 64), "compression": "zlib"}, {"imagej": True}, {"bigtiff": True}]
)
def test_a_grey_tiff_is_read_by_pieces(options, tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", GREY, **options)
    source = open_source(tmp_path / "a.tif")
    assert not source.in_memory
    assert (source.identity.shape, source.identity.name) == ((300, 400), "a.tif")
    np.testing.assert_array_equal(whole(source), GREY)


@pytest.mark.parametrize(
    "options", [{}, {"ome": True}, {"imagej": True}, {"tile": (64, 64), "compression": "zlib"}]
)
def test_pages_of_a_tiff_are_planes(options, tmp_path):
    metadata = {"axes": "ZYX"}
    tifffile.imwrite(tmp_path / "a.ome.tif", STACK, metadata=metadata, **options)
    source = open_source(tmp_path / "a.ome.tif")
    assert source.identity.shape == (5, 300, 400)
    np.testing.assert_array_equal(whole(source, Plane((3, None, None))), STACK[3])


def test_levels_of_a_pyramidal_tiff_are_levels(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.ome.tif") as tiff:
        tiff.write(GREY, subifds=1, tile=(64, 64), metadata={"axes": "YX"})
        tiff.write(GREY[::2, ::2], subfiletype=1, tile=(64, 64))
    source = open_source(tmp_path / "a.ome.tif")
    assert source.identity.levels == ((150, 200),)
    half = source.read(Region(Plane(), (0, 0, 300, 400)), (150, 200))
    np.testing.assert_array_equal(half, GREY[::2, ::2])


@pytest.mark.parametrize("planar", [False, True])
def test_a_colour_tiff_has_colour_last(planar, tmp_path):
    image = np.moveaxis(COLOUR, -1, 0) if planar else COLOUR
    config = "separate" if planar else "contig"
    tifffile.imwrite(tmp_path / "a.tif", image, photometric="rgb", planarconfig=config)
    np.testing.assert_array_equal(whole(open_source(tmp_path / "a.tif")), COLOUR)


def test_png_jpeg_and_npy_open(tmp_path):
    Image.fromarray(COLOUR).save(tmp_path / "a.png")
    Image.fromarray(GREY).save(tmp_path / "b.png")
    Image.fromarray(COLOUR).convert("P").save(tmp_path / "c.png")
    Image.fromarray(COLOUR[..., 0]).save(tmp_path / "d.jpg")
    np.save(tmp_path / "e.npy", GREY)
    np.testing.assert_array_equal(whole(open_source(tmp_path / "a.png")), COLOUR)
    np.testing.assert_array_equal(whole(open_source(tmp_path / "b.png")), GREY)
    assert whole(open_source(tmp_path / "c.png")).shape == (300, 400, 3)
    assert whole(open_source(tmp_path / "d.jpg")).shape == (300, 400)
    mapped = open_source(tmp_path / "e.npy")
    assert not mapped.in_memory
    np.testing.assert_array_equal(whole(mapped), GREY)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_an_ome_zarr_opens_with_its_levels(version, tmp_path):
    multiscales = [
        {
            "axes": [{"name": name} for name in "zyx"],
            "datasets": [{"path": path} for path in ("s0", "s1")],
            "version": version,
        }
    ]
    attributes = {"multiscales": multiscales} if version == "0.4" else {"ome": {"multiscales": multiscales}}
    zarr_format = 2 if version == "0.4" else 3
    group = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=zarr_format, attributes=attributes)
    group.create_array("s0", data=STACK, chunks=(1, 64, 64))
    group.create_array("s1", data=STACK[:, ::2, ::2], chunks=(1, 64, 64))
    source = open_source(tmp_path / "a.zarr")
    assert source.identity.levels == ((5, 150, 200),)
    np.testing.assert_array_equal(whole(source, Plane((4, None, None))), STACK[4])


@pytest.mark.parametrize(
    ("content", "message"), [(None, "there is no file"), (b"nonsense", "not an image of a supported format")]
)
def test_what_is_no_image_file_is_a_sentence(content, message, tmp_path):
    if content is not None:
        (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(ReadError, match=message):
        open_source(tmp_path / "a.png")


def test_a_damaged_file_is_a_sentence_too(tmp_path):
    (tmp_path / "a.tif").write_bytes(b"II*\0nonsense")
    with pytest.raises(ReadError, match=r"a.tif could not be opened as an image"):
        open_source(tmp_path / "a.tif")
    (tmp_path / "b.zarr").mkdir()
    with pytest.raises(ReadError, match=r"b\.zarr"):
        open_source(tmp_path / "b.zarr")


def test_a_picture_of_one_bit_is_black_and_white_whatever_its_bytes_are(tmp_path):
    truth = RNG.random((30, 40)) > 0.5
    Image.fromarray(truth).save(tmp_path / "a.png")
    read = np.asarray(Image.open(tmp_path / "a.png"))
    # Pillow's true is 255, which is no bool that numpy makes
    assert read.dtype == bool
    assert read.view(np.uint8).max() == 255
    for intensity in (None, "minmax", "dtype", (0.0, 1.0)):
        np.testing.assert_array_equal(to_rgb8(read, intensity)[..., 0], 255 * truth)
    assert hash_pixels(read) == hash_pixels(truth)
    assert as_source(read).identity == as_source(truth).identity
    source = open_source(tmp_path / "a.png")
    pixels = source.read(Region(Plane(), (0, 0, 30, 40)), (30, 40))
    np.testing.assert_array_equal(to_rgb8(pixels)[..., 0], 255 * truth)
    # strided, as a plane of a stack is
    np.testing.assert_array_equal(to_rgb8(read[::2, ::3])[..., 0], 255 * truth[::2, ::3])
    assert hash_pixels(read[::2, ::3]) == hash_pixels(truth[::2, ::3])
