"""A prompt layer read again: as if read anew, with everything taken over that did not change."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Points, Shapes

from napari_samv1.layers.image import displayed_plane
from napari_samv1.layers.prompts.features import NEGATIVE, OBJECT, POLARITY, POSITIVE
from napari_samv1.layers.prompts.read import ReadPrompts, read_points, read_shapes

Row = tuple[float, int, bool]
ROWS: list[Row] = [(5.0, 1, True), (6.0, 2, True), (7.0, 1, False), (8.0, 3, True), (9.0, 4, True)]


def layer_of(rows: list[Row], kind: type[Points] | type[Shapes]) -> Points | Shapes:
    features = {
        OBJECT: np.array([number for _, number, _ in rows], dtype=np.int64),
        POLARITY: [POSITIVE if positive else NEGATIVE for *_, positive in rows],
    }
    places = [place for place, *_ in rows]
    if kind is Points:
        return Points(np.column_stack([places, places]), ndim=2, features=features)
    lines = [np.array([(place, place), (place, place + 20)]) for place in places]
    return Shapes(lines or None, ndim=2, shape_type="line" if rows else "rectangle", features=features)


@pytest.fixture
def read():
    viewer = ViewerModel()
    image = viewer.add_image(np.zeros((40, 60), dtype=np.uint8))
    plane = displayed_plane(viewer, image)

    def read(rows: list[Row], kind: type, before: ReadPrompts | None = None) -> ReadPrompts:
        layer = layer_of(rows, kind)
        if isinstance(layer, Points):
            return read_points(plane, image, layer, before)
        return read_shapes(plane, image, layer, before)

    return read


def told(prompts: ReadPrompts) -> dict[int, list[tuple]]:
    return {
        number: [(shape.kind, shape.positive, shape.vertices_yx.tolist()) for shape in own]
        for number, own in prompts.rows.items()
    }


@pytest.mark.parametrize("kind", [Points, Shapes])
@pytest.mark.parametrize(
    ("rows", "changed"),
    [
        (ROWS, set()),
        ([*ROWS, (4.0, 2, True)], {2}),
        (ROWS[1:], {1}),
        (ROWS[:-1], {4}),
        ([*ROWS[:3], *ROWS[4:]], {3}),
        ([(5.5, 1, True), *ROWS[1:]], {1}),
        ([*ROWS[:3], (8.0, 2, True), ROWS[4]], {2, 3}),
        ([*ROWS[:4], (9.0, 4, False)], {4}),
        ([ROWS[2], ROWS[1], ROWS[0], *ROWS[3:]], {1}),
        ([*ROWS[2:], *ROWS[:2]], {1}),
        ([], {1, 2, 3, 4}),
    ],
)
def test_only_objects_with_other_rows_are_made_anew(read, kind, rows, changed):
    before = read(ROWS, kind)
    assert before.changed == {1, 2, 3, 4}
    again = read(rows, kind, before)
    assert again.changed == changed
    assert told(again) == told(read(rows, kind))
    for number in again.rows.keys() - changed:
        assert again.rows[number] is before.rows[number]
