"""Detail follows the screen: in the real window, with the bundled model and an image larger than a region."""

from __future__ import annotations

import time
from threading import Event
from types import SimpleNamespace

import numpy as np
import pytest
from napari.layers import Points
from qtpy.QtWidgets import QFileDialog
from skimage.draw import disk

from napari_samv1.app.encoding import Encoding
from napari_samv1.app.worker import JobCancelled
from napari_samv1.cli import main
from napari_samv1.engine import plane_pixels
from napari_samv1.engine.view import ImageView
from napari_samv1.layers.ome_tiff import open_file
from napari_samv1.storage.session.folder import open_session
from session_steps import click, wait_for_worker, wait_until_idle

HW = (450, 620)
CENTRES = [(y, x) for y in range(70, 430, 80) for x in range(70, 600, 80)]
MIDDLE, BESIDE = (230, 310), (150, 390)


@pytest.fixture
def dotted(tmp_path):
    image = np.random.default_rng(0).normal(30, 4, HW)
    for place, (y, x) in enumerate(CENTRES):
        image[disk((y, x), 14)] += 60 + 10 * (place % 8)
    path = tmp_path / "dotted.npy"
    np.save(path, image.clip(0, 255).astype(np.uint8))
    return path


@pytest.fixture
def sampled(monkeypatch):
    """Calls that read the sample by which all regions of a plane are displayed."""
    calls, real = [], plane_pixels.plane_sample
    monkeypatch.setattr(plane_pixels, "plane_sample", lambda *given: calls.append(given) or real(*given))
    return calls


@pytest.fixture
def zoomed(short_sighted, open_panel, hand_on, dotted, qtbot):
    """The panel on that image, zoomed in so far that a region is about what the screen shows."""
    panel = open_panel()
    open_file(panel.viewer, dotted)
    click(qtbot, panel.tools.click)
    qtbot.waitUntil(lambda: panel.app.state.model.is_loaded, timeout=60_000)
    panel.viewer.reset_view()
    hand = hand_on(panel)
    hand.zoom_to(3.2, MIDDLE)
    return SimpleNamespace(panel=panel, app=panel.app, viewer=panel.viewer, hand=hand)


def _segmented(zoomed, qtbot):
    qtbot.waitUntil(lambda: zoomed.app.state.piece is not None, timeout=60_000)
    wait_until_idle(qtbot, zoomed.panel)
    piece = zoomed.app.state.piece
    return piece, piece.answer.request.embedding_key.frame


def test_a_click_is_answered_at_the_detail_of_the_screen(zoomed, qtbot):
    assert zoomed.app.state.detail == 1.0
    zoomed.hand.click(*MIDDLE)
    piece, frame = _segmented(zoomed, qtbot)
    assert piece.settings.detail == 1.0
    # the region of the native grid whose middle is nearest: 224 a side, half over each other
    assert frame.window_yxhw == (112, 224, 224, 224)
    (top, left), (height, width) = piece.mask.origin_yx, piece.mask.mask.shape
    assert abs(top - 216) <= 3
    assert abs(left - 296) <= 3
    assert abs(height - 28) <= 5
    assert abs(width - 28) <= 5
    # the screen shows all of it again; the object keeps its detail, and the next one has another
    zoomed.hand.zoom_to(0.4, MIDDLE)
    assert zoomed.app.state.detail == 1.0
    click(qtbot, zoomed.panel.objects.next_object)
    assert zoomed.app.state.detail == "whole"
    zoomed.hand.click(230, 390)
    piece, frame = _segmented(zoomed, qtbot)
    assert piece.settings.detail == "whole"
    assert frame.window_yxhw == (0, 0, *HW)


def test_another_detail_is_asked_for_and_taken_back(zoomed, qtbot):
    zoomed.hand.click(*MIDDLE)
    before, _ = _segmented(zoomed, qtbot)
    assert zoomed.panel.detail.value == 1.0
    zoomed.panel.detail.value = "whole"
    piece, frame = _segmented(zoomed, qtbot)
    assert (piece.settings.detail, frame.window_yxhw) == ("whole", (0, 0, *HW))
    assert zoomed.panel.asdict()["detail"] == "whole"
    click(qtbot, zoomed.panel.objects.undo)
    piece, frame = _segmented(zoomed, qtbot)
    assert (piece.settings.detail, frame.window_yxhw) == (1.0, (112, 224, 224, 224))
    assert piece.mask == before.mask


def test_regions_on_the_screen_are_encoded_ahead_and_outlined(zoomed, qtbot):
    zoomed.hand.click(*MIDDLE)
    _segmented(zoomed, qtbot)
    qtbot.waitUntil(lambda: len(zoomed.app.state.windows) > 2, timeout=60_000)
    layers = [layer.name for layer in zoomed.viewer.layers]
    active = zoomed.viewer.layers.selection.active
    click(qtbot, zoomed.panel.settings.regions)
    assert [layer.name for layer in zoomed.viewer.layers][-1] == "encoded regions"
    assert zoomed.viewer.layers.selection.active is active
    assert isinstance(active, Points)
    assert zoomed.panel.shapes.layer is None
    click(qtbot, zoomed.panel.settings.regions)
    assert [layer.name for layer in zoomed.viewer.layers] == layers


def test_regions_ahead_are_cancelled_when_the_view_moves(zoomed, qtbot, monkeypatch):
    begun, cancelled = [], []

    def endless(_view, window, on_progress):
        begun.append(window)
        try:
            while True:
                on_progress(0, 8)
                time.sleep(0.01)
        except JobCancelled:
            cancelled.append(window)
            raise

    zoomed.hand.click(*MIDDLE)
    _segmented(zoomed, qtbot)
    monkeypatch.setattr(ImageView, "encode", endless)
    zoomed.hand.zoom_to(3.2, (230, 450))
    qtbot.waitUntil(lambda: any(left > 310 for _, left, _, _ in begun), timeout=60_000)
    zoomed.hand.zoom_to(3.2, (230, 150))
    qtbot.waitUntil(lambda: begun[-1][1] + begun[-1][3] <= 450, timeout=60_000)
    assert cancelled == begun[:-1]
    zoomed.app.encoder.stop_ahead()


def test_a_window_goes_on_while_the_first_region_is_encoded(sampled, zoomed, qtbot, monkeypatch):
    goes_on, encode = Event(), ImageView.encode
    # while the view rests, before any click
    qtbot.waitUntil(lambda: len(sampled) == 1, timeout=60_000)

    def held_up(view, window, on_progress=None):
        assert goes_on.wait(60)
        return encode(view, window, on_progress)

    monkeypatch.setattr(ImageView, "encode", held_up)
    zoomed.hand.click(*MIDDLE)
    qtbot.waitUntil(lambda: zoomed.panel.canvas.labels is not None, timeout=60_000)
    assert zoomed.app.state.piece.pending
    zoomed.hand.zoom_to(3.4, MIDDLE)
    goes_on.set()
    piece, _ = _segmented(zoomed, qtbot)
    assert not piece.mask.empty
    assert len(sampled) == 1


def test_limits_found_ahead_follow_the_contrast(sampled, zoomed, qtbot):
    qtbot.waitUntil(lambda: len(sampled) == 1, timeout=60_000)
    zoomed.panel.canvas.image.contrast_limits = (0, 120)
    qtbot.waitUntil(lambda: len(sampled) == 2, timeout=60_000)
    zoomed.hand.click(*MIDDLE)
    piece, _ = _segmented(zoomed, qtbot)
    assert piece.answer.request.embedding_key.intensity == (0, 120)
    assert zoomed.app.state.encoding.state is Encoding.READY


def test_a_session_with_regions_is_replayed_bit_for_bit(zoomed, qtbot, tmp_path, monkeypatch, capsys):
    for place in (MIDDLE, BESIDE):
        zoomed.hand.click(*place)
        _segmented(zoomed, qtbot)
        click(qtbot, zoomed.panel.objects.next_object)
    folder = tmp_path / "session"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(folder), ""))
    click(qtbot, zoomed.panel.session.save_as)
    wait_for_worker(qtbot, zoomed.panel)
    [plane] = open_session(folder).planes
    assert [piece.settings.detail for piece in plane.pieces] == [1.0, 1.0]
    assert all(piece.answer.request.embedding_key.limits is not None for piece in plane.pieces)
    assert main(["replay", str(folder)]) == 0
    assert capsys.readouterr().out.count("identical") >= 2


def test_an_image_that_a_region_holds_offers_no_detail(annotating, qtbot):
    """The model of this test sees 256 pixels."""
    annotating.viewer.layers.clear()
    annotating.viewer.add_image(np.zeros((200, 250), np.uint8), name="small")
    annotating.hand.click(60, 60)
    wait_until_idle(qtbot, annotating.panel)
    assert annotating.panel.settings.detail_row.isHidden()
    assert annotating.panel.app.state.detail == "whole"
