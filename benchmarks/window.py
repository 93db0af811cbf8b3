"""Images of any size in napari's window: opening to the first mask by a click of the mouse, reads, memory."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from types import FrameType
from typing import Any

import numpy as np
from numpy.typing import NDArray

import napari_samv1
from benchmarks.any_size import PITCH, SIDES, Discs, disc, overlap
from benchmarks.measure import fresh, peak_beyond, say, table
from napari_samv1.annotation.pieces import Piece
from napari_samv1.app.actions import NEXT_OBJECT

WAYS = ("screen", "whole")
FAR = ((0, 0), (0, -1), (-1, 1), (-1, -1))
"""Cells of the four clicks after the first one, which is in the middle; -1 is the last."""
PACKAGE = napari_samv1.__path__[0]
LONGEST = 300.0
PAUSE = 1.0


class Watched(Discs):
    """The discs, with reads for the model apart from those that napari draws."""

    def __init__(self, side: int, factor: int, told: dict[str, float]) -> None:
        super().__init__(side, factor)
        self.ndim, self.told = 2, told

    def __getitem__(self, cut: tuple[slice, slice]) -> NDArray[np.uint8]:
        pixels = super().__getitem__(cut)
        who = "model" if _is_for_the_model(sys._getframe(1)) else "drawn"
        self.told[f"{who} pixels"] += pixels.size
        self.told[f"{who} reads"] += 1
        return pixels


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--child", nargs=2, metavar=("SIDE", "WAY"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        say("this benchmark needs a screen: xvfb-run -s '-screen 0 1400x900x24' python -m benchmarks window")
        return 1
    if chosen.child is not None:
        print(json.dumps(first_masks(int(chosen.child[0]), chosen.child[1])), flush=True)
        # nothing more is measured, and a window takes its time to close
        os._exit(0)
    print(compare(chosen.rounds))
    return 0


def compare(rounds: int) -> str:
    """The Markdown table."""
    rows = []
    for side in SIDES:
        for way in WAYS:
            told = [fresh("window", side, way) for _ in range(rounds)]
            middle = {name: median(own[name] for own in told) for name in told[0]}
            say(f"window: {side} {way} {middle}")
            rows.append(
                [
                    f"{side:,} x {side:,}, {way}",
                    f"{middle['open']:.2f}",
                    f"{middle['click']:.2f}",
                    f"{middle['click'] - middle['encode']:.2f}",
                    f"{middle['first']:.2f}",
                    f"{middle['model pixels'] / 1e6:.2f} in {middle['model reads']:.0f}",
                    f"{middle['drawn pixels'] / 1e6:.2f} in {middle['drawn reads']:.0f}",
                    f"{middle['megabytes']:.0f}",
                    f"{middle['iou']:.3f}",
                ]
            )
    head = (
        "uint8 discs of 120 pixels, levels in dask",
        "opened and drawn, s",
        "click to mask, s",
        "beyond one encode, s",
        "opening to first mask, s",
        "Mpx read for the model, five clicks",
        "Mpx drawn",
        "MB more",
        "IoU",
    )
    return table(head, rows)


def first_masks(side: int, way: str) -> dict[str, float]:
    """Opening, a click in the middle, and four far apart, at the screen's detail or the whole image's."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"NAPARI_SAMV1_STATE": folder, "NAPARI_CONFIG": f"{folder}/settings.yaml"}
        window = Window(side, way)
        window.close()
        return window.told


class Window:
    """A window that is opened, an image in it, and five clicks of the mouse."""

    def __init__(self, side: int, way: str) -> None:
        import dask
        import napari
        from dask.array import from_array

        from napari_samv1.app.models import Choices
        from napari_samv1.widgets.panel.panel import SegmentAnythingPanel

        # dask then reads on the thread that asks, which says who asked
        dask.config.set(scheduler="synchronous")
        names = ("model pixels", "model reads", "drawn pixels", "drawn reads")
        self.side, self.way, self.told = side, way, dict.fromkeys(names, 0.0)
        levels = [Watched(side, 2**level, self.told) for level in range(10) if side // 2**level >= 300]
        chunked: Any = from_array
        self.image = [chunked(level, chunks=512, asarray=False) for level in levels]
        self.viewer = napari.Viewer()
        self.viewer.window.resize(1200, 850)
        self.panel = SegmentAnythingPanel(self.viewer, Choices(model="tiny", device="cpu"))
        self.viewer.window.add_dock_widget(self.panel, area="right")
        self.app = self.panel.app
        self._wait(lambda: self.app.state.model.is_loaded)
        self._encode_once()
        self.told["megabytes"] = peak_beyond(self._annotate)
        self._encode_once()

    def close(self) -> None:
        self.panel.close_down()
        self.viewer.close()

    def _encode_once(self) -> None:
        """Time one encoding beside the idle window, in a thread as the panel's are.

        It is slower after the clicks: Labels layers leave OpenMP threads of numba's, and where there are more
        threads than cores, they no longer spin between operations.
        """
        loaded = self.app.encoder.model
        assert loaded is not None
        predictor, pixels = loaded.predictor, np.zeros((448, 448), np.uint8)

        def encode() -> None:
            for _ in range(2):  # the first one is slower
                started = time.perf_counter()
                predictor.embed(pixels)
                self.told["encode"] = time.perf_counter() - started

        thread = threading.Thread(target=encode)
        thread.start()
        thread.join()

    def _annotate(self) -> None:
        started = time.perf_counter()
        self.viewer.add_image(self.image, multiscale=True, contrast_limits=(0, 255), name="discs")
        self.app.take_tool("click")
        self._settle()
        self.told["open"] = time.perf_counter() - started
        count = self.side // PITCH
        middle = count // 2, count // 2
        ious = []
        for number, cell in enumerate((middle, *((y % count, x % count) for y, x in FAR)), 1):
            self._look_at(cell)
            if self.way == "whole":
                self.app.set_detail("whole")
            if number == 1:
                self._rest()
            clicked = time.perf_counter()
            self._click()
            self._wait(partial(self._is_answered, number))
            if number == 1:
                self.told["click"] = time.perf_counter() - clicked
                self.told["first"] = time.perf_counter() - started - PAUSE
            [piece] = self._pieces_of(number)
            ious.append(overlap(piece.mask, disc(cell)))
            self.app.do(NEXT_OBJECT)
        self._settle()
        self.told["iou"] = float(np.mean(ious))

    def _is_answered(self, number: int) -> bool:
        shown = self.panel.canvas.shown
        return bool(self._pieces_of(number)) and shown is not None and not shown.pending

    def _pieces_of(self, number: int) -> Sequence[Piece]:
        document = self.panel.canvas.document
        return () if document is None else document.pieces_of(number)

    def _look_at(self, cell: tuple[int, int]) -> None:
        from napari_samv1.layers.on_screen import camera_of

        camera = camera_of(self.viewer)
        camera.zoom, camera.center = 1.5, tuple(PITCH * own + PITCH // 2 for own in cell)
        self._settle()

    def _click(self) -> None:
        """Press and release the mouse in the middle of the canvas."""
        from qtpy.QtCore import Qt
        from qtpy.QtTest import QTest
        from qtpy.QtWidgets import QWidget

        [canvas] = [
            child
            for child in self.panel.window().findChildren(QWidget)
            if "Canvas" in type(child).__name__ and child.isVisible()
        ]
        QTest.mouseMove(canvas, canvas.rect().center())
        QTest.mouseClick(canvas, Qt.MouseButton.LeftButton, pos=canvas.rect().center())

    def _settle(self) -> None:
        from qtpy.QtWidgets import QApplication

        QApplication.processEvents()
        QApplication.processEvents()

    def _rest(self) -> None:
        """Look at the image for as long as a person does at least, before the first click."""
        end = time.perf_counter() + PAUSE
        self._wait(lambda: time.perf_counter() > end)

    def _wait(self, condition: Callable[[], bool]) -> None:
        """Run Qt's event loop, as napari does; ``QTest.qWait`` would keep a core busy."""
        from qtpy.QtCore import QEventLoop, QTimer

        end = time.perf_counter() + LONGEST
        loop, timer = QEventLoop(), QTimer()
        timer.timeout.connect(lambda: loop.quit() if condition() or time.perf_counter() > end else None)
        timer.start(5)
        loop.exec()
        timer.stop()
        if not condition():
            raise TimeoutError(f"nothing came: {self.panel.app.state}")


def _is_for_the_model(frame: FrameType | None) -> bool:
    """Return True if a file of the package asked, and napari's own slicing is not between."""
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith(PACKAGE):
            return True
        if "/napari/layers/base/" in Path(name).as_posix():
            return False
        frame = frame.f_back
    return False


if __name__ == "__main__":
    raise SystemExit(main())
