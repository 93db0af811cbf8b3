"""Files that are opened with their channels, scale and units."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel

from napari_samv1.layers.image import displayed_plane
from napari_samv1.layers.ome_tiff import open_file, path_of
from napari_samv1.layers.recording import plane_source

PIXELS = np.random.default_rng(0).integers(0, 60_000, (3, 2, 20, 30), dtype=np.uint16)  # Z C Y X
METADATA = {
    "axes": "ZCYX",
    "PhysicalSizeX": 0.25,
    "PhysicalSizeXUnit": "µm",
    "PhysicalSizeY": 0.5,
    "PhysicalSizeYUnit": "µm",
    "PhysicalSizeZ": 2.0,
    "PhysicalSizeZUnit": "µm",
    "Channel": {"Name": ["DAPI", "GFP"], "Color": [65535, 16711935]},  # blue, green
}


@pytest.fixture
def viewer() -> ViewerModel:
    return ViewerModel()


def written(path, pixels=PIXELS, metadata=METADATA, **options):
    tifffile.imwrite(path, pixels, ome=True, photometric="minisblack", metadata=metadata, **options)
    return path


# lzw needs imagecodecs, which the extra "all" brings
@pytest.mark.parametrize("compression", [None, "zlib", "lzw"])
def test_an_ome_tiff_s_channels_are_layers_in_its_units(viewer, tmp_path, compression):
    path = written(tmp_path / "cells.ome.tif", compression=compression)
    layers = open_file(viewer, path)
    assert list(viewer.layers) == layers
    assert [layer.name for layer in layers] == ["cells DAPI", "cells GFP"]
    for number, layer in enumerate(layers):
        np.testing.assert_array_equal(layer.data, PIXELS[:, number])
        assert tuple(layer.scale) == (2.0, 0.5, 0.25)
        assert [str(unit) for unit in layer.units] == ["micrometer"] * 3
        assert tuple(layer.axis_labels) == ("z", "y", "x")
        assert path_of(layer) == str(path)
    colours = [np.asarray(layer.colormap.map([1.0])).ravel()[:3].tolist() for layer in layers]
    assert colours == [[0, 0, 1], [0, 1, 0]]


def test_the_record_of_a_plane_says_which_file_it_came_from(viewer, tmp_path):
    layer = open_file(viewer, written(tmp_path / "cells.ome.tif"))[0]
    source = plane_source(layer, displayed_plane(viewer, layer))
    assert (source.path, source.name) == (str(tmp_path / "cells.ome.tif"), "cells DAPI")
    assert source.world.units == ("micrometer", "micrometer")
    assert source.world.pixel_size_yx == (0.5, 0.25)


def test_one_channel_and_rgb_are_one_layer(viewer, tmp_path):
    plain = written(tmp_path / "a.ome.tif", PIXELS[:, 0], {"axes": "ZYX", "PhysicalSizeX": 0.25})
    [layer] = open_file(viewer, plain)
    assert (layer.name, tuple(layer.scale)) == ("a", (1, 1, 0.25))
    assert [str(unit) for unit in layer.units] == ["pixel", "pixel", "micrometer"]
    colours = np.zeros((8, 9, 3), np.uint8)
    tifffile.imwrite(tmp_path / "b.ome.tif", colours, photometric="rgb", metadata={"axes": "YXS"})
    [layer] = open_file(viewer, tmp_path / "b.ome.tif")
    assert layer.rgb
    assert layer.data.shape == (8, 9, 3)


def test_a_time_series_has_its_interval(viewer, tmp_path):
    metadata = {"axes": "TYX", "TimeIncrement": 30.0, "TimeIncrementUnit": "s"}
    [layer] = open_file(viewer, written(tmp_path / "t.ome.tif", PIXELS[:, 0], metadata))
    assert (layer.scale[0], str(layer.units[0])) == (30, "second")


def test_a_pyramid_is_a_multiscale_layer(viewer, tmp_path):
    path = tmp_path / "p.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as tiff:
        tiff.write(PIXELS[0, 0], subifds=1, metadata={"axes": "YX"})
        tiff.write(PIXELS[0, 0, ::2, ::2], subfiletype=1)
    [layer] = open_file(viewer, path)
    assert layer.multiscale
    assert [level.shape for level in layer.data] == [(20, 30), (10, 15)]


@pytest.mark.parametrize("damage", ["plain", "truncated", "size"])
def test_what_is_no_good_ome_tiff_is_left_to_napari_s_reader(viewer, tmp_path, damage, monkeypatch):
    path = tmp_path / "x.ome.tif"
    if damage == "plain":
        tifffile.imwrite(path, PIXELS[0, 0], ome=False)
    elif damage == "truncated":
        path.write_bytes(written(path).read_bytes()[:2000])
    else:
        written(path, metadata={"axes": "ZCYX", "PhysicalSizeX": -1.0})
    asked = []
    monkeypatch.setattr(ViewerModel, "open", lambda self, paths, plugin: asked.extend(paths) or [])
    layers = open_file(viewer, path)
    if damage == "size":
        assert [tuple(layer.scale) for layer in layers] == [(1, 1, 1)] * 2
    else:
        assert asked == [str(path)]
