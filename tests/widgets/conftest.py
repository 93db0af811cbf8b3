"""A window with the panel, a model that answers discs, real mouse events, and no thread left behind."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from qtpy.QtCore import QEvent, QPointF, Qt, QTimer
from qtpy.QtGui import QAction, QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QPushButton, QWidget

from napari_samv1.engine.embedding import Embedding, EmbeddingKey
from napari_samv1.engine.prediction import Prediction
from napari_samv1.model.config import SamConfig
from napari_samv1.records.frame import Frame
from napari_samv1.records.preparation import Preparation
from napari_samv1.widgets.panel import models
from napari_samv1.widgets.panel.models import ReadyModel
from napari_samv1.widgets.shared import remembered


@pytest.fixture(autouse=True, scope="session")
def modules_are_not_searched_for_garbage() -> Iterator[None]:
    """A window that closes collects garbage three times: not among all that torch and napari hold."""
    import napari.window  # noqa: F401

    import napari_samv1.widgets.panel.panel  # noqa: F401

    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


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


RADII = (10, 20, 14, 7)  # of the four candidates, in image pixels


class DiscPredictor:
    """Answers discs around foreground points and the insides of boxes, minus discs at background points.

    ``block_seconds`` makes each of the eight blocks of an encoding slow; all that was done is written down.
    """

    def __init__(self, block_seconds: float = 0.0, decode_seconds: float = 0.0) -> None:
        self.block_seconds = block_seconds
        self.decode_seconds = decode_seconds
        self.encodings: list[dict[str, Any]] = []
        self.decoded: list[int] = []
        self.threads: set[str] = set()
        self.model = SimpleNamespace(
            name="discs",
            sha256="0" * 64,
            device=torch.device("cpu"),
            dtype=torch.float32,
            config=SamConfig(width=64, depth=8, heads=2, patch=8, grid=32, window=8),
            preparation=Preparation(side=256),
        )

    def embed(self, image, *, intensity=None, gamma=1.0, on_progress=None) -> Embedding:
        self.threads.add(threading.current_thread().name)
        depth = self.model.config.depth
        for block in range(depth):
            time.sleep(self.block_seconds)
            if on_progress is not None:
                on_progress(block + 1, depth)
        self.encodings.append({"shape": image.shape, "intensity": intensity, "gamma": gamma})
        frame = Frame.plan(image.shape[:2], side=256, patch=8)
        key = EmbeddingKey(
            str(len(self.encodings)),
            self.model.sha256,
            self.model.preparation,
            frame,
            None,
            gamma,
            "float32",
            "cpu",
        )
        return Embedding(torch.zeros(1, 1, *frame.grid_hw), None, frame, key)

    def answer_each(self, embedding, prompts) -> list[Prediction]:
        self.threads.add(threading.current_thread().name)
        time.sleep(self.decode_seconds)
        self.decoded.append(len(prompts))
        return [self._predict(embedding.frame, one) for one in prompts]

    def _predict(self, frame: Frame, prompts) -> Prediction:
        height, width = frame.logits_hw
        rows = (np.arange(height)[:, None] + 0.5) * frame.image_hw[0] / height - 0.5
        columns = (np.arange(width)[None] + 0.5) * frame.image_hw[1] / width - 0.5
        logits = []
        for radius in RADII:
            inside = np.full((height, width), -20.0)
            for y0, x0, y1, x1 in prompts.boxes_yx:
                depths = (rows - y0, y1 - rows, columns - x0, x1 - columns)
                inside = np.maximum(inside, np.minimum(np.minimum(*depths[:2]), np.minimum(*depths[2:])))
            for sign in (1, 0):
                for y, x in prompts.points_yx[prompts.labels == sign]:
                    disc = radius - np.hypot(rows - y, columns - x)
                    inside = np.maximum(inside, disc) if sign else np.minimum(inside, -disc)
            logits.append(inside)
        iou = np.array([0.9, 0.8, 0.7, 0.6], dtype=np.float32)
        return Prediction(np.stack(logits).astype(np.float32), iou, frame, prompts.is_single)


@pytest.fixture
def discs(monkeypatch) -> DiscPredictor:
    """The model that every panel of this test loads."""
    predictor = DiscPredictor()
    monkeypatch.setattr(models, "load", lambda choices, ticket: ReadyModel(choices, predictor, rate=1e12))
    return predictor


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

    def key(self, key: Qt.Key) -> None:
        QTest.keyClick(self.canvas, key)
        QApplication.processEvents()

    def zoom_out(self) -> None:
        camera_of(self.viewer).zoom /= 3

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


def camera_of(viewer: Any) -> Any:
    """The camera, which napari 0.9 moved into the scene."""
    return viewer.scene.camera if hasattr(viewer, "scene") else viewer.camera


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
        def click() -> None:
            menu = QApplication.activePopupWidget()
            qtbot.mouseClick(menu, Qt.MouseButton.LeftButton, pos=menu.actionGeometry(action).center())

        # of Qt's versions, some open the menu with a loop of its own, in which this comes
        QTimer.singleShot(50, click)
        with qtbot.waitSignal(action.triggered):
            qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
        QApplication.processEvents()

    return choose


@pytest.fixture
def coins() -> np.ndarray:
    from skimage import data

    return data.coins()


@pytest.fixture
def open_panel(make_napari_viewer, qtbot) -> Callable[..., Any]:
    """Dock a panel in a new, visible window; returns the panel."""
    from napari_samv1.widgets.panel.panel import SegmentAnythingPanel

    def opened(viewer: Any = None) -> SegmentAnythingPanel:
        if viewer is None:
            viewer = make_napari_viewer(show=True)
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
    yield SimpleNamespace(
        panel=panel, viewer=panel.viewer, binding=panel.controller.binding, hand=hand, discs=discs
    )
    del hand, panel
    gc.collect()


def settle(qtbot, milliseconds: int = 60) -> None:
    qtbot.wait(milliseconds)
