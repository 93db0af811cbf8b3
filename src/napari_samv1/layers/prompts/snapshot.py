"""What the prompt layers held at one moment, for undo to put back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from napari.layers import Points, Shapes

from napari_samv1.layers.affine import Coordinates
from napari_samv1.layers.prompts.features import show_polarity


@dataclass(frozen=True, eq=False)
class PromptSnapshot:
    """All that the prompt layers held at one moment, for undo to put back."""

    points: Coordinates | None
    point_features: pd.DataFrame | None
    shapes: tuple[tuple[Coordinates, str], ...] | None
    shape_features: pd.DataFrame | None

    def equals(self, other: PromptSnapshot) -> bool:
        """Whether both hold the same prompts."""
        return (
            _same_arrays([self.points], [other.points])
            and _same_arrays(
                [vertices for vertices, _ in self.shapes or ()],
                [vertices for vertices, _ in other.shapes or ()],
            )
            and [kind for _, kind in self.shapes or ()] == [kind for _, kind in other.shapes or ()]
            and _same_features(self.point_features, other.point_features)
            and _same_features(self.shape_features, other.shape_features)
        )


def _same_arrays(first: Sequence[Coordinates | None], second: Sequence[Coordinates | None]) -> bool:
    if len(first) != len(second):
        return False
    return all(
        a is b or (a is not None and b is not None and np.array_equal(a, b))
        for a, b in zip(first, second, strict=True)
    )


def _same_features(first: pd.DataFrame | None, second: pd.DataFrame | None) -> bool:
    if first is None or second is None:
        return first is second
    return bool(first.equals(second))


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
