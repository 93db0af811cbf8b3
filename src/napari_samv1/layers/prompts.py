"""Prompt layers, read: what their points and rectangles say in image pixels."""

from __future__ import annotations

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
    objects = object_ids(layer)
    negative = is_negative(layer)
    reasons: dict[str, int] = {}
    for row, corners in enumerate(_shapes_on_image(plane, image, layer)):
        if not plane.shows(corners).all():
            continue
        kind = str(layer.shape_type[row])
        if kind != "rectangle" and not (kind == "polygon" and len(corners) == 4):
            reason = f"{kind} ignored: only points and rectangles are prompts"
        elif negative[row]:
            reason = "background rectangle ignored: a box is always around an object"
        elif objects[row] < 1:
            reason = "rectangle ignored: it has no object number from 1 on"
        else:
            corners_yx = plane.from_layer(corners)
            reason = _add_box(plane, corners_yx, collected, int(objects[row]))
        if reason:
            reasons[reason] = reasons.get(reason, 0) + 1
    notes.extend(
        f"{reason[0].upper()}{reason[1:]}{f' ({count} times)' if count > 1 else ''}."
        for reason, count in reasons.items()
    )


def _add_box(
    plane: DisplayedPlane, corners_yx: Coordinates, collected: dict[int, _Collected], object_id: int
) -> str:
    """Add the bounding box, cut to the image; or say why not."""
    low, high = corners_yx.min(axis=0), corners_yx.max(axis=0)
    if not np.isfinite(corners_yx).all() or (high - low).min() < SMALLEST_BOX:
        return f"rectangle ignored: it is narrower than {SMALLEST_BOX:.0f} pixels"
    edge = np.asarray(plane.shape_yx) - 0.5
    low, high = np.clip(low, -0.5, edge), np.clip(high, -0.5, edge)
    if (high - low).min() <= 0:
        return f"rectangle outside of image “{plane.name}” ignored"
    collected.setdefault(object_id, _Collected()).boxes_yx.append(np.concatenate([low, high]))
    return ""


def _points(count: int, which: str) -> str:
    return f"1 point {which} is" if count == 1 else f"{count} points {which} are"


def _to_image(
    plane: DisplayedPlane, image: Image, layer: PromptLayer, coordinates: Coordinates
) -> Coordinates:
    missing = image.data_to_world(tuple(plane.position))
    return between_layers(layer, image, missing)(coordinates)


def _shapes_on_image(plane: DisplayedPlane, image: Image, layer: Shapes) -> list[Coordinates]:
    shapes = [np.asarray(vertices, dtype=np.float64) for vertices in layer.data]
    if not shapes:
        return []
    mapped = _to_image(plane, image, layer, np.concatenate(shapes))
    ends = np.cumsum([len(vertices) for vertices in shapes])
    return [np.asarray(part) for part in np.split(mapped, ends[:-1])]


def rows_on_plane(plane: DisplayedPlane, image: Image, layer: PromptLayer) -> NDArray[np.bool_]:
    """Which prompts of a layer lie on the displayed slice, inside of the image or not."""
    if len(layer.data) == 0:
        return np.zeros(0, dtype=bool)
    if isinstance(layer, Points):
        return plane.shows(_to_image(plane, image, layer, np.asarray(layer.data)))
    return np.array([plane.shows(corners).all() for corners in _shapes_on_image(plane, image, layer)])
