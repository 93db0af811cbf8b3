"""Autosave of the annotation, so that a crash of napari costs a second of work at most."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, QTimer, Signal

from napari_samv1.layers.recording import Recorder
from napari_samv1.layers.reopening import Placed, reopen
from napari_samv1.storage.session.autosave import Autosave

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from napari_samv1.app.encoding import Encoder
    from napari_samv1.layers.binding import AnnotationBinding
    from napari_samv1.storage.session.record import ImageRecord, PlaneRecord, SessionRecord

NOTICE_MILLISECONDS = 100
SECONDS_BETWEEN = 0.5


class SessionKeeper(QObject):
    """Records all annotated planes and hands the record to autosave, from the first edit on.

    At closing, work that is in no session folder is left for the next start to offer; autosaves of saved work
    are deleted.
    """

    changed = Signal()  # autosaved, saved, or failed to
    _wrote = Signal()

    def __init__(self, viewer: Viewer, binding: AnnotationBinding, encoder: Encoder) -> None:
        super().__init__()
        self.folder: Path | None = None
        self.problem = ""
        self.autosaved = False
        self.closed = False
        self._viewer, self._binding, self._encoder = viewer, binding, encoder
        self._recorder = Recorder()
        self._autosave: Autosave | None = None
        self._record: SessionRecord | None = None
        self._saved: SessionRecord | None = None
        self._recorded_images: set[Any] = set()
        self._layers_go = QTimer(self)
        self._layers_go.setSingleShot(True)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(NOTICE_MILLISECONDS)
        self._timer.timeout.connect(self.offer)
        self._wrote.connect(self._autosaved)
        viewer.layers.events.removing.connect(self._catch_up)

    @property
    def object_count(self) -> int:
        """Number of objects in the last record."""
        return 0 if self._record is None else self._record.object_count

    @property
    def is_saved(self) -> bool:
        """True if the last record is in a session folder, or there is nothing to save."""
        record = self._record
        return record is None or not record.object_count or _same_record(record, self._saved)

    def touch(self) -> None:
        """Record possible changes soon. Cheap, and meant to be called often."""
        if not self.closed and not self._timer.isActive():
            self._timer.start()

    def current(self) -> SessionRecord:
        """The record of the present state."""
        return self._recorder.record(self._binding, self._viewer.layers, self._encoder.pixels)

    def offer(self) -> None:
        """Record the present state, and have it autosaved if it differs from the last record."""
        self._timer.stop()
        if self.closed:
            return
        images = {layer.unique_id for layer in self._viewer.layers}
        if self._recorded_images - images:
            # keep the autosave of a closed image, which the new record lacks
            self._retire()
        record = self.current()
        if _same_record(record, self._record) or (self._record is None and not record.object_count):
            return
        self._record = record
        self._recorded_images = {one.image.unique_id for one in self._binding.images.with_pieces}
        if self._autosave is None:
            self._autosave = Autosave(seconds_between=SECONDS_BETWEEN, on_saved=self._tell)
        self.autosaved = False
        self._autosave.offer(record)
        self.changed.emit()

    def flushed(self, timeout: float = 30.0) -> bool:
        """Wait until the last record is on the disk; on any thread. False if it is not."""
        autosave = self._autosave
        return autosave is not None and autosave.flush(timeout)

    def saved(self, record: SessionRecord, folder: Path) -> None:
        """Note that a record is in a session folder, and end autosave until the next edit."""
        self._saved, self.folder = record, folder
        if self.is_saved:
            self._end_autosave()
            self.problem = ""
        self.changed.emit()

    def go_on(self, record: SessionRecord, images: Sequence[Placed], folder: Path | None = None) -> str:
        """Continue a session that was saved in ``folder``, or left by autosave; "" or a sentence.

        Earlier work stays in its autosave, which the next start offers if it was not saved.
        """
        self.offer()
        self._retire()
        self._recorder.begin(record)
        self._binding.screen.sight = record.sight
        problem = reopen(self._binding, images)
        if folder is not None:
            self.saved(self.current(), folder)
        self.offer()
        return problem

    def close(self) -> None:
        """End autosave; a second call does nothing."""
        if self.closed:
            return
        self.offer()
        self.closed = True
        self._viewer.layers.events.removing.disconnect(self._catch_up)
        self._end_autosave()

    def _retire(self) -> None:
        """Begin another session; the autosave so far is left for the next start if it is not saved."""
        self._end_autosave()
        self._record = self._saved = self.folder = None
        self.problem = ""
        self._recorded_images = set()
        self._recorder.begin()
        self.autosaved = False

    def _end_autosave(self) -> None:
        autosave, self._autosave = self._autosave, None
        if autosave is not None:
            autosave.close(clean=self.is_saved)

    def _catch_up(self, _event: object = None) -> None:
        """Record the annotation before a layer is removed.

        If many layers are removed at once, as when the window closes, only the state before the first is
        recorded: later removals are no edits of the user.
        """
        if not self._layers_go.isActive():
            if self._timer.isActive():
                self.offer()
            # ends with the next turn of the event loop
            self._layers_go.start(0)

    def _tell(self) -> None:
        with suppress(RuntimeError):  # the window is gone
            self._wrote.emit()

    def _autosaved(self) -> None:
        autosave = self._autosave
        if autosave is not None:
            self.problem, self.autosaved = autosave.problem, not autosave.problem
            self.changed.emit()


def _same_record(record: SessionRecord, other: SessionRecord | None) -> bool:
    """Return True if two records of one process are equal: pieces are replaced, never changed."""
    return (
        other is not None
        and record.sight == other.sight
        and len(record.images) == len(other.images)
        and all(map(_same_image, record.images, other.images))
    )


def _same_image(image: ImageRecord, other: ImageRecord) -> bool:
    return (
        image.objects == other.objects
        and len(image.planes) == len(other.planes)
        and all(map(_same_plane, image.planes, other.planes))
    )


def _same_plane(plane: PlaneRecord, other: PlaneRecord) -> bool:
    return (
        plane.source == other.source
        and plane.channels == other.channels
        and plane.order == other.order
        and len(plane.pieces) == len(other.pieces)
        and all(first is second for first, second in zip(plane.pieces, other.pieces, strict=True))
        and (plane.beneath is other.beneath or _same_array(plane.beneath, other.beneath))
    )


def _same_array(first: Any, second: Any) -> bool:
    return first is not None and second is not None and bool(np.array_equal(first, second))
