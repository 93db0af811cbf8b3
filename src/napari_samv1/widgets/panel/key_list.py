"""Keys of the annotation's layers, as set in the user's preferences."""

from __future__ import annotations

from typing import Any

from napari.utils.action_manager import action_manager
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QGridLayout, QLabel, QVBoxLayout, QWidget

from napari_samv1.app.actions import KEYS, REDO, UNDO
from napari_samv1.app.app import Action
from napari_samv1.layers.keys import shown, shown_key
from napari_samv1.widgets.shared.look import PlainLabel, note

FIXED = (
    ("Shift+click", "a point of the other kind"),
    (shown(UNDO.key), UNDO.in_words),
    (shown(REDO.key), REDO.in_words),
    ("Delete", "delete this object, in the list"),
)


class KeyList(QWidget):
    """One line per key; follows changes made in napari's preferences."""

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._keys: list[tuple[Action, QLabel]] = []
        grid = QGridLayout()
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setColumnStretch(1, 1)
        grid.setVerticalSpacing(2)
        for row, action in enumerate(KEYS):
            key = PlainLabel()
            key.setAlignment(Qt.AlignmentFlag.AlignTop)
            self._keys.append((action, key))
            grid.addWidget(key, row, 0)
            grid.addWidget(note(action.in_words), row, 1)
        for row, (fixed, title) in enumerate(FIXED, start=len(KEYS)):
            grid.addWidget(PlainLabel(fixed), row, 0, Qt.AlignmentFlag.AlignTop)
            grid.addWidget(note(title), row, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(grid)
        layout.addWidget(
            note(
                "Keys of the points, shapes and masks layers; the tools' keys also work on the image. Change "
                "them in File > Preferences > Shortcuts."
            )
        )
        self.refresh()
        events: Any = action_manager.events
        # napari 0.7 spells it "shorcut"
        changed = events.shortcut_changed if "shortcut_changed" in events.emitters else events.shorcut_changed
        changed.connect(self.refresh, until=self.destroyed)

    def refresh(self, _event: object = None) -> None:
        """Read the bindings again."""
        for action, label in self._keys:
            label.setText(shown_key(action) or "-")
        self.changed.emit()
