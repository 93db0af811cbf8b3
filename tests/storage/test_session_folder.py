from __future__ import annotations

import csv
import hashlib
import json
import os
from dataclasses import replace

import numpy as np
import pytest
import tifffile

from napari_samv1.annotation.pieces import Object, Piece
from napari_samv1.disk import atomic
from napari_samv1.records.mask_crop import MaskCrop
from napari_samv1.records.place import Plane
from napari_samv1.records.settings import OVERWRITE, ObjectSettings
from napari_samv1.storage.errors import SessionError
from napari_samv1.storage.session import limits
from napari_samv1.storage.session.folder import FolderWriter, open_session, save_session
from napari_samv1.storage.session.record import ImageRecord, PlaneRecord, PlaneSource, SessionRecord

from .conftest import SHAPE, assert_same_record, crop, image_of, one_object, session_of, small_plane, source


def test_everything_comes_back(rich_record, tmp_path):
    folder = save_session(tmp_path / "new" / "session", rich_record)
    opened = open_session(folder)
    assert_same_record(opened, rich_record)
    assert opened.created == rich_record.created
    assert opened.saved >= opened.created
    assert_same_record(open_session(folder / "session.json"), rich_record)


def test_what_was_opened_saves_the_same_text(rich_record, tmp_path):
    first = save_session(tmp_path / "a", rich_record) / "session.json"
    second = save_session(tmp_path / "b", open_session(first)) / "session.json"
    texts = [
        [line for line in file.read_text("utf-8").splitlines() if not line.startswith('"saved"')]
        for file in (first, second)
    ]
    assert texts[0] == texts[1]


def test_a_session_without_planes_and_one_with_a_bare_plane_come_back(tmp_path):
    for number, record in enumerate((SessionRecord(()), session_of(small_plane()))):
        assert_same_record(open_session(save_session(tmp_path / str(number), record)), record)


def test_the_label_image_is_a_tiff_of_the_objects_in_their_order(tmp_path):
    low = one_object(3, crop(slice(0, 10), slice(0, 10)))
    high = one_object(300, crop(slice(5, 20), slice(5, 20)))
    beneath = np.zeros(SHAPE, dtype=np.int32)
    beneath[15:30, 15:30] = 9
    plane = small_plane(low, high, beneath=beneath)
    folder = save_session(tmp_path / "s", session_of(plane))
    labels = tifffile.imread(folder / "labels.tif")
    assert (labels.shape, labels.dtype) == (SHAPE, np.uint16)
    assert [labels[at] for at in [(0, 0), (7, 7), (14, 14), (17, 17), (25, 25), (40, 40)]] == [
        3,
        300,
        300,
        9,
        9,
        0,
    ]

    over = replace(high, settings=ObjectSettings(rule=OVERWRITE))
    plane = replace(plane, pieces=(low, over), order=(300, 3))
    labels = tifffile.imread(save_session(folder, session_of(plane)) / "labels.tif")
    assert [labels[at] for at in [(7, 7), (17, 17), (25, 25)]] == [3, 300, 9]


def test_large_and_nearly_empty_labels_are_saved_so_that_they_open(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "USUAL_LABEL_BYTES", 1 << 20)
    beneath = np.zeros((2_500, 1_500), dtype=np.uint32)
    beneath[2_499, 1_499] = 70_000
    record = session_of(replace(small_plane(beneath=beneath), shape_yx=beneath.shape))
    folder = save_session(tmp_path / "s", record)
    [file] = folder.glob("beneath-*.tif")
    assert beneath.nbytes / 300 < file.stat().st_size < beneath.nbytes / 100
    np.testing.assert_array_equal(tifffile.imread(file), beneath)
    np.testing.assert_array_equal(open_session(folder).planes[0].beneath, beneath)


def test_the_copies_are_listed_with_their_hashes(rich_record, tmp_path):
    folder = save_session(tmp_path / "s", rich_record)
    listed = json.loads((folder / "session.json").read_text("utf-8"))["files"]
    assert set(listed) == {"labels.tif", "points.csv", "shapes.csv", "objects.csv"}
    for name, digest in listed.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest


def test_what_the_last_session_left_goes_and_what_is_the_users_stays(rich_record, tmp_path):
    folder = save_session(tmp_path / "s", rich_record)
    (folder / "labels-mine.tif").write_bytes(b"")
    (folder / "notes.txt").write_text("mine")
    (folder / ".napari-samv1-0123.part").write_bytes(b"half")
    boxless = [
        small_plane(
            one_object(1, crop(slice(0, 3), slice(0, 3)), plane=Plane((place, None, None))),
            source=source(image_shape=(2, *SHAPE), index=(place, None, None)),
        )
        for place in (0, 1)
    ]
    save_session(folder, SessionRecord((image_of(*boxless),)))
    assert sorted(entry.name for entry in folder.iterdir()) == [
        "labels-1.tif",
        "labels-2.tif",
        "labels-mine.tif",
        "notes.txt",
        "objects.csv",
        "points.csv",
        "session.json",
    ]


def test_several_images_have_their_own_tables(tmp_path):
    plane = small_plane(one_object(1, crop(slice(0, 3), slice(0, 3))))
    other = replace(plane, source=source(name="other"))
    folder = save_session(tmp_path / "s", session_of(plane, other))
    assert (folder / "points-1.csv").exists()
    assert (folder / "points-2.csv").exists()


def test_the_table_has_a_row_for_each_object_that_is_seen(tmp_path):
    hidden = one_object(5, crop(slice(2, 4), slice(2, 4)))
    whole = one_object(9, crop(slice(2, 6), slice(2, 12)))
    plane = small_plane(
        whole,
        hidden,
        order=(5, 9),
        source=source(world=replace(source().world, matrix=((2, 0, 10), (0, 0.5, 0)), units=("mm", "mm"))),
    )
    folder = save_session(tmp_path / "s", session_of(plane))
    [row] = csv.DictReader((folder / "objects.csv").read_text("utf-8").splitlines())
    assert (row["object"], row["area_px"], row["area"], row["unit"]) == ("9", "40", "40", "mm")
    assert [row[name] for name in ("first_row", "first_column", "last_row", "last_column")] == [
        "2",
        "2",
        "5",
        "11",
    ]
    assert [row[name] for name in ("centroid_row", "centroid_column")] == ["3.5", "6.5"]
    # 2 mm and half a mm a pixel, from 10 mm on
    assert [row[name] for name in ("centroid_y", "centroid_x")] == ["17", "3.25"]
    assert (row["candidate"], row["predicted_iou"], row["stability"]) == ("2", "0.3333333", "0.7")


def test_a_folder_that_holds_something_else_is_left_alone(rich_record, tmp_path):
    (tmp_path / "thesis.docx").write_text("precious")
    with pytest.raises(SessionError, match=r"holds other files \(thesis.docx\): choose"):
        save_session(tmp_path, rich_record)
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.docx"]
    with pytest.raises(SessionError, match="is a file"):
        save_session(tmp_path / "thesis.docx", rich_record)
    other = tmp_path / "other"
    other.mkdir()
    (other / "session.json").write_text("{}")
    with pytest.raises(SessionError, match="not a napari-samv1 session"):
        save_session(other, rich_record)


def test_a_folder_that_cannot_be_made_is_a_sentence(rich_record, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SessionError, match="could not be saved in"):
        save_session(tmp_path / "file" / "below", rich_record)


class PowerCut(BaseException):
    """Ends everything at once."""


@pytest.mark.parametrize("stop_at", range(40))
def test_at_whatever_step_saving_ends_the_folder_opens_whole(stop_at, rich_record, tmp_path, monkeypatch):
    before = session_of(
        small_plane(one_object(1, crop(slice(0, 9), slice(0, 9))), beneath=np.full(SHAPE, 3, np.uint8))
    )
    folder = save_session(tmp_path / "s", before)
    steps = 0

    def counted(function):
        def call(*arguments, **keywords):
            nonlocal steps
            steps += 1
            if steps > stop_at:
                raise PowerCut
            return function(*arguments, **keywords)

        return call

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", counted(os.fsync))
        patch.setattr(atomic.Path, "replace", counted(atomic.Path.replace))
        # what a killed process would clean up stays as well
        patch.setattr(atomic.Path, "unlink", counted(atomic.Path.unlink))
        try:
            save_session(folder, rich_record)
        except PowerCut:
            stopped = True
        else:
            stopped = False
    opened = open_session(folder)
    is_new = len(opened.planes[0].pieces) > 1
    assert_same_record(opened, rich_record if is_new else before)
    assert stopped or is_new
    # and the next time it can be saved, nothing is left of the accident
    assert_same_record(open_session(save_session(folder, rich_record)), rich_record)
    assert not list(folder.glob(".*"))
    assert len(list(folder.glob("beneath-*.tif"))) == 1


def test_labels_beneath_are_written_once(rich_record, tmp_path):
    writer = FolderWriter(tmp_path)
    writer.write(rich_record)
    [file] = tmp_path.glob("beneath-*.tif")
    written = file.stat().st_mtime_ns
    writer.write(rich_record)
    [again] = tmp_path.glob("beneath-*.tif")
    assert (again, again.stat().st_mtime_ns) == (file, written)


def test_a_changed_object_is_written_and_an_unchanged_one_is_the_same_line(rich_record, tmp_path):
    writer = FolderWriter(tmp_path)
    writer.write(rich_record)
    plane = rich_record.planes[0]
    edited = replace(plane.pieces[0], settings=ObjectSettings(threshold=4.0))
    record = session_of(replace(plane, pieces=(edited, *plane.pieces[1:])))
    writer.write(record)
    assert_same_record(open_session(tmp_path), record)


def test_an_answer_to_a_pieces_own_prompts_does_not_repeat_them(rich_record, tmp_path):
    file = save_session(tmp_path / "s", rich_record) / "session.json"
    content = json.loads(file.read_text("utf-8"))
    by_id = {piece["id"]: piece for piece in content["images"][0]["planes"][0]["pieces"]}
    assert not {"prompts", "settings"} & by_id[1]["answer"].keys()
    # edited since the answer came
    assert {"prompts", "settings"} <= by_id[40000]["answer"].keys()

    # folders that repeat them, as they were written once, open as well
    for piece in by_id.values():
        if piece["answer"] is not None:
            piece["answer"] = {
                "prompts": piece["prompts"],
                "settings": piece["settings"],
                **piece["answer"],
            }
    file.write_text(json.dumps(content), "utf-8")
    assert_same_record(open_session(file), rich_record)


def test_a_slide_is_saved_as_crops_without_a_label_image(tmp_path):
    side = 100_000
    mask = MaskCrop((99_000, 98_000), np.ones((20, 30), dtype=bool))
    piece = Piece(1, painted_in=mask, mask=mask)
    plane = PlaneRecord(PlaneSource("slide", (side, side), "uint8"), (side, side), (piece,), (1,))
    record = SessionRecord((ImageRecord((Object(1),), (plane,)),), created="2026-01-01T00:00:00Z")
    folder = save_session(tmp_path / "slide", record)
    assert sorted(file.name for file in folder.iterdir()) == ["objects.csv", "session.json"]
    [opened] = open_session(folder).planes
    assert opened.pieces[0].mask == mask
    assert opened.shape_yx == (side, side)
