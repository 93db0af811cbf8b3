"""The console command's window."""

from __future__ import annotations

import napari
import numpy as np
import pytest
import tifffile
from qtpy.QtWidgets import QApplication

from napari_samv1.widgets.launch import launch
from napari_samv1.widgets.panel.panel import open_panels


@pytest.fixture
def launched(make_napari_viewer, discs, monkeypatch):
    """Run the command with an event loop that only looks, on a viewer that is cleaned up."""
    monkeypatch.setattr(napari, "Viewer", lambda **options: make_napari_viewer())
    seen = []

    def start(*arguments, **options):
        def run():
            QApplication.processEvents()
            seen.extend(open_panels())

        assert launch(*arguments, run=run, **options) == 0
        [panel] = seen
        return panel

    return start


def test_without_files_it_shows_the_coins_ready_for_the_first_click(launched):
    panel = launched()
    assert panel.image.layer.name == "coins"
    active = panel.viewer.layers.selection.active
    assert active is panel.controller.binding.points
    assert active.mode == "add"
    assert "Click on an object" in panel.guide.text()


def test_the_image_is_whole_beside_the_docked_panel(
    launched, make_napari_viewer, monkeypatch, hand_on, qtbot
):
    monkeypatch.setattr(napari, "Viewer", lambda **options: make_napari_viewer(show=True))
    panel = launched()
    hand = hand_on(panel)
    qtbot.wait(500)
    for corner in ((-0.5, -0.5), (302.5, 383.5)):
        assert hand.canvas.rect().contains(hand.at(*corner).toPoint())


def test_it_opens_the_files_given(launched, tmp_path):
    path = tmp_path / "noise.tif"
    tifffile.imwrite(path, np.random.default_rng(0).integers(0, 255, (64, 80), dtype=np.uint8))
    panel = launched([path])
    assert panel.image.layer.data.shape == (64, 80)


def test_model_and_device_are_for_this_time_only(launched):
    from napari_samv1.widgets.shared.remembered import recall

    before = recall()
    panel = launched(model="vit_b", device="cpu")
    assert panel.model_chooser.choices.model == "vit_b"
    assert panel.model_chooser.choices.device == "cpu"
    assert recall() == before
