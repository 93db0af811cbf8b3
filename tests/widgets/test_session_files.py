"""Save, open and export with real clicks; the native dialogs are answered by the tests."""

from __future__ import annotations

import csv
import json
import sys
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from napari.layers import Image
from qtpy.QtGui import QImage
from qtpy.QtWidgets import QFileDialog

from napari_samv1.storage.session.autosave import autosave_root
from napari_samv1.storage.session.recovery import recoverable
from napari_samv1.widgets.panel import candidate_pictures
from napari_samv1.widgets.panel.session_exports import EXPORTS
from session_steps import (
    COIN,
    annotate,
    assert_same_picture,
    click,
    picture,
    press,
    wait_for_worker,
    wait_until_autosaved,
    wait_until_idle,
)


class Answers(list):
    """Answers to be given, and what was asked for them."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple] = []


@pytest.fixture
def answers(monkeypatch):
    """What the next dialogs are answered."""
    given = Answers()
    asked = given.asked

    def save(_parent, _title, suggested, filters):
        asked.append((suggested, filters))
        return given.pop(0), filters.split(";;")[0]

    def folder(_parent, _title, start):
        asked.append((start,))
        return given.pop(0)

    monkeypatch.setattr(QFileDialog, "getSaveFileName", save)
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", folder)
    return given


def shown_pictures(panel) -> np.ndarray:
    """The pixels of the four candidates' buttons."""
    images = [
        one.grab().toImage().convertToFormat(QImage.Format.Format_RGB32)
        for one in panel.mask_choice.candidates
    ]
    return np.array([[image.pixel(x, y) for y in range(4, 52) for x in range(4, 52)] for image in images])


def said(panel) -> str:
    return panel.session.status.text()


def save_as(qtbot, panel, answers, folder) -> None:
    answers.append(str(folder))
    click(qtbot, panel.session.save_as)
    wait_for_worker(qtbot, panel)


def open_folder(qtbot, panel, answers, folder) -> None:
    answers.append(str(folder))
    click(qtbot, panel.session.open)
    wait_for_worker(qtbot, panel)
    wait_for_worker(qtbot, panel)


def test_saving_and_opening_with_the_buttons(annotating, open_panel, discs, coins, answers, qtbot, tmp_path):
    panel, session = annotating.panel, annotating.panel.session
    click(qtbot, session.save_as)
    assert said(panel) == "There is nothing to save yet: point at an object first."
    annotate(qtbot, annotating)

    foreign = tmp_path / "holiday"
    foreign.mkdir()
    (foreign / "beach.jpg").write_bytes(b"waves")
    save_as(qtbot, panel, answers, foreign)
    assert "holds other files (beach.jpg): choose an empty or a new folder" in panel.message.text()
    assert list(foreign.iterdir()) == [foreign / "beach.jpg"]

    folder = tmp_path / "coins session"
    save_as(qtbot, panel, answers, folder)
    assert panel.message.text() == ""
    assert said(panel) == "Saved in “coins session”: 2 objects. All is saved."
    np.testing.assert_array_equal(tifffile.imread(folder / "labels.tif"), annotating.binding.labels.data)
    assert len((folder / "points.csv").read_text().splitlines()) == 1 + 3

    # an edit later it is not saved any more, and "Save" asks nothing
    annotating.hand.click(COIN[0] - 10, COIN[1])
    wait_until_idle(qtbot, panel)
    wait_until_autosaved(qtbot, panel)
    assert said(panel).endswith("Autosaved, not saved yet.")
    annotating.binding.current.number = 1
    click(qtbot, session.save_again)
    wait_for_worker(qtbot, panel)
    assert session.keeper.is_saved
    assert not list((autosave_root()).iterdir())  # even a kill would leave nothing to be offered

    # another session's folder is asked about
    other = tmp_path / "other session"
    other.mkdir()
    (other / "session.json").write_text((folder / "session.json").read_text())
    save_as(qtbot, panel, answers, other)
    assert "“other session” holds a session already." in session.card.sentence.text()
    press(qtbot, panel, "Cancel")
    assert session.keeper.folder == folder

    before, decoded = picture(annotating.binding), len(discs.decoded)
    annotating.viewer.close()
    assert recoverable() == []  # all was saved

    panel = open_panel()
    panel.viewer.add_image(coins, name="renamed")
    open_folder(qtbot, panel, answers, folder)
    assert said(panel) == "Opened “coins session”: 2 objects. All is saved."
    wait_until_idle(qtbot, panel)
    assert_same_picture(picture(panel.canvas), before)
    assert len(discs.decoded) == decoded
    assert panel.session.keeper.folder == folder
    panel.viewer.close()
    assert recoverable() == []  # nothing was edited


def test_an_opened_object_shows_its_candidates_and_logits_once_it_is_picked(
    annotating, open_panel, discs, coins, answers, qtbot, tmp_path
):
    annotate(qtbot, annotating)
    annotating.binding.current.number = 2
    qtbot.wait(100)
    before = shown_pictures(annotating.panel)
    save_as(qtbot, annotating.panel, answers, tmp_path / "s")
    annotating.viewer.close()

    encodings = len(discs.encodings)
    panel = open_panel()
    panel.viewer.add_image(coins, name="coins")
    open_folder(qtbot, panel, answers, tmp_path / "s")
    wait_until_idle(qtbot, panel)
    as_saved = picture(panel.canvas)
    click(qtbot, panel.settings.logits)
    assert panel.settings.logits.isChecked()
    panel.app.pick_object(2)
    wait_until_idle(qtbot, panel)
    qtbot.wait(100)
    assert len(discs.encodings) == encodings + 1
    np.testing.assert_array_equal(shown_pictures(panel), before)
    [logits] = [layer for layer in panel.viewer.layers if layer.name == "coins logits"]
    assert logits.data.max() > 0
    # what was opened is as it was, and is still saved
    assert_same_picture(picture(panel.canvas), as_saved)
    assert panel.session.keeper.is_saved
    # the slice is encoded: the other object needs a decoding only
    panel.app.pick_object(1)
    wait_until_idle(qtbot, panel)
    qtbot.wait(100)
    assert len(discs.encodings) == encodings + 1


def test_logits_that_cannot_be_had_are_explained(
    annotating, open_panel, discs, coins, answers, qtbot, tmp_path, monkeypatch
):
    annotate(qtbot, annotating)
    save_as(qtbot, annotating.panel, answers, tmp_path / "s")
    annotating.viewer.close()

    discs.model.sha256 = "1" * 64  # another model
    panel = open_panel()
    panel.viewer.add_image(coins, name="coins")
    open_folder(qtbot, panel, answers, tmp_path / "s")
    as_saved = picture(panel.canvas)
    panel.app.pick_object(2)
    wait_until_idle(qtbot, panel)
    assert_same_picture(picture(panel.canvas), as_saved)  # nobody asked for another mask
    told: list[str] = []
    monkeypatch.setattr(candidate_pictures, "show_info", told.append)
    click(qtbot, panel.settings.logits)
    [sentence] = told
    assert "press Encode" in sentence


def test_an_image_with_other_pixels_is_never_taken_in_silence(
    annotating, open_panel, coins, answers, qtbot, tmp_path
):
    annotate(qtbot, annotating)
    save_as(qtbot, annotating.panel, answers, tmp_path / "s")
    before = picture(annotating.binding)
    annotating.viewer.close()

    panel = open_panel()
    binding, card = panel.canvas, panel.session.card
    panel.viewer.add_image(coins[:-1], name="coins")
    open_folder(qtbot, panel, answers, tmp_path / "s")
    assert card.sentence.text().startswith(
        "This session needs image “coins” (303 x 384, uint8). "
        "The session does not record where image coins came from."
    )
    brighter = panel.viewer.add_image(coins // 2, name="brighter")
    press(qtbot, panel, "Try again")
    wait_for_worker(qtbot, panel)
    assert (
        "Image “brighter” holds other pixels than the annotated “coins” (303 x 384, uint8)"
        in card.sentence.text()
    )
    press(qtbot, panel, "No")
    assert binding.shown is None or not binding.shown.objects
    assert card.sentence.text().startswith("This session needs image “coins”")
    press(qtbot, panel, "Try again")
    press(qtbot, panel, "Use this image")
    assert binding.image is brighter
    assert_same_picture(picture(binding), before)


def test_the_image_is_opened_from_where_it_came(open_panel, discs, coins, qtbot, tmp_path):
    tifffile.imwrite(tmp_path / "my coins.tif", coins)
    panel = open_panel()
    [image] = panel.viewer.open(str(tmp_path / "my coins.tif"), plugin="napari")
    image.scale = (0.5, 0.5)
    image.contrast_limits = (10, 200)
    click(qtbot, panel.tools.click)
    binding = panel.canvas
    binding.points.add(COIN)
    qtbot.waitUntil(lambda: binding.labels is not None, timeout=60_000)
    wait_until_idle(qtbot, panel)
    before = picture(binding)
    panel.viewer.close()

    panel = open_panel()
    press(qtbot, panel, "Restore")
    binding = panel.canvas
    qtbot.waitUntil(lambda: bool(binding.shown and binding.shown.objects), timeout=60_000)
    assert_same_picture(picture(binding), before)
    assert isinstance(binding.image, Image)
    assert tuple(binding.image.scale) == (0.5, 0.5)
    assert [layer.name for layer in panel.viewer.layers] == [
        "my coins",
        "my coins objects",
        "my coins points",
    ]


def test_exports(annotating, answers, coins, qtbot, tmp_path, monkeypatch):
    panel, session = annotating.panel, annotating.panel.session
    annotate(qtbot, annotating)
    assert session.export.isVisible()
    assert session.save_as.isVisible()

    def export(name: str) -> str:
        answers.append(str(tmp_path / name))
        click(qtbot, session.export)
        wait_for_worker(qtbot, panel)
        return said(panel)

    assert "Exported “masks.tif”" in export("masks.tif")
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "masks.tif"), annotating.binding.labels.data)
    assert export("masks.json").startswith("Exported “masks.json”.")
    assert len(json.loads((tmp_path / "masks.json").read_text())["annotations"]) == 2
    assert "Exported “masks.geojson”." in export("masks.geojson")
    assert len(json.loads((tmp_path / "masks.geojson").read_text())["features"]) == 2
    export("masks.csv")
    with (tmp_path / "masks.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    mask = annotating.binding.labels.data == 1
    assert [row["object"] for row in rows] == ["1", "2"]
    assert float(rows[0]["intensity_sum"]) == pytest.approx(coins[mask].sum(dtype=float))
    # what was typed stays, and without an ending the dialog's format is added
    export("n.TIFF")
    assert (tmp_path / "n.TIFF").exists()
    export("n.png")
    assert "“.png” is no export format: end the name in one of .tif" in panel.message.text()
    assert not list(tmp_path.glob("n.png*"))
    assert "Exported “plain.tif”" in export("plain")
    assert panel.message.text() == ""
    (tmp_path / "plain.tif").write_text("precious")
    export("plain")  # the dialog could not ask about this name
    assert session.card.sentence.text() == "plain.tif exists already. Replace?"
    press(qtbot, panel, "Cancel")
    assert (tmp_path / "plain.tif").read_text() == "precious"
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "zarr", None)
        export("masks.zarr")
    assert panel.message.text() == "OME-Zarr needs the package zarr: run `pip install 'napari-samv1[zarr]'`."
    if "zarr" in sys.modules:
        export("masks.zarr")
        assert (tmp_path / "masks.zarr" / "zarr.json").exists()
        assert panel.message.text() == ""
    answers.append("")
    click(qtbot, session.export)  # thought better of it
    # not saved: an export holds no prompts
    assert not session.keeper.is_saved

    # one file for each plane, where the format holds one
    record = session.keeper.current()
    [geojson] = [export for export in EXPORTS if ".geojson" in export.endings]
    both = replace(record, images=record.images * 2)
    assert geojson.write(tmp_path / "two.geojson", both) == [
        tmp_path / "two-1.geojson",
        tmp_path / "two-2.geojson",
    ]
    assert (tmp_path / "two-2.geojson").exists()
    assert not (tmp_path / "two.geojson").exists()


def test_open_session_begins_where_the_last_one_was(annotating, open_panel, answers, qtbot, tmp_path):
    annotate(qtbot, annotating)
    (tmp_path / "sessions").mkdir()
    save_as(qtbot, annotating.panel, answers, tmp_path / "sessions" / "s")
    annotating.viewer.close()
    panel = open_panel()
    answers.append("")
    click(qtbot, panel.session.open)
    assert answers.asked[-1] == (str(tmp_path / "sessions"),)


def test_what_was_annotated_on_an_image_that_is_closed_is_offered_back(annotating, qtbot):
    annotate(qtbot, annotating)
    wait_until_autosaved(qtbot, annotating.panel)
    annotating.viewer.layers.clear()
    qtbot.wait(300)
    [left] = recoverable()
    assert left.record is not None
    assert left.record.object_count == 2
    assert all(not known.mask.empty for known in left.record.planes[0].pieces)


def test_autosave_that_fails_is_said_in_the_panel(annotating, qtbot, tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    monkeypatch.setenv("NAPARI_SAMV1_STATE", str(blocked))
    annotate(qtbot, annotating)
    qtbot.waitUntil(
        lambda: "Autosave failed, save the session yourself" in annotating.panel.message.text(),
        timeout=60_000,
    )
    assert annotating.panel.message.isVisible()
