"""Clean-up of the current object's mask, and what it may do to pixels of others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QCheckBox, QFormLayout, QHBoxLayout, QLabel, QSpinBox, QVBoxLayout, QWidget
from superqt import QLabeledDoubleSlider, QLabeledSlider

from napari_samv1.masks.clean import CleanUp
from napari_samv1.records.settings import KEEP, OVERWRITE, Rule
from napari_samv1.widgets.shared.look import narrow_combo

if TYPE_CHECKING:
    from collections.abc import Iterator

LARGEST_ISLAND = 1_000_000
LARGEST_LABEL = 2**31 - 1
MOST_SMOOTH = 10.0  # pixels
MOST_GROWTH = 20
NOTHING = CleanUp()

RULES = {
    "keep": ("left to them", "Pixels of other objects and labels stay theirs"),
    "overwrite": ("taken over", "This object covers others; what it covers comes back when it shrinks"),
    "inside": ("only inside of", "This object is painted only where the chosen label is"),
}


class CleanUpControls(QWidget):
    """Shows and changes how a mask is cleaned, live; reports a person's wishes, and does nothing itself."""

    cleanup_changed = Signal(object)  # CleanUp, or None for none
    rule_picked = Signal(object)  # Rule

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.fill_holes = QCheckBox("Fill holes")
        self.fill_holes.setToolTip("Take in what the mask encloses")
        self.keep_largest = QCheckBox("Largest piece only")
        self.keep_largest.setToolTip("Drop all pieces of the mask but the largest")
        self.drop_islands = QSpinBox()
        self.drop_islands.setRange(0, LARGEST_ISLAND)
        self.drop_islands.setSuffix(" px")
        self.drop_islands.setSpecialValueText("off")
        self.drop_islands.setStepType(QSpinBox.StepType.AdaptiveDecimalStepType)
        self.drop_islands.setToolTip("Drop pieces of fewer pixels than this")
        self.smooth = QLabeledDoubleSlider(Qt.Orientation.Horizontal)
        self.smooth.setRange(0.0, MOST_SMOOTH)
        self.smooth.setDecimals(1)
        self.smooth.setToolTip("Round the outline; in pixels")
        self.grow = QLabeledSlider(Qt.Orientation.Horizontal)
        self.grow.setRange(-MOST_GROWTH, MOST_GROWTH)
        self.grow.setToolTip("Grow the mask by so many pixels, or shrink it (negative)")
        self.rule = narrow_combo()
        for kind, (title, tooltip) in RULES.items():
            self.rule.addItem(title, kind)
            self.rule.setItemData(self.rule.count() - 1, tooltip, Qt.ItemDataRole.ToolTipRole)
        self.rule.setToolTip("What happens where this mask meets pixels of other objects and labels")
        self.inside = QSpinBox()
        self.inside.setRange(1, LARGEST_LABEL)
        self.inside.setKeyboardTracking(False)
        self.inside.setToolTip("The label to stay inside of")

        ticks = QHBoxLayout()
        ticks.addWidget(self.fill_holes)
        ticks.addWidget(self.keep_largest)
        ruling = QHBoxLayout()
        ruling.addWidget(self.rule, 1)
        ruling.addWidget(self.inside)
        form = QFormLayout()
        form.setContentsMargins(0, 0, 0, 0)
        form.setVerticalSpacing(4)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        form.addRow("Drop pieces under", self.drop_islands)
        form.addRow("Smooth", self.smooth)
        form.addRow("Grow", self.grow)
        form.addRow(QLabel("Others' pixels are"), ruling)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(ticks)
        layout.addLayout(form)

        for box in (self.fill_holes, self.keep_largest):
            box.clicked.connect(self._cleaned)
        for number in (self.drop_islands, self.smooth, self.grow):
            number.valueChanged.connect(self._cleaned)
        self.rule.activated.connect(self._ruled)
        self.inside.valueChanged.connect(self._ruled)
        self.show_settings(None, KEEP)

    @property
    def cleanup(self) -> CleanUp | None:
        """What is set now; None where it would leave a mask as it is."""
        shown = CleanUp(
            fill_holes=self.fill_holes.isChecked(),
            drop_islands=int(self.drop_islands.value()),
            keep_largest=self.keep_largest.isChecked(),
            smooth=round(float(self.smooth.value()), 1),
            grow=int(self.grow.value()),
        )
        return None if shown == NOTHING else shown

    @property
    def painting_rule(self) -> Rule:
        """What is set now."""
        kind = self.rule.currentData()
        return Rule("inside", int(self.inside.value())) if kind == "inside" else _PLAIN[kind]

    @property
    def summary(self) -> str:
        """All that is done, in a few words, to be read while this part is folded; "" for nothing."""
        return ", ".join(self._done())

    def show_settings(self, cleanup: CleanUp | None, rule: Rule) -> None:
        """Show an object's own settings without reporting them as a person's."""
        shown = cleanup or NOTHING
        fields = (self.drop_islands, self.smooth, self.grow, self.inside)
        blocked = [field.blockSignals(True) for field in fields]
        self.fill_holes.setChecked(shown.fill_holes)
        self.keep_largest.setChecked(shown.keep_largest)
        self.drop_islands.setValue(shown.drop_islands)
        self.smooth.setValue(shown.smooth)
        self.grow.setValue(shown.grow)
        if rule.kind == "inside":
            self.inside.setValue(rule.label)
        for field, was_blocked in zip(fields, blocked, strict=True):
            field.blockSignals(was_blocked)
        self.rule.setCurrentIndex(self.rule.findData(rule.kind))
        self.inside.setVisible(rule.kind == "inside")

    def _done(self) -> Iterator[str]:
        cleanup = self.cleanup or NOTHING
        if cleanup.fill_holes:
            yield "holes filled"
        if cleanup.keep_largest:
            yield "largest piece"
        elif cleanup.drop_islands:
            yield f"pieces from {cleanup.drop_islands} px"
        if cleanup.smooth:
            yield f"smooth {cleanup.smooth:g}"
        if cleanup.grow:
            yield f"{'grown' if cleanup.grow > 0 else 'shrunk'} {abs(cleanup.grow)}"
        if self.painting_rule != KEEP:
            yield "over others" if self.painting_rule == OVERWRITE else f"inside {self.painting_rule.label}"

    def _cleaned(self, _value: object = None) -> None:
        self.cleanup_changed.emit(self.cleanup)

    def _ruled(self, _value: object = None) -> None:
        self.inside.setVisible(self.rule.currentData() == "inside")
        self.rule_picked.emit(self.painting_rule)


_PLAIN = {"keep": KEEP, "overwrite": OVERWRITE}
