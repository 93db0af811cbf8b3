"""Models in the panel: loading, choosing, fetching."""

from __future__ import annotations

import threading

import pytest
import torch
from qtpy.QtCore import Qt

from discs import DiscPredictor
from napari_samv1.app import models
from napari_samv1.app.models import Choices, ReadyModel
from napari_samv1.app.worker import Ticket
from napari_samv1.checkpoints.meta_keys import to_published
from napari_samv1.checkpoints.registry import MODELS
from napari_samv1.model.config import SamConfig
from napari_samv1.model.sam import Sam
from napari_samv1.widgets.shared.remembered import recall


@pytest.fixture
def weight_file(tmp_path):
    """A small network with random weights, in the published form."""
    config = SamConfig(width=32, depth=4, heads=2, grid=8, window=4)
    path = tmp_path / "small.pth"
    torch.save(to_published(Sam(config).state_dict(), config), path)
    return path


def test_a_file_of_ones_own_is_loaded_and_encodes_the_image(open_panel, weight_file, coins, qtbot):
    panel = open_panel()
    panel.viewer.add_image(coins)
    panel.model_chooser.choose_file(weight_file)
    qtbot.waitUntil(lambda: "Loaded on" in panel.model_chooser.status.text(), timeout=60_000)
    panel.app.encode()
    qtbot.waitUntil(lambda: panel.encoding.sentence.text() == "ready", timeout=60_000)
    assert recall().model == str(weight_file)


def test_a_file_that_is_no_model_is_told_in_a_sentence(open_panel, tmp_path, coins, qtbot):
    path = tmp_path / "letter.pth"
    path.write_text("Dear model")
    panel = open_panel()
    panel.viewer.add_image(coins)
    panel.model_chooser.choose_file(path)
    qtbot.waitUntil(lambda: "letter.pth" in panel.message.text(), timeout=60_000)
    assert panel.app.encoder.model is None
    assert panel.model_chooser.status.text() == panel.message.text()


def test_another_model_forgets_what_the_first_one_encoded(open_panel, discs, coins, qtbot):
    panel = open_panel()
    panel.viewer.add_image(coins)
    panel.app.encode()
    qtbot.waitUntil(lambda: panel.encoding.sentence.text() == "ready")
    panel.model_chooser.device.setCurrentText("cpu")
    panel.model_chooser.device.activated.emit(1)
    qtbot.waitUntil(lambda: panel.encoding.sentence.text().startswith("not encoded"))


def test_a_model_is_downloaded_from_the_panel_and_then_loaded(open_panel, discs, coins, monkeypatch, qtbot):
    gate, on_disk = threading.Event(), []

    def download(name: str, ticket: Ticket) -> str:
        ticket.report((100_000_000, 375_000_000))
        gate.wait(10)
        on_disk.append(name)
        return name

    monkeypatch.setattr(models, "download", download)
    monkeypatch.setattr(type(MODELS["vit_b"]), "is_on_disk", property(lambda row: row.name in on_disk))
    panel = open_panel()
    panel.viewer.add_image(coins)
    chooser = panel.model_chooser
    chooser.model.setCurrentIndex(chooser.model.findData("vit_b"))
    chooser.model.activated.emit(chooser.model.currentIndex())
    assert "press Download" in panel.guide.text()
    assert panel.model_part.open
    qtbot.mouseClick(chooser.download, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: "100 of 375 MB" in chooser.progress.format())
    gate.set()
    qtbot.waitUntil(lambda: panel.app.encoder.model is not None)
    assert panel.app.encoder.model.choices.model == "vit_b"
    assert not chooser.progress.isVisible()
    assert chooser.model.currentText() == "vit_b  (on disk)"


def test_a_cancelled_download_can_begin_again(open_panel, discs, monkeypatch, qtbot):
    def download(name: str, ticket: Ticket) -> str:
        while True:
            ticket.report((1, 375_000_000))
            threading.Event().wait(0.1)  # a busy machine shows each of them

    monkeypatch.setattr(models, "download", download)
    panel = open_panel()
    chooser = panel.model_chooser
    chooser.model.setCurrentIndex(chooser.model.findData("vit_b"))
    chooser.model.activated.emit(chooser.model.currentIndex())
    qtbot.mouseClick(chooser.download, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: "of 375 MB" in chooser.progress.format(), timeout=30_000)
    qtbot.mouseClick(chooser.cancel, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: chooser.download.isVisible(), timeout=30_000)


def test_a_download_that_has_not_begun_can_be_cancelled(open_panel, discs, monkeypatch, qtbot):
    other, begun = threading.Event(), []

    def download(name: str, ticket: Ticket) -> str:
        begun.append(name)
        other.wait(30)
        return name

    monkeypatch.setattr(models, "download", download)
    panel = open_panel()
    chooser = panel.model_chooser
    panel.app.download("vit_l")  # keeps the thread busy
    qtbot.waitUntil(lambda: begun == ["vit_l"], timeout=30_000)
    chooser.model.setCurrentIndex(chooser.model.findData("vit_b"))
    chooser.model.activated.emit(chooser.model.currentIndex())
    panel.app.download("vit_b")
    qtbot.mouseClick(chooser.cancel, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: chooser.download.isVisible(), timeout=30_000)
    other.set()
    assert begun == ["vit_l"]


def test_the_panel_opens_with_the_last_choice(open_panel, discs, monkeypatch):
    from napari_samv1.widgets.panel import panel as panel_module

    monkeypatch.setattr(panel_module, "recall", lambda: Choices(model="tiny", device="cpu"))
    assert open_panel().model_chooser.choices.device == "cpu"


@pytest.mark.parametrize("fails_in", ["encoding", "decoding"])
def test_where_the_card_fails_the_model_goes_on_on_the_cpu_and_says_so(
    open_panel, hand_on, coins, qtbot, monkeypatch, fails_in
):
    class Failing(DiscPredictor):
        def embed(self, *given, **named):
            if fails_in == "encoding":
                raise RuntimeError("CUDA error: unspecified launch failure")
            return super().embed(*given, **named)

        def answer_each(self, *given, **named):
            raise RuntimeError("CUDA error: unspecified launch failure")

    def load(choices, _ticket):
        return ReadyModel(choices, DiscPredictor() if choices.device == "cpu" else Failing(), rate=1e12)

    monkeypatch.setattr(models, "load", load)
    before = recall()
    panel = open_panel()
    panel.viewer.add_image(coins)
    qtbot.mouseClick(panel.tools.click, Qt.MouseButton.LeftButton)
    panel.viewer.reset_view()
    qtbot.wait(60)
    told = []
    panel.app.on_change(lambda _old, new: told.append(new.message))
    hand_on(panel).click(120, 175)
    pieces_of = panel.canvas.document.pieces_of
    qtbot.waitUntil(lambda: any(piece.mask.area for piece in pieces_of(1)), timeout=60_000)
    assert any("The graphics card failed (CUDA error: unspecified" in one for one in told)
    assert panel.model_chooser.device.currentText() == "cpu"
    assert panel.app.encoder.choices.device == "cpu"
    # the card is tried again when napari starts again
    assert recall() == before
