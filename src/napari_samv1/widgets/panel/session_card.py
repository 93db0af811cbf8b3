"""A question in the panel, not a dialog: a sentence, a widget if needed, and buttons for the answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from qtpy.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_samv1.widgets.shared.look import GREEN, PlainLabel, card

Answer = tuple[str, Callable[[], None]]


class QuestionCard(QWidget):
    """Shows one question at a time, and is hidden without one; the window is never blocked."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.sentence = PlainLabel()
        self.sentence.setWordWrap(True)
        card(self.sentence, GREEN)
        self.buttons: dict[str, QPushButton] = {}
        self._row = QHBoxLayout()
        self._row.setSpacing(4)
        self._content: QWidget | None = None
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(4)
        self._column.addWidget(self.sentence)
        self._column.addLayout(self._row)
        self.hide()

    def ask(self, sentence: str, answers: Sequence[Answer], content: QWidget | None = None) -> None:
        """Ask a question; a pressed button hides it, and calls its answer.

        ``content`` is shown under the sentence; the card owns it from now on.
        """
        self.dismiss()
        self.sentence.setText(sentence)
        if content is not None:
            self._content = content
            self._column.insertWidget(1, content)
        for words, answer in answers:
            button = QPushButton(words)
            button.clicked.connect(partial(self._answered, answer))
            self._row.addWidget(button)
            self.buttons[words] = button
        self.show()

    def dismiss(self) -> None:
        """Remove the question without an answer."""
        self.hide()
        for button in self.buttons.values():
            self._row.removeWidget(button)
            button.hide()
            button.deleteLater()
        self.buttons = {}
        content, self._content = self._content, None
        if content is not None:
            self._column.removeWidget(content)
            content.hide()
            content.deleteLater()

    def _answered(self, answer: Callable[[], None], _checked: bool = False) -> None:
        self.dismiss()
        answer()
