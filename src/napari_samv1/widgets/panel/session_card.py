"""A calm question in the panel: a sentence, and buttons for the answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_samv1.widgets.shared.look import GREEN, card

Answer = tuple[str, Callable[[], None]]


class QuestionCard(QWidget):
    """Shows one question at a time, and nothing without one; the window stays free meanwhile."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.sentence = QLabel()
        self.sentence.setWordWrap(True)
        card(self.sentence, GREEN)
        self.buttons: dict[str, QPushButton] = {}
        self._row = QHBoxLayout()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.sentence)
        layout.addLayout(self._row)
        self.hide()

    def ask(self, sentence: str, answers: Sequence[Answer]) -> None:
        """Ask; whichever button is pressed, the question goes, and its answer is called."""
        self.dismiss()
        self.sentence.setText(sentence)
        for words, answer in answers:
            button = QPushButton(words)
            button.clicked.connect(partial(self._answered, answer))
            self._row.addWidget(button)
            self.buttons[words] = button
        self.show()

    def dismiss(self) -> None:
        """Take the question back."""
        self.hide()
        for button in self.buttons.values():
            self._row.removeWidget(button)
            button.hide()
            button.deleteLater()
        self.buttons = {}

    def _answered(self, answer: Callable[[], None], _checked: bool = False) -> None:
        self.dismiss()
        answer()
