"""The list of objects: which one is current, the next one, what is done to one, undo and redo."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING

from qtpy.QtCore import QModelIndex, QPersistentModelIndex, QRect, QSize, Qt, Signal
from qtpy.QtGui import QColor, QKeyEvent, QPainter, QPalette, QResizeEvent
from qtpy.QtWidgets import (
    QAbstractItemView,
    QGridLayout,
    QListView,
    QMenu,
    QPushButton,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from napari_samv1.layers.keys import shown
from napari_samv1.layers.plain_text import plain
from napari_samv1.layers.undo_keys import REDO_KEY, UNDO_KEY
from napari_samv1.widgets.panel.object_model import ID, PROMPTS, STATE, ObjectModel
from napari_samv1.widgets.shared.look import BLUE, GREY

if TYPE_CHECKING:
    from napari_samv1.annotation.pieces import Piece

ROWS_AT_LEAST = 4
DELETE_TIP = "Delete the current object: its prompts and its pixels"
GAP = 6


class ObjectList(QWidget):
    """Shows the objects and what can be done with the current one; reports wishes, does nothing itself."""

    object_picked = Signal(int)
    next_object_wanted = Signal()
    delete_wanted = Signal()
    undo_wanted = Signal()
    redo_wanted = Signal()
    remove_last_wanted = Signal()
    clear_wanted = Signal()
    continue_wanted = Signal()
    refine_wanted = Signal()
    split_wanted = Signal(bool)  # whether background points are shared

    def __init__(self, colour_of: Callable[[int], QColor | None], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.model = ObjectModel(colour_of)
        self.view = _View()
        self.view.setModel(self.model)
        self.next_object = _button("Next object", "Start a new object")
        self.delete = _button("Delete", DELETE_TIP)
        self.undo = _button("↶ Undo", "")
        self.redo = _button("↷ Redo", "")
        self.more = _button("More", "More actions for the current object")
        self.menu = QMenu(self)
        self.menu.setToolTipsVisible(True)
        self.continued = self.menu.addAction("Continue object of the last slice")
        self.continued.setToolTip("Give the next prompts on this slice to the object of the slice before")
        self.remove_last = self.menu.addAction("Remove last prompt")
        self.remove_last.setToolTip("Remove the newest click or shape of this object")
        self.clear = self.menu.addAction("Clear object")
        self.clear.setToolTip("Remove this object's prompts and strokes; its number and settings stay")
        self.menu.addSeparator()
        self.refine = self.menu.addAction("Refine this object")
        self.refine.setToolTip("Give its pixels to the model as a hint; also for an existing label")
        self.split = QMenu("One object per prompt", self.menu)
        self.split.setToolTipsVisible(True)
        self.menu.addMenu(self.split)
        self.split_shared = self.split.addAction("Share negative points with every object")
        self.split_shared.setToolTip(
            "Every click, box or shape becomes an object; each gets a copy of all negative points (✕)"
        )
        self.split_nearest = self.split.addAction("Give each negative point to the nearest object")
        self.split_nearest.setToolTip(
            "Every click, box or shape becomes an object; each negative point (✕) goes to the nearest"
        )
        self.more.setMenu(self.menu)

        buttons = QGridLayout()
        buttons.setSpacing(4)
        buttons.addWidget(self.next_object, 0, 0, 1, 4)
        buttons.addWidget(self.delete, 0, 4, 1, 2)
        buttons.addWidget(self.undo, 1, 0, 1, 2)
        buttons.addWidget(self.redo, 1, 2, 1, 2)
        buttons.addWidget(self.more, 1, 4, 1, 2)
        for column in range(6):
            buttons.setColumnStretch(column, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.view, 1)
        layout.addLayout(buttons)

        self.view.picked.connect(self._picked)
        self.view.delete_wanted.connect(lambda: self.delete_wanted.emit())
        for button, signal in (
            (self.next_object, self.next_object_wanted),
            (self.delete, self.delete_wanted),
            (self.undo, self.undo_wanted),
            (self.redo, self.redo_wanted),
        ):
            button.clicked.connect(_emitter(signal))
        for action, signal in (
            (self.remove_last, self.remove_last_wanted),
            (self.clear, self.clear_wanted),
            (self.continued, self.continue_wanted),
            (self.refine, self.refine_wanted),
        ):
            action.triggered.connect(_emitter(signal))
        self.split_shared.triggered.connect(lambda: self.split_wanted.emit(True))
        self.split_nearest.triggered.connect(lambda: self.split_wanted.emit(False))
        self.show_history("", "")

    @property
    def current(self) -> int | None:
        """The number of the highlighted object."""
        index = self.view.currentIndex()
        return self.model.id_at(index) if index.isValid() else None

    def show_objects(
        self, objects: Mapping[int, Piece], current: int, *, existing: Collection[int] = ()
    ) -> None:
        """Show objects and existing labels of the plane and highlight the current, without reporting it."""
        with self.view.unheard():
            self.model.show(objects, current, existing=existing)
            row = self.model.row_of(current)
            if self.view.currentIndex().row() != row:
                self.view.setCurrentIndex(self.model.index(row))

    def show_history(self, undo: str, redo: str) -> None:
        """Say what undo would take back and redo bring again; "" where there is nothing."""
        for button, verb, label, key in (
            (self.undo, "Undo", undo, UNDO_KEY),
            (self.redo, "Redo", redo, REDO_KEY),
        ):
            button.setEnabled(bool(label))
            tip = f"{verb}: {label} ({shown(key)})" if label else f"There is nothing to {verb.lower()}."
            button.setToolTip(plain(tip))

    def show_keys(self, next_object: str, remove_last: str, delete: str) -> None:
        """Name the keys of the buttons, as they are bound now."""
        tip = f"{DELETE_TIP} ({delete}; in this list also Delete)" if delete else DELETE_TIP
        self.delete.setToolTip(plain(tip))
        self.next_object.setText(f"Next object ({next_object})" if next_object else "Next object")
        self.remove_last.setText(
            f"Remove last prompt ({remove_last})" if remove_last else "Remove last prompt"
        )

    def _picked(self, row: int) -> None:
        self.object_picked.emit(self.model.id_at(self.model.index(row)))


class _Unheard:
    def __init__(self, view: _View) -> None:
        self._view = view

    def __enter__(self) -> None:
        self._view.heard = False

    def __exit__(self, *_error: object) -> None:
        self._view.heard = True


class _View(QListView):
    """Rows of one height, of which Qt asks only the visible ones; Delete works while it has the focus."""

    picked = Signal(int)
    delete_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.heard = True
        self.setItemDelegate(_Row(self))
        self.setUniformItemSizes(True)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setAccessibleName("Objects")
        self.setMinimumHeight(ROWS_AT_LEAST * _row_height(self) + 2 * self.frameWidth() + 2)

    def unheard(self) -> _Unheard:
        """While it lasts, no change of the current row is reported."""
        return _Unheard(self)

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        return QSize(100, self.minimumHeight())

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        super().resizeEvent(event)
        # a part that opens below makes the list shorter
        self.scrollTo(self.currentIndex())

    def currentChanged(  # noqa: N802 - Qt's name
        self, current: QModelIndex | QPersistentModelIndex, previous: QModelIndex | QPersistentModelIndex
    ) -> None:
        super().currentChanged(current, previous)
        if self.heard and current.isValid():
            self.picked.emit(current.row())

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 - Qt's name
        if event.key() in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
            self.delete_wanted.emit()
            event.accept()
        else:
            super().keyPressEvent(event)


class _Row(QStyledItemDelegate):
    """Colour, number, prompts at the left, the mask at the right."""

    def sizeHint(  # noqa: N802 - Qt's name
        self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> QSize:
        return QSize(100, _row_height(option.widget))

    def paint(
        self,
        painter: QPainter,
        option: QStyleOptionViewItem,
        index: QModelIndex | QPersistentModelIndex,
    ) -> None:
        view = option.widget
        empty = QStyleOptionViewItem(option)
        self.initStyleOption(empty, index)
        empty.text = ""
        empty.icon = type(empty.icon)()
        view.style().drawControl(view.style().ControlElement.CE_ItemViewItem, empty, painter, view)
        painter.save()
        rect = option.rect.adjusted(GAP, 0, -GAP, 0)
        side = rect.height() - 8
        swatch = QRect(rect.left(), rect.top() + 4, side, side)
        colour = index.data(Qt.ItemDataRole.DecorationRole)
        if option.state & QStyle.StateFlag.State_Selected:
            painter.fillRect(QRect(option.rect.left(), rect.top(), 3, rect.height()), QColor(BLUE))
        painter.setPen(QColor(GREY))
        painter.setBrush(colour if colour is not None else Qt.BrushStyle.NoBrush)
        painter.drawRect(swatch)
        painter.setPen(option.palette.color(QPalette.ColorRole.Text))
        text = rect.adjusted(side + GAP, 0, 0, 0)
        middle = Qt.AlignmentFlag.AlignVCenter
        painter.drawText(text, middle | Qt.AlignmentFlag.AlignLeft, str(index.data(ID)))
        number = max(34, painter.fontMetrics().horizontalAdvance(f"{index.data(ID)} "))
        painter.setOpacity(0.75)
        painter.drawText(
            text.adjusted(number, 0, 0, 0), middle | Qt.AlignmentFlag.AlignLeft, index.data(PROMPTS)
        )
        painter.drawText(text, middle | Qt.AlignmentFlag.AlignRight, index.data(STATE))
        painter.restore()


def _row_height(widget: QWidget) -> int:
    return widget.fontMetrics().height() + 6


def _button(text: str, tooltip: str) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(plain(tooltip))
    return button


def _emitter(signal: object) -> Callable[[], None]:
    # a button's own argument, whether it is checked, is nobody's wish
    def emit(*_checked: object) -> None:
        signal.emit()  # type: ignore[attr-defined]  # a bound signal

    return emit
