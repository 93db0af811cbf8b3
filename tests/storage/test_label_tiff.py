"""Label images as TIFF, read back by tifffile."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from napari_samv1.annotation.pieces import Piece
from napari_samv1.records.mask_crop import MaskCrop
from napari_samv1.storage.exports import label_tiff
from napari_samv1.storage.exports.label_tiff import export_label_tiff
from napari_samv1.storage.session.composite import PlaneLabels
from napari_samv1.storage.session.record import PlaneRecord, PlaneSource

SHAPE = (60, 80)
SQUARE = MaskCrop((10, 20), np.ones((9, 9), dtype=bool))


def plane(number: int, image_shape=SHAPE, index=(None, None)) -> PlaneRecord:
    pieces = (Piece(number, painted_in=SQUARE, mask=SQUARE),)
    return PlaneRecord(PlaneSource("cells", image_shape, "uint8", index=index), SHAPE, pieces, (number,))


def test_a_stack_s_labels_are_one_tiff_in_the_image_s_shape(tmp_path):
    planes = [plane(number, (5, *SHAPE), (at, None, None)) for number, at in ((1, 1), (300, 3))]
    written = tifffile.imread(export_label_tiff(tmp_path / "stack.tif", planes))
    expected = np.zeros((5, *SHAPE), np.uint16)
    expected[1, 10:19, 20:29], expected[3, 10:19, 20:29] = 1, 300
    np.testing.assert_array_equal(written, expected)
    assert written.dtype == np.uint16


def test_a_plain_image_s_labels_are_one_plane_and_large_numbers_stay(tmp_path):
    written = tifffile.imread(export_label_tiff(tmp_path / "one.tif", [plane(70_000)]))
    expected = np.zeros(SHAPE, np.uint32)
    expected[10:19, 20:29] = 70_000
    np.testing.assert_array_equal(written, expected)


def test_planes_across_different_axes_are_refused(tmp_path):
    across = [plane(1, (60, 60, 80), index) for index in ((0, None, None), (None, 0, None))]
    with pytest.raises(ValueError, match="across different axes"):
        export_label_tiff(tmp_path / "no.tif", across)
    assert not list(tmp_path.iterdir())


def test_a_large_plane_is_written_in_tiles_of_which_empty_ones_take_no_time(tmp_path, monkeypatch):
    read = []
    real = PlaneLabels.read
    monkeypatch.setattr(PlaneLabels, "read", lambda self, region: read.append(region) or real(self, region))
    far = MaskCrop((9_000, 8_190), np.ones((10, 4), dtype=bool))
    piece = Piece(70_000, painted_in=far, mask=far)
    record = PlaneRecord(PlaneSource("slide", (9_100, 9_000), "uint8"), (9_100, 9_000), (piece,), (70_000,))
    path = export_label_tiff(tmp_path / "slide.tif", [record])
    # the object lies on a border between two tiles
    assert len(read) == 2
    with tifffile.TiffFile(path) as file:
        assert file.pages[0].is_tiled
        written = file.asarray()
    assert written.dtype == np.uint32
    assert written.shape == (9_100, 9_000)
    assert (written[9_000:9_010, 8_190:8_194] == 70_000).all()
    assert np.count_nonzero(written) == 40


def test_a_stack_of_large_planes_has_empty_slices_between(tmp_path, monkeypatch):
    monkeypatch.setattr(label_tiff, "TILED_FROM", 100)
    monkeypatch.setattr(label_tiff, "TILE", 16)
    planes = [plane(number, (5, *SHAPE), (at, None, None)) for number, at in ((1, 1), (300, 3))]
    written = tifffile.imread(export_label_tiff(tmp_path / "stack.tif", planes))
    expected = np.zeros((5, *SHAPE), np.uint16)
    expected[1, 10:19, 20:29], expected[3, 10:19, 20:29] = 1, 300
    np.testing.assert_array_equal(written, expected)


def test_a_plane_that_no_reader_could_hold_is_refused_and_ome_zarr_named(tmp_path):
    side = 200_000
    record = PlaneRecord(PlaneSource("slide", (side, side), "uint8"), (side, side), ())
    with pytest.raises(ValueError, match=r"200000 x 200000.*OME-Zarr"):
        export_label_tiff(tmp_path / "no.tif", [record])
    assert not list(tmp_path.iterdir())
