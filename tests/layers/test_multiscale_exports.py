"""What is annotated on a large multiscale image is saved and exported in full-resolution pixels."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel

from napari_samv1.annotation import edits
from napari_samv1.annotation.pieces import BrushStroke
from napari_samv1.layers.binding import AnnotationBinding
from napari_samv1.layers.channels import channel_planes, channels_of
from napari_samv1.layers.recording import Recorder
from napari_samv1.records.mask_crop import MaskCrop
from napari_samv1.storage.session.folder import open_session, save_session
from napari_samv1.widgets.panel.session_exports import EXPORTS

SIDE = 6144
REGION = slice(4300, 5300), slice(4310, 5290)


@pytest.fixture
def viewer():
    return ViewerModel()


@pytest.fixture
def record(viewer):
    """A painted square, a point in it, and a box, on an image that is too large for an array."""
    finest = np.broadcast_to(np.arange(SIDE, dtype=np.uint16), (SIDE, SIDE))
    image = viewer.add_image([finest, finest[::4, ::4]], multiscale=True, contrast_limits=(0, SIDE))
    binding = AnnotationBinding(viewer)
    binding.image = image
    assert binding.screen.plane().shape_yx == (SIDE, SIDE)
    binding.new_points().add((4800.25, 4700.5))
    binding.new_shapes().add_rectangles([[4300.5, 4310], [5299.25, 5289]])
    binding.sync()
    mask = np.ones((1000, 980), dtype=bool)
    stroke = BrushStroke(binding.screen.plane().plane, 1, MaskCrop(tuple(one.start for one in REGION), mask))
    assert binding.edits.do(edits.paint(binding.document, [stroke])) == ""
    yield Recorder().record(binding, viewer.layers, {})
    binding.close()


def written(tmp_path, record, ending, channels=lambda _plane: ()):
    [export] = [one for one in EXPORTS if ending in one.endings]
    [file] = export.write(tmp_path / f"objects{ending}", record, channels)
    return file


def rows_of(file):
    return list(csv.DictReader(file.read_text("utf-8").splitlines()))


def test_the_session_comes_back_in_full_resolution_pixels(record, tmp_path):
    [plane] = open_session(save_session(tmp_path / "session", record)).planes
    [piece] = plane.pieces
    assert plane.shape_yx == (SIDE, SIDE)
    assert piece.mask.region == REGION
    assert piece.mask.mask.all()
    np.testing.assert_array_equal(piece.prompts.points_yx, [(4800.25, 4700.5)])
    np.testing.assert_allclose(piece.prompts.boxes_yx, [(4300.5, 4310, 5299.25, 5289)], atol=1e-3)
    [point] = rows_of(tmp_path / "session" / "points.csv")
    assert (float(point["axis-0"]), float(point["axis-1"])) == (4800.25, 4700.5)


def test_a_label_tiff_has_all_pixels(record, tmp_path):
    labels = tifffile.imread(written(tmp_path, record, ".tif"))
    assert labels.shape == (SIDE, SIDE)
    assert (labels[REGION] == 1).all()
    assert np.count_nonzero(labels) == 1000 * 980


def test_an_ome_zarr_has_all_pixels(record, tmp_path):
    import zarr

    group = zarr.open_group(written(tmp_path, record, ".zarr"), mode="r")
    [multiscale] = group.attrs["ome"]["multiscales"]
    labels = group[multiscale["datasets"][0]["path"]]
    assert labels.shape == (SIDE, SIDE)
    assert (labels[REGION] == 1).all()
    assert (labels[4299, :] == 0).all()
    assert (labels[:, 5290] == 0).all()


def test_a_table_measures_in_full_resolution_pixels(record, tmp_path, viewer):
    [plane] = record.planes
    channels = channels_of(channel_planes(viewer.layers, plane.source))
    [row] = rows_of(written(tmp_path, record, ".csv", lambda _plane: channels))
    assert int(row["area_px"]) == 1000 * 980
    # the mean of 4310 to 5289
    assert float(row["intensity_mean"]) == pytest.approx(4799.5)
    assert float(row["intensity_max"]) == 5289


def test_coco_is_in_full_resolution_pixels(record, tmp_path):
    content = json.loads(written(tmp_path, record, ".json").read_text())
    [image], [annotation] = content["images"], content["annotations"]
    assert (image["height"], image["width"]) == (SIDE, SIDE)
    assert annotation["bbox"] == [4310, 4300, 980, 1000]
    assert annotation["area"] == 1000 * 980


def test_geojson_is_in_full_resolution_pixels(record, tmp_path):
    content = json.loads(written(tmp_path, record, ".geojson").read_text())
    [feature] = content["features"]
    ring = np.array(feature["geometry"]["coordinates"][0])
    np.testing.assert_array_equal(ring.min(axis=0), (4310, 4300))
    np.testing.assert_array_equal(ring.max(axis=0), (5290, 5300))
