"""The panel's part "Model sees": channels and intensity limits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QDoubleSpinBox, QFormLayout, QHBoxLayout, QWidget

from napari_samv1.app.state import State
from napari_samv1.layers.plain_text import plain
from napari_samv1.records.sight import LimitRule, SeenChannels, Sight
from napari_samv1.widgets.shared.look import narrow_combo, note

CHANNELS: dict[SeenChannels, tuple[str, str]] = {
    "layer": ("the layer, in grey", "The annotated image, without its colours"),
    "visible": (
        "visible channels",
        "All visible images on the same pixels, with their colours and blending, as displayed",
    ),
}
LIMITS: dict[LimitRule, tuple[str, str]] = {
    "displayed": ("as displayed", "The contrast limits of the layer controls"),
    "plane": ("percentiles of the slice", "Found for each channel when a slice is encoded"),
    "stack": ("percentiles of the stack", "Found once for each channel, in a sample of all slices"),
    "fixed": ("fixed", "The same numbers for all channels, slices and images"),
}
SHORT = {"displayed": "as displayed", "plane": "% of the slice", "stack": "% of the stack", "fixed": "fixed"}
FARTHEST = 1e12


class SightPart(QWidget):
    """Choosers of channels and rule, two numbers if the rule has any, and the present limits."""

    changed = Signal(object)  # a Sight
    renamed = Signal(str)  # the title

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._state = State()
        self._last_limits: tuple[float, float] | None = None  # limits of the first channel
        self.channels, self.limits = narrow_combo(), narrow_combo()
        entries: tuple[tuple[Any, dict[Any, tuple[str, str]]], ...] = (
            (self.channels, CHANNELS),
            (self.limits, LIMITS),
        )
        for combo, titles in entries:
            for value, (title, tip) in titles.items():
                combo.addItem(title, value)
                combo.setItemData(combo.count() - 1, plain(tip), Qt.ItemDataRole.ToolTipRole)
        self.channels.setToolTip("Channels of the image that the model sees")
        self.limits.setToolTip("Values that are black and white to the model")
        self.low, self.high = QDoubleSpinBox(), QDoubleSpinBox()
        for box in (self.low, self.high):
            box.setKeyboardTracking(False)
        self.numbers = QWidget()
        numbers = QHBoxLayout(self.numbers)
        numbers.setContentsMargins(0, 0, 0, 0)
        numbers.addWidget(self.low, 1)
        numbers.addWidget(self.high, 1)
        self.found = note()
        form = QFormLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        form.setVerticalSpacing(3)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        form.addRow("Channels", self.channels)
        form.addRow("Limits", self.limits)
        form.addRow("", self.numbers)
        form.addRow(self.found)
        self.channels.currentIndexChanged.connect(lambda _index: self._picked())
        self.limits.currentIndexChanged.connect(lambda _index: self._picked())
        self.low.valueChanged.connect(lambda _value: self._moved())
        self.high.valueChanged.connect(lambda _value: self._moved())
        self.show_state(self._state)

    def show_state(self, state: State) -> None:
        """Show the present channels and limits; only ``renamed`` is emitted."""
        self._state = state
        sight = state.sight
        limits_found = [limits for _, limits in state.limits if limits is not None]
        self._last_limits = limits_found[0] if limits_found else self._last_limits
        widgets = (self.channels, self.limits, self.low, self.high)
        blocked = [widget.blockSignals(True) for widget in widgets]
        self.channels.setCurrentIndex(self.channels.findData(sight.channels))
        self.limits.setCurrentIndex(self.limits.findData(sight.limits))
        self._show_numbers(sight)
        for widget, was in zip(widgets, blocked, strict=True):
            widget.blockSignals(was)
        self.found.setText("\n".join(_line(name, limits) for name, limits in state.limits))
        self.found.setVisible(bool(state.limits))
        self.renamed.emit(self.title)

    @property
    def title(self) -> str:
        """Channels and limits for the model, in a line."""
        seen = self._state.limits
        channels = "the layer" if self._state.sight.channels == "layer" else _count(len(seen))
        return f"Model sees: {channels}, {SHORT[self._state.sight.limits]}"

    def _show_numbers(self, sight: Sight) -> None:
        self.numbers.setVisible(sight.limits != "displayed")
        is_fixed = sight.limits == "fixed"
        values = sight.fixed if is_fixed else sight.percentiles
        least, most = (-FARTHEST, FARTHEST) if is_fixed else (0.0, 100.0)
        for box, value in zip((self.low, self.high), values, strict=True):
            box.setRange(least, most)
            box.setDecimals(4 if is_fixed and abs(value) < 100 else 2)
            box.setSuffix("" if is_fixed else " %")
            box.setValue(value)

    # ---- from the user

    def _picked(self) -> None:
        sight = replace(
            self._state.sight, channels=self.channels.currentData(), limits=self.limits.currentData()
        )
        last = self._last_limits
        if sight.limits == "fixed" != self._state.sight.limits and last is not None and last[0] < last[1]:
            # begin with the present limits
            sight = replace(sight, fixed=last)
        self.changed.emit(sight)

    def _moved(self) -> None:
        sight, numbers = self._state.sight, (self.low.value(), self.high.value())
        if numbers[0] >= numbers[1]:
            self.show_state(self._state)
            return
        if sight.limits == "fixed":
            self.changed.emit(replace(sight, fixed=numbers))
        else:
            self.changed.emit(replace(sight, percentiles=numbers))


def _count(channels: int) -> str:
    return "1 channel" if channels == 1 else f"{channels} channels"


def _line(name: str, limits: tuple[float, float] | None) -> str:
    if limits is None:
        return f"{name}: found when it is encoded"
    return f"{name}: {_number(limits[0])} to {_number(limits[1])}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == round(value) else f"{value:,.4g}"
