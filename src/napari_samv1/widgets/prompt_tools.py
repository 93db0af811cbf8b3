"""The buttons of pointing: click or box, what to keep or leave out, next object, remove, clear."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QButtonGroup,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

FOREGROUND_TITLE = "● Object"
BACKGROUND_TITLE = "✕ Not object"
LARGEST_OBJECT = 2**31 - 1


class PromptTools(QWidget):
    """Shows and changes what the next click means; reports a person's wishes, and does nothing itself."""

    click_wanted = Signal()
    box_wanted = Signal()
    polarity_picked = Signal(bool)  # True: foreground
    object_picked = Signal(int)
    next_object_wanted = Signal()
    remove_last_wanted = Signal()
    clear_wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.click = _toggle(
            "Click", "Point at objects with clicks (a Points layer is made if there is none)"
        )
        self.box = _toggle("Box", "Drag rectangles around objects (a Shapes layer is made if there is none)")
        self.foreground = _toggle(FOREGROUND_TITLE, "The next point says: this belongs to the object")
        self.background = _toggle(BACKGROUND_TITLE, "The next point says: this doesn't belong to the object")
        self.foreground.setChecked(True)
        polarity = QButtonGroup(self)
        for button in (self.foreground, self.background):
            polarity.addButton(button)
        self.object = QSpinBox()
        self.object.setRange(1, LARGEST_OBJECT)
        self.object.setKeyboardTracking(False)
        self.object.setToolTip("The object that clicks and boxes belong to: its number in the Labels layer")
        self.next_object = QPushButton("Next object")
        self.remove_last = QPushButton("Remove last")
        self.clear = QPushButton("Clear object")

        tools = QHBoxLayout()
        tools.addWidget(self.click)
        tools.addWidget(self.box)
        signs = QHBoxLayout()
        signs.addWidget(self.foreground)
        signs.addWidget(self.background)
        objects = QHBoxLayout()
        objects.addWidget(QLabel("Object"))
        objects.addWidget(self.object, 1)
        objects.addWidget(self.next_object, 1)
        removing = QGridLayout()
        removing.addWidget(self.remove_last, 0, 0)
        removing.addWidget(self.clear, 0, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        for row in (tools, signs, objects, removing):
            layout.addLayout(row)

        self.click.clicked.connect(lambda: self.click_wanted.emit())
        self.box.clicked.connect(lambda: self.box_wanted.emit())
        self.foreground.clicked.connect(lambda: self.polarity_picked.emit(True))
        self.background.clicked.connect(lambda: self.polarity_picked.emit(False))
        self.object.valueChanged.connect(lambda value: self.object_picked.emit(int(value)))
        self.next_object.clicked.connect(lambda: self.next_object_wanted.emit())
        self.remove_last.clicked.connect(lambda: self.remove_last_wanted.emit())
        self.clear.clicked.connect(lambda: self.clear_wanted.emit())

    def show_tool(self, tool: str | None) -> None:
        """Press the button of the tool that the canvas listens to: "click", "box", or none."""
        self.click.setChecked(tool == "click")
        self.box.setChecked(tool == "box")

    def show_polarity(self, foreground: bool) -> None:
        (self.foreground if foreground else self.background).setChecked(True)

    def show_object(self, object_id: int) -> None:
        was_blocked = self.object.blockSignals(True)
        self.object.setValue(object_id)
        self.object.blockSignals(was_blocked)


def _toggle(text: str, tooltip: str) -> QPushButton:
    button = QPushButton(text)
    button.setCheckable(True)
    button.setToolTip(tooltip)
    return button
