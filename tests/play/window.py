"""A person at a real window: the mouse and keys on the canvas, and the panel's buttons."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from hypothesis.stateful import invariant, precondition, rule
from napari.layers import Labels, Layer, Points, Shapes
from numpy.typing import NDArray
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication, QComboBox, QPushButton

from discs import DiscPredictor
from napari_samv1.engine.prediction import Prediction
from napari_samv1.masks.clean import CleanUp
from napari_samv1.records.settings import Rule
from play.machine import HEIGHT, WIDTH, Playing
from play.person import Person, Place
from session_steps import click, wait_for_worker

ANSWER_MILLISECONDS = 60_000
SHIFT = Qt.KeyboardModifier.ShiftModifier


class PatientDiscs(DiscPredictor):
    """Answers discs, once somebody waits for them."""

    def __init__(self) -> None:
        super().__init__()
        self.awaited = threading.Event()

    def answer_each(self, *arguments: Any) -> list[Prediction]:
        self.awaited.wait(ANSWER_MILLISECONDS / 1000)
        return super().answer_each(*arguments)


@dataclass
class Window:
    """One window at a time, and how it is handled."""

    qtbot: Any
    discs: PatientDiscs
    open_panel: Callable[[], Any]  # in a window of its own
    hand_on: Callable[[Any], Any]
    choose_from: Callable[..., None]
    forget_work: Callable[[], None]  # that an earlier panel left to be restored
    dialogs: list[str]  # folders that file dialogs answer
    exceptions: list[Any]  # raised in a callback of Qt
    panel: Any = None


class PersonAtAWindow(Person):
    """Does with mouse and keys what another person does by calls; layers and their names stay calls."""

    def __init__(self, images: Mapping[str, NDArray[np.uint8]], folder: Path, window: Window) -> None:
        self.window = window
        super().__init__(images, folder)

    def _open_panel(self) -> Any:
        window = self.window
        if window.panel is not None:
            window.panel.viewer.close()  # removing layers one by one, software OpenGL crashes
        window.forget_work()
        window.discs.awaited.clear()
        window.panel = self.panel = window.open_panel()
        self.panel.viewer.window.resize(800, 600)
        self.panel.layers_part.open = True
        self.hand = window.hand_on(self.panel)
        return self.panel.canvas

    def close(self) -> None:
        """Close the dock; the layers stay."""
        self.window.discs.awaited.set()
        self.viewer.window.remove_dock_widget(self.panel)
        QApplication.processEvents()
        assert self.panel.app.closed

    # Does: images and slices

    def choose_image(self, name: str) -> None:
        self.image = name
        self._choose(self.panel.image, self.images[name])

    def go_to(self, slice_number: int) -> None:
        if self.images[self.image].ndim == 3:
            while (step := slice_number - self.viewer.dims.current_step[0]) != 0:
                self.hand.key(Qt.Key.Key_Right if step > 0 else Qt.Key.Key_Left)
        self.looked()

    # Does: prompts

    def click(self, y: float, x: float, *, shift: bool = False) -> None:
        self._take(self.panel.tools.click)
        self.hand.click(y, x, SHIFT if shift else Qt.KeyboardModifier.NoModifier)
        self.looked()

    def drag_point(self, row: int, to: Place) -> None:
        if (start := self._select(row)) is not None:
            self.hand.drag(start, to, steps=3)
            self._let_go()

    def remove_point(self, row: int) -> None:
        if (place := self._select(row)) is not None:
            self.hand.click(*place)
            self.hand.key(Qt.Key.Key_Delete)
            self._let_go()

    def select_point(self, row: int) -> None:
        if (place := self._select(row)) is not None:
            self.hand.click(*place)
            self._let_go()

    def turn_point(self, row: int) -> None:
        if (place := self._select(row)) is not None:
            self.hand.click(*place)
            self.hand.key(Qt.Key.Key_Q)
            self._let_go()

    def _select(self, row: int) -> Place | None:
        """Have napari's own tool select points; the place of one of those that are shown."""
        rows = self._rows_shown(self.binding.points)
        if not rows:
            return None
        self._take(self.panel.tools.click)
        self.hand.key(Qt.Key.Key_3)
        y, x = self.binding.points.data[rows[row % len(rows)]][-2:]
        return float(y), float(x)

    def _let_go(self) -> None:
        self.looked()
        if self.binding.points is not None:
            self.binding.points.selected_data = set()
        self.looked()

    def box(self, start: Place, end: Place) -> None:
        self._take(self.panel.tools.box)
        self.hand.drag(start, end, steps=3)
        if self.binding.shapes is not None:
            self.binding.shapes.selected_data = set()
        self.looked()

    def turn_next(self) -> None:
        tools = self.panel.tools
        self._take(tools.click)
        self._press(tools.background if tools.foreground.isChecked() else tools.foreground)

    # Does: brush and bucket

    def paint(self, start: Place, end: Place, *, erase: bool = False) -> None:
        self._take_brush(Qt.Key.Key_1 if erase else Qt.Key.Key_2)
        self.hand.drag(start, end, steps=3)
        self.looked()

    def fill(self, y: int, x: int) -> None:
        if self.binding.labels is not None:
            self._take_brush(Qt.Key.Key_4)
            self.binding.labels.n_edit_dimensions = 2
            self.hand.click(y, x)
            self.looked()

    def _take_brush(self, key: Qt.Key) -> None:
        """Take the panel's brush, and then one of napari's own tools for labels."""
        self._take(self.panel.tools.brush)
        self.binding.labels.brush_size = 3
        self.hand.key(key)

    def pick_on_canvas(self, y: int, x: int) -> None:
        if self.binding.labels is not None:
            self._press(self.panel.tools.pick)
            self.hand.click(y, x)
            self.looked()

    # Does: settings

    def choose(self, choice: Any) -> None:
        pictures = self.panel.mask_choice
        self._press(pictures.auto if choice == "auto" else pictures.candidates[choice])

    def set_threshold(self, threshold: float) -> None:
        self.panel.threshold.control.setValue(threshold)
        self.looked()

    def clean(self, cleanup: CleanUp | None) -> None:
        self.panel.cleanup.value = cleanup or CleanUp()
        self.looked()

    def set_rule(self, rule: Rule) -> None:
        if rule.kind == "inside":
            self.panel.inside.value = rule.label
        self.panel.rule.value = rule.kind
        self.looked()

    # Does: objects

    def next_object(self) -> None:
        self._press(self.panel.objects.next_object)

    def pick(self, number: int) -> None:
        """Choose a row of the list, or else the label in napari's own control."""
        objects = self.panel.objects
        row = objects.model.row_of(number)
        if row >= 0:
            index = objects.model.index(row)
            objects.view.scrollTo(index)
            place = objects.view.visualRect(index).center()
            self.window.qtbot.mouseClick(objects.view.viewport(), Qt.MouseButton.LeftButton, pos=place)
        elif self.binding.labels is not None:
            self.binding.labels.selected_label = number
        self.looked()

    def refine(self) -> None:
        self._choose_from_menu(self.panel.objects.refine)

    def split(self, *, share_background: bool) -> None:
        if share_background:
            self._press(self.panel.objects.split)
        else:
            self._choose_from_menu(self.panel.objects.split_nearest)

    def clear(self) -> None:
        self._choose_from_menu(self.panel.objects.clear)

    def continue_object(self) -> None:
        self._choose_from_menu(self.panel.objects.continued)

    def remove_last(self) -> None:
        self._choose_from_menu(self.panel.objects.remove_last)

    def delete(self, number: int) -> None:
        self.pick(number)
        if self.current == number:
            self._press(self.panel.objects.delete)

    def undo(self) -> None:
        self._press(self.panel.objects.undo)

    def redo(self) -> None:
        self._press(self.panel.objects.redo)

    # Does: layers

    def bind_points(self, choice: int) -> None:
        self._choose_one(self.panel.points, self._layers(Points), choice)

    def bind_shapes(self, choice: int) -> None:
        self._choose_one(self.panel.shapes, self._layers(Shapes), choice)

    def bind_labels(self, choice: int) -> None:
        self._choose_one(self.panel.labels, self._layers(Labels), choice)

    def bind_new_points(self) -> None:
        self._press(self.panel.points.new)

    def bind_new_labels(self) -> None:
        self._press(self.panel.labels.new)

    def _delete(self, layer: Layer) -> None:
        self.viewer.layers.selection.active = layer
        [bin_button] = [
            button
            for button in self.panel.window().findChildren(QPushButton)
            if button.property("mode") == "delete_button"
        ]
        self._press(bin_button)

    # Does: saving

    def save(self) -> Path:
        folder = self.folder / f"saved {next(self._numbers)}"
        self.window.dialogs.append(str(folder))
        self._press(self.panel.session.save_as)
        wait_for_worker(self.window.qtbot, self.panel)
        assert (folder / "session.json").exists(), self.panel.session.status.text()
        return folder

    def open(self, folder: Path) -> None:
        self.window.dialogs.append(str(folder))
        self._press(self.panel.session.open)
        for _ in ("read", "images found"):
            wait_for_worker(self.window.qtbot, self.panel)
        card = self.panel.session.card
        while card.isVisible() and "Use this image" in card.buttons:
            # one that was renamed, and whose pixels were never hashed, as it was painted on alone
            assert "whose pixels the session does not record" in card.sentence.text()
            self._press(card.buttons["Use this image"])
            wait_for_worker(self.window.qtbot, self.panel)
        assert not card.isVisible(), card.sentence.text()
        self.image = next(name for name, layer in self.images.items() if layer is self.binding.image)
        for name in self.images:
            # the layers of an image are asked of the panel by choosing it
            self.choose_image(name)
        self.looked()

    # Does: waits

    def looked(self) -> None:
        """The panel has noticed what was done; masks may still be awaited."""
        app = self.panel.app
        self.window.qtbot.waitUntil(
            lambda: not app._reading_soon and not app._applying_soon, timeout=ANSWER_MILLISECONDS
        )
        self._remember_layers()

    def wait(self) -> None:
        app, awaited = self.panel.app, self.window.discs.awaited

        def idle() -> bool:
            shown = self.binding.shown
            return not app.busy and not (shown and shown.pending)

        awaited.set()
        self.window.qtbot.waitUntil(idle, timeout=ANSWER_MILLISECONDS)
        awaited.clear()
        self.looked()

    # Hands

    def _press(self, button: Any) -> None:
        click(self.window.qtbot, button)
        QApplication.processEvents()
        self.looked()

    def _take(self, button: Any) -> None:
        """Take a tool that may be in hand already, with the whole image in sight."""
        if not button.isChecked():
            self._press(button)
        self.viewer.reset_view()

    def _choose_from_menu(self, action: Any) -> None:
        if action.isEnabled():
            self.window.choose_from(self.panel.objects.more, action)
        self.looked()

    def _choose_one(self, chooser: Any, layers: Iterable[Layer], choice: int) -> None:
        layers = list(layers)
        if layers:
            self._choose(chooser, layers[choice % len(layers)])

    def _choose(self, chooser: Any, layer: Layer) -> None:
        combo: QComboBox = chooser._combo.native
        row = chooser._combo.choices.index(layer)
        combo.showPopup()
        view = combo.view()
        self.window.qtbot.waitUntil(view.isVisible)
        index = combo.model().index(row, 0)
        view.scrollTo(index)
        place = view.visualRect(index).center()
        self.window.qtbot.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=place)
        self.window.qtbot.waitUntil(lambda: not view.isVisible())
        assert combo.currentIndex() == row
        self.looked()


class PlayingInAWindow(Playing):
    """A stack and a flat image, each game in a window of its own."""

    IMAGES: ClassVar = {"stack": (3, HEIGHT, WIDTH), "flat": (HEIGHT + 10, WIDTH + 5)}
    window: ClassVar[Window]
    # by calls alone, and so played without a window
    look_in_3d: ClassVar = None
    reorder: ClassVar = None
    replace_pixels: ClassVar = None

    def _new_person(self) -> Person:
        return PersonAtAWindow(self.pixels, self.folder, self.window)

    @precondition(lambda self: any(plane.objects for plane in self.now.planes.values()))
    @rule()
    def save_and_open(self) -> None:
        """What is opened in a panel that was just opened is what was saved in the one before."""
        self.person.wait()
        saved, folder = self._after(), self.person.save()
        self.person.close()
        assert not self.person.leaked()
        self.person = again = self._new_person()
        again.open(folder)
        self._assert_opened_as_saved(saved, again.look())
        self._go_on_as(again)

    @invariant()
    def the_panel_shows_the_state(self) -> None:
        panel, person = self.person.panel, self.person
        plane = self.now.planes[person.image, person.plane]
        assert not self.window.exceptions, self.window.exceptions
        assert not panel.app._failure, panel.app._failure
        assert panel.objects.current == person.current
        assert set(plane.objects) <= set(panel.objects.model._ids)
        assert panel.objects.undo.isEnabled() == bool(person.undo_label)
        assert panel.objects.redo.isEnabled() == bool(person.redo_label)
