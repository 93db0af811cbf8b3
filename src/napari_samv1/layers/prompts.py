"""Points and Shapes layers as prompts: their features, their look, and what they say in image pixels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd
from napari.layers import Image, Points, Shapes
from numpy.typing import NDArray

from napari_samv1.layers.affine import Coordinates, between_layers
from napari_samv1.layers.image import DisplayedPlane
from napari_samv1.prompts import BACKGROUND, FOREGROUND, Prompts

OBJECT = "object"
POLARITY = "polarity"
Polarity = Literal["positive", "negative"]
POSITIVE: Polarity = "positive"
NEGATIVE: Polarity = "negative"

# told apart by hue and brightness alike, also without red-green vision
COLOURS = {POSITIVE: "#0072b2", NEGATIVE: "#e69f00"}
SYMBOLS = {POSITIVE: "disc", NEGATIVE: "cross"}
SMALLEST_BOX = 2.0

PromptLayer = Points | Shapes


# Layers


def make_points(image: Image, *, name: str | None = None, object_id: int = 1) -> Points:
    """A Points layer for prompts on an image: its transform, our features, a look for each polarity."""
    layer = Points(
        np.empty((0, image.ndim)),
        ndim=image.ndim,
        name=name or f"{image.name} points",
        features=_no_features(),
        feature_defaults={OBJECT: object_id, POLARITY: POSITIVE},
        face_color=POLARITY,
        face_color_cycle=COLOURS,
        border_color="white",
        size=_point_size(image),
        **transform_of(image),
    )
    layer.mode = "add"
    return layer


def make_shapes(image: Image, *, name: str | None = None, object_id: int = 1) -> Shapes:
    """A Shapes layer for box prompts on an image, ready to draw rectangles."""
    layer = Shapes(
        None,
        ndim=image.ndim,
        name=name or f"{image.name} boxes",
        features=_no_features(),
        feature_defaults={OBJECT: object_id, POLARITY: POSITIVE},
        edge_color=COLOURS[POSITIVE],
        face_color="#00000000",
        edge_width=max(1.0, _point_size(image) / 4),
        **transform_of(image),
    )
    layer.mode = "add_rectangle"
    return layer


def transform_of(image: Image) -> dict[str, Any]:
    """Everything that places a layer of the same dimension exactly on an image."""
    return {
        "scale": image.scale,
        "translate": image.translate,
        "rotate": image.rotate,
        "shear": image.shear,
        "affine": image.affine,
        "units": image.units,
        "axis_labels": image.axis_labels,
    }


def adopt(layer: PromptLayer, object_id: int = 1) -> None:
    """Let a layer of the user's carry prompts: missing features are added, nothing of theirs is replaced."""
    features = layer.features.copy()
    defaults = {name: layer.feature_defaults[name].iloc[0] for name in layer.feature_defaults}
    missing = [name for name in (OBJECT, POLARITY) if name not in features]
    if OBJECT in missing:
        features[OBJECT] = np.full(len(layer.data), object_id, dtype=np.int64)
        defaults[OBJECT] = object_id
    if POLARITY in missing:
        features[POLARITY] = _polarities([POSITIVE] * len(layer.data))
        defaults[POLARITY] = POSITIVE
    if missing:
        layer.features = features
        layer.feature_defaults = defaults
    if isinstance(layer, Points) and POLARITY in missing and layer.face_color_mode == "direct":
        layer.face_color_cycle = COLOURS
        layer.face_color = POLARITY
    show_polarity(layer)


def show_polarity(layer: PromptLayer) -> None:
    """Make polarity visible without colour vision: discs and crosses, following the feature."""
    if not isinstance(layer, Points) or len(layer.data) == 0:
        return
    negative = _is_negative(layer)
    shown = np.array([str(symbol) for symbol in layer.symbol])
    wrong = np.where(negative, shown != SYMBOLS[NEGATIVE], shown == SYMBOLS[NEGATIVE])
    if wrong.any():
        shown = shown.astype(object)
        shown[wrong & negative] = SYMBOLS[NEGATIVE]
        shown[wrong & ~negative] = SYMBOLS[POSITIVE]
        layer.symbol = list(shown)


def _no_features() -> pd.DataFrame:
    return pd.DataFrame({OBJECT: pd.Series([], dtype=np.int64), POLARITY: _polarities([])})


def _polarities(values: Iterable[str]) -> pd.Series[Any]:
    return pd.Series(list(values), dtype=pd.CategoricalDtype([POSITIVE, NEGATIVE]))


def _point_size(image: Image) -> float:
    shape = image.data[0].shape if image.multiscale else image.data.shape
    return float(max(3, round(max(shape[: image.ndim][-2:]) / 60)))


# Reading


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
    labels = np.where(_is_negative(layer), BACKGROUND, FOREGROUND)
    if count := int(np.count_nonzero(on_slice & ~inside)):
        notes.append(f"{_count(count, 'point')} outside of image “{plane.name}” ignored.")
    if count := int(np.count_nonzero(on_slice & inside & (objects < 1))):
        notes.append(f"{_count(count, 'point')} without an object number from 1 on ignored.")
    for row in np.flatnonzero(on_slice & inside & (objects >= 1)):
        own = collected.setdefault(int(objects[row]), _Collected())
        own.points_yx.append(points_yx[row])
        own.labels.append(int(labels[row]))


def _collect_boxes(
    plane: DisplayedPlane, image: Image, layer: Shapes, collected: dict[int, _Collected], notes: list[str]
) -> None:
    objects = object_ids(layer)
    negative = _is_negative(layer)
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


def _count(count: int, noun: str) -> str:
    return f"1 {noun} is" if count == 1 else f"{count} {noun}s are"


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


# Features


def object_ids(layer: PromptLayer) -> NDArray[np.int64]:
    """The object id of each prompt of a layer; 0 where there is none that counts."""
    if OBJECT not in layer.features:
        return np.ones(len(layer.data), dtype=np.int64)
    numbers = pd.to_numeric(layer.features[OBJECT], errors="coerce").to_numpy(dtype=np.float64)
    usable = np.isfinite(numbers) & (numbers >= 1) & (numbers == np.round(numbers))
    return np.where(usable, numbers, 0).astype(np.int64)


def _is_negative(layer: PromptLayer) -> NDArray[np.bool_]:
    if POLARITY not in layer.features:
        return np.zeros(len(layer.data), dtype=bool)
    return np.asarray(layer.features[POLARITY].astype(str) == NEGATIVE, dtype=bool)


def set_next(layer: PromptLayer, *, object_id: int | None = None, polarity: Polarity | None = None) -> None:
    """What the next prompt of a layer will be; those that are there stay as they are."""
    defaults = {name: layer.feature_defaults[name].iloc[0] for name in layer.feature_defaults}
    wanted = dict(defaults)
    if object_id is not None:
        wanted[OBJECT] = object_id
    if polarity is not None:
        wanted[POLARITY] = polarity
    if wanted != defaults:
        layer.feature_defaults = wanted


def next_object_id(layer: PromptLayer) -> int | None:
    """The object of a layer's next prompt, None where the feature is unusable."""
    try:
        object_id = int(layer.feature_defaults[OBJECT].iloc[0])
    except (KeyError, ValueError, TypeError):
        return None
    return object_id if object_id >= 1 else None


def next_polarity(layer: PromptLayer) -> Polarity:
    """The polarity of a layer's next prompt."""
    if POLARITY not in layer.feature_defaults:
        return POSITIVE
    return NEGATIVE if str(layer.feature_defaults[POLARITY].iloc[0]) == NEGATIVE else POSITIVE


def other(polarity: Polarity) -> Polarity:
    """Foreground for background, and background for foreground."""
    return POSITIVE if polarity == NEGATIVE else NEGATIVE


def flip(layer: PromptLayer, rows: Iterable[int]) -> None:
    """Turn prompts of a layer from foreground to background, or back."""
    features = layer.features.copy()
    negative = _is_negative(layer)
    for row in rows:
        negative[row] = not negative[row]
    features[POLARITY] = _polarities(np.where(negative, NEGATIVE, POSITIVE))
    layer.features = features
    show_polarity(layer)


# Removing, remembering


def rows_on_plane(plane: DisplayedPlane, image: Image, layer: PromptLayer) -> NDArray[np.bool_]:
    """Which prompts of a layer lie on the displayed slice, inside of the image or not."""
    if len(layer.data) == 0:
        return np.zeros(0, dtype=bool)
    if isinstance(layer, Points):
        return plane.shows(_to_image(plane, image, layer, np.asarray(layer.data)))
    return np.array([plane.shows(corners).all() for corners in _shapes_on_image(plane, image, layer)])


def remove_rows(layer: PromptLayer, rows: Iterable[int]) -> None:
    """Remove prompts from a layer."""
    doomed = {int(row) for row in rows}
    if doomed:
        layer.selected_data = doomed
        layer.remove_selected()


@dataclass(frozen=True, eq=False)
class PromptSnapshot:
    """All that the prompt layers held at one moment, for undo to put back."""

    points: Coordinates | None
    point_features: pd.DataFrame | None
    shapes: tuple[tuple[Coordinates, str], ...] | None
    shape_features: pd.DataFrame | None


def remember(points: Points | None, shapes: Shapes | None) -> PromptSnapshot:
    """What the prompt layers hold now."""
    return PromptSnapshot(
        points=None if points is None else np.array(points.data),
        point_features=None if points is None else points.features.copy(),
        shapes=None
        if shapes is None
        else tuple(
            (np.array(vertices), str(kind))
            for vertices, kind in zip(shapes.data, shapes.shape_type, strict=True)
        ),
        shape_features=None if shapes is None else shapes.features.copy(),
    )


def put_back(snapshot: PromptSnapshot, points: Points | None, shapes: Shapes | None) -> None:
    """Let the prompt layers hold what they held; a layer that was not there then stays as it is."""
    if points is not None and snapshot.points is not None and snapshot.point_features is not None:
        points.selected_data = set()
        points.data = np.array(snapshot.points)
        points.features = snapshot.point_features.copy()
        show_polarity(points)
    if shapes is not None and snapshot.shapes is not None and snapshot.shape_features is not None:
        shapes.selected_data = set()
        shapes.data = [(np.array(vertices), kind) for vertices, kind in snapshot.shapes]
        shapes.features = snapshot.shape_features.copy()
