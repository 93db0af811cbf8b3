"""Reading of prompt layers: their points and shapes in image pixels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
from napari.layers import Image, Points, Shapes
from numpy.typing import NDArray

from napari_samv1.layers.affine import Coordinates, between_layers
from napari_samv1.layers.image import DisplayedPlane
from napari_samv1.layers.prompts.features import PromptLayer, is_negative, object_ids
from napari_samv1.masks.drawn import AREAS, PATHS, is_box
from napari_samv1.records.drawn import DrawnShape, Kind, drawn_point
from napari_samv1.records.prompts import SCRIBBLE_POINTS, points_along

SMALLEST_BOX = 2.0


@dataclass(frozen=True)
class ReadPrompts:
    """Prompts of one layer on one plane as drawn, by object, and sentences on unusable prompts.

    ``changed`` are the objects whose prompts differ from the read before; prompts of others are reused.
    ``values`` are each object's rows as bytes, for comparison.
    """

    rows: Mapping[int, tuple[DrawnShape, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    changed: frozenset[int] = frozenset()
    values: Mapping[int, bytes] = field(default_factory=dict, repr=False)


def read_points(
    plane: DisplayedPlane, image: Image, layer: Points, before: ReadPrompts | None = None
) -> ReadPrompts:
    """All points on a plane, in its pixels, through the layers' transforms."""
    before = before or ReadPrompts()
    if len(layer.data) == 0:
        return ReadPrompts(changed=frozenset(before.rows))
    coordinates = _to_image(plane, image, layer, np.asarray(layer.data))
    on_slice = plane.shows(coordinates)
    points_yx = plane.from_layer(coordinates)
    inside = plane.contains(points_yx)
    objects = object_ids(layer)
    positive = ~is_negative(layer)
    notes = []
    if count := int(np.count_nonzero(on_slice & ~inside)):
        notes.append(f"{_points(count, f'outside of image “{plane.name}”')} ignored.")
    if count := int(np.count_nonzero(on_slice & inside & (objects < 1))):
        notes.append(f"{_points(count, 'without an object number of 1 or more')} ignored.")
    usable = np.flatnonzero(on_slice & inside & (objects >= 1))
    points_yx, positive = points_yx[usable], positive[usable]
    text = np.column_stack([points_yx, positive]).tobytes()
    width = len(text) // max(len(usable), 1)
    values = [text[start : start + width] for start in range(0, len(text), width or 1)]

    def point(row: int) -> DrawnShape:
        return drawn_point(points_yx[row], bool(positive[row]))

    return _taken(before, objects[usable].tolist(), values, point, notes)


def read_shapes(
    plane: DisplayedPlane, image: Image, layer: Shapes, before: ReadPrompts | None = None
) -> ReadPrompts:
    """All usable shapes on a plane, every vertex in its pixels.

    Rectangles, polygons and ellipses are always foreground; paths and lines become points along them.
    """
    before = before or ReadPrompts()
    if len(layer.data) == 0:
        return ReadPrompts(changed=frozenset(before.rows))
    shapes = _Mapped(plane, image, layer)
    objects, negative, kinds = object_ids(layer), is_negative(layer), layer.shape_type
    low_yx, high_yx = shapes.bounds_yx()
    edge = np.asarray(plane.shape_yx) - 0.5
    too_narrow = ~((high_yx - low_yx).min(axis=1) >= SMALLEST_BOX)
    outside = (np.clip(high_yx, -0.5, edge) - np.clip(low_yx, -0.5, edge)).min(axis=1) <= 0
    reasons: Counter[str] = Counter()
    usable: list[int] = []
    drawn: list[DrawnShape] = []
    for row in np.flatnonzero(shapes.on_slice):
        kind, is_path = str(kinds[row]), str(kinds[row]) in PATHS
        named = f"background {kind}" if negative[row] else kind
        if kind not in AREAS and not is_path:
            reasons[f"{kind} ignored: it is not a prompt"] += 1
        elif negative[row] and not is_path:
            reasons[f"{named} ignored: only points, paths and lines can be background"] += 1
        elif objects[row] < 1:
            reasons[f"{kind} ignored: its object number is not 1 or more"] += 1
        elif too_narrow[row] and not is_path:
            reasons[f"{kind} ignored: it is narrower than {SMALLEST_BOX:.0f} pixels"] += 1
        elif _is_outside(plane, shapes.vertices_yx(row)) if is_path else outside[row]:
            reasons[f"{kind} outside of image “{plane.name}” ignored"] += 1
        else:
            shape = DrawnShape(cast("Kind", kind), shapes.vertices_yx(row), not negative[row])
            usable.append(int(row))
            drawn.append(shape)
            if is_path:
                reasons[f"{named} read as at most {SCRIBBLE_POINTS} points along it"] += 1
            elif not is_box(shape):
                reasons[f"{kind} read as its box, with its inside as a hint"] += 1
    notes = tuple(
        f"{reason[0].upper()}{reason[1:]}{f' ({count} times)' if count > 1 else ''}."
        for reason, count in reasons.items()
    )
    values = [
        f"{shape.kind} {shape.positive} {len(shape.vertices_yx)} ".encode() + shape.vertices_yx.tobytes()
        for shape in drawn
    ]
    return _taken(before, objects[usable].tolist(), values, drawn.__getitem__, notes)


def _taken(
    before: ReadPrompts,
    objects: Sequence[int],
    values: Sequence[bytes],
    shape_of: Callable[[int], DrawnShape],
    notes: Iterable[str],
) -> ReadPrompts:
    """Prompts of rows, reused from the read before unless an object's rows differ."""
    # joined bytes, because thousands of lists would set off the garbage collection
    by_object: dict[int, bytes] = {}
    for number, value in zip(objects, values, strict=True):
        by_object[number] = by_object[number] + value if number in by_object else value
    changed = {number for number, value in by_object.items() if before.values.get(number) != value}
    made: dict[int, list[DrawnShape]] = {}
    for row, number in enumerate(objects):
        if number in changed:
            made.setdefault(number, []).append(shape_of(row))
    rows = {number: tuple(made[number]) if number in changed else before.rows[number] for number in by_object}
    gone = before.values.keys() - by_object.keys()
    return ReadPrompts(rows, tuple(notes), frozenset(changed | gone), by_object)


def _is_outside(plane: DisplayedPlane, path_yx: Coordinates) -> bool:
    return not plane.contains(points_along(path_yx)).any()


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


def _points(count: int, reason: str) -> str:
    return f"1 point {reason} is" if count == 1 else f"{count} points {reason} are"


def _to_image(
    plane: DisplayedPlane, image: Image, layer: PromptLayer, coordinates: Coordinates
) -> Coordinates:
    missing = image.data_to_world(tuple(plane.position))
    return between_layers(layer, image, missing)(coordinates)


def rows_on_plane(plane: DisplayedPlane, image: Image, layer: PromptLayer) -> NDArray[np.bool_]:
    """Return True for each prompt of a layer on the displayed slice, inside of the image or not."""
    if len(layer.data) == 0:
        return np.zeros(0, dtype=bool)
    if isinstance(layer, Points):
        return plane.shows(_to_image(plane, image, layer, np.asarray(layer.data)))
    return _Mapped(plane, image, layer).on_slice
