"""The table's shapes and intensities, on squares that can be measured by hand."""

from __future__ import annotations

import csv
import io
import math

import numpy as np
import pytest

from napari_samv1.annotation.pieces import Piece
from napari_samv1.records.mask_crop import MaskCrop
from napari_samv1.storage.exports.object_table import objects_csv
from napari_samv1.storage.session.record import ImageRecord, PlaneRecord, PlaneSource, SessionRecord, World

SHAPE = (60, 80)
SQUARE = MaskCrop((10, 20), np.ones((9, 9), dtype=bool))
TWO_MICROMETRES = World(((2, 0, 100), (0, 2, 0)), ("micrometer", "micrometer"))


def one_square(world: World) -> SessionRecord:
    plane = PlaneRecord(
        PlaneSource("cells", SHAPE, "uint8", world=world),
        SHAPE,
        (Piece(1, painted_in=SQUARE, mask=SQUARE),),
        (1,),
    )
    return SessionRecord((ImageRecord((), (plane,)),))


def row_of(text: str) -> dict[str, str]:
    [row] = csv.DictReader(io.StringIO(text))
    return row


def test_shapes_are_measured_in_the_world():
    row = row_of(objects_csv(one_square(TWO_MICROMETRES)))
    expected = {
        "area_px": 81,
        "area": 81 * 4,
        "perimeter": 4 * 8 * 2,  # through the centres of the outermost pixels
        "eccentricity": 0,
        "solidity": 1,
        "axis_major_length": 2 * 4 * math.sqrt((81 - 1) / 12),  # of the ellipse with the same moments
        "equivalent_diameter_area": math.sqrt(4 * 81 * 4 / math.pi),
    }
    assert {name: float(row[name]) for name in expected} == pytest.approx(expected, rel=1e-6)
    assert "intensity_mean" not in row


def test_where_pixels_are_no_squares_the_perimeter_is_left_out_and_lengths_follow_the_axes():
    flat = World(((3, 0, 0), (0, 1, 0)), ("micrometer", "micrometer"))
    row = row_of(objects_csv(one_square(flat)))
    assert row["perimeter"] == ""
    assert float(row["axis_major_length"]) == pytest.approx(3 * float(row["axis_minor_length"]))
    assert float(row["orientation"]) == pytest.approx(0)  # along the rows' axis


@pytest.mark.parametrize("names", [["dapi"], ["dapi", "gfp"]])
def test_intensities_of_every_channel_are_measured_under_the_mask(names):
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    pixels = {"dapi": (rows * 1000).astype(np.uint16), "gfp": columns.astype(np.float32)}
    row = row_of(objects_csv(one_square(World()), lambda _plane: [(name, pixels[name]) for name in names]))
    end = "-dapi" if len(names) > 1 else ""
    # rows 10 to 18, nine pixels in each
    assert float(row[f"intensity_mean{end}"]) == 14_000
    assert float(row[f"intensity_sum{end}"]) == 9 * 1000 * sum(range(10, 19))
    assert (float(row[f"intensity_min{end}"]), float(row[f"intensity_max{end}"])) == (10_000, 18_000)
    if len(names) > 1:
        assert float(row["intensity_mean-gfp"]) == 24
