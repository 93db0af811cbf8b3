"""Sliders that filter the masks found; each shows and sets fields of ``AutomaticSettings``."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QCheckBox, QFormLayout, QHBoxLayout, QVBoxLayout, QWidget
from superqt import QLabeledDoubleSlider, QRangeSlider

from napari_samv1.layers.plain_text import plain
from napari_samv1.records.automatic import AutomaticSettings
from napari_samv1.widgets.shared.look import PlainLabel

LARGEST_ACROSS = 100

TIPS = {
    "pred_iou_thresh": "Quality: keep masks with a high predicted IoU",
    "stability_score_thresh": "Stability: keep masks that hardly change as their threshold moves",
    "box_nms_thresh": "Overlap: of two masks that overlap more than this, keep the better one; existing "
    "objects always win",
    "min_roundness": "Roundness: 1 is a disc, 0.8 a square, less is long or ragged",
}


class Filters(QWidget):
    """Emits ``changed`` for changes by the user, and not for ``show_settings``."""

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._silent = False
        self._size = (0, 0)  # areas of the settings, exact until the slider is moved
        self.sliders = {name: _share(tip) for name, tip in TIPS.items()}
        self.across: Any = QRangeSlider(Qt.Orientation.Horizontal)  # type: ignore[no-untyped-call]
        self.across.setToolTip("Size: keep objects by the diameter, in pixels, of a disc of their area")
        self.across.setRange(0, LARGEST_ACROSS)
        self.across.setValue((0, LARGEST_ACROSS))
        self.size_words = PlainLabel()
        self.border = QCheckBox("Also objects at the border")
        self.border.setToolTip("Keep objects that the image's border may cut off")
        form = QFormLayout()
        form.setContentsMargins(0, 0, 0, 0)
        form.setVerticalSpacing(3)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        form.addRow("Quality", self.sliders["pred_iou_thresh"])
        form.addRow("Stability", self.sliders["stability_score_thresh"])
        form.addRow("Overlap", self.sliders["box_nms_thresh"])
        form.addRow("Roundness", self.sliders["min_roundness"])
        size = QHBoxLayout()
        size.addWidget(self.across, 1)
        size.addWidget(self.size_words)
        form.addRow("Size", size)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        layout.addLayout(form)
        layout.addWidget(self.border)
        self.show_settings(AutomaticSettings())
        for slider in self.sliders.values():
            slider.valueChanged.connect(self._changed)
        self.across.valueChanged.connect(self._size_moved)
        self.border.toggled.connect(self._changed)

    def show_settings(self, settings: AutomaticSettings) -> None:
        """Set all sliders to settings, without emitting ``changed``."""
        self._silent = True
        try:
            for name, slider in self.sliders.items():
                slider.setValue(getattr(settings, name))
            self._size = settings.min_area, settings.max_area
            low = math.floor(_across(settings.min_area))
            high = math.ceil(_across(settings.max_area)) if settings.max_area else self.across.maximum()
            self.make_room_for(high)
            self.across.setValue((low, high))
            self.border.setChecked(settings.keep_border)
        finally:
            self._silent = False
        self._show_size()

    def make_room_for(self, across: float) -> None:
        """Let the size slider end at objects of this diameter in pixels; "any size" stays chosen."""
        end = max(LARGEST_ACROSS, math.ceil(across))
        before = self.across.maximum()
        low, high = self._range()
        if end == before:
            return
        silent, self._silent = self._silent, True
        self.across.setMaximum(end)
        self.across.setValue((min(low, end), end if high >= before or high > end else high))
        self._silent = silent
        self._show_size()

    def applied_to(self, settings: AutomaticSettings) -> AutomaticSettings:
        """Settings with the sliders' values."""
        least, most = self._size
        shares: dict[str, Any] = {
            name: round(float(slider.value()), 3) for name, slider in self.sliders.items()
        }
        return replace(settings, **shares, min_area=least, max_area=most, keep_border=self.border.isChecked())

    def _range(self) -> tuple[int, int]:
        value = self.across.value()
        return int(value[0]), int(value[1])

    def _size_moved(self) -> None:
        if self._silent:
            return
        low, high = self._range()
        is_any = high >= self.across.maximum()
        self._size = math.ceil(_area(low)), 0 if is_any else max(1, math.floor(_area(high)))
        self._show_size()
        self._changed()

    def _show_size(self) -> None:
        low, high = self._range()
        end = "any" if high >= self.across.maximum() else f"{high}"
        self.size_words.setText(f"{low} to {end} px")

    def _changed(self, *_value: object) -> None:
        if not self._silent:
            self.changed.emit()


def _share(tip: str) -> QLabeledDoubleSlider:
    slider = QLabeledDoubleSlider(Qt.Orientation.Horizontal)
    slider.setRange(0.0, 1.0)
    slider.setDecimals(2)
    slider.setToolTip(plain(tip))
    return slider


def _area(across: float) -> float:
    return math.pi / 4 * across**2


def _across(area: float) -> float:
    return 2 * math.sqrt(area / math.pi)
