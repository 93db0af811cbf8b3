"""Prompt layers, read: what their points and rectangles say in image pixels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from napari.layers import Image, Points, Shapes
from numpy.typing import NDArray

from napari_samv1.layers.affine import Coordinates, between_layers
from napari_samv1.layers.image import DisplayedPlane
from napari_samv1.layers.prompt_layers import PromptLayer, is_negative, object_ids
from napari_samv1.prompts import BACKGROUND, FOREGROUND, Prompts

SMALLEST_BOX = 2.0


@dataclass(frozen=True)
class ReadPrompts:
    """The prompts on the displayed plane, by object id, and sentences on what could not be used."""

    by_object: Mapping[int, Prompts] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def read_prompts(
    plane: DisplayedPlane, image: Image, points: Points | None, shapes: Shapes | None
) -> ReadPrompts:
    """All prompts on the displayed plane, in its pixels, through the layers' transforms.

    Rectangles are boxes: every corner is mapped, then bounded. A polygon of four corners is a rectangle whose
    corner was dragged, and counts as its bounding box. What lies on another slice is passed over.
    """
    collected: dict[int, _Collected] = {}
    notes: list[str] = []
    if points is not None:
        _collect_points(plane, image, points, collected, notes)
    if shapes is not None:
        _collect_boxes(plane, image, shapes, collected, notes)
    by_object = {
        object_id: Prompts(own.points_yx, own.labels, own.boxes_yx) for object_id, own in collected.items()
    }
    return ReadPrompts(by_object, tuple(dict.fromkeys(notes)))


@dataclass
class _Collected:
    points_yx: list[Coordinates] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    boxes_yx: list[Coordinates] = field(default_factory=list)


def _collect_points(
    plane: DisplayedPlane, image: Image, layer: Points, collected: dict[int, _Collected], notes: list[str]
) -> None:
    if len(layer.data) == 0:
        return
    coordinates = _to_image(plane, image, layer, np.asarray(layer.data))
    on_slice = plane.shows(coordinates)
    points_yx = plane.from_layer(coordinates)
    inside = plane.contains(points_yx)
    objects = object_ids(layer)
    labels = np.where(is_negative(layer), BACKGROUND, FOREGROUND)
    if count := int(np.count_nonzero(on_slice & ~inside)):
        notes.append(f"{_points(count, f'outside of image “{plane.name}”')} ignored.")
    if count := int(np.count_nonzero(on_slice & inside & (objects < 1))):
        notes.append(f"{_points(count, 'without an object number from 1 on')} ignored.")
    for row in np.flatnonzero(on_slice & inside & (objects >= 1)):
        own = collected.setdefault(int(objects[row]), _Collected())
        own.points_yx.append(points_yx[row])
        own.labels.append(int(labels[row]))


def _collect_boxes(
    plane: DisplayedPlane, image: Image, layer: Shapes, collected: dict[int, _Collected], notes: list[str]
) -> None:
    if len(layer.data) == 0:
        return
    shapes = _Mapped(plane, image, layer)
    objects, negative, kinds = object_ids(layer), is_negative(layer), layer.shape_type
    low_yx, high_yx = shapes.bounds_yx()
    edge = np.asarray(plane.shape_yx) - 0.5
    cut_low, cut_high = np.clip(low_yx, -0.5, edge), np.clip(high_yx, -0.5, edge)
    too_narrow = ~((high_yx - low_yx).min(axis=1) >= SMALLEST_BOX)
    outside = (cut_high - cut_low).min(axis=1) <= 0
    reasons: Counter[str] = Counter()
    for row in np.flatnonzero(shapes.on_slice):
        kind = str(kinds[row])
        if kind != "rectangle" and not (kind == "polygon" and shapes.lengths[row] == 4):
            reasons[f"{kind} ignored: only points and rectangles are prompts"] += 1
        elif negative[row]:
            reasons["background rectangle ignored: a box is always around an object"] += 1
        elif objects[row] < 1:
            reasons["rectangle ignored: it has no object number from 1 on"] += 1
        elif too_narrow[row]:
            reasons[f"rectangle ignored: it is narrower than {SMALLEST_BOX:.0f} pixels"] += 1
        elif outside[row]:
            reasons[f"rectangle outside of image “{plane.name}” ignored"] += 1
        else:
            own = collected.setdefault(int(objects[row]), _Collected())
            own.boxes_yx.append(np.concatenate([cut_low[row], cut_high[row]]))
    notes.extend(
        f"{reason[0].upper()}{reason[1:]}{f' ({count} times)' if count > 1 else ''}."
        for reason, count in reasons.items()
    )


class _Mapped:
    """All vertices of a Shapes layer on the image, at once: one by one is slow for hundreds of boxes."""

    def __init__(self, plane: DisplayedPlane, image: Image, layer: Shapes) -> None:
        shapes = layer.data
        self.lengths = np.array([len(vertices) for vertices in shapes])
        self._starts = np.concatenate([[0], np.cumsum(self.lengths)[:-1]])
        coordinates = _to_image(plane, image, layer, np.concatenate(shapes))
        self._points_yx = plane.from_layer(coordinates)
        self.on_slice = np.logical_and.reduceat(plane.shows(coordinates), self._starts)

    def bounds_yx(self) -> tuple[Coordinates, Coordinates]:
        """The lowest and highest row and column of each shape: (N, 2) both."""
        return (
            np.minimum.reduceat(self._points_yx, self._starts, axis=0),
            np.maximum.reduceat(self._points_yx, self._starts, axis=0),
        )


def _points(count: int, which: str) -> str:
    return f"1 point {which} is" if count == 1 else f"{count} points {which} are"


def _to_image(
    plane: DisplayedPlane, image: Image, layer: PromptLayer, coordinates: Coordinates
) -> Coordinates:
    missing = image.data_to_world(tuple(plane.position))
    return between_layers(layer, image, missing)(coordinates)


def rows_on_plane(plane: DisplayedPlane, image: Image, layer: PromptLayer) -> NDArray[np.bool_]:
    """Which prompts of a layer lie on the displayed slice, inside of the image or not."""
    if len(layer.data) == 0:
        return np.zeros(0, dtype=bool)
    if isinstance(layer, Points):
        return plane.shows(_to_image(plane, image, layer, np.asarray(layer.data)))
    return _Mapped(plane, image, layer).on_slice
