"""The panel's few shared looks: quiet notes, combo boxes that shrink, thin lines between parts."""

from __future__ import annotations

from qtpy.QtWidgets import QComboBox, QFrame, QLabel, QSizePolicy, QWidget

NARROW = 60


def note(text: str = "") -> QLabel:
    """A wrapped line of small, quiet text."""
    label = QLabel(text)
    label.setWordWrap(True)
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
    font = label.font()
    font.setPointSizeF(font.pointSizeF() * 0.9)
    label.setFont(font)
    return label


def narrow_combo(parent: QWidget | None = None) -> QComboBox:
    """A combo box whose longest entry doesn't widen the dock."""
    combo = QComboBox(parent)
    let_shrink(combo)
    return combo


def let_shrink(combo: QComboBox) -> None:
    """Let a combo box be narrower than its longest entry."""
    combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    combo.setMinimumContentsLength(6)
    combo.setMinimumWidth(NARROW)
    combo.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)


def line() -> QFrame:
    """A thin line between two parts of the panel."""
    frame = QFrame()
    frame.setFrameShape(QFrame.Shape.HLine)
    frame.setFixedHeight(1)
    return frame


def part(title: str) -> QLabel:
    """The title of a part of the panel."""
    label = QLabel(title)
    font = label.font()
    font.setBold(True)
    label.setFont(font)
    return label
