"""Label images as TIFF, read back by tifffile."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from napari_samv1.annotation.pieces import Piece
from napari_samv1.records.mask_crop import MaskCrop
from napari_samv1.storage.exports.label_tiff import export_label_tiff
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
