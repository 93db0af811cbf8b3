"""Names and paths that come from elsewhere: bytes that are no UTF-8, and formulas."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_samv1.storage.exports.coco import export_coco
from napari_samv1.storage.exports.csv_text import csv_text
from napari_samv1.storage.exports.geojson import export_geojson
from napari_samv1.storage.exports.object_table import export_table
from napari_samv1.storage.session.autosave import Autosave
from napari_samv1.storage.session.folder import open_session, save_session
from napari_samv1.storage.session.record import SessionRecord, World
from napari_samv1.storage.session.recovery import recoverable

from .conftest import OTHER, assert_same_record, crop, one_object, session_of, small_plane, source

# how Python reads a Latin-1 "é" in a file's name
NAME = "\ud83d caf\udce9.tif"


def record_named(name: str, **changes: object) -> SessionRecord:
    piece = one_object(
        1, crop(slice(2, 9), slice(3, 9)), made_by=replace(OTHER, model=name, source=f"/models/{name}")
    )
    reason = replace(piece, reason=name)
    return session_of(small_plane(reason, source=source(name=name, path=f"/images/{name}", **changes)))


def test_a_name_that_is_no_utf8_is_saved_and_comes_back(tmp_path):
    record = record_named(NAME)
    folder = save_session(tmp_path / "s", record)
    assert_same_record(open_session(folder), record)
    # any other program can read it, and it is JSON
    text = (folder / "session.json").read_bytes().decode("utf-8")
    assert json.loads(text)["images"][0]["planes"][0]["source"]["name"] == NAME
    assert (folder / "objects.csv").read_bytes().decode("utf-8")


def test_a_name_that_is_no_utf8_is_autosaved_and_offered_back(tmp_path):
    saving = Autosave(tmp_path)
    saving.offer(record_named(NAME))
    saving.close(clean=False)
    assert saving.problem == ""
    [found] = recoverable(tmp_path)
    assert found.record is not None
    assert_same_record(found.record, record_named(NAME))


def test_a_name_that_is_no_utf8_is_exported(tmp_path):
    record = record_named(NAME)
    coco = json.loads(export_coco(tmp_path / "a.json", record).read_bytes().decode("utf-8"))
    assert coco["images"][0]["file_name"] == NAME
    export_geojson(tmp_path / "a.geojson", record).read_bytes().decode("utf-8")
    assert r"\udce9" in export_table(tmp_path / "a.csv", record).read_bytes().decode("utf-8")


def test_a_name_that_is_no_utf8_is_exported_as_ome_zarr(tmp_path):
    import zarr

    from napari_samv1.storage.exports.ome_zarr import export_ome_zarr

    [plane] = record_named(NAME).planes
    group = zarr.open_group(export_ome_zarr(tmp_path / "a.zarr", plane), mode="r")
    assert group.attrs["ome"]["multiscales"][0]["name"] == NAME
    assert np.asarray(group["0"]).max() == 1


@pytest.mark.parametrize(
    "name", ["=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "  =1+1", "=1", "-a"]
)
def test_a_name_is_no_formula_in_a_table(tmp_path, name):
    world = World(units=(name, name))
    record = record_named(name, world=world)
    file = export_table(tmp_path / "a.csv", record)
    saved = save_session(tmp_path / "s", record) / "objects.csv"
    for table in (file, saved):
        [row] = csv.DictReader(io.StringIO(table.read_bytes().decode("utf-8"), newline=""))
        shown = "'" + name.replace("\r", "\n")
        assert (row["image"], row["unit"]) == (shown, shown)
        for value in row.values():
            assert not value.lstrip(" ").startswith(("=", "+", "@", "\t", "\r", "\n"))


def test_numbers_and_places_stay_as_they_are():
    cells = [-1, -2.5, "-3.25", "-1.5e-07", "+4", "-inf", "- 4 -", "- -", "-", "3 -", "", "a=b", "nan"]
    assert csv_text([cells]) == ",".join(map(str, cells)) + "\n"


def test_a_score_that_is_no_number_leaves_json_whole(tmp_path):
    piece = one_object(1, crop(slice(2, 9), slice(3, 9)))
    assert piece.answer is not None
    assert piece.answer.scores is not None
    for bad in (float("inf"), float("nan")):
        scores = replace(piece.answer.scores, iou=(bad,) * 4, stability=(bad,) * 4)
        record = session_of(small_plane(replace(piece, answer=replace(piece.answer, scores=scores))))
        for path in (export_coco(tmp_path / "a.json", record), export_geojson(tmp_path / "b.json", record)):
            json.loads(Path(path).read_text("utf-8"), parse_constant=pytest.fail)
