"""Make the README's animation from the real application: click, correct, next object, export.

    python scripts/readme_animation.py [--output FILE]

Everything that happens in it is done with the mouse and the keys: Qt events on the window, the canvas and
the dialog. Only the pointer is drawn afterwards, as a picture of a window has none.

Needs a display; on Linux without one run it under ``xvfb-run -a -s "-screen 0 1400x900x24"``.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path
from typing import Any

import napari
import numpy as np
from PIL import Image, ImageDraw
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt, QTimer
from qtpy.QtGui import QImage, QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QFileDialog, QLineEdit, QWidget
from window import is_answered, settle, wait_for

from napari_samv1.layers.samples import coins
from napari_samv1.widgets.launch import dock
from napari_samv1.widgets.panel.panel import SegmentAnythingPanel

OUTPUT = Path(__file__).parent.parent / "docs" / "images" / "click-correct-next-export.gif"
WINDOW = (1120, 760)

TOO_MUCH_YX = (205, 115)  # its mask takes a piece of the next coin
NOT_YX = (187, 162)  # that piece
BOX_YX = ((167, 186), (221, 240))

STEPS = 6  # pictures of one way of the pointer
WAY, HOLD, LOOK = 60, 500, 1300  # milliseconds that a picture stays
COLOURS = 128


class Film:
    """Pictures of a window and the pointer over it, moved by real events."""

    def __init__(self, window: QWidget, viewer: Any) -> None:
        self.window = window
        self.viewer = viewer
        self.pictures: list[Image.Image] = []
        self.milliseconds: list[int] = []
        self.pointer = QPoint(window.width() // 2, window.height() // 2)
        self.above: QWidget | None = None  # a dialog, which lies over the window

    def shoot(self, milliseconds: int, *, is_down: bool = False) -> None:
        QApplication.processEvents()
        picture = _grabbed(self.window)
        # what OpenGL draws is no part of a grabbed window
        canvas = canvas_of(self.window)
        shot = Image.fromarray(np.asarray(self.viewer.screenshot(canvas_only=True, flash=False))[..., :3])
        corner = canvas.mapTo(self.window, QPoint(0, 0))
        picture.paste(shot.resize((canvas.width(), canvas.height())), (corner.x(), corner.y()))
        if self.above is not None:
            place = self.window.mapFromGlobal(self.above.mapToGlobal(QPoint(0, 0)))
            picture.paste(_grabbed(self.above), (place.x(), place.y()))
        _draw_pointer(picture, self.pointer, is_down)
        if self.pictures and np.array_equal(np.asarray(picture), np.asarray(self.pictures[-1])):
            self.milliseconds[-1] += milliseconds
            return
        self.pictures.append(picture)
        self.milliseconds.append(milliseconds)

    def go(self, to: QPoint) -> None:
        """Move the pointer, without a button held, to a place in the window."""
        start = self.pointer
        for step in range(1, STEPS + 1):
            share = step / STEPS
            self.pointer = start + QPoint(
                round((to - start).x() * share * (2 - share)), round((to - start).y() * share * (2 - share))
            )
            self.shoot(WAY)

    def press(self, widget: QWidget) -> None:
        """Click on a button."""
        self.go(widget.mapTo(self.window, widget.rect().center()))
        self.shoot(WAY * 2, is_down=True)
        QTest.mouseClick(widget, Qt.MouseButton.LeftButton)
        self.shoot(HOLD)

    def click(self, place_yx: tuple[float, float], modifiers: Any = Qt.KeyboardModifier.NoModifier) -> None:
        """Click on the image."""
        canvas = canvas_of(self.window)
        place = on_canvas(self.viewer, canvas, place_yx)
        self.go(canvas.mapTo(self.window, place.toPoint()))
        self.send(QEvent.Type.MouseMove, place, modifiers)
        self.send(QEvent.Type.MouseButtonPress, place, modifiers)
        self.shoot(WAY * 2, is_down=True)
        self.send(QEvent.Type.MouseButtonRelease, place, modifiers)

    def drag(self, start_yx: tuple[float, float], end_yx: tuple[float, float]) -> None:
        """Drag over the image."""
        canvas = canvas_of(self.window)
        start, end = (on_canvas(self.viewer, canvas, place) for place in (start_yx, end_yx))
        self.go(canvas.mapTo(self.window, start.toPoint()))
        self.send(QEvent.Type.MouseMove, start)
        self.send(QEvent.Type.MouseButtonPress, start)
        for step in range(1, STEPS + 1):
            place = start + (end - start) * (step / STEPS)
            self.send(QEvent.Type.MouseMove, place, held=True)
            self.pointer = canvas.mapTo(self.window, place.toPoint())
            self.shoot(WAY, is_down=True)
        self.send(QEvent.Type.MouseButtonRelease, end)

    def send(
        self,
        kind: QEvent.Type,
        place: QPointF,
        modifiers: Any = Qt.KeyboardModifier.NoModifier,
        *,
        held: bool = False,
    ) -> None:
        canvas = canvas_of(self.window)
        is_move = kind == QEvent.Type.MouseMove
        button = Qt.MouseButton.NoButton if is_move else Qt.MouseButton.LeftButton
        is_held = held or kind == QEvent.Type.MouseButtonPress
        buttons = Qt.MouseButton.LeftButton if is_held else Qt.MouseButton.NoButton
        everywhere = QPointF(canvas.mapToGlobal(place.toPoint()))
        QApplication.sendEvent(canvas, QMouseEvent(kind, place, everywhere, button, buttons, modifiers))
        QApplication.processEvents()

    def key(self, key: Qt.Key) -> None:
        QTest.keyClick(canvas_of(self.window), key)
        QApplication.processEvents()

    def save(self, path: Path) -> None:
        """One palette for all pictures, so that what does not move costs nothing."""
        palette = _beside(self.pictures[:: max(1, len(self.pictures) // 6)]).quantize(COLOURS)
        flat = [one.quantize(palette=palette, dither=Image.Dither.NONE) for one in self.pictures]
        flat[0].save(
            path, save_all=True, append_images=flat[1:], duration=self.milliseconds, loop=0, optimize=True
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=OUTPUT)
    chosen = parser.parse_args()

    # Qt's own dialog can be seen and typed into by events
    QApplication.setAttribute(Qt.ApplicationAttribute.AA_DontUseNativeDialogs)
    viewer = napari.Viewer(show=True)
    viewer.window.resize(*WINDOW)
    for data, options, _ in coins():
        viewer.add_image(data, **options)
    panel = dock(viewer, model="tiny", device="cpu")
    settle(1.0)  # the canvas has its final size only then
    viewer.reset_view()
    settle()
    folder = Path(tempfile.mkdtemp(prefix="coins-"))
    film = Film(panel.window(), viewer)
    play(film, panel, folder)
    if not [file for file in folder.iterdir() if file.stat().st_size]:
        raise SystemExit("nothing was exported")
    shutil.rmtree(folder)
    chosen.output.parent.mkdir(parents=True, exist_ok=True)
    film.save(chosen.output)
    viewer.close()
    size = chosen.output.stat().st_size
    print(f"{chosen.output}: {len(film.pictures)} pictures, {size / 1e6:.2f} MB")


def play(film: Film, panel: SegmentAnythingPanel, folder: Path) -> None:
    def answered() -> None:
        settle()  # what was drawn is taken a moment later
        wait_for(lambda: is_answered(panel))
        settle()
        film.shoot(LOOK)

    film.shoot(LOOK)
    film.click(TOO_MUCH_YX)
    answered()
    film.click(NOT_YX, Qt.KeyboardModifier.ShiftModifier)
    answered()
    film.press(panel.objects.next_object)
    film.press(panel.tools.box)
    film.drag(*BOX_YX)
    answered()
    export(film, panel, folder / "coins.csv")
    film.shoot(3 * LOOK)


def export(film: Film, panel: SegmentAnythingPanel, path: Path) -> None:
    """Press Export…, and type a name into the dialog, which holds this up until it is closed."""

    def answer() -> None:
        dialog = QApplication.activeModalWidget()
        assert isinstance(dialog, QFileDialog)
        film.above = dialog
        field = dialog.findChild(QLineEdit)
        assert isinstance(field, QLineEdit)
        field.selectAll()
        QTest.keyClicks(field, str(path))
        film.shoot(LOOK)
        film.above = None
        QTest.keyClick(field, Qt.Key.Key_Return)

    button = panel.session.export
    panel.ensureWidgetVisible(button)
    settle()
    QTimer.singleShot(4000, answer)
    film.press(button)
    wait_for(lambda: path.is_file())
    settle()


def on_canvas(viewer: Any, canvas: QWidget, place_yx: tuple[float, float]) -> QPointF:
    """A place of the image on the canvas."""
    camera = viewer.scene.camera if hasattr(viewer, "scene") else viewer.camera
    y, x = place_yx
    return QPointF(
        (x - camera.center[-1]) * camera.zoom + canvas.width() / 2,
        (y - camera.center[-2]) * camera.zoom + canvas.height() / 2,
    )


def canvas_of(window: QWidget) -> QWidget:
    """The widget that a window's canvas draws on."""
    [canvas] = [
        child
        for child in window.findChildren(QWidget)
        if "Canvas" in type(child).__name__ and child.isVisible()
    ]
    return canvas


def _grabbed(widget: QWidget) -> Image.Image:
    image = widget.grab().toImage().convertToFormat(QImage.Format.Format_RGBA8888)
    pixels = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine() // 4, 4)
    return Image.fromarray(pixels[:, : image.width(), :3].copy())


def _draw_pointer(picture: Image.Image, place: QPoint, is_down: bool) -> None:
    x, y = place.x(), place.y()
    draw = ImageDraw.Draw(picture)
    if is_down:
        draw.ellipse((x - 11, y - 11, x + 11, y + 11), outline=(255, 220, 60), width=3)
    arrow = [(0, 0), (0, 17), (4, 13), (7, 19), (10, 18), (7, 12), (12, 12)]
    draw.polygon([(x + a, y + b) for a, b in arrow], fill=(255, 255, 255), outline=(0, 0, 0))


def _beside(pictures: list[Image.Image]) -> Image.Image:
    return Image.fromarray(np.hstack([np.asarray(one) for one in pictures]))


if __name__ == "__main__":
    main()
