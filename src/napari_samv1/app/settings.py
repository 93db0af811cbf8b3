"""Settings that a person moves: of the current object, of new ones, or of the first image to come."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from napari_samv1.annotation.edits import settings_of
from napari_samv1.app.canvas import Canvas
from napari_samv1.app.gesture import Gesture
from napari_samv1.records.settings import FOR_NEW_OBJECTS, ObjectSettings


class MovedSettings:
    """Collects what is moved faster than it can be shown; ``apply`` makes the newest values count."""

    def __init__(self, canvas: Canvas) -> None:
        self._canvas = canvas
        self._gesture = Gesture()
        self._early: dict[str, Any] = {}  # set before there was an image
        self._moved: dict[tuple[str, int], Any] = {}  # setting and object -> newest value

    def now(self) -> ObjectSettings:
        """The current object's settings, or else those of new ones, with what is not applied yet."""
        document, number = self._canvas.document, self._canvas.current.number
        if document is None:
            return replace(FOR_NEW_OBJECTS, **self._early)
        shown = self._canvas.shown
        piece = None if shown is None else shown.get(number)
        settings = settings_of(document, number) if piece is None else piece.settings
        moved = {setting: value for (setting, owner), value in self._moved.items() if owner == number}
        return replace(settings, **moved)

    def move(self, setting: str, value: Any) -> None:
        """Take a value for the current object, which may be another one when it is applied."""
        if self._canvas.document is None:
            self._early[setting] = value
        else:
            self._moved[setting, self._canvas.current.number] = value

    def apply(self, *, as_one_drag: bool) -> str:
        """Give objects what was moved; "" or a sentence. A drag's values are one step to undo."""
        moved, self._moved = self._moved, {}
        sentences = []
        for (setting, number), value in moved.items():
            gesture = self._gesture.of(setting, number) if as_one_drag else None
            sentences.append(self._canvas.edits.set_settings(number, gesture=gesture, **{setting: value}))
        return next((sentence for sentence in sentences if sentence), "")

    def give_to_new_image(self) -> None:
        """Give a new image's objects the settings that were made before there was an image."""
        document = self._canvas.document
        if document is not None and self._early:
            document.defaults = replace(document.defaults, **self._early)
            self._early = {}

    @property
    def waiting(self) -> bool:
        """True if a setting waits to be applied."""
        return bool(self._moved)
