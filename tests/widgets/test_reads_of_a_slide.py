"""A slide of 50,000 x 50,000 pixels in the real window: who reads it, where, and how much."""

from __future__ import annotations

import math
import sys
import threading

import dask
import dask.array
import numpy as np
import pytest

import napari_samv1
from lazy import CountingArray, pyramid
from napari_samv1.app.actions import UNDO
from session_steps import click, wait_until_idle

pytestmark = pytest.mark.usefixtures("short_sighted")

SIDE = 50_000
PITCH, RADIUS = 125, 30
PACKAGE = napari_samv1.__path__[0]
REGION = 224 * 224


def discs(y, x):
    away = (y % PITCH - PITCH // 2) ** 2 + (x % PITCH - PITCH // 2) ** 2
    return 40 + 140 * (away < RADIUS**2) + (7 * y + 13 * x) % 31


class Watched(CountingArray):
    """Notes the reads of the package: on the main thread or not, and their pixels."""

    def __init__(self, level, noted):
        super().__init__(level.shape, level.function, level.dtype)
        self.noted = noted

    def __getitem__(self, cut):
        pixels = super().__getitem__(cut)
        if _is_of_the_package(sys._getframe(1)):
            is_main = threading.current_thread() is threading.main_thread()
            self.noted.append((is_main, math.prod(pixels.shape)))
        return pixels


class Remote(CountingArray):
    """Fails where the package reads, for as long as ``fails`` holds something."""

    def __init__(self, level, fails):
        super().__init__(level.shape, level.function, level.dtype)
        self.fails = fails

    def __getitem__(self, cut):
        if self.fails and _is_of_the_package(sys._getframe(1)):
            raise OSError("connection reset by peer")
        return super().__getitem__(cut)


def _is_of_the_package(frame):
    """True if one of our files called, and napari's own drawing is not between."""
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith(PACKAGE):
            return True
        if "/napari/layers/base/" in name.replace("\\", "/"):
            return False  # napari slices what it shows
        frame = frame.f_back
    return False


@pytest.fixture
def slide(open_panel, hand_on, qtbot):
    """The panel on the slide; dask reads on the thread that asks, so that the thread says who asked."""
    with dask.config.set(scheduler="synchronous"):
        yield _opened(open_panel(), hand_on, qtbot)


def _opened(panel, hand_on, qtbot):
    noted = []
    levels = [
        dask.array.from_array(Watched(level, noted), chunks=256, asarray=False)
        for level in pyramid((SIDE, SIDE), discs, 8)
    ]
    panel.viewer.add_image(levels, name="slide", multiscale=True, contrast_limits=(0, 255))
    return panel, _ready_to_click(panel, hand_on, qtbot), noted


def _ready_to_click(panel, hand_on, qtbot):
    click(qtbot, panel.tools.click)
    qtbot.waitUntil(lambda: panel.app.state.model.is_loaded, timeout=60_000)
    panel.viewer.reset_view()
    return hand_on(panel)


def _click_on_a_disc(panel, hand_on, qtbot):
    """Zoom in on the disc near the middle of 20,000 pixels and click on it; return the hand and the place."""
    place = (80 * PITCH + PITCH // 2,) * 2
    hand = _ready_to_click(panel, hand_on, qtbot)
    hand.zoom_to(3.0, place)
    hand.click(*place)
    return hand, place


def test_five_far_clicks_read_regions_alone_and_nothing_on_the_main_thread(slide, qtbot):
    panel, hand, noted = slide
    cells = [(1, 1), (1, 398), (200, 200), (398, 2), (397, 397)]
    for number, cell in enumerate(cells, 1):
        y, x = (PITCH * own + PITCH // 2 for own in cell)
        hand.zoom_to(3.0, (y, x))
        hand.click(y, x)
        # not until all that is on the screen is encoded ahead
        qtbot.waitUntil(lambda n=number: _is_answered(panel.app.state, n), timeout=60_000)
        mask = panel.app.state.piece.mask
        assert mask.area == pytest.approx(math.pi * RADIUS**2, rel=0.15)
        (top, left), (height, width) = mask.origin_yx, mask.mask.shape
        assert (top + height / 2, left + width / 2) == pytest.approx((y, x), abs=4)
        click(qtbot, panel.objects.next_object)
    wait_until_idle(qtbot, panel)
    assert [pixels for is_main, pixels in noted if is_main] == []
    assert max(pixels for _, pixels in noted) <= 4 * REGION
    assert panel.labels.layer.data[0].shape == (SIDE, SIDE)


def _is_answered(state, number):
    return state.piece is not None and len(state.objects) == number and not state.piece.mask.empty


def test_a_slide_in_colour_is_annotated_and_read_region_by_region(open_panel, hand_on, qtbot):
    """Dark violet discs on pink, as stained nuclei."""
    noted = []
    levels = []
    for level in pyramid((20_000, 20_000), discs, 6):
        disc = dask.array.from_array(Watched(level, noted), chunks=256, asarray=False)
        levels.append(dask.array.stack([230 - disc // 2, 220 - disc, 240 - disc // 3], axis=-1))
    with dask.config.set(scheduler="synchronous"):
        panel = open_panel()
        panel.viewer.add_image(levels, name="slide", multiscale=True, rgb=True)
        _click_on_a_disc(panel, hand_on, qtbot)
        qtbot.waitUntil(lambda: _is_answered(panel.app.state, 1), timeout=60_000)
        wait_until_idle(qtbot, panel)
    piece = panel.app.state.piece
    assert piece.answer.request.embedding_key.frame.window_yxhw[2:] == (224, 224)
    assert piece.mask.area == pytest.approx(math.pi * RADIUS**2, rel=0.15)
    assert [pixels for is_main, pixels in noted if is_main] == []
    assert max(pixels for _, pixels in noted) <= 4 * REGION


def test_a_store_that_fails_is_a_sentence_and_the_next_click_is_answered(open_panel, hand_on, qtbot):
    fails: list[bool] = []
    levels = [
        dask.array.from_array(Remote(level, fails), chunks=256, asarray=False)
        for level in pyramid((20_000, 20_000), discs, 6)
    ]
    with dask.config.set(scheduler="synchronous"):
        panel = open_panel()
        fails.append(True)
        panel.viewer.add_image(levels, name="slide", multiscale=True, contrast_limits=(0, 255))
        hand, (y, x) = _click_on_a_disc(panel, hand_on, qtbot)
        qtbot.waitUntil(lambda: "connection reset by peer" in panel.app.state.message, timeout=60_000)
        fails.clear()
        hand.click(y + 2, x)
        qtbot.waitUntil(lambda: _is_answered(panel.app.state, 1), timeout=60_000)
        wait_until_idle(qtbot, panel)
    assert panel.app.state.piece.mask.area == pytest.approx(math.pi * RADIUS**2, rel=0.15)
    assert "connection" not in panel.app.state.message


def _find(qtbot, panel, where):
    everything = panel.everything
    everything.where.setCurrentIndex(everything.where.findData(where))
    click(qtbot, everything.begin)
    qtbot.waitUntil(everything.begin.isEnabled, timeout=120_000)
    qtbot.wait(100)
    return everything


def _discs_within(top, left, bottom, right):
    """Centres of the discs that lie wholly in a window."""
    rows, columns = (
        [place for place in range(PITCH // 2, SIDE, PITCH) if low + RADIUS <= place <= high - RADIUS]
        for low, high in ((top, bottom), (left, right))
    )
    return [(y, x) for y in rows for x in columns]


def _label_at(layer, y, x):
    return int(layer.data[0][y : y + 1, x : x + 1].__array__()[0, 0])


def test_everything_on_the_screen_of_a_slide_becomes_objects_and_reads_what_is_there_alone(slide, qtbot):
    panel, hand, noted = slide
    click(qtbot, panel.everything_part.header)
    hand.zoom_to(0.8, (200 * PITCH, 200 * PITCH))
    everything = _find(qtbot, panel, "view")
    expected = _discs_within(*panel.canvas.screen.part())
    assert len(expected) > 6
    preview = everything.preview.layer
    assert preview.data[0].shape == (SIDE, SIDE)
    assert not preview.editable
    found = {_label_at(preview, y, x) for y, x in expected}
    assert 0 not in found
    assert len(found) == len(expected)
    assert [pixels for is_main, pixels in noted if is_main] == []
    assert sum(pixels for _, pixels in noted) < 60 * REGION
    # filtered without being read or decoded again
    roundness, reads = everything.filters.sliders["min_roundness"], len(noted)
    roundness.setValue(1.0)
    qtbot.waitUntil(lambda: not any(_label_at(preview, y, x) for y, x in expected), timeout=20_000)
    roundness.setValue(0.0)
    qtbot.waitUntil(lambda: {_label_at(preview, y, x) for y, x in expected} == found, timeout=20_000)
    assert everything.preview.layer is preview
    assert len(noted) == reads

    click(qtbot, everything.accept)
    document, labels = panel.canvas.document, panel.labels.layer
    assert everything.preview.layer is None
    assert {_label_at(labels, y, x) for y, x in expected} <= set(document.objects)
    assert len(document.objects) >= len(expected)
    # what is there is not found again
    _find(qtbot, panel, "view")
    assert everything.findings.count > 0
    assert not everything.accept.isEnabled()
    click(qtbot, everything.drop)
    panel.app.do(UNDO)
    assert not document.objects
    assert not any(_label_at(labels, y, x) for y, x in expected)


def test_an_area_drawn_on_a_slide_is_searched_and_an_enormous_one_refused(slide, qtbot):
    panel, hand, _noted = slide
    click(qtbot, panel.everything_part.header)
    hand.zoom_to(1.5, (200 * PITCH, 200 * PITCH))
    everything = panel.everything
    everything.where.setCurrentIndex(everything.where.findData("area"))
    click(qtbot, everything.draw)
    everything.area.layer.mode = "add_rectangle"
    top = left = 199 * PITCH
    hand.drag((top, left), (top + 2 * PITCH, left + 2 * PITCH))
    _find(qtbot, panel, "area")
    inside = _discs_within(top, left, top + 2 * PITCH, left + 2 * PITCH)
    assert len(inside) == 4
    preview = everything.preview.layer
    assert len({_label_at(preview, y, x) for y, x in inside} - {0}) == 4
    assert _label_at(preview, top + 2 * PITCH + PITCH // 2, left + PITCH // 2) == 0
    everything.area.layer.add_rectangles(np.array([[0, 0], [0, 30_000], [30_000, 30_000], [30_000, 0]]))
    click(qtbot, everything.begin)
    assert "draw smaller areas" in everything.status.text()
    assert everything.begin.isEnabled()
