"""A small plot in the dock's own colours: curves over one axis, drawn with Qt alone.

A second OpenGL canvas or a plotting package would look different, and slow down the start.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray
from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QFontMetricsF, QPainter, QPaintEvent, QPalette, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QWidget

# Okabe and Ito's, without two that are invisible on black or on white
COLOURS = ("#e69f00", "#56b4e9", "#009e73", "#cc79a7", "#d55e00", "#3a8ee6")
HEIGHT = 190
MARGIN = 6.0
TICKS = 4


@dataclass(frozen=True, eq=False)
class Curve:
    """A named line through points; ``marked`` are the indices of points with a dot."""

    name: str
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    marked: tuple[int, ...] = ()

    @classmethod
    def through(cls, name: str, x: ArrayLike, y: ArrayLike, marked: tuple[int, ...] = ()) -> Curve:
        return cls(name, np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64), marked)


@dataclass(frozen=True, eq=False)
class PlotData:
    """The content of a plot; ``here`` are places on the x axis with a dashed line."""

    title: str
    x_title: str
    curves: tuple[Curve, ...] = field(repr=False)
    here: tuple[float, ...] = ()


class Plot(QWidget):
    """Draws one ``PlotData``, in the text colour of the theme."""

    def __init__(self, data: PlotData, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.data = data
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setMinimumHeight(HEIGHT)

    def show_data(self, data: PlotData) -> None:
        self.data = data
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        return QSize(260, HEIGHT)

    def paintEvent(self, _event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        text = self.palette().color(QPalette.ColorRole.WindowText)
        faint = QColor(text)
        faint.setAlpha(60)
        font = painter.font()
        font.setPointSizeF(font.pointSizeF() * 0.85)
        painter.setFont(font)
        metrics = QFontMetricsF(font)
        row = metrics.height()

        painter.setPen(text)
        painter.drawText(QPointF(MARGIN, row), self.data.title)
        top = row + 4 + self._legend(painter, metrics, row * 1.25) + 4
        x_ticks, y_ticks = nice_ticks(*self._range("x")), nice_ticks(*self._range("y"))
        left = MARGIN + max(metrics.horizontalAdvance(tick_text(tick)) for tick in y_ticks) + 6
        area = QRectF(
            left, top, max(10.0, self.width() - left - 14), max(10.0, self.height() - top - 2.4 * row)
        )

        def place(x: float, y: float) -> QPointF:
            across = (x - x_ticks[0]) / (x_ticks[-1] - x_ticks[0])
            up = (y - y_ticks[0]) / (y_ticks[-1] - y_ticks[0])
            return QPointF(area.left() + across * area.width(), area.bottom() - up * area.height())

        for tick in y_ticks:
            at = place(x_ticks[0], tick)
            painter.setPen(QPen(faint, 1))
            painter.drawLine(at, QPointF(area.right(), at.y()))
            painter.setPen(text)
            label = QRectF(0, at.y() - row / 2, left - 6, row)
            painter.drawText(
                label, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, tick_text(tick)
            )
        for tick in x_ticks:
            at = place(tick, y_ticks[0])
            label = QRectF(at.x() - 40, area.bottom() + 2, 80, row)
            painter.drawText(label, Qt.AlignmentFlag.AlignHCenter, tick_text(tick))
        below = QRectF(area.left(), area.bottom() + 1.1 * row, area.width(), row * 1.2)
        painter.drawText(below, Qt.AlignmentFlag.AlignHCenter, self.data.x_title)
        painter.setPen(QPen(text, 1, Qt.PenStyle.DashLine))
        for x in self.data.here:
            if x_ticks[0] <= x <= x_ticks[-1]:
                painter.drawLine(place(x, y_ticks[0]), place(x, y_ticks[-1]))
        for number, curve in enumerate(self.data.curves):
            colour = QColor(COLOURS[number % len(COLOURS)])
            painter.setPen(QPen(colour, 2))
            points = [place(float(x), float(y)) for x, y in zip(curve.x, curve.y, strict=True)]
            painter.drawPolyline(QPolygonF(points))
            painter.setBrush(colour)
            for index in curve.marked:
                painter.drawEllipse(points[index], 3.5, 3.5)
            painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.end()

    def _legend(self, painter: QPainter, metrics: QFontMetricsF, row: float) -> float:
        """Draw the curves' names under the title, in as many rows as they need; returns their height."""
        x, y = MARGIN, row * 1.8
        for number, curve in enumerate(self.data.curves):
            width = 18 + metrics.horizontalAdvance(curve.name) + 10
            if x > MARGIN and x + width > self.width():
                x, y = MARGIN, y + row
            painter.setPen(QPen(QColor(COLOURS[number % len(COLOURS)]), 3))
            painter.drawLine(QPointF(x, y - row * 0.25), QPointF(x + 12, y - row * 0.25))
            painter.setPen(self.palette().color(QPalette.ColorRole.WindowText))
            painter.drawText(QPointF(x + 18, y), curve.name)
            x += width
        return y - row * 0.6 if self.data.curves else 0.0

    def _range(self, axis: str) -> tuple[float, float]:
        values = [getattr(curve, axis) for curve in self.data.curves if len(curve.x)]
        if not values:
            return 0.0, 1.0
        joined = np.concatenate(values)
        joined = joined[np.isfinite(joined)]
        return (float(joined.min()), float(joined.max())) if len(joined) else (0.0, 1.0)


def nice_ticks(low: float, high: float) -> list[float]:
    """Round numbers from at most ``low`` to at least ``high``, about five of them."""
    if high <= low:
        low, high = low - 0.5, high + 0.5
    rough = (high - low) / TICKS
    magnitude = 10.0 ** math.floor(math.log10(rough))
    step = next(size * magnitude for size in (1, 2, 2.5, 5, 10) if size * magnitude >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [number * step for number in range(first, last + 1)]


def tick_text(value: float) -> str:
    return f"{value:.6g}".replace("-", "\N{MINUS SIGN}")
