"""A model whose masks are squares that can be counted by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.utils.interactions import (
    mouse_move_callbacks,
    mouse_press_callbacks,
    mouse_release_callbacks,
)
from wrapt import ObjectProxy

from napari_samv1.engine.session import run_each
from napari_samv1.layers.binding import AnnotationBinding
from napari_samv1.masks.crop import MaskCrop
from napari_samv1.prompts import Prompts

HW = (40, 60)
HALF_SIDES = (3, 1, 2, 4)
IOU = (0.9, 0.5, 0.7, 0.6)


@dataclass(frozen=True, eq=False)
class SquarePrediction:
    """Squares around foreground points, less those around background points; boxes are filled.

    Candidate i reaches ``HALF_SIDES[i]`` pixels around a point, less the threshold.
    """

    prompts: Prompts
    image_hw: tuple[int, int]
    iou: tuple[float, ...] = IOU
    batch: tuple[int, int] = (0, 1)

    @property
    def frame(self) -> Any:
        return SimpleNamespace(image_hw=self.image_hw)

    def best(self) -> int:
        return 1 + int(np.argmax(self.iou[1:])) if self.prompts.is_single else 0

    def stability(self, threshold: float = 0.0) -> tuple[float, ...]:
        return (0.9, 0.8, 0.7, 0.6)

    def crop(self, index: int, threshold: float = 0.0) -> MaskCrop:
        mask = np.zeros(self.image_hw, dtype=bool)
        reach = HALF_SIDES[index] - int(threshold)
        for y0, x0, y1, x1 in self.prompts.boxes_yx.round().astype(int):
            mask[max(y0, 0) : y1 + 1, max(x0, 0) : x1 + 1] = True
        for sign in (1, 0):
            for y, x in self.prompts.points_yx[self.prompts.labels == sign].round().astype(int):
                mask[max(y - reach, 0) : y + reach + 1, max(x - reach, 0) : x + reach + 1] = bool(sign)
        return MaskCrop.from_mask(mask)


class SquarePredictor:
    """Counts what it decodes; fails on demand."""

    def __init__(self) -> None:
        self.decoded: list[Prompts] = []
        self.fails_with: Exception | None = None

    def predict_each(self, embedding: Any, prompts: Sequence[Prompts]) -> list[SquarePrediction]:
        if self.fails_with is not None:
            raise self.fails_with
        self.decoded.extend(prompts)
        return [SquarePrediction(one, embedding.image_hw) for one in prompts]


@pytest.fixture
def squares() -> SquarePredictor:
    return SquarePredictor()


@pytest.fixture
def embedding() -> Any:
    return SimpleNamespace(key="first", image_hw=(40, 60))


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
