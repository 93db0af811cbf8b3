from __future__ import annotations

import csv
import io
import json
import math
import sys
from dataclasses import replace

import numpy as np
import pytest
import shapely
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from pycocotools.coco import COCO
from shapely.geometry import shape

from napari_samv1.annotation.pieces import Object, Piece
from napari_samv1.masks.covered import Covered, beneath_objects
from napari_samv1.records.mask_crop import MaskCrop
from napari_samv1.storage.errors import SessionError
from napari_samv1.storage.exports.coco import CocoImage, export_coco, write_coco
from napari_samv1.storage.exports.geojson import export_geojson, export_plane_geojson, write_geojson
from napari_samv1.storage.exports.label_tiff import export_label_tiff
from napari_samv1.storage.exports.object_table import export_table, objects_csv
from napari_samv1.storage.exports.ome_zarr import export_ome_zarr, write_ome_zarr
from napari_samv1.storage.exports.outlines import polygons
from napari_samv1.storage.session.composite import label_image, label_objects, shown_objects
from napari_samv1.storage.session.folder import save_session
from napari_samv1.storage.session.label_tiff import tiff_bytes
from napari_samv1.storage.session.record import ImageRecord, PlaneRecord, PlaneSource, SessionRecord, World

from .conftest import SHAPE, crop, one_object, session_of, small_plane, source

masks = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=9))
numpy_2 = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def rasterised(geometry: shapely.Geometry, size_hw: tuple[int, int]) -> np.ndarray:
    """Which pixels' centres lie in a geometry whose pixel i covers i to i + 1."""
    rows, columns = np.mgrid[: size_hw[0], : size_hw[1]]
    return shapely.contains_xy(geometry, columns + 0.5, rows + 0.5)


# COCO


@numpy_2
def test_pycocotools_reads_back_what_the_label_image_shows(rich_record, tmp_path):
    path = export_coco(tmp_path / "coco.json", rich_record)
    [plane] = rich_record.planes
    labels = label_image(plane)
    coco = COCO(str(path))
    assert coco.loadImgs(1) == [{"id": 1, "file_name": "zellen µ.tif", "height": SHAPE[0], "width": SHAPE[1]}]
    annotations = coco.loadAnns(coco.getAnnIds())
    assert {one["object"] for one in annotations} == {known.id for known, _ in shown_objects(plane)}
    for one in annotations:
        mask = coco.annToMask(one).astype(bool)
        np.testing.assert_array_equal(mask, labels == one["object"])
        assert one["area"] == mask.sum()
        rows, columns = np.nonzero(mask)
        assert one["bbox"] == [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]
    scores = {one["object"]: one.get("score") for one in annotations}
    assert scores[1] == 1 / 3
    assert scores[12] is None


@numpy_2
def test_objects_of_several_planes_belong_to_their_images(tmp_path):
    plane = small_plane(one_object(1, crop(slice(0, 3), slice(0, 3))))
    path = export_coco(tmp_path / "c.json", session_of(plane, replace(plane, source=source(name="b"))))
    coco = COCO(str(path))
    assert [one["file_name"] for one in coco.loadImgs([1, 2])] == ["cells", "b"]
    assert [len(coco.getAnnIds(imgIds=[image])) for image in (1, 2)] == [1, 1]


def test_a_windows_path_is_named_by_its_last_part(tmp_path):
    plane = small_plane(source=source(path="C:\\data\\a.tif"))
    path = export_coco(tmp_path / "c.json", session_of(plane))
    assert json.loads(path.read_text("utf-8"))["images"][0]["file_name"] == "a.tif"


def test_an_empty_export_is_valid(tmp_path):
    path = write_coco(tmp_path / "c.json", [CocoImage("a", (3, 4), [])])
    assert json.loads(path.read_text("utf-8"))["annotations"] == []


# Polygons


def test_a_pixel_is_a_square_between_its_corners():
    [polygon] = polygons(MaskCrop((2, 5), np.ones((1, 1), dtype=bool)))
    assert set(polygon.outer) == {(5, 2), (6, 2), (6, 3), (5, 3)}
    assert polygon.outer[0] == polygon.outer[-1]
    assert polygon.holes == ()


def test_only_corners_are_kept():
    [polygon] = polygons(MaskCrop((0, 0), np.ones((30, 40), dtype=bool)))
    assert len(polygon.outer) == 5


def test_pieces_that_touch_at_a_corner_are_two():
    assert len(polygons(MaskCrop((0, 0), np.eye(3, dtype=bool)))) == 3


def test_holes_that_touch_at_a_corner_are_two_of_one_piece():
    mask = np.ones((4, 4), dtype=bool)
    mask[1, 1] = mask[2, 2] = False
    [polygon] = polygons(MaskCrop((0, 0), mask))
    assert len(polygon.holes) == 2


@given(masks, st.integers(0, 3), st.integers(0, 3))
@settings(deadline=None, max_examples=300)
def test_polygons_are_valid_and_cover_exactly_the_mask(mask, top, left):
    crop = MaskCrop.from_mask(mask, (top, left))
    size = mask.shape[0] + top, mask.shape[1] + left
    geometries = [shapely.Polygon(one.outer, one.holes) for one in polygons(crop)]
    assert all(one.is_valid for one in geometries)
    # anticlockwise by the numbers, holes the other way: RFC 7946
    assert all(shapely.is_ccw(one.exterior) for one in geometries)
    assert not any(shapely.is_ccw(hole) for one in geometries for hole in one.interiors)
    joint = shapely.MultiPolygon(geometries)
    assert joint.is_valid
    assert joint.area == crop.area
    np.testing.assert_array_equal(rasterised(joint, size), crop.to_mask(size))


def test_geojson_features_are_the_shown_objects_as_qupath_expects_them(rich_record, tmp_path):
    path = export_geojson(tmp_path / "objects.geojson", rich_record)
    content = json.loads(path.read_text("utf-8"))
    assert content["type"] == "FeatureCollection"
    [plane] = rich_record.planes
    labels = label_image(plane)
    shown = shown_objects(plane)
    assert [one["properties"]["name"] for one in content["features"]] == [
        f"Object {one.id}" for one, _ in shown
    ]
    for feature, (known, _) in zip(content["features"], shown, strict=True):
        assert feature["type"] == "Feature"
        assert feature["properties"]["objectType"] == "annotation"
        geometry = shape(feature["geometry"])
        assert geometry.is_valid
        np.testing.assert_array_equal(rasterised(geometry, SHAPE), labels == known.id)
    kinds = {one["geometry"]["type"] for one in content["features"]}
    assert kinds == {"Polygon", "MultiPolygon"}
    assert content["features"][0]["properties"]["measurements"]["Predicted IoU"] == 1 / 3


def test_geojson_of_several_planes_is_refused(tmp_path):
    with pytest.raises(SessionError, match="this session has 2"):
        export_geojson(tmp_path / "x.geojson", session_of(small_plane(), small_plane()))
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_export_leaves_the_old_file(tmp_path):
    path = write_geojson(tmp_path / "a.geojson", [(1, crop(slice(0, 2), slice(0, 2)), {})])
    before = path.read_bytes()
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_geojson(path, [(1, crop(slice(0, 2), slice(0, 2)), {"x": float("nan")})])
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


# Label images


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([[0, 1], [1, 2]], {1: [[0, 1], [1, 0]], 2: [[0, 0], [0, 1]]}),
        ([[2**40, 0], [0, 0]], {2**40: [[1, 0], [0, 0]]}),
        ([[-5, 3], [0, 0]], {3: [[0, 1], [0, 0]]}),
        ([[0, 0], [0, 0]], {}),
    ],
)
def test_labels_become_objects(labels, expected):
    found = {
        value: crop.to_mask((2, 2)).astype(int).tolist() for value, crop in label_objects(np.array(labels))
    }
    assert found == expected


@pytest.mark.parametrize(
    ("values", "dtype"),
    [((0, 255), "uint16"), ((0, 65536), "uint32"), ((0, 2**33), "uint64"), ((-1, 5), "int64")],
)
def test_the_label_image_is_as_narrow_as_its_labels_allow(values, dtype, tmp_path):
    beneath = np.zeros(SHAPE, dtype=np.int64)
    beneath[0, :2] = values
    labels = label_image(small_plane(beneath=beneath))
    assert labels.dtype == dtype
    assert labels[0, :2].tolist() == list(values)
    (tmp_path / "l.tif").write_bytes(tiff_bytes(labels))
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "l.tif"), labels)


def test_a_label_tiff_is_compressed():
    assert len(tiff_bytes(np.ones((1000, 1000), dtype=np.uint16))) < 20_000


def test_labels_beneath_are_those_that_are_no_objects(rich_record):
    [plane] = rich_record.planes
    covered = Covered().updated((slice(0, 60), slice(0, 80)), plane.beneath, np.ones(SHAPE, dtype=bool))
    painted = [(known.id, known.mask) for known in plane.pieces]
    found = beneath_objects(label_image(plane), painted, covered)
    # object 7's own label is the same as one beneath: what it covers is its own
    np.testing.assert_array_equal(found, plane.beneath)
    assert found is not None
    assert not found.flags.writeable
    only_objects = replace(plane, beneath=None)
    assert beneath_objects(label_image(only_objects), painted, Covered()) is None


def test_ome_zarr_is_a_label_image_with_its_scale(tmp_path):
    import zarr

    world = World(((0.5, 0, 3), (0, 0.25, -1)), ("micrometer", "micrometer"))
    plane = small_plane(one_object(300, crop(slice(5, 20), slice(5, 20))), source=source(world=world))
    path = export_ome_zarr(tmp_path / "labels.ome.zarr", plane)
    group = zarr.open_group(path, mode="r")
    assert group.metadata.zarr_format == 3
    ome = group.attrs["ome"]
    assert ome["version"] == "0.5"
    assert "image-label" in ome
    [multiscale] = ome["multiscales"]
    assert multiscale["axes"] == [
        {"name": "y", "type": "space", "unit": "micrometer"},
        {"name": "x", "type": "space", "unit": "micrometer"},
    ]
    [dataset] = multiscale["datasets"]
    assert dataset["coordinateTransformations"] == [
        {"type": "scale", "scale": [0.5, 0.25]},
        {"type": "translation", "translation": [3.0, -1.0]},
    ]
    array = group[dataset["path"]]
    assert array.metadata.dimension_names == ("y", "x")
    np.testing.assert_array_equal(array[:], label_image(plane))
    with pytest.raises(SessionError, match="exists already"):
        export_ome_zarr(path, plane)
    assert [entry.name for entry in tmp_path.iterdir()] == ["labels.ome.zarr"]


def slide_plane():
    """Two objects 99,000 pixels apart on a slide, one of a single pixel."""
    near = MaskCrop((1500, 30), np.ones((200, 60), dtype=bool))
    far = MaskCrop((99_001, 98_765), np.ones((1, 1), dtype=bool))
    pieces = [Piece(1, painted_in=near, mask=near), Piece(70_000, painted_in=far, mask=far)]
    side = 100_000
    return PlaneRecord(PlaneSource("slide", (side, side), "uint8"), (side, side), tuple(pieces), (1, 70_000))


def test_ome_zarr_of_a_slide_is_written_where_objects_are_with_all_levels(tmp_path):
    import zarr

    path = export_ome_zarr(tmp_path / "slide.zarr", slide_plane())
    group = zarr.open_group(path, mode="r")
    [multiscale] = group.attrs["ome"]["multiscales"]
    levels = [group[dataset["path"]] for dataset in multiscale["datasets"]]
    assert [level.shape[0] for level in levels] == [100_000, 50_000, 25_000, 12_500, 6_250, 3_125, 1_563, 782]
    assert levels[0].dtype == np.uint32
    assert levels[0].nchunks_initialized == 2
    assert (levels[0][1500:1700, 30:90] == 1).all()
    assert not levels[0][1500:1700, 90:100].any()
    for level, array in enumerate(levels):
        factor = 2**level
        y, x = 99_001 // factor, 98_765 // factor
        assert array[y, x] == 70_000
        assert np.count_nonzero(array[y - 1 : y + 2, x - 1 : x + 2]) == 1
        assert (array[1500 // factor : -(-1700 // factor), 30 // factor : 90 // factor] == 1).all()
    third = multiscale["datasets"][2]["coordinateTransformations"]
    assert third == [
        {"type": "scale", "scale": [4.0, 4.0]},
        {"type": "translation", "translation": [1.5, 1.5]},
    ]


def test_coco_geojson_and_table_of_a_slide_need_no_full_size_array(tmp_path):
    plane = slide_plane()
    record = SessionRecord((ImageRecord((Object(1), Object(70_000)), (plane,)),))
    content = json.loads(export_coco(tmp_path / "s.json", record).read_text())
    assert [one["bbox"] for one in content["annotations"]] == [[30, 1500, 60, 200], [98_765, 99_001, 1, 1]]
    assert content["annotations"][1]["area"] == 1
    features = json.loads(export_plane_geojson(tmp_path / "s.geojson", plane).read_text())["features"]
    assert features[1]["geometry"]["coordinates"][0][0] in ([98_765, 99_001], [98_766, 99_001])
    rows = list(csv.DictReader(io.StringIO(objects_csv(record))))
    assert [(row["object"], row["area_px"]) for row in rows] == [("1", "12000"), ("70000", "1")]


def test_without_zarr_the_remedy_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(SessionError, match=r"pip install 'napari-samv1\[zarr\]'"):
        write_ome_zarr(tmp_path / "x", np.zeros((2, 2), np.uint16), World())


def test_the_table_is_written(rich_record, tmp_path):
    path = export_table(tmp_path / "objects.csv", rich_record)
    header, *rows = path.read_text("utf-8").splitlines()
    assert header.startswith("image,plane,object,area_px,area,")
    assert len(rows) == len(shown_objects(rich_record.planes[0]))
    assert rows[0].startswith("zellen µ.tif,4 - -,1,")


SQUARE = crop(slice(10, 19), slice(20, 29))  # 9 x 9 pixels
TWO_MICROMETRES = World(((2, 0, 100), (0, 2, 0)), ("micrometer", "micrometer"))


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def one_square(world: World) -> SessionRecord:
    plane = small_plane(one_object(1, SQUARE))
    return session_of(replace(plane, source=replace(plane.source, world=world)))


def test_shapes_are_measured_in_the_world():
    [row] = rows_of(objects_csv(one_square(TWO_MICROMETRES)))
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
    [row] = rows_of(objects_csv(one_square(flat)))
    assert row["perimeter"] == ""
    assert float(row["axis_major_length"]) == pytest.approx(3 * float(row["axis_minor_length"]))
    assert float(row["orientation"]) == pytest.approx(0)  # along the rows' axis


@pytest.mark.parametrize("names", [["dapi"], ["dapi", "gfp"]])
def test_intensities_of_every_channel_are_measured_under_the_mask(names):
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    pixels = {"dapi": (rows * 1000).astype(np.uint16), "gfp": columns.astype(np.float32)}
    [row] = rows_of(objects_csv(one_square(World()), lambda _plane: [(name, pixels[name]) for name in names]))
    end = "-dapi" if len(names) > 1 else ""
    # rows 10 to 18, nine pixels in each
    assert float(row[f"intensity_mean{end}"]) == 14_000
    assert float(row[f"intensity_sum{end}"]) == 9 * 1000 * sum(range(10, 19))
    assert (float(row[f"intensity_min{end}"]), float(row[f"intensity_max{end}"])) == (10_000, 18_000)
    if len(names) > 1:
        assert float(row["intensity_mean-gfp"]) == 24


# Label TIFF


def test_a_stack_s_labels_are_one_tiff_in_the_image_s_shape(tmp_path):
    first, second = (
        replace(
            small_plane(one_object(number, SQUARE)),
            source=replace(source(), image_shape=(5, *SHAPE), index=(at, None, None)),
        )
        for number, at in ((1, 1), (300, 3))
    )
    path = export_label_tiff(tmp_path / "stack.tif", [first, second])
    written = tifffile.imread(path)
    assert (written.shape, written.dtype) == ((5, *SHAPE), np.uint16)
    np.testing.assert_array_equal(written[1], label_image(first))
    np.testing.assert_array_equal(written[3], label_image(second))
    assert not written[[0, 2, 4]].any()


def test_a_plain_image_s_labels_are_one_plane(tmp_path, rich_record):
    plane = replace(rich_record.planes[0], source=replace(source(), image_shape=SHAPE, index=(None, None)))
    path = export_label_tiff(tmp_path / "one.tif", [plane])
    np.testing.assert_array_equal(tifffile.imread(path), label_image(plane))


def test_planes_across_different_axes_are_refused(tmp_path):
    across = [
        replace(small_plane(), source=replace(source(), image_shape=(60, 60, 80), index=index))
        for index in ((0, None, None), (None, 0, None))
    ]
    with pytest.raises(ValueError, match="across different axes"):
        export_label_tiff(tmp_path / "no.tif", across)


def test_a_large_plane_is_exported_without_an_array_of_its_size(tmp_path):
    """6144 rows of a pyramid's finest level: objects where they lie at full resolution, in every format."""
    import zarr

    far = one_object(7, MaskCrop((4300, 50_000), np.ones((1000, 900), bool)))
    plane = PlaneRecord(
        source(image_shape=(6144, 100_000), index=(None, None)), (6144, 100_000), (far,), (7,), None
    )
    group = zarr.open_group(export_ome_zarr(tmp_path / "labels.zarr", plane), mode="r")
    levels = [group[one["path"]] for one in group.attrs["ome"]["multiscales"][0]["datasets"]]
    assert [level.shape for level in levels[:3]] == [(6144, 100_000), (3072, 50_000), (1536, 25_000)]
    assert max(levels[-1].shape) <= 1024
    assert levels[0][4300:5300, 50_000:50_900].min() == 7
    assert not levels[0][4290:4300, 50_000:50_900].any()
    assert int(np.count_nonzero(levels[1][:])) == 500 * 450
    session = SessionRecord((ImageRecord((Object(7),), (plane,)),))
    [annotation] = json.loads(export_coco(tmp_path / "a.json", session).read_text())["annotations"]
    assert annotation["bbox"] == [50_000, 4300, 900, 1000]
    [feature] = json.loads(export_plane_geojson(tmp_path / "a.geojson", plane).read_text())["features"]
    corners = np.array(feature["geometry"]["coordinates"][0])
    assert (corners.min(axis=0).tolist(), corners.max(axis=0).tolist()) == ([50_000, 4300], [50_900, 5300])
    folder = tmp_path / "session"
    save_session(folder, session)
    assert not list(folder.glob("labels*.tif"))
