from __future__ import annotations

import json
import os

import pytest

from locked import lock
from napari_samv1.batch.finished import RECORDS, finish, is_finished, recorded, unfinish
from napari_samv1.batch.inputs import inputs, refuse_replaced
from napari_samv1.images.source import ReadError

needs_pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes have no names on this system")


@pytest.fixture
def folder(tmp_path):
    for name in ("a.tif", "b.ome.tif", "notes.txt", ".hidden.tif", "sub/c.png", "sub/d.zarr/0/x.npy"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def stems(words):
    return [one.stem for one in inputs([str(word) for word in words])]


def test_a_folder_is_searched_for_images_and_keeps_their_paths(folder):
    assert stems([folder]) == ["a", "b", "sub/c", "sub/d"]


def test_what_cannot_be_read_is_an_input_so_that_it_fails(folder, monkeypatch):
    lock(folder / "sub", monkeypatch)
    assert stems([folder]) == ["a", "b", "sub"]
    assert stems([folder / "sub"]) == ["sub"]
    assert stems([folder / "sub" / "c.png"]) == ["c"]
    assert stems([folder / "*"]) == ["a", "b", "notes", "sub"]
    inputs_found = [one.path for one in inputs([str(folder / "sub" / "c.png")])]
    refuse_replaced(inputs_found, [folder / "sub" / "out" / "c.tif"])


@needs_pipes
def test_a_pipe_is_an_input_only_if_it_is_named(folder):
    os.mkfifo(folder / "z.tif")
    assert stems([folder]) == ["a", "b", "sub/c", "sub/d"]
    assert stems([folder / "*.tif"]) == ["a", "b"]
    assert stems([folder / "z.tif"]) == ["z"]


def test_a_file_goes_by_its_name_and_a_pattern_by_what_is_below_its_fixed_part(folder):
    assert stems([folder / "sub" / "c.png"]) == ["c"]
    assert stems([folder / "**" / "*.png"]) == ["sub/c"]
    assert stems([folder / "s*" / "*.png"]) == ["sub/c"]


def test_names_that_would_collide_keep_their_suffix(folder):
    (folder / "a.png").touch()
    assert stems([folder]) == ["a.png", "a.tif", "b", "sub/c", "sub/d"]


def test_an_image_that_is_named_twice_is_one(folder):
    assert stems([folder / "a.tif", folder / "*.tif"]) == ["a", "b"]


def test_outputs_that_cannot_be_told_apart_are_refused(folder):
    (folder / "sub" / "a.tif").touch()
    with pytest.raises(ReadError, match="would both be written to"):
        stems([folder / "a.tif", folder / "sub" / "a.tif"])


@pytest.mark.parametrize(
    ("word", "why"), [("nowhere.tif", "no file"), ("*.jpg", "nothing matches"), ("sub/d.zarr/0", "no image")]
)
def test_what_names_no_image_is_refused(folder, word, why):
    if "d.zarr" in word:
        (folder / word / "x.npy").unlink()
    with pytest.raises(ReadError, match=why):
        stems([folder / word])


def test_outputs_of_earlier_runs_are_no_inputs(folder):
    inside = folder / "labels"
    for name in ("a.tif", "sub/c.tif"):
        (inside / name).parent.mkdir(parents=True, exist_ok=True)
        (inside / name).touch()
    before = [one.stem for one in inputs([str(folder)])]
    assert "labels/sub/c" in before
    assert [one.stem for one in inputs([str(folder)], inside)] == ["a", "b", "sub/c", "sub/d"]
    assert [one.stem for one in inputs([str(folder / "**" / "*.tif")], inside)] == ["a", "b"]
    # of another run, by its records, also beside the images
    finish(inside, "sub/c", {}, [inside / "sub" / "c.tif"])
    finish(folder, "b", {}, [folder / "b.ome.tif"])
    assert stems([folder]) == ["a", "labels/a", "sub/c", "sub/d"]
    assert stems([folder / "b.ome.tif"]) == ["b"]


def test_an_output_takes_no_inputs_place(folder, tmp_path_factory):
    raw, link = folder / "a.tif", tmp_path_factory.mktemp("links") / "same.tif"
    link.symlink_to(raw)
    for target in (raw, link):
        with pytest.raises(ReadError, match=r"a\.tif would be replaced by its own output"):
            refuse_replaced([raw], [target])
    with pytest.raises(ReadError, match=r"would lie in the input .*d\.zarr"):
        refuse_replaced([folder / "sub" / "d.zarr"], [folder / "sub" / "d.zarr" / "labels.tif"])
    refuse_replaced([raw], [folder / "labels" / "a.tif", folder / "b.ome.tif"])


def test_a_folder_with_zarr_metadata_is_an_image_whatever_its_name(folder):
    (folder / "field").mkdir()
    (folder / "field" / ".zgroup").touch()
    assert stems([folder / "field"]) == ["field"]


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_the_fields_of_a_plate_are_images_and_no_path_leads_out_of_it(tmp_path, version):
    def describe(folder, attributes):
        folder.mkdir(parents=True, exist_ok=True)
        if version == "0.4":
            (folder / ".zgroup").write_text('{"zarr_format": 2}')
            (folder / ".zattrs").write_text(json.dumps(attributes))
        else:
            (folder / "zarr.json").write_text(json.dumps({"attributes": {"ome": attributes}}))

    plate = tmp_path / "plate.ome.zarr"
    wells = ["A/1", "B/2", "../../elsewhere", "/etc"]
    describe(plate, {"plate": {"wells": [{"path": path} for path in wells]}})
    for well in wells[:2]:
        describe(plate / well, {"well": {"images": [{"path": "0"}, {"path": "1"}, {"path": "../.."}]}})
    fields = ["plate/A/1/0", "plate/A/1/1", "plate/B/2/0", "plate/B/2/1"]
    assert stems([tmp_path]) == fields
    assert stems([plate]) == fields
    assert stems([plate / "A" / "1"]) == ["1/0", "1/1"]
    series = tmp_path / "series.zarr"
    describe(series, {"bioformats2raw.layout": 3})
    describe(series / "0", {"multiscales": [{}]})
    describe(series / "10", {"multiscales": [{}]})
    assert stems([series]) == ["series/0", "series/10"]
    describe(series / "OME", {"series": ["10"]})
    assert stems([series]) == ["series/10"]


def test_a_record_names_no_file_outside_its_folder(tmp_path):
    folder, named = tmp_path / "out", ["../mine.tif", str(tmp_path / "mine.tif"), "a:b/c.tif"]
    (folder / RECORDS).mkdir(parents=True)
    (folder / "a:b").mkdir()
    for path in (tmp_path / "mine.tif", folder / "a:b" / "c.tif"):
        path.touch()
    record = folder / RECORDS / "c.json"
    record.write_text(json.dumps({"made_from": {}, "outputs": [*named, 3]}))
    own = folder / "a:b" / "c.tif"
    assert is_finished(folder, "c", {}) == [own]
    assert recorded(folder) == {own}
    assert unfinish(folder, "c") == [own]
    assert not record.exists()
