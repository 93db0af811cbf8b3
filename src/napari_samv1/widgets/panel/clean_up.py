"""Clean-up of the current object's mask as value widgets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields
from typing import Any

from magicgui.widgets import CheckBox
from magicgui.widgets.bases import ValuedContainerWidget
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFormLayout, QHBoxLayout, QSpinBox, QVBoxLayout, QWidget
from superqt import QLabeledDoubleSlider, QLabeledSlider

from napari_samv1.masks.clean import CleanUp
from napari_samv1.records.settings import KEEP, OVERWRITE, Rule
from napari_samv1.widgets.panel.value_widgets import Number, told_at_the_end

LARGEST_ISLAND = 1_000_000
MOST_SMOOTH = 10.0  # pixels
MOST_GROWTH = 20
NOTHING = CleanUp()
FIELDS = tuple(field.name for field in fields(CleanUp))


class CleanUpFields(ValuedContainerWidget[CleanUp]):
    """All fields of a ``CleanUp``, each as a widget of that name; the value is the record."""

    def __init__(self, **options: Any) -> None:
        self._is_telling = False
        self._fill_holes = CheckBox(name="fill_holes", text="Fill holes", tooltip="Fill holes in the mask")
        self._keep_largest = CheckBox(
            name="keep_largest",
            text="Largest piece only",
            tooltip="Drop all pieces of the mask but the largest",
        )
        self._drop_islands = Number(
            _pixels(), int, name="drop_islands", tooltip="Drop pieces of fewer pixels than this"
        )
        self._smooth = Number(_smoothing(), _tenths, name="smooth", tooltip="Round the outline; in pixels")
        self._grow = Number(
            _growing(),
            int,
            name="grow",
            tooltip="Pixels by which the mask grows, or shrinks (negative)",
        )
        members = (self._fill_holes, self._drop_islands, self._keep_largest, self._smooth, self._grow)
        super().__init__(widgets=members, labels=False, **options)
        self.margins = (0, 0, 0, 0)
        self.native.layout().addWidget(self._arranged())
        for member in members:
            member.changed.connect(self._member_changed)

    def get_value(self) -> CleanUp:
        return CleanUp(**{name: self._member(name).value for name in FIELDS})

    def set_value(self, value: CleanUp | Mapping[str, Any] | None) -> None:
        """Set all fields, or those in a mapping; None means no clean-up."""
        if isinstance(value, Mapping):
            wanted = {**asdict(self.value), **value}
            value = CleanUp(**wanted)
        before, shown = self.value, NOTHING if value is None else value
        self._is_telling = True
        try:
            with told_at_the_end(*self):
                try:
                    self._fill(shown)
                except ValueError:
                    self._fill(before)
                    raise
        finally:
            self._is_telling = False
        if self.value != before:
            self.changed.emit(self.value)

    def make_room_for(self, cleanup: CleanUp) -> None:
        """Widen the ranges so that they hold values from elsewhere, as from a saved session."""
        for name in ("drop_islands", "smooth", "grow"):
            self._member(name).make_room_for(getattr(cleanup, name))

    def _fill(self, cleanup: CleanUp) -> None:
        for name in FIELDS:
            self._member(name).value = getattr(cleanup, name)

    def _member(self, name: str) -> Any:
        return self[name]

    def _member_changed(self) -> None:
        # several fields set at once emit the record once
        if not self._is_telling:
            self.changed.emit(self.value)

    def _arranged(self) -> QWidget:
        arranged = QWidget()
        ticks = QHBoxLayout()
        ticks.addWidget(self._fill_holes.native)
        ticks.addWidget(self._keep_largest.native)
        form = QFormLayout()
        form.setContentsMargins(0, 0, 0, 0)
        form.setVerticalSpacing(4)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        form.addRow("Drop pieces under", self._drop_islands.native)
        form.addRow("Smooth", self._smooth.native)
        form.addRow("Grow", self._grow.native)
        layout = QVBoxLayout(arranged)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(ticks)
        layout.addLayout(form)
        return arranged


def summary(cleanup: CleanUp, rule: Rule) -> str:
    """The clean-up in a few words, for the title of the folded part; "" for none."""
    return ", ".join(_parts(cleanup, rule))


def _parts(cleanup: CleanUp, rule: Rule) -> Iterator[str]:
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
    if rule != KEEP:
        yield "over others" if rule == OVERWRITE else f"inside {rule.label}"


def _pixels() -> QSpinBox:
    box = QSpinBox()
    box.setRange(0, LARGEST_ISLAND)
    box.setSuffix(" px")
    box.setSpecialValueText("off")
    box.setStepType(QSpinBox.StepType.AdaptiveDecimalStepType)
    return box


def _smoothing() -> QLabeledDoubleSlider:
    slider = QLabeledDoubleSlider(Qt.Orientation.Horizontal)
    slider.setRange(0.0, MOST_SMOOTH)
    slider.setDecimals(1)
    return slider


def _growing() -> QLabeledSlider:
    slider = QLabeledSlider(Qt.Orientation.Horizontal)
    slider.setRange(-MOST_GROWTH, MOST_GROWTH)
    return slider


def _tenths(value: Any) -> float:
    return round(float(value), 1)
