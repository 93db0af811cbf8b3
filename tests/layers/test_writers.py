from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels
from napari_builtins.io import napari_get_reader

from napari_samv1.annotation.pieces import Piece
from napari_samv1.layers.image import displayed_plane
from napari_samv1.layers.recording import plane_source
from napari_samv1.layers.writers import (
    write_labels_coco,
    write_labels_geojson,
    write_labels_ome_zarr,
    write_labels_table,
)
from napari_samv1.records.drawn import drawn_box, drawn_point
from napari_samv1.storage.session.prompt_tables import points_csv, shapes_csv
from napari_samv1.storage.session.record import PlaneRecord, PlaneSource


@pytest.fixture
def labels() -> Labels:
    data = np.zeros((20, 30), dtype=np.uint8)
    data[2:6, 3:13] = 4
    data[3:5, 5:7] = 0
    data[10:12, 20:25] = 9
    return Labels(
        data, name="cells", scale=(2, 0.5), translate=(10, 0), units=("um", "um"), affine=np.diag([1, 2, 1])
    )


def test_the_table_measures_in_the_world(labels, tmp_path):
    [path] = write_labels_table(str(tmp_path / "t.csv"), *labels.as_layer_data_tuple()[:2])
    with Path(path).open(newline="") as file:
        first, second = csv.DictReader(file)
    assert [first[name] for name in ("object", "area_px", "area", "unit")] == ["4", "36", "72", "micrometer"]
    # 2 um down and 0.5 um, doubled by the affine, to the right; from 10 um on
    assert [second[name] for name in ("centroid_row", "centroid_y", "centroid_x")] == ["10.5", "31", "22"]


def test_coco_geojson_and_ome_zarr_are_written(labels, tmp_path):
    data, meta, _ = labels.as_layer_data_tuple()
    [coco] = write_labels_coco(str(tmp_path / "a.json"), data, meta)
    with Path(coco).open() as file:
        content = json.load(file)
    assert content["images"] == [{"id": 1, "file_name": "cells", "height": 20, "width": 30}]
    assert [one["object"] for one in content["annotations"]] == [4, 9]
    [geojson] = write_labels_geojson(str(tmp_path / "a.geojson"), data, meta)
    with Path(geojson).open() as file:
        features = json.load(file)["features"]
    assert [len(one["geometry"]["coordinates"]) for one in features] == [2, 1]  # the hole
    import zarr

    [folder] = write_labels_ome_zarr(str(tmp_path / "a.zarr"), data, meta)
    group = zarr.open_group(folder, mode="r")
    np.testing.assert_array_equal(group["0"][:], data)
    [dataset] = group.attrs["ome"]["multiscales"][0]["datasets"]
    assert dataset["coordinateTransformations"][0] == {"type": "scale", "scale": [2.0, 1.0]}


def test_a_lone_plane_of_a_stack_is_written_and_a_stack_is_refused(tmp_path):
    one = Labels(np.ones((1, 4, 5), dtype=np.uint8), name="one", scale=(7, 2, 3))
    [path] = write_labels_table(str(tmp_path / "t.csv"), *one.as_layer_data_tuple()[:2])
    with Path(path).open(newline="") as file:
        [row] = csv.DictReader(file)
    assert (row["area_px"], row["area"]) == ("20", "120")
    stack = Labels(np.ones((2, 4, 5), dtype=np.uint8), name="two")
    for write in (write_labels_coco, write_labels_geojson, write_labels_table, write_labels_ome_zarr):
        with pytest.raises(ValueError, match=r"“two” is a stack of shape \(2, 4, 5\)"):
            write(str(tmp_path / "no"), *stack.as_layer_data_tuple()[:2])
    assert [entry.name for entry in tmp_path.iterdir()] == ["t.csv"]


def test_napari_opens_the_prompts_as_points_and_shapes(tmp_path):
    first = (drawn_point((1.25, 2.5)), drawn_point((1 / 3, 4), False), drawn_box((1, 2, 10, 20.5)))
    other = (drawn_point((7, 7)), drawn_box((5, 5, 6, 6)))
    plane = PlaneRecord(
        PlaneSource("a", (5, 20, 30), "uint8", index=(3, None, None)),
        (20, 30),
        (Piece(1, drawn=first), Piece(8, drawn=other)),
        (1, 8),
    )
    viewer = ViewerModel()
    for name, text in (("points", points_csv([plane])), ("shapes", shapes_csv([plane]))):
        path = tmp_path / f"{name}.csv"
        path.write_text(text, "utf-8")
        reader = napari_get_reader(str(path))
        assert reader is not None
        [(data, meta, kind)] = reader(str(path))
        assert kind == name
        viewer._add_layer_from_data(data, meta, kind)
    points, shapes = viewer.layers
    np.testing.assert_array_equal(points.data, [(3, 1.25, 2.5), (3, 1 / 3, 4), (3, 7, 7)])
    assert points.features["object"].tolist() == [1, 1, 8]
    assert points.features["polarity"].tolist() == ["positive", "negative", "positive"]
    assert shapes.shape_type == ["rectangle", "rectangle"]
    np.testing.assert_array_equal(shapes.data[0], [(3, 1, 2), (3, 1, 20.5), (3, 10, 20.5), (3, 10, 2)])


def test_a_plane_is_recorded_with_its_place_in_the_image_and_the_world():
    viewer = ViewerModel()
    layer = Image(
        np.zeros((5, 20, 30), dtype=">u2"), name="stack", scale=(4, 2, 0.5), translate=(0, 10, 0), units="um"
    )
    viewer.add_layer(layer)
    viewer.dims.set_point(0, 8)
    source = plane_source(layer, displayed_plane(viewer, layer), "xxh3-128:00")
    assert (source.image_shape, source.index, source.dtype) == ((5, 20, 30), (2, None, None), "uint16")
    assert (source.rgb, source.level, source.pixels) == (False, 0, "xxh3-128:00")
    assert (source.path, source.sample) == ("", "")
    assert source.world.units == ("micrometer", "micrometer")
    np.testing.assert_allclose(source.world.points([(1, 2)]), [(12, 1)])
    assert source.world.pixel_area == pytest.approx(1.0)
    np.testing.assert_array_equal(source.to_image([(1, 2.5)]), [(2, 1, 2.5)])


def test_colours_are_recorded_and_pyramids_at_full_resolution():
    viewer = ViewerModel()
    rgb = Image(np.zeros((10, 12, 3), dtype=np.uint8), name="rgb", rgb=True)
    viewer.add_layer(rgb)
    source = plane_source(rgb, displayed_plane(viewer, rgb))
    assert (source.image_shape, source.rgb, source.index) == ((10, 12), True, (None, None))
    large = np.broadcast_to(np.uint8(0), (8192, 8192))
    pyramid = Image([large, large[::4, ::4]], name="pyramid", multiscale=True, contrast_limits=(0, 1))
    viewer.add_layer(pyramid)
    source = plane_source(pyramid, displayed_plane(viewer, pyramid))
    # whatever level is read, what is annotated counts in full-resolution pixels
    assert (source.image_shape, source.level, source.factors_yx) == ((8192, 8192), 0, (1.0, 1.0))
    np.testing.assert_array_equal(source.to_image([(0, 1)]), [(0, 1)])
    np.testing.assert_allclose(source.world.points([(0, 1)]), [(0, 1)])
