"""An application on a canvas, without a window and without a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from napari_samv1.app.actions import ACTIONS
from napari_samv1.app.app import App
from napari_samv1.app.models import Choices
from napari_samv1.layers.binding import AnnotationBinding
from napari_samv1.layers.tools import CanvasTools


class Moments:
    """Calls for later, made when a test says so."""

    def __init__(self) -> None:
        self.calls: list[Callable[[], None]] = []

    def later(self, _milliseconds: int, call: Callable[[], None]) -> None:
        self.calls.append(call)

    def pass_by(self) -> None:
        """Make the calls that wait, and those that they lead to."""
        while self.calls:
            self.calls.pop(0)()


def app_on(binding: AnnotationBinding, **said: Any) -> tuple[App, Moments]:
    """An app on a binding; nothing is asked of a model, as none can be loaded."""
    moments = Moments()
    app = App(
        binding,
        CanvasTools(binding.viewer, binding, moments.later),
        ACTIONS,
        Choices(),
        deliver=moments.calls.append,
        later=moments.later,
        on_info=said.get("on_info", str),
        on_error=said.get("on_error", str),
    )
    app.encoder.load_error = "There is no model in this test."
    return app, moments
