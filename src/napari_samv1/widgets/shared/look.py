"""Shared styles of the docks: small notes, combo boxes that shrink, thin lines between parts."""

from __future__ import annotations

from qtpy.QtCore import QEvent, Qt
from qtpy.QtWidgets import QComboBox, QFrame, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from napari_samv1.layers.plain_text import plain

NARROW = 60
BLUE, ORANGE, GREEN, GREY = "#3a8ee6", "#e69f00", "#2a9d8f", "#808080"


class PlainLabel(QLabel):
    """A label with plain text, because names, paths and errors may look like HTML."""

    def __init__(self, text: str = "") -> None:
        super().__init__()
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setText(text)


def note(text: str = "") -> QLabel:
    """A label of small, wrapped text."""
    label = PlainLabel(text)
    label.setWordWrap(True)
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
    font = label.font()
    font.setPointSizeF(font.pointSizeF() * 0.9)
    label.setFont(font)
    return label


class StatusLines(PlainLabel):
    """A label with a fixed number of lines; the tooltip holds the full text."""

    def __init__(self, lines: int) -> None:
        super().__init__()
        self._lines = lines
        self.setWordWrap(True)
        self.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._fix_height()

    def say(self, words: str) -> None:
        """Show a text; "" for none."""
        self.setText(words)
        self.setToolTip(plain(words))

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802 - Qt's name
        super().changeEvent(event)
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange):
            self._fix_height()

    def _fix_height(self) -> None:
        self.setFixedHeight(self._lines * self.fontMetrics().lineSpacing() + 4)


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


def card(label: QLabel, colour: str) -> QLabel:
    """Give a label a coloured bar at its left; its text keeps the theme's colour, readable in all themes."""
    label.setStyleSheet(f"border-left: 3px solid {colour}; padding: 2px 0px 2px 6px;")
    return label


class Folded(QWidget):
    """A titled part of the panel that opens and closes."""

    def __init__(self, title: str, content: QWidget, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._title = title
        self.content = content
        self.header = QPushButton()
        self.header.setFlat(True)
        self.header.setStyleSheet(
            "text-align: left; background: transparent; border: none; padding: 2px 0px;"
        )
        self.header.clicked.connect(self._toggle)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.header)
        layout.addWidget(content)
        self.open = False

    @property
    def open(self) -> bool:
        return not self.content.isHidden()

    @open.setter
    def open(self, is_open: bool) -> None:
        self.content.setVisible(is_open)
        self._show_header()

    def set_title(self, title: str) -> None:
        self._title = title
        self._show_header()

    def _toggle(self) -> None:
        self.open = not self.open

    def _show_header(self) -> None:
        self.header.setText(f"{'▾' if self.open else '▸'} {self._title}")
