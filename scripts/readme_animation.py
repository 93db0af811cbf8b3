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
from qtpy.QtWidgets import QApplication, QDockWidget, QFileDialog, QLineEdit, QWidget
from skimage.data import coins
from window import is_answered, settle, wait_for

from napari_samv1.layers.on_screen import camera_of
from napari_samv1.widgets.launch import dock
from napari_samv1.widgets.panel.panel import SegmentAnythingPanel

OUTPUT = Path(__file__).parent.parent / "docs" / "images" / "click-correct-next-export.gif"
WINDOW = (960, 760)

CLICK_YX = (40, 359)  # near a coin's rim, so that the far side is missing
MISSING_YX = (33, 322)
BOX_YX = ((167, 186), (221, 240))

STEPS = 6  # pictures of one way of the pointer
WAY, HOLD, LOOK = 60, 500, 1300  # milliseconds that a picture stays
GREYS, COLOURS = 112, 144
LEAST_COLOURED = 20  # by how much the largest of red, green and blue exceeds the least


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

    def click(self, place_yx: tuple[float, float]) -> None:
        """Click on the image."""
        canvas = canvas_of(self.window)
        place = on_canvas(self.viewer, canvas, place_yx)
        self.go(canvas.mapTo(self.window, place.toPoint()))
        self.send(QEvent.Type.MouseMove, place)
        self.send(QEvent.Type.MouseButtonPress, place)
        self.shoot(WAY * 2, is_down=True)
        self.send(QEvent.Type.MouseButtonRelease, place)

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

    def send(self, kind: QEvent.Type, place: QPointF, *, held: bool = False) -> None:
        canvas = canvas_of(self.window)
        is_move = kind == QEvent.Type.MouseMove
        button = Qt.MouseButton.NoButton if is_move else Qt.MouseButton.LeftButton
        is_held = held or kind == QEvent.Type.MouseButtonPress
        buttons = Qt.MouseButton.LeftButton if is_held else Qt.MouseButton.NoButton
        everywhere = QPointF(canvas.mapToGlobal(place.toPoint()))
        plain = Qt.KeyboardModifier.NoModifier
        QApplication.sendEvent(canvas, QMouseEvent(kind, place, everywhere, button, buttons, plain))
        QApplication.processEvents()

    def save(self, path: Path) -> None:
        """One palette for all pictures, so that what does not move costs nothing."""
        palette = _palette(self.pictures)
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

    folder = Path(tempfile.mkdtemp(prefix="pictures-"))
    file = folder / "coins.png"
    Image.fromarray(coins()).save(file)
    # Qt's own dialog can be seen and typed into by events
    QApplication.setAttribute(Qt.ApplicationAttribute.AA_DontUseNativeDialogs)
    viewer = napari.Viewer(show=True)
    viewer.window.resize(*WINDOW)
    viewer.open(file, plugin="napari")
    panel = dock(viewer, model="tiny", device="cpu")
    for docked in panel.window().findChildren(QDockWidget):
        if docked.windowTitle() in ("layer controls", "layer list"):
            docked.hide()
    settle(1.0)  # the canvas has its final size only then
    viewer.reset_view()
    settle()
    film = Film(panel.window(), viewer)
    play(film, panel, folder / "coins labels.tif")
    chosen.output.parent.mkdir(parents=True, exist_ok=True)
    film.save(chosen.output)
    viewer.close()
    shutil.rmtree(folder, ignore_errors=True)
    size = chosen.output.stat().st_size
    print(f"{chosen.output}: {len(film.pictures)} pictures, {size / 1e6:.2f} MB")


def play(film: Film, panel: SegmentAnythingPanel, exported: Path) -> None:
    """Point, wait for the mask, correct it, point at the next object, and export both to a file."""

    def answered() -> None:
        settle()  # what was drawn is taken a moment later
        wait_for(lambda: is_answered(panel))
        settle()
        film.shoot(LOOK)

    film.shoot(LOOK)
    film.click(CLICK_YX)
    answered()
    film.click(MISSING_YX)
    answered()
    film.press(panel.objects.next_object)
    film.press(panel.tools.box)
    film.drag(*BOX_YX)
    answered()
    export(film, panel, exported)
    film.shoot(3 * LOOK)


def export(film: Film, panel: SegmentAnythingPanel, path: Path) -> None:
    """Press Export…, and type a name into the dialog, which holds this up until it is closed."""

    def answer() -> None:
        dialog = QApplication.activeModalWidget()
        assert isinstance(dialog, QFileDialog)
        dialog.setSidebarUrls([])  # whoever runs this has other places there
        film.above = dialog
        field = dialog.findChild(QLineEdit)
        assert isinstance(field, QLineEdit)
        field.selectAll()
        QTest.keyClicks(field, path.name)
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
    camera = camera_of(viewer)
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


def _palette(pictures: list[Image.Image]) -> Image.Image:
    """Greys and colours get their shares apart: of a small coloured mask, greys would leave nothing."""
    pixels = np.concatenate([np.unique(np.asarray(one).reshape(-1, 3), axis=0) for one in pictures])
    pixels = np.unique(pixels, axis=0)
    is_grey = np.ptp(pixels.astype(int), axis=1) < LEAST_COLOURED
    table = b""
    for part, count in ((pixels[is_grey], GREYS), (pixels[~is_grey], COLOURS)):
        made = Image.fromarray(part[None]).quantize(count, Image.Quantize.MEDIANCUT)
        table += bytes(made.getpalette() or ())[: 3 * count].ljust(3 * count, b"\0")
    palette = Image.new("P", (1, 1))
    palette.putpalette(table)
    return palette


if __name__ == "__main__":
    main()
