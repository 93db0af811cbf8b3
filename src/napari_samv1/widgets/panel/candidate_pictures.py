"""Pictures of the current object's four masks, and its logits as a layer, updated only after a change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.notifications import show_info
from qtpy.QtCore import QObject, QTimer
from qtpy.QtWidgets import QAbstractButton

from napari_samv1.app.state import State
from napari_samv1.layers.image import DisplayedPlane
from napari_samv1.layers.labels.logits_preview import LogitsPreview
from napari_samv1.layers.plain_text import plain
from napari_samv1.widgets.panel.mask_choice import SIDE, CandidateScores, MaskPictures

if TYPE_CHECKING:
    from napari_samv1.engine.thumbnails import Thumbnails
    from napari_samv1.layers.binding import AnnotationBinding

PAUSE_MILLISECONDS = 30


class CandidatePictures(QObject):
    """Fills ``MaskPictures`` with the current object's pictures, a moment after ``show_state``.

    The delay lets the next decoding begin first.
    """

    def __init__(
        self, binding: AnnotationBinding, choice: MaskPictures, logits_button: QAbstractButton
    ) -> None:
        super().__init__(choice)  # a child of the pictures, so that its timer ends with them
        self._binding = binding
        self._state = State()
        self._choice = choice
        self._logits_button = logits_button
        self._logits: LogitsPreview | None = None
        self._made: Thumbnails | None = None
        self._made_of: tuple[Any, ...] = ()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(PAUSE_MILLISECONDS)
        self._timer.timeout.connect(self.make)
        logits_button.clicked.connect(self.toggle_logits)

    def show_state(self, state: State) -> None:
        """Show the current object's scores now, its pictures soon."""
        self._state = state
        self.refresh()

    def refresh(self) -> None:
        """Show scores and pictures again, as after a change of colour."""
        self._show_scores()
        if not self._timer.isActive():
            self._timer.start()

    def toggle_logits(self, shown: bool) -> None:
        """Show the current object's logits as a layer that follows it, or remove that layer."""
        if self._logits is not None and not shown:
            self._logits.close()
            self._logits = None
        elif self._logits is None and shown:
            self._logits = LogitsPreview(self._binding.viewer, self._logits_removed)
            self._show_logits()
            if self._logits.layer is None:
                show_info(plain(self._reason_for_no_logits()))
        self._logits_button.setChecked(self._logits is not None)

    def close(self) -> None:
        """Remove the logits' layer, and make no more pictures."""
        self._timer.stop()
        self.toggle_logits(False)

    def _logits_removed(self) -> None:
        # the user deleted the layer
        self.toggle_logits(False)

    def make(self) -> None:
        """Make missing pictures now; ``show_state`` does it a moment later."""
        self._show_logits()
        prediction, current = self._state.prediction, self._state.piece
        if prediction is None or current is None or current.chosen is None:
            self._made, self._made_of = None, ()
            self._choice.show_pictures(())
            self._show_scores()
            return
        side = round(SIDE * self._choice.devicePixelRatioF())
        colour = self._colour()
        made_of = (prediction, current.chosen, current.settings.threshold, colour, side)
        if self._made is None or self._made_of[0] is not prediction or self._made_of[1:] != made_of[1:]:
            # imported late: it needs torch, which every prediction has loaded already
            from napari_samv1.engine.thumbnails import thumbnails

            plane = self._state.plane
            if not isinstance(plane, DisplayedPlane):
                return
            self._made = thumbnails(
                prediction,
                chosen=current.chosen,
                threshold=current.settings.threshold,
                side=side,
                colour=colour,
                glimpse=plane.seen.glimpse,
            )
            self._made_of = made_of
            self._choice.show_pictures(tuple(self._made.pictures), self._made.like)
        self._show_scores()

    def _show_scores(self) -> None:
        current = self._state.piece
        if current is None or current.scores is None:
            self._choice.show_scores((), None)
            return
        made = self._made
        fresh = (
            made is not None
            and self._made_of[0] is self._state.prediction
            and self._made_of[2] == current.settings.threshold
        )
        areas = made.areas if made is not None and fresh else (None,) * len(current.scores.iou)
        scores = (
            CandidateScores(*one)
            for one in zip(current.scores.iou, current.scores.stability, areas, strict=True)
        )
        self._choice.show_scores(tuple(scores), current.chosen)

    def _show_logits(self) -> None:
        preview, prediction, current = self._logits, self._state.prediction, self._state.piece
        image = self._binding.image
        if preview is None or prediction is None or current is None or current.chosen is None:
            return
        plane = self._state.plane
        if image is None or not isinstance(plane, DisplayedPlane):
            return
        preview.show(prediction, current.chosen, f"{image.name} logits", image, plane)

    def _reason_for_no_logits(self) -> str:
        current = self._binding.current.piece
        if current is None:
            return "To see logits, pick an object that the model segmented on this slice."
        if current.scores is None:
            return f"Object {current.id} has no logits: the model was not asked about it yet."
        return (
            f"The logits of object {current.id} show once this slice is encoded as it was for the object. If "
            f"model, device or contrast are different now, press Encode to segment the object again."
        )

    def _colour(self) -> tuple[int, int, int]:
        labels = self._binding.labels
        if labels is None:
            return 58, 142, 230
        red, green, blue = (
            round(255 * float(part)) for part in np.ravel(labels.colormap.map(self._state.current))[:3]
        )
        return red, green, blue
