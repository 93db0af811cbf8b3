"""The tools for pointing: clicks, shapes, the brush, picking an object; and what a prompt says."""

from __future__ import annotations

from collections.abc import Mapping

from qtpy.QtCore import Signal
from qtpy.QtGui import QAction, QActionGroup
from qtpy.QtWidgets import QButtonGroup, QCheckBox, QHBoxLayout, QMenu, QPushButton, QVBoxLayout, QWidget

from napari_samv1.layers.plain_text import plain
from napari_samv1.widgets.panel.canvas_tools import SHAPE_MODES, Tool

FOREGROUND_TITLE = "● Object"
BACKGROUND_TITLE = "✕ Not object"
ARROW_WIDTH = 20
CLICK_TIP = "Point at objects with clicks (a Points layer is made if there is none)"
BRUSH_TIP = "Paint the current object's mask yourself; ✕ Not object erases"
PICK_TIP = "Click on a mask to make its object the current one"

SHAPES: dict[Tool, tuple[str, str]] = {
    "box": ("Box", "Drag a rectangle around an object"),
    "polygon": (
        "Polygon",
        "Click the corners of an outline, double-click the last: gives its box, and its area as a hint",
    ),
    "ellipse": ("Ellipse", "Drag an ellipse over an object: gives its box, and its area as a hint"),
    "scribble": (
        "Scribble",
        "Draw a line along an object, or with ✕ Not object along background: up to 8 points on it count",
    ),
}


class PromptTools(QWidget):
    """Shows and changes what the next click means; reports a person's wishes, and does nothing itself."""

    tool_wanted = Signal(str)
    polarity_picked = Signal(bool)  # True: foreground
    one_each_picked = Signal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._keys: Mapping[str, str] = {}
        self.click = _toggle("Click", CLICK_TIP)
        self.box = _toggle("Box", "")
        self.kinds = QPushButton()
        self.kinds.setFixedWidth(ARROW_WIDTH)
        self.kinds.setToolTip("Polygons, ellipses and scribbles")
        self.kinds.setAccessibleName("Other shapes")
        self.menu = QMenu(self)
        self.menu.setToolTipsVisible(True)
        self.shapes: dict[Tool, QAction] = {}
        one_of = QActionGroup(self)
        for shape, (title, tooltip) in SHAPES.items():
            action = self.menu.addAction(title)
            action.setToolTip(plain(tooltip))
            action.setCheckable(True)
            one_of.addAction(action)
            action.triggered.connect(_wish(self, shape))
            self.shapes[shape] = action
        self.kinds.setMenu(self.menu)
        self.brush = _toggle("Brush", BRUSH_TIP)
        self.pick = _toggle("Pick", PICK_TIP)
        self.foreground = _toggle(FOREGROUND_TITLE, "The next point says: this belongs to the object")
        self.background = _toggle(BACKGROUND_TITLE, "The next point says: this doesn't belong to the object")
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
        self.click.clicked.connect(_wish(self, "click"))
        self.box.clicked.connect(lambda: self.tool_wanted.emit(self._shape))
        self.brush.clicked.connect(lambda: self.tool_wanted.emit(self.stroke))
        self.pick.clicked.connect(_wish(self, "pick"))
        self.foreground.clicked.connect(lambda: self._sign_pressed(True))
        self.background.clicked.connect(lambda: self._sign_pressed(False))
        self._tool: Tool | None = None
        self._shape: Tool = "box"
        self._show_shape()

    def show_tool(self, tool: Tool | None) -> None:
        """Press the button of the tool that the canvas listens to, or none."""
        self._tool = tool
        if tool in SHAPE_MODES:
            self._shape = tool
            self._show_shape()
        self.click.setChecked(tool == "click")
        self.box.setChecked(tool in SHAPE_MODES)
        self.brush.setChecked(tool in ("brush", "eraser"))
        self.pick.setChecked(tool == "pick")
        if tool in ("brush", "eraser"):
            self._show_sign(tool == "brush")

    def show_polarity(self, foreground: bool) -> None:
        """Show what the next prompt says; with the brush in hand, the brush decides."""
        if self._tool not in ("brush", "eraser"):
            self._show_sign(foreground)

    def show_keys(self, keys: Mapping[str, str]) -> None:
        """Name the tools' keys, as they are bound now, in their tips."""
        self._keys = keys
        for tool, button, tip in (
            ("click", self.click, CLICK_TIP),
            ("brush", self.brush, BRUSH_TIP),
            ("pick", self.pick, PICK_TIP),
        ):
            button.setToolTip(plain(tip + self._key(tool)))
        self._show_shape()

    def _key(self, tool: str) -> str:
        key = self._keys.get(tool, "")
        return f" ({key})" if key else ""

    def _show_sign(self, foreground: bool) -> None:
        (self.foreground if foreground else self.background).setChecked(True)

    def _show_shape(self) -> None:
        title, tooltip = SHAPES[self._shape]
        self.box.setText(title)
        self.box.setToolTip(plain(tooltip + self._key("box")))
        self.shapes[self._shape].setChecked(True)

    @property
    def shape(self) -> Tool:
        """The shape that the button of the shapes takes."""
        return self._shape

    @property
    def stroke(self) -> Tool:
        """The tool that the button of the brush takes: the brush, or with ✕ Not object the eraser."""
        return "brush" if self.foreground.isChecked() else "eraser"

    def _sign_pressed(self, foreground: bool) -> None:
        if self._tool in ("brush", "eraser"):
            self.tool_wanted.emit(self.stroke)
        else:
            self.polarity_picked.emit(foreground)


def _toggle(text: str, tooltip: str) -> QPushButton:
    button = QPushButton(text)
    button.setCheckable(True)
    button.setToolTip(plain(tooltip))
    return button


def _wish(tools: PromptTools, tool: Tool) -> object:
    def wish(*_checked: object) -> None:
        tools.tool_wanted.emit(tool)

    return wish
