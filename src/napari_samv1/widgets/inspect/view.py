"""The base of all views: a title, a few options, and a job for the worker."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QDoubleSpinBox, QFormLayout, QSpinBox, QWidget

from napari_samv1.layers.plain_text import plain
from napari_samv1.widgets.inspect.scene import Look
from napari_samv1.widgets.shared.look import narrow_combo

if TYPE_CHECKING:
    from napari_samv1.model import Sam


class View(QWidget):
    """One way to look into the model.

    ``look`` reads the options and returns a job for the worker. A ``live`` view is quick, and runs again when
    an option or a prompt changes.
    """

    changed = Signal()
    title: ClassVar[str] = ""
    about: ClassVar[str] = ""
    needs_image: ClassVar[bool] = True
    needs_prompts: ClassVar[bool] = False
    live: ClassVar[bool] = False

    def __init__(self) -> None:
        super().__init__()
        self.form = QFormLayout(self)
        self.form.setContentsMargins(0, 0, 0, 0)
        self.form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)

    def look(self) -> Look:
        """Return the job for the worker, with the options as they are now."""
        raise NotImplementedError

    def show_network(self, network: Sam) -> None:
        """Set the options' ranges to those of a network."""

    def is_live(self) -> bool:
        """Return True if a change should start another look, with the options as they are now."""
        return self.live

    def choice(self, title: str, entries: Sequence[str], tooltip: str = "") -> QComboBox:
        """A row with a list."""
        combo = narrow_combo()
        combo.addItems(list(entries))
        combo.setToolTip(plain(tooltip))
        combo.currentIndexChanged.connect(lambda _index: self.changed.emit())
        self.form.addRow(title, combo)
        return combo

    def whole(self, title: str, low: int, high: int, value: int, tooltip: str = "") -> QSpinBox:
        """A row with a whole number."""
        spin = QSpinBox()
        spin.setRange(low, high)
        spin.setValue(value)
        spin.setToolTip(plain(tooltip))
        spin.valueChanged.connect(lambda _value: self.changed.emit())
        self.form.addRow(title, spin)
        return spin

    def number(self, title: str, low: float, high: float, value: float, tooltip: str = "") -> QDoubleSpinBox:
        """A row with a number in steps of a tenth."""
        spin = QDoubleSpinBox()
        spin.setDecimals(2)
        spin.setSingleStep(0.1)
        spin.setRange(low, high)
        spin.setValue(value)
        spin.setToolTip(plain(tooltip))
        spin.valueChanged.connect(lambda _value: self.changed.emit())
        self.form.addRow(title, spin)
        return spin

    def show_row(self, field: QWidget, visible: bool) -> None:
        """Show or hide a row of the form."""
        field.setVisible(visible)
        label = self.form.labelForField(field)
        if label is not None:
            label.setVisible(visible)
