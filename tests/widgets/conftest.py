"""A window with the panel, a model that answers discs, real mouse events, and no thread left behind."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QEvent, QPointF, Qt, QTimer
from qtpy.QtGui import QAction, QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QPushButton, QWidget

from discs import DiscPredictor
from napari_samv1.app import models
from napari_samv1.app.models import ReadyModel
from napari_samv1.checkpoints.registry import MODELS
from napari_samv1.layers.on_screen import camera_of
from napari_samv1.widgets.shared import remembered
from shared_window import close_the_shared_window, make_napari_viewer, shared_window, window_of_this_file

__all__ = ["close_the_shared_window", "make_napari_viewer", "shared_window", "window_of_this_file"]


def our_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("napari-samv1")]


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    deadline = time.monotonic() + 10
    while our_threads() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert our_threads() == []


@pytest.fixture(autouse=True)
def nothing_is_remembered_from_another_test(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(remembered, "_plugin_settings", lambda: None)
    monkeypatch.setenv("NAPARI_CONFIG", str(tmp_path / "settings.yaml"))


@pytest.fixture
def discs(monkeypatch) -> DiscPredictor:
    """The model that every panel of this test loads."""
    predictor: Any = DiscPredictor()
    monkeypatch.setattr(models, "load", lambda choices, ticket: ReadyModel(choices, predictor, rate=1e12))
    return predictor


@pytest.fixture
def short_sighted(monkeypatch) -> None:
    """The bundled model sees 224 x 224 pixels, a quarter of its own, and takes a fifth of the time."""
    bundled = MODELS["tiny"]
    preparation = replace(bundled.preparation, side=224)
    monkeypatch.setitem(MODELS, "tiny", replace(bundled, preparation=preparation))


class Hand:
    """Moves the real mouse over the real canvas: Qt events, in image pixels."""

    def __init__(self, viewer: Any, canvas: QWidget) -> None:
        self.viewer = viewer
        self.canvas = canvas

    def at(self, y: float, x: float) -> QPointF:
        camera = camera_of(self.viewer)
        center, zoom = camera.center, camera.zoom
        return QPointF(
            (x - center[-1]) * zoom + self.canvas.width() / 2,
            (y - center[-2]) * zoom + self.canvas.height() / 2,
        )

    def key(self, key: Qt.Key, modifier: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> None:
        QTest.keyClick(self.canvas, key, modifier)
        QApplication.processEvents()

    def zoom_out(self) -> None:
        camera_of(self.viewer).zoom /= 3

    def zoom_to(self, zoom: float, centre: tuple[float, float]) -> None:
        """Zoom so far, with a place in the middle, and let the panel see it."""
        camera = camera_of(self.viewer)
        camera.zoom, camera.center = zoom, centre
        QTest.qWait(400)

    def click(self, y: float, x: float, modifiers: Any = Qt.KeyboardModifier.NoModifier) -> None:
        self.move(y, x, modifiers=modifiers)
        self.press(y, x, modifiers)
        self.release(y, x, modifiers)

    def press(self, y: float, x: float, modifiers: Any = Qt.KeyboardModifier.NoModifier) -> None:
        self._send(QEvent.Type.MouseButtonPress, y, x, Qt.MouseButton.LeftButton, modifiers)

    def release(self, y: float, x: float, modifiers: Any = Qt.KeyboardModifier.NoModifier) -> None:
        self._send(
            QEvent.Type.MouseButtonRelease,
            y,
            x,
            Qt.MouseButton.LeftButton,
            modifiers,
            held=Qt.MouseButton.NoButton,
        )

    def move(
        self, y: float, x: float, *, held: bool = False, modifiers: Any = Qt.KeyboardModifier.NoModifier
    ) -> None:
        buttons = Qt.MouseButton.LeftButton if held else Qt.MouseButton.NoButton
        self._send(QEvent.Type.MouseMove, y, x, Qt.MouseButton.NoButton, modifiers, held=buttons)

    def drag(self, start: tuple[float, float], end: tuple[float, float], steps: int = 10) -> None:
        self.move(*start)
        self.press(*start)
        for step in range(1, steps + 1):
            part = step / steps
            self.move(*(a + (b - a) * part for a, b in zip(start, end, strict=True)), held=True)
        self.release(*end)

    def _send(
        self,
        kind: QEvent.Type,
        y: float,
        x: float,
        button: Qt.MouseButton,
        modifiers: Any,
        held: Qt.MouseButton = Qt.MouseButton.LeftButton,
    ) -> None:
        position = self.at(y, x)
        everywhere = QPointF(self.canvas.mapToGlobal(position.toPoint()))
        QApplication.sendEvent(self.canvas, QMouseEvent(kind, position, everywhere, button, held, modifiers))
        QApplication.processEvents()


def canvas_of(widget: QWidget) -> QWidget:
    """The native widget that a window's canvas draws on."""
    [canvas] = [
        child
        for child in widget.window().findChildren(QWidget)
        if "Canvas" in type(child).__name__ and child.isVisible()
    ]
    return canvas


@pytest.fixture
def choose_from(qtbot) -> Callable[..., None]:
    """Open a button's menu with the mouse, and click on one of its entries."""

    def choose(button: QPushButton, action: QAction) -> None:
        looks = itertools.count(1)

        def click() -> None:
            menu: Any = QApplication.activePopupWidget()
            if menu is not None:
                timer.stop()
                qtbot.mouseClick(menu, Qt.MouseButton.LeftButton, pos=menu.actionGeometry(action).center())
            elif next(looks) % 60 == 0:
                # a window that comes up late closes the menu: as a person would, once more
                qtbot.mouseClick(button, Qt.MouseButton.LeftButton)

        # some versions of Qt open the menu with a loop of its own; on a busy machine it comes late
        timer = QTimer()
        timer.timeout.connect(click)
        timer.start(50)
        try:
            with qtbot.waitSignal(action.triggered, timeout=20_000):
                qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
        finally:
            timer.stop()
        QApplication.processEvents()

    return choose


@pytest.fixture
def coins() -> np.ndarray:
    from skimage import data

    return data.coins()


@pytest.fixture
def new_viewer(shared_window, request, qtbot) -> Callable[[], Any]:
    """A visible window without layers: the file's own, or a new one for a test that makes others."""
    if "make_napari_viewer" in request.fixturenames:
        make = request.getfixturevalue("make_napari_viewer")
        return lambda: make(show=True)
    return shared_window.viewer


@pytest.fixture
def open_panel(new_viewer, qtbot) -> Callable[..., Any]:
    """Dock a panel in a window without layers, or in the one given; returns the panel."""
    from napari_samv1.widgets.panel.panel import SegmentAnythingPanel

    def opened(viewer: Any = None) -> SegmentAnythingPanel:
        if viewer is None:
            viewer = new_viewer()
        panel = SegmentAnythingPanel(viewer)
        viewer.window.add_dock_widget(panel, name="Segment Anything", area="right")
        QApplication.processEvents()
        return panel

    return opened


@pytest.fixture
def hand_on() -> Callable[[Any], Hand]:
    """The hand on the canvas beside a panel."""
    return lambda panel: Hand(panel.viewer, canvas_of(panel))


@pytest.fixture
def annotating(open_panel, discs, coins, qtbot) -> SimpleNamespace:
    """The coins, the panel, and the canvas listening to clicks."""
    panel = open_panel()
    panel.viewer.add_image(coins, name="coins")
    qtbot.mouseClick(panel.tools.click, Qt.MouseButton.LeftButton)
    panel.viewer.reset_view()
    settle(qtbot)
    hand = Hand(panel.viewer, canvas_of(panel))
    return SimpleNamespace(panel=panel, viewer=panel.viewer, binding=panel.canvas, hand=hand, discs=discs)


def settle(qtbot, milliseconds: int = 60) -> None:
    qtbot.wait(milliseconds)
