"""Chooser of one layer of a kind, with a button for a new one; follows the viewer's layer list."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from magicgui.widgets import ComboBox
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QWidget

from napari_samv1.layers.plain_text import plain
from napari_samv1.widgets.shared.look import let_shrink

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer


class LayerChooser(QWidget):
    """A list of the viewer's layers of one kind, and "New" if ``new_tooltip`` is set.

    The layer is held by reference, never by name: renamed and moved layers stay chosen, a deleted one is
    released.
    """

    changed = Signal(object)  # the layer, or None
    new_wanted = Signal()

    def __init__(
        self,
        viewer: ViewerModel,
        accepts: Callable[[Layer], bool],
        *,
        tooltip: str,
        new_tooltip: str | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._accepts = accepts
        self._layer: Layer | None = None
        self._combo = ComboBox(choices=self._choices, nullable=True, tooltip=tooltip)
        self._combo.changed.connect(self._picked)
        let_shrink(self._combo.native)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._combo.native, 1)
        self.new = QPushButton("New")
        self.new.setVisible(new_tooltip is not None)
        self.new.setToolTip(plain(new_tooltip or ""))
        self.new.clicked.connect(lambda: self.new_wanted.emit())
        layout.addWidget(self.new)

    @property
    def layer(self) -> Any:
        """The chosen layer, or None."""
        return self._layer

    @layer.setter
    def layer(self, layer: Layer | None) -> None:
        if layer is not None and layer not in self._viewer.layers:
            layer = None
        self._combo.reset_choices()
        self._combo.value = layer
        self._picked()

    def reset_choices(self) -> None:
        """Read the viewer's layer list again: names, order, deleted layers."""
        chosen = self._layer
        with self._combo.changed.blocked():
            self._combo.reset_choices()
            self._combo.value = chosen if chosen in self._combo.choices else None
        self._picked()

    def _choices(self, _widget: object) -> list[tuple[str, Layer]]:
        named: dict[str, Layer] = {}
        # the newest layer is on top, as in napari's own list
        for layer in reversed(self._viewer.layers):
            if self._accepts(layer):
                name = str(layer.name)
                # two have one name until napari renames one, and a combo box tells rows by their names
                while name in named:
                    name += "\N{ZERO WIDTH SPACE}"
                named[name] = layer
        return list(named.items())

    def _picked(self, _value: object = None) -> None:
        layer = self._combo.value
        if layer is not self._layer:
            self._layer = layer
            self.changed.emit(layer)
