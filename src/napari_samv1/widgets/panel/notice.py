"""The sentence at the top of the panel, of fixed height: the next step, or an error message."""

from __future__ import annotations

from qtpy.QtCore import QEvent, Qt
from qtpy.QtWidgets import QFrame, QLabel, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

from napari_samv1.layers.plain_text import plain
from napari_samv1.widgets.shared.look import BLUE, ORANGE, PlainLabel, card

LINES = 3


class Notice(QScrollArea):
    """Shows the guide, or a message in its place; a long message scrolls, so that nothing below it moves."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.guide = card(_words(), BLUE)
        self.message = card(_words(), ORANGE)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        content = QWidget()
        layout = QVBoxLayout(content)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.guide)
        layout.addWidget(self.message)
        layout.addStretch(1)
        self.setWidget(content)
        self.show_message("")
        self._fix_height()

    def show_guide(self, sentence: str) -> None:
        """Set the guide's sentence; visible while there is no message."""
        self.guide.setText(sentence)
        self.guide.setToolTip(plain(sentence))

    def show_message(self, sentence: str) -> None:
        """Show a message in the guide's place; "" for none."""
        if sentence != self.message.text():
            self.verticalScrollBar().setValue(0)
        self.message.setText(sentence)
        self.message.setToolTip(plain(sentence))
        self.message.setVisible(bool(sentence))
        self.guide.setVisible(not sentence)

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802 - Qt's name
        super().changeEvent(event)
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange):
            self._fix_height()

    def _fix_height(self) -> None:
        self.setFixedHeight(LINES * self.guide.fontMetrics().lineSpacing() + 10)


def _words() -> QLabel:
    label = PlainLabel()
    label.setWordWrap(True)
    return label
