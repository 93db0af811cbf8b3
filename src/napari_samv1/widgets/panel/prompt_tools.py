"""The tools for prompts: clicks, shapes, the brush, picking an object, foreground and background."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtGui import QAction, QActionGroup
from qtpy.QtWidgets import QButtonGroup, QCheckBox, QHBoxLayout, QMenu, QPushButton, QVBoxLayout, QWidget

from napari_samv1.app import actions
from napari_samv1.app.canvas import SHAPE_TOOLS, STROKES, Tool
from napari_samv1.app.state import State
from napari_samv1.layers.keys import shown_key
from napari_samv1.layers.plain_text import plain
from napari_samv1.widgets.shared.action_button import Do, entry, toggle

ARROW_WIDTH = 20


class PromptTools(QWidget):
    """Shows the active tool and the next prompt's polarity; its buttons are actions."""

    one_each_picked = Signal(bool)

    def __init__(self, do: Do, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._state = State()
        self.click = toggle(actions.CLICK, do)
        self.box = toggle(actions.SHAPE, do)
        self.kinds = QPushButton()
        self.kinds.setFixedWidth(ARROW_WIDTH)
        self.kinds.setToolTip("Polygons, ellipses and scribbles")
        self.kinds.setAccessibleName("Other shapes")
        self.menu = QMenu(self)
        self.menu.setToolTipsVisible(True)
        self.shapes: dict[Tool, QAction] = {}
        one_of = QActionGroup(self)
        for shape, action in actions.SHAPES.items():
            self.shapes[shape] = one = entry(self.menu, action, do)
            one.setCheckable(True)
            one_of.addAction(one)
        self.kinds.setMenu(self.menu)
        self.brush = toggle(actions.BRUSH, do)
        self.pick = toggle(actions.PICK, do)
        self.foreground = toggle(actions.FOREGROUND, do)
        self.background = toggle(actions.BACKGROUND, do)
        self.foreground.setChecked(True)
        polarity = QButtonGroup(self)
        for button in (self.foreground, self.background):
            polarity.addButton(button)

        self.one_each = QCheckBox("Every click or box is a new object")
        self.one_each.setToolTip(
            "For objects that need one click each. Shift+click, or ✕ Not object, corrects the newest one."
        )

        tools = QHBoxLayout()
        boxes = QHBoxLayout()
        boxes.setSpacing(1)
        boxes.addWidget(self.box, 1)
        boxes.addWidget(self.kinds)
        tools.addWidget(self.click, 1)
        tools.addLayout(boxes, 1)
        tools.addWidget(self.brush, 1)
        tools.addWidget(self.pick, 1)
        signs = QHBoxLayout()
        signs.addWidget(self.foreground)
        signs.addWidget(self.background)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        for row in (tools, signs):
            row.setSpacing(4)
            layout.addLayout(row)
        layout.addWidget(self.one_each)
        self.one_each.clicked.connect(lambda checked: self.one_each_picked.emit(bool(checked)))
        self.show_state(self._state)

    def show_state(self, state: State) -> None:
        """Press the buttons of the active tool and of the next prompt's polarity."""
        self._state = state
        tool = state.tool
        self.click.setChecked(tool == "click")
        self.box.setChecked(tool in SHAPE_TOOLS)
        self.brush.setChecked(tool in STROKES)
        self.pick.setChecked(tool == "pick")
        self.shapes[state.shape].setChecked(True)
        (self.foreground if state.foreground else self.background).setChecked(True)
        self.show_keys()

    def show_keys(self) -> None:
        """Name the tools' current keys in their tips."""
        shape = actions.SHAPES[self._state.shape]
        self.box.setText(shape.title)
        for button, action, tip in (
            (self.click, actions.CLICK, actions.CLICK.tip),
            (self.box, actions.SHAPE, shape.tip),
            (self.brush, actions.BRUSH, actions.BRUSH.tip),
            (self.pick, actions.PICK, actions.PICK.tip),
        ):
            key = shown_key(action)
            button.setToolTip(plain(f"{tip} ({key})" if key else tip))
