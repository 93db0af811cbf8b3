"""A viewer without a window, mouse events, and a model whose masks can be counted by hand."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.utils.interactions import (
    mouse_move_callbacks,
    mouse_press_callbacks,
    mouse_release_callbacks,
)
from wrapt import ObjectProxy

from napari_samv1.engine.jobs import run_each
from napari_samv1.layers.binding import AnnotationBinding
from squares import embedding, squares

__all__ = ["embedding", "squares"]

HW = (40, 60)


class Canvas:
    """Mouse events on a layer, as the canvas sends them."""

    def __init__(self, viewer):
        self.viewer = viewer

    def _event(self, kind, y, x, modifiers):
        position = (*self.viewer.dims.point[:-2], float(y), float(x))
        event = SimpleNamespace(
            type=kind,
            pos=np.array([x, y], dtype=float) * 10,
            position=position,
            modifiers=modifiers,
            is_dragging=kind == "mouse_move",
            dims_displayed=list(self.viewer.dims.displayed),
            dims_point=list(self.viewer.dims.point),
            view_direction=None,
            up_direction=None,
            handled=False,
            button=1,
            buttons=[1],
            source=None,
            native=None,
            camera_zoom=10.0,
        )
        # what a gesture holds on to is exchanged under it with every move
        return ObjectProxy(event)

    def click(self, layer, y, x, modifiers=()):
        mouse_press_callbacks(layer, self._event("mouse_press", y, x, modifiers))
        mouse_release_callbacks(layer, self._event("mouse_release", y, x, modifiers).__wrapped__)

    def drag(self, layer, *points, each=lambda: None):
        (y, x), *others = points
        mouse_press_callbacks(layer, self._event("mouse_press", y, x, ()))
        for y, x in others:
            mouse_move_callbacks(layer, self._event("mouse_move", y, x, ()).__wrapped__)
            each()
        mouse_release_callbacks(layer, self._event("mouse_release", y, x, ()).__wrapped__)


@pytest.fixture
def viewer():
    return ViewerModel()


@pytest.fixture
def canvas(viewer):
    return Canvas(viewer)


@pytest.fixture
def notices():
    return []


@pytest.fixture
def bound(viewer, notices):
    """A binding on an image; what it tells is written down."""
    tells = {
        name: (lambda name=name: notices.append(name))
        for name in ("on_prompts", "on_plane", "on_layers", "on_current")
    }
    binding = AnnotationBinding(viewer, on_edited=notices.append, **tells)
    binding.image = viewer.add_image(np.zeros(HW, dtype=np.uint8), name="coins")
    yield binding
    binding.close()


@pytest.fixture
def settle(bound, squares, embedding):
    """Sync and decode, as the panel does; returns what it would say."""

    def settle():
        synced = bound.sync()
        said = [synced.problem, *synced.notes]
        for result in run_each(squares, bound.jobs(embedding)):
            said.append(bound.accept(result))
        return [sentence for sentence in said if sentence]

    return settle
