"""The choice among the four masks: candidates as pictures with their scores, or "auto"."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QImage, QPainter, QPaintEvent, QPen, QPixmap
from qtpy.QtWidgets import QAbstractButton, QGridLayout, QLabel, QPushButton, QSizePolicy, QWidget

from napari_samv1.layers.plain_text import plain
from napari_samv1.records.settings import CHOICES, Choice
from napari_samv1.widgets.panel.value_widgets import LookValue
from napari_samv1.widgets.shared.look import BLUE, GREY, note

SIDE = 56

AUTO_TIP = (
    "The model chooses. One click or box may mean a part or the whole: the best of masks 2 to 4 by predicted "
    "IoU. With more prompts: mask 1."
)


@dataclass(frozen=True)
class CandidateScores:
    """Scores of one of the four masks; ``area`` in pixels before clean-up, None if unknown."""

    iou: float
    stability: float
    area: int | None = None


class Thumbnail(QAbstractButton):
    """Button of a candidate: its picture, or the number of a similar one; framed if chosen."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number
        self.taken = False
        self.like: int | None = None
        self._picture: QPixmap | None = None
        self._scores = ""
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.describe("")

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        return QSize(SIDE, SIDE)

    def show_picture(self, picture: NDArray[np.uint8] | None) -> None:
        """Show a picture (side, side, 3), or only the number."""
        self._picture, self.like = None, None
        if picture is not None:
            pixels = np.ascontiguousarray(picture)
            height, width, _ = pixels.shape
            image = QImage(pixels.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888)
            self._picture = QPixmap.fromImage(image)
        self.describe(self._scores)
        self.update()

    def show_like(self, number: int) -> None:
        """Show the number of a candidate with almost the same mask."""
        self.show_picture(None)
        self.like = number
        self.describe(self._scores)

    def show_taken(self, taken: bool) -> None:
        self.taken = taken
        self.update()

    def describe(self, scores: str) -> None:
        """Set the accessible name and the tooltip."""
        self._scores = scores
        self.setAccessibleName(f"Mask {self.number}")
        like = "" if self.like is None else f". It hardly differs from mask {self.like}."
        self.setToolTip(plain(f"Take mask {self.number}{f': {scores}' if scores else ''}{like}"))

    def paintEvent(self, _event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        frame = QRectF(self.rect())
        if self._picture is not None:
            painter.drawPixmap(self.rect(), self._picture)
        painter.setPen(QColor("white" if self._picture is not None else GREY))
        corner = frame.adjusted(5, 2, -5, -2)
        align = Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft
        painter.drawText(corner, int(align), str(self.number))
        if self.like is not None:
            painter.drawText(frame, int(Qt.AlignmentFlag.AlignCenter), f"like {self.like}")
        width = 3.0 if self.taken else 1.0
        pen = QPen(QColor(BLUE if self.taken else GREY), width)
        pen.setJoinStyle(Qt.PenJoinStyle.MiterJoin)
        if self.hasFocus():
            pen.setStyle(Qt.PenStyle.DashLine)
        painter.setPen(pen)
        painter.drawRect(frame.adjusted(width / 2, width / 2, -width / 2, -width / 2))


class MaskPictures(QWidget):
    """Shows "auto" and the four candidates, each with predicted IoU, stability and area."""

    picked = Signal(object)  # Choice

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.auto = QPushButton("Auto")
        self.auto.setCheckable(True)
        self.auto.setChecked(True)
        self.auto.setToolTip(AUTO_TIP)
        self.candidates = [Thumbnail(number) for number in (1, 2, 3, 4)]
        self.scores = [_small() for _ in self.candidates]
        titles = _small("IoU\nstable\nsize", Qt.AlignmentFlag.AlignLeft)
        titles.setSizePolicy(QSizePolicy.Policy.Minimum, QSizePolicy.Policy.Minimum)
        titles.setToolTip(
            "IoU: the model's estimate of the overlap with the object. Stable: how little the mask changes "
            "with the threshold. Size: pixels, before clean-up and brush strokes."
        )
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(4)
        grid.setVerticalSpacing(2)
        grid.addWidget(self.auto, 0, 0)
        grid.addWidget(titles, 1, 0)
        for column, (candidate, scores) in enumerate(zip(self.candidates, self.scores, strict=True), start=1):
            grid.addWidget(candidate, 0, column, Qt.AlignmentFlag.AlignHCenter)
            grid.addWidget(scores, 1, column)
            grid.setColumnStretch(column, 1)
            candidate.clicked.connect(_pick(self, CHOICES[column]))
        self.auto.clicked.connect(_pick(self, "auto"))
        self._choice: Choice = "auto"
        self.show_scores((), None)

    @property
    def choice(self) -> Choice:
        """The choice that is shown."""
        return self._choice

    def show_choice(self, choice: Choice) -> None:
        """Show a choice, without reporting it as picked."""
        self._choice = choice
        self.auto.setChecked(choice == "auto")

    def show_scores(self, candidates: Sequence[CandidateScores], taken: int | None) -> None:
        """Show the four candidates' scores, and mark the one in the Labels layer."""
        for index, (button, label) in enumerate(zip(self.candidates, self.scores, strict=True)):
            button.setEnabled(True)
            # before there is a mask, mark the choice
            button.show_taken(index == (taken if candidates else self._choice))
            if index >= len(candidates):
                label.setText("-\n-\n-")
                button.describe("")
                continue
            scores = candidates[index]
            area = "-" if scores.area is None else _short(scores.area)
            label.setText(f"{_score(scores.iou, 2)}\n{_score(scores.stability, 2)}\n{area}")
            pixels = "" if scores.area is None else f", {scores.area} pixels"
            iou, stability = _score(scores.iou, 3), _score(scores.stability, 3)
            button.describe(f"predicted IoU {iou}, stability {stability}{pixels}")

    def show_pictures(self, pictures: Sequence[NDArray[np.uint8]], like: Sequence[int] = ()) -> None:
        """Show the candidates' pictures; numbers alone without pictures.

        ``like`` holds for each candidate the index of the similar one whose picture is shown.
        """
        for index, button in enumerate(self.candidates):
            if index < len(like) and like[index] != index:
                button.show_like(like[index] + 1)
            else:
                button.show_picture(pictures[index] if index < len(pictures) else None)


class MaskChoice(LookValue[Choice]):
    """The choice among the four masks: "auto", or 0 to 3."""

    choices = CHOICES

    def __init__(self, **options: Any) -> None:
        self.pictures = MaskPictures()
        super().__init__(self.pictures, **options)
        self.pictures.picked.connect(self.set_value)

    def get_value(self) -> Choice:
        return self.pictures.choice

    def set_value(self, value: Any) -> None:
        """Take "auto" or a mask; ValueError for anything else."""
        if value not in CHOICES or isinstance(value, bool):
            raise ValueError(f'{self.name} must be "auto", 0, 1, 2 or 3, got {value!r}')
        before, chosen = self.value, CHOICES[CHOICES.index(value)]
        self.pictures.show_choice(chosen)
        if chosen != before:
            self.changed.emit(chosen)


def _score(value: float, digits: int) -> str:
    # of an automatic object, the scores of the kept mask alone are known
    return "-" if math.isnan(value) else f"{value:.{digits}f}"


def _short(area: int) -> str:
    """At most five characters: 950, 12.3k, 1.2M."""
    if area < 10_000:
        return str(area)
    return f"{area / 1e3:.0f}k" if area < 1e6 else f"{area / 1e6:.1f}M"


def _small(text: str = "", align: Qt.AlignmentFlag = Qt.AlignmentFlag.AlignHCenter) -> QLabel:
    label = note(text)
    label.setWordWrap(False)
    label.setAlignment(align)
    return label


def _pick(pictures: MaskPictures, choice: Choice) -> Callable[..., None]:
    def pick(*_checked: object) -> None:
        # a press on the chosen button would otherwise release it
        pictures.show_choice(pictures.choice)
        pictures.picked.emit(choice)

    return pick
