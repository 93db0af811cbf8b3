"""Settings changed by the user: of the current object, of new objects, or before the first image."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from napari_samv1.annotation.edits import settings_of
from napari_samv1.app.canvas import Canvas
from napari_samv1.app.gesture import Gesture
from napari_samv1.records.settings import FOR_NEW_OBJECTS, ObjectSettings


class MovedSettings:
    """Buffer for changes of settings that come faster than they can be shown."""

    def __init__(self, canvas: Canvas) -> None:
        self._canvas = canvas
        self._gesture = Gesture()
        self._early: dict[str, Any] = {}  # set before there was an image
        self._moved: dict[tuple[str, int], Any] = {}  # setting and object -> newest value

    def now(self) -> ObjectSettings:
        """Settings of the current object, or of new objects, with the changes not yet applied."""
        document, number = self._canvas.document, self._canvas.current.number
        if document is None:
            return replace(FOR_NEW_OBJECTS, **self._early)
        shown = self._canvas.shown
        piece = None if shown is None else shown.get(number)
        settings = settings_of(document, number) if piece is None else piece.settings
        moved = {setting: value for (setting, owner), value in self._moved.items() if owner == number}
        return replace(settings, **moved)

    def move(self, setting: str, value: Any) -> None:
        """Buffer a value for the object that is current now."""
        if self._canvas.document is None:
            self._early[setting] = value
        else:
            self._moved[setting, self._canvas.current.number] = value

    def apply(self, *, as_one_drag: bool) -> str:
        """Apply the newest values; "" or a sentence. The values of a drag are one undo step."""
        moved, self._moved = self._moved, {}
        sentences = []
        for (setting, number), value in moved.items():
            gesture = self._gesture.of(setting, number) if as_one_drag else None
            sentences.append(self._canvas.edits.set_settings(number, gesture=gesture, **{setting: value}))
        return next((sentence for sentence in sentences if sentence), "")

    def give_to_new_image(self) -> None:
        """Apply the settings made before the first image to that image's new objects."""
        document = self._canvas.document
        if document is not None and self._early:
            document.defaults = replace(document.defaults, **self._early)
            self._early = {}

    @property
    def waiting(self) -> bool:
        """True if a setting waits to be applied."""
        return bool(self._moved)
