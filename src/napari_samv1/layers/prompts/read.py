"""Prompt layers, read: what their points and rectangles say in image pixels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from napari.layers import Image, Points, Shapes
from numpy.typing import NDArray
from skimage.draw import polygon

from napari_samv1.engine.objects import EMPTY, union
from napari_samv1.layers.affine import Coordinates, between_layers
from napari_samv1.layers.image import DisplayedPlane
from napari_samv1.layers.prompts.features import PromptLayer, is_negative, object_ids
from napari_samv1.records.mask_crop import MaskCrop
from napari_samv1.records.prompts import BACKGROUND, FOREGROUND, SCRIBBLE_POINTS, Prompts, points_along
from napari_samv1.storage.session.record import DrawnShape, Kind

SMALLEST_BOX = 2.0
AREAS = ("rectangle", "polygon", "ellipse")
PATHS = ("path", "line")


@dataclass(frozen=True)
class ReadPrompts:
    """The prompts on the displayed plane, by object id, and sentences on what could not be used.

    ``drawn`` are shapes that are more than the points and boxes which they became.
    """

    by_object: Mapping[int, Prompts] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    drawn: Mapping[int, tuple[DrawnShape, ...]] = field(default_factory=dict)


def read_prompts(
    plane: DisplayedPlane, image: Image, points: Points | None, shapes: Shapes | None
) -> ReadPrompts:
    """All prompts on the displayed plane, in its pixels, through the layers' transforms.

    Every vertex is mapped; what lies on another slice is passed over. What a drawn shape means:

    - rectangle, or polygon of four corners (a rectangle whose corner was dragged): its bounding box;
    - any other polygon, ellipse: its bounding box, with its inside as a mask hint;
    - path, line: points along it, foreground or background as the shape is.
    """
    collected: dict[int, _Collected] = {}
    notes: list[str] = []
    if points is not None:
        _collect_points(plane, image, points, collected, notes)
    if shapes is not None:
        _collect_boxes(plane, image, shapes, collected, notes)
    by_object = {object_id: own.prompts() for object_id, own in collected.items()}
    drawn = {object_id: tuple(own.drawn) for object_id, own in collected.items() if own.drawn}
    return ReadPrompts(by_object, tuple(dict.fromkeys(notes)), drawn)


@dataclass
class _Collected:
    points_yx: list[Coordinates] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    boxes_yx: list[Coordinates] = field(default_factory=list)
    area: MaskCrop = EMPTY
    drawn: list[DrawnShape] = field(default_factory=list)

    def prompts(self) -> Prompts:
        area = None if self.area.empty else self.area
        return Prompts(self.points_yx, self.labels, self.boxes_yx, area)


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
        kind, is_path = str(kinds[row]), str(kinds[row]) in PATHS
        named = f"background {kind}" if negative[row] else kind
        if kind not in AREAS and not is_path:
            reasons[f"{kind} ignored: it is no kind of prompt"] += 1
        elif negative[row] and not is_path:
            reasons[f"{named} ignored: a shape with an inside is always around an object"] += 1
        elif objects[row] < 1:
            reasons[f"{kind} ignored: it has no object number from 1 on"] += 1
        elif too_narrow[row] and not is_path:
            reasons[f"{kind} ignored: it is narrower than {SMALLEST_BOX:.0f} pixels"] += 1
        elif is_path:
            points_yx = points_along(shapes.vertices_yx(row))
            inside = plane.contains(points_yx)
            if not inside.any():
                reasons[f"{kind} outside of image “{plane.name}” ignored"] += 1
                continue
            own = collected.setdefault(int(objects[row]), _Collected())
            own.points_yx.extend(points_yx[inside])
            own.labels.extend([BACKGROUND if negative[row] else FOREGROUND] * int(inside.sum()))
            own.drawn.append(DrawnShape(_kind(kind), shapes.vertices_yx(row), not negative[row]))
            reasons[f"{named} read as {SCRIBBLE_POINTS} points along it at most"] += 1
        elif outside[row]:
            reasons[f"{kind} outside of image “{plane.name}” ignored"] += 1
        else:
            own = collected.setdefault(int(objects[row]), _Collected())
            own.boxes_yx.append(np.concatenate([cut_low[row], cut_high[row]]))
            # four corners are a rectangle one of whose corners was dragged
            if kind == "rectangle" or (kind == "polygon" and shapes.lengths[row] == 4):
                continue
            vertices_yx = shapes.vertices_yx(row)
            own.area = union(own.area, _interior(plane, kind, vertices_yx))
            own.drawn.append(DrawnShape(_kind(kind), vertices_yx))
            reasons[f"{kind} read as its box, with its inside as a hint"] += 1
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

    def vertices_yx(self, row: np.signedinteger[Any]) -> Coordinates:
        """The vertices of one shape; of an ellipse, the corners around it."""
        return self._points_yx[self._starts[row] : self._starts[row] + self.lengths[row]]

    def bounds_yx(self) -> tuple[Coordinates, Coordinates]:
        """The lowest and highest row and column of each shape: (N, 2) both."""
        return (
            np.minimum.reduceat(self._points_yx, self._starts, axis=0),
            np.maximum.reduceat(self._points_yx, self._starts, axis=0),
        )


def _interior(plane: DisplayedPlane, kind: str, vertices_yx: Coordinates) -> MaskCrop:
    """The pixels of the plane whose centres lie inside of a drawn shape."""
    outline = vertices_yx
    if kind == "ellipse":
        # napari keeps the corners of the ellipse's box, in order
        centre = vertices_yx.mean(axis=0)
        first, second = (vertices_yx[1] - vertices_yx[0]) / 2, (vertices_yx[3] - vertices_yx[0]) / 2
        angles = np.linspace(0, 2 * np.pi, 90, endpoint=False)[:, None]
        outline = centre + np.cos(angles) * first + np.sin(angles) * second
    rows, columns = polygon(outline[:, 0], outline[:, 1], plane.shape_yx)
    if not len(rows):
        return EMPTY
    top, left = int(rows.min()), int(columns.min())
    mask = np.zeros((int(rows.max()) - top + 1, int(columns.max()) - left + 1), dtype=bool)
    mask[rows - top, columns - left] = True
    return MaskCrop.from_mask(mask, (top, left))


def _kind(kind: str) -> Kind:
    """The kind as a saved session names it."""
    kinds: dict[str, Kind] = {"ellipse": "ellipse", "polygon": "polygon", "path": "path", "line": "line"}
    return kinds[kind]


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


def centre_on_plane(plane: DisplayedPlane, image: Image, layer: PromptLayer, row: int) -> Coordinates:
    """Where on the plane a prompt lies: a point, or the middle of a shape's vertices."""
    vertices = np.atleast_2d(np.asarray(layer.data[row], dtype=np.float64))
    centre: Coordinates = plane.from_layer(_to_image(plane, image, layer, vertices)).mean(axis=0)
    return centre
