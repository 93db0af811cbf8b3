"""The list of objects, with buttons for their actions, undo and redo."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
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

from napari_samv1.app import actions
from napari_samv1.app.state import State
from napari_samv1.layers.keys import shown, shown_key
from napari_samv1.layers.plain_text import plain
from napari_samv1.widgets.panel.object_model import ID, PROMPTS, STATE, ObjectModel
from napari_samv1.widgets.shared.action_button import Do, button, entry
from napari_samv1.widgets.shared.look import BLUE, GREY

if TYPE_CHECKING:
    from napari_samv1.annotation.pieces import Piece

ROWS_AT_LEAST = 4
GAP = 6


class ObjectList(QWidget):
    """Shows the objects; its buttons and menu are actions on the current one."""

    object_picked = Signal(int)

    def __init__(
        self, colour_of: Callable[[int], QColor | None], do: Do, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.model = ObjectModel(colour_of)
        self.view = _View()
        self.view.setModel(self.model)
        self.next_object = button(actions.NEXT_OBJECT, do)
        self.delete = button(actions.DELETE_OBJECT, do)
        self.split = button(actions.SPLIT, do)
        self.undo = button(actions.UNDO, do)
        self.redo = button(actions.REDO, do)
        self.more = QPushButton("More")
        self.more.setToolTip("More actions for the current object")
        self.menu = QMenu(self)
        self.menu.setToolTipsVisible(True)
        self.continued = entry(self.menu, actions.CONTINUE, do)
        self.remove_last = entry(self.menu, actions.REMOVE_LAST, do)
        self.clear = entry(self.menu, actions.CLEAR, do)
        self.menu.addSeparator()
        self.refine = entry(self.menu, actions.REFINE, do)
        self.split_nearest = entry(self.menu, actions.SPLIT_NEAREST, do)
        self.more.setMenu(self.menu)

        buttons = QGridLayout()
        buttons.setSpacing(4)
        buttons.addWidget(self.next_object, 0, 0, 1, 3)
        buttons.addWidget(self.split, 0, 3, 1, 1)
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
        self.view.delete_wanted.connect(lambda: do(actions.DELETE_OBJECT))
        self.show_history(State())
        self.show_keys()

    @property
    def current(self) -> int | None:
        """The number of the highlighted object."""
        index = self.view.currentIndex()
        return self.model.id_at(index) if index.isValid() else None

    def show_objects(
        self, objects: Mapping[int, Piece], current: int, *, existing: Collection[int] = ()
    ) -> None:
        """Show objects and existing labels of the plane; highlight the current one, without reporting it."""
        with self.view.unheard():
            self.model.show(objects, current, existing=existing)
            row = self.model.row_of(current)
            if self.view.currentIndex().row() != row:
                self.view.setCurrentIndex(self.model.index(row))

    def show_history(self, state: State) -> None:
        """Name the steps of undo and redo in their tips."""
        for shown_on, action, label in (
            (self.undo, actions.UNDO, state.undo),
            (self.redo, actions.REDO, state.redo),
        ):
            shown_on.setEnabled(action.enabled(state))
            key = shown(action.key)
            tip = f"{action.tip}: {label} ({key})" if label else f"There is nothing to {action.tip.lower()}."
            shown_on.setToolTip(plain(tip))

    def show_keys(self) -> None:
        """Name the keys of the buttons, as they are bound now."""
        tip, key = actions.DELETE_OBJECT.tip, shown_key(actions.DELETE_OBJECT)
        self.delete.setToolTip(plain(f"{tip} ({key}; in this list also Delete)" if key else tip))
        for shown_on, action in (
            (self.next_object, actions.NEXT_OBJECT),
            (self.remove_last, actions.REMOVE_LAST),
        ):
            key = shown_key(action)
            shown_on.setText(f"{action.title} ({key})" if key else action.title)

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
    """List view with rows of one height; the Delete key works while it has the focus."""

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
        """Report no change of the current row in this context."""
        return _Unheard(self)

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        return QSize(100, self.minimumHeight())

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        super().resizeEvent(event)
        # keep the current row visible when a part opened below makes the list shorter
        self.scrollTo(self.currentIndex())

    def currentChanged(  # noqa: N802 - Qt's name
        self, current: QModelIndex | QPersistentModelIndex, previous: QModelIndex | QPersistentModelIndex
    ) -> None:
        super().currentChanged(current, previous)
        if self.heard and current.isValid():
            self.picked.emit(current.row())

    def dataChanged(  # noqa: N802 - Qt's name
        self,
        first: QModelIndex | QPersistentModelIndex,
        last: QModelIndex | QPersistentModelIndex,
        roles: Sequence[int] = (),
    ) -> None:
        # QListView would lay all rows out again, though their height stays
        QAbstractItemView.dataChanged(self, first, last, roles)

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
