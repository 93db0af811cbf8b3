from __future__ import annotations

import json
import os
import shutil
import weakref
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
import zarr
from pycocotools.coco import COCO

from napari_samv1 import Cancelled, Predictor, Prompts, load_model, segment_everything
from napari_samv1.annotation.pieces import Object, Piece
from napari_samv1.batch import outputs
from napari_samv1.batch.cluster import on_threads
from napari_samv1.batch.models import model_identity
from napari_samv1.batch.prompts import Place, prompts_for
from napari_samv1.batch.reading import calibration, open_planes
from napari_samv1.batch.segment import find_part, join_parts, parts_of, segment_file
from napari_samv1.checkpoints.dense import head_path
from napari_samv1.checkpoints.registry import MODELS
from napari_samv1.images.source import ReadError
from napari_samv1.records.place import Plane
from napari_samv1.storage.session.folder import save_session
from napari_samv1.storage.session.record import ImageRecord, PlaneRecord, PlaneSource, SessionRecord
from small_model import picture

HW = (60, 50)
# of pycocotools
numpy_2 = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "cells.png"
    from PIL import Image

    Image.fromarray(picture(*HW)).save(path)
    return path


@pytest.fixture
def stack(tmp_path):
    path = tmp_path / "stack.ome.tif"
    planes = np.stack([picture(*HW, seed=i)[..., 0] for i in range(6)]).reshape(3, 2, *HW)
    size = {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.25, "PhysicalSizeXUnit": "µm", "PhysicalSizeYUnit": "µm"}
    tifffile.imwrite(path, planes, metadata={"axes": "ZCYX", **size}, ome=True)
    return path


def test_the_label_image_is_what_a_script_finds(image, task_for, checkpoint):
    task = task_for(image)
    outcome = segment_file(task)
    assert (outcome.status, outcome.error) == ("done", "")
    predictor = Predictor(load_model(checkpoint, device="cpu"))
    automatic = task.settings.automatic
    found = segment_everything(
        predictor,
        picture(*HW),
        mode="grid",
        points_per_side=automatic.points_per_side,
        pred_iou_thresh=0,
        stability_score_thresh=0,
    )
    labels = tifffile.imread(task.folder / "cells.tif")
    assert labels.dtype == np.uint16
    assert labels.any()
    assert np.array_equal(labels, found.labels())
    assert outcome.objects == len(found.objects)


def test_a_stack_is_segmented_plane_by_plane_with_its_axes_and_pixel_sizes(stack, task_for):
    outcome = segment_file(task_for(stack))
    assert (outcome.status, outcome.planes) == ("done", 6)
    [path] = outcome.outputs
    with tifffile.TiffFile(path) as tiff:
        assert tiff.series[0].axes == "ZCYX"
        assert tiff.series[0].shape == (3, 2, *HW)
        assert 'PhysicalSizeX="0.5"' in tiff.ome_metadata
        assert 'PhysicalSizeY="0.25"' in tiff.ome_metadata


def test_a_channel_and_a_plane_can_be_chosen(stack, task_for):
    whole = tifffile.imread(segment_file(task_for(stack, stem="whole")).outputs[0])
    [channel] = segment_file(task_for(stack, channel=1)).outputs
    assert np.array_equal(tifffile.imread(channel), whole[:, 1])
    [plane] = segment_file(task_for(stack, channel=0, plane=(2,))).outputs
    assert np.array_equal(tifffile.imread(plane), whole[2, 0])


def test_the_distance_of_slices_is_written_on(tmp_path, task_for):
    planes = np.stack([picture(*HW, seed=i)[..., 0] for i in range(2)])
    ome, imagej, zarrs = tmp_path / "o.ome.tif", tmp_path / "i.tif", tmp_path / "z.zarr"
    sizes = {"PhysicalSizeX": 500, "PhysicalSizeY": 250, "PhysicalSizeZ": 2}
    units = {"PhysicalSizeXUnit": "nm", "PhysicalSizeYUnit": "nm", "PhysicalSizeZUnit": "µm"}
    tifffile.imwrite(ome, planes, metadata={"axes": "ZYX", **sizes, **units}, ome=True)
    tifffile.imwrite(
        imagej,
        planes,
        imagej=True,
        resolution=(2, 4),
        metadata={"axes": "ZYX", "spacing": 3.0, "unit": "um"},
    )
    group = zarr.open_group(zarrs, mode="w", zarr_format=3)
    group.create_array("0", data=planes)
    group.attrs["ome"] = {
        "version": "0.5",
        "multiscales": [
            {
                "axes": [{"name": axis, "type": "space", "unit": "micrometer"} for axis in "zyx"],
                "datasets": [
                    {"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [2, 1, 1]}]}
                ],
                "coordinateTransformations": [{"type": "scale", "scale": [1.5, 0.25, 0.5]}],
            }
        ],
    }
    known = {
        ome: ((250, 500), "nanometer", (2.0, "micrometer")),
        imagej: ((0.25, 0.5), "micrometer", (3.0, "micrometer")),
        zarrs: ((0.25, 0.5), "micrometer", (3.0, "micrometer")),
    }
    for path, (size, unit, depth) in known.items():
        task = task_for(path, stem=path.name, formats=("tif", "ome-zarr"))
        outcome = segment_file(task)
        assert outcome.error == ""
        for written in outcome.outputs:
            opened = open_planes(written)
            assert opened.calibrated.axes == "ZYX"
            assert opened.calibrated.size_z == depth
            assert opened.calibrated.unit == unit
            assert opened.calibrated.size_yx == pytest.approx(size)


@pytest.mark.parametrize(
    ("unit", "expected", "expected_unit"),
    [("nm", (0.5, 0.25), "micrometer"), ("mm", (0.5, 250_000.0), "micrometer"), ("pixel", (1, 1), "pixel")],
)
def test_width_and_height_may_have_different_units(tmp_path, unit, expected, expected_unit):
    path, zarrs = tmp_path / "mixed.ome.tif", tmp_path / "mixed.zarr"
    plane = np.zeros((20, 30), np.uint8)
    sizes = {"PhysicalSizeX": 250, "PhysicalSizeXUnit": unit, "PhysicalSizeY": 0.5, "PhysicalSizeYUnit": "µm"}
    tifffile.imwrite(path, plane, metadata={"axes": "YX", **sizes}, ome=True)
    group = zarr.open_group(zarrs, mode="w", zarr_format=3)
    group.create_array("0", data=plane)
    names = {"nm": "nanometer", "mm": "millimeter", "pixel": "pixel"}
    axes = [("y", "micrometer"), ("x", names[unit])]
    scale = {"type": "scale", "scale": [0.5, 250]}
    group.attrs["ome"] = {
        "version": "0.5",
        "multiscales": [
            {
                "axes": [{"name": name, "type": "space", "unit": of_axis} for name, of_axis in axes],
                "datasets": [{"path": "0", "coordinateTransformations": [scale]}],
            }
        ],
    }
    for image in (path, zarrs):
        calibrated = open_planes(image).calibrated
        assert (calibrated.size_yx, calibrated.unit) == (expected, expected_unit)


def test_the_sizes_are_those_of_the_image_that_is_read(tmp_path):
    path = tmp_path / "several.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as tiff:
        for side, size in ((20, 9.0), (60, 0.5)):
            tiff.write(
                np.zeros((side, side), np.uint8),
                metadata={"axes": "YX", "PhysicalSizeX": size, "PhysicalSizeY": size},
            )
    opened = open_planes(path)
    assert opened.plane_hw == (60, 60)
    assert opened.calibrated.size_yx == (0.5, 0.5)
    assert calibration(path, opened.source) == opened.calibrated


@pytest.mark.parametrize(
    ("chosen", "why"),
    [
        ({"channel": 2}, "no channel 2: there are 2"),
        ({"plane": (0,)}, r"2 axes before rows and columns \(Z: 3, C: 2\)"),
        ({"plane": (3, 0)}, "no plane 3 on axis Z"),
    ],
)
def test_what_is_not_there_is_a_failed_image(stack, task_for, chosen, why):
    outcome = segment_file(task_for(stack, **chosen))
    assert outcome.status == "failed"
    with pytest.raises(ReadError, match=why):
        open_planes(stack, chosen.get("channel"), chosen.get("plane"))


def test_a_colour_can_be_chosen_and_grey_has_none(image, tmp_path):
    assert open_planes(image, channel=2).source.levels[0].shape == HW
    np.save(tmp_path / "grey.npy", np.zeros(HW))
    with pytest.raises(ReadError, match="no channel axis: its axes are YX"):
        open_planes(tmp_path / "grey.npy", channel=0)


@numpy_2
def test_every_format_tells_of_the_same_objects(stack, task_for):
    task = task_for(stack, stem="s", channel=0, formats=("tif", "ome-zarr", "coco", "geojson", "csv"))
    outcome = segment_file(task)
    assert outcome.error == ""
    names = ["s.tif", "s.zarr", "s.coco.json", *(f"s.{i:04d}.geojson" for i in range(3)), "s.csv"]
    assert [path.name for path in outcome.outputs] == names
    labels = tifffile.imread(task.folder / "s.tif")
    group = zarr.open(task.folder / "s.zarr", mode="r")
    assert np.array_equal(group["0"][:], labels)
    [scale] = group.attrs["ome"]["multiscales"]
    assert [axis["name"] for axis in scale["axes"]] == ["z", "y", "x"]
    assert scale["datasets"][0]["coordinateTransformations"][0]["scale"] == [1, 0.25, 0.5]
    table = pd.read_csv(task.folder / "s.csv", dtype={"plane": str})
    coco = COCO(task.folder / "s.coco.json")
    assert len(table) == len(coco.anns) == outcome.objects
    assert (table["area"] == table["area_px"] * 0.125).all()
    for plane in range(3):
        features = json.loads((task.folder / f"s.{plane:04d}.geojson").read_text())["features"]
        own = table[table["plane"] == str(plane)]
        annotations = coco.imgToAnns[plane + 1]
        assert len(features) == len(own) == len(annotations)
        assert [one["area"] for one in annotations] == list(own["area_px"])
        for number, annotation in zip(own["object"], annotations, strict=True):
            assert set(np.flatnonzero(labels[plane] == number)) <= set(
                np.flatnonzero(coco.annToMask(annotation))
            )


def test_a_large_plane_is_written_in_tiles(image, task_for, monkeypatch):
    whole = tifffile.imread(segment_file(task_for(image, stem="whole")).outputs[0])
    monkeypatch.setattr(outputs, "TILED", 100)
    monkeypatch.setattr(outputs, "TILE", 32)
    [path] = segment_file(task_for(image, stem="tiled")).outputs
    with tifffile.TiffFile(path) as tiff:
        assert tiff.pages[0].is_tiled
        assert np.array_equal(tiff.asarray(), whole)


def test_finished_outputs_are_skipped_and_others_made_again(image, task_for):
    assert segment_file(task_for(image)).status == "done"
    [path] = segment_file(task_for(image)).outputs
    assert segment_file(task_for(image)).status == "skipped"
    assert segment_file(task_for(image, intensity=(0, 200))).status == "done"
    assert segment_file(task_for(image, intensity=(0, 200))).status == "skipped"
    assert segment_file(task_for(image)).status == "done"
    path.unlink()
    assert segment_file(task_for(image)).status == "done"
    os.utime(image, (1, 1))
    assert segment_file(task_for(image)).status == "done"
    assert segment_file(task_for(image)).status == "skipped"


def test_a_dense_head_that_is_added_replaced_or_removed_makes_outputs_again(
    image, task_for, checkpoint, dense_head_for, tmp_path
):
    weights = tmp_path / "mine.pt"
    shutil.copy(checkpoint, weights)
    task = task_for(image, model=str(weights))
    segment_file(task)
    for width in (6, 8):
        dense_head_for(weights, width)
        assert segment_file(task).status == "done"
        assert segment_file(task).status == "skipped"
    head_path(weights).unlink()
    assert segment_file(task).status == "done"


def test_the_bundled_model_is_known_by_its_name_and_size():
    assert model_identity("tiny") == f"tiny, {MODELS['tiny'].path.stat().st_size} bytes, 0"


def test_what_changes_while_it_is_segmented_is_not_finished(image, task_for):
    task = task_for(image)

    def change(done, total):
        os.utime(image, (1, 1))

    outcome = segment_file(task, change)
    assert "the input changed while" in outcome.error
    assert not task.folder.exists()
    assert segment_file(task).status == "done"


def test_planes_that_are_no_more_leave_no_files(stack, task_for):
    planes = tifffile.imread(stack)
    segment_file(task_for(stack, formats=("tif",)))
    task = task_for(stack, channel=0, formats=("geojson",))
    assert len(segment_file(task).outputs) == 3
    tifffile.imwrite(stack, planes[:2], metadata={"axes": "ZCYX"}, ome=True)
    outcome = segment_file(task)
    assert sorted(path.name for path in task.folder.glob("stack*")) == [
        *(path.name for path in outcome.outputs),
        "stack.ome.tif",
    ]


def test_an_output_that_is_cut_short_does_not_exist_and_is_made_again(image, task_for, monkeypatch):
    write = outputs.tifffile.imwrite

    def cut_short(file, *arguments, **keywords):
        file.write(b"II*")
        raise KeyboardInterrupt

    monkeypatch.setattr(outputs.tifffile, "imwrite", cut_short)
    task = task_for(image)
    with pytest.raises(KeyboardInterrupt):
        segment_file(task)
    assert not [path for path in task.folder.rglob("*") if path.is_file()]
    monkeypatch.setattr(outputs.tifffile, "imwrite", write)
    assert segment_file(task).status == "done"


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # readers of others
def test_a_broken_file_is_an_outcome_and_the_rest_goes_on(image, task_for, tmp_path):
    broken = tmp_path / "broken.tif"
    broken.write_bytes(b"nonsense")
    outcomes = {one.path: one for one in on_threads([task_for(broken), task_for(image)], 1)}
    assert outcomes[broken].status == "failed"
    assert "broken.tif could not be opened as an image" in outcomes[broken].error
    assert outcomes[image].status == "done"


def test_threads_find_the_same_as_one(stack, task_for):
    tasks = [task_for(stack, stem=f"{name}", channel=i) for name in ("one", "two") for i in (0, 1)]
    tasks = [tasks[0], tasks[3]]
    for outcome in on_threads(tasks, 2):
        assert outcome.status == "done"
    again = segment_file(task_for(stack, stem="again", channel=1))
    assert np.array_equal(tifffile.imread(again.outputs[0]), tifffile.imread(tasks[1].folder / "two.tif"))


def test_cancelling_writes_nothing(image, task_for):
    def stop(done, total):
        raise Cancelled

    task = task_for(image)
    # what is found by then would be half of the truth
    with pytest.raises(Cancelled):
        segment_file(task, stop)
    assert not task.folder.exists()


def test_an_image_in_parts_is_the_image_in_one(task_for, tmp_path):
    large = tmp_path / "large.npy"
    np.save(large, picture(330, 200)[..., 0])
    task = task_for(large)
    parts = parts_of(task)
    assert len(parts) > 1
    assert all(part.windows for part in parts)
    found = [find_part(task, part) for part in parts]
    assert join_parts(task, task.made_from, parts[::-1], found[::-1], 0.0).status == "done"
    in_parts = tifffile.imread(task.folder / "large.tif")
    [whole] = segment_file(task_for(large, stem="whole")).outputs
    assert np.array_equal(in_parts, tifffile.imread(whole))


def answered(checkpoint, pixels, prompts):
    predictor = Predictor(load_model(checkpoint, device="cpu"))
    prediction = predictor.on_image(pixels).answer(prompts)
    return prediction.mask(prediction.best())


@numpy_2
def test_points_and_boxes_of_a_table_are_answered_under_their_numbers(image, task_for, tmp_path, checkpoint):
    table = tmp_path / "clicks.csv"
    table.write_text(
        "image,object,y,x,label,y0,x0,y1,x1\n"
        "cells.png,7,20,30,1,,,,\ncells.png,7,5,5,0,,,,\n"
        "cells.png,4,,,,10,10,40,30\nother.png,9,1,1,1,,,,\n"
    )
    task = task_for(image, prompts=table, formats=("coco",))
    outcome = segment_file(task)
    assert outcome.error == ""
    coco = COCO(outcome.outputs[0])
    masks = {one["object"]: coco.annToMask(one).astype(bool) for one in coco.anns.values()}
    asked = {7: Prompts([(20, 30), (5, 5)], [1, 0]), 4: Prompts(boxes_yx=[(10, 10, 40, 30)])}
    assert masks.keys() <= asked.keys()
    assert masks
    for number, mask in masks.items():
        assert np.array_equal(mask, answered(checkpoint, picture(*HW), asked[number]))


def test_labels_are_refined_by_their_boxes_plane_by_plane(stack, task_for, tmp_path, checkpoint):
    rough = np.zeros((3, *HW), np.uint16)
    rough[1, 10:30, 12:40] = 6
    tifffile.imwrite(tmp_path / "rough.tif", rough, photometric="minisblack")
    task = task_for(stack, channel=0, prompts=tmp_path / "rough.tif")
    outcome = segment_file(task)
    assert outcome.error == ""
    labels = tifffile.imread(outcome.outputs[0])
    assert not labels[[0, 2]].any()
    pixels = picture(*HW, seed=2)[..., 0]
    expected = answered(checkpoint, pixels, Prompts(boxes_yx=[(10, 12, 29, 39)]))
    assert np.array_equal(labels[1] == 6, expected)


def test_a_saved_session_is_asked_again_on_its_planes(stack, task_for, tmp_path, checkpoint):
    asked = Prompts([(20, 30), (5, 5)], [1, 0])
    piece = Piece(id=9, plane=Plane((1, 0, None, None)), pointed=asked, prompts=asked)
    source = PlaneSource("stack", (3, 2, *HW), "uint8", index=(1, 0, None, None))
    plane = PlaneRecord(source, HW, (piece,), (9,))
    folder = tmp_path / "session"
    save_session(folder, SessionRecord((ImageRecord((Object(9),), (plane,)),)))
    outcome = segment_file(task_for(stack, channel=0, prompts=folder))
    assert outcome.error == ""
    labels = tifffile.imread(outcome.outputs[0])
    assert not labels[[0, 2]].any()
    assert np.array_equal(labels[1] == 9, answered(checkpoint, picture(*HW, seed=2)[..., 0], asked))


def test_of_a_session_with_several_images_each_has_its_own_prompts(image, task_for, tmp_path):
    images = []
    for number, name in ((3, "cells"), (8, "other")):
        asked = Prompts([(20, 30)], [1])
        piece = Piece(id=number, plane=Plane((None, None)), pointed=asked, prompts=asked)
        plane = PlaneRecord(PlaneSource(name, HW, "uint8"), HW, (piece,), (number,))
        images.append(ImageRecord((Object(number),), (plane,)))
    folder = tmp_path / "session"
    save_session(folder, SessionRecord(tuple(images)))
    outcome = segment_file(task_for(image, prompts=folder))
    assert outcome.error == ""
    assert set(np.unique(tifffile.imread(outcome.outputs[0]))) == {0, 3}
    image.rename(image.with_name("third.png"))
    outcome = segment_file(task_for(image.with_name("third.png"), prompts=folder))
    assert "several images (cells, other), none of the path or name" in outcome.error


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("y,x,object\n20,30,0\n", "row 1: object must be a whole number from 1"),
        ("y,x,object\n20,30,1.5\n", "object must be a whole number"),
        ("y,x,object\n20,30,5000000000\n", "object must be a whole number"),
        ("y,x\n20,30\n20\n", "row 2: y, x belong together: got '20', None"),
        ("y0,x0,y1,x1\n1,2,,4\n", "y0, x0, y1, x1 belong together"),
        ("y,x\n,\n", "row 1: it has neither a point (y, x) nor a box"),
        ("y,x\n5000,30\n", "5000, 30 lies outside the image of 60 x 50 pixels"),
        ("y0,x0,y1,x1\n-9,-9,-2,-2\n", "lies outside the image"),
        ("y,x\nnan,30\n", "row 1: y, x must be finite"),
        ("y,x,plane\n1,1,1.5\n", "there is no plane 1.5 among 1"),
        ("index,shape-type,vertex-index,axis-0,axis-1\n0,rectangle,0,1,1\n", "napari's shapes"),
        ("a,b\n1,2\n", "needs the columns y, x for points"),
        ("y,x\n1,far\n", "row 1: could not convert"),
        ("y,x,label\n1,1,maybe\n", "label must be 1"),
        ("y,x,image\n1,1,other.png\n", "holds no prompts for cells.png"),
    ],
)
def test_a_table_that_asks_nothing_is_a_sentence(image, task_for, tmp_path, text, why):
    table = tmp_path / "clicks.csv"
    table.write_text(text)
    outcome = segment_file(task_for(image, prompts=table))
    assert outcome.status == "failed"
    assert why in outcome.error


def test_a_table_may_have_spaces_after_its_commas_and_whole_numbers_with_a_point(image, task_for, tmp_path):
    table = tmp_path / "clicks.csv"
    table.write_text("y, x, object, plane\n20, 30, 2.0, 0.0\n40, 10, , 0\n40, 40, 1, 0\n")
    outcome = segment_file(task_for(image, prompts=table))
    assert outcome.error == ""
    # the row without a number takes none that another object has
    assert set(np.unique(tifffile.imread(outcome.outputs[0]))) <= {0, 1, 2, 3}
    found = prompts_for(table, Place(("cells.png",), (Plane((None, None)),), HW))
    assert {number: one.points_yx.tolist() for number, one in found[0].items()} == {
        1: [[40, 40]],
        2: [[20, 30]],
        3: [[40, 10]],
    }


def test_points_as_napari_saves_them_belong_to_their_planes(stack, task_for, tmp_path):
    table = tmp_path / "points.csv"
    table.write_text("index,axis-0,axis-1,axis-2\n0,2.0,20.0,30.0\n1,2.0,40.0,10.0\n")
    outcome = segment_file(task_for(stack, channel=1, prompts=table, formats=("csv",)))
    # the channel is an axis of the file, not of the points
    assert outcome.error or set(pd.read_csv(outcome.outputs[0])["plane"]) <= {2}


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
def test_a_reader_of_another_plugin_that_fails_leaves_no_file_open(tmp_path, npe2pm):
    """Such readers are asked last; a file that stays open cannot be moved on Windows."""
    file = tmp_path / "unknown.own"
    file.write_bytes(b"nonsense")
    opened = []

    def failing(path):
        stream = Path(path).open("rb")  # noqa: SIM115 - the fault of such readers
        opened.append(weakref.ref(stream))
        stream.cycle = [stream]
        raise ValueError("not a file of mine")

    with npe2pm.tmp_plugin(name="other-reader") as plugin:

        @plugin.contribute.reader(filename_patterns=["*.own"])
        def get_reader(path):
            return failing

        with pytest.raises(ReadError, match="not an image of a supported format"):
            open_planes(file)
    assert [stream() for stream in opened] == [None]
