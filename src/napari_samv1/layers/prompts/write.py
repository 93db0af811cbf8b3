"""Writing of prompts into their layers: only rows that differ are removed and added."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from napari.layers import Image, Points

from napari_samv1.layers.affine import Coordinates, between_layers
from napari_samv1.layers.image import DisplayedPlane
from napari_samv1.layers.prompts.features import (
    NEGATIVE,
    OBJECT,
    POLARITY,
    POSITIVE,
    PromptLayer,
    is_negative,
    object_ids,
    show_polarity,
)
from napari_samv1.records.drawn import DrawnShape


@dataclass(frozen=True, eq=False)
class RowChange:
    """Prompts of one object on one plane, before and after."""

    plane: DisplayedPlane
    object_id: int
    before: Sequence[DrawnShape]
    after: Sequence[DrawnShape]


def write_rows(layer: PromptLayer, image: Image, changes: Iterable[RowChange]) -> list[RowChange]:
    """Change a layer from before to after; rows that match neither are the user's, and stay.

    Prompts depend on the order of rows: an object's rows are replaced from the first difference on.
    Other rows keep their features, and the selection. Returns the changes of prompts that this kind of layer
    shows.
    """
    kinds = ("point",) if isinstance(layer, Points) else ("rectangle", "ellipse", "polygon", "path", "line")
    present = _Rows(layer, image)
    to_layer = between_layers(image, layer)
    doomed: list[int] = []
    added: list[tuple[Coordinates, str, int, bool]] = []
    written = []
    for change in changes:
        before = [shape for shape in change.before if shape.kind in kinds]
        after = [shape for shape in change.after if shape.kind in kinds]
        if before == after:
            continue
        written.append(change)
        found = present.showing(change.plane, change.object_id, before)
        kept = 0
        while kept < min(len(found), len(after)) and found[kept][1].is_close(after[kept]):
            kept += 1
        doomed += [row for row, _ in found[kept:]]
        for shape in after[kept:]:
            vertices = to_layer(change.plane.to_layer(shape.vertices_yx))
            added.append((vertices, shape.kind, change.object_id, shape.positive))
    if doomed:
        remove_rows(layer, doomed)
    if added:
        _add(layer, added)
    return written


def remove_rows(layer: PromptLayer, rows: Iterable[int]) -> None:
    """Remove rows of a layer; the rest of the selection stays."""
    doomed = sorted({int(row) for row in rows})
    if not doomed:
        return
    selected = sorted(set(layer.selected_data) - set(doomed))
    layer.selected_data = set(doomed)
    layer.remove_selected()
    _select(layer, {row - int(np.searchsorted(doomed, row)) for row in selected})


def _select(layer: PromptLayer, rows: set[int]) -> None:
    """Restore a selection without the event that would make its object the current one."""
    with layer.events.feature_defaults.blocker():
        layer.selected_data = rows


class _Rows:
    """A layer's rows as they are, by object."""

    def __init__(self, layer: PromptLayer, image: Image) -> None:
        self._layer, self._image = layer, image
        self._negative = is_negative(layer)
        count = len(layer.data)
        self._kinds = ["point"] * count if isinstance(layer, Points) else list(map(str, layer.shape_type))
        self._by_object: dict[int, list[int]] = {}
        for row, object_id in enumerate(object_ids(layer)):
            self._by_object.setdefault(int(object_id), []).append(row)
        self._data = layer.data

    def showing(
        self, plane: DisplayedPlane, object_id: int, shapes: Sequence[DrawnShape]
    ) -> list[tuple[int, DrawnShape]]:
        """Rows that show prompts of an object, with the prompt that each shows, in the rows' order."""
        left, found = list(shapes), []
        missing = self._image.data_to_world(tuple(plane.position))
        to_image = between_layers(self._layer, self._image, missing)
        for row in self._by_object.get(object_id, ()):
            coordinates = to_image(np.atleast_2d(np.asarray(self._data[row], dtype=np.float64)))
            if not plane.shows(coordinates).all():
                continue
            shown = DrawnShape(
                self._kinds[row],  # type: ignore[arg-type]  # napari's own words
                plane.from_layer(coordinates),
                not self._negative[row],
            )
            match = next((index for index, shape in enumerate(left) if shape.is_close(shown)), None)
            if match is not None:
                found.append((row, left.pop(match)))
        return found


def _add(layer: PromptLayer, rows: Sequence[tuple[Coordinates, str, int, bool]]) -> None:
    selected = set(layer.selected_data)
    first = len(layer.data)
    if isinstance(layer, Points):
        layer.add(np.concatenate([vertices for vertices, *_ in rows]))
    else:
        layer.add([vertices for vertices, *_ in rows], shape_type=[kind for _, kind, *_ in rows])
    features = layer.features.copy()
    numbers = object_ids(layer)
    numbers[first:] = [object_id for *_, object_id, _ in rows]
    negative = is_negative(layer).copy()
    negative[first:] = [not positive for *_, positive in rows]
    features[OBJECT] = numbers
    features[POLARITY] = pd.Series(
        np.where(negative, NEGATIVE, POSITIVE), dtype=pd.CategoricalDtype([POSITIVE, NEGATIVE])
    )
    layer.features = features
    _select(layer, selected)
    show_polarity(layer)
