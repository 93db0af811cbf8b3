"""Points and Shapes layers that carry prompts: their features, and the look of each polarity."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd
from napari.layers import Image, Points, Shapes
from numpy.typing import NDArray

OBJECT = "object"
POLARITY = "polarity"
Polarity = Literal["positive", "negative"]
LARGEST_ID = np.iinfo(np.int64).max
POSITIVE: Polarity = "positive"
NEGATIVE: Polarity = "negative"

# differ in hue and brightness, so that colour-blind users tell them apart
COLOURS = {POSITIVE: "#0072b2", NEGATIVE: "#e69f00"}
SYMBOLS = {POSITIVE: "disc", NEGATIVE: "cross"}

# alpha of other objects' prompts; exact in float32, so that it can be recognised
DIMMED = 0.3125

PromptLayer: TypeAlias = Points | Shapes


POINT_PIXELS = (6, 14)  # on the screen, so that a point covers no small object at any zoom


def make_points(image: Image, *, name: str | None = None, object_id: int = 1) -> Points:
    """A Points layer for prompts on an image: its transform, our features, a look for each polarity."""
    return Points(
        np.empty((0, image.ndim)),
        ndim=image.ndim,
        name=name or f"{image.name} points",
        features=_no_features(),
        feature_defaults={OBJECT: object_id, POLARITY: POSITIVE},
        face_color=POLARITY,
        face_color_cycle=COLOURS,
        border_color="white",
        size=_point_size(image),
        canvas_size_limits=POINT_PIXELS,
        **transform_of(image),
    )


def make_shapes(image: Image, *, name: str | None = None, object_id: int = 1) -> Shapes:
    """A Shapes layer for box prompts on an image."""
    return Shapes(
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


def transform_of(image: Image) -> dict[str, Any]:
    """Layer settings that place a layer of the same dimension exactly on an image."""
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
    """Prepare a user's layer for prompts: add missing features, and replace none."""
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
    negative, symbols = is_negative(layer), layer.symbol
    cross = type(symbols[0])(SYMBOLS[NEGATIVE])
    wrong = negative != np.array([symbol is cross for symbol in symbols])
    if wrong.any():
        shown = np.array([str(symbol) for symbol in symbols], dtype=object)
        shown[wrong & negative] = SYMBOLS[NEGATIVE]
        shown[wrong & ~negative] = SYMBOLS[POSITIVE]
        layer.symbol = list(shown)


def show_object(layer: PromptLayer, object_id: int) -> None:
    """Dim the prompts of other objects; colours that are not opaque are the user's own and stay."""
    _dim(layer, object_ids(layer) != object_id)


def show_all(layer: PromptLayer) -> None:
    """Show all prompts of a layer undimmed."""
    _dim(layer, np.zeros(len(layer.data), dtype=bool))


def _dim(layer: PromptLayer, dimmed: NDArray[np.bool_]) -> None:
    if isinstance(layer, Points):
        # assigned colours would no longer follow the features; colours changed in place do
        changed = [_set_dimmed(colours, dimmed) for colours in (layer.face_color, layer.border_color)]
        if any(changed):
            layer.refresh(extent=False, thumbnail=False, highlight=False)
        return
    for name in ("edge_color", "face_color"):
        colours = np.array(getattr(layer, name))
        if getattr(layer, f"{name}_mode") == "direct" and _set_dimmed(colours, dimmed):
            setattr(layer, name, colours)


def _set_dimmed(colours: NDArray[np.float32], dimmed: NDArray[np.bool_]) -> bool:
    """Change the alpha of rows of colours (N, 4) in place; True if any changed."""
    if len(colours) != len(dimmed) or not len(dimmed):
        return False
    alpha = colours[:, 3]
    wanted = np.where(dimmed & (alpha == 1), DIMMED, np.where(~dimmed & (alpha == DIMMED), 1, alpha))
    if np.array_equal(alpha, wanted):
        return False
    colours[:, 3] = wanted
    return True


def _no_features() -> pd.DataFrame:
    return pd.DataFrame({OBJECT: pd.Series([], dtype=np.int64), POLARITY: _polarities([])})


def _polarities(values: Iterable[str]) -> pd.Series[Any]:
    return pd.Series(list(values), dtype=pd.CategoricalDtype([POSITIVE, NEGATIVE]))


def _point_size(image: Image) -> float:
    shape = image.data[0].shape if image.multiscale else image.data.shape
    return float(max(3, round(max(shape[: image.ndim][-2:]) / 60)))


def object_ids(layer: PromptLayer) -> NDArray[np.int64]:
    """The object id of each prompt of a layer; 0 where it is no valid number."""
    if OBJECT not in layer.features:
        return np.ones(len(layer.data), dtype=np.int64)
    column = layer.features[OBJECT]
    if column.dtype.kind in "iu":
        # integers stay integers, because floats are inexact beyond 2**53
        numbers = column.to_numpy()
        return np.where((numbers >= 1) & (numbers <= LARGEST_ID), numbers, 0).astype(np.int64)
    return np.array([_whole(value) for value in column], dtype=np.int64)


def _whole(value: object) -> int:
    """The object's number that a feature holds; 0 if it holds none."""
    try:
        number = int(value)  # type: ignore[call-overload]
    except (TypeError, ValueError, OverflowError):
        return 0
    is_whole = number == value or str(number) == str(value)
    return number if is_whole and 1 <= number <= LARGEST_ID else 0


def is_negative(layer: PromptLayer) -> NDArray[np.bool_]:
    if POLARITY not in layer.features:
        return np.zeros(len(layer.data), dtype=bool)
    column = layer.features[POLARITY]
    if isinstance(column.dtype, pd.CategoricalDtype):
        # compare the few categories: turning thousands of values into text takes milliseconds
        codes = [code for code, word in enumerate(column.cat.categories) if str(word) == NEGATIVE]
        return np.isin(column.cat.codes.to_numpy(), codes)
    return np.asarray(column.astype(str) == NEGATIVE, dtype=bool)


def set_next(layer: PromptLayer, *, object_id: int | None = None, polarity: Polarity | None = None) -> None:
    """Set object and polarity of a layer's next prompt; existing prompts stay as they are."""
    if OBJECT not in layer.features or POLARITY not in layer.features:
        # the user replaced the features
        adopt(layer, object_id or 1)
    _widen(layer)
    defaults = {name: layer.feature_defaults[name].iloc[0] for name in layer.feature_defaults}
    wanted = dict(defaults)
    if object_id is not None:
        wanted[OBJECT] = object_id
    if polarity is not None:
        wanted[POLARITY] = polarity
    if wanted != defaults:
        layer.feature_defaults = wanted


def _widen(layer: PromptLayer) -> None:
    """Widen the types of a user's features for our values; existing values stay."""
    features = layer.features
    wider = {
        name: features[name].astype(dtype)
        for name, dtype in ((OBJECT, _object_dtype(features)), (POLARITY, _polarity_dtype(features)))
        if dtype is not None
    }
    if wider:
        layer.features = features.assign(**wider)


def _object_dtype(features: pd.DataFrame) -> type | None:
    """The type that the objects' column needs; None if its type is wide enough."""
    dtype = features[OBJECT].dtype
    kind, size = dtype.kind, getattr(dtype, "itemsize", 8)
    if isinstance(dtype, pd.CategoricalDtype):
        return object
    if kind in "iu":
        return np.int64 if size < 8 else None
    return None if kind == "O" or (kind == "f" and size >= 8) else object


def _polarity_dtype(features: pd.DataFrame) -> type | None:
    """The type that the polarities' column needs; None if its type is wide enough."""
    dtype = features[POLARITY].dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return None if {POSITIVE, NEGATIVE} <= set(dtype.categories) else object
    return None if dtype.kind == "O" else object


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
    """The opposite polarity."""
    return POSITIVE if polarity == NEGATIVE else NEGATIVE


def flip(layer: PromptLayer, rows: Iterable[int]) -> None:
    """Turn prompts of a layer from foreground to background, or back."""
    features = layer.features.copy()
    negative = is_negative(layer).copy()
    for row in rows:
        negative[row] = not negative[row]
    features[POLARITY] = _polarities(np.where(negative, NEGATIVE, POSITIVE))
    layer.features = features
    show_polarity(layer)
