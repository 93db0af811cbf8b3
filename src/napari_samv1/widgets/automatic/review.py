"""Review of automatic objects, the least certain first: keep, correct or delete each by a key."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_samv1.app.actions import DELETE_OBJECT, REVIEW
from napari_samv1.app.canvas import NoPlaneError
from napari_samv1.layers.image import show_plane
from napari_samv1.layers.keys import shown_key
from napari_samv1.layers.on_screen import camera_of, canvas_hw
from napari_samv1.layers.plain_text import plain
from napari_samv1.layers.undo_keys import UndoKeys
from napari_samv1.records.mask_crop import MaskCrop
from napari_samv1.widgets.shared.look import PlainLabel

if TYPE_CHECKING:
    from napari_samv1.annotation.document import Document
    from napari_samv1.annotation.pieces import Piece
    from napari_samv1.app.app import App
    from napari_samv1.app.everything import Review
    from napari_samv1.app.state import State
    from napari_samv1.layers.binding import AnnotationBinding

IN_3D = "Objects are reviewed in 2D: switch the 3D view off, then go on."
NOTHING = "There are no automatic objects to review: find and accept some first."
LEAST_ON_SCREEN, MOST_ON_SCREEN = 40, 0.8
"""Smallest and largest object that is not zoomed: in screen pixels, and as a share of the canvas."""

IN_VIEW = 0.15
"""Share of the canvas that a zoomed object fills."""


class ReviewPart(QWidget):
    """Button that begins a review; during a review, three buttons and the number of objects left."""

    ended = Signal()

    def __init__(self, app: App, canvas: AnnotationBinding, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._app, self._canvas = app, canvas
        self._review: Review | None = None
        self._document: Document | None = None
        self.piece: Piece | None = None
        self._is_shown = False  # the piece was brought on the screen
        self._undo_keys: list[UndoKeys] = []
        self.begin = QPushButton("Review, least sure first")
        self.begin.setCheckable(True)
        self.begin.setToolTip("Walk through the automatic objects: keep, correct or delete each by one key")
        self.keep, self.correct, self.delete = QPushButton(), QPushButton(), QPushButton()
        for button, name in ((self.keep, "keep"), (self.correct, "correct"), (self.delete, "delete")):
            button.setToolTip(plain(REVIEW[name].tip))
        self.words = PlainLabel()
        self.words.setWordWrap(True)
        self.row = QWidget()
        row = QHBoxLayout(self.row)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        for button in (self.keep, self.correct, self.delete):
            row.addWidget(button, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        layout.addWidget(self.begin)
        layout.addWidget(self.row)
        layout.addWidget(self.words)
        self.begin.toggled.connect(self._toggled)
        self.keep.clicked.connect(lambda: self.kept())
        self.correct.clicked.connect(lambda: self.corrected())
        self.delete.clicked.connect(lambda: self.deleted())
        app.review = self._by_key
        app.on_change(self._changed)
        app.on_close(partial(_close, self._undo_keys))
        self.show_keys()
        self._show()

    def show_keys(self) -> None:
        """Name the keys on the buttons, as they are bound now."""
        for button, name, title in (
            (self.keep, "keep", "Keep"),
            (self.correct, "correct", "Correct"),
            (self.delete, "delete", "Delete"),
        ):
            key = shown_key(REVIEW[name])
            button.setText(f"{title} ({key})" if key else title)

    def _by_key(self, name: str) -> None:
        {"keep": self.kept, "correct": self.corrected, "delete": self.deleted}[name]()

    def kept(self) -> None:
        """Keep the object under review, and go to the next."""
        if self._is_current():
            self._next()

    def corrected(self) -> None:
        """Correct the object under review with clicks; the review waits."""
        if self._is_current() and self.piece is not None and self._go_to(self.piece):
            self._app.take_tool("click")
            self.words.setText(
                f"Correct object {self.piece.id} with clicks; then {self.keep.text()} goes on."
            )

    def deleted(self) -> None:
        """Delete the object under review."""
        piece = self.piece
        if self._is_current() and piece is not None:
            self._app.pick_object(piece.id)
            self._app.do(DELETE_OBJECT)
            # otherwise the deletion has led on already
            if self.piece is piece:
                self._next()

    def stop(self) -> None:
        """End the review."""
        self.begin.setChecked(False)

    def _toggled(self, is_on: bool) -> None:
        if not is_on:
            _close(self._undo_keys)
            self._review = self._document = self.piece = None
            self._show()
            self.ended.emit()
            return
        document = self._canvas.document
        if document is None:
            self._nothing()
            return
        from napari_samv1.app.everything import Review

        self._review, self._document = Review(document), document
        if self._review.following() is None:
            self._nothing()
            return
        if self._canvas.image is not None:
            # where the review's keys work, as the image is often active
            self._undo_keys.append(UndoKeys(self._canvas.image))
        self._next()

    def _changed(self, old: State, new: State) -> None:
        """Go on if the object under review was deleted otherwise, as by undo."""
        piece, document = self.piece, self._document
        if not new.differs(old, "revision") or piece is None or document is None:
            return
        if document.piece(piece.plane, piece.id) is None:
            self._next()

    def _nothing(self) -> None:
        self.begin.setChecked(False)
        self.words.setText(NOTHING)
        self.words.setVisible(True)

    def _is_current(self) -> bool:
        """Return True during a review of the displayed image in 2D; end a review of another image."""
        if self._review is None:
            return False
        if self._canvas.document is not self._document:
            self.stop()
            return False
        if self._canvas.screen.in_3d:
            self.words.setText(IN_3D)
            return False
        if not self._is_shown and self.piece is not None:
            # chosen in 3D: shown first, then decided
            self._show()
            self._is_shown = self._go_to(self.piece)
            return False
        return True

    def _next(self) -> None:
        review = self._review
        if review is None:
            return
        if self.piece is not None:
            review.seen(self.piece)
        piece = review.following()
        if piece is None:
            self.stop()
            self.words.setText("That was the last one.")
            self.words.setVisible(True)
            return
        self.piece = piece
        self._show()
        self._is_shown = self._go_to(piece)

    def _go_to(self, piece: Piece) -> bool:
        """Show an object and make it the current one; False, with a sentence, where no plane can be shown."""
        binding, viewer = self._canvas, self._canvas.viewer
        image = binding.image
        if image is None:
            return False
        if binding.screen.in_3d:
            self.words.setText(IN_3D)
            return False
        show_plane(viewer, image, piece.plane)
        self._app.pick_object(piece.id)
        try:
            plane = binding.screen.plane()
        except NoPlaneError as error:
            self.words.setText(str(error))
            return False
        if not piece.mask.empty:
            corners = plane.to_layer(_corners(piece.mask))
            world = np.array([image.data_to_world(tuple(corner)) for corner in corners])
            _bring_into_view(viewer, world[:, list(viewer.dims.displayed)[-2:]])
        return True

    def _show(self) -> None:
        is_on = self._review is not None
        self.row.setVisible(is_on)
        self.begin.setText("End the review" if is_on else "Review, least sure first")
        if self._review is None or self.piece is None:
            self.words.setText("")
        else:
            from napari_samv1.app.everything import sureness

            self.words.setText(
                f"Object {self.piece.id}: predicted IoU {sureness(self.piece):.2f}; "
                f"{self._review.left} to look at"
            )
        self.words.setVisible(bool(self.words.text()))


def _close(keys: list[UndoKeys]) -> None:
    # takes no widget, because it also runs after they are deleted
    while keys:
        keys.pop().close()


def _corners(mask: MaskCrop) -> np.ndarray:
    rows, columns = mask.region
    return np.array([(y, x) for y in (rows.start, rows.stop - 1) for x in (columns.start, columns.stop - 1)])


def _bring_into_view(viewer: Any, corners: np.ndarray) -> None:
    """Centre the view on corners (4, 2) in the world; zoom only if they are tiny or do not fit."""
    camera = camera_of(viewer)
    size = np.asarray(canvas_hw(viewer) or (600, 600), dtype=np.float64)
    extent = np.ptp(corners, axis=0)
    middle = corners.mean(axis=0)
    camera.center = (*tuple(camera.center)[:-2], float(middle[0]), float(middle[1]))
    on_screen = max(extent.max(), 1e-12) * camera.zoom
    if on_screen < LEAST_ON_SCREEN or on_screen > MOST_ON_SCREEN * size.min():
        camera.zoom = IN_VIEW * float(size.min()) / max(extent.max(), 1e-12)
