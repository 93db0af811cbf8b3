"""Existing labels of the Labels layer, read in the background, for the list of objects."""

from __future__ import annotations

from collections.abc import Collection, Hashable
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, QTimer, Signal

from napari_samv1.app.state import State
from napari_samv1.app.worker import Outcome, Worker
from napari_samv1.layers.image import DisplayedPlane
from napari_samv1.layers.labels.existing import labels_on
from napari_samv1.widgets.shared.mailbox import Mailbox

if TYPE_CHECKING:
    from napari_samv1.layers.binding import AnnotationBinding

PAUSE_MILLISECONDS = 300
MOST_PIXELS_AFTER_AN_EDIT = 1 << 24  # larger planes are not read again after edits


class ExistingLabels(QObject):
    """Numbers that the bound Labels layer shows on the displayed plane, read in a thread."""

    changed = Signal()

    def __init__(self, binding: AnnotationBinding) -> None:
        super().__init__()
        self.numbers: Collection[int] = ()
        self._binding = binding
        self._state = State()
        self._read: Hashable = None
        self._objects: frozenset[int] = frozenset()  # objects of the plane at the last state
        self._objects_then: frozenset[int] = frozenset()  # those at the last read
        self._worker = Worker("existing labels", self._found, deliver=Mailbox())
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(PAUSE_MILLISECONDS)
        self._timer.timeout.connect(self._look)

    def show_state(self, state: State) -> None:
        """Read again if layer, data, plane or objects differ from the last read."""
        self._state = state
        self._drop_deleted()
        place = self._place()
        if place is None:
            self._show(None, ())
        elif self._read is None or place[0] != self._read[0]:  # type: ignore[index]  # a pair
            self._show(None, ())
            self._look()
        elif place != self._read and not self._timer.isActive():
            self._timer.start()

    def _drop_deleted(self) -> None:
        """Drop deleted objects, which are no existing labels, until the layer is read again."""
        objects = frozenset(self._state.objects)
        gone, self._objects = self._objects - objects, objects
        if gone.intersection(self.numbers):
            self.numbers = tuple(number for number in self.numbers if number not in gone)

    def close(self) -> None:
        """End the thread."""
        self._timer.stop()
        self._worker.stop()

    def _place(self) -> tuple[Hashable, int] | None:
        """Identify the plane, its labels and the state of its objects; None without labels."""
        labels, plane = self._binding.labels, self._state.plane
        if labels is None or plane is None or self._state.document is None:
            return None
        small = plane.shape_yx[0] * plane.shape_yx[1] <= MOST_PIXELS_AFTER_AN_EDIT
        return (id(labels), id(labels.data), plane.key), self._state.revision if small else 0

    def _look(self) -> None:
        place, labels, image = self._place(), self._binding.labels, self._binding.image
        plane = self._state.plane
        if place is None or labels is None or image is None or not isinstance(plane, DisplayedPlane):
            return
        self._read, self._objects_then = place, self._objects
        self._worker.submit("look", lambda _ticket: (place, labels_on(labels, image, plane)))

    def _found(self, outcome: Outcome) -> None:
        # reading may fail while a layer is deleted; a layer is read again when it is chosen again
        if outcome.error is None and not outcome.cancelled and outcome.value[0] == self._read:
            place, numbers = outcome.value
            gone = self._objects_then - self._objects  # deleted while the layer was read
            self._show(place, tuple(number for number in numbers if number not in gone))

    def _show(self, place: Hashable, numbers: Collection[int]) -> None:
        self._read = place
        if numbers != self.numbers:
            self.numbers = numbers
            self.changed.emit()
