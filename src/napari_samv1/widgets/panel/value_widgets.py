"""magicgui value widgets that look like the Qt controls of the panel."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

from magicgui.widgets.bases import BaseValueWidget, ValuedContainerWidget
from qtpy.QtWidgets import QWidget

Value = TypeVar("Value")


class LookValue(ValuedContainerWidget[Value], Generic[Value]):
    """A magicgui value widget that shows one of our Qt widgets."""

    def __init__(self, look: QWidget, **options: Any) -> None:
        super().__init__(layout="horizontal", labels=False, **options)
        self.margins = (0, 0, 0, 0)
        self.native.layout().addWidget(look)


class Number(LookValue[float]):
    """A number of a slider or spin box: ``control`` has Qt's value, setValue, valueChanged and range.

    Values are of the type ``kind``, from ``min`` to ``max``.
    """

    def __init__(self, control: Any, kind: Callable[[Any], float], **options: Any) -> None:
        self.control = control
        self._kind = kind
        super().__init__(control, **options)
        self.native.setFocusProxy(control)
        control.valueChanged.connect(lambda value: self.changed.emit(kind(value)))

    @property
    def min(self) -> float:
        """The smallest value."""
        return self._kind(self.control.minimum())

    @property
    def max(self) -> float:
        """The largest value."""
        return self._kind(self.control.maximum())

    def get_value(self) -> float:
        return self._kind(self.control.value())

    def set_value(self, value: Any) -> None:
        """Set the number; ValueError outside of ``min`` to ``max``, or if it is no number."""
        number = self._kind(value)
        if not self.min <= number <= self.max:
            raise ValueError(f"{self.name} must be from {self.min} to {self.max}, got {value!r}")
        if isinstance(number, int) and number != value:
            raise ValueError(f"{self.name} must be a whole number, got {value!r}")
        self.control.setValue(number)

    def make_room_for(self, value: float) -> None:
        """Widen the range so that it holds a value from elsewhere, as from a saved session."""
        if value < self.min:
            self.control.setMinimum(value)
        if value > self.max:
            self.control.setMaximum(value)


@contextmanager
def told_at_the_end(*widgets: BaseValueWidget[Any]) -> Iterator[None]:
    """Block ``changed`` of several widgets, and emit it at the end for those that changed."""
    before = [widget.value for widget in widgets]
    blocked = [widget.changed.blocked() for widget in widgets]
    for block in blocked:
        block.__enter__()
    try:
        yield
    finally:
        for block in blocked:
            block.__exit__(None, None, None)
    for widget, value in zip(widgets, before, strict=True):
        if widget.value != value:
            widget.changed.emit(widget.value)
