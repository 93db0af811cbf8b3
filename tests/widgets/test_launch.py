"""The console command's window."""

from __future__ import annotations

import napari
import numpy as np
import pytest
import tifffile
from qtpy.QtWidgets import QApplication

from napari_samv1.layers.on_screen import camera_of
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
    assert active is panel.canvas.points
    assert active.mode == "add"
    assert "Click on an object" in panel.guide.text()


def test_the_image_is_whole_beside_the_docked_panel(
    launched, make_napari_viewer, monkeypatch, hand_on, qtbot
):
    monkeypatch.setattr(napari, "Viewer", lambda **options: make_napari_viewer(show=True))
    panel = launched()
    hand = hand_on(panel)
    corners = (-0.5, -0.5), (302.5, 383.5)

    def whole() -> bool:
        return all(hand.canvas.rect().contains(hand.at(*corner).toPoint()) for corner in corners)

    qtbot.wait(500)
    qtbot.waitUntil(whole)
    # what a person has zoomed into stays
    hand.click(100, 100)
    hand.zoom_out()
    zoomed = camera_of(panel.viewer).zoom
    panel.viewer.window.resize(1000, 700)
    qtbot.wait(200)
    assert camera_of(panel.viewer).zoom == zoomed


@pytest.mark.parametrize("moved", [False, True])
def test_docked_from_the_menu_the_view_is_fitted_unless_it_was_moved(
    moved, make_napari_viewer, discs, coins, hand_on, qtbot
):
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1000, 700)
    viewer.add_image(coins, name="coins")
    qtbot.wait(200)
    viewer.reset_view()
    if moved:
        camera_of(viewer).center = (0, 100, 100)
        camera_of(viewer).zoom = 7.0
    _, panel = viewer.window.add_plugin_dock_widget("napari-samv1", "Segment Anything")
    hand = hand_on(panel)
    qtbot.wait(500)
    if moved:
        assert camera_of(viewer).zoom == 7
    else:
        for corner in ((-0.5, -0.5), (302.5, 383.5)):
            assert hand.canvas.rect().contains(hand.at(*corner).toPoint())
    del hand, panel


def test_it_opens_the_files_given(launched, tmp_path):
    path = tmp_path / "noise.tif"
    tifffile.imwrite(path, np.random.default_rng(0).integers(0, 255, (64, 80), dtype=np.uint8))
    panel = launched([path])
    assert panel.image.layer.data.shape == (64, 80)


def test_the_channels_of_an_ome_tiff_are_layers_in_its_units(launched, tmp_path):
    path = tmp_path / "cells.ome.tif"
    metadata = {"axes": "CYX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5, "Channel": {"Name": ["a", "b"]}}
    pixels = np.random.default_rng(0).integers(0, 255, (2, 64, 80), dtype=np.uint8)
    tifffile.imwrite(path, pixels, ome=True, photometric="minisblack", metadata=metadata)
    panel = launched([path])
    images = [layer for layer in panel.viewer.layers if layer.name.startswith("cells ")]
    assert [layer.name for layer in images[:2]] == ["cells a", "cells b"]
    assert panel.image.layer is images[1]
    assert tuple(panel.canvas.points.scale) == (0.5, 0.5)


def test_model_and_device_are_for_this_time_only(launched):
    from napari_samv1.widgets.shared.remembered import recall

    before = recall()
    panel = launched(model="vit_b", device="cpu")
    assert panel.model_chooser.choices.model == "vit_b"
    assert panel.model_chooser.choices.device == "cpu"
    assert recall() == before
