"""Which of the four masks, and where to cut it: the candidates with their scores, and the threshold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QButtonGroup, QGridLayout, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget
from superqt import QLabeledDoubleSlider

from napari_samv1.widgets.look import note

AUTO = None
THRESHOLD_RANGE = (-8.0, 8.0)


@dataclass(frozen=True)
class CandidateScores:
    """What is shown of one of the four masks."""

    iou: float
    stability: float


class MaskChoice(QWidget):
    """Auto or one of the four candidates, each with predicted IoU and stability; a slider in logits."""

    candidate_picked = Signal(object)  # 0..3, or None for auto
    threshold_moved = Signal(float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._buttons = QButtonGroup(self)
        self._buttons.setExclusive(True)
        self._scores: list[QLabel] = []
        grid = QGridLayout()
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(4)
        grid.setVerticalSpacing(2)
        for column in range(5):
            button = QPushButton("Auto" if column == 0 else str(column))
            button.setCheckable(True)
            button.setMinimumWidth(28)
            self._buttons.addButton(button, column)
            grid.addWidget(button, 0, column)
            scores = note()
            scores.setWordWrap(False)
            scores.setAlignment(Qt.AlignmentFlag.AlignCenter)
            self._scores.append(scores)
            grid.addWidget(scores, 1, column)
            grid.setColumnStretch(column, 1)
        self._buttons.button(0).setChecked(True)
        self._buttons.button(0).setToolTip(
            "One click or one box may mean a part or the whole: the best of 2, 3, 4 by predicted IoU. "
            "With more prompts: 1."
        )
        self._scores[0].setText("IoU\nstable")
        self._scores[0].setToolTip(
            "IoU: how well the model thinks the mask fits. "
            "Stable: how little it changes when the threshold moves."
        )
        self.threshold = QLabeledDoubleSlider(Qt.Orientation.Horizontal)
        self.threshold.setRange(*THRESHOLD_RANGE)
        self.threshold.setDecimals(1)
        self.threshold.setSingleStep(0.1)  # type: ignore[arg-type]  # its own types say int
        self.threshold.setToolTip(
            "Where the logits are cut: lower makes the mask larger (the model's own: 0)"
        )
        cut = QHBoxLayout()
        cut.addWidget(QLabel("Threshold"))
        cut.addWidget(self.threshold, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(grid)
        layout.addLayout(cut)
        self._buttons.idClicked.connect(lambda column: self.candidate_picked.emit(_candidate(column)))
        self.threshold.valueChanged.connect(lambda value: self.threshold_moved.emit(float(value)))
        self.show_scores((), None)

    @property
    def candidate(self) -> int | None:
        """0..3, or None for auto."""
        return _candidate(self._buttons.checkedId())

    def show_choice(self, candidate: int | None, threshold: float) -> None:
        """Show an object's own choice without reporting it as a person's."""
        self._buttons.button(0 if candidate is None else candidate + 1).setChecked(True)
        was_blocked = self.threshold.blockSignals(True)
        self.threshold.setValue(threshold)
        self.threshold.blockSignals(was_blocked)

    def show_scores(self, candidates: Sequence[CandidateScores], taken: int | None) -> None:
        """Show the four candidates' scores, and mark the one that is in the Labels layer."""
        for index in range(4):
            label = self._scores[index + 1]
            if index >= len(candidates):
                label.setText("-\n-")
                continue
            scores = candidates[index]
            label.setText(f"{scores.iou:.2f}\n{scores.stability:.2f}")
        for index in range(4):
            button = self._buttons.button(index + 1)
            button.setText(f"{index + 1} ✓" if candidates and index == taken else str(index + 1))


def _candidate(column: int) -> int | None:
    return None if column == 0 else column - 1
