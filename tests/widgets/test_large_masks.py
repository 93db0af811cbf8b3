"""Brush, eraser, pick and undo on a slide of 100,000 x 100,000 pixels, with the real mouse in a window."""

from __future__ import annotations

import gc
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication

from napari_samv1.annotation import edits
from napari_samv1.annotation.pieces import Piece
from napari_samv1.layers.labels.pyramid import pyramid_of
from napari_samv1.layers.on_screen import camera_of
from napari_samv1.records.mask_crop import MaskCrop
from napari_samv1.records.place import Plane

SIDE = 100_000
LEFT = Qt.MouseButton.LeftButton


class Slide:
    """A level of a slide that is computed where it is read, and counts what is read of it."""

    def __init__(self, factor: int, read: list[int]) -> None:
        self.shape = (-(-SIDE // factor),) * 2
        self.ndim, self.dtype = 2, np.dtype(np.uint8)
        self.size = self.shape[0] ** 2
        self.factor, self._read = factor, read

    def __getitem__(self, key):
        rows, columns = (
            np.arange(*one.indices(size)) if isinstance(one, slice) else np.array([one])
            for one, size in zip(key, self.shape, strict=True)
        )
        self._read.append(rows.size * columns.size)
        y, x = (places * self.factor % 512 - 256 for places in (rows, columns))
        return (60 + 150 * (y[:, None] ** 2 + x[None] ** 2 < 200**2)).astype(np.uint8)

    def __array__(self, dtype=None, copy=None):
        return self[:, :]


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture
def slide(open_panel, hand_on, discs, qtbot):
    """The panel on a slide, zoomed in at its middle."""
    panel = open_panel()
    read: list[int] = []
    levels = [Slide(2**level, read) for level in range(9)]
    panel.viewer.add_image(levels, multiscale=True, contrast_limits=(0, 255), name="slide")
    QApplication.processEvents()
    look_at(panel.viewer, 50_000, 50_000, 1)
    yield SimpleNamespace(panel=panel, viewer=panel.viewer, hand=hand_on(panel), read=read)
    del panel
    gc.collect()


def look_at(viewer, y, x, zoom):
    camera = camera_of(viewer)
    camera.center, camera.zoom = (0, y, x), zoom
    QApplication.processEvents()


def test_brush_eraser_pick_and_undo_on_a_slide(slide, qtbot):
    panel, hand, binding = slide.panel, slide.hand, slide.panel.canvas
    before = resident_bytes()
    qtbot.mouseClick(panel.tools.brush, LEFT)
    assert panel.app.tools.tool == "brush"
    labels = binding.labels
    assert labels.data[0].shape == (SIDE, SIDE)
    assert pyramid_of(labels) is not None
    labels.brush_size = 21
    hand.drag((50_000, 49_900), (50_000, 50_100))
    mask = binding.document.pieces_of(1)[0].mask
    rows, columns = mask.region
    # the mouse moves by whole pixels of the screen
    assert abs(rows.start - 49_990) <= 1
    assert rows.stop - rows.start == 21
    assert abs(columns.start - 49_890) <= 1
    assert abs(columns.stop - 50_111) <= 1
    # a capsule, but for the steps in which the brush moves
    assert 21 * 200 < mask.area <= 21 * 222

    qtbot.mouseClick(panel.objects.next_object, LEFT)
    hand.drag((50_100, 49_900), (50_100, 50_100))
    assert sorted(binding.document.objects) == [1, 2]
    qtbot.mouseClick(panel.tools.pick, LEFT)
    hand.click(50_000, 50_000)
    qtbot.waitUntil(lambda: panel.app.tools.tool == "brush")
    assert binding.current.number == 1

    binding.viewer.layers.selection.active = labels
    labels.mode = "erase"
    hand.click(50_000, 50_000)
    assert binding.document.pieces_of(1)[0].mask.area < mask.area
    qtbot.keyClick(hand.canvas, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert binding.document.pieces_of(1)[0].mask == mask
    qtbot.keyClick(
        hand.canvas, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier
    )
    assert binding.document.pieces_of(1)[0].mask.area < mask.area
    assert resident_bytes() - before < 400 << 20


def test_thousands_of_objects_are_seen_at_every_zoom(slide, qtbot):
    binding = slide.panel.canvas
    binding.new_labels()
    y, x = np.mgrid[-200:201, -200:201]
    disc = y**2 + x**2 < 200**2
    plane = Plane((None, None))
    pieces = [
        Piece(
            number + 1,
            plane,
            mask=MaskCrop.from_mask(disc, (512 * (number // 50) + 38_456, 512 * (number % 50) + 38_456)),
        )
        for number in range(2500)
    ]
    assert binding.edits.do(edits.add(binding.document, pieces, label="objects")) == ""
    labels = binding.labels
    # the number of discs that a window of some hundred pixels shows
    for zoom, most in ((1.0, 12), (0.1, 400), (0.02, 2500)):
        look_at(slide.viewer, 51_000, 51_000, zoom)
        corner, end = labels.corner_pixels
        shown = np.asarray(labels.data[labels.data_level][corner[0] : end[0] + 1, corner[1] : end[1] + 1])
        assert shown.size < 1 << 23
        assert most / 12 < len(np.unique(shown)) - 1 <= most
    picture = slide.viewer.screenshot(canvas_only=False, flash=False)
    if folder := os.environ.get("PICTURES"):
        from imageio import imwrite

        imwrite(Path(folder) / "large.png", picture)
        look_at(slide.viewer, 50_000, 50_000, 0.6)
        imwrite(Path(folder) / "near.png", slide.viewer.screenshot(canvas_only=False, flash=False))
