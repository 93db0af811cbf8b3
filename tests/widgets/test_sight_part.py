"""The part "Model sees" with real keys and layers: stale where something changes, and kept in sessions."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QFileDialog

from napari_samv1.checkpoints.load import load_model
from napari_samv1.cli import main
from napari_samv1.engine.predictor import Predictor
from napari_samv1.records.sight import Sight
from napari_samv1.storage.session.folder import open_session
from session_steps import annotate_a_coin, click, wait_for_worker, wait_until_idle

COIN = (120, 175)


def choose(combo, title):
    """Choose an entry with the keyboard, past those in between."""
    combo.setFocus()
    steps = combo.findText(title) - combo.currentIndex()
    for _ in range(abs(steps)):
        QTest.keyClick(combo, Qt.Key.Key_Down if steps > 0 else Qt.Key.Key_Up)
    QApplication.processEvents()
    assert combo.currentText() == title


def type_in(box, text):
    box.selectAll()
    QTest.keyClicks(box.lineEdit(), text)
    QTest.keyClick(box, Qt.Key.Key_Return)


def encode(at, qtbot):
    click(qtbot, at.panel.encoding.encode)
    qtbot.waitUntil(lambda: at.panel.encoding.sentence.text() == "ready")
    return at.discs.encodings[-1]


@pytest.fixture
def two_channels(annotating, coins, qtbot):
    """The coins, and their negative in green as a second channel; the part is open."""
    annotating.other = annotating.viewer.add_image(
        (500 - 2.0 * coins).astype(np.float32), name="negative", colormap="green", blending="additive"
    )
    annotating.panel.image.layer = annotating.viewer.layers["coins"]
    click(qtbot, annotating.panel.sight_part.header)
    annotating.seen = annotating.panel.seen
    return annotating


def test_visible_channels_are_encoded_as_one_picture(two_channels, qtbot):
    at, panel = two_channels, two_channels.panel
    assert encode(at, qtbot)["shape"] == (303, 384)
    choose(at.seen.channels, "visible channels")
    assert panel.sight == Sight(channels="visible")
    qtbot.waitUntil(lambda: "channels changed since encoding" in panel.encoding.sentence.text())
    assert panel.sight_part.header.text() == "▾ Model sees: 2 channels, as displayed"
    assert at.seen.found.text().startswith("coins: ")
    assert "\nnegative: " in at.seen.found.text()
    assert encode(at, qtbot) == {"shape": (303, 384, 3), "intensity": None, "gamma": 1.0}


def test_a_channel_that_changes_makes_the_encoding_stale(two_channels, qtbot):
    at, sentence = two_channels, two_channels.panel.encoding.sentence
    choose(at.seen.channels, "visible channels")
    encode(at, qtbot)
    at.other.contrast_limits = (100, 200)
    qtbot.waitUntil(lambda: "contrast changed since encoding" in sentence.text())
    assert "negative: 100 to 200" in at.seen.found.text()
    encode(at, qtbot)
    at.other.visible = False
    qtbot.waitUntil(lambda: "channels changed since encoding" in sentence.text())
    assert "negative" not in at.seen.found.text()
    at.other.visible = True
    qtbot.waitUntil(lambda: sentence.text() == "ready")
    count = len(at.discs.encodings)
    # it stays in use until it is made anew
    at.other.visible = False
    click(qtbot, at.panel.tools.click)
    at.hand.click(*COIN)
    qtbot.waitUntil(lambda: at.binding.labels is not None, timeout=60_000)
    wait_until_idle(qtbot, at.panel)
    assert (at.binding.labels.data == 1).any()
    assert len(at.discs.encodings) == count


def test_limits_are_chosen_found_shown_and_stale_when_they_change(two_channels, qtbot, coins):
    at, panel = two_channels, two_channels.panel
    encode(at, qtbot)
    choose(at.seen.limits, "percentiles of the slice")
    qtbot.waitUntil(lambda: "contrast changed since encoding" in panel.encoding.sentence.text())
    assert at.seen.found.text() == "coins: found when it is encoded"
    low, high = np.percentile(coins, (0.1, 99.9))
    assert encode(at, qtbot)["intensity"] == pytest.approx((low, high))
    assert at.seen.found.text() == f"coins: {low:,.0f} to {high:,.0f}"

    type_in(at.seen.low, "50")
    assert panel.sight.percentiles == (50, 99.9)
    qtbot.waitUntil(lambda: "contrast changed since encoding" in panel.encoding.sentence.text())
    assert encode(at, qtbot)["intensity"] == pytest.approx((np.median(coins), high))

    # fixed numbers begin with what they were
    choose(at.seen.limits, "fixed")
    assert panel.sight.fixed == pytest.approx((np.median(coins), high))
    type_in(at.seen.low, "20")
    type_in(at.seen.high, "180")
    assert encode(at, qtbot)["intensity"] == (20, 180)
    assert panel.sight_part.header.text() == "▾ Model sees: the layer, fixed"
    # the contrast on the screen is nothing to them
    panel.canvas.image.contrast_limits = (5, 99)
    qtbot.wait(100)
    assert panel.encoding.sentence.text() == "ready"
    # the first number must be the smaller one
    type_in(at.seen.low, "300")
    assert (panel.sight.fixed, at.seen.low.value()) == ((20, 180), 20)


def test_a_script_says_what_the_model_sees(two_channels, qtbot):
    at = two_channels
    at.panel.sight = Sight("visible", "fixed", fixed=(0, 100))
    assert at.seen.channels.currentText() == "visible channels"
    assert at.seen.limits.currentText() == "fixed"
    assert at.seen.found.text() == "coins: 0 to 100\nnegative: 0 to 100"
    encode(at, qtbot)


@pytest.mark.usefixtures("short_sighted")
@pytest.mark.parametrize("detail", ["whole", 2.0])
def test_a_session_of_two_channels_is_replayed_and_opened_as_it_was(
    open_panel, hand_on, make_napari_viewer, coins, qtbot, tmp_path, monkeypatch, capsys, detail
):
    tifffile.imwrite(tmp_path / "coins.tif", coins)
    tifffile.imwrite(tmp_path / "negative.tif", (500 - 2 * coins.astype(np.int32)).astype(np.uint16))
    panel = open_panel()
    viewer = panel.viewer
    viewer.open([tmp_path / "coins.tif", tmp_path / "negative.tif"], stack=False)
    image, other = viewer.layers["coins"], viewer.layers["negative"]
    image.colormap, other.colormap, other.blending = "bop orange", "bop blue", "additive"
    other.contrast_limits = (50, 450)
    panel.image.layer = image
    panel.sight = Sight(channels="visible", limits="stack", percentiles=(1, 99))
    panel.app.set_detail(detail)
    hand = hand_on(panel)
    annotate_a_coin(qtbot, panel, hand)
    other.name = "renamed"

    folder = tmp_path / "session"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(folder), ""))
    click(qtbot, panel.session.save_as)
    wait_for_worker(qtbot, panel)
    record = open_session(folder)
    assert record.sight == panel.sight
    [plane] = record.planes
    [channel] = plane.channels
    assert channel.path == str(tmp_path / "negative.tif")
    [piece] = plane.pieces
    display = piece.answer.request.embedding_key.display
    assert [one.pixels for one in display.channels] == [plane.source.pixels, channel.pixels]
    assert (display.channels[0].low, display.channels[0].high) == pytest.approx(
        tuple(np.percentile(coins, (1, 99)))
    )
    assert main(["replay", str(folder)]) == 0
    assert "identical" in capsys.readouterr().out

    looks = [piece.mask, display]
    viewer.close()
    again = open_panel(make_napari_viewer(show=True))
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(folder))
    click(qtbot, again.session.open)
    qtbot.waitUntil(lambda: bool(again.canvas.images.with_pieces), timeout=60_000)
    wait_until_idle(qtbot, again)
    assert again.sight == record.sight
    assert "Not found" not in again.session.status.text()
    [piece] = again.canvas.shown.objects.values()
    click(qtbot, again.encoding.encode)
    qtbot.waitUntil(lambda: again.encoding.sentence.text().startswith("ready"), timeout=60_000)
    wait_until_idle(qtbot, again)
    [piece] = again.canvas.shown.objects.values()
    assert [piece.mask, piece.answer.request.embedding_key.display] == looks


@pytest.mark.usefixtures("short_sighted")
@pytest.mark.parametrize("detail", ["whole", 2.0])
def test_a_thick_slice_is_seen_annotated_in_the_middle_replayed_and_reopened(
    open_panel, hand_on, make_napari_viewer, coins, qtbot, tmp_path, monkeypatch, capsys, detail
):
    """Each slice holds a third of the coins: only the projection shows all."""
    thirds = np.zeros((5, *coins.shape), np.uint16)
    for z in range(5):
        thirds[z, z % 3 :: 3] = coins[z % 3 :: 3]
    tifffile.imwrite(tmp_path / "thirds.tif", thirds)
    panel = open_panel()
    viewer = panel.viewer
    viewer.open(tmp_path / "thirds.tif")
    image = panel.image.layer = viewer.layers["thirds"]
    image.contrast_limits = (0, 255)
    viewer.dims.set_point(0, 2)
    panel.app.set_detail(detail)
    click(qtbot, panel.tools.click)
    viewer.reset_view()
    qtbot.wait(60)
    click(qtbot, panel.encoding.encode)
    qtbot.waitUntil(lambda: panel.encoding.sentence.text().startswith("ready"), timeout=120_000)
    image.projection_mode = "max"
    viewer.dims.margin_left = viewer.dims.margin_right = (1, 0, 0)
    qtbot.waitUntil(lambda: "slices changed since encoding" in panel.encoding.sentence.text())
    assert panel.seen.found.text() == "thirds (max of 3 slices): 0 to 255"
    click(qtbot, panel.encoding.encode)
    qtbot.waitUntil(lambda: panel.encoding.sentence.text().startswith("ready"), timeout=120_000)
    hand_on(panel).click(56, 101)
    qtbot.waitUntil(lambda: panel.canvas.labels is not None, timeout=120_000)
    wait_until_idle(qtbot, panel)
    labels = panel.canvas.labels.data
    assert np.unique(np.nonzero(labels)[0]).tolist() == [2]
    # the coin, as it is found in the whole picture
    [piece] = panel.canvas.shown.objects.values()
    view = Predictor(load_model("tiny", device="cpu")).on_image(coins, intensity=(0.0, 255.0))
    prediction = view.answer(piece.prompts, detail)
    expected, mask = prediction.mask(prediction.best()), piece.mask.to_mask(coins.shape)
    assert (expected & mask).sum() > 0.99 * (expected | mask).sum()

    folder = tmp_path / "session"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(folder), ""))
    click(qtbot, panel.session.save_as)
    wait_for_worker(qtbot, panel)
    assert main(["replay", str(folder)]) == 0
    assert "identical" in capsys.readouterr().out
    # without the slices around it, it cannot be repeated, and that is said
    tifffile.imwrite(tmp_path / "slice.tif", thirds[2])
    assert main(["replay", str(folder), "--image", str(tmp_path / "slice.tif")]) != 0
    said = capsys.readouterr()
    assert "the model saw several slices" in said.out + said.err

    # in another napari, and in this one with a slider of one slice, it goes on with three
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(folder))
    viewer.dims.margin_left = viewer.dims.margin_right = (0, 0, 0)
    image.projection_mode = "none"
    click(qtbot, panel.session.open)
    qtbot.waitUntil(lambda: "Opened" in panel.session.status.text(), timeout=60_000)
    assert (str(image.projection_mode), viewer.dims.thickness) == ("max", (2, 0, 0))
    viewer.close()
    again = open_panel(make_napari_viewer(show=True))
    click(qtbot, again.session.open)
    qtbot.waitUntil(lambda: "Opened" in again.session.status.text(), timeout=60_000)
    wait_until_idle(qtbot, again)
    assert again.viewer.dims.thickness == (2, 0, 0)
    click(qtbot, again.encoding.encode)
    qtbot.waitUntil(lambda: again.encoding.sentence.text().startswith("ready"), timeout=60_000)
    assert again.seen.found.text() == "thirds (max of 3 slices): 0 to 255"
    [reopened] = again.canvas.shown.objects.values()
    assert reopened.mask == piece.mask


def test_a_channel_that_is_gone_is_named_and_the_rest_is_opened(
    annotating, open_panel, discs, coins, qtbot, tmp_path, monkeypatch
):
    tifffile.imwrite(tmp_path / "negative.tif", 255 - coins)
    at, panel = annotating, annotating.panel
    at.viewer.open(tmp_path / "negative.tif")
    panel.image.layer = at.viewer.layers["coins"]
    panel.sight = Sight(channels="visible")
    click(qtbot, panel.tools.click)
    at.hand.click(*COIN)
    qtbot.waitUntil(lambda: panel.canvas.labels is not None, timeout=60_000)
    wait_until_idle(qtbot, panel)
    folder = tmp_path / "session"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(folder), ""))
    click(qtbot, panel.session.save_as)
    wait_for_worker(qtbot, panel)
    (tmp_path / "negative.tif").unlink()
    at.viewer.layers.remove("negative")
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(folder))
    click(qtbot, panel.session.open)
    qtbot.waitUntil(lambda: "Not found: channel “negative”" in panel.session.status.text(), timeout=60_000)
    assert 1 in panel.canvas.document.objects
    # saved again, the session still knows it
    click(qtbot, panel.session.save_again)
    wait_for_worker(qtbot, panel)
    assert [one.name for one in open_session(folder).planes[0].channels] == ["negative"]
